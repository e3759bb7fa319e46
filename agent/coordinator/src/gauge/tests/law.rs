//! Laws of the gauge, over arbitrary readings and over honest batteries with one lie.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Readings of any kind, each some milliseconds after the one before.
fn any_readings(lines: &'static [Line]) -> impl Strategy<Value = Vec<(u64, Reading)>> {
    let one = (
        prop_oneof![9 => Just(1000_u64), 1 => 0..60_000_u64],
        prop::sample::select(lines),
        any::<bool>(),
        prop::option::weighted(0.9, prop_oneof![90..101_u8, any::<u8>()]),
        prop::option::weighted(0.9, prop_oneof![500..510_u64, 0..100_000_u64]),
        prop::option::weighted(0.9, 18..24_u8),
    );
    let one = one.prop_map(|(gap, line, is_low, charge, runtime, load)| {
        let reading = Bench::fresh(line).next;
        let runtime = runtime.map(Duration::from_secs);
        (gap, Reading { is_low, charge, runtime, load, ..reading })
    });
    vec(one, 1..60)
}

const ALL_LINES: &[Line] = &[Line::Mains, Line::Battery, Line::Battery, Line::Unknown];

/// A battery that tells the truth but for one update.
#[derive(Clone, Debug)]
struct Story {
    /// What it can carry when full, in seconds.
    full: u64,
    /// Seconds on mains before the outage.
    on_mains: u64,
    /// Seconds between driver updates, in turn, and by how much more than the time passed the
    /// truth falls until the next.
    updates: Vec<(u64, u64)>,
    /// Which update lies, and what it says.
    lie: usize,
    lie_runtime: Option<u64>,
    lie_charge: Option<u8>,
    lie_load: Option<u8>,
    /// The agent restarts every so many seconds.
    restart_every: u64,
}

fn any_story(surplus: u64) -> impl Strategy<Value = Story> {
    (
        600..20_000_u64,
        0..120_u64,
        vec((1..=30_u64, 0..=surplus), 1..60),
        0..60_usize,
        prop::option::of(prop_oneof![0..300_u64, 0..100_000_u64]),
        prop::option::of(any::<u8>()),
        prop::option::of(any::<u8>()),
        prop_oneof![Just(u64::MAX), 5..200_u64],
    )
        .prop_map(|(full, on_mains, updates, lie, runtime, charge, load, restart_every)| {
            Story {
                full,
                on_mains,
                updates,
                lie,
                lie_runtime: runtime,
                lie_charge: charge,
                lie_load: load,
                restart_every,
            }
        })
}

