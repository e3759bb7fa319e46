//! What is shown of Talos: in `/api/v1/status`, and by `curfew status`.

use serde::{Deserialize, Serialize};

use super::View;
use super::node::{Run, stage_word};

/// What an agent shows of the Talos of its node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Shown {
    /// Its version, such as `v1.11.6`.
    pub version: Option<String>,
    /// Where the node is between power-on and power-off.
    pub stage: Option<String>,
    /// The sequence that runs, or that takes the node down.
    pub sequence: Option<ShownSequence>,
    /// machined tells its events.
    pub has_contact: bool,
    /// Since when that is, or is not, so.
    pub contact_for_seconds: f64,
    /// The drain of what takes the node down has failed: it goes down hard.
    #[serde(default)]
    pub has_failed_drain: bool,
    /// What somebody should know of.
    pub problem: Option<ShownProblem>,
}

/// A sequence of machined.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ShownSequence {
    /// Its name, such as `shutdown`.
    pub name: String,
    /// The phase that it is in.
    pub phase: Option<String>,
    /// Somebody called it: it is not Talos' own, nor that of the power button.
    #[serde(default)]
    pub is_called: bool,
    /// This agent called it, in its present run.
    pub is_ours: bool,
}

/// What somebody should know of.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ShownProblem {
    /// What was found.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl Shown {
    /// Returns how it stands now.
    pub fn of(view: &View) -> Self {
        let goes_down = view.node.way().is_some();
        let run = view.node.run.as_ref().filter(|run| run.is_running() || goes_down);
        Self {
            version: view.version.clone(),
            stage: view.node.stage.map(|stage| stage_word(stage).to_owned()),
            sequence: run.map(|run| ShownSequence {
                name: run.name.clone(),
                phase: run.phase.clone(),
                is_called: !run.actor.is_empty(),
                is_ours: view.is_ours(),
            }),
            has_contact: view.contact.is_kept,
            contact_for_seconds: (view.contact.since.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            has_failed_drain: run.is_some_and(Run::has_failed_drain),
            problem: view.problem().map(|problem| ShownProblem {
                reason: problem.reason,
                remedy: problem.remedy.to_owned(),
            }),
        }
    }

    /// Returns it in one line for a person; the problem is told by the check `talos`.
    pub fn sentence(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        let stage = self.stage.as_deref().unwrap_or("unknown");
        let sequence = self.sequence.as_ref().map(ShownSequence::clause).unwrap_or_default();
        let contact = if self.has_contact { "" } else { ", NO CONTACT with machined" };
        format!("{version}, stage {stage}{sequence}{contact}")
    }
}

impl ShownSequence {
    fn clause(&self) -> String {
        let Self { name, phase, is_called, is_ours } = self;
        let by = match (is_ours, is_called) {
            (true, _) => "called by this agent",
            (false, true) => "not called by this run of the agent",
            (false, false) => "begun by Talos itself or the power button",
        };
        let phase = phase.as_ref().map(|it| format!(" in phase {it}")).unwrap_or_default();
        format!(", sequence {name}{phase}, {by}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_called_is_said_as_far_as_it_is_known() {
        for (is_called, is_ours, words) in [
            (true, true, "called by this agent"),
            // It may have been this agent, before a restart.
            (true, false, "not called by this run of the agent"),
            (false, false, "begun by Talos itself or the power button"),
        ] {
            let name = "boot".to_owned();
            let shown = ShownSequence { name, phase: None, is_called, is_ours };
            assert_eq!(shown.clause(), format!(", sequence boot, {words}"));
        }
    }
}
