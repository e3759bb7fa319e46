//! What design §4 says of the line and the numbers, sentence by sentence.

use std::time::Duration;

use super::Gauge;
use crate::{BuiltIn, Line, Reading, Time};

mod law;

/// A gauge that is polled every second.
struct Bench {
    gauge: Gauge,
    now: Time,
    next: Reading,
    limits: BuiltIn,
}

/// What an outage takes, in these tests.
const TIME_NEEDED: Duration = Duration::from_mins(5);

impl Bench {
    /// On mains for a minute, with a battery for half an hour.
    fn charged() -> Self {
        let mut bench = Self::fresh(Line::Mains);
        bench.next.runtime = secs(1800);
        bench.next.charge = Some(100);
        bench.next.load = Some(20);
        bench.poll(60);
        bench
    }

    /// Nothing seen yet, some time after boot.
    fn fresh(line: Line) -> Self {
        let next = Reading {
            line,
            is_low: false,
            is_forced: false,
            is_calibrating: false,
            charge: None,
            runtime: None,
            load: None,
            connection: 1,
            foreign_clients: None,
        };
        let now = Time::from_millis(1_000_000);
        Self { gauge: Gauge::new(), now, next, limits: BuiltIn::default() }
    }

    /// Polls this many times, a second apart.
    fn poll(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.pass(1);
            self.gauge.on_reading(self.now, &self.next, TIME_NEEDED, &self.limits);
        }
    }

    /// Lets time pass without a reading.
    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    /// A driver update of the runtime, and all polls until the next.
    fn update(&mut self, runtime: u64) {
        self.next.runtime = secs(runtime);
        self.poll(30);
    }

    /// A driver update of the charge, and all polls until the next.
    fn update_charge(&mut self, charge: u8) {
        self.next.charge = Some(charge);
        self.poll(30);
    }

    fn fail_mains(&mut self) {
        self.next.line = Line::Battery;
        self.poll(1);
    }

    fn restart(&mut self) {
        let saved = serde_json::to_string(&self.gauge.saved()).unwrap();
        self.gauge = Gauge::recover(&serde_json::from_str(&saved).unwrap());
    }

    fn left(&self) -> Option<Duration> {
        self.gauge.runtime_left(self.now)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "runtimes and results are optional")]
fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

mod line {
    use super::*;

    #[test]
    fn a_reading_is_fresh_for_less_than_three_seconds() {
        let mut bench = Bench::charged();
        bench.now = bench.now + Duration::from_millis(2_999);
        assert_eq!(bench.gauge.line(bench.now, &bench.limits), Line::Mains);
        bench.now = bench.now + Duration::from_millis(1);
        assert!(!bench.gauge.is_fresh(bench.now, &bench.limits));
        assert_eq!(bench.gauge.line(bench.now, &bench.limits), Line::Unknown);
        assert_eq!(bench.gauge.last_line(), Line::Mains);
    }

    #[test]
    fn an_unknown_reading_changes_neither_the_last_line_nor_a_number() {
        let mut bench = Bench::charged();
        let at = bench.gauge.last_line_at();
        bench.next.line = Line::Unknown;
        bench.next.runtime = secs(7);
        bench.next.charge = Some(3);
        bench.poll(100);
        assert_eq!(bench.gauge.last_line(), Line::Mains);
        assert_eq!(bench.gauge.last_line_at(), at);
        assert_eq!(bench.gauge.age(bench.now), secs(0), "the raw one is there");
        assert_eq!((bench.left(), bench.gauge.charge()), (secs(1800), Some(100)));
        assert!(!bench.gauge.is_fresh(bench.now, &bench.limits));
    }

