//! Judges disks by what the kernel has counted, and arrays of disks by what it says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::time::Instant;

use super::super::steady::{Alarm, Limit, Patience, Rise, Verdict};
use super::super::{Check, State};
use super::finding::{Finding, check};
use super::source::Source;
use super::{DISKS, MD, Watched, minute};
use crate::faults::{Disk, Faults};

/// What is remembered of the disks.
#[derive(Debug, Default)]
pub(super) struct Disks {
    states: BTreeMap<String, Alarm>,
    timeouts: BTreeMap<String, Rise>,
    errors: BTreeMap<String, Rise>,
    filesystems: BTreeMap<String, Rise>,
}

impl Disks {
    /// Takes what was counted, or why it is not known.
    pub(super) fn judge(
        &mut self,
        watched: &Watched,
        faults: Result<&Faults, &str>,
        mounted: &BTreeMap<String, PathBuf>,
        at: Instant,
    ) -> Check {
        let faults = match faults {
            Ok(faults) => faults,
            Err(why) => {
                let remedy = "see [host.paths] in the cluster file: `sys` must be the machine's";
                return Check::unknown(DISKS, why, Some(remedy));
            }
        };
        let mut found = Vec::new();
        let states = faults.disks.iter().filter_map(|(name, disk)| Some((name, disk.state()?)));
        let controllers = faults.controllers.iter().map(|(name, state)| (name, state.as_str()));
        let states: BTreeMap<_, _> = states.chain(controllers).collect();
        self.states.retain(|name, _| states.contains_key(name));
        for (name, state) in &states {
            found.extend(self.state(watched, name, state, at));
        }
        self.timeouts.retain(|name, _| faults.disks.contains_key(name));
        self.errors.retain(|name, _| faults.disks.contains_key(name));
        for (name, disk) in &faults.disks {
            found.extend(self.count(watched, name, disk, at));
        }
        self.filesystems.retain(|name, _| faults.filesystems.contains_key(name));
        for (name, count) in &faults.filesystems {
            let device = name.split(' ').next_back().unwrap_or(name);
            let repair = watched.repair(name, mounted.get(device).map(PathBuf::as_path));
            found.extend(self.filesystem(name, *count, repair, at));
        }
        let seen = states.len() + faults.filesystems.len();
        check(DISKS, found, || match seen {
            0 => "the kernel counts no errors of the disks of this host".to_owned(),
            _ => format!(
                "no errors on {} disks and {} file systems that count them",
                states.len(),
                faults.filesystems.len()
            ),
        })
    }

    fn state(
        &mut self,
        watched: &Watched,
        name: &str,
        state: &str,
        at: Instant,
    ) -> Option<Finding> {
        let alarm = self.states.entry(name.to_owned());
        let alarm = alarm.or_insert_with(|| Alarm::calm(Limit::Above(1.0, 1.0), STATE));
        let is_ill = !WELL.contains(&state);
        let verdict = alarm.see(Some(if is_ill { 1.0 } else { 0.0 }), at);
        if verdict != Verdict::Raised {
            return None;
        }
        let gravity = if DEAD.contains(&state) { State::Fail } else { State::Warn };
        Some(Finding::new(gravity, format!("{name} is {state}"), watched.dmesg(name)))
    }

    fn count(
        &mut self,
        watched: &Watched,
        name: &str,
        disk: &Disk,
        at: Instant,
    ) -> Option<Finding> {
        let rise = |of: &mut BTreeMap<String, Rise>, count| {
            let rise = of.entry(name.to_owned()).or_insert_with(|| Rise::new(LOOK_BACK));
            rise.see(count, at).unwrap_or_default()
        };
        let timeouts = rise(&mut self.timeouts, disk.timeouts);
        let errors = rise(&mut self.errors, disk.errors);
        let (count, what) = if timeouts > 0 {
            (timeouts, "commands without an answer")
        } else if errors >= ERRORS {
            (errors, "commands that failed")
        } else {
            return None;
        };
        let reason = format!("{name} has had {count} {what} in the last hour");
        let remedy = format!("look at its cable and its SMART data; {}", watched.dmesg(name));
        Some(Finding { weight: weight(count), ..Finding::new(State::Warn, reason, remedy) })
    }

