//! The two ways to hold a stand-in: in a task, and from code that has none.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::machine::Machine;
use crate::report::{Command, Report};
use crate::settings::Settings;

/// A stand-in for code with tasks. It ends when it is dropped.
#[derive(Debug)]
pub struct Standin {
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
    _task: JoinSet<()>,
}

impl Standin {
    /// Makes a machine that is off. Must be called within a runtime with its drivers on.
    pub fn new(settings: Settings) -> Self {
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let mut task = JoinSet::new();
        task.spawn(Machine::new(settings, sender).run(orders, CancellationToken::new()));
        Self { commands, reports, _task: task }
    }

    /// Makes a machine and turns it on; waits until machined listens and, without a service, until
    /// the machine is up.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub async fn booted(settings: Settings) -> Self {
        let is_whole = settings.service == crate::Service::Absent;
        let mut standin = Self::new(settings);
        standin.send(Command::Boot).await;
        let last = if is_whole { Report::Up } else { Report::Listens };
        standin.until(&last).await;
        standin
    }

    /// Tells it something.
    pub async fn send(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            // It ends with us alone.
        }
    }

    /// Waits for its next report. Safe to cancel.
    pub async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// Waits until it has reported this; what it reports before is passed by.
    ///
    /// # Panics
    ///
    /// If it does not within 30 seconds.
    pub async fn until(&mut self, wanted: &Report) {
        let mut passed = Vec::new();
        let reported = async {
            while let Some(report) = self.reports.recv().await {
                if report == *wanted {
                    return;
                }
                passed.push(report);
            }
            std::future::pending::<()>().await;
        };
        let outcome = tokio::time::timeout(PATIENCE, reported).await;
        assert!(outcome.is_ok(), "machined never came to {wanted:?}: {passed:?}");
    }

    /// Returns all that it has reported and nobody has looked at.
    pub fn reports(&mut self) -> Vec<Report> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }
}

/// A stand-in for code without tasks: it runs in a thread of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct BlockingStandin {
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
    cancel: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl BlockingStandin {
    /// Makes a machine that is off.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cancel = CancellationToken::new();
        let machine = Machine::new(settings, sender).run(orders, cancel.clone());
        let name = "machined".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(machine);
        })?;
        Ok(Self { commands, reports, cancel, thread: Some(thread) })
    }

    /// Tells it something.
    pub fn send(&self, command: Command) {
        if self.commands.blocking_send(command).is_err() {
            // It ends with us alone.
        }
    }

    /// Returns its next report, if there is one.
    pub fn report(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}

impl Drop for BlockingStandin {
    fn drop(&mut self) {
        self.cancel.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            // It has panicked, and said so.
        }
    }
}

/// Nobody tells it that many things before it gets to them.
const COMMANDS_MAX: usize = 64;
/// A machine that goes up and down makes some fifty; who does not read them stops it in the end.
const REPORTS_MAX: usize = 4096;
/// A machine with times that a test can wait for.
const PATIENCE: Duration = Duration::from_secs(30);
