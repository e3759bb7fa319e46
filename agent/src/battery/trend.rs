//! The runtime at full charge over months: once a day, while the load is steady.
//!
//! Runtimes are compared within a band of load only: half the load lasts more than twice as long.
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
}

impl Steady {
    /// Takes a reading; returns the runtime and the load when both have meant something for long
    /// enough.
    pub fn look(&mut self, now: Instant, reading: Option<&Reading>) -> Option<(f64, f64)> {
        let told = reading.filter(|reading| reading.line == Line::Mains).and_then(|reading| {
            let is_full = reading.charge.is_some_and(|charge| charge >= FULL);
            reading.load.zip(reading.runtime).filter(|_| is_full)
        });
        let Some((load, runtime)) = told else {
            self.0 = None;
            return None;
        };
        let start = Span { since: now, seen: now, least: load, most: load };
        let known = self.0.filter(|span| now.duration_since(span.seen) < GAP_MOST);
        let mut span = known.unwrap_or(start);
        span.least = span.least.min(load);
        span.most = span.most.max(load);
        span.seen = now;
        if span.most - span.least > LOAD_SWING {
            span = start;
        }
        self.0 = Some(span);
        let is_steady = now.duration_since(span.since) >= STEADY_FOR;
        is_steady.then_some((runtime, f64::midpoint(span.least, span.most)))
    }
}

/// All records.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Trend {
    /// By the lowest load of each band, in percent.
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
    /// It does, or not; the best of the first and of the last records say how far.
    Compared {
        /// What it once was.
        first: Record,
        /// What it is.
        last: Record,
        /// The latter by the former.
        ratio: f64,
        /// It has lost more than it may.
        is_worn: bool,
    },
}

impl Trend {
    /// Takes a record, if it is the first of its day; returns whether it was.
    pub fn add(&mut self, record: Record) -> bool {
        let day = |record: Record| record.date / DAY_SECONDS;
        if record.date == 0 || self.last().is_some_and(|last| day(last) == day(record)) {
            return false;
        }
        let lowest = band_of(record.load);
        let band = self.bands.entry(lowest).or_default();
        band.add(record);
        if let Some(renewed) = band.renewed() {
            self.bands = BTreeMap::from([(lowest, renewed)]);
        }
        true
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

    /// Forgets what is beyond what is kept, in records that somebody else may have written.
    pub(super) fn bound(&mut self) {
        self.bands.retain(|lowest, _| *lowest <= band_of(f64::MAX));
        for band in self.bands.values_mut() {
            band.first.truncate(FIRST_KEPT);
            let surplus = band.last.len().saturating_sub(LAST_KEPT);
            band.last.drain(..surplus);
        }
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
        let best = best(self.first.iter().copied())?;
        let recent: Vec<_> = self.recent()?.collect();
        let is_new = recent.iter().all(|record| record.runtime > best.runtime * GAIN);
        is_new.then(|| Self { first: recent, last: VecDeque::new() })
    }

    fn recent(&self) -> Option<impl Iterator<Item = Record>> {
        let skipped = self.last.len().checked_sub(COMPARED)?;
        Some(self.last.iter().skip(skipped).copied())
    }

    fn verdict(&self, loss_percent: u8) -> Verdict {
        let few = Verdict::Few { records: self.first.len() + self.last.len() };
        let Some(recent) = self.recent() else { return few };
        // The best of some: the guesses of a UPS vary by a tenth from day to day.
        let (Some(first), Some(last)) = (best(self.first.iter().copied()), best(recent)) else {
            return few;
        };
        let ratio = last.runtime / first.runtime;
        let is_worn = ratio < 1.0 - f64::from(loss_percent) / 100.0;
        Verdict::Compared { first, last, ratio, is_worn }
    }
}

fn best(records: impl Iterator<Item = Record>) -> Option<Record> {
    records.max_by(|one, other| one.runtime.total_cmp(&other.runtime))
}

/// Returns the lowest load of the band, in percent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 100")]
fn band_of(load: f64) -> u32 {
    (load.clamp(0.0, 100.0) / 10.0) as u32 * 10
}

/// What counts as full for a record: the runtime of 95 % would be a loss of its own.
const FULL: f64 = 100.0;
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
mod tests {
    use super::*;

    fn record(day: u32, runtime: f64, load: f64) -> Record {
        Record { date: u64::from(day) * DAY_SECONDS + 3600, runtime, load }
    }

    fn trend(days: impl Iterator<Item = u32>, runtime: impl Fn(u32) -> f64) -> Trend {
        let mut trend = Trend::default();
        for day in days {
            assert!(trend.add(record(day, runtime(day), 25.0)));
        }
        trend
    }

