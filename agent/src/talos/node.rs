//! What the events of machined amount to: where this node is, and which sequence takes it down.
//!
//! Pure: events come in as they were told, and how things stand is asked for afterwards.
//!
//! ```text
//!             START                       STOP          NOOP, with an error
//! nothing ──────────────► running ──────────────► over ──┬─► canceled: nothing goes down any more
//!    ▲                    │      ▲                       ├─► failed: it ends the node at once
//!    └─ START of another ─┘      └── phases              └─► done: it was told as a failure, too
//! ```
//!
//! A sequence that takes another over starts right after that one was canceled, and what is in
//! between is no state to act on: see [`Node::is_settled`].

use curfew_proto::talos::common::Code;

pub use curfew_proto::talos::machine::machine_status_event::MachineStage as Stage;
pub use curfew_proto::talos::machine::sequence_event::Action;

/// One thing that machined said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its place in the stream; empty with the greeting.
    pub id: String,
    /// The call that it comes from; empty where there was none, or none is told.
    pub actor: String,
    /// What has happened.
    pub what: Happening,
}

/// What has happened on the node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// A sequence has started, stopped, or did not go on.
    Sequence {
        /// Its name, such as `shutdown`.
        name: String,
        /// What it did.
        action: Action,
        /// Why it did not go on.
        error: Option<Failure>,
    },
    /// A phase of the running sequence has started.
    PhaseStarted(String),
    /// The node has come to a stage, or said again in which it is.
    Staged(Stage),
    /// Nothing that says how things stand.
    Other,
}

/// Why a sequence did not go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Its kind.
    pub code: Code,
    /// What machined says of it.
    pub message: String,
}

/// Where the node goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// It powers off.
    Off,
    /// It starts anew.
    Reboot,
    /// One of these; it does not say which.
    Unknown,
}

/// A sequence, from its start on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Run {
    /// Its name, such as `shutdown`.
    pub name: String,
    /// The call that it comes from; empty if nobody called, as with the power button.
    pub actor: String,
    /// The phase that started last.
    pub phase: Option<String>,
    /// How it ended; none while it runs.
    pub end: Option<RunEnd>,
    /// The phase that stops the pods was entered.
    is_in_cleanup: bool,
    /// A later one was, too.
    is_past_cleanup: bool,
}

/// How a sequence ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RunEnd {
    /// Well, or it is not said yet how.
    Over,
    /// Another one, or its caller, stopped it.
    Canceled,
    /// It failed, and machined says why: it ends everything at once, and then the node.
    Failed(String),
}

/// What is known of the node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// Where it is between power-on and power-off, by its own word.
    pub stage: Option<Stage>,
    /// The sequence that started last.
    pub run: Option<Run>,
    /// The last sequence that was refused, while what refused it runs.
    pub locked: Option<String>,
}

impl Run {
    /// Returns whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.end.is_none()
    }

    /// Returns whether it moves the pods away first, which fails without an API server.
    pub fn is_draining(&self) -> bool {
        self.is_running() && self.phase.as_deref() == Some(DRAIN)
    }

    /// Returns why it failed, if it has.
    pub fn failure(&self) -> Option<&str> {
        match &self.end {
            Some(RunEnd::Failed(why)) => Some(why),
            Some(RunEnd::Over | RunEnd::Canceled) | None => None,
        }
    }

    /// Returns whether it failed because the pods could not be moved away: none of them is stopped
    /// in order then.
    pub fn has_failed_drain(&self) -> bool {
        self.failure().is_some() && self.phase.as_deref() == Some(DRAIN)
    }

    /// Returns where the node goes because of it; none if it stays.
    fn way(&self) -> Option<Way> {
        let way = way_of(&self.name);
        match &self.end {
            None | Some(RunEnd::Over) => way,
            Some(RunEnd::Canceled) => None,
            // What a shutdown has stored first holds also when it fails; all else boots again.
            Some(RunEnd::Failed(_)) if way == Some(Way::Off) => way,
            Some(RunEnd::Failed(_)) => Some(Way::Reboot),
        }
    }
}

impl Node {
    /// Takes the next event.
    pub fn take(&mut self, event: &Event) {
        match &event.what {
            Happening::Sequence { name, action: Action::Start, .. } => {
                self.start(name, &event.actor);
            }
            Happening::Sequence { name, action: Action::Stop, .. } => self.stop(name),
            Happening::Sequence { name, action: Action::Noop, error: Some(failure) } => {
                self.fail(name, failure);
            }
            Happening::PhaseStarted(phase) => self.enter(phase),
            Happening::Staged(stage) => self.stage = Some(*stage),
            Happening::Sequence { action: Action::Noop, error: None, .. } | Happening::Other => {}
        }
    }

    /// Returns where the node goes; none if nobody takes it down.
    pub fn way(&self) -> Option<Way> {
        // The stage is told of a sequence that was canceled for as long as the node is up.
        if self.is_canceled() {
            return None;
        }
        self.run.as_ref().and_then(Run::way).or_else(|| self.staged_way())
    }

