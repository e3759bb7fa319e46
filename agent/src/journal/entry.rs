//! A line of the history: what happened, when, and what this host saw at that moment.
//!
//! Every field that was added later may be absent, so that older histories can be read; an event
//! that this version does not know leaves the moment at which it was.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{BootId, Date, HostName, Note, Phase, Reason, Status, Time};
use serde::{Deserialize, Serialize};

/// One line of the history.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// The date, as good as the wall clock.
    pub date: Date,
    /// The moment on the boot clock.
    #[serde(rename = "boot_ms")]
    pub at: Time,
    /// The boot.
    pub boot: BootId,
    /// What happened.
    #[serde(flatten)]
    pub note: Noted,
    /// What this host saw, for what a person asks about later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Box<Seen>>,
}

/// What happened, by whoever noted it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Noted {
    /// The coordinator.
    Coordinator(Note),
    /// The agent around it.
    Agent(AgentNote),
}

impl From<Note> for Noted {
    fn from(note: Note) -> Self {
        Self::Coordinator(note)
    }
}

/// What the agent notes by itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum AgentNote {
    /// The first reading after a start: that the mains are back is no change to an agent that has
    /// not seen them go.
    LineSeen {
        /// What it said.
        supply: Supply,
    },
}

/// What feeds the UPS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Supply {
    /// The mains.
    Mains,
    /// Its battery.
    Battery,
}

/// What this host saw when something happened.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Seen {
    /// The credible charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_percent: Option<u8>,
    /// The credible runtime left, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_left_ms: Option<u64>,
    /// What an ordered stop would take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_needed_ms: Option<u64>,
    /// The open shutdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<SeenShutdown>,
}

/// The open shutdown as it was then.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SeenShutdown {
    /// Its number.
    pub number: u64,
    /// Why.
    #[serde(default)]
    pub reasons: BTreeSet<Reason>,
    /// Who takes part.
    #[serde(default)]
    pub participants: BTreeSet<HostName>,
    /// The time left in milliseconds, if a battery sets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_left_ms: Option<u64>,
}

impl Seen {
    /// Returns what `status` says, if `note` is one about which a person asks later.
    pub fn at(note: &Note, status: impl FnOnce() -> Status) -> Option<Box<Self>> {
        let is_asked_about = matches!(
            note,
            Note::MainsLost
                | Note::MainsBack
                | Note::Declared { .. }
                | Note::Latched { .. }
                | Note::Began { .. }
                | Note::PhaseChanged { phase: Phase::Holding | Phase::Halting }
                | Note::Turned { .. }
                | Note::Conducting { .. }
                | Note::Ended { .. }
        );
        is_asked_about.then(|| Box::new(Self::of(&status())))
    }

    fn of(status: &Status) -> Self {
        let shutdown = status.shutdown.as_ref().map(|open| SeenShutdown {
            number: open.number,
            reasons: open.reasons.clone(),
            participants: open.participants.clone(),
            time_left_ms: open.time_left.map(millis),
        });
        Self {
            charge_percent: status.ups.charge,
            runtime_left_ms: status.ups.runtime_left.map(millis),
            time_needed_ms: Some(millis(status.plan.time_needed)),
            shutdown,
        }
    }
}

/// The part of a line that every version has, so that an event of a newer one has its moment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Head {
    /// The date, as good as the wall clock.
    pub date: Date,
    /// The moment on the boot clock.
    #[serde(rename = "boot_ms")]
    pub at: Time,
    /// The boot.
    pub boot: BootId,
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
