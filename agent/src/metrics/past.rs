//! The last outage, shutdown and recovery of this host, by its history.
//!
//! All are gauges: they come from a history that goes on over restarts of the agent and forgets its
//! beginning when its file has been rotated twice.

use super::page::Page;
use super::{Family, Kind};
use crate::past::{Latest, Past};

/// All of them.
pub(super) const FAMILIES: [&Family; 12] = [
    &HISTORY_START,
    &HISTORY_OUTAGES,
    &HISTORY_SHUTDOWNS,
    &HISTORY_RECOVERIES,
    &HISTORY_ON_BATTERY,
    &OUTAGE_AT,
    &OUTAGE_DURATION,
    &SHUTDOWN_AT,
    &SHUTDOWN_DURATION,
    &SHUTDOWN_MARGIN,
    &RECOVERY_AT,
    &RECOVERY_DURATION,
];

/// Records the latest of each; what there never was, or is not known, has no series.
pub(super) fn record(page: &mut Page, past: &Past) {
    let Latest {
        outage_at,
        outage_seconds,
        shutdown_at,
        shutdown_seconds,
        shutdown_margin_seconds,
        recovery_at,
        recovery_seconds,
        since,
        outages,
        shutdowns,
        recoveries,
        on_battery_seconds,
    } = past.latest();
    for (family, value) in [
        (&HISTORY_START, since),
        (&HISTORY_OUTAGES, Some(outages)),
        (&HISTORY_SHUTDOWNS, Some(shutdowns)),
        (&HISTORY_RECOVERIES, Some(recoveries)),
        (&HISTORY_ON_BATTERY, Some(on_battery_seconds)),
        (&OUTAGE_AT, outage_at),
        (&OUTAGE_DURATION, outage_seconds),
        (&SHUTDOWN_AT, shutdown_at),
        (&SHUTDOWN_DURATION, shutdown_seconds),
        (&SHUTDOWN_MARGIN, shutdown_margin_seconds),
        (&RECOVERY_AT, recovery_at),
        (&RECOVERY_DURATION, recovery_seconds),
    ] {
        if let Some(value) = value {
            page.set(family, [], value);
        }
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: &[], help }
}

pub(crate) const HISTORY_START: Family = gauge(
    "curfew_history_start_timestamp_seconds",
    "When the history of this host begins; absent while it is empty.",
);
pub(crate) const HISTORY_OUTAGES: Family = gauge(
    "curfew_history_outages",
    "Outages of the mains in the history of this host; less when its oldest file goes.",
);
pub(crate) const HISTORY_SHUTDOWNS: Family = gauge(
    "curfew_history_shutdowns",
    "Shutdowns in the history of this host; less when its oldest file goes.",
);
pub(crate) const HISTORY_RECOVERIES: Family = gauge(
    "curfew_history_recoveries",
    "Recoveries in the history of this host; less when its oldest file goes.",
);
pub(crate) const HISTORY_ON_BATTERY: Family = gauge(
    "curfew_history_on_battery_seconds",
    "How long this host has seen the UPS on battery, in all outages of its history.",
);
pub(crate) const OUTAGE_AT: Family = gauge(
    "curfew_last_outage_timestamp_seconds",
    "When the mains last went, as seen by this host; absent without an outage.",
);
pub(crate) const OUTAGE_DURATION: Family = gauge(
    "curfew_last_outage_duration_seconds",
    "How long they were away, at most if this host was off at their return; absent until they are \
     back.",
);
pub(crate) const SHUTDOWN_AT: Family = gauge(
    "curfew_last_shutdown_timestamp_seconds",
    "When this host last declared a shutdown, or latched one; absent without one.",
);
pub(crate) const SHUTDOWN_DURATION: Family = gauge(
    "curfew_last_shutdown_duration_seconds",
    "From then until this host held, or was going down; absent if it did not come to that.",
);
pub(crate) const SHUTDOWN_MARGIN: Family = gauge(
    "curfew_last_shutdown_margin_seconds",
    "What the battery had left by then; below zero it came too late; absent for an order.",
);
pub(crate) const RECOVERY_AT: Family = gauge(
    "curfew_last_recovery_timestamp_seconds",
    "When the last recovery that has ended began for this host; absent without one.",
);
pub(crate) const RECOVERY_DURATION: Family = gauge(
    "curfew_last_recovery_duration_seconds",
    "How long it took until it ended: on the conductor until the last host was ready or given up.",
);
