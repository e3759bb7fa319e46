//! Why a shutdown is declared: triggers, causes and evidence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::HostName;

/// What set a shutdown off.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The runtime left came down to the time needed and the reserve.
    Computed,
    /// `OB LB`.
    LowBattery,
    /// The charge fell below `charge-below`.
    Charge,
    /// On battery for longer than `on-battery-for`.
    Time,
    /// On battery when last seen, and nothing seen since.
    Blind,
    /// `FSD` appeared.
    Forced,
    /// An operator's order.
    Operator,
}

impl Trigger {
    /// All triggers.
    pub const ALL: [Self; 7] = [
        Self::Computed,
        Self::LowBattery,
        Self::Charge,
        Self::Time,
        Self::Blind,
        Self::Forced,
        Self::Operator,
    ];

    /// Returns the word for logs, metrics and the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::LowBattery => "low-battery",
            Self::Charge => "charge",
            Self::Time => "time",
            Self::Blind => "blind",
            Self::Forced => "forced",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a reason rests on: mains end the battery's reasons, only an operator ends an order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The battery.
    Battery,
    /// An order.
    Order,
}

impl Cause {
    /// Returns the word for logs, metrics and the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Order => "order",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One reason for a shutdown.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Reason {
    /// Who declared it.
    pub by: HostName,
    /// What set it off.
    pub trigger: Trigger,
    /// What it rests on.
    pub cause: Cause,
    /// The evidence, for a person.
    pub evidence: String,
    /// With an order: wake everything again when it is done.
    pub then_wake: bool,
}
