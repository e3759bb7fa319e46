//! The power of this host: how its operating system is told to stop, hold, cut or reboot.
//!
//! Each way of a `system` in the cluster file is one variant; all answer the same few questions,
//! each within a limit of its own. What must happen when, and whether a call is repeated, is
//! decided elsewhere. An accepted stop is not a stopped host: the OS ends the agent when it comes
//! to that, and for a dry run the app does so in its place (see [`Power::is_dry_run`]).

pub mod command;
pub mod dry_run;
pub mod systemd;
pub mod talos;

use std::sync::Arc;
use std::time::Duration;

pub use command::CommandPower;
pub use dry_run::DryRunPower;
pub use systemd::{SystemdPower, SystemdSettings};
pub use talos::TalosPower;

/// How the operating system of this host is called.
#[derive(Debug)]
#[non_exhaustive]
pub enum Power {
    /// By commands of the cluster file.
    Command(Box<CommandPower>),
    /// By logind, or the hand.
    Systemd(Box<SystemdPower>),
    /// By machined.
    Talos(Arc<TalosPower>),
    /// Not at all: it says what it would do.
    DryRun(DryRunPower),
}

/// Why the operating system is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reason {
    /// The number of the shutdown.
    pub shutdown: u64,
    /// Its cause.
    pub cause: Cause,
    /// 1 for the first try; a later one may be less polite.
    pub attempt: u32,
}

/// What a host is called for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Goal {
    /// It powers off, or reboots.
    Off,
    /// It is held.
    Held,
}

/// The cause of a shutdown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The battery runs out.
    Battery,
    /// An operator ordered it.
    Order,
}

/// How the UPS is to be told to switch its load off, once this host is down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// The UPS command, such as `shutdown.return`.
    pub method: String,
    /// How long from now the cut must wait at least.
    pub earliest: Duration,
}

/// What became of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Outcome {
    /// The operating system took it.
    Accepted,
    /// An earlier stop runs, and that is what the machine does instead.
    GoesDown,
    /// It did not; one clause that says how.
    Failed(String),
    /// It has not answered within this time, and was ended.
    TimedOut(Duration),
    /// It has not answered and what it does is unknown; one clause that says how.
    Unanswered(String),
}

/// Whether the operating system is on its way down.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Stopping {
    /// A stop runs: do not call again.
    Running,
    /// None runs.
    Idle,
    /// It cannot tell; one clause that says why. The deadline counts more than a second call.
    Unknown(String),
}

impl Power {
    /// Asks the operating system to power off.
    pub async fn stop(&self, reason: &Reason) -> Outcome {
        match self {
            Self::Command(power) => power.stop(reason).await,
            Self::Systemd(power) => power.stop(reason).await,
            Self::Talos(power) => power.stop(reason).await,
            Self::DryRun(power) => power.stop(reason),
        }
    }

    /// Asks the operating system to enter the hold; accepted means entered. `runtime_left` is the
    /// last that was read.
    pub async fn hold(&self, reason: &Reason, runtime_left: Option<Duration>) -> Outcome {
        match self {
            Self::Command(power) => power.hold(reason).await,
            Self::Systemd(power) => power.hold(reason, runtime_left).await,
            Self::Talos(power) => power.hold(),
            Self::DryRun(power) => power.hold(reason),
        }
    }

    /// Asks the operating system to power off and then have the UPS cut.
    pub async fn cut(&self, reason: &Reason, cut: &Cut) -> Outcome {
        match self {
            Self::Command(power) => power.cut(reason, cut).await,
            Self::Systemd(power) => power.cut(reason, cut).await,
            Self::Talos(power) => power.cut(),
            Self::DryRun(power) => power.cut(reason, cut),
        }
    }

    /// Has the UPS cut at the end of a power-off that somebody else has called, where that can be.
    pub fn raise_cut(&self, shutdown: u64, cut: &Cut) {
        match self {
            Self::Systemd(power) => power.raise_cut(shutdown, cut),
            Self::Command(_) | Self::Talos(_) | Self::DryRun(_) => {}
        }
    }

    /// Takes that back.
    pub fn lower_cut(&self) {
        match self {
            Self::Systemd(power) => power.lower_flag(),
            Self::Command(_) | Self::Talos(_) | Self::DryRun(_) => {}
        }
    }

    /// Asks the operating system to reboot.
    pub async fn reboot(&self, reason: &Reason) -> Outcome {
        match self {
            Self::Command(power) => power.reboot(reason).await,
            Self::Systemd(power) => power.reboot(reason).await,
            Self::Talos(power) => power.reboot().await,
            Self::DryRun(power) => power.reboot(reason),
        }
    }

    /// Takes note that an earlier run of this agent may have called for a stop.
    pub fn resume(&self) {
        match self {
            Self::Talos(power) => power.resume(),
            Self::Command(_) | Self::Systemd(_) | Self::DryRun(_) => {}
        }
    }

    /// Asks the operating system whether a stop runs in this boot that does for `cause`, or the
    /// hold stands.
    pub async fn is_stopping(&self, goal: Goal, cause: Cause) -> Stopping {
        match self {
            Self::Command(power) => power.is_stopping().await,
            Self::Systemd(power) => power.is_stopping(goal).await,
            Self::Talos(power) => power.is_stopping(goal, cause).await,
            Self::DryRun(power) => power.is_stopping(),
        }
    }

    /// Looks after a stop or a cut that was accepted, or that runs, for as long as this machine is
    /// up; does what is left to do if it does not begin, or takes longer than `most`.
    pub async fn see_to(&self, reason: &Reason, most: Duration) {
        match self {
            Self::Systemd(power) => power.see_to(reason, most).await,
            Self::Talos(power) => power.see_to(reason).await,
            Self::Command(_) | Self::DryRun(_) => {}
        }
    }

    /// Writes to all terminals of the machine, where there is a way to.
    pub async fn warn_terminals(&self, text: String) {
        match self {
            Self::Systemd(power) => power.warn_terminals(text).await,
            Self::Command(_) | Self::Talos(_) | Self::DryRun(_) => {}
        }
    }

    /// Returns machined, on a host that has it.
    pub fn as_talos(&self) -> Option<&Arc<TalosPower>> {
        match self {
            Self::Talos(power) => Some(power),
            Self::Command(_) | Self::Systemd(_) | Self::DryRun(_) => None,
        }
    }

    /// Whether nothing really happens, so that the app must end the agent after an accepted stop,
    /// cut or reboot, as an operating system would.
    pub fn is_dry_run(&self) -> bool {
        match self {
            Self::Command(_) | Self::Systemd(_) | Self::Talos(_) => false,
            Self::DryRun(_) => true,
        }
    }
}

impl Cause {
    /// Returns the word of the cause in the environment of commands and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Order => "order",
        }
    }
}
