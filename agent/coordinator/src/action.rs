//! Everything that the coordinator can want done, and the step that carries it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Cause, HostName, Note, ReadyBy, Saved, WakeTarget};

/// An instruction to the agent. Its outcome, where it has one, comes back as an event.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// Send the state to all peers now.
    Tell,
    /// Call one's own OS to stop.
    Stop(Call),
    /// The stop that was called still waits for foreign clients: go on without them, now.
    Hurry,
    /// Flush what is dirty to the disks; nothing waits for it.
    Sync,
    /// Reboot out of the hold.
    Reboot,
    /// Have the UPS cut, this long from now at the earliest, when the power-off is through that
    /// somebody else has called.
    RaiseCut {
        /// The shutdown that it belongs to.
        number: u64,
        /// The earliest time for the cut, from now.
        after: Duration,
    },
    /// No power-off but one of this agent's own has the UPS cut any more.
    LowerCut,
    /// Send one magic packet.
    Wake {
        /// The host to wake.
        host: HostName,
        /// The packet.
        target: WakeTarget,
    },
    /// From now on look at these hosts, and at no others.
    Watch(Watch),
}

/// How a host ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It powers off.
    Off,
    /// The owner enters the hold.
    Hold,
    /// The owner powers off and has the UPS cut.
    Cut,
}

impl End {
    /// Returns what a host that begins does, as the rest of a sentence about it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Off => "stops",
            Self::Hold => "enters the hold",
            Self::Cut => "stops, and has the UPS cut",
        }
    }
}

/// A call to one's own OS.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Call {
    /// The shutdown that it belongs to.
    pub number: u64,
    /// Why.
    pub cause: Cause,
    /// How the host ends.
    pub end: End,
    /// Ask the OS first whether a stop runs, and do not call again if one does: a run of the agent
    /// that left no record may have called before. Always true, but for a known mistake. About a
    /// hold that stands already the answer is `HoldEntered`.
    pub ask_first: bool,
    /// The first try of a run of the agent whose records say that an earlier run may have called.
    pub is_resumed: bool,
    /// 1 for the first try; the driver may escalate with it.
    pub attempt: u32,
    /// With [`End::Cut`]: the earliest time for the cut, from now.
    pub cut_after: Duration,
    /// What foreign clients of the owner's `upsd` get before its OS is called.
    pub foreign: ForeignTier,
}

/// The foreign `upsmon` clients as a tier of the shutdown: after all that depends on the owner, and
/// before its own OS is called.
///
/// Where any are logged in they are sent down by `FSD`, which must not come earlier: it is a latch.
/// A logout says only that the order was taken, so the time is not cut short by it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ForeignTier {
    /// The longest that their end is waited for, from now: less where the battery leaves less.
    pub wait: Duration,
    /// They were sent down by an earlier call: those who have logged out since may still stop.
    pub is_sent: bool,
}

/// The hosts that the agent looks at.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Watch {
    /// Whether they are alive, once each beat.
    pub alive: BTreeSet<HostName>,
    /// Whether their machines answer though their agents do not, once a minute.
    pub absent: BTreeSet<HostName>,
    /// Whether they serve.
    pub ready: BTreeSet<(HostName, ReadyBy)>,
}

/// What one event leads to.
///
/// The parts must be carried out in the order of the fields: what is saved must be durable before
/// any action leaves, or the journal must have used up its time.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct Step {
    /// The durable state to replace the saved one, if it has changed.
    pub saved: Option<Box<Saved>>,
    /// What happened, for the history and the log.
    pub notes: Vec<Note>,
    /// What to do.
    pub actions: Vec<Action>,
}
