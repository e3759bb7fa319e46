//! Keeps what wavers around a threshold from being told at every turn.
//!
//! ```text
//!            at the limit for `raise`
//!   clear ───────────────────────────▶ raised
//!     ▲                                   │
//!     └───────────────────────────────────┘
//!           beyond the gap for `clear`
//! ```
//!
//! A value between the limit and the end of the gap changes nothing. A value that is not known is
//! told as unknown: it can neither raise an alarm nor end one, and the time before it is not
//! counted, since nobody knows what was then. Time is that of the looks, so that tests need not
//! wait.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::State;

/// Which values are ill, with a gap between where that begins and where it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// At least the first; then until it is less than the second, which is the smaller one.
    Above(f64, f64),
    /// Less than the first; then until it is at least the second, which is the larger one.
    Below(f64, f64),
}

/// For how long the values must say the same before it is believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Patience {
    /// Before it is raised.
    pub(crate) raise: Duration,
    /// Before it is cleared.
    pub(crate) clear: Duration,
}

/// How an alarm stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// There is no value now.
    Unknown,
    /// All is well, or has not been ill for long enough.
    Clear,
    /// It is ill, or has not been well for long enough.
    Raised,
}

/// One limit, and whether it is exceeded.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    limit: Limit,
    patience: Patience,
    /// None before the first value, which counts at once.
    is_raised: Option<bool>,
    /// For how long the values have said otherwise, without the time in which they were not known.
    otherwise_for: Option<Duration>,
    /// The last look, whatever it found.
    looked: Option<Instant>,
}

/// Two limits of one value, of which the second is the graver one.
#[derive(Clone, Debug)]
pub(crate) struct Grade {
    warn: Alarm,
    fail: Alarm,
}

/// By how much a counter has risen lately.
#[derive(Clone, Debug)]
pub(crate) struct Rise {
    within: Duration,
    last: Option<u64>,
    steps: VecDeque<(Instant, u64)>,
}

/// What part of the time has passed in something that the kernel counts in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    within: Duration,
    totals: VecDeque<(Instant, f64)>,
}

impl Limit {
    fn is_ill(self, value: f64, was_ill: bool) -> bool {
        match self {
            Self::Above(raise, clear) => value >= if was_ill { clear } else { raise },
            Self::Below(raise, clear) => value < if was_ill { clear } else { raise },
        }
    }
}

impl Alarm {
    /// Returns one that believes the first value: an agent that starts anew says what is.
    pub(crate) fn new(limit: Limit, patience: Patience) -> Self {
        Self { limit, patience, is_raised: None, otherwise_for: None, looked: None }
    }

    /// Returns one that has patience from the start, for what takes its time after a boot.
    pub(crate) fn calm(limit: Limit, patience: Patience) -> Self {
        Self { is_raised: Some(false), ..Self::new(limit, patience) }
    }

    /// Takes what was seen at a moment; none if it cannot be known.
    pub(crate) fn see(&mut self, value: Option<f64>, at: Instant) -> Verdict {
        let passed = self.looked.replace(at).map(|last| at.saturating_duration_since(last));
        let Some(value) = value.filter(|value| !value.is_nan()) else { return Verdict::Unknown };
        let was_raised = self.is_raised.unwrap_or(false);
        let is_ill = self.limit.is_ill(value, was_raised);
        let patience = if is_ill { self.patience.raise } else { self.patience.clear };
        if self.is_raised == Some(is_ill) {
            self.otherwise_for = None;
        } else if self.is_raised.is_none() {
            self.is_raised = Some(is_ill);
        } else {
            let passed = passed.unwrap_or_default();
            let lasted = self.otherwise_for.map_or(Duration::ZERO, |lasted| lasted + passed);
            self.otherwise_for = Some(lasted);
            if lasted >= patience {
                self.is_raised = Some(is_ill);
                self.otherwise_for = None;
            }
        }
        if self.is_raised == Some(true) { Verdict::Raised } else { Verdict::Clear }
    }
}

impl Grade {
    /// Returns one with both limits.
    pub(crate) fn new(warn: Limit, fail: Limit, patience: Patience) -> Self {
        Self { warn: Alarm::new(warn, patience), fail: Alarm::new(fail, patience) }
    }

    /// Takes what was seen at a moment; none if it cannot be known.
    pub(crate) fn see(&mut self, value: Option<f64>, at: Instant) -> State {
        self.see_each(value, value, at)
    }

    /// Takes one value for each of both limits, which are of different kinds.
    pub(crate) fn see_each(&mut self, warn: Option<f64>, fail: Option<f64>, at: Instant) -> State {
        match (self.warn.see(warn, at), self.fail.see(fail, at)) {
            (_, Verdict::Raised) => State::Fail,
            (Verdict::Raised, _) => State::Warn,
            (Verdict::Clear, Verdict::Clear) => State::Pass,
            (Verdict::Unknown, _) | (_, Verdict::Unknown) => State::Unknown,
        }
    }

    /// Returns whether it has these limits: those of a device may change.
    pub(crate) fn has(&self, warn: Limit, fail: Limit) -> bool {
        self.warn.limit == warn && self.fail.limit == fail
    }
}

impl Rise {
    /// Returns one that looks back so far.
    pub(crate) fn new(within: Duration) -> Self {
        Self { within, last: None, steps: VecDeque::new() }
    }

    /// Takes what the counter says; returns by how much it has risen, none if it is not known now.
    ///
    /// The first value is where it begins, and so is one that is smaller than the last.
    pub(crate) fn see(&mut self, value: Option<u64>, at: Instant) -> Option<u64> {
        let value = value?;
        let step = self.last.map_or(0, |last| value.saturating_sub(last));
        self.last = Some(value);
        if step > 0 {
            self.steps.push_back((at, step));
        }
        let is_old = |then: &Instant| at.saturating_duration_since(*then) >= self.within;
        while self.steps.len() > STEPS || self.steps.front().is_some_and(|(then, _)| is_old(then)) {
            self.steps.pop_front();
        }
        Some(self.steps.iter().map(|(_, step)| step).fold(0, |sum, step| sum.saturating_add(*step)))
    }
}

impl Share {
    /// Returns one that looks back so far.
    pub(crate) fn new(within: Duration) -> Self {
        Self { within, totals: VecDeque::new() }
    }

    /// Takes a total in seconds; returns the part of the time, none until there are two totals.
    pub(crate) fn see(&mut self, total: Option<f64>, at: Instant) -> Option<f64> {
        let total = total?;
        if self.totals.back().is_some_and(|(_, last)| total < *last) {
            self.totals.clear();
        }
        let is_old = |then: &Instant| at.saturating_duration_since(*then) >= self.within;
        // One that is old stays, from which the window is measured.
        while self.totals.len() > STEPS || self.totals.get(1).is_some_and(|(then, _)| is_old(then))
        {
            self.totals.pop_front();
        }
        self.totals.push_back((at, total));
        let (then, first) = *self.totals.front()?;
        let passed = at.saturating_duration_since(then).as_secs_f64();
        (passed > 0.0).then(|| (total - first) / passed)
    }
}

/// What is kept of a counter: an hour of looks.
const STEPS: usize = 120;

#[cfg(test)]
mod tests;