    fn filesystem(
        &mut self,
        name: &str,
        count: u64,
        remedy: String,
        at: Instant,
    ) -> Option<Finding> {
        let rise = self.filesystems.entry(name.to_owned());
        let rise = rise.or_insert_with(|| Rise::new(LOOK_BACK)).see(Some(count), at);
        let rise = rise.unwrap_or_default();
        let (state, reason) = match (rise, count) {
            (0, 0) => return None,
            (0, count) => (State::Warn, format!("{name} has recorded {count} errors")),
            (rise, _) => (State::Fail, format!("{name} has had {rise} errors in the last hour")),
        };
        Some(Finding { weight: weight(count), ..Finding::new(state, reason, remedy) })
    }
}

impl Disk {
    fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Judges the arrays; what they are does not waver, so that nothing is remembered of them.
///
/// Containers, where it is known which these are, are none: they have no disks of their own.
pub(super) fn arrays(
    watched: &Watched,
    source: Source<'_>,
    containers: Option<&BTreeSet<String>>,
) -> Check {
    let samples = match source {
        Source::Here(samples) => samples,
        Source::Absent | Source::LeftOut => return Check::pass(MD, NO_ARRAYS),
        Source::Unknown(why) => {
            return Check::unknown(MD, why, Some("read /proc/mdstat by hand"));
        }
    };
    let mut found = Vec::new();
    let mut names = Vec::new();
    for (labels, required) in samples.series("node_md_disks_required") {
        let Some(name) = labels.get("device") else { continue };
        if containers.is_some_and(|containers| containers.contains(&name)) {
            continue;
        }
        let of = |family: &str| samples.value(family, &[("device", &name)]);
        let disks = |state| samples.value("node_md_disks", &[("device", &name), ("state", state)]);
        let is = |state| {
            samples.value("node_md_state", &[("device", &name), ("state", state)]) == Some(1.0)
        };
        let active = disks("active").unwrap_or_default();
        let failed = disks("failed").unwrap_or_default();
        let done = match (of("node_md_blocks_synced"), of("node_md_blocks")) {
            (Some(synced), Some(blocks)) if blocks > 0.0 => synced / blocks * 100.0,
            _ => 0.0,
        };
        let lacks = required - active;
        let finding = if is("inactive") {
            let remedy = format!("`mdadm --detail /dev/{name}` says why");
            let state = if containers.is_some() { State::Fail } else { State::Unknown };
            Some(Finding::new(state, format!("{name} is not running"), remedy))
        } else if is("recovering") {
            let reason = format!("{name} is being rebuilt, {done:.0} % done");
            let remedy = "nothing, but no other disk must fail until then";
            Some(Finding::new(State::Warn, reason, remedy))
        } else if lacks > 0.0 {
            let reason = format!("{name} lacks {lacks:.0} of {required:.0} disks");
            let remedy = format!("replace the disk: `mdadm /dev/{name} --add /dev/DISK`");
            Some(Finding { weight: lacks, ..Finding::new(State::Fail, reason, remedy) })
        } else if failed > 0.0 {
            let reason = format!("{name} is whole, and {failed:.0} failed disks are still in it");
            let remedy = format!("`mdadm /dev/{name} --remove failed`, and a new spare");
            Some(Finding::new(State::Warn, reason, remedy))
        } else {
            None
        };
        found.extend(finding);
        names.push(if is("check") || is("resync") {
            format!("{name} is whole, and is compared, {done:.0} % done")
        } else {
            format!("{name} is whole")
        });
    }
    let found = found.into_iter().map(|finding| watched.without_shell(finding)).collect();
    check(MD, found, || if names.is_empty() { NO_ARRAYS.to_owned() } else { names.join(", ") })
}

#[expect(clippy::cast_precision_loss, reason = "to tell which is more")]
fn weight(count: u64) -> f64 {
    count as f64
}

const NO_ARRAYS: &str = "this host has no arrays of disks";
/// States in which a disk can be used.
const WELL: [&str; 2] = ["running", "live"];
/// States that no disk leaves by itself.
const DEAD: [&str; 3] = ["offline", "transport-offline", "dead"];
/// A reset, and a disk that spins up, take half of it.
const STATE: Patience = Patience { raise: minute(1), clear: minute(1) };
/// Who looks once an hour sees it.
const LOOK_BACK: std::time::Duration = minute(60);
/// Commands that a disk does not know end as failures, too: whoever asks it by SMART has some dozen
/// of these each time. A bad sector, tried again and again, has hundreds.
const ERRORS: u64 = 100;

#[cfg(test)]
mod tests;
