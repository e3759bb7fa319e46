//! The stage of the node, which Talos makes out from its own events
//! (`controllers/runtime/machine_status.go`).

use curfew_proto::talos::common;
use curfew_proto::talos::machine::machine_status_event::{
    MachineStage, MachineStatus, machine_status::UnmetCondition,
};
use curfew_proto::talos::machine::{
    MachineStatusEvent, PhaseEvent, SequenceEvent, phase_event, sequence_event,
};

use crate::event::Payload;

/// Where the node is between power-on and power-off.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    stage: MachineStage,
    sequence: String,
}

impl Stage {
    /// Takes an event; returns whether the node has come to another stage by it.
    pub(crate) fn take(&mut self, payload: &Payload) -> bool {
        let new = match payload {
            Payload::Sequence(event) => self.on_sequence(event),
            Payload::Phase(event) => self.on_phase(event),
            Payload::Task(_) | Payload::Service(_) | Payload::Status(_) | Payload::Restart(_) => {
                None
            }
        };
        let is_new = new.is_some_and(|new| new != self.stage);
        self.stage = new.unwrap_or(self.stage);
        is_new
    }

    /// Returns the stage with its conditions: they count while it boots and while it runs.
    pub(crate) fn status(&self) -> MachineStatusEvent {
        let is_booting = self.stage == MachineStage::Booting;
        let unmet = UnmetCondition { name: "services".into(), reason: "not all are up".into() };
        let unmet_conditions = if is_booting { vec![unmet] } else { Vec::new() };
        let status = MachineStatus { ready: !is_booting, unmet_conditions };
        MachineStatusEvent { stage: self.stage.into(), status: Some(status) }
    }

    fn on_sequence(&mut self, event: &SequenceEvent) -> Option<MachineStage> {
        event.sequence.clone_into(&mut self.sequence);
        match event.action() {
            sequence_event::Action::Start => match event.sequence.as_str() {
                "boot" | "initialize" => Some(MachineStage::Booting),
                "shutdown" => Some(MachineStage::ShuttingDown),
                "upgrade" | "stageUpgrade" | "maintenanceUpgrade" => Some(MachineStage::Upgrading),
                "reset" => Some(MachineStage::Resetting),
                "reboot" => Some(MachineStage::Rebooting),
                _ => None,
            },
            // A machine restarts after a sequence that failed, unless it was to power off. One that
            // was canceled changes nothing: the stage stays at what no longer runs.
            sequence_event::Action::Noop => {
                let is_fatal =
                    event.error.as_ref().is_some_and(|it| it.code() == common::Code::Fatal);
                (is_fatal && event.sequence != "shutdown").then_some(MachineStage::Rebooting)
            }
            sequence_event::Action::Stop => {
                self.sequence.clear();
                (event.sequence == "boot").then_some(MachineStage::Running)
            }
        }
    }

    fn on_phase(&self, event: &PhaseEvent) -> Option<MachineStage> {
        let is_start = event.action() == phase_event::Action::Start;
        (is_start && event.phase == "kexec" && self.sequence == "upgrade")
            .then_some(MachineStage::Rebooting)
    }
}
