//! A stand-in of machined, the init of Talos Linux, at the protocol level: what an agent on a Talos
//! node meets on the socket, and what happens to it. For tests alone.
//!
//! It is written from what Talos' sources say, not from what our agent expects: each behaviour
//! names the section of the facts (`docs/talos.md` has their substance) that it stands for, and
//! what it does not know it leaves out rather than makes up.
//!
//! | what | where |
//! |---|---|
//! | who comes in: caller check, roles, pings | `door`, `ping` |
//! | the calls | `api` |
//! | events: ids, ring, tails, readers that fall behind; the stage | [`Event`], `stage` |
//! | who may run: takeover, LOCKED, what is dropped | `lock` |
//! | sequences, their phases in each version, how they end and what follows | [`Sequence`], `node` |
//! | SIGTERM, SIGKILL and restarts of the agent | `service` |
//! | what the kernel would say of pods and their mounts | `tree` |
//! | power: on, off, restarting | `machine` |
//!
//! [`Settings`] say what is played, [`Command`] and [`Report`] are all that goes in and out.
//! [`Standin`] is for code with tasks, [`BlockingStandin`] for code without. The process of the
//! agent belongs to whoever holds the stand-in: who is told when that process gets SIGTERM, and
//! tells when it has ended.
//!
//! Left out: `ServiceList`, `Watch`, all resources but the machine's status, the maintenance mode,
//! the container mode, `panic=0`.

mod api;
mod door;
mod event;
mod handle;
mod lines;
mod lock;
mod machine;
mod node;
mod ping;
mod report;
mod sequence;
mod service;
mod settings;
mod stage;
mod tree;

pub use event::{Event, EventId, Events, InvalidId, Payload, Reader, Tail};
pub use event::{RestartEvent, ServiceStateEvent, TaskEvent};
pub use handle::{BlockingStandin, Standin};
pub use lines::main;
pub use report::{Command, CommandError, Refusal, Report};
pub use sequence::{Phase, Sequence, Task, Version};
pub use settings::{Fault, Service, Settings, Times, Tree, UnknownFault};
