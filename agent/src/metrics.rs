//! The names of all metrics, with their labels and meanings; `docs/metrics.md` has the same list.
//!
//! What describes the present is collected anew from a [`Snapshot`](crate::snapshot::Snapshot) at
//! each scrape, so that what is gone leaves no series behind: an absent value is an absent series,
//! never 0. What counts up lives in [`Counters`] for as long as the agent does.

mod battery;
mod counter;
mod filesystem;
mod holding;
mod host;
mod nfs_family;
mod nfs_server;
mod nut;
mod page;
mod past;
mod smart;
#[cfg(test)]
pub(crate) mod tests;
mod units;

pub use curfew_host::{Family, Kind};

pub use self::counter::Counters;
pub use self::host::{HostMetrics, Sources};
pub use self::page::{collect, collect_standby, render};
pub use self::units::collect_units;

/// All metrics of our own but those of the host and of its NFS server, and the two of the UPS that
/// have a form of their own.
const OWN: [&Family; 28] = [
    &BUILD_INFO,
    &PHASE,
    &HOST_PRESENCE,
    &PLANNED_STOP,
    &PEER_UP,
    &PEER_WITHOUT_AGENT,
    &PEER_REFUSED,
    &UPS_READING_AGE,
    &UPS_RETURN_PROMISED,
    &UPS_CUT_METHOD,
    &UPS_FOREIGN_CLIENTS,
    &TRIGGER,
    &SHUTDOWN,
    &PLAN_TIME_NEEDED,
    &PLAN_RUNTIME_LEFT,
    &PLAN_MARGIN,
    &STOP_TIME,
    &WAKE_PACKETS,
    &HEALTH_STATUS,
    &CERTIFICATE_EXPIRY,
    &JOURNAL_DURABLE,
    &JOURNAL_WRITE_FAILURES,
    &HISTORY_EVENTS_LOST,
    &TALOS_INFO,
    &TALOS_STAGE,
    &TALOS_CONTACT,
    &NUT_STATUS,
    &NUT_DEVICE_INFO,
];

/// Returns all metrics that have a form of their own; for the numeric variables of the UPS see
/// `docs/metrics.md`.
pub fn families() -> impl Iterator<Item = &'static Family> {
    let host = holding::FAMILIES.into_iter().chain(filesystem::FAMILIES).chain(past::FAMILIES);
    let host = host.chain(battery::FAMILIES).chain(smart::FAMILIES);
    OWN.into_iter().chain(nfs_family::FAMILIES).chain(host)
}

