//! Judges whether something keeps this host's clock right.

use tokio::time::Instant;

use super::super::Check;
use super::super::steady::{Alarm, Limit, Patience, Verdict};
use super::source::Source;
use super::{CLOCK, Watched, minute};

/// What is remembered.
#[derive(Debug)]
pub(super) struct Clock {
    unkept: Alarm,
    off: Alarm,
}

impl Clock {
    pub(super) fn new(watched: &Watched) -> Self {
        let off = watched.thresholds.clock_off.as_secs_f64();
        Self {
            // After a boot it takes some minutes until servers of time are believed.
            unkept: Alarm::calm(Limit::Above(1.0, 1.0), UNKEPT),
            off: Alarm::calm(Limit::Above(off, off / 2.0), OFF),
        }
    }

    pub(super) fn judge(&mut self, watched: &Watched, source: Source<'_>, at: Instant) -> Check {
        let samples = match source {
            Source::Here(samples) => samples,
            Source::Absent | Source::LeftOut => {
                let why = "the agent's sandbox keeps it from asking the kernel";
                return Check::unknown(CLOCK, why, Some(&watched.time_service()));
            }
            Source::Unknown(why) => {
                return Check::unknown(CLOCK, why, Some(&watched.time_service()));
            }
        };
        let of = |name| samples.value(name, &[]);
        let kept = of("node_timex_sync_status");
        let offset = of("node_timex_offset_seconds");
        let unkept = self.unkept.see(kept.map(|kept| 1.0 - kept), at);
        let off = self.off.see(offset.map(f64::abs), at);
        let offset = offset.unwrap_or_default();
        match (unkept, off) {
            (Verdict::Raised, _) => {
                let reason = "nothing keeps the clock of this host right";
                Check::warn(CLOCK, reason, watched.time_service())
            }
            (_, Verdict::Raised) => {
                let reason = format!("the clock of this host is off by {:.0} ms", offset * 1e3);
                Check::warn(CLOCK, reason, watched.time_service())
            }
            (Verdict::Unknown, _) | (_, Verdict::Unknown) => {
                Check::unknown(CLOCK, "the kernel has not said it", None)
            }
            (Verdict::Clear, Verdict::Clear) if kept == Some(0.0) => {
                Check::pass(CLOCK, "nothing keeps it right yet, as is usual after a start")
            }
            (Verdict::Clear, Verdict::Clear) => {
                Check::pass(CLOCK, format!("kept right, off by {:.3} ms", offset.abs() * 1e3))
            }
        }
    }
}

const UNKEPT: Patience = Patience { raise: minute(10), clear: minute(1) };
const OFF: Patience = Patience { raise: minute(5), clear: minute(5) };

#[cfg(test)]
mod tests;
