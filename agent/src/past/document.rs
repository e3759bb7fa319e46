//! The form in which the past is told, at `/api/v1/history` and as metrics.
//!
//! Newest first. Dates are of this host's wall clock; what is not known is `null`, never 0.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{
    BeginReason, Cause, End, HostName, PassReason, Reason, ReleaseProof, TurnReason,
};
use serde::Serialize;

use super::moment::{Moment, Span, seconds};
use super::outage::{self, Outage};
use super::recovery::{self, Recovery, Waking};
use super::shutdown::{self, Other, Reached, Shutdown};
use super::{Lines, Past};
use crate::clock;

/// The answer of `/api/v1/history`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document<'a> {
    version: &'static str,
    /// The host whose view this is.
    host: &'a HostName,
    history: Extent<'a>,
    totals: Totals,
    outages: Vec<OutageDocument>,
    shutdowns: Vec<ShutdownDocument<'a>>,
    recoveries: Vec<RecoveryDocument<'a>>,
}

/// What all of it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Extent<'a> {
    since: Option<String>,
    events: u64,
    unknown_events: u64,
    unreadable_lines: u64,
    failure: Option<&'a str>,
}

/// All that the history holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Totals {
    outages: u64,
    shutdowns: u64,
    recoveries: u64,
    on_battery_seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct OutageDocument {
    began: Option<String>,
    begin: outage::Word,
    ended: Option<String>,
    end: outage::Word,
    duration: Option<Span>,
    on_battery_seconds: f64,
    boots: u32,
    charge_percent: Range<u8>,
    runtime_left_seconds: Range<f64>,
    shutdown: Option<u64>,
}

