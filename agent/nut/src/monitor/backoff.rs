//! Pauses between attempts to connect: none at first, then growing, with jitter.

use std::time::Duration;

/// The first pause, when an attempt right behind the loss has failed as well.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause. Limits of lost contact (15 s) run meanwhile, so it is seconds, not minutes.
pub const LONGEST: Duration = Duration::from_secs(3);

/// A session that lasted less is a failed attempt: otherwise a server that accepts and closes would
/// be asked without a pause.
const ESTABLISHED: Duration = LONGEST;

/// How long to wait before the next attempt.
#[derive(Debug, Default)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Returns the pause after a session or an attempt that lasted this long.
    ///
    /// An attempt that took its whole limit without an answer counts as failed all the same: its
    /// length was pause enough, and the next one follows at once.
    pub fn after_session(&mut self, lasted: Duration) -> Duration {
        if lasted >= ESTABLISHED {
            self.next = Duration::ZERO;
        }
        let pause = self.next;
        self.next = (pause * 2).clamp(FIRST, LONGEST);
        // Between half and all of it, so that hosts that lost upsd together do not return together.
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_at_once_and_pauses_grow_to_their_limit() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after_session(Duration::ZERO), Duration::ZERO);
        let mut expected = FIRST;
        for _ in 0..20 {
            let pause = backoff.after_session(Duration::ZERO);
            assert!(pause <= expected && pause >= expected / 2, "{pause:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        assert_eq!(expected, LONGEST);
    }

    #[test]
    fn a_session_that_lasted_is_followed_at_once() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.after_session(Duration::ZERO);
        }
        assert_eq!(backoff.after_session(Duration::from_mins(1)), Duration::ZERO);
    }

    #[test]
    fn a_server_that_accepts_and_closes_is_not_asked_without_a_pause() {
        let mut backoff = Backoff::default();
        backoff.after_session(Duration::from_mins(1));
        assert!(backoff.after_session(Duration::from_millis(5)) >= FIRST / 2);
    }
}
