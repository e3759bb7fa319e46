//! One boot of the machine: sequences, phase by phase (`runtime/v1alpha1/v1alpha1_controller.go`),
//! and what follows when one ends (`machined/main.go`).

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use curfew_proto::talos::common::Code;
use curfew_proto::talos::machine::machine_status_event::MachineStage;
use curfew_proto::talos::machine::{phase_event, sequence_event};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::event::{Events, Payload, RestartEvent, TaskEvent};
use crate::lock::{Denial, Lock, Turn};
use crate::report::Report;
use crate::sequence::{Phase, Sequence, Task};
use crate::service::Supervised;
use crate::settings::{Fault, Service, Settings};

/// One boot of the machine.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) settings: Arc<Settings>,
    pub(crate) events: Arc<Events>,
    pub(crate) service: Supervised,
    pub(crate) faults: watch::Receiver<BTreeSet<Fault>>,
    pub(crate) reports: mpsc::Sender<Report>,
    /// Cancelled when the API goes.
    pub(crate) api_ends: CancellationToken,
    /// Cancelled when nothing that is published reaches anybody any more.
    pub(crate) is_mute: CancellationToken,
    /// How often all connections were ended.
    pub(crate) hang_ups: watch::Sender<u32>,
    /// What is to be run.
    pub(crate) runs: mpsc::Sender<Run>,
    lock: Arc<Lock>,
    /// Set when machined leaves its main loop.
    end: watch::Sender<Option<End>>,
    /// A failed sequence powers off (facts §3.4).
    does_power_off: AtomicBool,
    /// Kubelet's inhibitor lock was waited for once, and is gone (facts §2.4).
    is_grace_used: AtomicBool,
    actors: AtomicU32,
}

/// A sequence that somebody asked for.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) sequence: Sequence,
    /// Of the call; none has none.
    pub(crate) actor: Option<String>,
    pub(crate) is_takeover: bool,
}

/// Why machined leaves its main loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    PowerOff,
    Restart,
    Failed,
}

/// Why a sequence does not go on.
#[derive(Debug)]
enum Failure {
    Canceled,
    Fatal(String),
    /// It has come to its end, which Talos passes up as an error.
    Over(End, String),
}

