//! The journal: what must survive a restart, and the history of what happened.
//!
//! Decisions are durable before anyone sees them. A disk that fails must not stop a shutdown,
//! though: a write has [`WRITE_LIMIT`], then its caller goes on from memory, and everybody is told.
//! That is why nothing here is fatal but a second agent on the same directory.
//!
//! ```text
//!             write(saved) ≤ 1 s      ┌──────────────────────┐  state.json (replaced)
//! event loop ────────────────────────▶│ journal-writer       │─────────────────────────▶ disk
//!             append(entry), no wait  │ (a thread: it hangs  │  history.jsonl (appended)
//!            ────────────────────────▶│  when the disk does) │─────────────────────────▶ disk
//!                                     └──────────┬───────────┘
//!                      reports(): watch ◀────────┘
//! ```
//!
//! At most one write is under way and one waits, the latest. What could not be written is tried
//! again until it is, or until something newer takes its place.

mod directory;
mod entry;
mod envelope;
mod history;
mod recorded;
#[cfg(test)]
mod tests;
mod writer;

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::Saved;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::debug;

use self::directory::{Directory, Found};
pub use self::entry::{AgentNote, Entry, Head, Noted, Seen, SeenShutdown, Supply};
use self::envelope::Body;
pub use self::recorded::{Line, Recorded, parse};
use self::writer::{Progress, Writer};
use crate::clock;

/// Why a journal cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another agent holds the lock.
    #[error(
        "another agent uses the state directory {}: stop it, or give this one its own",
        path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The writer's thread could not be started.
    #[error("cannot start the thread of the journal")]
    Spawn {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why something is not on disk. The state before it is untouched.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory is not there and cannot be made.
    #[error("cannot create the state directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The lock cannot be taken, for another reason than another agent.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another agent took the directory while the disk kept this one waiting.
    #[error("another agent uses the state directory {}", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A damaged state cannot be set aside, and must not be overwritten.
    #[error("cannot set the damaged state aside")]
    SetAside {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The state cannot be put into its file's form: a bug.
    #[error("cannot encode the state")]
    Encode {
        /// What the encoder said.
        #[source]
        source: serde_json::Error,
    },
    /// The state cannot be written.
    #[error("cannot replace {}", path.display())]
    Write {
        /// The state file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The history cannot be written.
    #[error("cannot append to {}", path.display())]
    Append {
        /// The history file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why a write is not known to be durable; the writer goes on trying.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk has not answered in time.
    #[error("the disk of {} did not answer within {} s", path.display(), WRITE_LIMIT.as_secs())]
    TimedOut {
        /// The state directory.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("the state is not durable")]
    Store {
        /// What it was.
        #[source]
        source: Arc<StoreError>,
    },
}

impl WriteError {
    /// Returns one line with all causes, for the coordinator's `JournalFailed`.
    pub fn sentence(&self) -> String {
        chain(self)
    }
}

/// What was found when the journal was opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// The last state.
    pub saved: Option<Saved>,
    /// The number of this start: higher than that of every start before.
    pub start: u64,
    /// A state that cannot be used.
    pub damaged: Option<Damaged>,
    /// There was a state, or may have been one, and it is not to be had.
    pub is_lost: bool,
    /// Why nothing can be made durable at present; the agent goes on from memory.
    pub failure: Option<String>,
}

/// A state file that was set aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damaged {
    /// Where it is now.
    pub path: PathBuf,
    /// What is wrong with it, for a person.
    pub sentence: String,
}

/// The history of this host, for one who tells of the past.
#[derive(Debug)]
pub struct Feed {
    /// What it held at the start; none if the disk did not answer in time.
    pub recorded: Option<Recorded>,
    /// What was appended since.
    pub entries: mpsc::Receiver<Entry>,
}

/// How the journal fares.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Why the latest state is not durable, if it is not.
    pub failure: Option<String>,
    /// Why the history cannot be written, if so.
    pub history_failure: Option<String>,
    /// Failed and timed out writes of the state since the agent started.
    pub write_failures: u64,
    /// Events that are missing in the history since the agent started.
    pub events_lost: u64,
}

/// The way to the journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    start: u64,
    writer: Writer,
    recorded: Option<Recorded>,
    listener: Option<mpsc::Sender<Entry>>,
}