    #[test]
    fn an_outage_begins_with_the_first_reading_of_battery_and_ends_with_mains() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        let since = Some(bench.now);
        bench.poll(10);
        bench.next.line = Line::Unknown;
        bench.poll(10);
        assert_eq!(bench.gauge.battery_since(), since);
        bench.next.line = Line::Mains;
        bench.poll(1);
        assert_eq!(bench.gauge.battery_since(), None);
    }

    #[test]
    fn low_counts_on_battery_alone() {
        let mut bench = Bench::charged();
        bench.next.is_low = true;
        bench.poll(5);
        assert!(!bench.gauge.is_low(bench.now, &bench.limits));
        assert_eq!(bench.gauge.low_since(), None);
        bench.fail_mains();
        let since = Some(bench.now);
        assert!(bench.gauge.is_low(bench.now, &bench.limits));
        bench.next.is_low = false;
        bench.poll(5);
        assert!(!bench.gauge.is_low(bench.now, &bench.limits));
        assert_eq!(bench.gauge.low_since(), since, "the first reading of it stays");
        bench.next.line = Line::Mains;
        bench.poll(1);
        assert_eq!(bench.gauge.low_since(), None);
    }

    #[test]
    fn low_that_is_not_fresh_is_unknown() {
        let mut bench = Bench::charged();
        bench.next.is_low = true;
        bench.fail_mains();
        bench.pass(3);
        assert!(!bench.gauge.is_low(bench.now, &bench.limits));
    }

    #[test]
    fn mains_have_held_only_while_somebody_looked() {
        let mut bench = Bench::charged();
        let since = bench.gauge.mains_since(bench.now, &bench.limits);
        bench.pass(2);
        bench.poll(1);
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), since, "two polls missed");
        bench.pass(3);
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), None, "stale");
        bench.poll(1);
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), Some(bench.now), "anew");
        let since = bench.gauge.mains_since(bench.now, &bench.limits);
        bench.next.line = Line::Unknown;
        bench.poll(2);
        bench.next.line = Line::Mains;
        bench.poll(1);
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), since, "unknown for 2 s");
        bench.next.line = Line::Unknown;
        bench.poll(3);
        bench.next.line = Line::Mains;
        bench.poll(1);
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), Some(bench.now));
        bench.fail_mains();
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), None);
    }
}

mod number {
    use super::*;

    #[test]
    fn a_number_counts_after_35_seconds_and_not_when_polled_twice() {
        let mut bench = Bench::fresh(Line::Mains);
        bench.next.runtime = secs(1800);
        bench.next.charge = Some(90);
        bench.poll(35);
        assert_eq!((bench.left(), bench.gauge.charge()), (None, None));
        bench.poll(1);
        assert_eq!((bench.left(), bench.gauge.charge()), (secs(1800), Some(90)));
    }

    #[test]
    fn a_gap_starts_the_35_seconds_anew() {
        let mut bench = Bench::fresh(Line::Mains);
        bench.next.runtime = secs(1800);
        bench.poll(30);
        bench.pass(10);
        bench.poll(35);
        assert_eq!(bench.left(), None);
        bench.poll(1);
        assert_eq!(bench.left(), secs(1800));
    }

    #[test]
    fn the_first_two_updates_agree_on_the_larger() {
        for (first, second) in [(900, 5), (5, 900)] {
            let mut bench = Bench::fresh(Line::Mains);
            bench.update(first);
            assert_eq!(bench.left(), None);
            bench.update(second);
            assert_eq!(bench.left(), secs(900));
        }
    }

    #[test]
    fn the_runtime_runs_down_from_its_last_change_on_battery_only() {
        let mut bench = Bench::charged();
        bench.poll(1000);
        assert_eq!(bench.left(), secs(1800));
        bench.fail_mains();
        assert_eq!(bench.left(), secs(1800));
        bench.poll(100);
        assert_eq!(bench.left(), secs(1700));
    }

