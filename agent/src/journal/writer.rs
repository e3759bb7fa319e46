//! The writer: a thread of its own, because a disk that hangs takes its caller with it.
//!
//! The state goes before the history. What failed is tried again every [`RETRY_EVERY`].

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use curfew_coordinator::Note;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use super::directory::{Directory, Found, Store};
use super::envelope::Body;
use super::{Entry, Report, StoreError, WriteError, chain};

/// The callers' end of the writer; dropping it ends the thread when all is written.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    reports: watch::Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

/// How far the writer is with the states; they are numbered from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The latest that is durable.
    durable: u64,
    /// The latest that failed, and how.
    failed: Option<(u64, Arc<StoreError>)>,
    /// The latest for which nobody waits any more.
    timed_out: u64,
}

impl Progress {
    /// Returns whether it is known what became of `sequence`, or of a later one in its place.
    pub(super) fn is_done(&self, sequence: u64) -> bool {
        self.concluded() >= sequence
    }

    /// Returns what became of `sequence`, once it is done.
    pub(super) fn outcome(&self, sequence: u64) -> Result<(), WriteError> {
        match &self.failed {
            Some((_, source)) if self.durable < sequence => {
                Err(WriteError::Store { source: Arc::clone(source) })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a write that timed out is still under way.
    pub(super) fn is_hanging(&self) -> bool {
        self.timed_out > self.concluded()
    }

    fn concluded(&self) -> u64 {
        self.failed.as_ref().map_or(0, |(sequence, _)| *sequence).max(self.durable)
    }
}

impl Writer {
    /// Starts the thread; it reads the directory first and sends what it has found.
    pub(super) fn spawn_on_directory(
        mut directory: Directory,
    ) -> io::Result<(Self, oneshot::Receiver<Found>)> {
        let (found, answer) = oneshot::channel();
        let writer = Self::spawn(move || {
            if found.send(directory.read()).is_err() {
                warn!("the state directory answered when nobody waited for it any more");
            }
            directory
        })?;
        Ok((writer, answer))
    }

    /// Starts the thread on what `open` returns.
    pub(super) fn spawn<S: Store>(open: impl FnOnce() -> S + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (progress, reports) = (shared.progress.subscribe(), shared.reports.subscribe());
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || Run::new(for_thread, open()).run())?;
        Ok(Self { shared, progress, reports, thread: Some(thread) })
    }

    /// Puts a state in the place of the one that waits, and returns its number.
    pub(super) fn put(&self, body: Body) -> u64 {
        let mut queue = self.shared.queue();
        queue.last += 1;
        let sequence = queue.last;
        queue.body = Some((sequence, Box::new(body)));
        self.shared.wake.notify_one();
        sequence
    }

    /// Adds a line to the history; drops it, and counts that, if too many wait.
    pub(super) fn append(&self, entry: Entry) {
        let mut queue = self.shared.queue();
        if queue.entries.len() < ENTRIES_MAX {
            queue.entries.push_back(entry);
            self.shared.wake.notify_one();
            return;
        }
        queue.dropped = Some((entry, queue.dropped.take().map_or(1, |(_, count)| count + 1)));
        self.shared.reports.send_modify(|report| report.events_lost += 1);
    }

    /// Notes that nobody waits for `sequence` any more.
    pub(super) fn timed_out(&self, sequence: u64, sentence: &str) {
        // The report changes under the same lock: the write may come to its end at this moment.
        self.shared.progress.send_if_modified(|progress| {
            if progress.is_done(sequence) {
                return false;
            }
            progress.timed_out = progress.timed_out.max(sequence);
            self.shared.failed(sentence.to_owned());
            true
        });
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    pub(super) fn reports(&self) -> watch::Receiver<Report> {
        self.reports.clone()
    }

    /// Waits until all is written and the thread has ended, for `limit` at most.
    pub(super) async fn close(mut self, limit: Duration) {
        self.shared.close();
        let mut ended = self.shared.ended.subscribe();
        if timeout(limit, ended.wait_for(|ended| *ended)).await.is_err() {
            warn!("the disk still hangs: the agent ends without its last records");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the journal's writer panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
    reports: watch::Sender<Report>,
    ended: watch::Sender<bool>,
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Queue {
    /// The number of the last state put.
    last: u64,
    body: Option<(u64, Box<Body>)>,
    entries: VecDeque<Entry>,
    /// The last entry that found no place, and how many did not.
    dropped: Option<(Entry, u64)>,
    is_closing: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code under the lock can leave it half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.queue().is_closing = true;
        self.wake.notify_one();
    }

    /// Reports a failed write of the state; logs it when it is news.
    fn failed(&self, sentence: String) {
        self.reports.send_modify(|report| {
            report.write_failures += 1;
            if report.failure.is_none() {
                error!(failure = sentence, "the state is not durable, going on from memory");
            }
            report.failure = Some(sentence);
        });
    }

    fn recovered(&self) {
        self.reports.send_if_modified(|report| {
            let is_news = report.failure.take().is_some();
            if is_news {
                info!("the state is durable again");
            }
            is_news
        });
    }

    fn history_failed(&self, failure: &StoreError) {
        let sentence = chain(failure);
        self.reports.send_if_modified(|report| {
            let is_news = report.history_failure.as_ref() != Some(&sentence);
            if is_news {
                warn!(failure = sentence, "the history cannot be written");
                report.history_failure = Some(sentence);
            }
            is_news
        });
    }

    fn history_recovered(&self) {
        self.reports.send_if_modified(|report| report.history_failure.take().is_some());
    }
}

/// What the thread does next.
enum Job {
    Save(u64, Box<Body>),
    Append(Vec<Entry>),
    End,
}

/// The thread's end.
struct Run<S> {
    shared: Arc<Shared>,
    store: S,
    /// The state that failed, and when it is tried again.
    unsaved: Option<(Instant, u64, Box<Body>)>,
    /// The entries that failed, and when they are tried again.
    unwritten: Option<(Instant, Vec<Entry>)>,
}

impl<S: Store> Run<S> {
    fn new(shared: Arc<Shared>, store: S) -> Self {
        Self { shared, store, unsaved: None, unwritten: None }
    }

    fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        loop {
            match self.next() {
                Job::Save(sequence, body) => self.save(sequence, body),
                Job::Append(entries) => self.append(entries),
                Job::End => return,
            }
        }
    }

    /// Waits for something to do: a new state, an old one, new entries, old ones, in this order.
    fn next(&mut self) -> Job {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        loop {
            if let Some((sequence, body)) = queue.body.take() {
                self.unsaved = None;
                return Job::Save(sequence, body);
            }
            let now = Instant::now();
            if let Some((_, sequence, body)) = self.unsaved.take_if(|(at, ..)| *at <= now) {
                return Job::Save(sequence, body);
            }
            if let Some((_, entries)) = self.unwritten.take_if(|(at, _)| *at <= now) {
                return Job::Append(entries);
            }
            if self.unwritten.is_none() && !queue.entries.is_empty() {
                return Job::Append(take_entries(&mut queue));
            }
            if queue.is_closing {
                return Job::End;
            }
            let state_at = self.unsaved.as_ref().map(|(at, ..)| *at);
            let history_at = self.unwritten.as_ref().map(|(at, _)| *at);
            queue = match state_at.into_iter().chain(history_at).min() {
                None => shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let wait = at.saturating_duration_since(now);
                    let woken = shared.wake.wait_timeout(queue, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn save(&mut self, sequence: u64, body: Box<Body>) {
        let outcome = self.store.replace(&body);
        match outcome {
            Ok(()) => {
                let is_latest = self.shared.queue().last == sequence;
                self.shared.progress.send_modify(|progress| {
                    progress.durable = sequence;
                    if is_latest {
                        self.shared.recovered();
                    }
                });
            }
            Err(failure) => {
                let source = Arc::new(failure);
                let sentence = WriteError::Store { source: Arc::clone(&source) }.sentence();
                self.shared.failed(sentence);
                self.unsaved = Some((Instant::now() + RETRY_EVERY, sequence, body));
                let failed = Some((sequence, source));
                self.shared.progress.send_modify(|progress| progress.failed = failed);
            }
        }
    }

    fn append(&mut self, entries: Vec<Entry>) {
        let lines: Result<Vec<_>, _> = entries.iter().map(serde_json::to_vec).collect();
        let outcome = lines
            .map_err(|source| StoreError::Encode { source })
            .and_then(|lines| self.store.append(&lines));
        match outcome {
            Ok(()) => self.shared.history_recovered(),
            Err(failure) => {
                self.shared.history_failed(&failure);
                self.unwritten = Some((Instant::now() + RETRY_EVERY, entries));
            }
        }
    }
}

/// Takes what waits for the history, and a line about what found no place.
fn take_entries(queue: &mut Queue) -> Vec<Entry> {
    let mut entries: Vec<_> = queue.entries.drain(..).collect();
    if let Some((last, count)) = queue.dropped.take() {
        let text = format!("the disk was too slow: {count} events before this one are missing");
        entries.push(Entry { note: Note::Warned { text }.into(), seen: None, ..last });
    }
    entries
}

/// Says that the thread has ended when it is dropped, in a panic too.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed("the journal's writer panicked: restart curfew".to_owned());
        }
        self.0.ended.send_replace(true);
    }
}

/// Hundreds of events are a whole outage; a disk that is behind by more has failed.
const ENTRIES_MAX: usize = 256;
/// Soon enough after a disk is back, seldom enough not to fill the log.
const RETRY_EVERY: Duration = Duration::from_secs(5);