impl Node {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        faults: watch::Receiver<BTreeSet<Fault>>,
        reports: &mpsc::Sender<Report>,
        runs: mpsc::Sender<Run>,
    ) -> Self {
        let events = Arc::new(Events::default());
        let Settings { service, times, .. } = **settings;
        let service = Supervised::new(service, times, Arc::clone(&events), reports.clone());
        Self {
            settings: Arc::clone(settings),
            events,
            service,
            faults,
            reports: reports.clone(),
            api_ends: CancellationToken::new(),
            is_mute: CancellationToken::new(),
            hang_ups: watch::Sender::new(0),
            runs,
            lock: Lock::new(),
            end: watch::Sender::new(None),
            does_power_off: AtomicBool::new(false),
            is_grace_used: AtomicBool::new(false),
            actors: AtomicU32::new(0),
        }
    }

    /// Starts the machine: the API, then all services.
    pub(crate) async fn boot(&self) {
        for sequence in [Sequence::Initialize, Sequence::Boot] {
            self.run(Run { sequence, actor: None, is_takeover: false }).await;
        }
        if self.events.status().stage() == MachineStage::Running {
            self.report(Report::Up).await;
        }
    }

    /// Answers a call for a sequence with its actor; the sequence comes later, if it does
    /// (facts §2.4).
    pub(crate) async fn call(&self, sequence: Sequence) -> String {
        let run = self.by_call(sequence);
        let actor = run.actor.clone().unwrap_or_default();
        self.report(Report::Called(sequence, actor.clone())).await;
        if !self.has(&Fault::DropsCalls) && self.runs.send(run).await.is_err() {
            // The machine is off.
        }
        actor
    }

    /// Returns what a call of the API has run, for an actor of its own: a shutdown takes over
    /// whatever runs, all else only what it may.
    pub(crate) fn by_call(&self, sequence: Sequence) -> Run {
        let number = self.actors.fetch_add(1, Ordering::Relaxed);
        let actor = format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id());
        let is_takeover = matches!(sequence, Sequence::Shutdown { .. });
        Run { sequence, actor: Some(actor), is_takeover }
    }

    /// Runs a sequence to its end.
    pub(crate) async fn run(&self, run: Run) {
        let Run { sequence, actor, is_takeover } = run;
        let name = sequence.name();
        let turn = match self.lock.turn(sequence, is_takeover, self.settings.times.takeover).await {
            Ok(turn) => turn,
            // Without an actor, also when there is one (facts §2.3).
            Err(Denial::Locked) => {
                let message = "sequence not started: locked".to_owned();
                self.events.publish(None, Payload::failure(name, Code::Locked, message));
                return self.report(Report::Failed(name, Code::Locked)).await;
            }
            Err(Denial::TimedOut) => return self.report(Report::Dropped(name)).await,
        };
        let actor = actor.as_deref();
        let publish = |payload| self.events.publish(actor, payload);
        publish(Payload::sequence(name, sequence_event::Action::Start));
        self.report(Report::Started(name, actor.map(ToOwned::to_owned))).await;
        let outcome = self.pass_through(sequence, actor, &turn).await;
        let Err(failure) = outcome else {
            return publish(Payload::sequence(name, sequence_event::Action::Stop));
        };
        if self.has(&Fault::LosesLastWords) && matches!(failure, Failure::Fatal(_)) {
            self.is_mute.cancel();
        }
        // On failure as well (facts §2.3).
        publish(Payload::sequence(name, sequence_event::Action::Stop));
        let (code, why) = match &failure {
            Failure::Canceled => (Code::Canceled, "context canceled"),
            // The second so says Talos at the very end of what went well; only after a forced
            // reboot may somebody still be there to hear it.
            Failure::Fatal(why) | Failure::Over(_, why) => (Code::Fatal, why.as_str()),
        };
        publish(Payload::failure(name, code, format!("sequence failed: {why}")));
        match failure {
            Failure::Canceled => self.report(Report::Failed(name, code)).await,
            Failure::Fatal(_) => {
                self.report(Report::Failed(name, code)).await;
                self.leave(End::Failed);
            }
            Failure::Over(end, _) => self.leave(end),
        }
    }

    async fn pass_through(
        &self,
        sequence: Sequence,
        actor: Option<&str>,
        turn: &Turn,
    ) -> Result<(), Failure> {
        for (number, phase) in (1..).zip(sequence.phases(self.settings.version)) {
            let publish = |payload| self.events.publish(actor, payload);
            let task =
                |action| Payload::Task(TaskEvent { task: phase.task.name().to_owned(), action });
            publish(Payload::phase(phase.name, phase_event::Action::Start));
            publish(task(0));
            self.report(Report::Phase(phase.name)).await;
            let outcome = self.perform(phase, actor, turn).await;
            // Also on failure (facts §3.6, row 2: `cleanup STOP` proves nothing).
            publish(task(1));
            publish(Payload::phase(phase.name, phase_event::Action::Stop));
            let name = sequence.name();
            let place =
                format!("error running phase {number} in {name} sequence: task 1/1: failed");
            outcome.map_err(|failure| match failure {
                Failure::Canceled => Failure::Canceled,
                Failure::Fatal(why) => Failure::Fatal(format!("{place}, {why}")),
                Failure::Over(end, why) => Failure::Over(end, format!("{place}, {why}")),
            })?;
            if turn.canceled.is_cancelled() {
                return Err(Failure::Canceled);
            }
        }
        Ok(())
    }

    async fn perform(&self, phase: Phase, actor: Option<&str>, turn: &Turn) -> Result<(), Failure> {
        // Nothing but its own end ends it (facts §0.8).
        let hang = Fault::Hangs(phase.name.to_owned());
        let is_start = phase.task == Task::StartEverything;
        if !is_start {
            self.until_not(&hang).await;
        }
        self.carry_out(phase.task, actor, turn).await?;
        if is_start {
            // Not ours, but another service does not come up.
            self.until_not(&hang).await;
        }
        if self.has(&Fault::Fails(phase.name.to_owned())) {
            return Err(Failure::Fatal(format!("{} could not be done", phase.task.name())));
        }
        Ok(())
    }

    async fn carry_out(&self, task: Task, actor: Option<&str>, turn: &Turn) -> Result<(), Failure> {
        let Settings { times, tree, service, .. } = &*self.settings;
        match task {
            Task::StoreShutdown => self.does_power_off.store(true, Ordering::Relaxed),
            Task::Drain => pause(times.drain, turn).await?,
            Task::StopPods => {
                if self.is_grace_used.swap(true, Ordering::Relaxed) {
                    self.report(Report::LostGrace).await;
                } else {
                    pause(times.pods, turn).await?;
                }
                if !self.has(&Fault::PodsSurvive) {
                    tell_kernel(tree.write_populated(false))?;
                }
            }
            Task::StopServices if *service == Service::OnCri => self.stop_service(turn).await?,
            Task::Other(_) | Task::StopServices => pause(times.phase, turn).await?,
            Task::Unmount => {
                pause(times.unmount, turn).await?;
                tell_kernel(tree.unmount())?;
            }
            // machined's API goes at the same moment (facts §3.5).
            Task::StopEverything => {
                self.api_ends.cancel();
                self.stop_service(turn).await?;
            }
            Task::StartEverything => {
                tell_kernel(tree.start_pods())?;
                let up = tokio::time::timeout(times.boot, self.service.start());
                let up = turn.canceled.run_until_cancelled(up).await;
                // Facts §0.6.
                up.ok_or(Failure::Canceled)?
                    .map_err(|_| Failure::Fatal("not all services are up".to_owned()))?;
            }
            Task::PowerOff => return Err(self.end_kernel(POWER_OFF, actor, End::PowerOff)),
            Task::Restart => return Err(self.end_kernel(RESTART, actor, End::Restart)),
        }
        Ok(())
    }

    async fn stop_service(&self, turn: &Turn) -> Result<(), Failure> {
        let stopped = turn.canceled.run_until_cancelled(self.service.stop()).await;
        stopped.ok_or(Failure::Canceled)
    }

    fn end_kernel(&self, cmd: i64, actor: Option<&str>, end: End) -> Failure {
        self.events.publish(actor, Payload::Restart(RestartEvent { cmd }));
        // From here on services are shut down, while the sequence tells its end.
        self.leave(end);
        Failure::Over(end, format!("unix.Reboot({cmd:x})"))
    }

    fn leave(&self, end: End) {
        self.end.send_if_modified(|known| {
            let is_first = known.is_none();
            *known = known.or(Some(end));
            is_first
        });
    }

    /// Waits until machined leaves its main loop, and goes down with it: services get SIGTERM all
    /// at once, then whatever still runs is killed (facts §3.4). Returns what it does then.
    pub(crate) async fn go_down(&self) -> Report {
        let mut ends = self.end.subscribe();
        let end = ends.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        let times = &self.settings.times;
        // Who reads along gets what was published so far: see `Fault::LosesLastWords`.
        self.api_ends.cancel();
        self.service.stop().await;
        let is_failure = end == Some(End::Failed);
        if is_failure && self.settings.version.has_emergency_cleanup() {
            sleep(times.phase).await;
        }
        // An intent that was stored once stands (facts §3.4).
        let is_off = match end {
            Some(End::PowerOff) => true,
            Some(End::Restart) => false,
            Some(End::Failed) | None => self.does_power_off.load(Ordering::Relaxed),
        };
        if is_failure && !is_off {
            sleep(times.countdown).await;
        }
        sleep(times.halt).await;
        if self.settings.tree.write_populated(false).is_err() {
            // The machine goes, and its kernel with it.
        }
        if is_off { Report::Off } else { Report::Restarts }
    }

    /// Returns whether something is wrong.
    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.faults.borrow().contains(fault)
    }

    /// Waits until it is not.
    pub(crate) async fn until_not(&self, fault: &Fault) {
        let mut faults = self.faults.clone();
        if faults.wait_for(|faults| !faults.contains(fault)).await.is_err() {
            // The stand-in ends.
        }
    }

    /// Tells whoever uses the stand-in.
    pub(crate) async fn report(&self, report: Report) {
        if self.reports.send(report).await.is_err() {
            // Nobody wants to know.
        }
    }
}

async fn pause(span: Duration, turn: &Turn) -> Result<(), Failure> {
    turn.canceled.run_until_cancelled(sleep(span)).await.ok_or(Failure::Canceled)
}

fn tell_kernel(outcome: io::Result<()>) -> Result<(), Failure> {
    outcome.map_err(|error| Failure::Fatal(format!("the tree of the kernel: {error}")))
}

/// `LINUX_REBOOT_CMD_POWER_OFF`.
const POWER_OFF: i64 = 0x4321_fedc;
/// `LINUX_REBOOT_CMD_RESTART`.
const RESTART: i64 = 0x0123_4567;
