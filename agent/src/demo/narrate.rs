//! What happened, in plain words.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{BeginReason, Gate, HostName, Note, Phase, ReleaseProof};

use super::timeline::{Fact, What};

/// Returns the sentence for a person; none for what another sentence says already.
pub(super) fn sentence(what: &What) -> Option<String> {
    match what {
        What::World(fact) => Some(of_world(fact)),
        What::Told(note) => of_agent(note),
    }
}

fn of_world(fact: &Fact) -> String {
    match fact {
        Fact::MainsFailed => "THE MAINS FAIL: everybody runs on the battery".to_owned(),
        Fact::MainsReturned => "THE MAINS ARE BACK".to_owned(),
        Fact::PowerLost => "THE BATTERY IS EMPTY: whoever still ran has lost its power".to_owned(),
        Fact::PacketReceived => "its network card hears the magic packet".to_owned(),
        Fact::PoweredOn => "switches on and boots".to_owned(),
        Fact::Booted => "has booted: its agent starts".to_owned(),
        Fact::PoweredOff => "is OFF".to_owned(),
        Fact::Rebooted => "goes down to boot again".to_owned(),
        Fact::Crashed { how } => format!("ITS AGENT CRASHED: {how}"),
    }
}

fn of_agent(note: &Note) -> Option<String> {
    let text = match note {
        Note::Recovered { .. }
        | Note::MainsLost
        | Note::MainsBack
        | Note::StopAccepted
        | Note::Off { .. }
        | Note::EndedHeard { .. }
        // Nobody exports anything here, so there was nothing to wait for.
        | Note::GatePassed { gate: Gate::Exports, by_limit: false } => return None,
        Note::PhaseChanged { phase } => return of_phase(*phase),
        Note::JournalLost => "has lost its journal".to_owned(),
        Note::Declared { number, evidence, .. } => {
            format!("declares shutdown {number}: {evidence}")
        }
        Note::Latched { number, from } => format!("joins shutdown {number}, told by {from}"),
        Note::BlindHeard { number, by } => {
            format!("hears that {by} declared {number} without seeing the UPS")
        }
        Note::Paused => "waits: it reads mains".to_owned(),
        Note::Resumed => "goes on: the mains are away again".to_owned(),
        Note::Began { end, why } => format!("{}: {}", end.in_words(), reason(*why)),
        Note::ForeignSent { clients } => {
            format!("sends {clients} NUT clients down that are not of the file (FSD)")
        }
        Note::StopFailed { why, attempt } => format!("its stop failed (try {attempt}): {why}"),
        Note::Released { host, how } => format!("need not wait for {host}: {}", proof(*how)),
        Note::Lost { host } => format!("{host} fell silent without a word"),
        Note::AskedAbout { host } => format!("{host} is not released: look at it"),
        Note::Turned { number, why } => format!("turns shutdown {number}: {}", why.in_words()),
        Note::Conducting { .. } => "conducts: brings everybody back, in order".to_owned(),
        Note::GatePassed { gate, by_limit } => passed(*gate, *by_limit),
        Note::Woken { host } => format!("sends {host} a magic packet"),
        Note::Ready { host } => format!("sees that {host} is ready"),
        Note::PassedBy { host, why } => format!("goes on without {host}: {}", why.in_words()),
        Note::Ended { number, missing } if missing.is_empty() => {
            format!("shutdown {number} has ended: everybody is back")
        }
        Note::Ended { number, missing } => {
            format!("shutdown {number} has ended without {}", names(missing))
        }
        Note::PlannedStopSeen { stop, .. } => {
            format!("{}: somebody wants it", stop.in_words())
        }
        Note::PlannedStopTakenBack => "is not stopped any more".to_owned(),
        Note::OwnerLeaves { is_cut: true } => "has the UPS cut when it is off".to_owned(),
        Note::OwnerLeaves { is_cut: false } => "stays off when the mains return".to_owned(),
        Note::PlannedStopHeard { host, stop } => {
            format!("hears that {host} {}, as somebody wants", stop.in_words())
        }
        Note::PlannedStopOver { host } => format!("sees that {host} is there, and stays"),
        Note::PlannedStopOverdue { host } => {
            format!("{host} was to boot again and has not come: look at it")
        }
        Note::WithoutAgent { host } => format!("sees {host} run without its agent"),
        Note::AgentBack { host } => format!("hears the agent of {host} again"),
        Note::Warned { text } => text.clone(),
    };
    Some(text)
}

fn of_phase(phase: Phase) -> Option<String> {
    match phase {
        Phase::Halting => Some("its services have ended".to_owned()),
        Phase::Holding => Some("HOLDS: nothing is served or written, the machine is on".to_owned()),
        Phase::Up | Phase::Waiting | Phase::Stopping => None,
    }
}

fn reason(why: BeginReason) -> &'static str {
    match why {
        BeginReason::NoDependents => "nobody needs it",
        BeginReason::Released => "nobody needs it any more",
        BeginReason::AllOff => "everybody else is off",
        BeginReason::LatestStart => "the battery lets it wait no longer",
        BeginReason::StoppedByOther => "somebody stops it",
    }
}

fn proof(how: ReleaseProof) -> &'static str {
    match how {
        ReleaseProof::Halting => "its services have ended",
        ReleaseProof::Off => "it is off",
        ReleaseProof::Absent => "it is not there",
    }
}

fn passed(gate: Gate, by_limit: bool) -> String {
    let what = gate.in_words();
    if by_limit { format!("waits no longer until {what}") } else { what.to_owned() }
}

fn names(hosts: &BTreeSet<HostName>) -> String {
    let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    names.join(", ")
}

/// Returns a duration as a person says it.
pub(super) fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