/// A number at the begin and at its lowest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Range<T> {
    at_begin: Option<T>,
    lowest: Option<T>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ShutdownDocument<'a> {
    number: u64,
    state: shutdown::State,
    cause: Option<Cause>,
    reasons: &'a BTreeSet<Reason>,
    declared: Option<String>,
    declared_by: Option<&'a HostName>,
    participants: &'a BTreeSet<HostName>,
    time_left_seconds: Option<f64>,
    time_needed_seconds: Option<f64>,
    hosts: BTreeMap<&'a HostName, OtherDocument>,
    this_host: Option<OwnDocument>,
    duration: Option<Span>,
    margin_seconds: Option<f64>,
    turned: Option<String>,
    turn_reason: Option<TurnReason>,
    ended: Option<String>,
    missing: &'a BTreeSet<HostName>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct OtherDocument {
    released: Option<String>,
    released_after: Option<Span>,
    proof: Option<ReleaseProof>,
    off: Option<String>,
    off_after: Option<Span>,
    is_lost: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct OwnDocument {
    began: Option<String>,
    began_after: Option<Span>,
    why: BeginReason,
    end: End,
    attempts_failed: u32,
    reached: Option<Reached>,
    reached_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct RecoveryDocument<'a> {
    number: Option<u64>,
    state: recovery::State,
    began: Option<String>,
    is_conducted_here: bool,
    gates: BTreeMap<curfew_coordinator::Gate, GateDocument>,
    hosts: BTreeMap<&'a HostName, WakingDocument>,
    this_host: Option<BackDocument>,
    duration: Option<Span>,
    ended: Option<String>,
    missing: &'a BTreeSet<HostName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct GateDocument {
    passed_after: Option<Span>,
    by_limit: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct WakingDocument {
    first_packet: Option<String>,
    packets: u32,
    ready: Option<String>,
    took: Option<Span>,
    passed_by: Option<PassReason>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct BackDocument {
    back: Option<String>,
    away: Option<Span>,
}

/// The latest of each, for the metrics; what is not known is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latest {
    /// When the last outage began, in seconds since 1970.
    pub outage_at: Option<f64>,
    /// How long it lasted.
    pub outage_seconds: Option<f64>,
    /// When the last shutdown was declared.
    pub shutdown_at: Option<f64>,
    /// How long this host took to its end in it.
    pub shutdown_seconds: Option<f64>,
    /// What the battery had left then.
    pub shutdown_margin_seconds: Option<f64>,
    /// When the last recovery that ended began.
    pub recovery_at: Option<f64>,
    /// How long it took.
    pub recovery_seconds: Option<f64>,
    /// When the history begins.
    pub since: Option<f64>,
    /// The outages in it.
    pub outages: f64,
    /// The shutdowns in it.
    pub shutdowns: f64,
    /// The recoveries in it.
    pub recoveries: f64,
    /// The time on battery in it.
    pub on_battery_seconds: f64,
}

impl Past {
    /// Returns the document with at most `limit` of each.
    pub fn document(&self, limit: usize) -> Document<'_> {
        let Lines { known, unknown, unreadable, since } = self.lines;
        let recoveries = self.recoveries.iter().rev().filter(|recovery| recovery.is_told());
        Document {
            version: env!("CARGO_PKG_VERSION"),
            host: &self.me,
            history: Extent {
                since: since.map(clock::rfc3339),
                events: known,
                unknown_events: unknown,
                unreadable_lines: unreadable,
                failure: self.failure(),
            },
            totals: Totals {
                outages: self.totals.outages,
                shutdowns: self.totals.shutdowns,
                recoveries: self.recovery_count(),
                on_battery_seconds: self.on_battery_seconds(),
            },
            outages: self.outages.iter().rev().take(limit).map(OutageDocument::of).collect(),
            shutdowns: self.shutdowns.iter().rev().take(limit).map(ShutdownDocument::of).collect(),
            recoveries: recoveries.take(limit).map(RecoveryDocument::of).collect(),
        }
    }

    /// Returns the latest of each.
    pub fn latest(&self) -> Latest {
        let outage = self.outages.back();
        let shutdown = self.shutdowns.iter().rev().find(|shutdown| shutdown.declared.is_some());
        let recovery = self.recoveries.iter().rev().find(|it| it.is_told() && it.ended.is_some());
        let way_down = shutdown.and_then(Shutdown::way_down);
        let date = |it: Moment| (it.date > 0).then(|| float(it.date));
        let plain = |span: Span| span.seconds;
        Latest {
            outage_at: outage.and_then(|it| date(it.began)),
            outage_seconds: outage.and_then(duration_of).map(plain),
            shutdown_at: shutdown.and_then(|it| it.declared).and_then(date),
            shutdown_seconds: way_down.and_then(|(from, to)| from.until(to)).map(plain),
            shutdown_margin_seconds: shutdown.and_then(Shutdown::margin).map(signed_seconds),
            recovery_at: recovery.and_then(|it| date(it.began)),
            recovery_seconds: recovery.and_then(Recovery::took).map(plain),
            since: self.lines.since.map(float),
            outages: float(self.totals.outages),
            shutdowns: float(self.totals.shutdowns),
            recoveries: float(self.recovery_count()),
            on_battery_seconds: self.on_battery_seconds(),
        }
    }

    fn on_battery_seconds(&self) -> f64 {
        let kept = self.outages.iter().map(Outage::watched).fold(0, u64::saturating_add);
        seconds(self.totals.on_battery_before.saturating_add(kept))
    }

    fn recovery_count(&self) -> u64 {
        let is_untold = self.recoveries.back().is_some_and(|latest| !latest.is_told());
        self.totals.recoveries.saturating_sub(u64::from(is_untold))
    }
}

impl OutageDocument {
    fn of(outage: &Outage) -> Self {
        Self {
            began: outage.began.in_words(),
            begin: if outage.is_begin_seen { outage::Word::Seen } else { outage::Word::Found },
            ended: outage.ended().and_then(Moment::in_words),
            end: outage.end_word(),
            duration: duration_of(outage),
            on_battery_seconds: seconds(outage.watched()),
            boots: outage.boots,
            charge_percent: Range {
                at_begin: outage.charge_at_begin,
                lowest: outage.lowest_charge,
            },
            runtime_left_seconds: Range {
                at_begin: outage.runtime_at_begin.map(seconds),
                lowest: outage.lowest_runtime.map(seconds),
            },
            shutdown: outage.shutdown,
        }
    }
}

