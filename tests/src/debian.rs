//! Booted Debian machines: real systemd, logind, D-Bus and NUT, with the package installed.
//!
//! A machine is a container of systemd-nspawn that behaves as a machine does: it has a power
//! button, its power can be cut, it tells a power-off from a reboot and starts again after one, its
//! console and its kernel log are kept, and its files survive until the laboratory ends. It lives
//! in the network namespace of its host and in a cgroup of its own.
//!
//! Reading order: [`Container`] is the machine; [`tree`] is what is installed on it; [`Server`] is
//! the machine of the UPS owner as a laboratory runs it.
//!
//! It needs root and cgroups that can be written; where those are missing [`missing`] says so and
//! the story is skipped, loudly. The programs it needs are a matter of `apt-get`, and without them
//! it fails.

pub mod ability;
pub mod cgroup;
pub mod container;
pub mod data_disk;
pub mod device;
pub mod kernel_log;
pub mod mount;
pub mod overlay;
pub mod server;
pub mod story;
pub mod tree;

pub use ability::missing;
pub use container::{Container, End};
pub use server::Server;
