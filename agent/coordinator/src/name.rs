//! Who is who: hosts, boots and sessions.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a host, as in the cluster file and in its certificate. A clone shares the text.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for HostName {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kernel's id of one boot of a machine: another boot has another id, without any order.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct BootId(Arc<str>);

impl BootId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for BootId {
    fn from(id: T) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run of an agent: the boot in which it runs and the number of its start.
///
/// The start number is counted in the journal over all boots, so a higher one is newer unless the
/// journal was lost in between.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Session {
    /// The boot of the machine.
    pub boot: BootId,
    /// The start number of the agent.
    pub start: u64,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.boot, self.start)
    }
}