impl<'a> ShutdownDocument<'a> {
    fn of(shutdown: &'a Shutdown) -> Self {
        let from = shutdown.declared.unwrap_or(shutdown.first);
        let way_down = shutdown.way_down();
        Self {
            number: shutdown.number,
            state: shutdown.state,
            cause: shutdown.cause(),
            reasons: &shutdown.reasons,
            declared: shutdown.declared.and_then(Moment::in_words),
            declared_by: shutdown.declared_by.as_ref(),
            participants: &shutdown.participants,
            time_left_seconds: shutdown.time_left.map(seconds),
            time_needed_seconds: shutdown.time_needed.map(seconds),
            hosts: shutdown
                .hosts
                .iter()
                .map(|(host, other)| (host, OtherDocument::of(other, from)))
                .collect(),
            this_host: shutdown.own.map(|own| OwnDocument {
                began: own.began.in_words(),
                began_after: from.until(own.began),
                why: own.why,
                end: own.end,
                attempts_failed: own.attempts_failed,
                reached: own.reached.map(|(_, reached)| reached),
                reached_at: own.reached.and_then(|(at, _)| at.in_words()),
            }),
            duration: way_down.and_then(|(from, to)| from.until(to)),
            margin_seconds: shutdown.margin().map(signed_seconds),
            turned: shutdown.turned.and_then(|(at, _)| at.in_words()),
            turn_reason: shutdown.turned.map(|(_, why)| why),
            ended: shutdown.ended.and_then(Moment::in_words),
            missing: &shutdown.missing,
        }
    }
}

impl OtherDocument {
    fn of(other: &Other, from: Moment) -> Self {
        Self {
            released: other.released.and_then(|(at, _)| at.in_words()),
            released_after: other.released.and_then(|(at, _)| from.until(at)),
            proof: other.released.map(|(_, how)| how),
            off: other.off.and_then(Moment::in_words),
            off_after: other.off.and_then(|at| from.until(at)),
            is_lost: other.is_lost,
        }
    }
}

impl<'a> RecoveryDocument<'a> {
    fn of(recovery: &'a Recovery) -> Self {
        let gate = |(at, by_limit): (Moment, bool)| GateDocument {
            passed_after: recovery.began.until(at),
            by_limit,
        };
        Self {
            number: recovery.number,
            state: recovery.state,
            began: recovery.began.in_words(),
            is_conducted_here: recovery.is_conducted_here,
            gates: recovery.gates.iter().map(|(name, it)| (*name, gate(*it))).collect(),
            hosts: recovery
                .hosts
                .iter()
                .map(|(host, waking)| (host, WakingDocument::of(waking)))
                .collect(),
            this_host: recovery
                .own
                .map(|(back, left)| BackDocument { back: back.in_words(), away: left.until(back) }),
            duration: recovery.took(),
            ended: recovery.ended.and_then(Moment::in_words),
            missing: &recovery.missing,
        }
    }
}

impl WakingDocument {
    fn of(waking: &Waking) -> Self {
        Self {
            first_packet: waking.first_packet.and_then(Moment::in_words),
            packets: waking.packets,
            ready: waking.ready.and_then(Moment::in_words),
            took: waking.first_packet.zip(waking.ready).and_then(|(from, to)| from.until(to)),
            passed_by: waking.passed_by.map(|(_, why)| why),
        }
    }
}

fn duration_of(outage: &Outage) -> Option<Span> {
    outage.began.until(outage.ended()?)
}

#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years of milliseconds")]
fn signed_seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53: dates and counts")]
fn float(value: u64) -> f64 {
    value as f64
}
