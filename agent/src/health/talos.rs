//! The check of a Talos host: whether machined can be called, and what its sequences came to.

use super::{Check, seconds};
use crate::snapshot::Snapshot;
use crate::talos::{PATIENCE, View};

/// The name of the check.
pub(super) const TALOS: &str = "talos";

/// Returns the check; none on a host without Talos.
pub(super) fn check(snapshot: &Snapshot) -> Option<Check> {
    snapshot.talos.as_deref().map(judge)
}

fn judge(view: &View) -> Check {
    let contact = &view.contact;
    let goes_down = view.node.way().is_some();
    if let Some(problem) = view.problem() {
        let is_young = !contact.is_kept && contact.since.elapsed() < PATIENCE;
        // On the way down the socket goes as everything does.
        let is_leaving = !contact.is_kept && contact.was_kept && goes_down;
        return if problem.is_grave && !is_young && !is_leaving {
            Check::fail(TALOS, problem.reason, problem.remedy)
        } else {
            Check::warn(TALOS, problem.reason, problem.remedy)
        };
    }
    if !contact.is_kept {
        let reason = format!("machined has not answered for {}", seconds(contact.since.elapsed()));
        let remedy = "wait: it looks for a process that was just started for some seconds";
        return if contact.since.elapsed() < PATIENCE {
            Check::warn(TALOS, reason, remedy)
        } else {
            Check::fail(TALOS, reason, "look at `talosctl service machined` and `talosctl dmesg`")
        };
    }
    let version = view.version.as_deref().unwrap_or("of unknown version");
    let reason = match &view.node.run {
        Some(run) if goes_down => format!("Talos {version} runs the sequence {}", run.name),
        Some(_) | None => format!("machined of Talos {version} can be called"),
    };
    Check::pass(TALOS, reason)
}

#[cfg(test)]
pub(crate) mod tests;
