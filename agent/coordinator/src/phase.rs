//! The phases of a host, as it tells them itself.
//!
//! ```text
//!          latched N               the call is recorded            SIGTERM in a shutdown
//!   up ──────────────▶ waiting ──────────────────────▶ stopping ─────────────────────▶ halting
//!    ▲                    │                                │ (the owner, hold entered)
//!    └────────────────────┘                                └─────────────────────────▶ holding
//!      turned, or superseded
//! ```
//!
//! From `stopping` on there is no way back but another boot, unless somebody else began and took
//! it back; `off` only the others conclude. Who is stopped by hand outside of any shutdown goes
//! from `up` to `halting`, and tells that it is planned beside its phase.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a host stands in a shutdown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not in a shutdown.
    Up,
    /// In a shutdown, not begun.
    Waiting,
    /// Begun: its OS was told to stop, or the hold is being entered.
    Stopping,
    /// Its OS is going down.
    Halting,
    /// The owner's safe state at the end.
    Holding,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 5] =
        [Self::Up, Self::Waiting, Self::Stopping, Self::Halting, Self::Holding];

    /// Returns the word for logs, metrics and the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Halting => "halting",
            Self::Holding => "holding",
        }
    }

    /// Returns whether the host has begun.
    pub const fn has_begun(self) -> bool {
        match self {
            Self::Up | Self::Waiting => false,
            Self::Stopping | Self::Halting | Self::Holding => true,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
