//! The Curfew agent: drivers around the coordinator.

pub mod app;
pub mod ask;
pub mod battery;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod cluster_file;
pub mod demo;
pub mod end;
mod escape;
pub mod faults;
pub mod filesystem;
mod grpc;
pub mod health;
pub mod http;
pub mod journal;
pub mod metrics;
pub mod mountinfo;
pub mod mounts;
pub mod network;
pub mod nfsd;
pub mod notify;
pub mod os;
pub mod past;
pub mod peer;
pub mod pki;
pub mod pods;
pub mod power;
pub mod ready;
pub mod route;
pub mod smart;
pub mod snapshot;
pub mod talos;
pub mod task;
pub mod units;
pub mod wake;
pub mod wrap;

#[cfg(test)]
mod test_directory;
