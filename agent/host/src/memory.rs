//! The memory: how much of what there is, and what has happened to it.

pub(crate) mod events;
pub(crate) mod info;
