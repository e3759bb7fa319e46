//! What happened, for the history, the log and the people who read them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Cause, End, HostName, OsStop, Phase, Trigger};

/// One thing that happened on this host or was seen by it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Note {
    /// The agent started and took up what the journal held.
    Recovered {
        /// The shutdown that it found, if any.
        number: Option<u64>,
    },
    /// The journal was lost: every host of the file is taken for a participant.
    JournalLost,
    /// The mains went.
    MainsLost,
    /// The mains came back.
    MainsBack,
    /// This host declared a shutdown, or added a reason to the open one.
    Declared {
        /// Its number.
        number: u64,
        /// What set it off.
        trigger: Trigger,
        /// What that rests on.
        cause: Cause,
        /// The evidence.
        evidence: String,
        /// The time left.
        #[serde(rename = "time_left_seconds", with = "crate::seconds::option")]
        time_left: Option<Duration>,
    },
    /// This host latched a shutdown that it heard of.
    Latched {
        /// Its number.
        number: u64,
        /// From whom.
        from: HostName,
    },
    /// A peer declared what this host cannot confirm; it is treated as leaving.
    BlindHeard {
        /// Its number.
        number: u64,
        /// The declarer.
        by: HostName,
    },
    /// A host told what this host had ended.
    EndedHeard {
        /// The number.
        number: u64,
    },
    /// This host's phase changed.
    PhaseChanged {
        /// The phase that it has now.
        phase: Phase,
    },
    /// This host waits because it reads mains.
    Paused,
    /// The pause is over.
    Resumed,
    /// This host begins.
    Began {
        /// How it ends.
        end: End,
        /// Why now.
        why: BeginReason,
    },
    /// Foreign NUT clients were sent down by `FSD`.
    ForeignSent {
        /// How many were logged in.
        clients: u32,
    },
    /// The OS took the call.
    StopAccepted,
    /// The stop call failed.
    StopFailed {
        /// How.
        why: String,
        /// Which try it was.
        attempt: u32,
    },
    /// A dependent can no longer be hurt.
    Released {
        /// The dependent.
        host: HostName,
        /// How that is known.
        how: ReleaseProof,
    },
    /// A host is off.
    Off {
        /// The host.
        host: HostName,
    },
    /// A host fell silent without a word.
    Lost {
        /// The host.
        host: HostName,
    },
    /// A dependent is not released and there is no battery that sets a limit.
    AskedAbout {
        /// The dependent.
        host: HostName,
    },
    /// Somebody stops the OS of this host outside of any shutdown that it takes part in.
    PlannedStopSeen {
        /// What it does.
        stop: OsStop,
        /// The hosts that hold mounts of this one, or may.
        live_dependents: BTreeSet<HostName>,
    },
    /// The OS of this host is not stopped any more.
    PlannedStopTakenBack,
    /// Somebody powers the owner off in the middle of an outage.
    OwnerLeaves {
        /// Whether the UPS is cut at its end; if not, nothing starts the cluster again.
        is_cut: bool,
    },
    /// A host said that somebody stops it.
    PlannedStopHeard {
        /// The host.
        host: HostName,
        /// What it does.
        stop: OsStop,
    },
    /// A host that somebody stopped is there, and stays.
    PlannedStopOver {
        /// The host.
        host: HostName,
    },
    /// A host went down to boot again, and has not come for as long as a boot may take.
    PlannedStopOverdue {
        /// The host.
        host: HostName,
    },
    /// The machine of a host answers, and its agent has been silent for long.
    WithoutAgent {
        /// The host.
        host: HostName,
    },
    /// The agent of such a host is there.
    AgentBack {
        /// The host.
        host: HostName,
    },
    /// The shutdown turned.
    Turned {
        /// Its number.
        number: u64,
        /// Why.
        why: TurnReason,
    },
    /// This host conducts.
    Conducting {
        /// The shutdown that is recovered, if one is open.
        number: Option<u64>,
    },
    /// A gate of the recovery was passed.
    GatePassed {
        /// Which.
        gate: Gate,
        /// Whether by its limit, and not by what it waited for.
        by_limit: bool,
    },
    /// A magic packet went to a host.
    Woken {
        /// The host.
        host: HostName,
    },
    /// A host serves again.
    Ready {
        /// The host.
        host: HostName,
    },
    /// Recovery goes on without a host.
    PassedBy {
        /// The host.
        host: HostName,
        /// Why.
        why: PassReason,
    },
    /// A shutdown has ended.
    Ended {
        /// Its number.
        number: u64,
        /// Hosts that were not ready by then.
        missing: BTreeSet<HostName>,
    },
    /// Something is not as it should be; a sentence with the remedy.
    Warned {
        /// The sentence.
        text: String,
    },
}

/// Why a host begins.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeginReason {
    /// Nobody depends on it.
    NoDependents,
    /// All dependents are released.
    Released,
    /// All fed hosts are off.
    AllOff,
    /// Its latest start has come.
    LatestStart,
    /// Somebody else stops its OS.
    StoppedByOther,
}

/// How a dependent was released.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseProof {
    /// It said `halting` and holds nothing.
    Halting,
    /// It is off.
    Off,
    /// It is proven absent.
    Absent,
}

/// Why a shutdown turned.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnReason {
    /// Mains have held for `mains-stable`.
    MainsStable,
    /// An operator called it off.
    CalledOff,
    /// The owner booted: the battery shutdown that it had recorded is over.
    OwnerBooted,
    /// The owner's agent is silent and this host reads mains.
    OwnerSilent,
    /// A peer told so.
    Heard,
    /// An order is done and asked to wake everything.
    ThenWake,
}

impl TurnReason {
    /// Returns the reason as a clause for a person.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::MainsStable => "the mains are stable",
            Self::CalledOff => "it was called off",
            Self::OwnerBooted => "it went down in it and is back",
            Self::OwnerSilent => "the owner is silent and the mains are there",
            Self::Heard => "another host has",
            Self::ThenWake => "the order said to wake everybody",
        }
    }
}

/// The gates of a recovery.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Mains have held.
    Mains,
    /// The battery has charge again.
    Charge,
    /// The conductor's own exports answer.
    Exports,
}

impl Gate {
    /// Returns what opens the gate, as a clause for a person.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Mains => "the mains are stable",
            Self::Charge => "the battery has charge again",
            Self::Exports => "its exports answer",
        }
    }
}

/// Why recovery goes on without a host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassReason {
    /// It was not off in time.
    NotOff,
    /// It got packets for the whole `wake-timeout` and did not come.
    NotReady,
    /// It cannot be woken: no MAC address is known.
    NoMac,
}

impl PassReason {
    /// Returns the reason as a clause for a person.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::NotOff => "it was not off in time",
            Self::NotReady => "it got packets and did not come",
            Self::NoMac => "its MAC address is not known",
        }
    }
}