    #[test]
    fn a_constant_runtime_runs_down_to_zero() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.poll(1799);
        assert_eq!(bench.left(), secs(1));
        bench.poll(100);
        assert_eq!(bench.left(), secs(0));
    }

    #[test]
    fn a_constant_runtime_runs_on_through_short_returns_of_the_mains() {
        let mut bench = Bench::charged();
        for _ in 0..10 {
            bench.next.line = Line::Battery;
            bench.poll(100);
            bench.next.line = Line::Mains;
            bench.poll(20);
        }
        let left = bench.left().unwrap().as_secs();
        assert!((800..850).contains(&left), "{left}");
        bench.poll(10_000);
        assert_eq!(bench.left(), secs(1800), "charged again");
    }

    #[test]
    fn time_unseen_before_mains_does_not_run_down() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.pass(5000);
        assert_eq!(bench.left(), secs(0), "battery when last seen");
        bench.next.line = Line::Mains;
        bench.poll(1);
        assert!(bench.left() >= secs(1797), "{:?}", bench.left());
    }

    #[test]
    fn one_low_update_after_the_transfer_does_not_count() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.update(12);
        assert_eq!(bench.left(), secs(1770), "the old one runs down meanwhile");
        bench.update(1700);
        assert_eq!(bench.left(), secs(1671));
        bench.update(1670);
        assert_eq!(bench.left(), secs(1641));
    }

    #[test]
    fn one_high_update_does_not_count_either() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.update(1700);
        bench.update(40_000);
        assert_eq!(bench.left(), secs(1740));
        bench.update(1640);
        assert_eq!(bench.left(), secs(1710), "one of the last two lies: the old one runs on");
        bench.update(1600);
        assert_eq!(bench.left(), secs(1581));
    }

    #[test]
    fn a_collapsing_battery_counts_by_its_second_low_update() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.update(200);
        assert_eq!(bench.left(), secs(1770));
        bench.next.runtime = secs(150);
        bench.poll(1);
        assert_eq!(bench.left(), secs(170), "the first of both, run down");
        bench.poll(29);
        bench.next.runtime = secs(20);
        bench.poll(1);
        assert_eq!(bench.left(), secs(120));
    }

    #[test]
    fn a_first_low_value_counts_at_once_if_the_one_on_mains_was_low_too() {
        let mut bench = Bench::fresh(Line::Mains);
        bench.next.runtime = secs(280);
        bench.poll(60);
        bench.fail_mains();
        bench.next.runtime = secs(200);
        bench.poll(1);
        assert_eq!(bench.left(), secs(200));
        bench.next.runtime = secs(20);
        bench.poll(1);
        assert_eq!(bench.left(), secs(199), "only the first");
    }

    #[test]
    fn a_first_value_above_time_needed_waits_for_its_second_update() {
        let mut bench = Bench::fresh(Line::Mains);
        bench.next.runtime = secs(280);
        bench.poll(60);
        bench.fail_mains();
        bench.next.runtime = secs(2000);
        bench.poll(1);
        assert_eq!(bench.left(), secs(279));
    }

    #[test]
    fn values_are_compared_as_they_have_run_down() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.poll(1000);
        bench.update(1200);
        assert_eq!(bench.left(), secs(770));
        bench.next.runtime = secs(900);
        bench.poll(1);
        assert_eq!(bench.left(), secs(900), "between 769 and 1170");
    }

    #[test]
    fn a_number_that_vanished_meanwhile_was_not_seen_unbroken() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.update(100);
        bench.next.runtime = None;
        bench.poll(1);
        bench.update(100);
        assert_eq!(bench.left(), secs(1739));
    }

    #[test]
    fn zero_minus_one_65535_and_the_like_are_absent() {
        for unknown in [0, 65_535, 32_767, 90_000, u64::MAX / 1000] {
            let mut bench = Bench::charged();
            bench.fail_mains();
            bench.update(unknown);
            bench.update(unknown);
            assert_eq!(bench.left(), secs(1740), "{unknown}");
        }
        let mut bench = Bench::charged();
        bench.next.charge = Some(255);
        bench.poll(30);
        assert_eq!(bench.gauge.charge(), Some(100));
    }

    #[test]
    fn a_charge_of_zero_counts_on_mains_only() {
        let mut bench = Bench::charged();
        bench.next.charge = Some(0);
        bench.poll(36);
        assert_eq!(bench.gauge.charge(), Some(0));
        bench.fail_mains();
        assert_eq!(bench.gauge.charge(), None);
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.next.charge = Some(0);
        bench.poll(100);
        assert_eq!(bench.gauge.charge(), Some(100));
    }

    #[test]
    fn a_charge_counts_as_a_runtime_does() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.update_charge(3);
        assert_eq!(bench.gauge.charge(), Some(100));
        bench.update_charge(98);
        assert_eq!(bench.gauge.charge(), Some(98));
        bench.update_charge(15);
        bench.update_charge(14);
        assert_eq!(bench.gauge.charge(), Some(15));
    }

    #[test]
    fn a_dropped_number_runs_down_on_battery_and_is_gone_on_mains_after_35_seconds() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.next.runtime = None;
        bench.next.charge = None;
        bench.poll(100);
        assert_eq!((bench.left(), bench.gauge.charge()), (secs(1700), Some(100)));
        let mut bench = Bench::charged();
        bench.next.runtime = None;
        bench.next.charge = None;
        bench.poll(35);
        assert_eq!((bench.left(), bench.gauge.charge()), (secs(1800), Some(100)));
        bench.poll(1);
        assert_eq!((bench.left(), bench.gauge.charge()), (None, None));
    }

    #[test]
    fn there_is_none_if_none_was_ever_credible() {
        let mut bench = Bench::fresh(Line::Battery);
        bench.poll(100);
        assert_eq!((bench.left(), bench.gauge.blind_left(bench.now)), (None, None));
    }

    #[test]
    fn blind_runs_down_at_double_speed_from_the_last_reading() {
        let mut bench = Bench::charged();
        assert_eq!(bench.gauge.blind_left(bench.now), None, "mains when last seen");
        bench.fail_mains();
        bench.poll(100);
        bench.pass(200);
        assert_eq!(bench.left(), secs(1500));
        assert_eq!(bench.gauge.blind_left(bench.now), secs(1300));
    }
}

