//! What the stand-in is told, and what it tells; both also as lines of text.

use std::fmt;
use std::str::FromStr;

use curfew_proto::talos::common::Code;

use crate::event::Tail;
use crate::sequence::Sequence;
use crate::settings::{Fault, UnknownFault};

/// What the stand-in is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// The machine has power and starts; one that is on ignores it.
    Boot,
    /// The machine has lost its power.
    Cut,
    /// The service was started, as [`Report::Start`] asked for, and has this process. Without one
    /// everybody who calls is taken for it.
    Started(Option<u32>),
    /// The process of the service has ended.
    Ended,
    /// Somebody else calls the API: `talosctl`, say. That is not reported as a call.
    Order(Sequence),
    /// The power button: a shutdown with force that takes over (facts §2.4).
    PressButton,
    /// Ctrl-Alt-Del: a forced reboot that takes over (facts §2.4).
    CtrlAltDel,
    /// The service is stopped and started, as for a change of its configuration (facts §1.7).
    RestartService,
    /// machined ends all connections, as it ends the stream of a reader that falls behind
    /// (facts §2.3).
    HangUp,
    /// Something goes wrong from now on.
    Break(Fault),
    /// It no longer does.
    Mend(Fault),
}

/// What the stand-in tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Report {
    /// machined listens.
    Listens,
    /// All services are up.
    Up,
    /// The service is to be started.
    Start,
    /// The service gets SIGTERM now.
    Term,
    /// Its grace is over: it gets SIGKILL now.
    Kill,
    /// The machine is off.
    Off,
    /// The machine restarts: it is off until it is told to boot.
    Restarts,
    /// The API was called for this sequence; the actor of its events.
    Called(Sequence, String),
    /// A call was refused, for this reason.
    Refused(Refusal),
    /// A reader of events has come.
    Reads(Tail),
    /// A connection was ended because of its pings.
    Pinged,
    /// A sequence has started, for this actor.
    Started(&'static str, Option<String>),
    /// A phase has started.
    Phase(&'static str),
    /// A sequence has ended badly, or was not begun.
    Failed(&'static str, Code),
    /// A sequence is dropped: what it was to take over did not end (facts §2.4).
    Dropped(&'static str),
    /// Pods are killed without kubelet's grace, which a sequence before has used up (facts §2.4).
    LostGrace,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Without a role that may do that.
    Role,
    /// The caller is not a known service.
    Caller,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listens => write!(f, "listens"),
            Self::Up => write!(f, "up"),
            Self::Start => write!(f, "start"),
            Self::Term => write!(f, "term"),
            Self::Kill => write!(f, "kill"),
            Self::Off => write!(f, "off"),
            Self::Restarts => write!(f, "restarts"),
            Self::Called(sequence, actor) => write!(f, "called {sequence} by {actor}"),
            Self::Refused(refusal) => write!(f, "refused {refusal:?}"),
            Self::Reads(tail) => write!(f, "reads {tail:?}"),
            Self::Pinged => write!(f, "pinged"),
            Self::Started(name, actor) => {
                write!(f, "started {name} by {}", actor.as_deref().unwrap_or("nobody"))
            }
            Self::Phase(name) => write!(f, "phase {name}"),
            Self::Failed(name, code) => write!(f, "failed {name} {}", code.as_str_name()),
            Self::Dropped(name) => write!(f, "dropped {name}"),
            Self::LostGrace => write!(f, "lost-grace"),
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Shutdown { force: true } | Self::Reboot { force: true } => f.write_str(" force"),
            Self::Reset { reboot: true } => f.write_str(" reboot"),
            Self::Initialize
            | Self::Boot
            | Self::Shutdown { force: false }
            | Self::Reboot { force: false }
            | Self::Upgrade
            | Self::Reset { reboot: false } => Ok(()),
        }
    }
}

/// A line that is no command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// Nothing of the kind.
    #[error(
        "commands are: boot, cut, started [PID], ended, shutdown [force], reboot [force], upgrade, \
         reset [reboot], button, ctrl-alt-del, restart-service, hang-up, break FAULT, mend FAULT"
    )]
    Unknown,
    /// A fault that does not exist.
    #[error("no such fault")]
    Fault(#[from] UnknownFault),
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Ok(match (word, rest) {
            ("boot", "") => Self::Boot,
            ("cut", "") => Self::Cut,
            ("started", "") => Self::Started(None),
            ("started", pid) => Self::Started(Some(pid.parse().or(Err(CommandError::Unknown))?)),
            ("ended", "") => Self::Ended,
            ("shutdown", "" | "force") => {
                Self::Order(Sequence::Shutdown { force: !rest.is_empty() })
            }
            ("reboot", "" | "force") => Self::Order(Sequence::Reboot { force: !rest.is_empty() }),
            ("upgrade", "") => Self::Order(Sequence::Upgrade),
            ("reset", "" | "reboot") => Self::Order(Sequence::Reset { reboot: !rest.is_empty() }),
            ("button", "") => Self::PressButton,
            ("ctrl-alt-del", "") => Self::CtrlAltDel,
            ("restart-service", "") => Self::RestartService,
            ("hang-up", "") => Self::HangUp,
            ("break", fault) => Self::Break(fault.parse()?),
            ("mend", fault) => Self::Mend(fault.parse()?),
            _ => return Err(CommandError::Unknown),
        })
    }
}
