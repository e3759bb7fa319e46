//! The numbers of the UPS: which count, and how they run down.

use serde::{Deserialize, Serialize};

/// What survives a restart in the same boot.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedGauge {}
