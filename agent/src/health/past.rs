//! The check of the history: that what happens is written down, and what happened can be told.

use curfew_coordinator::Phase;

use super::Check;
use crate::snapshot::Snapshot;

pub(super) fn history(snapshot: &Snapshot) -> Check {
    let report = &snapshot.journal;
    if snapshot.status.phase == Phase::Holding && report.history_failure.is_some() {
        return Check::pass(HISTORY, "nothing is written in the hold");
    }
    if let Some(failure) = &report.history_failure {
        return Check::warn(HISTORY, format!("it is not written ({failure})"), WRITABLE);
    }
    if report.events_lost > 0 {
        let lost = report.events_lost;
        return Check::warn(
            HISTORY,
            format!("{lost} events are missing since the agent started: the disk was too slow"),
            "look at the disk of the state directory; a restart of the agent ends this warning",
        );
    }
    let Some(past) = &snapshot.past else {
        return Check::unknown(HISTORY, "it has not been read yet", None);
    };
    if let Some(failure) = past.failure() {
        let why = format!("what happened before the agent started cannot be read ({failure})");
        return Check::unknown(HISTORY, why, Some(READABLE));
    }
    let lines = past.lines();
    let odd = match (lines.unreadable, lines.unknown) {
        (0, 0) => String::new(),
        (torn, 0) => format!(", {torn} lines cannot be read"),
        (0, newer) => format!(", {newer} are of a newer curfew"),
        (torn, newer) => format!(", {newer} are of a newer curfew and {torn} cannot be read"),
    };
    Check::pass(HISTORY, format!("{} events can be told{odd}", lines.known))
}

const HISTORY: &str = "history";
const WRITABLE: &str = "let this user write in the state directory, or free or replace its disk";
const READABLE: &str =
    "let this user read history.jsonl in the state directory, then restart the agent";
