//! What came of many runs.

use std::collections::BTreeMap;
use std::fmt;

use curfew_coordinator::Note;

use super::Tally;
use crate::attempt::{Attempt, Failure, FailureKind};
use crate::fact::Fact;

/// Seeds that are kept of each sort of failure: enough to choose the one that is easiest to read.
const SEEDS: usize = 20;

/// What came of many runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// How often the mains failed.
    pub outages: u64,
    /// Runs in which a shutdown was declared.
    pub declared: u64,
    /// Events that agents took.
    pub events: u64,
    /// Virtual time, in milliseconds.
    pub passed: u64,
    /// Runs that failed, by the sort of failure.
    pub failures: BTreeMap<FailureKind, Failures>,
    /// The run that took the most virtual time: milliseconds and seed.
    pub longest: Option<(u64, u64)>,
    /// The run that cost most: events and seed.
    pub busiest: Option<(u64, u64)>,
}

/// Runs that failed alike.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// The first of their seeds, each with what was seen.
    pub first: Vec<(u64, Failure)>,
}

impl Summary {
    /// Returns the summary of one run.
    pub fn of(seed: u64, attempt: &Attempt) -> Self {
        let mut summary = Self { runs: 1, ..Self::default() };
        if let Some(outcome) = &attempt.outcome {
            let world = &outcome.world;
            let facts = || world.facts().iter().map(|happened| &happened.fact);
            let failed = facts().filter(|fact| matches!(fact, Fact::MainsFailed)).count();
            let is_declared = facts().any(|fact| matches!(fact, Fact::Note(Note::Declared { .. })));
            summary.outages = u64::try_from(failed).unwrap_or(u64::MAX);
            summary.declared = u64::from(is_declared);
            summary.events = world.traffic().events;
            summary.passed = world.now();
            summary.longest = Some((summary.passed, seed));
            summary.busiest = Some((summary.events, seed));
        }
        if let Some(failure) = &attempt.failure {
            let failures = Failures { count: 1, first: vec![(seed, failure.clone())] };
            summary.failures.insert(failure.kind(), failures);
        }
        summary
    }

    /// Returns how many runs failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().map(|failures| failures.count).sum()
    }

    /// Returns the failed run with the smallest seed.
    pub fn first_failure(&self) -> Option<(u64, &Failure)> {
        let firsts = self.failures.values().filter_map(|failures| failures.first.first());
        firsts.min_by_key(|(seed, _)| *seed).map(|(seed, failure)| (*seed, failure))
    }
}

impl Tally for Summary {
    fn add(&mut self, later: Self) {
        self.runs += later.runs;
        self.outages += later.outages;
        self.declared += later.declared;
        self.events += later.events;
        self.passed += later.passed;
        self.longest = worse(self.longest, later.longest);
        self.busiest = worse(self.busiest, later.busiest);
        for (kind, failures) in later.failures {
            let all = self.failures.entry(kind);
            let all = all.or_insert_with(|| Failures { count: 0, first: Vec::new() });
            all.count += failures.count;
            let room = SEEDS.saturating_sub(all.first.len());
            all.first.extend(failures.first.into_iter().take(room));
        }
    }
}

/// Of two equal ones the first.
fn worse(one: Option<(u64, u64)>, later: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, later) {
        (Some(one), Some(later)) if later.0 > one.0 => Some(later),
        (one, later) => one.or(later),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} outages, {} runs with a shutdown, {} events, {} h",
            self.runs,
            self.outages,
            self.declared,
            self.events,
            self.passed / 3_600_000
        )?;
        for (kind, failures) in &self.failures {
            write!(f, "\n{kind}: {} runs", failures.count)?;
            for (seed, failure) in failures.first.iter().take(3) {
                write!(f, "\n  seed {seed}: {failure}")?;
            }
        }
        Ok(())
    }
}
