//! What this host is doing, as metrics with the names, types and labels of `node_exporter`.
//!
//! Reading order: [`sample`] (families and their series), [`read`] (files below configurable
//! roots), [`collector`] (the table of all collectors), then any of them, [`runner`] (runs them,
//! each with its own limit of time), [`mod@render`] (the text that Prometheus reads, for whoever
//! has samples).
//!
//! A collector is a function from the roots to samples. It keeps nothing between two scrapes: a
//! value that is not known has no series, and a device that is gone leaves none. It may hang in the
//! kernel, for which the [`runner`] is prepared, but it does not wait for anything else.
//!
//! Not here: file systems and the NFS server, which the agent watches for its own ends; and D-Bus:
//! the state of systemd's units is handed in (see [`systemd`]).

pub mod collector;
pub mod read;
pub mod render;
pub mod runner;
pub mod sample;
pub mod systemd;

mod block;
mod counters;
mod hardware;
mod identity;
mod load;
mod memory;
mod network;
mod nfs;
mod process;
mod sockets;
mod text;
mod textfile;
mod time;

#[cfg(test)]
mod fixture;

pub use self::collector::{Collector, Selection, Settings};
pub use self::read::{CollectError, Roots};
pub use self::render::{Format, render};
pub use self::runner::{Collected, Host, Outcome};
pub use self::sample::{Family, Kind, Samples};
