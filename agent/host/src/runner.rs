//! Runs the collectors on a thread of their own, each within its limit of time.
//!
//! ```text
//! collect() ── round ──▶ worker: arp, conntrack, … hwmon ── outcomes ──▶ collect()
//!                            │ one hangs in the kernel
//!                            ▼
//!                        is left behind, answers into nothing, ends
//!                        a new worker goes on with the next collector
//! ```
//!
//! One thread asks one collector after the other, which costs less than any way of asking them at
//! once: a round takes a millisecond or two. A collector over its limit is given up for this round,
//! and not asked again before it has answered: so there is at most one thread for each collector
//! that hangs, and a hung one costs its limit once. One that panics has failed, and is asked again
//! in the next round. Nothing runs while nobody collects.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::collector::{Collector, Context, Selection, Settings};
use crate::read::{CollectError, Reader, Roots};
use crate::sample::{Family, Samples};
use crate::text::one_if;

/// All that one round has found.
#[derive(Debug, Default)]
pub struct Collected {
    /// Of each collector, in the order of their answers.
    pub outcomes: Vec<Outcome>,
    /// Of each collector how long it took and whether it has answered.
    about: Samples,
}

impl Collected {
    /// Returns what was found by whoever asked these.
    pub fn new(outcomes: Vec<Outcome>) -> Self {
        let mut about = Samples::default();
        for outcome in &outcomes {
            about.set(&DURATION, &[outcome.collector], outcome.took.as_secs_f64());
            about.set(&SUCCESS, &[outcome.collector], one_if(outcome.result.is_ok()));
        }
        Self { outcomes, about }
    }

    /// Returns what is said of collectors that nobody has an answer of in time.
    pub fn silent(collectors: impl IntoIterator<Item = &'static str>) -> Self {
        let mut about = Samples::default();
        for collector in collectors {
            about.set(&SUCCESS, &[collector], 0.0);
        }
        Self { outcomes: Vec::new(), about }
    }

    /// Returns all that was found, for [`render`](crate::render()).
    pub fn samples(&self) -> impl Iterator<Item = &Samples> {
        std::iter::once(&self.about).chain(self.outcomes.iter().map(|outcome| &outcome.samples))
    }
}

/// What came of asking one collector.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub collector: &'static str,
    /// How long it took, or was waited for.
    pub took: Duration,
    /// Whether it found everything.
    pub result: Result<(), CollectError>,
    /// What it found; with a failure, until then.
    pub samples: Samples,
    /// What is wrong with what others have written for it, of which the page itself says no more
    /// than that there is something.
    pub flaw: Option<CollectError>,
}

impl Outcome {
    /// Returns that of a collector that has found nothing.
    fn failed(collector: &Collector, took: Duration, failure: CollectError) -> Self {
        let (collector, result) = (collector.name, Err(failure));
        Self { collector, took, result, samples: Samples::default(), flaw: None }
    }
}

/// Collects the metrics of this host.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    /// Held during a round: there is one at a time.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    roots: Roots,
    settings: Settings,
    collectors: Vec<Collector>,
    state: Mutex<State>,
    /// There is something to ask, or the host is gone.
    work: Condvar,
    /// The round is over, or has a new collector running.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The next collector to be asked; at the end there is nothing to do.
    next: usize,
    running: Option<Running>,
    /// Collectors that have not answered an earlier question.
    outstanding: Vec<usize>,
    outcomes: Vec<Outcome>,
    /// The worker that counts; all others end.
    worker: Option<u64>,
    workers: u64,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    index: usize,
    since: Instant,
}

impl Host {
    /// Returns one that collects from these roots. It starts no thread before it is asked to.
    pub fn new(roots: Roots, settings: Settings, selection: &Selection) -> Self {
        Self::with(roots, settings, selection.collectors())
    }

    fn with(roots: Roots, settings: Settings, collectors: Vec<Collector>) -> Self {
        let state = State { next: collectors.len(), ..State::default() };
        let shared = Shared {
            roots,
            settings,
            collectors,
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
        };
        Self { shared: Arc::new(shared), turn: Mutex::new(()) }
    }

