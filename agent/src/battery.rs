//! How the battery of the UPS fares: whether it charges, and whether it still lasts as it once did.
//!
//! Pure types over readings and moments, kept by a task of the app; `Report` is what it publishes.
//! A UPS tells its charge and guesses its runtime; both are worth something only over time: a
//! charge that does not rise for hours, and a runtime at full charge and the same load that falls
//! over months. What the UPS does not say is unknown, never good.

pub mod charge;
pub mod file;
pub mod trend;

use std::collections::BTreeMap;
use std::time::Duration;

use curfew_nut::snapshot::parse_number;
use curfew_nut::status::{Line, Status, Token};
use tokio::time::Instant;

use self::charge::{Charge, Charging};
use self::trend::{Record, Steady, Trend, Verdict};
use crate::cluster_file::seeing::BatteryLimits;

/// What a reading says of the battery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// What feeds the UPS; unknown in a calibration, which empties the battery on purpose.
    pub line: Line,
    /// `battery.charge` in percent.
    pub charge: Option<f64>,
    /// `battery.runtime` in seconds.
    pub runtime: Option<f64>,
    /// `ups.load` in percent.
    pub load: Option<f64>,
    /// `RB`.
    pub asks_for_new: bool,
    /// What `ups.test.result` says, if that is known.
    pub test: Option<Test>,
}

/// How the last test of the battery by the UPS went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Test {
    /// Nothing is wrong, or nothing was tested.
    Good,
    /// The UPS warns.
    Doubtful,
    /// The battery failed.
    Bad,
}

/// What is known of the battery, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The moment.
    pub taken: Instant,
    /// What the UPS said; none without a reading.
    pub reading: Option<Reading>,
    /// For how long it has asked for a new battery.
    pub asks_for_new_for: Option<Duration>,
    /// Whether it charges.
    pub charging: Charging,
    /// The last runtime at full charge.
    pub full: Option<Record>,
    /// Whether it still lasts as it once did.
    pub verdict: Verdict,
    /// Why the records of it could not be read or written.
    pub problem: Option<String>,
    /// For how long that has been so.
    pub problem_for: Duration,
}

impl Report {
    /// Returns whether it is too old to be shown.
    pub fn is_stale(&self) -> bool {
        self.taken.elapsed() >= STALE_AFTER
    }
}

/// Watches the battery.
#[derive(Clone, Debug)]
pub struct Battery {
    limits: BatteryLimits,
    charge: Charge,
    steady: Steady,
    trend: Trend,
    asks_for_new_since: Option<Instant>,
    /// When a record was taken last: no clock of the wall may have one written at every look.
    recorded: Option<Instant>,
}

impl Battery {
    /// Takes up the records of earlier days.
    pub fn new(limits: BatteryLimits, trend: Trend) -> Self {
        let charge = Charge::new(limits.charge_stuck_for);
        let steady = Steady::default();
        Self { limits, charge, steady, trend, asks_for_new_since: None, recorded: None }
    }

    /// Takes a reading, or that there is none, at `date` in seconds since 1970.
    ///
    /// Returns what is known now, and whether there is a new record to keep.
    pub fn look(&mut self, now: Instant, date: u64, reading: Option<Reading>) -> (Report, bool) {
        let asks = reading.is_some_and(|reading| reading.asks_for_new);
        self.asks_for_new_since = asks.then(|| self.asks_for_new_since.unwrap_or(now));
        let charging = self.charge.look(now, reading.as_ref());
        let steady = self.steady.look(now, reading.as_ref());
        let is_due = self.recorded.is_none_or(|then| now.duration_since(then) >= RECORD_EVERY);
        let record =
            steady.filter(|_| is_due).map(|(runtime, load)| Record { date, runtime, load });
        let is_new = record.is_some_and(|record| self.trend.add(record));
        if is_new {
            self.recorded = Some(now);
        }
        let report = Report {
            taken: now,
            reading,
            asks_for_new_for: self.asks_for_new_since.map(|since| now.duration_since(since)),
            charging,
            full: self.trend.last(),
            verdict: self.trend.verdict(self.limits.runtime_loss_percent),
            problem: None,
            problem_for: Duration::ZERO,
        };
        (report, is_new)
    }

    /// Takes up the records of earlier days that could not be read at the start.
    pub fn take_up(&mut self, trend: Trend) {
        self.trend = trend;
    }

