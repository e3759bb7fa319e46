//! Everything that the coordinator can learn: facts, in the past tense.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Abilities, Date, HostName, Reading, StateMessage};

/// A fact from outside. What is not here cannot happen.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// Time has come to the deadline that was asked for, or passed at all.
    TimePassed,
    /// The wall clock was read.
    DateRead(Date),
    /// `upsd` answered with a reading.
    ReadingTaken(Reading),
    /// `upsd` did not answer, or had no data of the UPS; the text says why.
    ReadingMissed(String),
    /// The owner has probed what the UPS can do.
    UpsProbed(Abilities),
    /// A peer's state arrived over its authenticated session. Kept as it is, and so shared.
    PeerHeard(Arc<StateMessage>),
    /// The session with a peer ended.
    SessionClosed(HostName),
    /// One look at whether a watched host is alive is done.
    HostProbed {
        /// The host.
        host: HostName,
        /// What answered.
        answer: Answer,
    },
    /// One look at a machine whose agent is absent is done.
    AbsentProbed {
        /// The host.
        host: HostName,
        /// What answered.
        answer: Answer,
    },
    /// One look at the link to the peers is done.
    LinkSeen(Link),
    /// The NFS mounts of this host were read: the hosts of the cluster that serve them. None if
    /// they could not be read.
    MountsRead(Option<BTreeSet<HostName>>),
    /// The same look has shown under which addresses the servers know this host as an NFS client.
    ClientAddressesRead(BTreeSet<IpAddr>),
    /// This NFS server has looked at its clients: for each host, what it sees of it. A host that
    /// is absent from the map could not be judged.
    ClientsSeen(BTreeMap<HostName, ClientSight>),
    /// A readiness probe that was asked for has answered.
    ReadyProbed {
        /// The host.
        host: HostName,
        /// Whether it serves.
        is_ready: bool,
    },
    /// This host's own exports answered, or did not.
    ExportsProbed(bool),
    /// An operator's command arrived.
    Commanded(Command),
    /// `FSD` was set before the OS is called: so many foreign clients are going down.
    ForeignSent(u32),
    /// Foreign clients could not be sent down, or did not log out; a sentence with the remedy.
    ForeignFailed(String),
    /// The operating system took the stop call. In answer to a call for the hold: an earlier stop
    /// runs, and that is what the machine does.
    StopAccepted,
    /// The stop call failed, and nothing is left of it; the text says how.
    StopFailed(String),
    /// Nobody has answered the stop call, and what becomes of it is unknown; the text says how.
    StopUnanswered(String),
    /// The agent was told to end. Its host is halting if a stop runs, whoever called that.
    HaltSeen,
    /// The OS said whether a stop of it runs, whoever called that; none if none does, or does any
    /// more. Told when the agent starts and whenever it changes, by who can see it.
    OsStopSeen(Option<OsStop>),
    /// The hold is entered, after this long; none if it stood already.
    HoldEntered(Option<Duration>),
    /// Records could not be made durable; the text says why.
    JournalFailed(String),
    /// Records are durable again.
    JournalRecovered,
}

/// A stop of the OS that somebody called.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OsStop {
    /// To power off.
    Off,
    /// To boot again.
    Reboot,
    /// The OS does not tell which.
    Unknown,
}

impl OsStop {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Reboot, Self::Unknown];

    /// Returns the word for logs, metrics and the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Reboot => "reboot",
            Self::Unknown => "unknown",
        }
    }

    /// Returns what the host does, as the rest of a sentence about it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Off => "powers off",
            Self::Reboot => "reboots",
            Self::Unknown => "powers off or reboots",
        }
    }
}

/// What answered a look at a host.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Answer {
    /// Its TCP stack, or ping.
    Alive,
    /// Only ARP.
    ArpOnly,
    /// Nothing.
    Silent,
    /// The look could not be taken.
    Unknown,
}

/// What an NFS server sees of a host, in rising order of what the host may have to lose.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ClientSight {
    /// No client of it, all that could tell of one having been read.
    Nothing,
    /// Clients that have not renewed for a lease, and no other sign: what a host leaves behind
    /// that went without unmounting, or that cannot be reached.
    Stale,
    /// A client.
    Present,
}

impl ClientSight {
    /// All sights.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Stale, Self::Present];

    /// Returns the word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Stale => "stale",
            Self::Present => "present",
        }
    }
}

/// What one look at the link to the peers has shown; absent is unknown.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Link {
    /// The interface has carrier.
    pub has_carrier: Option<bool>,
    /// A frame of another sender was heard since the last look.
    pub heard_frame: Option<bool>,
    /// The gateway answered.
    pub heard_gateway: Option<bool>,
}

/// An operator's command; the agent has checked the certificate.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    /// Shut the cluster down.
    Shutdown {
        /// Who ordered it.
        operator: String,
        /// Wake everything again when it is done.
        then_wake: bool,
    },
    /// Turn the open shutdown.
    CallOff {
        /// Who ordered it.
        operator: String,
    },
    /// Wake hosts that are off by intent or owed; none means all of them.
    Wake {
        /// Who ordered it.
        operator: String,
        /// The hosts.
        hosts: BTreeSet<HostName>,
    },
}
