//! What a host tells its peers: its whole state, once a second and on change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Date, HostName, OsStop, Owed, PeerReading, Phase, Plan, Reason, Session, StopTime};

/// The whole state of one host.
///
/// All ages and times left are as of the moment of composing; [`StateMessage::aged`] brings them to
/// the moment of sending. Receiving is idempotent.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct StateMessage {
    /// The sender.
    pub host: HostName,
    /// The run of its agent.
    pub session: Session,
    /// Rises with each message of a boot, through all sessions of it.
    pub sequence: u64,
    /// The version of the agent.
    pub version: String,
    /// The hash of its cluster file.
    pub file_hash: String,
    /// Whether this belongs to a drill; drill states never count in an outage.
    pub is_drill: bool,
    /// Its phase.
    pub phase: Phase,
    /// Somebody stops its OS outside of any shutdown that it takes part in.
    pub planned: Option<OsStop>,
    /// The needs that are not ready yet; empty says that it is ready itself.
    pub waiting_for: BTreeSet<HostName>,
    /// Its own last reading, if it has one that is fresh.
    pub reading: Option<PeerReading>,
    /// The shutdown that is open for it.
    pub shutdown: Option<ToldShutdown>,
    /// The highest number that has ended.
    pub ended: u64,
    /// The highest number that it has heard of.
    pub highest: u64,
    /// The hosts that somebody must still wake, or that are off by intent.
    pub owed: BTreeMap<HostName, Owed>,
    /// What it last heard of every other host, itself.
    pub heard: BTreeMap<HostName, HeardOf>,
    /// The hosts of which it has NFS mounts; none if it cannot tell.
    pub mounts: Option<BTreeSet<HostName>>,
    /// The addresses under which those know it as a client, as far as its mounts say.
    pub client_addresses: BTreeSet<IpAddr>,
    /// The stop times that it has measured or heard of.
    pub stop_times: BTreeMap<HostName, Vec<StopTime>>,
    /// Its wall clock, to find clocks that differ.
    pub date: Option<Date>,
}

/// What a host last heard of another one, at first hand.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct HeardOf {
    /// The run of that agent.
    pub session: Session,
    /// The sequence of the message.
    pub sequence: u64,
    /// Its phase.
    pub phase: Phase,
    /// Its planned stop.
    pub planned: Option<OsStop>,
    /// Its mounts.
    pub mounts: Option<BTreeSet<HostName>>,
    /// How long ago.
    pub age: Duration,
}

/// The open shutdown, as a host tells it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ToldShutdown {
    /// Its number.
    pub number: u64,
    /// Where it stands for the sender.
    pub standing: Standing,
    /// All reasons known.
    pub reasons: BTreeSet<Reason>,
    /// The plan that all follow.
    pub plan: Arc<Plan>,
    /// Who made the plan.
    pub planner: HostName,
    /// All participants.
    pub participants: BTreeSet<HostName>,
    /// The time left, by the sender's own reckoning; none if only orders stand, or on mains.
    pub time_left: Option<Duration>,
}

/// Where a shutdown stands for a host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Latched in an earlier boot: serves recovery, never a stop.
    Recorded,
    /// Latched in the present boot and acted on.
    Declared,
    /// Turned: nobody begins any more. Outranks the others in every merge.
    Returning,
}

impl Standing {
    /// Returns the word for logs, metrics and the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Declared => "declared",
            Self::Returning => "returning",
        }
    }
}

impl StateMessage {
    /// Returns the message as it must read `by` later: older, with less time left.
    #[must_use]
    pub fn aged(mut self, by: Duration) -> Self {
        if let Some(reading) = &mut self.reading {
            reading.age += by;
            reading.runtime_left = reading.runtime_left.map(|left| left.saturating_sub(by));
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.time_left = shutdown.time_left.map(|left| left.saturating_sub(by));
        }
        for heard in self.heard.values_mut() {
            heard.age += by;
        }
        self
    }
}
