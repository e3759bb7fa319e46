//! Files below configurable roots, read into a buffer that is used again and again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Where the files are; on a host that runs in a container they are mounted elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Roots {
    /// The proc file system.
    pub proc: PathBuf,
    /// The sys file system.
    pub sys: PathBuf,
    /// What stands before every other path.
    pub root: PathBuf,
    /// What `udev` knows of the devices.
    pub udev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            root: "/".into(),
            udev: "/run/udev/data".into(),
        }
    }
}

/// Why a collector has not found everything. What it has found until then counts.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder cannot be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is longer than any that we would believe.
    #[error("{} is longer than {limit} bytes", path.display())]
    TooLong {
        /// What was to be read.
        path: PathBuf,
        /// The most that is believed.
        limit: usize,
    },
    /// A file is not what it should be.
    #[error("{} makes no sense at line {line}", path.display())]
    Parse {
        /// What was read.
        path: PathBuf,
        /// The first line that is wrong, from 1.
        line: usize,
    },
    /// It is a link, a pipe or anything else but a file, where only a file is read.
    #[error("{} is no file (links are not followed)", path.display())]
    NoFile {
        /// What was to be read.
        path: PathBuf,
    },
    /// All text files together have more than they may.
    #[error(
        "{} is left out, and what comes after it: all text files together may have {bytes} bytes \
         and {series} series",
        path.display()
    )]
    Surplus {
        /// The first for which there is no room.
        path: PathBuf,
        /// The most bytes of all.
        bytes: usize,
        /// The most series of all.
        series: usize,
    },
    /// A text file has what the page has from somebody else.
    #[error("{} has {name}, which others have too, or with another type or help", path.display())]
    Clash {
        /// The file.
        path: PathBuf,
        /// The family.
        name: String,
    },
    /// The kernel does not answer a question.
    #[error("cannot ask the kernel by {call}")]
    Ask {
        /// The name of the system call.
        call: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is nothing of that kind on this host, which is no failure.
    #[error("this host has no {what}")]
    Absent {
        /// What there is none of.
        what: &'static str,
    },
    /// It took longer than its limit; its thread waits on.
    #[error("no answer within {limit_ms} ms")]
    Late {
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// It has not answered the question of an earlier scrape, so it was not asked again.
    #[error("an earlier question is still not answered")]
    Outstanding,
    /// It has a bug, which was logged where it panicked.
    #[error("the collector has panicked")]
    Panicked,
    /// The time for all collectors was over before its turn came.
    #[error("other collectors took all the time")]
    Unasked,
    /// There is no thread to run it on.
    #[error("cannot start a thread")]
    Spawn {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl CollectError {
    /// Returns whether it says no more than that the host has nothing of the kind.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Turns the lack of a file, or of the right to read it, into the absence of what it is about.
    pub(crate) fn or_absent(self, what: &'static str) -> Self {
        let (Self::Read { source, .. } | Self::List { source, .. }) = &self else { return self };
        let reasons = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
        if reasons.contains(&source.kind()) { Self::Absent { what } } else { self }
    }

    pub(crate) fn is_missing(&self) -> bool {
        let (Self::Read { source, .. } | Self::List { source, .. }) = self else { return false };
        source.kind() == io::ErrorKind::NotFound
    }
}

/// Reads files, one at a time, into its own buffers.
///
/// What the kernel shows in proc and sysfs is opened once and read from its beginning each time:
/// to open and to close such a file costs more than to read it. The handle of a device that is gone
/// fails, and is let go.
#[derive(Debug, Default)]
pub struct Reader {
    path: PathBuf,
    bytes: Vec<u8>,
    /// A copy without what is not UTF-8, where there is such.
    mended: String,
    handles: HashMap<PathBuf, Handle>,
    round: u64,
}

#[derive(Debug)]
struct Handle {
    file: File,
    /// The round in which it was last of use.
    round: u64,
}

impl Reader {
    /// Reads a whole file of proc or sysfs.
    pub(crate) fn file(&mut self, folder: &Path, name: &str) -> Result<Text<'_>, CollectError> {
        self.point(folder, name);
        self.bytes.clear();
        let read = loop {
            let at = self.bytes.len();
            if at > LIMIT {
                break Ok(());
            }
            match self.read_more(at, STEP) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(failure) => break Err(failure),
            }
        };
        self.finished(read)
    }

    /// Reads a whole file that is no window into the kernel: somebody may put another one in its
    /// place.
    pub(crate) fn document(&mut self, folder: &Path, name: &str) -> Result<Text<'_>, CollectError> {
        self.point(folder, name);
        self.bytes.clear();
        let most = u64::try_from(LIMIT).unwrap_or(u64::MAX).saturating_add(1);
        let read =
            File::open(&self.path).and_then(|file| file.take(most).read_to_end(&mut self.bytes));
        self.finished(read.map(|_| ()))
    }

    /// Reads a whole file of at most so many bytes from a folder in which somebody else may put
    /// whatever they like; returns when it was changed, too. The agent may read what they may not,
    /// so no link is followed, and nobody may ever write into a pipe, so that is not waited for.
    pub(crate) fn strangers_file(
        &mut self,
        folder: &Path,
        name: &str,
        limit: usize,
    ) -> Result<(Text<'_>, Option<SystemTime>), CollectError> {
        self.point(folder, name);
        self.bytes.clear();
        // The standard library sets O_CLOEXEC.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(LINK) => CollectError::NoFile { path: self.path.clone() },
            _ => CollectError::Read { path: self.path.clone(), source },
        };
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.path);
        let file = opened.map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(CollectError::NoFile { path: self.path.clone() });
        }
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut self.bytes).map_err(failed)?;
        if self.bytes.len() > limit {
            return Err(CollectError::TooLong { path: self.path.clone(), limit });
        }
        let text = Text { path: &self.path, text: text(&self.bytes, &mut self.mended) };
        Ok((text, metadata.modified().ok()))
    }

    /// Reads the attribute `name` of a device, without the space around it. None for whatever
    /// reason it cannot be read: drivers show files that their device has nothing to say on.
    pub(crate) fn attribute(&mut self, folder: &Path, name: &str) -> Option<&str> {
        self.point(folder, name);
        self.bytes.clear();
        // The kernel gives an attribute, which is at most a page, in one piece.
        self.read_more(0, PAGE).ok()?;
        Some(text(&self.bytes, &mut self.mended).trim())
    }

    /// Reads a number that is alone in its file.
    pub(crate) fn number(&mut self, folder: &Path, name: &str) -> Option<f64> {
        self.attribute(folder, name).and_then(crate::text::number)
    }

    /// Ends a round: gives back what one long file has made it take, and lets go of what nobody
    /// has asked for.
    pub(crate) fn rest(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(RESTING);
        self.mended = String::new();
        let round = self.round;
        self.handles.retain(|_, handle| handle.round == round);
        self.round += 1;
    }

    /// Appends what the file has from `at` on, at most `room` bytes; returns how many.
    fn read_more(&mut self, at: usize, room: usize) -> io::Result<usize> {
        self.bytes.resize(at + room, 0);
        let read = self.read_at(at);
        self.bytes.truncate(at + read.as_ref().unwrap_or(&0));
        read
    }

    fn read_at(&mut self, at: usize) -> io::Result<usize> {
        let target = self.bytes.get_mut(at..).unwrap_or_default();
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        if let Some(handle) = self.handles.get_mut(&self.path) {
            handle.round = self.round;
            match handle.file.read_at(target, offset) {
                // The device is gone; another may have come in its place.
                Err(failure) if failure.raw_os_error() == Some(GONE) => {
                    self.handles.remove(&self.path);
                }
                read => return read,
            }
        }
        let file = File::open(&self.path)?;
        let read = file.read_at(target, offset);
        // What has nothing to say now may have later.
        if self.handles.len() < HANDLES {
            self.handles.insert(self.path.clone(), Handle { file, round: self.round });
        }
        read
    }

    fn finished(&mut self, read: io::Result<()>) -> Result<Text<'_>, CollectError> {
        if let Err(source) = read {
            return Err(CollectError::Read { path: self.path.clone(), source });
        }
        if self.bytes.len() > LIMIT {
            return Err(CollectError::TooLong { path: self.path.clone(), limit: LIMIT });
        }
        Ok(Text { path: &self.path, text: text(&self.bytes, &mut self.mended) })
    }

    fn point(&mut self, folder: &Path, name: &str) {
        self.path.clear();
        self.path.push(folder);
        self.path.push(name);
    }
}

