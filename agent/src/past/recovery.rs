//! One recovery, as this host conducted it or came back in it.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{Gate, HostName, Note, PassReason};
use serde::Serialize;

use super::moment::{Moment, Span};

/// A recovery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Recovery {
    /// The shutdown that it follows; none for a host that was owed outside of any.
    pub(super) number: Option<u64>,
    pub(super) state: State,
    pub(super) began: Moment,
    pub(super) is_conducted_here: bool,
    pub(super) gates: BTreeMap<Gate, (Moment, bool)>,
    pub(super) hosts: BTreeMap<HostName, Waking>,
    /// When this host came back in it, and the last that it had said before.
    pub(super) own: Option<(Moment, Moment)>,
    pub(super) ended: Option<Moment>,
    pub(super) missing: BTreeSet<HostName>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Running,
    Ended,
    /// The next shutdown has taken its hosts over.
    Interrupted,
    /// What became of it is not in the history.
    Unknown,
}

/// How a host was woken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Waking {
    pub(super) first_packet: Option<Moment>,
    pub(super) packets: u32,
    pub(super) ready: Option<Moment>,
    pub(super) passed_by: Option<(Moment, PassReason)>,
}

impl Recovery {
    pub(super) fn new(number: Option<u64>, began: Moment) -> Self {
        Self {
            number,
            state: State::Running,
            began,
            is_conducted_here: false,
            gates: BTreeMap::new(),
            hosts: BTreeMap::new(),
            own: None,
            ended: None,
            missing: BTreeSet::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Running
    }

    /// Returns whether there is something to tell: a conductor that found nobody to wake did none.
    pub(super) fn is_told(&self) -> bool {
        self.number.is_some() || !self.hosts.is_empty()
    }

    /// Takes what happens on the way up. A host may come after the end, and its packets, too.
    pub(super) fn take(&mut self, moment: Moment, note: &Note) {
        if let Note::GatePassed { gate, by_limit } = note {
            // One that battery takes back is passed again: the last time counts.
            self.gates.insert(*gate, (moment, *by_limit));
        } else if let Note::Woken { host } = note {
            let waking = self.hosts.entry(host.clone()).or_default();
            waking.first_packet = waking.first_packet.or(Some(moment));
            waking.packets = waking.packets.saturating_add(1);
            self.wait_for_owed();
        } else if let Note::Ready { host } = note {
            let waking = self.hosts.entry(host.clone()).or_default();
            waking.ready = waking.ready.or(Some(moment));
            self.end_without_number(moment);
        } else if let Note::PassedBy { host, why } = note {
            self.hosts.entry(host.clone()).or_default().passed_by = Some((moment, *why));
            self.end_without_number(moment);
        }
    }

    pub(super) fn end(&mut self, moment: Moment, missing: &BTreeSet<HostName>) {
        self.state = State::Ended;
        self.ended = Some(moment);
        self.missing.extend(missing.iter().cloned());
    }

    /// Returns how long it took.
    pub(super) fn took(&self) -> Option<Span> {
        self.began.until(self.ended?)
    }

    /// Nobody notes the end of one that belongs to no shutdown: it is over with its last host.
    fn end_without_number(&mut self, moment: Moment) {
        let is_done = |waking: &Waking| waking.ready.is_some() || waking.passed_by.is_some();
        if self.number.is_none() && self.hosts.values().all(is_done) {
            self.end(moment, &BTreeSet::new());
        }
    }

    fn wait_for_owed(&mut self) {
        if self.number.is_none() && self.state == State::Ended {
            let is_done = |waking: &Waking| waking.ready.is_some() || waking.passed_by.is_some();
            if !self.hosts.values().all(is_done) {
                self.state = State::Running;
                self.ended = None;
            }
        }
    }
}
