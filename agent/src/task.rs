//! The supervisor of the agent's tasks: named, cancelled by token, restarted or reported, joined.
//!
//! Two kinds: an *essential* task ends the agent when it ends, whatever the reason; a *driver* is
//! restarted in place after a backoff, and a panic in it touches nobody else. Nothing outlives the
//! supervisor: `stop` joins all within a deadline, and dropping it aborts them.
//!
//! ```text
//!            ┌────────────── backoff ◄─────────┐
//!            ▼                                 │ failed, panicked or just ended
//! driver: running ────────────────────────────►┤
//!            └── cancelled ─► ended            (an essential task: Ended to the app)
//! ```

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

/// Names a task, its span and its label: a kebab-case constant such as `nut-monitor`.
pub type TaskName = &'static str;

/// How a task came to its end.
#[derive(Debug)]
pub enum Ending {
    /// It returned without an error.
    Finished,
    /// It returned an error.
    Failed(Box<dyn Error + Send + Sync>),
    /// It panicked, with this message: a bug.
    Panicked(String),
    /// It was aborted.
    Aborted,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("it just ended"),
            Self::Failed(failure) => write!(f, "{}", Chain(failure.as_ref())),
            Self::Panicked(message) => write!(f, "it panicked, which is a bug: {message}"),
            Self::Aborted => f.write_str("it was aborted"),
        }
    }
}

/// An essential task that has ended: the agent must end too.
#[derive(Debug)]
pub struct Ended {
    /// The task.
    pub task: TaskName,
    /// How.
    pub how: Ending,
}

/// How often each driver has been restarted since the agent started, and why.
pub type Restarts = BTreeMap<TaskName, Restarted>;

/// The restarts of one driver.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Restarted {
    /// How many.
    pub count: u64,
    /// How it came to its last end, with all causes.
    pub why: String,
}

/// Owns every task of the agent.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<Ending>,
    names: HashMap<Id, TaskName>,
    cancel: CancellationToken,
    restarts: watch::Sender<Restarts>,
}

impl Supervisor {
    /// Returns a supervisor without tasks; cancelling `cancel` asks all of them to end.
    pub fn new(cancel: CancellationToken) -> Self {
        let restarts = watch::Sender::new(Restarts::new());
        Self { tasks: JoinSet::new(), names: HashMap::new(), cancel, restarts }
    }

    /// Returns the token that the tasks are given.
    pub fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Returns the restarts of the drivers, for metrics and health.
    pub fn restarts(&self) -> watch::Receiver<Restarts> {
        self.restarts.subscribe()
    }

    /// Runs a task whose end is the agent's end; `run` is given a token to end by.
    pub fn essential<Run, Task, Failure>(&mut self, name: TaskName, run: Run)
    where
        Run: FnOnce(CancellationToken) -> Task,
        Task: Future<Output = Result<(), Failure>> + Send + 'static,
        Failure: Error + Send + Sync + 'static,
    {
        let task = run(self.cancel.child_token());
        self.spawn(name, async move {
            task.await.map_or_else(|failure| Ending::Failed(failure.into()), |()| Ending::Finished)
        });
    }

