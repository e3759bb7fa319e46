//! The cluster on virtual time: many coordinators, machines, a UPS and weather from a seed.
//!
//! No I/O, no clock: everything that a run does follows from its [`Story`]. The agents are the
//! real coordinators; only what is outside of them is simulated.
//!
//! Reading order: [`Story`] has what can be, [`World`] plays it, [`Fact`] is what truly happened,
//! [`Judge`] holds the invariants of the design against it, [`play()`] puts them together.

mod fact;
mod invariant;
mod play;
mod span;
mod story;
mod world;

pub use fact::{Fact, Happened};
pub use invariant::{Invariant, Judge, Violation, compare, twin};
#[cfg(feature = "mistakes")]
pub use play::play_with;
pub use play::{Outcome, play};
pub use story::{
    Change, Dated, HostTruth, KillPoint, NetworkTruth, Story, StoryFileError, UpsTruth,
};
pub use world::{Machine, Power, Stop, Traffic, UpsWorld, World};
