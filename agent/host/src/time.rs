//! The clock: what it says, and who keeps it right.

pub(crate) mod clock;
pub(crate) mod discipline;
mod zone;
