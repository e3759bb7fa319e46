//! The numbers of the UPS: which count, and how they run down.
//!
//! Every second a reading comes, but the driver behind it updates charge and runtime only every
//! 30 s or so, and one such update may lie, low or high. Two polls that agree are therefore no
//! confirmation; two driver updates are. A second update is seen when the number changed, or has
//! been seen unbroken for `confirm` (35 s, longer than the driver's 30 s).
//!
//! ```text
//! driver update      u0           u1           u2           u3
//! it says          1800            5         1740         1710       (u1 lies)
//! polls         ..1800 1800 1800  5 5 5 5 5  1740 1740    1710
//! counts          1800 counting down        →1740 counting down  →1710
//!                                 │            └ median(1740, 5, 1740)
//!                                 └ one update: changes nothing
//!
//! it says          1800           90           60           30       (the battery collapses)
//! counts          1800 counting down         →60 counting down      →30
//!                                              └ median(1740, 60, 60): the second low one counts
//! ```
//!
//! **A change.** When update `n` follows update `p`, what counts becomes the median of what counted
//! (`c`), `p` and `n`, all three run down to now. So a fall counts only as far as two updates in a
//! row say it, and so does a rise. If at most one update ever lies, what counts is never below the
//! truth: `c` is not, by induction, and of `p` and `n` at most one is; the median has two of the
//! three on its side. A real collapse counts from its second update on.
//!
//! **The first.** Without any `c` the first update waits, and the second makes the larger of both
//! count: that is what both agree on. A high lie among the two is outvoted by the next two.
//!
//! **Time.** A value that is seen unbroken for `confirm` counts, whatever it is. A gap longer than
//! `fresh` starts that wait anew, since a frozen driver updates nothing.
//!
//! **The transfer.** The first value on battery counts at once if it is below `time-needed` and
//! what counted on mains was too: such a cluster has no time to wait.
//!
//! **Running down.** A value is less by the time on battery since it *changed*; an equal one never
//! restarts that, so that a constant one runs down to zero. On mains a tenth of the time is given
//! back, as slowly as batteries charge; any change on mains sets it right at once. Time during
//! which nothing was seen counts as battery while no mains have been seen since, and not at all
//! once they have been.
//!
//! **Gone.** 0, −1, 65535 and the like are absent. On battery the last that counted runs down
//! further; on mains nothing counts once the number has been absent for `confirm`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::estimate::Estimate;
use self::track::Track;
use crate::time::millis;
use crate::{BuiltIn, Line, Reading, Time};

mod estimate;
#[cfg(test)]
mod tests;
mod track;

/// What this host makes of its own readings.
///
/// Missed polls need no call: a reading only ages, and a gap is seen when the next one comes.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Gauge {
    /// The last one, whatever its line.
    reading: Option<(Reading, Time)>,
    /// Whether `known` was read in this run of the agent, and not in the one before.
    is_read: bool,
    known: Option<Known>,
    /// Mains in all readings without a gap since.
    mains_since: Option<Time>,
    outage: Option<Outage>,
    numbers: Numbers,
}

/// What survives a restart in the same boot: the line, and on battery all numbers.
///
/// On mains it is constant, so that a quiet night writes nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct SavedGauge {
    known: Option<Known>,
    outage: Option<Outage>,
    numbers: Numbers,
}

/// The last reading with a known line.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
struct Known {
    line: Line,
    is_low: bool,
    at: Time,
}

/// The time on battery, as seen here.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
struct Outage {
    since: Time,
    low_since: Option<Time>,
}

/// The numbers, run down to the moment of the last known reading.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
struct Numbers {
    /// In milliseconds.
    runtime: Track,
    /// In percent.
    charge: Track,
    /// In percent.
    load: Track,
    estimate: Estimate,
    /// The runtime that counted on mains, at the last reading there.
    on_mains: Option<u64>,
}

impl Gauge {
    /// Makes a gauge that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up what an earlier run of the agent saved in this boot.
    pub fn recover(saved: &SavedGauge) -> Self {
        let SavedGauge { known, outage, numbers } = saved.clone();
        Self { known, outage, numbers, ..Self::default() }
    }

