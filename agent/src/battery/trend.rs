//! The runtime at full charge over months: once a day, while the load is steady.
//!
//! A runtime goes with about the inverse of the load, to a power that differs from battery to
//! battery (Peukert) and with what the UPS itself takes. So only runtimes at nearly the same load
//! are compared, in bands a fifth wide, and there each is brought to the load of the last by the
//! power that is best for the battery: no change of load makes a battery worn, or a new one.
//!
//! Of each band the first records are kept for good and of the later ones the last, so that what is
//! kept is small and the comparison is with what the battery once was. A runtime that has risen by
//! far is a new battery: everything starts anew.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use curfew_nut::status::Line;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Reading;

/// A runtime at full charge.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// The date in seconds since 1970.
    pub date: u64,
    /// In seconds.
    #[serde(rename = "runtime_seconds")]
    pub runtime: f64,
    /// In percent.
    #[serde(rename = "load_percent")]
    pub load: f64,
}

/// Watches for a moment at which the runtime says something of the battery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steady(Option<Span>);

#[derive(Clone, Copy, Debug)]
struct Span {
    since: Instant,
    seen: Instant,
    least: f64,
    most: f64,
    /// Sums of the logarithms: of both the geometric mean is told, which keeps to the same law.
    load: f64,
    runtime: f64,
    count: f64,
}

impl Steady {
    /// Takes a reading; returns the mean runtime and load when both have meant something for long
    /// enough.
    pub fn look(&mut self, now: Instant, reading: Option<&Reading>) -> Option<(f64, f64)> {
        let told = reading.filter(|reading| reading.line == Line::Mains).and_then(|reading| {
            let is_full = reading.charge.is_some_and(|charge| charge >= FULL);
            let load = reading.load.filter(|load| *load >= LOAD_LEAST);
            load.zip(reading.runtime).filter(|_| is_full)
        });
        let Some((load, runtime)) = told else {
            self.0 = None;
            return None;
        };
        let start = Span {
            since: now,
            seen: now,
            least: load,
            most: load,
            load: 0.0,
            runtime: 0.0,
            count: 0.0,
        };
        let known = self.0.filter(|span| now.duration_since(span.seen) < GAP_MOST);
        let mut span = known.unwrap_or(start);
        span.least = span.least.min(load);
        span.most = span.most.max(load);
        span.seen = now;
        if span.most - span.least > LOAD_SWING {
            span = start;
        }
        span.load += load.ln();
        span.runtime += runtime.ln();
        span.count += 1.0;
        self.0 = Some(span);
        let is_steady = now.duration_since(span.since) >= STEADY_FOR;
        is_steady.then(|| ((span.runtime / span.count).exp(), (span.load / span.count).exp()))
    }
}

/// All records.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Trend {
    /// By the number of each band.
    bands: BTreeMap<u32, Band>,
}

/// The records of a band of load.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Band {
    /// What the battery once was.
    first: Vec<Record>,
    /// What it is.
    last: VecDeque<Record>,
}

/// Whether the battery still lasts as it once did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// There are too few records of this load.
    Few {
        /// How many.
        records: usize,
    },
    /// It does, or not; the best of the first and of the last records at one load say how far.
    Compared {
        /// What it once was.
        first: Record,
        /// What it is.
        last: Record,
        /// The latter by the former, both brought to one load in favour of the battery.
        ratio: f64,
        /// It has lost more than it may.
        is_worn: bool,
    },
}

impl Trend {
    /// Takes a record, if it is the first of its day; returns whether it was.
    ///
    /// What is dated in the future was written under a wrong clock and is forgotten; where most of
    /// it is, the clock of this record is the wrong one.
    pub fn add(&mut self, record: Record) -> bool {
        let day = |record: Record| record.date / DAY_SECONDS;
        let is_sound = record.load >= LOAD_LEAST && record.runtime > 0.0;
        if record.date == 0 || !is_sound {
            return false;
        }
        let is_past = |known: &Record| known.date <= record.date.saturating_add(DAY_SECONDS);
        let (past, future): (Vec<_>, Vec<_>) = self.records().partition(is_past);
        if future.len() > past.len() && future.len() >= FIRST_KEPT + COMPARED {
            return false;
        }
        for band in self.bands.values_mut() {
            band.first.retain(is_past);
            band.last.retain(is_past);
        }
        if self.last().is_some_and(|last| day(last) == day(record)) {
            return false;
        }
        let number = band_of(record.load);
        let band = self.bands.entry(number).or_default();
        band.add(record);
        if let Some(renewed) = band.renewed() {
            self.bands = BTreeMap::from([(number, renewed)]);
        }
        true
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        self.bands.values().flat_map(|band| band.first.iter().chain(&band.last).copied())
    }

    /// Returns the last record of all.
    pub fn last(&self) -> Option<Record> {
        let last = |band: &Band| band.last.back().or_else(|| band.first.last()).copied();
        self.bands.values().filter_map(last).max_by_key(|record| record.date)
    }