    fn full(load: f64) -> Reading {
        Reading {
            line: Line::Mains,
            charge: Some(100.0),
            runtime: Some(1800.0),
            load: Some(load),
            asks_for_new: false,
            test: None,
        }
    }

    #[test]
    fn a_battery_that_lasts_is_good_and_one_that_lost_a_third_is_worn() {
        let good = trend(1..400, |day| 1800.0 + f64::from(day % 10) * 15.0);
        let Verdict::Compared { is_worn, ratio, .. } = good.verdict(30) else { panic!("few") };
        assert!(!is_worn && ratio > 0.9, "{ratio}");
        // A loss of a tenth of a percent a day.
        let worn = trend(1..400, |day| 1800.0 * (1.0 - f64::from(day) / 1000.0));
        let Verdict::Compared { first, last, is_worn, .. } = worn.verdict(30) else {
            panic!("few")
        };
        assert!(is_worn);
        assert_eq!(first.date / DAY_SECONDS, 1);
        assert_eq!(last.date / DAY_SECONDS, 397);
        assert!(!matches!(worn.verdict(50), Verdict::Compared { is_worn: true, .. }));
    }

    #[test]
    fn one_bad_guess_is_no_wear_and_few_records_say_nothing() {
        let odd = trend(1..40, |day| if day == 39 { 300.0 } else { 1800.0 });
        assert!(matches!(odd.verdict(30), Verdict::Compared { is_worn: false, .. }));
        assert_eq!(trend(1..10, |_| 1800.0).verdict(30), Verdict::Few { records: 9 });
        assert_eq!(Trend::default().verdict(30), Verdict::Few { records: 0 });
    }

    #[test]
    fn loads_are_not_compared_with_each_other() {
        let mut trend = trend(1..40, |_| 1800.0);
        for day in 40..60 {
            trend.add(record(day, 700.0, 55.0));
        }
        assert!(matches!(trend.verdict(30), Verdict::Compared { is_worn: false, .. }));
        assert_eq!(trend.last(), Some(record(59, 700.0, 55.0)));
    }

    #[test]
    fn a_day_has_one_record_and_no_date_has_none() {
        let mut trend = trend(1..3, |_| 1800.0);
        assert!(!trend.add(record(2, 1.0, 25.0)));
        assert!(!trend.add(Record { date: 0, ..record(9, 1.0, 25.0) }));
        assert!(trend.add(record(1, 1700.0, 25.0)), "a clock that went back may not end it all");
    }

    #[test]
    fn a_new_battery_starts_anew() {
        let mut trend = trend(1..398, |day| if day < 390 { 1000.0 } else { 1900.0 });
        assert_eq!(trend.verdict(30), Verdict::Few { records: 8 });
        for day in 400..420 {
            trend.add(record(day, 1850.0, 25.0));
        }
        let Verdict::Compared { first, .. } = trend.verdict(30) else { panic!("few") };
        assert_eq!(first, record(396, 1900.0, 25.0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut trend = trend(1..4000, |_| 1800.0);
        let band = &trend.bands[&20];
        assert_eq!((band.first.len(), band.last.len()), (FIRST_KEPT, LAST_KEPT));
        trend.bands.insert(7000, Band::default());
        trend.bands.get_mut(&20).unwrap().first.extend([record(1, 1.0, 25.0); 99]);
        trend.bound();
        assert_eq!(trend.bands.len(), 1);
        assert_eq!(trend.bands[&20].first.len(), FIRST_KEPT);
    }

    #[test]
    fn a_record_needs_a_full_battery_on_mains_and_a_steady_load_for_half_an_hour() {
        let minutes = |count| Instant::now() + Duration::from_mins(count);
        let run = |reading: &dyn Fn(u64) -> Option<Reading>| {
            let (mut steady, start) = (Steady::default(), minutes(0));
            let looks = (0..=60).filter(|minute| {
                let at = start + Duration::from_mins(*minute);
                steady.look(at, reading(*minute).as_ref()).is_some()
            });
            looks.min()
        };
        assert_eq!(run(&|_| Some(full(25.0))), Some(30));
        assert_eq!(run(&|minute| Some(full(if minute < 20 { 40.0 } else { 25.0 }))), Some(50));
        assert_eq!(run(&|_| Some(Reading { charge: Some(99.0), ..full(25.0) })), None);
        assert_eq!(run(&|_| Some(Reading { line: Line::Battery, ..full(25.0) })), None);
        assert_eq!(run(&|_| Some(Reading { runtime: None, ..full(25.0) })), None);
        assert_eq!(run(&|_| Some(Reading { load: None, ..full(25.0) })), None);
        assert_eq!(run(&|minute| (minute != 25).then(|| full(25.0))), Some(56));
    }
}
