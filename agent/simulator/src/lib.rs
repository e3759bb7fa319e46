//! The cluster on virtual time: many coordinators, machines, a UPS and weather from a seed.
//!
//! No I/O, no clock: everything that a run does follows from its [`Story`]. The agents are the
//! real coordinators; only what is outside of them is simulated.
//!
//! Reading order: [`Story`] has what can be, [`World`] plays it, [`Fact`] is what truly happened,
//! [`Judge`] holds the invariants of the design against it, [`play()`] puts them together.

mod attempt;
mod fact;
mod invariant;
mod many;
mod play;
mod shrink;
mod span;
mod story;
mod world;

pub use attempt::{Attempt, Failure, FailureKind};
pub use fact::{Fact, Happened};
pub use invariant::{Invariant, Judge, Violation, compare, twin};
pub use many::{Failures, Summary, Tally, cores, play_many};
#[cfg(feature = "mistakes")]
pub use play::play_with;
pub use play::{Outcome, play};
pub use shrink::{Shrunk, shrink};
pub use story::{
    Change, Dated, HostTruth, KillPoint, NetworkTruth, Story, StoryFileError, UpsTruth,
};
pub use world::{Machine, Power, Stop, Traffic, UpsWorld, World};
