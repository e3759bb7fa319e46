//! Checks of the machine itself: its file systems, disks, memory, temperatures and clock.
//!
//! ```text
//!   collectors, /sys, file systems ── a look each 30 s ──▶ Watch::judge ──▶ Report
//!                                                                             │
//!                                             Health::of ◀── Snapshot ◀───────┘
//! ```
//!
//! What wavers is steadied here, between the looks: a report has checks that may be shown as they
//! are. A source that does not answer makes its own check unknown and no other. Nothing here waits:
//! whoever looks (`app/host.rs`) has asked before.

mod clock;
mod disk;
mod finding;
mod forecast;
mod memory;
mod room;
mod source;
mod temperature;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_host::{Collected, Selection};
use tokio::time::Instant;

use self::source::{Source, Sources};
use self::words::Words;
use super::{Check, State, is_ending, seconds, unseen_for};
use crate::cluster_file::seeing::{Seeing, Thresholds};
use crate::cluster_file::{Host, System};
use crate::faults::Faults;
use crate::filesystem;
use crate::snapshot::Snapshot;

/// The collectors of the host's metrics by which it is judged.
const COLLECTORS: [&str; 6] = ["hwmon", "mdadm", "meminfo", "pressure", "timex", "vmstat"];

/// What is watched, from when on it is worth a word, and in which words.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    thresholds: Thresholds,
    /// Collectors that are not to be asked, whose checks are not made.
    without: Vec<&'static str>,
    words: Words,
}

/// What was found at one moment; what did not answer in time says so.
#[derive(Debug)]
pub(crate) struct Sight {
    /// By the collectors.
    pub(crate) collected: Result<Collected, String>,
    /// What the kernel counts of disks and file systems.
    pub(crate) faults: Result<Faults, String>,
    /// The file systems, by a look of their own; none before the first.
    pub(crate) filesystems: Option<Arc<filesystem::Report>>,
}

/// Checks that are steady.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    looked: Instant,
    checks: Vec<Check>,
}

/// Judges one look after another.
#[derive(Debug)]
pub(crate) struct Watch {
    watched: Watched,
    filesystems: room::Filesystems,
    disks: disk::Disks,
    memory: memory::Memory,
    temperatures: temperature::Temperatures,
    clock: clock::Clock,
    /// What was last known of each check that was ill then, and when.
    ill: BTreeMap<String, (Instant, Check)>,
}

impl Watch {
    pub(crate) fn new(watched: Watched) -> Self {
        Self {
            filesystems: room::Filesystems::default(),
            disks: disk::Disks::default(),
            memory: memory::Memory::new(&watched),
            temperatures: temperature::Temperatures::default(),
            clock: clock::Clock::new(&watched),
            ill: BTreeMap::new(),
            watched,
        }
    }

    /// Takes what was found at a moment.
    pub(crate) fn judge(&mut self, sight: Sight, at: Instant) -> Report {
        let watched = &self.watched;
        let Sight { collected, faults, filesystems } = sight;
        let faults = faults.as_ref().map_err(String::as_str);
        let nothing = BTreeMap::new();
        let planned = faults.map_or(&nothing, |faults| &faults.planned);
        let filesystems = filesystems.as_deref();
        let mut checks = self.filesystems.judge(watched, filesystems, planned, at).to_vec();
        checks.push(self.disks.judge(watched, faults, &mounted(filesystems), at));
        let sources = collected.map(Sources::new);
        let is_asked = |collector| !watched.without.contains(&collector);
        let of = |collector| match &sources {
            _ if !is_asked(collector) => Source::LeftOut,
            Ok(sources) => sources.of(collector),
            Err(why) => Source::Unknown(why),
        };
        if is_asked("mdadm") {
            let containers = faults.ok().map(|faults| &faults.containers);
            checks.push(disk::arrays(watched, of("mdadm"), containers));
        }
        let seen =
            memory::Seen { pressure: of("pressure"), meminfo: of("meminfo"), vmstat: of("vmstat") };
        checks.extend(self.memory.judge(watched, seen, at));
        if is_asked("hwmon") {
            checks.push(self.temperatures.judge(watched, of("hwmon"), at));
        }
        if is_asked("timex") {
            checks.push(self.clock.judge(watched, of("timex"), at));
        }
        let is_seen = filesystems.is_some_and(|it| !it.is_stale() && it.filesystems.is_ok());
        for check in &mut checks {
            // One that has another size is to be watched anew, which is nothing unseen.
            if check.name == FULL_SOON && check.state == State::Unknown && is_seen {
                self.ill.remove(FULL_SOON);
            } else {
                self.keep_ill(check, at);
            }
        }
        Report { looked: at, checks }
    }

