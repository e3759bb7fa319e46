//! What the monitor tells: facts, in the past tense, each complete in itself.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::error::ErrorCode;
use crate::probe::Capabilities;
use crate::snapshot::Snapshot;

/// What became known about a UPS.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// A new connection to `upsd`, maybe to another process of it.
    Connected(Connection),
    /// What the UPS can do; again after each new connection, each absence of the driver, and now
    /// and then.
    Probed {
        /// The connection's number.
        session: u64,
        /// The commands and writable variables.
        capabilities: Arc<Capabilities>,
    },
    /// A reading: with a status, and without `WAIT`.
    Polled(Arc<Snapshot>),
    /// No reading. Told again with each failed poll; neither mains nor battery.
    Unavailable {
        /// The name of the UPS.
        ups: String,
        /// The connection's number; 0 before the first.
        session: u64,
        /// Why there is none.
        why: Why,
        /// Since when there is none, whatever the reasons were.
        since: Instant,
    },
}

/// A connection to `upsd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Counts connections from 1; an FSD latch lasts at most as long as the `upsd` behind it.
    pub session: u64,
    /// The server's address.
    pub address: Option<SocketAddr>,
    /// What the server calls itself.
    pub version: Option<String>,
    /// The protocol's version, as in `1.3`.
    pub network_version: Option<String>,
}

/// Why there is no reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// The driver is not running.
    DriverNotConnected,
    /// The driver gives no news.
    DataStale,
    /// `WAIT`: `upsd` has no data of a fresh driver yet.
    DriverStarting,
    /// The UPS shows no `ups.status`.
    NoStatus,
    /// `upsd` cannot be reached, or does not answer as it should.
    ContactLost {
        /// What happened, for a person.
        reason: String,
    },
    /// `upsd` refuses to be read.
    Refused {
        /// What it said.
        code: ErrorCode,
    },
    /// Our own configuration cannot work.
    Misconfigured {
        /// What is wrong with it, for a person.
        reason: String,
    },
}

impl Why {
    /// Returns whether only a person can change it; asked again slowly, and to be alarmed.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Refused { code } => !code.is_transient(),
            Self::Misconfigured { .. } => true,
            Self::DriverNotConnected
            | Self::DataStale
            | Self::DriverStarting
            | Self::NoStatus
            | Self::ContactLost { .. } => false,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DriverNotConnected => formatter.write_str("the driver is not running"),
            Self::DataStale => formatter.write_str("the driver gives no news"),
            Self::DriverStarting => formatter.write_str("the driver is starting"),
            Self::NoStatus => formatter.write_str("the UPS shows no status"),
            Self::ContactLost { reason } => write!(formatter, "no contact with upsd: {reason}"),
            Self::Refused { code: ErrorCode::UnknownUps } => formatter
                .write_str("upsd knows no UPS of this name: compare the name with ups.conf"),
            Self::Refused { code: ErrorCode::AccessDenied } => {
                formatter.write_str("upsd denies access: check LISTEN and its firewall")
            }
            Self::Refused { code } => write!(formatter, "upsd refuses to be read: {code}"),
            Self::Misconfigured { reason } => formatter.write_str(reason),
        }
    }
}
