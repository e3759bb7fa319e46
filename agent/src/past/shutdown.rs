//! One numbered shutdown, as this host took part in it.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{
    BeginReason, Cause, End, HostName, Note, Phase, Reason, ReleaseProof, TurnReason,
};
use serde::Serialize;

use super::moment::Moment;
use crate::journal::Seen;

/// A shutdown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Shutdown {
    pub(super) number: u64,
    pub(super) state: State,
    /// The first that this host noted of it.
    pub(super) first: Moment,
    /// When it was declared here, or latched; none if only its end was heard.
    pub(super) declared: Option<Moment>,
    pub(super) declared_by: Option<HostName>,
    pub(super) reasons: BTreeSet<Reason>,
    pub(super) participants: BTreeSet<HostName>,
    /// Milliseconds left by the battery when it was declared.
    pub(super) time_left: Option<u64>,
    /// Milliseconds that the plan needed then.
    pub(super) time_needed: Option<u64>,
    pub(super) hosts: BTreeMap<HostName, Other>,
    pub(super) own: Option<Own>,
    pub(super) turned: Option<(Moment, TurnReason)>,
    pub(super) ended: Option<Moment>,
    pub(super) missing: BTreeSet<HostName>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Declared,
    Returning,
    Ended,
    /// A higher number has taken its place.
    Superseded,
    /// What became of it is not in the history.
    Unknown,
}

/// How another host stopped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Other {
    pub(super) released: Option<(Moment, ReleaseProof)>,
    pub(super) off: Option<Moment>,
    pub(super) is_lost: bool,
}

/// How this host stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Own {
    pub(super) began: Moment,
    pub(super) end: End,
    pub(super) why: BeginReason,
    pub(super) attempts_failed: u32,
    /// How far it came, and when.
    pub(super) reached: Option<(Moment, Reached)>,
    /// Milliseconds left by the battery then.
    pub(super) time_left: Option<u64>,
}

/// How far a stop came, as far as the agent could still write it down.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reached {
    /// The operating system took the call.
    Accepted,
    /// It was going down.
    Halting,
    /// The hold was entered.
    Holding,
}

impl Shutdown {
    pub(super) fn new(number: u64, first: Moment) -> Self {
        Self {
            number,
            state: State::Declared,
            first,
            declared: None,
            declared_by: None,
            reasons: BTreeSet::new(),
            participants: BTreeSet::new(),
            time_left: None,
            time_needed: None,
            hosts: BTreeMap::new(),
            own: None,
            turned: None,
            ended: None,
            missing: BTreeSet::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Declared | State::Returning)
    }

    /// An order is never weakened by a battery.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.reasons.iter().map(|reason| reason.cause).max_by_key(|cause| *cause == Cause::Order)
    }

    pub(super) fn declare(&mut self, moment: Moment, by: &HostName, left: Option<u64>) {
        if self.declared.is_none() {
            self.declared = Some(moment);
            self.declared_by = Some(by.clone());
        }
        self.time_left = self.time_left.or(left);
    }

    /// Takes what this host saw of it when it noted something.
    pub(super) fn see(&mut self, seen: Option<&Seen>) {
        let Some(seen) = seen else { return };
        let Some(open) = seen.shutdown.as_ref().filter(|open| open.number == self.number) else {
            return;
        };
        self.reasons.extend(open.reasons.iter().cloned());
        self.participants.extend(open.participants.iter().cloned());
        self.time_left = self.time_left.or(open.time_left_ms);
        self.time_needed = self.time_needed.or(seen.time_needed_ms);
    }

    /// Takes what happens on the way down.
    pub(super) fn take(&mut self, moment: Moment, note: &Note, seen: Option<&Seen>) {
        let left = seen.and_then(|seen| seen.shutdown.as_ref()?.time_left_ms);
        if let Note::Released { host, how } = note {
            let other = self.hosts.entry(host.clone()).or_default();
            other.released = other.released.or(Some((moment, *how)));
        } else if let Note::Off { host } = note {
            let other = self.hosts.entry(host.clone()).or_default();
            other.off = other.off.or(Some(moment));
        } else if let Note::Lost { host } = note {
            self.hosts.entry(host.clone()).or_default().is_lost = true;
        } else if let Note::Began { end, why } = note {
            self.own.get_or_insert(Own {
                began: moment,
                end: *end,
                why: *why,
                attempts_failed: 0,
                reached: None,
                time_left: None,
            });
        } else if matches!(note, Note::StopAccepted) {
            self.reach(moment, Reached::Accepted, left);
        } else if let Note::StopFailed { .. } = note {
            self.own.as_mut().map(|own| own.attempts_failed += 1).unwrap_or_default();
        } else if matches!(note, Note::PhaseChanged { phase: Phase::Halting }) {
            self.reach(moment, Reached::Halting, left);
        } else if matches!(note, Note::PhaseChanged { phase: Phase::Holding }) {
            self.reach(moment, Reached::Holding, left);
        }
    }

    fn reach(&mut self, moment: Moment, reached: Reached, left: Option<u64>) {
        let Some(own) = &mut self.own else { return };
        if own.reached.is_some_and(|(_, known)| known != Reached::Accepted) {
            return;
        }
        own.reached = Some((moment, reached));
        own.time_left = left.or(own.time_left);
    }

    /// Returns from when to when this host was on its way down.
    pub(super) fn way_down(&self) -> Option<(Moment, Moment)> {
        Some((self.declared?, self.own?.reached?.0))
    }

    /// Returns the milliseconds that the battery had left when this host was done; below zero if it
    /// took longer than was left at the declaration. None for an order, and where a boot lies
    /// between.
    pub(super) fn margin(&self) -> Option<i64> {
        let (from, to) = self.way_down()?;
        if let Some(left) = self.own?.time_left.filter(|left| *left > 0) {
            return i64::try_from(left).ok();
        }
        if from.boot != to.boot {
            return None;
        }
        let used = i64::try_from(from.millis_until(to)).ok()?;
        Some(i64::try_from(self.time_left?).ok()? - used)
    }
}
