//! The cluster on virtual time: many coordinators, machines, a UPS and weather from a seed.
//!
//! No I/O, no clock: everything that a run does follows from its [`Story`]. The agents are the
//! real coordinators; only what is outside of them is simulated.
//!
//! Reading order: [`Story`] has what can be, [`World`] plays it, [`Fact`] is what truly happened,
//! [`Judge`] holds the invariants of the design against it, [`play()`] puts them together, and
//! [`explore()`] plays all stories of a bounded world.
//!
//! For people with a cluster of their own: a [`Question`] becomes a story, [`Course`] writes down
//! how it goes, [`Measure`] says what that amounts to, [`chart()`] and [`moments`] show it.

mod attempt;
mod chart;
mod course;
mod explore;
mod fact;
mod invariant;
mod many;
mod measure;
mod naive;
mod play;
mod question;
mod shrink;
mod span;
mod story;
mod survey;
mod words;
mod world;

pub use attempt::{Attempt, Failure, FailureKind};
pub use chart::{LEAST_WIDTH, Look, chart};
pub use course::{Course, FULL_MESH, Lane, Sample, State};
#[cfg(feature = "mistakes")]
pub use explore::explore_with;
pub use explore::{Bound, Budget, Explored, Found, Progress, explore};
pub use fact::{Fact, Happened};
pub use invariant::{Invariant, Judge, Violation, compare, twin};
pub use many::{Failures, Summary, Tally, cores, play_many};
pub use measure::{Grade, Link, Margin, Measure, Step};
pub use naive::{Fate, Rule};
#[cfg(feature = "mistakes")]
pub use play::play_with;
pub use play::{Outcome, play};
pub use question::{FAILS_AT, Question, Trouble};
pub use shrink::{Shrunk, shrink};
pub use story::{
    Change, Dated, HostTruth, KillPoint, NetworkTruth, Story, StoryFileError, UpsTruth,
};
pub use survey::{Counts, Survey, Worst};
pub use words::{Moment, in_words, moments};
pub use world::{Machine, Power, Stop, Traffic, UpsWorld, World};