    /// Runs a driver, and runs it anew whenever it ends before it was cancelled. `run` itself only
    /// makes the future and must not panic: that would count as the end of the driver for good.
    pub fn driver<Run, Task, Failure>(&mut self, name: TaskName, mut run: Run)
    where
        Run: FnMut(CancellationToken) -> Task + Send + 'static,
        Task: Future<Output = Result<(), Failure>> + Send + 'static,
        Failure: Error + Send + Sync + 'static,
    {
        let cancel = self.cancel.clone();
        let restarts = self.restarts.clone();
        self.spawn(name, async move {
            let mut backoff = BACKOFF_FIRST;
            loop {
                let started = Instant::now();
                // A set of one: its task panics alone, and is aborted if this one is dropped.
                let mut life = JoinSet::new();
                life.spawn(run(cancel.child_token()).in_current_span());
                let ending = life.join_next().await.map_or(Ending::Aborted, driver_ending);
                if cancel.is_cancelled() {
                    return ending;
                }
                if started.elapsed() >= BACKOFF_FORGET {
                    backoff = BACKOFF_FIRST;
                }
                log_restart(name, &ending, backoff);
                restarts.send_modify(|all| {
                    let restarted = all.entry(name).or_default();
                    restarted.count += 1;
                    restarted.why = ending.to_string();
                });
                if cancel.run_until_cancelled(sleep(backoff)).await.is_none() {
                    return Ending::Finished;
                }
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        });
    }

    /// Waits until an essential task ends, or after the cancellation any task; never returns while
    /// there is none. Cancel safe.
    pub async fn ended(&mut self) -> Ended {
        match self.tasks.join_next_with_id().await {
            Some(joined) => self.name(joined),
            None => std::future::pending().await,
        }
    }

    /// Cancels all tasks, joins them until the deadline, and aborts the rest; returns the names of
    /// those that did not end by themselves.
    pub async fn stop(mut self, limit: Duration) -> Vec<TaskName> {
        let deadline = Instant::now() + limit;
        self.cancel.cancel();
        while let Ok(Some(joined)) = timeout_at(deadline, self.tasks.join_next_with_id()).await {
            let ended = self.name(joined);
            log_stop(&ended);
        }
        let mut late: Vec<_> = self.names.values().copied().collect();
        late.sort_unstable();
        for task in &late {
            warn!(task, ?limit, "task did not end in time and is aborted");
        }
        // One that hangs in a call which never yields cannot even be aborted.
        if timeout(ABORT_GRACE, self.tasks.shutdown()).await.is_err() {
            error!(?late, "aborted tasks hang and are left to the end of the process");
        }
        late
    }

    fn spawn(&mut self, name: TaskName, task: impl Future<Output = Ending> + Send + 'static) {
        let handle = self.tasks.spawn(task.instrument(info_span!("task", task = name)));
        self.names.insert(handle.id(), name);
    }

    fn name(&mut self, joined: Result<(Id, Ending), JoinError>) -> Ended {
        let (id, how) = match joined {
            Ok(ended) => ended,
            Err(lost) => (lost.id(), lost_ending(lost)),
        };
        let task = self.names.remove(&id).expect("every task is named when it is spawned");
        Ended { task, how }
    }
}

fn driver_ending<Failure>(joined: Result<Result<(), Failure>, JoinError>) -> Ending
where
    Failure: Error + Send + Sync + 'static,
{
    match joined {
        Ok(Ok(())) => Ending::Finished,
        Ok(Err(failure)) => Ending::Failed(failure.into()),
        Err(lost) => lost_ending(lost),
    }
}

fn lost_ending(lost: JoinError) -> Ending {
    match lost.try_into_panic() {
        Ok(payload) => Ending::Panicked(panic_message(payload.as_ref())),
        Err(_aborted) => Ending::Aborted,
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

fn log_restart(task: TaskName, ending: &Ending, backoff: Duration) {
    match ending {
        Ending::Finished | Ending::Aborted => {
            warn!(task, ?backoff, "driver ended and is restarted");
        }
        Ending::Failed(failure) => {
            let failure: &(dyn Error + 'static) = failure.as_ref();
            warn!(task, failure, ?backoff, "driver failed and is restarted");
        }
        Ending::Panicked(message) => {
            error!(task, message, ?backoff, "driver panicked and is restarted: this is a bug");
        }
    }
}

fn log_stop(ended: &Ended) {
    let task = ended.task;
    match &ended.how {
        Ending::Finished | Ending::Aborted => {}
        Ending::Failed(failure) => {
            let failure: &(dyn Error + 'static) = failure.as_ref();
            warn!(task, failure, "task failed while stopping");
        }
        Ending::Panicked(message) => {
            error!(task, message, "task panicked while stopping: this is a bug");
        }
    }
}

/// An abort takes effect when the task next yields.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// A driver that dies at once must not spin, and one that died once must be back before anyone
/// calls it silent.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Long enough to cost nothing, short enough for a machine that is on battery.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A driver that ran for twice the longest backoff has recovered.
const BACKOFF_FORGET: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
