//! The state directory on disk: the lock, the state file and its atomic replacement.
//!
//! ```text
//! lock                    held for as long as the agent lives; two agents are an error
//! state.json              the state; replaced as a whole
//! state.json.new          the next one, until it is renamed; a leftover of a crash means nothing
//! state.json.damaged-N    what could not be read, newest with the highest N
//! history.jsonl           see `history`
//! ```
//!
//! Everything here may block for as long as the disk likes: only the writer's thread calls it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tracing::debug;

use super::envelope::{self, Body};
use super::history::History;
use super::recorded::Recorded;
use super::{Damaged, StoreError};

/// Where the writer puts things: the disk, or a double of it in tests.
pub(super) trait Store: Send + 'static {
    /// Replaces the state; when it returns, the new one survives a power cut.
    fn replace(&mut self, body: &Body) -> Result<(), StoreError>;
    /// Appends whole lines to the history and makes them durable.
    fn append(&mut self, lines: &[Vec<u8>]) -> Result<(), StoreError>;
}

/// A state directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: Option<File>,
    /// What stands in `state.json` cannot be read and could not be set aside yet.
    must_set_aside: bool,
    history: History,
}

/// What was found in a state directory.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The last state.
    pub(super) body: Option<Body>,
    /// A state that could not be read.
    pub(super) damaged: Option<Damaged>,
    /// The files of the history.
    pub(super) recorded: Option<Recorded>,
    /// There is a history, so there was a state once.
    pub(super) has_history: bool,
    /// Another agent uses the directory; nothing of it was read.
    pub(super) is_locked: bool,
}

impl Directory {
    /// Takes the directory at `path`; nothing is touched before [`Directory::read`].
    pub(super) fn new(path: &Path) -> Self {
        let history = History::new(path);
        Self { path: path.to_owned(), lock: None, must_set_aside: false, history }
    }

    /// Locks the directory and reads what is there; all that goes wrong is part of the answer.
    pub(super) fn read(&mut self) -> Found {
        let mut found = Found::default();
        match self.prepare() {
            Ok(()) => {}
            Err(StoreError::Locked { .. }) => return Found { is_locked: true, ..found },
            // Reading may still work; the first write will report what is wrong.
            Err(failure) => debug!(%failure, "the state directory cannot be prepared"),
        }
        found.has_history = self.history.exists();
        found.recorded = Some(self.history.recorded());
        match read_bounded(&self.state()) {
            Ok(None) => {}
            Ok(Some(bytes)) => match envelope::decode(&bytes) {
                Ok(body) => found.body = Some(body),
                Err(why) => found.damaged = Some(self.damaged(&why.to_string())),
            },
            Err(source) => {
                found.damaged = Some(self.damaged(&format!("cannot be read ({source})")));
            }
        }
        found
    }

    /// Makes the directory and takes the lock, as far as not done yet.
    fn prepare(&mut self) -> Result<(), StoreError> {
        if self.lock.is_some() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|source| StoreError::Create { path: self.path.clone(), source })?;
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // On a disk that went read-only the lock file of an earlier run may still be there.
        let file = options
            .open(&path)
            .or_else(|source| File::open(&path).map_err(|_absent| source))
            .map_err(|source| StoreError::Lock { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: self.path.clone() });
            }
            Err(TryLockError::Error(source)) => return Err(StoreError::Lock { path, source }),
        }
        self.lock = Some(file);
        Ok(())
    }

    /// Sets the state file aside and says so.
    fn damaged(&mut self, why: &str) -> Damaged {
        self.must_set_aside = true;
        let state = self.state();
        match self.set_aside() {
            Ok(path) => {
                let sentence = format!(
                    "the state file {} {why}: it was set aside as {} and this host goes on as if \
                     it had no state",
                    state.display(),
                    path.display()
                );
                Damaged { path, sentence }
            }
            Err(failure) => {
                let sentence = format!(
                    "the state file {} {why}, and {failure}: it stays where it is and nothing is \
                     written until it can be moved away",
                    state.display(),
                );
                Damaged { path: state, sentence }
            }
        }
    }

    fn set_aside(&mut self) -> Result<PathBuf, StoreError> {
        let (state, error) = (self.state(), |source| StoreError::SetAside { source });
        let mut numbers = damaged_numbers(&self.path).map_err(error)?;
        let number = numbers.last().map_or(1, |last| last.saturating_add(1));
        let path = self.path.join(format!("{DAMAGED_PREFIX}{number}"));
        fs::rename(&state, &path).map_err(error)?;
        sync_directory(&self.path).map_err(error)?;
        self.must_set_aside = false;
        numbers.push(number);
        let surplus = numbers.len().saturating_sub(DAMAGED_KEPT);
        for old in numbers.iter().take(surplus) {
            let old = self.path.join(format!("{DAMAGED_PREFIX}{old}"));
            if let Err(source) = fs::remove_file(&old) {
                debug!(%source, path = %old.display(), "an old damaged state stays");
            }
        }
        Ok(path)
    }

    fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }
}

impl Store for Directory {
    fn replace(&mut self, body: &Body) -> Result<(), StoreError> {
        self.prepare()?;
        if self.must_set_aside {
            self.set_aside()?;
        }
        let (state, fresh) = (self.state(), self.path.join("state.json.new"));
        let bytes = envelope::encode(body).map_err(|source| StoreError::Encode { source })?;
        let error = |source| StoreError::Write { path: state.clone(), source };
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(error)?;
        file.write_all(&bytes).map_err(error)?;
        file.sync_all().map_err(error)?;
        fs::rename(&fresh, &state).map_err(error)?;
        sync_directory(&self.path).map_err(error)
    }

    fn append(&mut self, lines: &[Vec<u8>]) -> Result<(), StoreError> {
        self.prepare()?;
        self.history.append(lines)
    }
}

/// Reads a file that may be absent; one that is far too long is foreign and is cut.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    // A FIFO in the place of the file must not block the start.
    options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(source),
    };
    let mut bytes = Vec::new();
    file.take(STATE_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Returns the numbers of the files that were set aside, ascending.
pub(super) fn damaged_numbers(path: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(DAMAGED_PREFIX));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

const DAMAGED_PREFIX: &str = "state.json.damaged-";
/// Enough to see a pattern; a disk that damages more of them needs replacing, not more files.
const DAMAGED_KEPT: usize = 5;
/// A state of a hundred hosts is some 100 KiB.
const STATE_MAX: u64 = 4 << 20;