    /// Returns the records, to be kept.
    pub const fn trend(&self) -> &Trend {
        &self.trend
    }
}

/// Reads what the variables of a UPS say of its battery; none without any.
pub fn reading(variables: &BTreeMap<String, String>) -> Option<Reading> {
    let status = Status::parse(variables.get("ups.status")?);
    let number = |name: &str, from: f64, to: f64| {
        let number = variables.get(name).and_then(|text| parse_number(text));
        number.filter(|number| (from..=to).contains(number))
    };
    let line = if status.has(&Token::Calibrating) { Line::Unknown } else { status.line() };
    Some(Reading {
        line,
        charge: number("battery.charge", 0.0, 100.0),
        // 65535 and more mean "unknown", and so does 0.
        runtime: number("battery.runtime", 1.0, 65_534.0),
        load: number("ups.load", 0.0, 300.0),
        asks_for_new: status.has(&Token::ReplaceBattery),
        test: variables.get("ups.test.result").map(|text| test(text)),
    })
}

/// Drivers say "Done and passed", "Done and warning", "Done and error", "Battery test failed" and
/// the like.
fn test(result: &str) -> Test {
    let result = result.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| result.contains(word));
    if says(&["error", "fail", "bad", "replace"]) && !says(&["no error", "not bad"]) {
        Test::Bad
    } else if says(&["warning"]) {
        Test::Doubtful
    } else {
        Test::Good
    }
}

/// Often enough for one each day.
const RECORD_EVERY: Duration = Duration::from_hours(12);
/// Six looks.
const STALE_AFTER: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_ups_does_not_say_or_nobody_believes_is_absent() {
        assert_eq!(reading(&variables(&[])), None);
        let bare = reading(&variables(&[("ups.status", "OL CHRG RB")])).unwrap();
        assert_eq!(
            (bare.line, bare.charge, bare.runtime, bare.load),
            (Line::Mains, None, None, None)
        );
        assert!(bare.asks_for_new);
        let odd = reading(&variables(&[
            ("ups.status", "OL CAL"),
            ("battery.charge", "abc"),
            ("battery.runtime", "65535"),
            ("ups.load", "-1"),
        ]));
        let odd = odd.unwrap();
        assert_eq!(
            (odd.line, odd.charge, odd.runtime, odd.load),
            (Line::Unknown, None, None, None)
        );
    }

    #[test]
    fn a_test_went_well_unless_it_says_otherwise() {
        for (text, wanted) in [
            ("Done and passed", Test::Good),
            ("No test initiated", Test::Good),
            ("In progress", Test::Good),
            ("Passed, no error", Test::Good),
            ("Done and warning", Test::Doubtful),
            ("Done and error", Test::Bad),
            ("Battery test failed", Test::Bad),
            ("Bad battery pack: replace", Test::Bad),
        ] {
            assert_eq!(test(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_clock_that_jumps_has_no_more_than_one_record_written_in_half_a_day() {
        let limits =
            BatteryLimits { charge_stuck_for: Duration::from_hours(6), runtime_loss_percent: 30 };
        let mut battery = Battery::new(limits, Trend::default());
        let start = Instant::now();
        let full = reading(&variables(&[
            ("ups.status", "OL"),
            ("battery.charge", "100"),
            ("battery.runtime", "1800"),
            ("ups.load", "25"),
        ]));
        let day =
            |minute: u64| 86_400 * if minute.is_multiple_of(2) { 20_000 } else { 90_000 + minute };
        let looks = (0..=24 * 60).map(|minute| (start + Duration::from_mins(minute), day(minute)));
        let written = looks.filter(|(now, date)| battery.look(*now, *date, full).1).count();
        assert_eq!(written, 2);
    }

    #[test]
    fn a_call_for_a_new_battery_counts_from_its_first_reading_and_is_taken_back() {
        let limits =
            BatteryLimits { charge_stuck_for: Duration::from_hours(6), runtime_loss_percent: 30 };
        let mut battery = Battery::new(limits, Trend::default());
        let start = Instant::now();
        let asking = reading(&variables(&[("ups.status", "OL RB")]));
        battery.look(start, 1, asking);
        let (report, _) = battery.look(start + Duration::from_mins(11), 1, asking);
        assert_eq!(report.asks_for_new_for, Some(Duration::from_mins(11)));
        let (report, _) = battery.look(start + Duration::from_mins(12), 1, None);
        assert_eq!((report.asks_for_new_for, report.reading), (None, None));
    }
}
