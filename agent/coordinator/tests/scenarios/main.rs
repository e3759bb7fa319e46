//! Scenarios: three real coordinators on virtual time, one test for each sentence of the design
//! that says what happens.
//!
//! `world` holds the mains, the battery, the machines and the network; everything else is stories.
//! A story that fails prints its timeline.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a story that goes wrong ends in a panic and shows what happened"
)]

mod absence;
mod cycle;
mod declaring;
mod ending;
mod forced;
mod foreign;
#[cfg(feature = "mistakes")]
mod mistakes;
mod numbers;
mod owed;
mod planned;
mod recovery;
mod restarting;
mod stopping;
mod sweep;
mod triggers;
mod world;
