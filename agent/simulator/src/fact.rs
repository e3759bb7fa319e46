//! What truly happened in the world, and what the agents said of it.

use curfew_coordinator::{Call, HostName, Note};

use crate::Change;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Happened {
    /// Milliseconds since the story began.
    pub at: u64,
    /// The host, by its place in the cluster file; for the mains and the UPS the owner.
    pub host: usize,
    /// What.
    pub fact: Fact,
}

/// A fact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// What an agent says.
    Note(Note),
    /// What the story made happen.
    Changed(Change),
    /// The weather is over.
    Healed,
    /// The mains failed.
    MainsFailed,
    /// The mains returned.
    MainsReturned,
    /// The output of the UPS opened.
    OutputOpened {
        /// By a command, and not because the battery was empty.
        by_command: bool,
    },
    /// The output of the UPS closed again.
    OutputClosed,
    /// An agent called its OS.
    StopCalled(Call),
    /// The OS took a call and begins to stop; a call that finds a stop running is none of these.
    StopBegan,
    /// The OS was called without being asked first while a stop ran: it starts the stop over.
    StopRepeated,
    /// The workloads are gone and the agent was told to end.
    Halted,
    /// The mounts are gone.
    Unmounted,
    /// The machine is powered down.
    Off {
        /// By its own stop, and not because the power went.
        is_clean: bool,
    },
    /// The hold is entered.
    Held,
    /// The machine reboots: out of the hold, or because its late hook saw mains.
    Rebooted,
    /// The kernel runs.
    Booted,
    /// Its services answer.
    Served,
    /// An agent started.
    AgentStarted,
    /// An agent ended or was killed.
    AgentEnded,
    /// A magic packet left.
    PacketSent {
        /// To this host.
        to: HostName,
        /// Which was truly off.
        is_off: bool,
        /// Whether it could get there.
        arrives: bool,
    },
}
