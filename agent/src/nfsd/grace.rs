//! Whether the grace period of `NFSv4` still runs: until its end clients may only reclaim what
//! they had before the server started.
//!
//! The kernel says it in `v4_end_grace`, also when it skips or cuts the period short. Where that
//! cannot be read, the whole period counts from the first look that saw the server serve, which is
//! never before its start.

use std::time::Duration;

use tokio::time::Instant;

use super::Look;

/// The grace period at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grace {
    /// Nothing is served, or nothing is known of it.
    Unknown,
    /// It is over, or there is none.
    Over,
    /// It runs, for at most so long.
    Running {
        /// The most that is left.
        left: Duration,
    },
}

impl Grace {
    /// Returns whether it is known to run.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// Follows the grace period from look to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct GraceWatch {
    serving_since: Option<Instant>,
}

impl GraceWatch {
    /// Takes the next look.
    pub fn update(&mut self, now: Instant, look: &Look) -> Grace {
        if look.threads == Ok(0) {
            self.serving_since = None;
            return Grace::Unknown;
        }
        let is_served = look.threads.is_ok() || look.has_grace_ended.is_ok();
        if !is_served {
            return Grace::Unknown;
        }
        let since = *self.serving_since.get_or_insert(now);
        if look.versions.as_ref().is_ok_and(|versions| !versions.has_v4) {
            return Grace::Over;
        }
        let period = look.grace_time.as_ref().copied().unwrap_or(GRACE_USUAL);
        let left = period.saturating_sub(now.duration_since(since));
        match look.has_grace_ended {
            Ok(true) => Grace::Over,
            Err(_) if left.is_zero() => Grace::Over,
            Ok(false) | Err(_) => Grace::Running { left },
        }
    }
}

/// The kernel's default.
const GRACE_USUAL: Duration = Duration::from_secs(90);