    /// Has what was ill and cannot be looked at any more stay ill: a disk that hangs is no cure.
    fn keep_ill(&mut self, check: &mut Check, at: Instant) {
        match check.state {
            State::Pass => {
                self.ill.remove(&check.name);
            }
            State::Warn | State::Fail => {
                self.ill.insert(check.name.clone(), (at, check.clone()));
            }
            State::Unknown => {
                if let Some((seen, ill)) = self.ill.get(&check.name) {
                    *check = unseen_for(ill, at.saturating_duration_since(*seen));
                }
            }
        }
    }
}

impl Watched {
    /// Returns the collectors that a look asks.
    pub(crate) fn collectors(&self) -> Selection {
        let asked = Selection::default().only(&COLLECTORS);
        self.without.iter().fold(asked, |asked, name| asked.without(name))
    }

    /// Returns what the cluster file says of a host.
    pub(crate) fn new(host: &Host) -> Self {
        let words = match &host.system {
            System::Talos(_) => Words::Talos(host.network.address),
            System::Systemd(_) | System::Command(_) | System::DryRun => Words::Shell,
        };
        let Seeing { health: thresholds, metrics } = host.seeing.clone();
        Self { thresholds, without: metrics.without, words }
    }

    /// Returns what is told before the first look.
    pub(crate) fn unseen(&self) -> Report {
        let names = [
            (FILESYSTEMS, None),
            (FULL_SOON, None),
            (READ_ONLY, None),
            (DISKS, None),
            (MD, Some("mdadm")),
            (MEMORY, None),
            (TEMPERATURE, Some("hwmon")),
            (CLOCK, Some("timex")),
        ];
        let is_made = |collector: &str| !self.without.contains(&collector);
        let made = names.iter().filter(|(_, of)| of.is_none_or(is_made));
        let unknown = |(name, _): &(&str, _)| Check::unknown(*name, "nobody has looked yet", None);
        Report { looked: Instant::now(), checks: made.map(unknown).collect() }
    }
}

/// Returns the checks; none before the first look.
pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let Some(report) = &snapshot.host else { return Vec::new() };
    let age = report.looked.elapsed();
    let is_stale = age >= STALE_AFTER;
    let is_ending = is_ending(snapshot);
    let shown = |check: &Check| {
        // The hold makes all file systems read-only, and the way there may hide the clock.
        if is_ending && check.name == READ_ONLY {
            return Check::pass(
                READ_ONLY,
                "this host stops, and what it has on disk stays as it is",
            );
        }
        if is_stale && check.state >= State::Warn {
            return unseen_for(check, age);
        }
        if is_stale {
            let why = format!("nobody has looked for {}", seconds(age));
            return Check::unknown(&check.name, why, Some("see the check drivers, and the log"));
        }
        check.clone()
    };
    report.checks.iter().map(shown).collect()
}

/// Returns where the device of a file system is mounted, by its name in `/dev`.
fn mounted(report: Option<&filesystem::Report>) -> BTreeMap<String, PathBuf> {
    let all = report.and_then(|report| report.filesystems.as_ref().ok()).into_iter().flatten();
    let mut mounted = BTreeMap::new();
    for it in all {
        if let Some(name) = it.device.strip_prefix("/dev/") {
            mounted.entry(name.to_owned()).or_insert_with(|| it.point.clone());
        }
    }
    mounted
}

/// Returns a span as a person says it.
fn minutes(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) }
}

const fn minute(count: u64) -> Duration {
    Duration::from_mins(count)
}

const FILESYSTEMS: &str = "filesystems";
const FULL_SOON: &str = "filesystem-full-soon";
const READ_ONLY: &str = "filesystem-read-only";
const DISKS: &str = "disks";
const MD: &str = "md";
const MEMORY: &str = "memory";
const TEMPERATURE: &str = "temperature";
const CLOCK: &str = "clock-synchronised";
/// Four looks.
const STALE_AFTER: Duration = Duration::from_mins(2);

#[cfg(test)]
pub(crate) mod tests;
