//! Judges memory: whether tasks wait for it, and whether the kernel has killed some for want of it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::steady::{Alarm, Limit, Patience, Rise, Share, Verdict};
use super::super::{Check, State};
use super::finding::{Finding, check};
use super::source::Source;
use super::{MEMORY, Watched, minute};

/// What is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    share: Share,
    pressure: Alarm,
    scarcity: Alarm,
    kills: Rise,
}

/// What the kernel says of memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) pressure: Source<'a>,
    pub(super) meminfo: Source<'a>,
    pub(super) vmstat: Source<'a>,
}

impl Memory {
    pub(super) fn new(watched: &Watched) -> Self {
        let percent = f64::from(watched.thresholds.memory_pressure_percent);
        Self {
            share: Share::new(WINDOW),
            // After a boot everything starts at once.
            pressure: Alarm::calm(Limit::Above(percent, percent * 0.75), PATIENCE),
            scarcity: Alarm::calm(Limit::Below(SCARCE, SCARCE * 1.5), PATIENCE),
            kills: Rise::new(KILLS_TOLD),
        }
    }

    pub(super) fn judge(&mut self, seen: Seen<'_>, at: Instant) -> Check {
        let waiting = match seen.pressure {
            Source::Here(samples) => {
                samples.value("node_pressure_memory_waiting_seconds_total", &[])
            }
            Source::Absent | Source::Unknown(_) => None,
        };
        let percent = self.share.see(waiting, at).map(|share| share * 100.0);
        let pressure = self.pressure.see(percent, at);
        let left = match seen.meminfo {
            Source::Here(samples) => {
                let of = |name| samples.value(name, &[]);
                let all = of("node_memory_MemTotal_bytes").filter(|all| *all > 0.0);
                of("node_memory_MemAvailable_bytes").zip(all).map(|(left, all)| left / all * 100.0)
            }
            Source::Absent | Source::Unknown(_) => None,
        };
        let scarcity = self.scarcity.see(left, at);
        let kills = match seen.vmstat {
            Source::Here(samples) => samples.value("node_vmstat_oom_kill", &[]),
            Source::Absent | Source::Unknown(_) => None,
        };
        let kills = self.kills.see(kills.map(count), at);
        let available = left.map_or(String::new(), |left| format!(" with {left:.0} % available"));
        let mut found = Vec::new();
        if pressure == Verdict::Raised {
            let percent = percent.unwrap_or_default();
            let reason = format!("tasks wait for memory {percent:.0} % of the time{available}");
            let remedy = if left.is_some_and(|left| left >= PLENTY) {
                "a container is at its limit: see which, and raise it"
            } else {
                "see what uses it, and end or limit that"
            };
            found.push(Finding { weight: 2.0, ..Finding::new(State::Warn, reason, remedy) });
        }
        if scarcity == Verdict::Raised {
            let left = left.unwrap_or_default();
            let reason = format!("{left:.1} % of memory is available");
            let remedy = "see what uses it, and end or limit that";
            found.push(Finding { weight: 3.0, ..Finding::new(State::Warn, reason, remedy) });
        }
        if let Some(kills) = kills.filter(|kills| *kills > 0) {
            let reason =
                format!("the kernel has killed {kills} tasks for want of memory in the last hour");
            let remedy = "see the log of the kernel for whom, and give that more or less to do";
            found.push(Finding { weight: 1.0, ..Finding::new(State::Warn, reason, remedy) });
        }
        if let (Source::Unknown(why), true) = (seen.meminfo, found.is_empty()) {
            found.push(Finding::new(State::Unknown, why, "read /proc/meminfo by hand"));
        } else if let (Source::Unknown(why), true) = (seen.pressure, found.is_empty()) {
            found.push(Finding::new(State::Unknown, why, "read /proc/pressure/memory by hand"));
        }
        check(MEMORY, found, || {
            let left =
                left.map_or_else(|| "an unknown part".to_owned(), |left| format!("{left:.0} %"));
            match (seen.pressure, percent) {
                (Source::Absent, _) => {
                    format!("{left} is available; this kernel does not say who waits for it")
                }
                (_, None) => format!("{left} is available"),
                (_, Some(percent)) => {
                    format!("{left} is available, and tasks wait for it {percent:.0} % of the time")
                }
            }
        })
    }
}

/// A counter is a whole number, however it is shown.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never below zero")]
fn count(value: f64) -> u64 {
    value as u64
}

const WINDOW: Duration = minute(5);
/// The window smooths already.
const PATIENCE: Patience = Patience { raise: minute(1), clear: minute(5) };
/// Long enough to be seen by who looks once an hour.
const KILLS_TOLD: Duration = minute(60);
/// Percent; below, the page cache is gone and everything is read from disk again and again.
const SCARCE: f64 = 4.0;
/// Percent; with as much it is not the host that lacks memory.
const PLENTY: f64 = 20.0;

#[cfg(test)]
mod tests;
