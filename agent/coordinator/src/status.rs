//! What a person or a monitor wants to know, as one plain value.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Abilities, BootId, Gate, HostName, Line, OsStop, Owed, Phase, Reason, Standing, StopTime,
    Trigger,
};

/// The whole view of one host, at one moment.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Status {
    /// The host that says it.
    pub host: HostName,
    /// The UPS owner.
    pub owner: HostName,
    /// Its own phase.
    pub phase: Phase,
    /// It has not begun because it reads mains.
    pub is_paused: bool,
    /// It conducts a recovery.
    pub is_conducting: bool,
    /// Where that recovery stands.
    #[serde(default)]
    pub recovery: Option<RecoveryStatus>,
    /// Somebody stops the OS of this host outside of any shutdown that it takes part in.
    pub planned_stop: Option<OsStop>,
    /// The hosts that need this one, are there and hold mounts of it, or may: a stop of this host
    /// at this moment hurts them.
    #[serde(default)]
    pub live_dependents: BTreeSet<HostName>,
    /// The UPS as this host sees it.
    pub ups: UpsStatus,
    /// The plan as of now: what an outage would take.
    pub plan: PlanStatus,
    /// The triggers that hold at this moment, whether or not for long enough.
    pub triggers: BTreeSet<Trigger>,
    /// The shutdown that has not ended.
    pub shutdown: Option<ShutdownStatus>,
    /// The highest number that has ended.
    pub ended: u64,
    /// The hosts, by name; this host is among them.
    pub hosts: BTreeMap<HostName, HostStatus>,
    /// The hosts that somebody must still wake, or that are off by intent.
    pub owed: BTreeMap<HostName, Owed>,
    /// Sentences about what is wrong, with the remedy.
    pub warnings: BTreeSet<String>,
    /// Records cannot be made durable; the text says why.
    pub journal_failure: Option<String>,
}

/// A recovery that this host conducts.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct RecoveryStatus {
    /// What holds back all packets.
    pub gate: Option<Gate>,
    /// The hosts that it has turned to and that do not serve yet, nor were reported.
    pub turned_to: BTreeSet<HostName>,
}

/// The UPS.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct UpsStatus {
    /// Its name.
    pub name: String,
    /// Mains or battery, by a fresh reading.
    pub line: Line,
    /// Time since the last reading; none if there never was one.
    #[serde(rename = "age_seconds", with = "crate::seconds::option")]
    pub age: Option<Duration>,
    /// How long it has been on battery.
    #[serde(rename = "on_battery_for_seconds", with = "crate::seconds::option")]
    pub on_battery_for: Option<Duration>,
    /// The credible charge in percent.
    pub charge: Option<u8>,
    /// The credible runtime left.
    #[serde(rename = "runtime_left_seconds", with = "crate::seconds::option")]
    pub runtime_left: Option<Duration>,
    /// `OB LB`.
    pub is_low: bool,
    /// What it can do; none before the owner has probed it, and on other hosts.
    pub abilities: Option<Abilities>,
    /// Whether return is promised, by the file or by what it offers.
    pub is_return_promised: bool,
    /// `FSD` is latched in `upsd` on mains, though no shutdown is open.
    #[serde(default)]
    pub is_force_left_over: bool,
    /// Why there is no reading, if there is none.
    pub missed: Option<String>,
}

/// What an outage would take.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct PlanStatus {
    /// The critical path.
    #[serde(rename = "time_needed_seconds", with = "crate::seconds")]
    pub time_needed: Duration,
    /// The runtime that counts.
    #[serde(rename = "runtime_left_seconds", with = "crate::seconds::option")]
    pub runtime_left: Option<Duration>,
    /// Runtime left less time needed and reserve, in milliseconds; below zero it does not fit.
    #[serde(rename = "margin_seconds", with = "crate::seconds::signed_millis")]
    pub margin_millis: Option<i64>,
    /// Stop times that count, by host, and whether they were measured.
    pub stop_times: BTreeMap<HostName, PlannedStop>,
}

/// The stop time of a host that counts.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct PlannedStop {
    /// How long it takes.
    #[serde(rename = "takes_seconds", with = "crate::seconds")]
    pub takes: Duration,
    /// The measurements behind it; empty if it is assumed.
    pub measured: Vec<StopTime>,
    /// The latest start from now, where there is a battery that sets one.
    #[serde(rename = "latest_start_in_seconds", with = "crate::seconds::option")]
    pub latest_start_in: Option<Duration>,
}

/// The shutdown that has not ended.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ShutdownStatus {
    /// Its number.
    pub number: u64,
    /// Where it stands.
    pub standing: Standing,
    /// Why.
    pub reasons: BTreeSet<Reason>,
    /// Who takes part.
    pub participants: BTreeSet<HostName>,
    /// The time left, if a battery sets one.
    #[serde(rename = "time_left_seconds", with = "crate::seconds::option")]
    pub time_left: Option<Duration>,
    /// The plan did not fit the battery when it was declared.
    pub is_compressed: bool,
}

/// One host, as seen from here.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct HostStatus {
    /// Its last known phase; none if it was never heard.
    pub phase: Option<Phase>,
    /// Whether it is there.
    pub presence: Presence,
    /// What its silence means, by looks at its machine in calm times; none while it is not silent,
    /// or has not been for long enough.
    #[serde(default)]
    pub absence: Option<Absence>,
    /// Somebody stops it, or has stopped it, outside of any shutdown; until it is heard without.
    pub planned_stop: Option<OsStop>,
    /// Time since it was last heard, by whomever.
    #[serde(rename = "heard_seconds_ago", with = "crate::seconds::option")]
    pub heard: Option<Duration>,
    /// The needs that it waits for.
    pub waiting_for: BTreeSet<HostName>,
    /// Serves, in the eyes of this host; none if nobody looked.
    pub is_ready: Option<bool>,
    /// The hosts of which it has NFS mounts, as it says itself; none if it cannot tell.
    #[serde(default)]
    pub mounts: Option<BTreeSet<HostName>>,
    /// The addresses under which those know it as a client.
    #[serde(default)]
    pub client_addresses: BTreeSet<IpAddr>,
    /// The version of its agent.
    pub version: Option<String>,
    /// Its cluster file differs from this host's.
    pub has_other_file: bool,
    /// Its boot.
    pub boot: Option<BootId>,
    /// Its wall clock differs from this host's by this many seconds.
    pub clock_skew_seconds: Option<i64>,
}

/// What looks at the machine of a host have shown whose agent is silent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// The machine answers: it runs without its agent.
    WithoutAgent,
    /// The machine does not answer: it is off, or cut off.
    NoMachine,
}

/// Whether a host is there, as seen from here.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Not heard since this agent started, and nothing proven.
    Unknown,
    /// A session with it is open.
    Connected,
    /// Its session ended; nothing is proven yet.
    Silent,
    /// It fell silent without ever having said `stopping`.
    Lost,
    /// It is proven off.
    Off,
}
