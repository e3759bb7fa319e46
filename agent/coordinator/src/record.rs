//! The durable state: what the journal holds for the coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::gauge::SavedGauge;
use crate::{
    BootId, End, HostName, OsStop, Owed, Phase, Plan, Reason, Session, Standing, StopTime, Time,
};

/// Everything that survives a restart; replaced as a whole.
///
/// Moments are of the boot clock of `session.boot` and mean nothing in another boot.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Saved {
    /// The run that wrote it.
    pub session: Session,
    /// The highest number that has ended.
    pub ended: u64,
    /// The highest number heard of.
    pub highest: u64,
    /// The shutdown that has not ended.
    pub shutdown: Option<SavedShutdown>,
    /// The stop that this host has begun.
    pub begun: Option<Begun>,
    /// The hosts that somebody must still wake, or that are off by intent.
    pub owed: BTreeMap<HostName, Owed>,
    /// The hosts last heard up, each with its boot: who is missing when this agent starts again may
    /// have gone down without it.
    #[serde(default)]
    pub up: BTreeMap<HostName, BootId>,
    /// The hosts that somebody stops or has stopped outside of any shutdown, until they are heard
    /// without: one that was to boot again and never does is not forgotten.
    #[serde(default)]
    pub planned: BTreeMap<HostName, Planned>,
    /// The hosts heard leaving in this boot, so that a restarted agent knows what it waited for.
    pub leaving: BTreeMap<HostName, Leaving>,
    /// The numbers of the UPS.
    pub gauge: SavedGauge,
    /// An operator called a shutdown off in this outage.
    pub is_called_off: bool,
    /// Since when this host conducts.
    pub conducting_since: Option<Time>,
    /// The stop times known.
    pub stop_times: BTreeMap<HostName, Vec<StopTime>>,
}

/// A shutdown in the journal.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct SavedShutdown {
    /// Its number.
    pub number: u64,
    /// Where it stood.
    pub standing: Standing,
    /// All reasons.
    pub reasons: BTreeSet<Reason>,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Who made the plan.
    pub planner: HostName,
    /// All participants.
    pub participants: BTreeSet<HostName>,
    /// The end of the battery as assumed or carried.
    pub end: Option<Time>,
    /// When it was latched.
    pub latched_at: Time,
    /// The time left when it was latched.
    pub left_at_latch: Option<std::time::Duration>,
    /// Whether the plan was compressed from the start.
    pub is_compressed: bool,
}

/// A host that was heard in `stopping` or later.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Leaving {
    /// The run of its agent.
    pub session: Session,
    /// The phase last heard.
    pub phase: Phase,
    /// The planned stop last heard.
    #[serde(default)]
    pub planned: Option<OsStop>,
    /// The servers of which it last said that it holds mounts.
    pub mounts: Option<BTreeSet<HostName>>,
    /// When it was first heard leaving.
    pub since: Time,
}

/// A planned stop of a host: outside of any shutdown, and by somebody's will.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Planned {
    /// What the host does.
    pub stop: OsStop,
    /// The boot that it ends.
    pub boot: BootId,
    /// The highest number when it was heard: what is owed by a later one is owed all the same.
    pub number: u64,
    /// It was to boot again, and has not come for as long as a boot may take.
    #[serde(default)]
    pub is_overdue: bool,
}

/// The same as it is known at this moment, to be compared without a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LeavingRef<'a> {
    pub(crate) session: &'a Session,
    pub(crate) phase: Phase,
    pub(crate) planned: Option<OsStop>,
    pub(crate) mounts: Option<&'a BTreeSet<HostName>>,
    pub(crate) since: Time,
}

impl<'a> From<&'a Leaving> for LeavingRef<'a> {
    fn from(leaving: &'a Leaving) -> Self {
        let Leaving { session, phase, planned, mounts, since } = leaving;
        let (phase, planned, since) = (*phase, *planned, *since);
        Self { session, phase, planned, mounts: mounts.as_ref(), since }
    }
}

impl From<LeavingRef<'_>> for Leaving {
    fn from(leaving: LeavingRef<'_>) -> Self {
        let LeavingRef { session, phase, planned, mounts, since } = leaving;
        Self { session: session.clone(), phase, planned, mounts: mounts.cloned(), since }
    }
}

/// The stop that a host has begun: can never be undone but by a boot.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Begun {
    /// The shutdown.
    pub number: u64,
    /// When.
    pub at: Time,
    /// How it ends.
    pub end: End,
    /// The OS took the call.
    pub is_accepted: bool,
    /// The hold is entered.
    pub is_held: bool,
    /// Somebody else stops this machine: the OS took that call, and may take it back.
    #[serde(default)]
    pub is_by_other: bool,
    /// When foreign clients of `upsd` were sent down, if any were.
    #[serde(default)]
    pub foreign_sent_at: Option<Time>,
}