    /// Returns what is to survive a restart.
    pub fn saved(&self) -> SavedGauge {
        let mains = self.known.zip(self.mains_since).map(|(known, at)| Known { at, ..known });
        match self.outage {
            None => SavedGauge { known: mains.or(self.known), ..SavedGauge::default() },
            outage => SavedGauge { known: self.known, outage, numbers: self.numbers.clone() },
        }
    }

    /// Takes up a reading of this moment. One with an unknown line is kept and otherwise ignored,
    /// with all its numbers.
    pub fn on_reading(
        &mut self,
        now: Time,
        reading: &Reading,
        time_needed: Duration,
        limits: &BuiltIn,
    ) {
        self.reading = Some((reading.clone(), now));
        let gap = self.known.map(|known| now.since(known.at));
        let is_unbroken = self.is_read && gap.is_some_and(|gap| gap <= limits.fresh);
        let was = self.last_line();
        match reading.line {
            Line::Unknown => return,
            Line::Mains => {
                let gap = gap.unwrap_or_default();
                match was {
                    Line::Battery => self.numbers.runtime.run_down(millis(gap.min(limits.fresh))),
                    Line::Mains if is_unbroken => self.numbers.runtime.give_back(millis(gap)),
                    Line::Mains | Line::Unknown => {}
                }
                if was != Line::Mains || !is_unbroken {
                    self.mains_since = Some(now);
                }
                self.outage = None;
                self.numbers.on_mains(now, reading, is_unbroken, limits);
            }
            Line::Battery => {
                if was == Line::Battery {
                    self.numbers.runtime.run_down(millis(gap.unwrap_or_default()));
                }
                self.mains_since = None;
                let outage = self.outage.get_or_insert(Outage { since: now, low_since: None });
                if reading.is_low {
                    outage.low_since.get_or_insert(now);
                }
                let is_first = self.numbers.runtime.is_older_than(outage.since);
                let tight = Some(millis(time_needed)).filter(|_| is_first);
                self.numbers.on_battery(now, reading, is_unbroken, limits);
                self.numbers.count_first(now, tight);
            }
        }
        self.known = Some(Known { line: reading.line, is_low: reading.is_low, at: now });
        self.is_read = true;
    }

    /// Returns whether a reading with a known line came less than `fresh` ago, in this run.
    pub fn is_fresh(&self, now: Time, limits: &BuiltIn) -> bool {
        self.fresh(now, limits).is_some()
    }

    /// Returns the line of the fresh reading; without one it is unknown.
    pub fn line(&self, now: Time, limits: &BuiltIn) -> Line {
        self.fresh(now, limits).map_or(Line::Unknown, |known| known.line)
    }

    /// Returns the line of the last reading that had one, however old.
    pub fn last_line(&self) -> Line {
        self.known.map_or(Line::Unknown, |known| known.line)
    }

    /// Returns when the last reading with a known line came. After a restart on mains it may be
    /// earlier than it was.
    pub fn last_line_at(&self) -> Option<Time> {
        self.known.map(|known| known.at)
    }

    /// Returns the last reading as it came, and when; none before the first one of this run.
    pub fn reading(&self) -> Option<(&Reading, Time)> {
        self.reading.as_ref().map(|(reading, at)| (reading, *at))
    }

    /// Returns the age of the last reading.
    pub fn age(&self, now: Time) -> Option<Duration> {
        self.reading.as_ref().map(|(_, at)| now.since(*at))
    }

    /// Returns the start of this outage as seen here; a single reading of mains ends it.
    pub fn battery_since(&self) -> Option<Time> {
        self.outage.map(|outage| outage.since)
    }

    /// Returns since when the mains have held: every known reading since said mains, none came
    /// later than `fresh` after the one before it, and the last is fresh now.
    ///
    /// Who did not look does not know that they held: a gap starts it anew.
    pub fn mains_since(&self, now: Time, limits: &BuiltIn) -> Option<Time> {
        self.mains_since.filter(|_| self.is_fresh(now, limits))
    }

    /// Returns when `OB LB` was read first in this outage.
    pub fn low_since(&self) -> Option<Time> {
        self.outage.and_then(|outage| outage.low_since)
    }

    /// Returns whether the fresh reading says `OB LB`.
    pub fn is_low(&self, now: Time, limits: &BuiltIn) -> bool {
        self.fresh(now, limits).is_some_and(|known| known.line == Line::Battery && known.is_low)
    }