    /// Compares, in the band of the last record; a loss of more than `loss_percent` is too much.
    pub fn verdict(&self, loss_percent: u8) -> Verdict {
        let band = self.last().and_then(|last| self.bands.get(&band_of(last.load)));
        band.map_or(Verdict::Few { records: 0 }, |band| band.verdict(loss_percent))
    }

    /// Puts each record into its band anew and forgets what is beyond what is kept: somebody else
    /// may have written them, or an agent with other bands.
    pub(super) fn bound(&mut self) {
        for band in std::mem::take(&mut self.bands).into_values() {
            for record in band.first.into_iter().chain(band.last) {
                if record.load >= LOAD_LEAST && record.runtime > 0.0 {
                    self.bands.entry(band_of(record.load)).or_default().add(record);
                }
            }
        }
    }
}

impl Record {
    /// Returns the least and the most that the same battery gives at another load.
    fn at_load(self, load: f64) -> (f64, f64) {
        let by = self.load / load;
        let (one, other) = (by.powf(LAW_LEAST), by.powf(LAW_MOST));
        (self.runtime * one.min(other), self.runtime * one.max(other))
    }
}

impl Band {
    fn add(&mut self, record: Record) {
        if self.first.len() < FIRST_KEPT {
            self.first.push(record);
            return;
        }
        self.last.push_back(record);
        if self.last.len() > LAST_KEPT {
            self.last.pop_front();
        }
    }

    /// Returns what there is of a new battery, if it is one: no battery gains by far.
    fn renewed(&self) -> Option<Self> {
        let recent: Vec<_> = self.recent()?.collect();
        let load = recent.last()?.load;
        let once = self.first.iter().map(|record| record.at_load(load).1).reduce(f64::max)?;
        // Loads are told in whole percents, and what is forgotten here does not come back.
        let lowest = self.first.iter().chain(&recent).map(|record| record.load).reduce(f64::min)?;
        let rounding = ((lowest + 0.5) / (lowest - 0.5)).powf(LAW_MOST);
        let is_new = recent.iter().all(|record| record.at_load(load).0 > once * GAIN * rounding);
        is_new.then(|| Self { first: recent, last: VecDeque::new() })
    }

    fn recent(&self) -> Option<impl Iterator<Item = Record>> {
        let skipped = self.last.len().checked_sub(COMPARED)?;
        Some(self.last.iter().skip(skipped).copied())
    }

    fn verdict(&self, loss_percent: u8) -> Verdict {
        let few = Verdict::Few { records: self.first.len() + self.last.len() };
        let Some(recent) = self.recent() else { return few };
        let recent: Vec<_> = recent.collect();
        let Some(load) = recent.last().map(|record| record.load) else { return few };
        // The best of some: the guesses of a UPS vary by a tenth from day to day.
        let once = best(&self.first, |record| record.at_load(load).0);
        let now = best(&recent, |record| record.at_load(load).1);
        let (Some((first, once)), Some((last, now))) = (once, now) else { return few };
        let ratio = now / once;
        let is_worn = ratio < 1.0 - f64::from(loss_percent) / 100.0;
        Verdict::Compared { first, last, ratio, is_worn }
    }
}

fn best(records: &[Record], by: impl Fn(Record) -> f64) -> Option<(Record, f64)> {
    let valued = records.iter().map(|record| (*record, by(*record)));
    valued.max_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// Returns the number of the band of a load in percent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 16")]
fn band_of(load: f64) -> u32 {
    ((load.clamp(LOAD_LEAST, 100.0) / LOAD_LEAST).ln() / BAND_WIDTH.ln()) as u32
}

/// What counts as full for a record: the runtime of 95 % would be a loss of its own.
const FULL: f64 = 100.0;
/// Below it the percent in which it is told is too coarse.
const LOAD_LEAST: f64 = 5.0;
/// The highest load of a band by its lowest: a battery that lost 40 % is found across it.
const BAND_WIDTH: f64 = 1.2;
/// To which power of the load the runtime falls: less than 1 where the UPS itself takes much, up to
/// 1.35 for old lead at a high load, and some more for tables that makers fill in.
const LAW_LEAST: f64 = 0.8;
const LAW_MOST: f64 = 1.4;
/// So long no disk spins up and no fan starts that was not counted in.
const STEADY_FOR: Duration = Duration::from_mins(30);
/// Looks come every 10 s.
const GAP_MOST: Duration = Duration::from_mins(10);
/// Percent of nominal load, between the least and the most.
const LOAD_SWING: f64 = 5.0;
/// A week is what the battery once was.
const FIRST_KEPT: usize = 7;
/// A month is more than is compared.
const LAST_KEPT: usize = 31;
/// As many of the last as must agree.
const COMPARED: usize = 3;
/// By which a new battery is known.
const GAIN: f64 = 1.25;
const DAY_SECONDS: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests;
