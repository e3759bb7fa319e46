//! One outage of the mains, as this host saw it.

use serde::Serialize;

use super::moment::Moment;
use crate::journal::Seen;

/// An outage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Outage {
    pub(super) began: Moment,
    /// This host saw the mains go; else it found them gone.
    pub(super) is_begin_seen: bool,
    pub(super) end: End,
    pub(super) charge_at_begin: Option<u8>,
    pub(super) runtime_at_begin: Option<u64>,
    pub(super) lowest_charge: Option<u8>,
    pub(super) lowest_runtime: Option<u64>,
    /// The shutdown that it led to.
    pub(super) shutdown: Option<u64>,
    /// In how many boots this host was on battery.
    pub(super) boots: u32,
    /// When the present boot found itself in it.
    since: Moment,
    /// The last that this host said in it.
    latest: Moment,
    /// Milliseconds in boots before the present one.
    watched_before: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// It has not, as far as is known.
    Open,
    /// The mains came back before the eyes of this host.
    Seen(Moment),
    /// They were there again when this host looked next.
    Found(Moment),
    /// Nobody wrote that down.
    Unknown,
}

/// The word for how it began or ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    Open,
    Seen,
    Found,
    Unknown,
}

impl Outage {
    pub(super) fn new(began: Moment, is_begin_seen: bool) -> Self {
        Self {
            began,
            is_begin_seen,
            end: End::Open,
            charge_at_begin: None,
            runtime_at_begin: None,
            lowest_charge: None,
            lowest_runtime: None,
            shutdown: None,
            boots: 1,
            since: began,
            latest: began,
            watched_before: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.end == End::Open
    }

    /// Returns whether the present boot of the history is in it.
    pub(super) fn is_of_boot(&self, boot: u32) -> bool {
        self.latest.boot == boot
    }

    /// Takes any line of the history while it is open.
    pub(super) fn advance(&mut self, moment: Moment, seen: Option<&Seen>) {
        if !self.is_of_boot(moment.boot) {
            return;
        }
        self.latest = moment;
        let Some(seen) = seen else { return };
        self.charge_at_begin = self.charge_at_begin.or(seen.charge_percent);
        self.runtime_at_begin = self.runtime_at_begin.or(seen.runtime_left_ms);
        self.lowest_charge = lower(self.lowest_charge, seen.charge_percent);
        self.lowest_runtime = lower(self.lowest_runtime, seen.runtime_left_ms);
    }

    /// Another boot finds itself in it.
    pub(super) fn go_on(&mut self, moment: Moment) {
        self.watched_before = self.watched();
        self.since = moment;
        self.latest = moment;
        self.boots = self.boots.saturating_add(1);
    }

    /// Returns the milliseconds for which this host saw the UPS on battery.
    pub(super) fn watched(&self) -> u64 {
        let until = match self.end {
            End::Seen(at) | End::Found(at) if at.boot == self.since.boot => at,
            End::Seen(_) | End::Found(_) | End::Open | End::Unknown => self.latest,
        };
        self.watched_before.saturating_add(self.since.millis_until(until))
    }

    /// Returns when it was over, at the latest.
    pub(super) fn ended(&self) -> Option<Moment> {
        match self.end {
            End::Seen(at) | End::Found(at) => Some(at),
            End::Open | End::Unknown => None,
        }
    }

    pub(super) fn end_word(&self) -> Word {
        match self.end {
            End::Open => Word::Open,
            End::Seen(_) => Word::Seen,
            End::Found(_) => Word::Found,
            End::Unknown => Word::Unknown,
        }
    }
}

fn lower<T: Ord>(known: Option<T>, seen: Option<T>) -> Option<T> {
    match (known, seen) {
        (Some(known), Some(seen)) => Some(known.min(seen)),
        (known, seen) => known.or(seen),
    }
}