/// What a file says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Text<'a> {
    pub(crate) fn as_str(self) -> &'a str {
        self.text
    }

    /// Returns what `parse` makes of it; it fails with the number of the first wrong line.
    pub(crate) fn parsed<T>(
        self,
        parse: impl FnOnce(&str) -> Result<T, usize>,
    ) -> Result<T, CollectError> {
        parse(self.text).map_err(|line| CollectError::Parse { path: self.path.to_owned(), line })
    }
}

/// Returns the names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, CollectError> {
    let failed = |source| CollectError::List { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        // What is not UTF-8 has not been named by the kernel.
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the sorted names that begin with `prefix` and go on with a digit: `cpu0`, not `cpuidle`.
pub(crate) fn numbered(folder: &Path, prefix: &str) -> Result<Vec<String>, CollectError> {
    let mut names = names(folder)?;
    names.retain(|name| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    Ok(names)
}

fn text<'a>(bytes: &'a [u8], mended: &'a mut String) -> &'a str {
    if let Ok(text) = str::from_utf8(bytes) {
        return text;
    }
    *mended = String::from_utf8_lossy(bytes).into_owned();
    mended
}

/// No file of the kernel has an attribute that is longer.
const PAGE: usize = 4096;
/// What a file says whose device is gone.
const GONE: i32 = Errno::ENODEV as i32;
/// What the system says of a link that is not to be followed.
const LINK: i32 = Errno::ELOOP as i32;
/// Most files fit.
const STEP: usize = 16 << 10;
/// The files of proc and those of some network devices and sensors; beyond, files are opened each
/// time. A process may have 1024 files open unless told otherwise.
const HANDLES: usize = 256;
/// What the buffer may keep between two scrapes.
const RESTING: usize = 64 << 10;
/// `/proc/net/udp` of a host with a hundred thousand sockets has 13 MB; beyond, we stop believing.
const LIMIT: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn what_is_not_there_is_told_from_what_cannot_be_read() {
        let tree = Tree::new(&[("proc/ok", "1 \n"), ("proc/bad", "a\n")]);
        let mut reader = Reader::default();
        let proc = &tree.roots().proc;
        assert_eq!(reader.attribute(proc, "ok"), Some("1"));
        assert_eq!(reader.attribute(proc, "gone"), None);
        let gone = reader.file(proc, "gone").unwrap_err();
        assert!(gone.is_missing());
        assert!(gone.or_absent("such file").is_absence());
        let nonsense = reader.file(proc, "bad").unwrap().parsed(|_| Err::<(), _>(3)).unwrap_err();
        assert!(nonsense.to_string().ends_with("proc/bad makes no sense at line 3"), "{nonsense}");
        assert!(!nonsense.or_absent("such file").is_absence());
    }

    #[test]
    fn what_is_not_utf8_is_mended() {
        let tree = Tree::new(&[]);
        tree.write("sys/model", b"Eaton \xff\n");
        let mut reader = Reader::default();
        assert_eq!(reader.attribute(&tree.roots().sys, "model"), Some("Eaton \u{fffd}"));
    }

    #[test]
    fn a_long_file_does_not_leave_a_large_buffer() {
        let tree = Tree::new(&[]);
        tree.write("proc/long", &vec![b'x'; 4 << 20]);
        let mut reader = Reader::default();
        assert_eq!(reader.file(&tree.roots().proc, "long").unwrap().as_str().len(), 4 << 20);
        reader.rest();
        assert!(reader.bytes.capacity() <= RESTING, "{}", reader.bytes.capacity());
    }
}
