//! Whether the battery charges: on mains its charge rises until it is full.
//!
//! What charges it is not asked: an Eaton 5E says `CHRG` for ever, at 100 % too.

use std::time::Duration;

use curfew_nut::status::Line;
use tokio::time::Instant;

use super::Reading;

/// Watches the charge.
#[derive(Clone, Debug)]
pub struct Charge {
    limit: Duration,
    /// None before the first charge: an agent that starts anew takes a float for what it is.
    is_full: Option<bool>,
    rise: Option<Rise>,
}

/// The last rise on mains.
#[derive(Clone, Copy, Debug)]
struct Rise {
    /// How far it came, less what was lost since.
    peak: f64,
    at: Instant,
    /// The last reading.
    seen: Instant,
}

/// Whether it charges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Charging {
    /// Nobody can tell.
    Unknown,
    /// It is not on mains.
    Away,
    /// It has all that it takes, or almost.
    Full,
    /// It rises, or has not stood for long.
    Rising,
    /// It has not risen for too long.
    Stuck {
        /// Where it stands, in percent.
        charge: f64,
        /// For how long.
        span: Duration,
    },
}

impl Charge {
    /// Takes how long it may stand on mains without being full.
    pub const fn new(limit: Duration) -> Self {
        Self { limit, is_full: None, rise: None }
    }

    /// Takes a reading, or that there is none.
    pub fn look(&mut self, now: Instant, reading: Option<&Reading>) -> Charging {
        let Some(reading) = reading else { return Charging::Unknown };
        if reading.line != Line::Mains {
            self.rise = None;
            // A test or a dip of the mains takes little, and it floats where it did before.
            if reading.charge.is_some_and(|charge| charge < NOT_FULL_BELOW) {
                self.is_full = Some(false);
            }
            return Charging::Away;
        }
        let Some(charge) = reading.charge else { return Charging::Unknown };
        let full_from = if self.is_full == Some(false) { FULL_FROM } else { NOT_FULL_BELOW };
        let is_full = charge >= full_from;
        self.is_full = Some(is_full);
        // Who has not looked does not know that it stood.
        let known = self.rise.filter(|rise| now.duration_since(rise.seen) < GAP_MOST);
        let start = Rise { peak: charge, at: now, seen: now };
        let mut rise = known.unwrap_or(start);
        if charge > rise.peak || is_full {
            rise = start;
        } else if charge < rise.peak - FALL {
            // It has lost some: the way up starts from there, and the time goes on.
            rise.peak = charge;
        }
        rise.seen = now;
        self.rise = Some(rise);
        let span = now.duration_since(rise.at);
        if is_full {
            Charging::Full
        } else if span >= self.limit {
            Charging::Stuck { charge, span }
        } else {
            Charging::Rising
        }
    }
}

/// The last percents come over many hours, and some units never say 100.
const FULL_FROM: f64 = 95.0;
/// What was full is so until it has lost more than a float charge lets it.
const NOT_FULL_BELOW: f64 = 90.0;
/// More than the steps in which it is told.
const FALL: f64 = 3.0;
/// Looks come every 10 s.
const GAP_MOST: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_hours(6);

    fn at(line: Line, charge: Option<f64>) -> Reading {
        Reading { line, charge, runtime: None, load: None, asks_for_new: false, test: None }
    }

    /// Looks every five minutes at what `charge` says for each, and returns what was said.
    fn watch(minutes: u32, charge: impl Fn(u32) -> Option<Reading>) -> Vec<Charging> {
        let (mut watch, start) = (Charge::new(LIMIT), Instant::now());
        let looks = (0..=minutes).step_by(5);
        looks
            .map(|minute| {
                watch.look(start + Duration::from_mins(minute.into()), charge(minute).as_ref())
            })
            .collect()
    }

    #[test]
    fn a_charge_that_stands_is_stuck_after_its_limit_and_not_before() {
        let said = watch(400, |_| Some(at(Line::Mains, Some(63.0))));
        let first = said.iter().position(|it| matches!(it, Charging::Stuck { .. })).unwrap();
        assert_eq!(first, 360 / 5);
        assert!(said[..first].iter().all(|it| *it == Charging::Rising));
    }

    #[test]
    fn a_slow_charge_a_full_one_and_one_that_chatters_are_not_stuck() {
        let is_stuck = |said: &Charging| matches!(said, Charging::Stuck { .. });
        // A percent in three hours.
        let slow =
            watch(2000, |minute| Some(at(Line::Mains, Some(60.0 + f64::from(minute / 180)))));
        assert!(!slow.iter().any(is_stuck));
        // A 5E that says CHRG at 100 % for ever, and one that never comes beyond 97.
        for level in [100.0, 97.0] {
            let full = watch(3000, |_| Some(at(Line::Mains, Some(level))));
            assert!(full.iter().all(|it| *it == Charging::Full));
        }
        // Once full, a float that sinks to 91 is no fault.
        let float = watch(3000, |minute| {
            Some(at(Line::Mains, Some(if minute < 60 { 100.0 } else { 91.0 })))
        });
        assert!(float.iter().all(|it| *it == Charging::Full));
    }

    #[test]
    fn a_float_below_full_is_no_fault_after_a_start_a_test_or_a_dip() {
        let float = |line| Some(at(line, Some(92.0)));
        // An agent that starts when it floats.
        let started = watch(3000, |_| float(Line::Mains));
        assert!(started.iter().all(|it| *it == Charging::Full));
        // A test of a quarter of an hour, and a dip.
        let tested = watch(3000, |minute| match minute {
            0..60 => Some(at(Line::Mains, Some(100.0))),
            60..75 => float(Line::Battery),
            _ => float(Line::Mains),
        });
        assert_eq!(tested.last(), Some(&Charging::Full));
        // One that really fell must come back to what is full.
        let fell = watch(3000, |minute| match minute {
            0..60 => Some(at(Line::Mains, Some(100.0))),
            60..75 => Some(at(Line::Battery, Some(80.0))),
            _ => float(Line::Mains),
        });
        assert!(matches!(fell.last(), Some(Charging::Stuck { .. })));
    }

    #[test]
    fn a_charge_that_only_falls_on_mains_is_stuck_and_one_that_comes_back_is_not() {
        let falling =
            watch(400, |minute| Some(at(Line::Mains, Some(80.0 - f64::from(minute / 10)))));
        assert!(matches!(falling.last(), Some(Charging::Stuck { .. })));
        let back = watch(700, |minute| {
            let charge = if minute < 300 { 80.0 } else { 20.0 + f64::from(minute - 300) / 20.0 };
            Some(at(Line::Mains, Some(charge)))
        });
        assert_eq!(back.last(), Some(&Charging::Rising));
    }

    #[test]
    fn an_outage_starts_the_time_anew_and_so_does_a_gap() {
        let outage = watch(600, |minute| {
            let line = if minute == 300 { Line::Battery } else { Line::Mains };
            Some(at(line, Some(60.0)))
        });
        assert_eq!(outage[60], Charging::Away);
        assert_eq!(outage.last(), Some(&Charging::Rising));
        let gap = watch(600, |minute| {
            (!(300..330).contains(&minute)).then(|| at(Line::Mains, Some(60.0)))
        });
        assert_eq!(gap[62], Charging::Unknown);
        assert_eq!(gap.last(), Some(&Charging::Rising));
    }

    #[test]
    fn a_ups_that_says_no_charge_is_unknown() {
        let said = watch(600, |_| Some(at(Line::Mains, None)));
        assert!(said.iter().all(|it| *it == Charging::Unknown));
    }
}