    /// Returns whether a power-off runs, or has failed and so ends the node.
    pub fn is_shutting_down(&self) -> bool {
        self.way() == Some(Way::Off)
    }

    /// Returns whether any sequence runs that a call would have to take over.
    pub fn is_busy(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_running) || self.way().is_some()
    }

    /// Returns the sequence that moves the pods away first, if that is what runs: a shutdown, an
    /// upgrade and a reset do.
    pub fn draining(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.is_draining())
    }

    /// Returns whether the sequence that takes the node down has stopped the pods: the end of the
    /// phase says so only of one that did not fail, the start of the next one always.
    pub fn has_stopped_pods(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.is_past_cleanup)
    }

    /// Returns whether the next event is not about to say something else: what takes a sequence
    /// over starts right after that one was canceled.
    pub fn is_settled(&self) -> bool {
        !self.is_canceled()
    }

    /// Returns whether the sequence that started last was canceled, and none has followed.
    pub fn is_canceled(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.end == Some(RunEnd::Canceled))
    }

    fn start(&mut self, name: &str, actor: &str) {
        self.locked = None;
        // What machined does after a failure says nothing new of where the node goes.
        if name == EMERGENCY && self.way().is_some() {
            return;
        }
        self.run = Some(Run {
            name: name.to_owned(),
            actor: actor.to_owned(),
            phase: None,
            end: None,
            is_in_cleanup: false,
            is_past_cleanup: false,
        });
    }

    fn stop(&mut self, name: &str) {
        self.locked = None;
        if let Some(run) = self.run.as_mut().filter(|run| run.name == name && run.is_running()) {
            run.end = Some(RunEnd::Over);
        }
    }

    fn fail(&mut self, name: &str, failure: &Failure) {
        let message = &failure.message;
        match failure.code {
            // It was never started; what runs goes on.
            Code::Locked => self.locked = Some(name.to_owned()),
            Code::Canceled => self.end(name, RunEnd::Canceled),
            // Every sequence that ends the node ends with such an error of its last task.
            Code::Fatal if message.contains(REBOOT_ERROR) => self.end(name, RunEnd::Over),
            Code::Fatal => self.end(name, RunEnd::Failed(message.clone())),
        }
    }

    fn end(&mut self, name: &str, end: RunEnd) {
        if self.run.is_none() {
            // Its start is no longer kept.
            self.start(name, "");
        }
        if let Some(run) = self.run.as_mut().filter(|run| run.name == name) {
            run.end = Some(end);
        }
    }

    fn enter(&mut self, phase: &str) {
        let Some(run) = self.run.as_mut().filter(|run| run.is_running()) else { return };
        run.is_past_cleanup |= run.is_in_cleanup && phase != CLEANUP;
        run.is_in_cleanup |= phase == CLEANUP;
        run.phase = Some(phase.to_owned());
    }

    fn staged_way(&self) -> Option<Way> {
        match self.stage? {
            Stage::ShuttingDown => Some(Way::Off),
            Stage::Rebooting | Stage::Upgrading => Some(Way::Reboot),
            Stage::Resetting => Some(Way::Unknown),
            Stage::Unknown
            | Stage::Booting
            | Stage::Installing
            | Stage::Maintenance
            | Stage::Running => None,
        }
    }
}

/// Returns the word for a stage in metrics and for people.
pub fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Unknown => "unknown",
        Stage::Booting => "booting",
        Stage::Installing => "installing",
        Stage::Maintenance => "maintenance",
        Stage::Running => "running",
        Stage::Rebooting => "rebooting",
        Stage::ShuttingDown => "shutting-down",
        Stage::Resetting => "resetting",
        Stage::Upgrading => "upgrading",
    }
}

/// All stages.
pub const STAGES: [Stage; 9] = [
    Stage::Unknown,
    Stage::Booting,
    Stage::Installing,
    Stage::Maintenance,
    Stage::Running,
    Stage::Rebooting,
    Stage::ShuttingDown,
    Stage::Resetting,
    Stage::Upgrading,
];

/// Returns where a sequence leads; none if the node stays up.
fn way_of(sequence: &str) -> Option<Way> {
    match sequence {
        SHUTDOWN => Some(Way::Off),
        "reboot" | "upgrade" | "stageUpgrade" | "maintenanceUpgrade" => Some(Way::Reboot),
        // It ends with either, as its caller wishes; and what failed before is not known here.
        "reset" | EMERGENCY => Some(Way::Unknown),
        _ => None,
    }
}

/// The sequence that powers off.
pub const SHUTDOWN: &str = "shutdown";
/// What machined runs after a failure, from 1.13 on.
const EMERGENCY: &str = "emergencyVolumeCleanup";
/// The phase that moves the pods to other nodes.
const DRAIN: &str = "drain";
/// The phase that stops the pods.
const CLEANUP: &str = "cleanup";
/// How machined names the call to the kernel that ends a sequence well.
const REBOOT_ERROR: &str = "unix.Reboot(";

#[cfg(test)]
mod tests;
