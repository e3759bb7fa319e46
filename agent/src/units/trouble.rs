//! Which units are in trouble: pure, from what look after look has seen.
//!
//! A unit that fails and is up again before the next look is in none. One that has failed in two
//! looks, one after the other, is; and so is a service that was started again three times within
//! five minutes, which no look may ever find failed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use curfew_host::systemd::Unit;
use tokio::time::Instant;

/// A unit that has been in trouble for more than a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// Its name.
    pub unit: String,
    /// What is the matter with it.
    pub plight: Plight,
}

/// What is the matter with a unit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Plight {
    /// It was started again so often in the last minutes.
    Restarts(u32),
    /// It has failed, and stays so.
    Failed,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    ignored: BTreeSet<String>,
    /// In how many looks each failed unit has been so, without a break.
    failed: BTreeMap<String, u32>,
    restarts: BTreeMap<String, VecDeque<Mark>>,
}

/// So often a service had been started again, and since when that was known.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    count: u32,
}

impl Watch {
    pub(super) fn new(ignored: Vec<String>) -> Self {
        Self { ignored: ignored.into_iter().collect(), ..Self::default() }
    }

    /// Takes what a look has seen.
    pub(super) fn see(&mut self, failed: &BTreeSet<String>, units: &[Unit], now: Instant) {
        let looks = |name: &String| self.failed.get(name).map_or(1, |looks| looks + 1);
        self.failed = failed.iter().map(|name| (name.clone(), looks(name))).collect();
        let counts = units.iter().filter_map(|unit| Some((unit.name.as_str(), unit.restarts?)));
        let counts: BTreeMap<_, _> = counts.collect();
        self.restarts.retain(|name, _| counts.contains_key(name.as_str()));
        for (name, count) in counts {
            if let Some(marks) = self.restarts.get_mut(name) {
                mark(marks, count, now);
            } else {
                self.restarts.insert(name.to_owned(), VecDeque::from([Mark { at: now, count }]));
            }
        }
    }

    /// Returns the units in trouble, the worst first, and how many more are ignored.
    pub(super) fn trouble(&self, now: Instant) -> (Vec<Trouble>, usize) {
        let failed = self.failed.iter().filter(|(_, looks)| **looks >= LOOKS);
        let failed = failed.map(|(name, _)| (name, Plight::Failed));
        let restarts = self.restarts.iter().filter(|(name, _)| !self.failed.contains_key(*name));
        let restarts = restarts.map(|(name, marks)| (name, restarts_of(marks, now)));
        let restarts = restarts.filter(|(_, count)| *count >= RESTARTS);
        let restarts = restarts.map(|(name, count)| (name, Plight::Restarts(count)));
        let (ignored, in_trouble): (Vec<_>, Vec<_>) =
            failed.chain(restarts).partition(|(name, _)| self.ignored.contains(*name));
        let mut trouble: Vec<_> = in_trouble
            .into_iter()
            .map(|(unit, plight)| Trouble { unit: unit.clone(), plight })
            .collect();
        trouble.sort_by_key(|it| (Reverse(it.plight), rank(&it.unit)));
        (trouble, ignored.len())
    }

    /// Returns whether something has failed of which the next look tells whether it lasts.
    pub(super) fn is_unsettled(&self) -> bool {
        let is_open =
            |(name, looks): (&String, &u32)| *looks < LOOKS && !self.ignored.contains(name);
        self.failed.iter().any(is_open)
    }
}

/// Notes the count, and forgets what is longer ago than it has to be.
fn mark(marks: &mut VecDeque<Mark>, count: u32, now: Instant) {
    let last = marks.back().map(|mark| mark.count);
    if last.is_some_and(|last| count < last) {
        // Somebody has started it anew by hand, and it counts from zero.
        marks.clear();
    }
    if last != Some(count) {
        marks.push_back(Mark { at: now, count });
    }
    // The first one left is what it had been when the window began.
    while marks.get(1).is_some_and(|second| now.duration_since(second.at) >= WINDOW) {
        marks.pop_front();
    }
}

fn restarts_of(marks: &VecDeque<Mark>, now: Instant) -> u32 {
    let is_over = |mark: &&Mark| now.duration_since(mark.at) >= WINDOW;
    let before = marks.iter().take_while(is_over).last().or_else(|| marks.front());
    let (Some(before), Some(last)) = (before, marks.back()) else { return 0 };
    last.count.saturating_sub(before.count)
}

/// What is needed by more comes first.
fn rank(unit: &str) -> usize {
    RANKS.iter().position(|known| *known == super::kind_of(unit)).unwrap_or(RANKS.len())
}

const RANKS: [&str; 5] = ["mount", "service", "socket", "swap", "timer"];
/// In so many looks, one after the other.
const LOOKS: u32 = 2;
/// So many restarts, as the alert of node-mixin has it: more than two in five minutes.
const RESTARTS: u32 = 3;
const WINDOW: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests;
