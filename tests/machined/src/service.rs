//! The extension service: started, told to end, killed, started again, as Talos does it.
//!
//! The process itself belongs to whoever uses the stand-in; here is what Talos makes of it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::event::{Events, Payload, ServiceStateEvent};
use crate::report::Report;
use crate::settings::{Service, Times};

/// Supervises the service.
#[derive(Debug)]
pub(crate) struct Supervised {
    kind: Service,
    times: Times,
    state: watch::Sender<State>,
    events: Arc<Events>,
    reports: mpsc::Sender<Report>,
}

#[derive(Clone, Debug, Default)]
struct State {
    process: Option<Process>,
    /// Talos wants it to run: it is started again when it ends.
    is_wanted: bool,
    /// It was sent SIGTERM.
    is_ending: bool,
}

/// The process of the service.
#[derive(Clone, Debug)]
struct Process {
    pid: Option<u32>,
    namespace: Option<PathBuf>,
    known_at: Instant,
}

impl Supervised {
    pub(crate) fn new(
        kind: Service,
        times: Times,
        events: Arc<Events>,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        Self { kind, times, state: watch::Sender::new(State::default()), events, reports }
    }

    /// Has it started, and waits until it was.
    pub(crate) async fn start(&self) {
        if self.kind == Service::Absent {
            return;
        }
        self.state.send_modify(|state| state.is_wanted = true);
        self.report(Report::Start).await;
        self.until(|state| state.process.is_some()).await;
    }

    /// It was started, with this process.
    pub(crate) fn started(&self, pid: Option<u32>) {
        let namespace = pid.and_then(mount_namespace);
        let known_at = Instant::now() + self.times.registration;
        self.state.send_modify(|state| {
            state.process = Some(Process { pid, namespace, known_at });
            state.is_ending = false;
        });
        self.publish(RUNNING, "Started task");
    }

    /// Its process has ended. Returns whether it is to be started again: the policy of its service
    /// file is `restart: always` (facts §1.8).
    pub(crate) fn ended(&self) -> bool {
        let mut is_missed = false;
        self.state.send_modify(|state| {
            state.process = None;
            is_missed = state.is_wanted && !state.is_ending;
            state.is_ending = false;
        });
        self.publish(FINISHED, "Service finished");
        is_missed
    }

    /// Starts it again after a pause of always the same length (facts §1.6).
    pub(crate) async fn start_again(&self) {
        sleep_until(Instant::now() + self.times.restart).await;
        let is_wanted = self.state.borrow().is_wanted;
        if is_wanted {
            self.report(Report::Start).await;
        }
    }

    /// Ends it: SIGTERM, the grace, SIGKILL, and then without limit (facts §0.5, §0.7).
    pub(crate) async fn stop(&self) {
        let mut is_first = false;
        self.state.send_modify(|state| {
            state.is_wanted = false;
            is_first = state.process.is_some() && !state.is_ending;
            state.is_ending |= is_first;
        });
        if is_first {
            self.publish(STOPPING, "Sending SIGTERM to task");
            self.report(Report::Term).await;
        }
        let gone = self.until(|state| state.process.is_none());
        if timeout(self.times.grace, gone).await.is_err() {
            if is_first {
                self.report(Report::Kill).await;
            }
            self.until(|state| state.process.is_none()).await;
        }
    }

    /// Ends it and starts it again, without any sequence (facts §1.7).
    pub(crate) async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// Waits until the process `pid` is known as one of the service: it, or one in its mount
    /// namespace (facts §2.2).
    pub(crate) async fn until_known(&self, pid: Option<u32>, namespace: Option<PathBuf>) {
        if self.kind == Service::Absent {
            return;
        }
        let mut states = self.state.subscribe();
        loop {
            let process = states.borrow_and_update().process.clone();
            if let Some(process) = process
                && process.is(pid, namespace.as_ref())
            {
                sleep_until(process.known_at).await;
                return;
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Without an actor, whoever is behind it (facts §2.3).
    fn publish(&self, action: i32, message: &str) {
        let (service, message) = (NAME.to_owned(), message.to_owned());
        self.events.publish(None, Payload::Service(ServiceStateEvent { service, action, message }));
    }

    async fn until(&self, is_met: impl Fn(&State) -> bool) {
        let mut states = self.state.subscribe();
        if states.wait_for(is_met).await.is_err() {
            // We hold its sender.
        }
    }

    async fn report(&self, report: Report) {
        if self.reports.send(report).await.is_err() {
            // Nobody wants to know.
        }
    }
}

impl Process {
    fn is(&self, pid: Option<u32>, namespace: Option<&PathBuf>) -> bool {
        self.pid.is_none()
            || self.pid == pid
            || (namespace.is_some() && self.namespace.as_ref() == namespace)
    }
}

/// Returns the mount namespace of a process that still runs.
pub(crate) fn mount_namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

/// As Talos names extension services (facts §1.1).
const NAME: &str = "ext-curfew";
const RUNNING: i32 = 3;
const STOPPING: i32 = 4;
const FINISHED: i32 = 5;