    /// Returns the runtime left that counts: the smaller of the UPS's and of our own estimate.
    ///
    /// On battery it runs down until the next reading, however late that comes.
    pub fn runtime_left(&self, now: Time) -> Option<Duration> {
        self.left_after(now, 1)
    }

    /// Returns the runtime that was left at the last reading, run down at double speed since; none
    /// if that reading did not say battery, or no runtime has ever counted.
    pub fn blind_left(&self, now: Time) -> Option<Duration> {
        self.outage.and_then(|_| self.left_after(now, 2))
    }

    /// Returns the charge in percent that counts, as of the last reading. 0 counts on mains only:
    /// on battery it may mean "unknown", and if true there is nothing left to decide.
    pub fn charge(&self) -> Option<u8> {
        let charge = self.numbers.charge.counting().and_then(|percent| u8::try_from(percent).ok());
        charge.filter(|percent| *percent > 0 || self.outage.is_none())
    }

    fn fresh(&self, now: Time, limits: &BuiltIn) -> Option<Known> {
        self.known.filter(|known| self.is_read && now.since(known.at) < limits.fresh)
    }

    /// Returns the runtime left if the battery runs `speed` times as fast since the last reading.
    fn left_after(&self, now: Time, speed: u32) -> Option<Duration> {
        let known = self.known?;
        let runtime = self.numbers.runtime.counting();
        if self.outage.is_none() {
            return runtime.map(Duration::from_millis);
        }
        let both = runtime.into_iter().chain(self.numbers.estimate.left(known.at));
        let passed = millis(now.since(known.at).saturating_mul(speed));
        both.min().map(|left| Duration::from_millis(left.saturating_sub(passed)))
    }
}

impl Numbers {
    fn on_mains(&mut self, now: Time, reading: &Reading, is_unbroken: bool, limits: &BuiltIn) {
        self.observe(now, reading, is_unbroken, limits);
        for track in [&mut self.runtime, &mut self.charge, &mut self.load] {
            track.forget_if_absent(now, limits.confirm);
        }
        self.estimate = Estimate::default();
        self.on_mains = self.runtime.counting();
    }

    fn on_battery(&mut self, now: Time, reading: &Reading, is_unbroken: bool, limits: &BuiltIn) {
        self.observe(now, reading, is_unbroken, limits);
        if let Some(charge) = self.charge.update() {
            self.estimate.observe(charge, self.load.counting(), limits.estimate_after);
        }
    }

    /// Lets the first value on battery count at once if it is below `tight`, as the last one that
    /// counted on mains was.
    fn count_first(&mut self, now: Time, tight: Option<u64>) {
        let was_tight = |tight: &u64| self.on_mains.is_some_and(|left| left < *tight);
        if let Some(tight) = tight.filter(was_tight) {
            self.runtime.count_new(now, tight);
        }
    }

    fn observe(&mut self, now: Time, reading: &Reading, is_unbroken: bool, limits: &BuiltIn) {
        let confirm = limits.confirm;
        self.runtime.observe(now, runtime_of(reading), is_unbroken, confirm);
        self.charge.observe(now, charge_of(reading), is_unbroken, confirm);
        self.load.observe(now, load_of(reading), is_unbroken, confirm);
    }
}

/// Longer runtimes are ways to say "unknown".
const LONGEST_RUNTIME: Duration = Duration::from_hours(24);

/// The largest signed and unsigned numbers of two bytes, in seconds: the ways to say "unknown"
/// that are shorter than that.
const UNKNOWN_SECONDS: [u64; 2] = [32_767, 65_535];

/// Loads above are ways to say "unknown"; an overload is a little above 100.
const HIGHEST_LOAD: u8 = 200;

fn runtime_of(reading: &Reading) -> Option<u64> {
    let is_number = |runtime: &Duration| {
        !runtime.is_zero()
            && *runtime <= LONGEST_RUNTIME
            && !UNKNOWN_SECONDS.contains(&runtime.as_secs())
    };
    reading.runtime.filter(is_number).map(millis)
}

fn charge_of(reading: &Reading) -> Option<u64> {
    let least = u8::from(reading.line == Line::Battery);
    reading.charge.filter(|charge| (least..=100).contains(charge)).map(u64::from)
}

fn load_of(reading: &Reading) -> Option<u64> {
    reading.load.filter(|load| *load <= HIGHEST_LOAD).map(u64::from)
}
