//! The folder with the answers, as `systemd/lib/smart` writes it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use super::{Answer, Disk, Disks, Standing};

/// Why the answers cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SmartError {
    /// The folder cannot be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The summary cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It says nothing that is known.
    #[error("{} is none that this agent knows", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
    },
}

/// What was in the folder.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// It is not there, or empty.
    Nothing,
    /// Whoever asks the disks has no `smartctl`.
    Missing,
    /// The disks, and the time since they were asked.
    Asked(Duration, Disks),
}

/// Reads it all, at this moment of the boot clock.
pub(super) fn read(folder: &Path, now: Duration) -> Result<Found, SmartError> {
    let path = folder.join("summary");
    let summary = match contents(&path) {
        Ok(summary) => summary,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(source) => return Err(SmartError::Read { path, source }),
    };
    let words = words(&summary);
    let Some(age) = age(&words, "at", now) else { return Err(SmartError::Parse { path }) };
    match words.get("smartctl").copied() {
        Some("missing") if age < super::OLD_AFTER => return Ok(Found::Missing),
        Some("found" | "missing") => {}
        Some(_) | None => return Err(SmartError::Parse { path }),
    }
    let mut disks = Disks::default();
    let without = words.get("virtual").copied().unwrap_or_default().split(',');
    disks.without = without.filter(|it| is_name(it)).take(DISKS_MAX).map(str::to_owned).collect();
    disks.left_out = number(&words, "left-out").unwrap_or(0);
    let mut names = names(folder)?;
    names.sort();
    let beyond = u32::try_from(names.len().saturating_sub(DISKS_MAX)).unwrap_or(u32::MAX);
    disks.left_out = disks.left_out.saturating_add(beyond);
    for name in names.into_iter().take(DISKS_MAX) {
        let file = contents(&folder.join(format!("{name}{SUFFIX}")));
        // It went between the list and now.
        if !file.as_ref().is_err_and(|it| it.kind() == io::ErrorKind::NotFound) {
            disks.disks.push(disk(name, file, now));
        }
    }
    Ok(Found::Asked(age, disks))
}

fn names(folder: &Path) -> Result<Vec<String>, SmartError> {
    let failed = |source| SmartError::List { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)?.take(ENTRIES_MAX) {
        let file = entry.map_err(failed)?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(SUFFIX));
        names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
    }
    Ok(names)
}

fn disk(name: String, file: io::Result<Vec<u8>>, now: Duration) -> Disk {
    let mut disk = Disk {
        name,
        standing: Standing::Unknown,
        tried: Duration::ZERO,
        answered: None,
        answer: None,
        rises: Vec::new(),
    };
    let file = match file {
        Ok(file) => file,
        Err(failed) => {
            disk.answer = Some(Err(format!("its answer cannot be read ({failed})")));
            return disk;
        }
    };
    let (head, json) = match file.iter().position(|byte| *byte == b'\n') {
        Some(end) => file.split_at(end),
        None => (file.as_slice(), &[][..]),
    };
    let words = words(head);
    let Some(tried) = age(&words, "at", now) else { return disk };
    disk.tried = tried;
    disk.answered = age(&words, "answered", now);
    disk.standing = match words.get("result").copied() {
        Some("answered") => Standing::Answered,
        Some("standby") => Standing::Asleep,
        Some("silent") => Standing::Silent(number(&words, "misses").unwrap_or(1)),
        Some("offline") => Standing::Offline,
        Some(_) | None => Standing::Unknown,
    };
    disk.answer = disk.answered.map(|_| Answer::parse(json).map(Box::new));
    disk
}

/// The words of the first line, `key=value` each.
fn words(bytes: &[u8]) -> BTreeMap<&str, &str> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    line.split(' ').filter_map(|word| word.split_once('=')).collect()
}

fn number(words: &BTreeMap<&str, &str>, key: &str) -> Option<u32> {
    words.get(key)?.parse().ok()
}

fn age(words: &BTreeMap<&str, &str>, key: &str, now: Duration) -> Option<Duration> {
    let at = Duration::from_secs(number(words, key)?.into());
    Some(now.saturating_sub(at))
}

/// A label of metrics, and a word in sentences.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric();
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_letter)
}

/// Reads a file that is one; nothing else is waited for.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file: File = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut bytes = Vec::new();
    let length = file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length > FILE_MAX) {
        return Err(io::Error::other("too long"));
    }
    Ok(bytes)
}

const SUFFIX: &str = ".disk";
/// As the script has it.
const DISKS_MAX: usize = 32;
/// Each disk has three files while it is asked.
const ENTRIES_MAX: usize = 256;
/// Twenty times what a disk with many attributes makes.
const FILE_MAX: u64 = 256 * 1024;
/// Longer than any name of the kernel for a disk.
const NAME_MAX: usize = 32;
