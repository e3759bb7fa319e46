//! The processors: what they do, how fast they are, and what waits for them.

pub(crate) mod average;
pub(crate) mod cpu;
pub(crate) mod frequency;
pub(crate) mod pressure;
pub(crate) mod schedule;
pub(crate) mod stat;