impl Story {
    /// Runs it, and hands the bench and the true seconds left to `check` after every poll.
    fn run(
        &self,
        mut check: impl FnMut(&Bench, u64) -> Result<(), TestCaseError>,
    ) -> Result<(), TestCaseError> {
        let mut bench = Bench::fresh(Line::Mains);
        let mut truth = self.full;
        let mut elapsed = 0;
        for (index, (polls, surplus)) in self.updates.iter().enumerate() {
            let is_lie = index == self.lie;
            bench.next.runtime =
                if is_lie { self.lie_runtime } else { Some(truth) }.map(Duration::from_secs);
            let charge = u8::try_from(truth * 100 / self.full).unwrap();
            bench.next.charge = if is_lie { self.lie_charge } else { Some(charge) };
            bench.next.load = if is_lie { self.lie_load } else { Some(20) };
            for _ in 0..*polls {
                elapsed += 1;
                let is_battery = elapsed > self.on_mains;
                bench.next.line = if is_battery { Line::Battery } else { Line::Mains };
                bench.poll(1);
                check(&bench, truth)?;
                if elapsed % self.restart_every == 0 {
                    bench.restart();
                }
                truth = truth.saturating_sub(u64::from(is_battery));
            }
            truth = truth.saturating_sub(*surplus);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn one_lie_never_makes_a_number_count_that_is_below_the_truth(story in any_story(40)) {
        story.run(|bench, truth| {
            if let Some(left) = bench.gauge.numbers.runtime.counting() {
                prop_assert!(left >= truth * 1000, "{left} ms of {truth} s");
            }
            if let Some(charge) = bench.gauge.charge() {
                prop_assert!(u64::from(charge) >= truth * 100 / story.full);
            }
            Ok(())
        })?;
    }

    #[test]
    fn one_lie_never_halves_the_runtime_of_a_steady_battery(story in any_story(0)) {
        story.run(|bench, truth| {
            if let Some(left) = bench.left().filter(|_| truth * 100 / story.full >= 20) {
                prop_assert!(left.as_secs() * 2 >= truth, "{left:?} of {truth} s");
            }
            Ok(())
        })?;
    }

    #[test]
    fn two_honest_updates_outvote_one_lie_and_a_collapse_counts(
        low in 1..100_u64,
        fall in 1..30_u64,
        wait in 1..34_u64,
    ) {
        let mut bench = Bench::charged();
        bench.fail_mains();
        bench.next.runtime = secs(low + fall);
        bench.poll(wait);
        prop_assert!(bench.left() > secs(1700));
        bench.next.runtime = secs(low);
        bench.poll(1);
        prop_assert!(bench.left() <= secs(low + fall));
    }

    #[test]
    fn a_constant_value_runs_down_with_the_time_and_never_rises(
        runtime in 1..30_000_u64,
        gaps in vec(0..100_000_u64, 1..100),
    ) {
        prop_assume!(runtime != 32_767);
        let mut bench = Bench::charged();
        bench.next.runtime = secs(runtime);
        bench.poll(60);
        bench.fail_mains();
        let since = bench.now;
        for gap in gaps {
            bench.now = bench.now + Duration::from_millis(gap);
            let expected = Duration::from_secs(runtime).saturating_sub(bench.now.since(since));
            prop_assert_eq!(bench.left(), Some(expected));
            bench.gauge.on_reading(bench.now, &bench.next, TIME_NEEDED, &bench.limits);
            prop_assert_eq!(bench.left(), Some(expected));
        }
    }

    #[test]
    fn on_battery_it_only_falls_while_the_numbers_do_not_change(
        readings in any_readings(&[Line::Battery]),
        polls in 40..200_u64,
    ) {
        let mut bench = Bench::charged();
        for (gap, reading) in readings {
            bench.now = bench.now + Duration::from_millis(gap);
            bench.gauge.on_reading(bench.now, &reading, TIME_NEEDED, &bench.limits);
            bench.next = reading;
        }
        // The last values are confirmed, or absent, and from then on nothing changes.
        bench.poll(37);
        let mut before = bench.left();
        for _ in 0..polls {
            bench.poll(1);
            let expected = before.map(|left| left.saturating_sub(Duration::from_secs(1)));
            prop_assert_eq!(bench.left(), expected);
            before = bench.left();
        }
    }

    #[test]
    fn unknown_instead_of_a_reading_leaves_the_countdown_as_it_is(
        readings in any_readings(ALL_LINES),
        unknown in any_readings(&[Line::Unknown]),
    ) {
        let mut bench = Bench::charged();
        for (gap, reading) in readings {
            bench.now = bench.now + Duration::from_millis(gap);
            bench.gauge.on_reading(bench.now, &reading, TIME_NEEDED, &bench.limits);
        }
        let blind = bench.gauge.clone();
        for (gap, reading) in unknown {
            bench.now = bench.now + Duration::from_millis(gap);
            bench.gauge.on_reading(bench.now, &reading, TIME_NEEDED, &bench.limits);
            prop_assert_eq!(bench.left(), blind.runtime_left(bench.now));
            prop_assert_eq!(
                bench.gauge.blind_left(bench.now),
                blind.blind_left(bench.now)
            );
            prop_assert_eq!(bench.gauge.charge(), blind.charge());
            prop_assert_eq!(bench.gauge.low_since(), blind.low_since());
        }
    }

    #[test]
    fn the_line_and_the_moments_agree(readings in any_readings(ALL_LINES)) {
        let mut bench = Bench::fresh(Line::Unknown);
        for (gap, reading) in readings {
            bench.now = bench.now + Duration::from_millis(gap);
            bench.gauge.on_reading(bench.now, &reading, TIME_NEEDED, &bench.limits);
            let gauge = &bench.gauge;
            let is_battery = gauge.last_line() == Line::Battery;
            prop_assert_eq!(gauge.battery_since().is_some(), is_battery);
            prop_assert!(gauge.low_since() >= gauge.battery_since() || gauge.low_since().is_none());
            prop_assert!(!gauge.is_low(bench.now, &bench.limits) || gauge.low_since().is_some());
            let is_mains = gauge.line(bench.now, &bench.limits) == Line::Mains;
            prop_assert_eq!(gauge.mains_since(bench.now, &bench.limits).is_some(), is_mains);
            prop_assert!(gauge.blind_left(bench.now) <= gauge.runtime_left(bench.now));
        }
    }

    #[test]
    fn a_restart_at_any_moment_loses_nothing_of_an_outage(readings in any_readings(ALL_LINES)) {
        let mut bench = Bench::fresh(Line::Unknown);
        for (gap, reading) in readings {
            bench.now = bench.now + Duration::from_millis(gap);
            bench.gauge.on_reading(bench.now, &reading, TIME_NEEDED, &bench.limits);
            let recovered = Gauge::recover(&bench.gauge.saved());
            prop_assert_eq!(recovered.last_line(), bench.gauge.last_line());
            prop_assert_eq!(recovered.saved(), bench.gauge.saved());
            if bench.gauge.battery_since().is_some() {
                prop_assert_eq!(recovered.battery_since(), bench.gauge.battery_since());
                prop_assert_eq!(recovered.runtime_left(bench.now), bench.left());
                prop_assert_eq!(recovered.charge(), bench.gauge.charge());
            }
        }
    }
}
