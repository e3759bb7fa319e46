//! A laboratory for end-to-end stories: three machines, a UPS and a switch, on one Debian machine.
//!
//! The agents, `upsd` and its driver are the real programs, each in the network namespace of its
//! machine. The laboratory plays what they stand on: the mains, the battery, the operating systems
//! that stop when they are told to, the cables, and the power buttons that magic packets press.
//!
//! Reading order: [`Lab`] is what a story holds; [`Timeline`] is what it asserts on. A `Lab` has no
//! tasks: [`Lab::eventually`] takes one step of the world after another until its condition holds,
//! so that a story is a plain sequence and all of its facts have one order.
//!
//! It needs root and the Debian packages that [`ground::require`] names; without them it fails,
//! since a story that was skipped proves nothing.

pub mod agent;
pub mod battery;
pub mod cluster_file;
pub mod debian;
pub mod deploy;
pub mod directory;
pub mod disk;
pub mod ground;
pub mod host;
pub mod http;
pub mod lab;
pub mod machine;
pub mod network;
pub mod nut;
pub mod process;
pub mod prometheus;
pub mod report;
pub mod script;
pub mod share;
pub mod simulated;
pub mod story;
pub mod talos;
pub mod timeline;
pub mod ups;
pub mod upsmon;

pub use battery::Battery;
pub use cluster_file::{Limits, cluster_file};
pub use host::Host;
pub use lab::{Lab, Setup};
pub use prometheus::Prometheus;
pub use share::Share;
pub use timeline::{Fact, Timeline, Verb};
pub use upsmon::Upsmon;
