//! Clocks that are kept, that are not, and of which nothing may be asked.

use super::super::tests::{LOOK, assert_told, here, on_talos, samples, watched};
use super::*;
use crate::health::State::{Pass, Unknown, Warn};

/// Looks at a clock.
struct Looks {
    watched: Watched,
    clock: Clock,
    at: Instant,
}

impl Looks {
    fn new(watched: Watched) -> Self {
        let clock = Clock::new(&watched);
        Self { watched, clock, at: Instant::now() }
    }

    fn look(&mut self, is_kept: bool, offset: f64) -> Check {
        self.at += LOOK;
        let kept = if is_kept { 1.0 } else { 0.0 };
        let samples = samples(&[
            ("node_timex_sync_status", &[], kept),
            ("node_timex_offset_seconds", &[], offset),
        ]);
        self.clock.judge(&self.watched, here(&samples), self.at)
    }
}

#[tokio::test]
async fn a_clock_that_nobody_keeps_warns_after_ten_minutes() {
    let mut looks = Looks::new(watched(""));
    for _look in 0..20 {
        assert_told(&looks.look(false, 0.0), Pass, "nothing keeps it right yet");
    }
    let told = looks.look(false, 0.0);
    assert_told(&told, Warn, "nothing keeps the clock of this host right");
    assert!(told.remedy.unwrap().contains("timedatectl"));
    for _look in 0..2 {
        assert_eq!(looks.look(true, 0.0).state, Warn);
    }
    assert_told(&looks.look(true, 0.0001), Pass, "kept right, off by 0.100 ms");
}

#[tokio::test]
async fn a_clock_that_is_off_warns_and_around_the_threshold_once() {
    let mut looks = Looks::new(on_talos());
    for _look in 0..20 {
        assert_eq!(looks.look(true, -0.6).state, Pass, "never for five minutes");
        assert_eq!(looks.look(true, 0.4).state, Pass);
    }
    for _look in 0..11 {
        looks.look(true, -0.6);
    }
    let told = looks.look(true, -0.6);
    assert_told(&told, Warn, "the clock of this host is off by -600 ms");
    assert!(told.remedy.unwrap().contains("talosctl -n 10.0.0.11 get timestatus"));
    for _look in 0..20 {
        assert_eq!(looks.look(true, 0.3).state, Warn, "within the gap");
    }
}

#[tokio::test]
async fn a_clock_that_may_not_be_asked_is_unknown() {
    let mut looks = Looks::new(watched(""));
    for (source, reason) in [
        (Source::Absent, "unknown: the agent's sandbox keeps it from asking the kernel"),
        (Source::Unknown("no answer"), "unknown: no answer"),
    ] {
        assert_told(&looks.clock.judge(&looks.watched, source, looks.at), Unknown, reason);
    }
}