pub(crate) const BUILD_INFO: Family = Family {
    name: "curfew_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1; the version of the agent is a label.",
};
pub(crate) const PHASE: Family = Family {
    name: "curfew_phase",
    kind: Kind::Gauge,
    labels: &["host", "phase"],
    help: "1 for the phase in which the host was last heard, 0 for the others; no series for a \
           host that was never heard.",
};
pub(crate) const HOST_PRESENCE: Family = Family {
    name: "curfew_host_presence",
    kind: Kind::Gauge,
    labels: &["host", "presence"],
    help: "1 for what this host knows of whether the other is there, 0 for the rest.",
};
pub(crate) const PLANNED_STOP: Family = Family {
    name: "curfew_planned_stop",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "1 while somebody stops the host, or has stopped it, outside of any shutdown, else 0.",
};
pub(crate) const PEER_UP: Family = Family {
    name: "curfew_peer_up",
    kind: Kind::Gauge,
    labels: &["peer"],
    help: "1 while a session with the agent of that host is open, else 0.",
};
pub(crate) const PEER_WITHOUT_AGENT: Family = Family {
    name: "curfew_peer_without_agent",
    kind: Kind::Gauge,
    labels: &["peer"],
    help: "1 while the machine of that host answers and its agent has not for 3 min, else 0.",
};
pub(crate) const PEER_REFUSED: Family = Family {
    name: "curfew_peer_refused_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Connections and messages that were refused, by us or by a peer.",
};
pub(crate) const UPS_READING_AGE: Family = Family {
    name: "curfew_ups_reading_age_seconds",
    kind: Kind::Gauge,
    labels: &["ups"],
    help: "Time since upsd last gave a reading; absent if it never did.",
};
pub(crate) const UPS_RETURN_PROMISED: Family = Family {
    name: "curfew_ups_return_promised",
    kind: Kind::Gauge,
    labels: &["ups"],
    help: "1 if the owner will power off and have the UPS cut, since it comes back; 0 if it will \
           hold; absent until that is known, and on other hosts unless the file says it.",
};
pub(crate) const UPS_CUT_METHOD: Family = Family {
    name: "curfew_ups_cut_method",
    kind: Kind::Gauge,
    labels: &["ups", "method"],
    help: "Always 1; the command by which the UPS can be cut, on its owner; absent if it offers \
           none.",
};
pub(crate) const UPS_FOREIGN_CLIENTS: Family = Family {
    name: "curfew_ups_foreign_clients",
    kind: Kind::Gauge,
    labels: &["ups"],
    help: "NUT clients logged in to upsd that are not on its owner, counted there; absent if that \
           is not known.",
};
pub(crate) const TRIGGER: Family = Family {
    name: "curfew_trigger",
    kind: Kind::Gauge,
    labels: &["trigger"],
    help: "1 for each trigger that holds on this host, or is a reason of the open shutdown, \
           else 0.",
};
pub(crate) const SHUTDOWN: Family = Family {
    name: "curfew_shutdown",
    kind: Kind::Gauge,
    labels: &["number", "state", "cause"],
    help: "1 for the shutdown that has not ended; absent without one.",
};
pub(crate) const PLAN_TIME_NEEDED: Family = Family {
    name: "curfew_plan_time_needed_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "What an ordered stop of all hosts takes: the critical path of the stop times.",
};
pub(crate) const PLAN_RUNTIME_LEFT: Family = Family {
    name: "curfew_plan_runtime_left_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "The runtime of the battery that counts; absent without a credible one.",
};
pub(crate) const PLAN_MARGIN: Family = Family {
    name: "curfew_plan_margin_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Runtime left less time needed and reserve; below zero the plan does not fit.",
};
pub(crate) const STOP_TIME: Family = Family {
    name: "curfew_stop_time_seconds",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "The stop time of the host that counts, measured or assumed.",
};
pub(crate) const WAKE_PACKETS: Family = Family {
    name: "curfew_wake_packets_total",
    kind: Kind::Counter,
    labels: &["host"],
    help: "Magic packets that this agent sent to the host.",
};
pub(crate) const HEALTH_STATUS: Family = Family {
    name: "curfew_health_status",
    kind: Kind::Gauge,
    labels: &["check", "status"],
    help: "1 for the state of the check, 0 for the others.",
};
pub(crate) const CERTIFICATE_EXPIRY: Family = Family {
    name: "curfew_certificate_expiry_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["holder"],
    help: "When the certificate of a host, or of the authority, runs out; peers with an open \
           session only.",
};
pub(crate) const JOURNAL_DURABLE: Family = Family {
    name: "curfew_journal_durable",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while the latest state is on disk, 0 while the agent goes on from memory.",
};
pub(crate) const JOURNAL_WRITE_FAILURES: Family = Family {
    name: "curfew_journal_write_failures_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Writes of the state that failed or took more than their second.",
};
pub(crate) const HISTORY_EVENTS_LOST: Family = Family {
    name: "curfew_history_events_lost_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Events that are missing in the history because the disk was too slow.",
};
pub(crate) const TALOS_INFO: Family = Family {
    name: "curfew_talos_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1 on a Talos host; the version of Talos is a label; absent until it is known.",
};
pub(crate) const TALOS_STAGE: Family = Family {
    name: "curfew_talos_stage",
    kind: Kind::Gauge,
    labels: &["stage"],
    help: "1 for the stage in which Talos says this node is, 0 for the others; absent while it \
           is not known.",
};
pub(crate) const TALOS_CONTACT: Family = Family {
    name: "curfew_talos_contact",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while machined tells this agent its events, else 0; absent on other hosts.",
};
pub(crate) const NUT_STATUS: Family = Family {
    name: "network_ups_tools_ups_status",
    kind: Kind::Gauge,
    labels: &["ups", "flag"],
    help: "1 for each flag in ups.status, 0 for the usual ones that are not there.",
};
pub(crate) const NUT_DEVICE_INFO: Family = Family {
    name: "network_ups_tools_device_info",
    kind: Kind::Gauge,
    labels: &[
        "ups",
        "model",
        "mfr",
        "serial",
        "type",
        "description",
        "contact",
        "location",
        "part",
        "macaddr",
    ],
    help: "Always 1; what the UPS says of itself are labels.",
};
/// Before the name of each numeric variable, with `_` for what a metric's name cannot have.
pub(crate) const NUT_PREFIX: &str = "network_ups_tools_";
/// The label that such a series has.
pub(crate) const NUT_LABEL: &str = "ups";
