//! Talos nodes: the extension's root file system in a container, started as Talos starts it, with
//! the stand-in of machined around it.
//!
//! A node has power or not; its machined is `curfew-machined`, which says when the service is
//! started, gets SIGTERM or SIGKILL, and when the machine is off. The container is run by `runc`,
//! which is what Talos' containerd runs, with the configuration that containerd would give it: own
//! mount, PID and UTS namespaces, the network of the host (here of the laboratory's host), a
//! read-only root in which there is nothing but the agent, no `CAP_SYS_BOOT`, no new privileges,
//! containerd's filter of system calls.
//!
//! A [`Bare`] node has no container: its agent is a plain process, which is all that most stories
//! of machined need.
//!
//! Reading order: [`binary`] is the agent without a libc; [`extension`] what the image ships;
//! [`spec`] the configuration; [`container`] the process; [`Node`] the machine; [`story`] what
//! stories begin with.
//!
//! It needs root, `runc` and overlay file systems. Where the machine cannot run a container,
//! [`ability`] says so and the story is skipped, loudly.

pub mod ability;
pub mod bare;
pub mod bare_story;
pub mod binary;
pub mod container;
pub mod extension;
pub mod node;
mod power;
pub mod spec;
pub mod story;

pub use bare::Bare;
pub use container::Container;
pub use node::Node;
