//! The delays of a UPS that is told to cut: what it says, and what must be reckoned with.
//!
//! Some UPSes take minutes where NUT takes seconds: the driver shows the value after the rounding.
//! It shows in what became of the number that was asked for (`driver.parameter.offdelay`), or,
//! where none was, in a driver that by itself asks for 20 and 30 s and shows whole minutes.

use std::time::Duration;

use crate::snapshot::Snapshot;

/// One minute, in seconds.
const MINUTE: u64 = 60;

/// The driver whose own defaults, 20 and 30 s, are no whole minutes.
const SECONDS_DRIVER: &str = "usbhid-ups";

/// The delays, as far as the UPS shows them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Delays {
    /// `ups.delay.shutdown`: from the command to the open output.
    pub shutdown: Option<Duration>,
    /// `ups.delay.start`: from the command, or from the return of the mains, to the closed output.
    pub start: Option<Duration>,
    /// What `offdelay` in `ups.conf` asked for.
    pub asked_shutdown: Option<Duration>,
    /// The UPS rounds to whole minutes.
    pub is_in_minutes: bool,
}

impl Delays {
    /// Reads what a poll shows of them.
    pub fn of(snapshot: &Snapshot) -> Self {
        let (shutdown, start) = (snapshot.shutdown_delay(), snapshot.start_delay());
        let asked_shutdown = snapshot.seconds("driver.parameter.offdelay");
        let asked_start = snapshot.seconds("driver.parameter.ondelay");
        let became_minutes = |shown: Option<Duration>, asked: Option<Duration>| {
            shown.is_some_and(is_whole) && asked.is_some_and(|asked| !is_whole(asked))
        };
        let was_not_asked = asked_shutdown.is_none() && asked_start.is_none();
        let has_own =
            |shown: Option<Duration>| shown.is_some_and(|it| !it.is_zero() && is_whole(it));
        let is_in_minutes = became_minutes(shutdown, asked_shutdown)
            || became_minutes(start, asked_start)
            || was_not_asked
                && snapshot.text("driver.name") == Some(SECONDS_DRIVER)
                && has_own(shutdown)
                && has_own(start);
        Self { shutdown, start, asked_shutdown, is_in_minutes }
    }

    /// Returns the longest that the output may stay closed after the command: a UPS that rounds
    /// may have rounded either way.
    pub fn longest_shutdown(&self) -> Option<Duration> {
        let shown = self.shutdown?;
        if !self.is_in_minutes {
            return Some(shown);
        }
        let longest = shown.max(self.asked_shutdown.unwrap_or_default());
        Some(Duration::from_secs(longest.as_secs().div_ceil(MINUTE) * MINUTE))
    }

    /// Returns how long the output stays open if the mains are back at once; zero where it would
    /// be told to close before it opens.
    pub fn off_time(&self) -> Option<Duration> {
        Some(self.start?.saturating_sub(self.shutdown?))
    }
}

fn is_whole(delay: Duration) -> bool {
    delay.as_secs().is_multiple_of(MINUTE)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn delays(variables: &[(&str, &str)]) -> Delays {
        let rows = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Delays::of(&Snapshot::new("u", 1, Instant::now(), rows))
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_eaton_5e_has_a_shutdown_delay_in_seconds_and_no_other() {
        let eaton = delays(&[("driver.name", "usbhid-ups"), ("ups.delay.shutdown", "20")]);
        assert_eq!((eaton.longest_shutdown(), eaton.off_time()), (Some(seconds(20)), None));
        assert!(!eaton.is_in_minutes);
    }

    #[test]
    fn a_value_that_was_rounded_shows_minutes_whichever_way_it_went() {
        for (asked, shown, longest) in [("20", "0", 60), ("20", "60", 60), ("90", "60", 120)] {
            let rounded =
                delays(&[("driver.parameter.offdelay", asked), ("ups.delay.shutdown", shown)]);
            assert!(rounded.is_in_minutes, "{asked} became {shown}");
            assert_eq!(
                rounded.longest_shutdown(),
                Some(seconds(longest)),
                "{asked} became {shown}"
            );
        }
        let kept = delays(&[("driver.parameter.offdelay", "60"), ("ups.delay.shutdown", "60")]);
        assert!(!kept.is_in_minutes, "minutes that were asked for prove nothing");
    }

    #[test]
    fn minutes_that_nobody_asked_for_are_the_units_own() {
        let own = [("ups.delay.shutdown", "60"), ("ups.delay.start", "120")];
        let named = |driver| delays(&[&[("driver.name", driver)], own.as_slice()].concat());
        assert!(named("usbhid-ups").is_in_minutes);
        assert!(!named("nutdrv_qx").is_in_minutes, "its own defaults are minutes");
    }

    #[test]
    fn an_output_that_closes_before_it_opens_is_open_for_no_time() {
        for (shutdown, start, off) in [("20", "30", 10), ("20", "20", 0), ("60", "30", 0)] {
            let both = delays(&[("ups.delay.shutdown", shutdown), ("ups.delay.start", start)]);
            assert_eq!(both.off_time(), Some(seconds(off)));
        }
        assert_eq!(delays(&[("ups.delay.shutdown", "NA")]), Delays::default());
    }
}