impl Journal {
    /// Opens the journal in the directory at `path`, which is made if it is absent.
    ///
    /// Returns within [`OPEN_LIMIT`] and [`WRITE_LIMIT`], whatever the disk does.
    pub async fn open(path: &Path) -> Result<(Self, Opened), JournalError> {
        let (writer, found) = Writer::spawn_on_directory(Directory::new(path))
            .map_err(|source| JournalError::Spawn { source })?;
        Self::open_with(path, writer, found).await
    }

    async fn open_with(
        path: &Path,
        writer: Writer,
        found: oneshot::Receiver<Found>,
    ) -> Result<(Self, Opened), JournalError> {
        let found = timeout(OPEN_LIMIT, found).await.ok().and_then(Result::ok);
        let has_answered = found.is_some();
        let Found { body, damaged, recorded, has_history, is_locked } = found.unwrap_or_default();
        if is_locked {
            return Err(JournalError::Locked { path: path.to_owned() });
        }
        let is_lost = !has_answered || damaged.is_some() || (body.is_none() && has_history);
        let start = next_start(body.as_ref().map(|body| body.start));
        let saved = body.and_then(|body| body.saved);
        let recorded = recorded.filter(|_| has_answered);
        let journal = Self { path: path.to_owned(), start, writer, recorded, listener: None };
        let failure = journal.put(saved.clone()).await.err().map(|failure| failure.sentence());
        Ok((journal, Opened { saved, start, damaged, is_lost, failure }))
    }

    /// Makes `saved` durable, in place of everything before.
    ///
    /// Returns within [`WRITE_LIMIT`], and at once while an earlier write still hangs; the writer
    /// goes on in either case, as it does when this future is dropped.
    pub async fn write(&self, saved: Saved) -> Result<(), WriteError> {
        self.put(Some(saved)).await
    }

    /// Records what happened, in the background: nobody waits for the history.
    pub fn append(&self, entry: Entry) {
        if let Some(listener) = &self.listener
            && listener.try_send(entry.clone()).is_err()
        {
            // It stands in the file, for the next start.
            debug!("nobody tells of what happens any more");
        }
        self.writer.append(entry);
    }

    /// Returns the history so far and, as it happens, what comes. To be asked once.
    pub fn follow(&mut self) -> Feed {
        let (listener, entries) = mpsc::channel(FEED_LEN);
        self.listener = Some(listener);
        Feed { recorded: self.recorded.take(), entries }
    }

    /// Returns how the journal fares, now and later.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.writer.reports()
    }

    /// Ends the writer when all is written, or goes without it after [`WRITE_LIMIT`].
    pub async fn close(self) {
        self.writer.close(WRITE_LIMIT).await;
    }

    async fn put(&self, saved: Option<Saved>) -> Result<(), WriteError> {
        let timed_out = WriteError::TimedOut { path: self.path.clone() };
        let mut progress = self.writer.progress();
        let sequence = self.writer.put(Body { start: self.start, saved });
        if progress.borrow().is_hanging() {
            return Err(timed_out);
        }
        let is_done = |progress: &Progress| progress.is_done(sequence);
        let done = timeout(WRITE_LIMIT, progress.wait_for(is_done)).await.ok();
        let done =
            done.and_then(Result::ok).map_or(Err(timed_out), |progress| progress.outcome(sequence));
        if let Err(failure @ WriteError::TimedOut { .. }) = &done {
            self.writer.timed_out(sequence, &failure.sentence());
        }
        done
    }
}

/// Returns a number above that of every earlier start, also when the journal could not be written
/// or was lost since: peers of the same boot take the higher one for the newer run.
fn next_start(last: Option<u64>) -> u64 {
    let date = u64::try_from(clock::wall_seconds()).unwrap_or(0);
    last.map_or(1, |last| last.saturating_add(1)).max(date)
}

/// Returns the error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").expect("writing to a string cannot fail");
        cause = error.source();
    }
    text
}

/// How long a write may take before its caller goes on from memory (design, "Latched").
pub const WRITE_LIMIT: Duration = Duration::from_secs(1);
/// How long the start waits for the disk: a hard disk that spins up takes up to 8 s.
pub const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// Several outages, in which nobody reads because the disk hangs.
const FEED_LEN: usize = 1024;
