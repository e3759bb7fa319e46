//! When a file system will be full if it goes on as in the last hours.
//!
//! Every half hour the room that is left is noted, for six hours. The pace is that of a usual hour:
//! the lower median of them, so that more than half of all have taken at least as much. One big
//! write, with which a line through all points would go on for ever, is in two of eleven such hours
//! and moves nothing; nor does what is written once a day. Where the last hour was slower its pace
//! counts, so that the forecast ends soon after the writing does.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The room that was left at some moments.
#[derive(Clone, Debug, Default)]
pub(super) struct Forecast {
    size: u64,
    marks: VecDeque<(Instant, u64)>,
}

/// What can be said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outlook {
    /// It has been watched for too short a time.
    Young,
    /// It is not filling.
    Steady,
    /// It will be full in so many hours.
    Full(f64),
}

impl Forecast {
    /// Takes what was measured, and returns what that means.
    pub(super) fn see(&mut self, size: u64, available: u64, at: Instant) -> Outlook {
        // Somebody has cared for it. That of a dataset of ZFS is what it uses and what the pool has
        // left, which moves a little with every write.
        if float(self.size.abs_diff(size)) > float(self.size) * SIZE_MOVES {
            self.marks.clear();
        }
        self.size = size;
        let last = self.marks.back().map(|(then, _)| at.saturating_duration_since(*then));
        if last.is_none_or(|passed| passed >= BLOCK) {
            self.marks.push_back((at, available));
            while self.marks.len() > BLOCKS + 1 {
                self.marks.pop_front();
            }
        }
        let Some(pace) = self.pace() else { return Outlook::Young };
        if pace <= 0.0 { Outlook::Steady } else { Outlook::Full(float(available) / pace) }
    }

    /// Returns how long it has been watched.
    pub(super) fn watched(&self, at: Instant) -> Duration {
        let first = self.marks.front().map(|(then, _)| at.saturating_duration_since(*then));
        first.unwrap_or_default()
    }

    /// Returns the bytes of a usual hour; none before there are enough.
    fn pace(&self) -> Option<f64> {
        if self.marks.len() <= BLOCKS_LEAST {
            return None;
        }
        // Each hour begins half an hour after the one before it.
        let hours = self.marks.iter().zip(self.marks.iter().skip(2));
        let mut paces: Vec<f64> = hours.map(|(from, to)| pace(*from, *to)).collect();
        let latest = *paces.last()?;
        paces.sort_by(f64::total_cmp);
        let usual = *paces.get((paces.len() - 1) / 2)?;
        Some(usual.min(latest))
    }
}

fn pace((from, before): (Instant, u64), (to, after): (Instant, u64)) -> f64 {
    let hours = to.saturating_duration_since(from).as_secs_f64() / 3600.0;
    if hours > 0.0 { (float(before) - float(after)) / hours } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a part of it; exact below 2^53 bytes")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

/// The part of its size by which a file system may grow or shrink from one look to the next and be
/// the same.
const SIZE_MOVES: f64 = 0.05;
/// Longer than what is written in one piece usually takes, a download or a dump.
const BLOCK: Duration = Duration::from_mins(30);
/// Six hours, as the alerts of the node-mixin look back.
const BLOCKS: usize = 12;
/// These are five hours, of which one write is in two: they are not the median.
const BLOCKS_LEAST: usize = 6;
/// How long it must have been watched.
pub(super) const WATCH: Duration = Duration::from_hours(3);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: u64 = 1000;

    /// Sees these values of free room, one each half hour.
    fn outlook(available: impl IntoIterator<Item = u64>) -> Outlook {
        let start = Instant::now();
        let mut forecast = Forecast::default();
        let mut last = Outlook::Young;
        for (index, available) in available.into_iter().enumerate() {
            let at = start + BLOCK * u32::try_from(index).unwrap();
            last = forecast.see(SIZE, available, at);
        }
        last
    }

    #[test]
    fn what_fills_steadily_is_foreseen_to_the_hour() {
        assert_eq!(outlook((0..6).map(|n| 900 - 10 * n)), Outlook::Young);
        assert_eq!(WATCH, BLOCK * u32::try_from(BLOCKS_LEAST).unwrap());
        // Twenty in an hour.
        assert_eq!(outlook((0..7).map(|n| 900 - 10 * n)), Outlook::Full(42.0));
        assert_eq!(outlook((0..40).map(|n| 900 - 10 * n)), Outlook::Full(25.5));
    }

    #[test]
    fn what_fills_once_an_hour_is_foreseen_too() {
        assert_eq!(outlook((0..13).map(|n| 900 - 40 * (n / 2))), Outlook::Full(16.5));
    }

    #[test]
    fn when_it_ceases_it_is_over_an_hour_later() {
        let falling = (0..13).map(|n| 900 - 10 * n);
        assert_eq!(outlook(falling.clone().chain([780])), Outlook::Full(78.0));
        assert_eq!(outlook(falling.chain([780, 780])), Outlook::Steady);
    }

    #[test]
    fn another_size_begins_anew() {
        let now = Instant::now();
        let mut forecast = Forecast::default();
        for n in 0..10 {
            forecast.see(SIZE, 900 - 10 * n, now + BLOCK * u32::try_from(n).unwrap());
        }
        assert_eq!(forecast.see(SIZE * 2, 1800, now + BLOCK * 10), Outlook::Young);
    }

    #[test]
    fn a_size_that_moves_with_every_write_is_no_other() {
        let now = Instant::now();
        let mut forecast = Forecast::default();
        let mut last = Outlook::Young;
        for n in 0..10 {
            let at = now + BLOCK * u32::try_from(n).unwrap();
            last = forecast.see(SIZE - 5 * n, 900 - 10 * n, at);
        }
        assert_eq!(last, Outlook::Full(40.5));
    }

    proptest! {
        /// Wherever it falls, whatever else is freed: one write is no trend.
        #[test]
        fn one_big_write_never_counts(
            at in 0_usize..40,
            size in 1_u64..900,
            freed in prop::collection::vec(0_u64..3, 40),
        ) {
            let mut left = 900_u64;
            let values = freed.into_iter().enumerate().map(|(index, freed)| {
                left = if index == at { left.saturating_sub(size) } else { left + freed };
                left
            });
            prop_assert!(!matches!(outlook(values), Outlook::Full(_)));
        }

        #[test]
        fn a_steady_writer_is_never_missed(step in 1_u64..20, count in 7_usize..40) {
            let values = (0..count as u64).map(|index| 900 - (step * index).min(890));
            let is_done = step * (count as u64) > 890;
            prop_assert!(is_done || matches!(outlook(values), Outlook::Full(_)));
        }
    }
}