mod estimate {
    use super::*;

    /// The base and three steps of 2 %, 30 s apart, under a UPS that says half an hour.
    fn discharging() -> Bench {
        let mut bench = Bench::charged();
        bench.fail_mains();
        for charge in [90, 88, 86, 84] {
            bench.update_charge(charge);
        }
        bench
    }

    #[test]
    fn it_counts_after_90_seconds_and_three_steps_and_the_smaller_one_counts() {
        let mut bench = discharging();
        assert_eq!(bench.left(), secs(1680), "the last step is not confirmed yet");
        bench.next.charge = Some(82);
        bench.poll(1);
        // 84 % at 6 % in 90 s are 1260 s, and it was first seen 30 s ago.
        assert_eq!(bench.left(), secs(1230));
        bench.update(200);
        bench.update(150);
        assert!(bench.left() <= secs(170), "the UPS's is the smaller now");
    }

    #[test]
    fn it_does_not_count_before_90_seconds() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        for charge in [90, 80, 70, 60, 50, 40] {
            bench.next.charge = Some(charge);
            bench.poll(15);
        }
        assert_eq!(bench.left(), secs(1710));
    }

    #[test]
    fn it_does_not_count_before_three_steps() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        for charge in [90, 80, 70] {
            bench.update_charge(charge);
            bench.poll(30);
        }
        assert_eq!(bench.left(), secs(1620), "the base and two steps in two minutes");
        bench.update_charge(60);
        bench.poll(30);
        // 60 % at 30 % in 180 s are 360 s, and it was first seen 59 s ago.
        assert_eq!(bench.left(), secs(301));
    }

    #[test]
    fn it_starts_anew_when_the_charge_rises() {
        let mut bench = discharging();
        bench.next.charge = Some(82);
        bench.poll(36);
        assert!(bench.left() < secs(1230));
        bench.next.charge = Some(83);
        bench.poll(36);
        assert_eq!(bench.left(), secs(1800 - 120 - 72));
    }

    #[test]
    fn a_small_load_may_waver_by_one_percent() {
        let mut bench = Bench::charged();
        bench.next.load = Some(3);
        bench.poll(36);
        bench.fail_mains();
        for (charge, load) in [(90, 3), (88, 4), (86, 4), (84, 3), (82, 3)] {
            bench.next.load = Some(load);
            bench.update_charge(charge);
        }
        assert!(bench.left() < secs(1300), "{:?}", bench.left());
    }

    #[test]
    fn it_counts_alone_where_the_ups_gives_no_runtime() {
        let mut bench = Bench::fresh(Line::Mains);
        bench.next.charge = Some(100);
        bench.poll(60);
        bench.fail_mains();
        for charge in [90, 88, 86, 84, 82] {
            assert_eq!(bench.left(), None);
            bench.update_charge(charge);
        }
        assert!(bench.left().is_some());
    }

    #[test]
    fn it_starts_anew_when_the_load_changes_by_a_quarter() {
        let mut bench = discharging();
        bench.next.charge = Some(82);
        bench.next.load = Some(24);
        bench.poll(36);
        assert!(bench.left() <= secs(1230), "by a fifth");
        bench.next.load = Some(15);
        bench.poll(36);
        assert_eq!(bench.left(), secs(1800 - 120 - 72), "the UPS's alone");
    }

    #[test]
    fn it_ends_with_the_outage() {
        let mut bench = discharging();
        bench.next.charge = Some(82);
        bench.poll(1);
        bench.next.line = Line::Mains;
        bench.poll(1);
        bench.fail_mains();
        assert!(bench.left() > secs(1600));
    }
}

