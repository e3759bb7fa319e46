//! Stop times, measured by those who wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Date;

/// One measured stop of a host: from its `stopping` to the moment when nobody waited any more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct StopTime {
    /// When, by the clock of the host that measured.
    pub date: Date,
    /// From `stopping` to off (for the owner: to the hold).
    pub took: Duration,
}
