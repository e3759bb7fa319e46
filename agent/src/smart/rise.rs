//! Counts that only go up over a disk's life, and whether one has done so of late.
//!
//! A disk that has replaced some sectors once may go on for years; one that goes on replacing them
//! does not. What was counted is kept for as long as the agent runs.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Answer;

/// A count that has risen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// What is counted, in the plural.
    pub what: &'static str,
    /// What it was when this agent first saw it, or when it last stood still for a week.
    pub from: f64,
    /// What it is.
    pub to: f64,
}

/// All counts that have been seen.
#[derive(Debug, Default)]
pub(super) struct Rises(BTreeMap<(String, &'static str), Seen>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    base: f64,
    last: f64,
    rose: Instant,
    at: Instant,
}

impl Rises {
    /// Takes what a disk says now; returns what has risen within a week.
    pub(super) fn see(&mut self, name: &str, answer: &Answer, now: Instant) -> Vec<Rise> {
        // Names pass from one disk to another.
        let disk = answer.serial_number.as_deref().unwrap_or(name);
        let counts = [
            ("media errors", answer.media_errors()),
            ("replaced sectors", answer.reallocated()),
            ("replaced sectors", answer.scsi_grown_defect_list),
        ];
        let mut rises = Vec::new();
        for (what, count) in counts {
            let Some(count) = count else { continue };
            // Whoever says that he is another disk each time is not remembered for ever.
            let key = (disk.to_owned(), what);
            if self.0.len() >= SEEN_MAX && !self.0.contains_key(&key) {
                self.forget_oldest();
            }
            let start = Seen { base: count, last: count, rose: now, at: now };
            let seen = self.0.entry(key).or_insert(start);
            seen.take(count, now);
            if seen.last > seen.base {
                rises.push(Rise { what, from: seen.base, to: seen.last });
            }
        }
        rises
    }

    /// Forgets what was seen longest ago.
    fn forget_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, seen)| seen.at).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.0.remove(&key);
        }
    }
}

impl Seen {
    fn take(&mut self, count: f64, now: Instant) {
        if count > self.last {
            self.rose = now;
        } else if count < self.base || now.duration_since(self.rose) >= KEPT {
            self.base = count;
        }
        self.last = count;
        self.at = now;
    }
}

/// Until somebody who looks once a week has looked.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// Two counts of each of 32 disks, some of them replaced.
const SEEN_MAX: usize = 128;
