//! The Curfew agent: drivers around the coordinator.

pub mod clock;
pub mod cluster_file;
pub mod journal;
pub mod mounts;
pub mod network;
pub mod pki;
pub mod power;
pub mod ready;
pub mod route;
pub mod task;
pub mod wake;

#[cfg(test)]
mod test_directory;
