//! The Curfew agent: drivers around the coordinator.

pub mod clock;
pub mod mounts;
pub mod pki;
pub mod power;
pub mod task;

#[cfg(test)]
mod test_directory;
