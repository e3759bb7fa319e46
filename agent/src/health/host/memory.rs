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

    /// Takes what is seen; returns the check, none where nothing of it is to be asked.
    pub(super) fn judge(
        &mut self,
        watched: &Watched,
        seen: Seen<'_>,
        at: Instant,
    ) -> Option<Check> {
        let all = [seen.pressure, seen.meminfo, seen.vmstat];
        if all.iter().all(|source| matches!(source, Source::LeftOut)) {
            return None;
        }
        let measured = self.measure(seen, at);
        let found = findings(watched, seen, &measured);
        Some(check(MEMORY, found, || measured.in_words(seen.pressure)))
    }

    fn measure(&mut self, seen: Seen<'_>, at: Instant) -> Measured {
        let waiting = match seen.pressure {
            Source::Here(samples) => {
                samples.value("node_pressure_memory_waiting_seconds_total", &[])
            }
            Source::Absent | Source::LeftOut | Source::Unknown(_) => None,
        };
        let percent = self.share.see(waiting, at).map(|share| share * 100.0);
        let pressure = self.pressure.see(percent, at);
        let left = match seen.meminfo {
            Source::Here(samples) => {
                let of = |name| samples.value(name, &[]);
                let all = of("node_memory_MemTotal_bytes").filter(|all| *all > 0.0);
                of("node_memory_MemAvailable_bytes").zip(all).map(|(left, all)| left / all * 100.0)
            }
            Source::Absent | Source::LeftOut | Source::Unknown(_) => None,
        };
        let scarcity = self.scarcity.see(left, at);
        let kills = match seen.vmstat {
            Source::Here(samples) => samples.value("node_vmstat_oom_kill", &[]),
            Source::Absent | Source::LeftOut | Source::Unknown(_) => None,
        };
        let kills = self.kills.see(kills.map(count), at).unwrap_or_default();
        Measured { percent, pressure, left, scarcity, kills }
    }
}

/// What it comes to.
#[derive(Debug)]
struct Measured {
    /// Of the time, in which some task waited.
    percent: Option<f64>,
    pressure: Verdict,
    /// Percent of all that is available.
    left: Option<f64>,
    scarcity: Verdict,
    kills: u64,
}

impl Measured {
    /// What is short is not the memory of the host, but what some container may have of it.
    fn is_of_container(&self) -> bool {
        self.left.is_some_and(|left| left >= PLENTY)
    }

    fn in_words(&self, pressure: Source<'_>) -> String {
        let waits = match (pressure, self.percent) {
            (Source::Absent, _) => Some("this kernel does not say who waits for it".to_owned()),
            (_, None) => None,
            (_, Some(percent)) => Some(format!("tasks wait for it {percent:.0} % of the time")),
        };
        match (self.left, waits) {
            (Some(left), Some(waits)) if self.percent.is_none() => {
                format!("{left:.0} % is available; {waits}")
            }
            (Some(left), Some(waits)) => format!("{left:.0} % is available, and {waits}"),
            (Some(left), None) => format!("{left:.0} % is available"),
            (None, Some(waits)) => format!("an unknown part is available; {waits}"),
            (None, None) => "no task was killed for want of it in the last hour".to_owned(),
        }
    }
}

fn findings(watched: &Watched, seen: Seen<'_>, measured: &Measured) -> Vec<Finding> {
    let Measured { percent, pressure, left, scarcity, kills } = *measured;
    let available = left.map_or(String::new(), |left| format!(" with {left:.0} % available"));
    let remedy =
        if measured.is_of_container() { watched.containers() } else { watched.processes() };
    let mut found = Vec::new();
    let mut add = |weight, reason: String, remedy: &str| {
        found.push(Finding { weight, ..Finding::new(State::Warn, reason, remedy) });
    };
    if pressure == Verdict::Raised {
        let percent = percent.unwrap_or_default();
        let reason = format!("tasks wait for memory {percent:.0} % of the time{available}");
        add(2.0, reason, &remedy);
    }
    if scarcity == Verdict::Raised {
        let left = left.unwrap_or_default();
        add(3.0, format!("{left:.1} % of memory is available"), &remedy);
    }
    if kills > 0 {
        // The kernel counts those of a container at its limit together with all others.
        let reason = if measured.is_of_container() {
            format!("a container was at its limit: {kills} tasks were killed in the last hour")
        } else {
            format!("the kernel has killed {kills} tasks for want of memory in the last hour")
        };
        add(1.0, reason, &remedy);
    }
    if let (Source::Unknown(why), true) = (seen.meminfo, found.is_empty()) {
        found.push(Finding::new(State::Unknown, why, "read /proc/meminfo by hand"));
    } else if let (Source::Unknown(why), true) = (seen.pressure, found.is_empty()) {
        found.push(Finding::new(State::Unknown, why, "read /proc/pressure/memory by hand"));
    } else if let (Source::Unknown(why), true) = (seen.vmstat, found.is_empty()) {
        found.push(Finding::new(State::Unknown, why, "read /proc/vmstat by hand"));
    }
    found
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
