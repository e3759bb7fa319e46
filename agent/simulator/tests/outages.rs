//! Thousands of outages on all cores, in less than a minute.
//!
//! The seeds are the same each time; `CURFEW_SEED=N` begins at another one, and `CURFEW_OUTAGES=N`
//! plays more or fewer.
#![expect(clippy::panic, reason = "so does a test fail")]

use std::ops::ControlFlow;
use std::str::FromStr;

use curfew_simulator::{Attempt, Story, Summary, cores, play, play_many, shrink};

/// The outages that are played at least.
const OUTAGES: u64 = 20_000;
/// What a story that failed may cost more: it is played this often to make it short.
const PLAYS: usize = 2_000;

#[test]
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it says how long it took")]
fn no_outage_violates_an_invariant() {
    let first: u64 = from_environment("CURFEW_SEED").unwrap_or(0);
    let outages = from_environment("CURFEW_OUTAGES").unwrap_or(OUTAGES);
    let start = std::time::Instant::now();
    let play_seed = |seed| Summary::of(seed, &Attempt::of(|| play(&Story::random(seed))));
    let summary = play_many(first..u64::MAX, cores(), play_seed, |summary: &Summary| {
        if summary.outages >= outages || !summary.failures.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let took = start.elapsed().as_secs_f64();
    println!("{summary}, played in {took:.1} s on {} cores", cores());
    let Some((seed, failure)) = summary.first_failure() else { return };
    let failing = |story: &Story| Attempt::of(|| play(story)).failure;
    let shrunk = shrink(&Story::random(seed), failure, PLAYS, failing);
    panic!("{}", shrunk.report(seed, failure));
}

#[expect(clippy::disallowed_methods, reason = "who runs the tests chooses the seeds")]
fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`: write a whole number")))
}
