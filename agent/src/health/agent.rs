//! Checks of the agent itself: its loop, its journal, and what the coordinator warns of.

use curfew_coordinator::{Phase, Status};

use super::{Check, State, seconds};
use crate::snapshot::Snapshot;

pub(super) const AGENT: &str = "agent";
pub(super) const JOURNAL: &str = "journal";

pub(super) fn coordinator_answers(snapshot: &Snapshot) -> Check {
    let age = seconds(snapshot.age());
    if snapshot.is_stale() {
        let reason = format!("the coordinator has said nothing for {age}");
        return Check::fail(AGENT, reason, "restart curfew and report this with its log");
    }
    Check::pass(AGENT, format!("the coordinator spoke {age} ago"))
}

pub(super) fn journal(snapshot: &Snapshot) -> Check {
    let report = &snapshot.journal;
    let has_failed = snapshot.status.journal_failure.is_some() || report.failure.is_some();
    if snapshot.status.phase == Phase::Holding && has_failed {
        return Check::pass(JOURNAL, "nothing is written in the hold, and nothing has to be");
    }
    if let Some(failure) = snapshot.status.journal_failure.as_ref().or(report.failure.as_ref()) {
        return Check::fail(
            JOURNAL,
            format!("the state is not durable ({failure}), a restart would lose it"),
            "let this user write in the state directory, or free or replace its disk",
        );
    }
    Check::pass(JOURNAL, "the state is durable")
}

pub(super) fn warnings(status: &Status) -> Check {
    if status.warnings.is_empty() {
        return Check::pass("coordinator", "nothing to report");
    }
    let sentences: Vec<_> = status.warnings.iter().map(String::as_str).collect();
    // The sentences say themselves what to do.
    Check { state: State::Warn, ..Check::pass("coordinator", sentences.join("; ")) }
}