mod restart {
    use super::*;

    #[test]
    fn the_outage_and_the_countdown_survive_it() {
        let mut bench = Bench::charged();
        bench.next.is_low = true;
        bench.fail_mains();
        bench.poll(100);
        let before = (bench.gauge.battery_since(), bench.gauge.low_since());
        bench.restart();
        bench.pass(20);
        assert_eq!(before, (bench.gauge.battery_since(), bench.gauge.low_since()));
        assert_eq!(bench.left(), secs(1680));
        assert_eq!(bench.gauge.blind_left(bench.now), secs(1660));
        assert_eq!(bench.gauge.last_line(), Line::Battery);
        bench.poll(100);
        assert_eq!(bench.left(), secs(1580), "an equal value restarts nothing");
    }

    #[test]
    fn nothing_is_fresh_before_the_first_reading_after_it() {
        let mut bench = Bench::charged();
        bench.next.is_low = true;
        bench.fail_mains();
        bench.restart();
        assert!(!bench.gauge.is_fresh(bench.now, &bench.limits));
        assert!(!bench.gauge.is_low(bench.now, &bench.limits));
    }

    #[test]
    fn mains_hold_anew_after_it() {
        let mut bench = Bench::fresh(Line::Mains);
        bench.poll(1);
        bench.restart();
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), None);
        bench.poll(1);
        assert_eq!(bench.gauge.mains_since(bench.now, &bench.limits), Some(bench.now));
    }

    #[test]
    fn a_lie_before_and_after_it_is_still_one_update() {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.next.runtime = secs(5);
        bench.poll(15);
        bench.restart();
        bench.poll(15);
        bench.update(1750);
        assert_eq!(bench.left(), secs(1721));
    }

    #[test]
    fn a_quiet_night_changes_nothing_that_is_saved() {
        let mut bench = Bench::charged();
        let saved = bench.gauge.saved();
        for charge in [99, 100, 99] {
            bench.update_charge(charge);
        }
        assert_eq!(bench.gauge.saved(), saved);
        bench.restart();
        assert_eq!(bench.gauge.saved(), saved);
        assert_eq!(bench.gauge.last_line(), Line::Mains);
    }
}
