//! What a UPS said: one consistent snapshot, reduced to what decisions rest on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether the mains feed the UPS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Line {
    /// `OL` without `OB`.
    Mains,
    /// `OB` without `OL`.
    Battery,
    /// Neither or both, `WAIT`, stale data, no driver, or `OB` during a calibration: never taken
    /// for one of the others.
    Unknown,
}

/// One reading of `upsd`, taken at the moment of the event that carries it.
///
/// A missing variable is absent, never 0. Values that a UPS uses for "unknown" (−1, 65535, a
/// runtime of 0) may be present: the gauge sorts them out.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Reading {
    /// Mains or battery.
    pub line: Line,
    /// `LB`.
    pub is_low: bool,
    /// `FSD`.
    pub is_forced: bool,
    /// `CAL`.
    pub is_calibrating: bool,
    /// `battery.charge` in whole percent, 0 to 100.
    pub charge: Option<u8>,
    /// `battery.runtime`.
    pub runtime: Option<Duration>,
    /// `ups.load` in whole percent.
    pub load: Option<u8>,
    /// The connection to `upsd` over which it came: another number may be another `upsd` process.
    pub connection: u64,
    /// Foreign clients logged in to this UPS, where that is known.
    pub foreign_clients: Option<u32>,
}

/// A peer's reading, as told: aged from the moment when it came from `upsd`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct PeerReading {
    /// Mains or battery.
    pub line: Line,
    /// `LB`.
    pub is_low: bool,
    /// Charge in whole percent.
    pub charge: Option<u8>,
    /// The peer's credible runtime left.
    pub runtime_left: Option<Duration>,
    /// Time since `upsd` gave it.
    pub age: Duration,
}

/// What the UPS can do, as probed by its owner.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Abilities {
    /// It offers `shutdown.return`, or `load.on.delay`.
    pub returns: bool,
    /// `ups.delay.shutdown`: between the command and the opening of the output.
    #[serde(rename = "shutdown_delay_seconds", with = "crate::seconds::option")]
    pub shutdown_delay: Option<Duration>,
}
