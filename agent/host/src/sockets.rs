//! The sockets of the host: how many, and what waits in them.

pub(crate) mod queue;
pub(crate) mod usage;
