//! Batteries that last and that do not, under loads that change.

use proptest::collection::vec;
use proptest::prelude::*;

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
    let Verdict::Compared { first, last, is_worn, .. } = worn.verdict(30) else { panic!("few") };
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

/// A load from 5 to 100 % as a UPS tells it, and what a battery of that power gives at it.
fn day_of(load: f64, power: f64, strength: f64) -> (f64, f64) {
    (strength * 60_000.0 / load.powf(power), load.round())
}

proptest! {
    #[test]
    fn no_change_of_load_wears_a_battery_or_renews_it(
        power in 1.0..1.35,
        loads in vec(5.0..100.0, 30..400),
        near in 5.0..80.0,
    ) {
        // Loads all over, and loads that keep within a fifth.
        let nearby = loads.iter().map(|load| near * (1.0 + load / 500.0));
        for loads in [loads.clone(), nearby.collect()] {
            let mut trend = Trend::default();
            for (day, load) in (1..).zip(&loads) {
                let (runtime, told) = day_of(*load, power, 1.0);
                trend.add(record(day, runtime, told));
                let verdict = trend.verdict(30);
                let is_worn = matches!(verdict, Verdict::Compared { is_worn: true, .. });
                prop_assert!(!is_worn, "day {day}");
                let begins = |band: &Band| band.first[0].date / DAY_SECONDS == 1;
                prop_assert!(trend.bands.values().any(begins), "day {day}");
            }
        }
    }

    #[test]
    fn a_battery_that_lost_two_fifths_is_found_at_changing_loads(
        power in 1.0..1.35,
        loads in vec(10_u32..90, 1..5),
    ) {
        let days = || 1..400_u32;
        let mut trend = Trend::default();
        for (day, load) in days().zip(loads.iter().cycle()) {
            let strength = if day < 200 { 1.0 } else { 0.6 };
            let (runtime, told) = day_of(f64::from(*load), power, strength);
            trend.add(record(day, runtime, told));
        }
        let is_worn = matches!(trend.verdict(30), Verdict::Compared { is_worn: true, .. });
        prop_assert!(is_worn, "{:?}", trend.verdict(30));
    }
}

#[test]
fn a_little_more_load_is_no_wear_and_a_little_less_is_no_new_battery() {
    // Within a band of ten percents both were taken for the battery's own.
    for (before, after) in [(20.0, 29.0), (29.0, 20.0), (10.0, 12.0), (12.0, 10.0)] {
        let mut trend = Trend::default();
        for day in 1..60 {
            let (runtime, load) = day_of(if day < 30 { before } else { after }, 1.2, 1.0);
            trend.add(record(day, runtime, load));
        }
        let Verdict::Compared { is_worn, .. } = trend.verdict(30) else { panic!("few") };
        assert!(!is_worn, "{before} {after}");
        let begins = |band: &Band| band.first[0].date / DAY_SECONDS == 1;
        assert!(trend.bands.values().any(begins), "{before} {after}");
    }
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
fn records_of_the_future_are_forgotten_unless_it_is_this_clock_that_is_wrong() {
    let mut ahead = trend(1..30, |_| 1800.0);
    assert!(ahead.add(record(9000, 1800.0, 25.0)));
    assert!(ahead.add(record(30, 1800.0, 25.0)), "the right clock again");
    assert!(!ahead.add(record(30, 1800.0, 25.0)), "once a day");
    assert_eq!(ahead.last(), Some(record(30, 1800.0, 25.0)));
    let mut kept = trend(1000..1030, |_| 1800.0);
    assert!(!kept.add(record(1, 1800.0, 25.0)));
    assert_eq!(kept.records().count(), 30);
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
    let number = band_of(25.0);
    let band = &trend.bands[&number];
    assert_eq!((band.first.len(), band.last.len()), (FIRST_KEPT, LAST_KEPT));
    let same = trend.clone();
    trend.bound();
    assert_eq!(trend, same);
    // Of an agent that had bands of ten percents, and of nobody.
    let odd = [record(1, 1.0, 20.0), record(1, 1.0, 0.0), record(1, f64::NAN, 25.0)];
    trend.bands.insert(7000, Band { first: vec![record(1, 1.0, 25.0); 99], ..Band::default() });
    trend.bands.insert(20, Band { first: odd.into(), ..Band::default() });
    trend.bound();
    let numbers: Vec<_> = trend.bands.keys().copied().collect();
    assert_eq!(numbers, [band_of(20.0), number]);
    let band = &trend.bands[&number];
    assert_eq!((band.first.len(), band.last.len()), (FIRST_KEPT, LAST_KEPT));
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
