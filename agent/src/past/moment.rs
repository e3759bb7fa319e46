//! When something was, and how long it took: by the boot clock within a boot, by dates else.

use serde::Serialize;

use crate::clock;

/// The moment of a line of the history.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Moment {
    /// Seconds since 1970, as good as the wall clock; 0 if it said nothing.
    pub(super) date: u64,
    /// Milliseconds on the boot clock.
    pub(super) at: u64,
    /// Which boot of the history it was, counted.
    pub(super) boot: u32,
}

/// How long something took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// How long.
    pub seconds: f64,
    /// By which clock.
    pub measured_by: Clock,
}

/// What a span was measured by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The clock of one boot: exact.
    Boot,
    /// Dates of several boots: as good as the wall clock was, and in whole seconds.
    Date,
}

impl Moment {
    /// Returns how long it took until `later`; none if the clocks contradict each other.
    pub(super) fn until(self, later: Self) -> Option<Span> {
        if self.boot == later.boot {
            let millis = later.at.checked_sub(self.at)?;
            return Some(Span { seconds: seconds(millis), measured_by: Clock::Boot });
        }
        if self.date == 0 {
            return None;
        }
        let span = later.date.checked_sub(self.date)?;
        Some(Span { seconds: seconds(span.saturating_mul(1000)), measured_by: Clock::Date })
    }

    /// Returns the milliseconds until `later`, if it is of the same boot.
    pub(super) fn millis_until(self, later: Self) -> u64 {
        if self.boot == later.boot { later.at.saturating_sub(self.at) } else { 0 }
    }

    /// Returns the date for a person; none if the clock said nothing.
    pub(super) fn in_words(self) -> Option<String> {
        (self.date > 0).then(|| clock::rfc3339(self.date))
    }
}

/// Returns milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years of milliseconds")]
pub(super) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_needs_clocks_that_agree() {
        let moment = |date, at, boot| Moment { date, at, boot };
        assert_eq!(moment(9, 2000, 1).until(moment(9, 1000, 1)), None);
        assert_eq!(moment(9, 0, 1).until(moment(8, 0, 2)), None);
        let span = moment(9, 1000, 1).until(moment(1, 3500, 1)).unwrap();
        assert_eq!((span.seconds, span.measured_by), (2.5, Clock::Boot));
    }
}