    /// Asks all collectors. Blocks its thread for some milliseconds, at most for [`LIMIT`] and as
    /// long as a round that runs already.
    pub fn collect(&self) -> Collected {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &self.shared;
        let started = now();
        let mut state = shared.lock();
        state.next = 0;
        state.outcomes = Vec::with_capacity(shared.collectors.len());
        loop {
            if state.worker.is_none()
                && state.next < shared.collectors.len()
                && let Err(failure) = shared.start(&mut state)
            {
                shared.give_up(&mut state, || CollectError::Spawn { source: copy(&failure) });
            }
            if state.next >= shared.collectors.len() && state.running.is_none() {
                break;
            }
            shared.work.notify_one();
            let now = now();
            let left = LIMIT.saturating_sub(now.saturating_duration_since(started));
            if left.is_zero() {
                shared.leave_behind(&mut state, now);
                shared.give_up(&mut state, || CollectError::Unasked);
                break;
            }
            let wait = match state.running {
                Some(running) => shared.left(running, now).min(left),
                None => left.min(GLANCE),
            };
            if wait.is_zero() {
                shared.leave_behind(&mut state, now);
                continue;
            }
            let waited = shared.progress.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Collected::new(std::mem::take(&mut state.outcomes))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in a critical section can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, running: Running, now: Instant) -> Duration {
        let limit = self.collectors.get(running.index).map_or(Duration::ZERO, |it| it.limit);
        limit.saturating_sub(now.saturating_duration_since(running.since))
    }

    fn start(self: &Arc<Self>, state: &mut State) -> Result<(), std::io::Error> {
        let worker = state.workers;
        let shared = Arc::clone(self);
        let builder = thread::Builder::new().name("host-metrics".to_owned()).stack_size(STACK);
        builder.spawn(move || shared.work(worker))?;
        state.worker = Some(worker);
        state.workers += 1;
        Ok(())
    }

    /// Gives the running collector up, and its worker with it.
    fn leave_behind(&self, state: &mut State, now: Instant) {
        let Some(running) = state.running.take() else { return };
        state.worker = None;
        state.outstanding.push(running.index);
        let Some(collector) = self.collectors.get(running.index) else { return };
        let took = now.saturating_duration_since(running.since);
        let late = CollectError::Late { limit_ms: took.as_millis() };
        state.outcomes.push(Outcome::failed(collector, took, late));
    }

    /// Ends the round without asking the rest.
    fn give_up(&self, state: &mut State, reason: impl Fn() -> CollectError) {
        for collector in self.collectors.iter().skip(state.next) {
            state.outcomes.push(Outcome::failed(collector, Duration::ZERO, reason()));
        }
        state.next = self.collectors.len();
    }

    /// What a worker does until it is left behind or the host is gone.
    fn work(&self, worker: u64) {
        let mut reader = Reader::default();
        let mut has_asked = false;
        let mut state = self.lock();
        loop {
            if state.is_closed || state.worker != Some(worker) {
                return;
            }
            let Some(index) = self.take_next(&mut state) else {
                self.progress.notify_all();
                // It may be woken for nothing.
                if std::mem::take(&mut has_asked) {
                    reader.rest();
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            has_asked = true;
            let outcome = self.ask(index, &mut reader);
            state = self.lock();
            if state.worker == Some(worker) {
                state.running = None;
                state.outcomes.extend(outcome);
            } else {
                state.outstanding.retain(|hung| *hung != index);
            }
        }
    }

    /// Takes the next collector that can be asked.
    fn take_next(&self, state: &mut State) -> Option<usize> {
        while let Some(collector) = self.collectors.get(state.next) {
            let index = state.next;
            state.next += 1;
            if state.outstanding.contains(&index) {
                let outstanding = CollectError::Outstanding;
                state.outcomes.push(Outcome::failed(collector, Duration::ZERO, outstanding));
                continue;
            }
            // Whoever waits learns of it when the time of the one before is over, which is early
            // enough: limits differ by less than they are long.
            state.running = Some(Running { index, since: now() });
            return Some(index);
        }
        None
    }

    fn ask(&self, index: usize, reader: &mut Reader) -> Option<Outcome> {
        let collector = self.collectors.get(index)?;
        let (mut samples, mut flaw) = (Samples::default(), None);
        let since = now();
        let collect = || {
            (collector.collect)(&mut Context {
                roots: &self.roots,
                settings: &self.settings,
                reader: &mut *reader,
                samples: &mut samples,
                flaw: &mut flaw,
            })
        };
        // The worker lives on, and so takes back that it has an answer outstanding.
        let caught = catch_unwind(AssertUnwindSafe(collect));
        let took = now().saturating_duration_since(since);
        let Ok(result) = caught else {
            // What it has left half done is not looked at.
            *reader = Reader::default();
            return Some(Outcome::failed(collector, took, CollectError::Panicked));
        };
        Some(Outcome { collector: collector.name, took, result, samples, flaw })
    }
}

/// Each collector that is not asked has the same reason.
fn copy(failure: &std::io::Error) -> std::io::Error {
    failure.raw_os_error().map_or_else(|| failure.kind().into(), std::io::Error::from_raw_os_error)
}

#[expect(clippy::disallowed_methods, reason = "what hangs does so in real time; no runtime here")]
fn now() -> Instant {
    Instant::now()
}

const DURATION: Family = Family::gauge(
    "node_scrape_collector_duration_seconds",
    &["collector"],
    "How long the collector took.",
);
const SUCCESS: Family = Family::gauge(
    "node_scrape_collector_success",
    &["collector"],
    "1 if the collector found all that it looks for, 0 if it failed, hangs or has nothing here.",
);
/// For a whole round: a page must not take longer than a second, whatever hangs, and those who
/// wait for this round have one of their own after it.
pub const LIMIT: Duration = Duration::from_millis(600);
/// Until the next look at what is running, if nothing was.
const GLANCE: Duration = Duration::from_millis(50);
/// Collectors keep what is long on the heap.
const STACK: usize = 256 << 10;

#[cfg(test)]
mod tests;
