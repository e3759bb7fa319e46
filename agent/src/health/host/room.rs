//! Judges the local file systems: how full they are, when they will be, and whether they take
//! writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::time::Instant;

use super::super::steady::{Alarm, Grade, Limit, Patience, Verdict};
use super::super::{Check, State, seconds};
use super::finding::{Finding, check};
use super::forecast::{Forecast, Outlook, WATCH};
use super::{FILESYSTEMS, FULL_SOON, READ_ONLY, Watched, minute, minutes};
use crate::cluster_file::seeing::Thresholds;
use crate::filesystem::{Filesystem, Measured, Report, Room, part};
use crate::mountinfo::DeviceNumber;

/// What is remembered of all of them.
#[derive(Debug, Default)]
pub(super) struct Filesystems {
    /// By mount point and device: another file system at the same point is another one.
    known: BTreeMap<(PathBuf, DeviceNumber), Known>,
}

/// What is remembered of one.
#[derive(Debug)]
struct Known {
    space: Grade,
    inodes: Grade,
    silence: Alarm,
    /// What was last told of its room.
    full: Option<Finding>,
    forecast: Forecast,
    full_soon: Alarm,
    /// It has taken writes since this agent started.
    was_writable: bool,
}

impl Filesystems {
    /// Takes a report, and returns the checks in the order of their names.
    pub(super) fn judge(
        &mut self,
        watched: &Watched,
        report: Option<&Report>,
        planned: &BTreeMap<PathBuf, bool>,
        at: Instant,
    ) -> [Check; 3] {
        let report = match report {
            None => return unknown("nobody has looked yet", None),
            Some(report) if report.is_stale() => {
                let why = format!("not measured for {}", seconds(report.looked.elapsed()));
                return unknown(&why, Some(&watched.log()));
            }
            Some(report) => report,
        };
        let all = match &report.filesystems {
            Ok(all) => all,
            Err(why) => {
                let remedy = "let the agent read that file: see [host.paths] in the cluster file";
                return unknown(why, Some(remedy));
            }
        };
        let id = |it: &Filesystem| (it.point.clone(), it.number);
        self.known.retain(|known, _| all.iter().any(|it| id(it) == *known));
        let [mut full, mut soon, mut read_only] = [const { Vec::new() }; 3];
        for filesystem in all {
            let known = self.known.entry(id(filesystem));
            let known = known.or_insert_with(|| Known::new(&watched.thresholds));
            let is_ignored = watched.thresholds.filesystems_ignored.contains(&filesystem.point);
            full.extend(known.silence(watched, filesystem, at));
            if let Some(room) = fillable(filesystem).filter(|_| !is_ignored) {
                known.full = known.fill(watched, filesystem, room, at);
                full.extend(known.full.clone());
                soon.extend(known.soon(watched, filesystem, room, at));
            }
            let plan = planned.get(&filesystem.point).copied();
            read_only.extend(known.writes(watched, filesystem, plan));
        }
        [
            check(FILESYSTEMS, full, || in_words(report, all)),
            check(FULL_SOON, soon, || match watched.thresholds.full_within {
                Some(within) => [format!("none within {}", minutes(within))]
                    .into_iter()
                    .chain(elsewhere(all))
                    .collect::<Vec<_>>()
                    .join("; "),
                None => "not asked: full-within is off".to_owned(),
            }),
            check(READ_ONLY, read_only, || "all that should take writes do".to_owned()),
        ]
    }
}

fn unknown(why: &str, remedy: Option<&str>) -> [Check; 3] {
    [FILESYSTEMS, FULL_SOON, READ_ONLY].map(|name| Check::unknown(name, why, remedy))
}

/// Returns the room of one that somebody can fill.
fn fillable(filesystem: &Filesystem) -> Option<Room> {
    match &filesystem.measured {
        Measured::Room(room) if !filesystem.is_read_only && filesystem.kind != "tmpfs" => {
            Some(*room)
        }
        Measured::Room(_) | Measured::Failed(_) | Measured::Elsewhere => None,
    }
}

impl Known {
    fn new(thresholds: &Thresholds) -> Self {
        // A tenth of the threshold: room that is made on purpose is more than that.
        let limit = |below: f64| Limit::Below(below, below * 1.1);
        let inodes = f64::from(thresholds.inodes_below_percent);
        let within = thresholds.full_within.map_or(0.0, |within| within.as_secs_f64() / 3600.0);
        Self {
            space: Grade::new(limit(1.0), limit(1.0), FULL),
            inodes: Grade::new(limit(inodes), limit(inodes / 2.0), FULL),
            silence: Alarm::calm(Limit::Above(1.0, 1.0), SILENCE),
            full: None,
            forecast: Forecast::default(),
            full_soon: Alarm::new(Limit::Below(within, within * 1.25), SOON),
            was_writable: false,
        }
    }

    /// One that does not answer, or answers with an error: its device does not work. What the agent
    /// may not reach is no fault of it.
    fn silence(
        &mut self,
        watched: &Watched,
        filesystem: &Filesystem,
        at: Instant,
    ) -> Option<Finding> {
        let failure = match &filesystem.measured {
            Measured::Failed(why) => Some(why),
            Measured::Room(_) | Measured::Elsewhere => None,
        };
        let point = filesystem.point.display();
        if let Some(why) = failure.filter(|why| OUT_OF_REACH.contains(&why.as_str())) {
            let remedy = "let the agent reach it, or leave it";
            return Some(Finding::new(State::Unknown, format!("{point}: {why}"), remedy));
        }
        let verdict = self.silence.see(Some(if failure.is_some() { 1.0 } else { 0.0 }), at);
        let reason = match (verdict, failure) {
            (Verdict::Raised, Some(why)) => format!("{point}: {why}"),
            (Verdict::Raised, None) => format!("{point} did not answer a moment ago"),
            // What it was when it could be asked last; not for long.
            (Verdict::Clear | Verdict::Unknown, Some(why)) => {
                let unknown = || Finding::new(State::Unknown, format!("{point}: {why}"), WAIT);
                return Some(self.full.clone().unwrap_or_else(unknown));
            }
            (Verdict::Clear | Verdict::Unknown, None) => return None,
        };
        Some(Finding::new(State::Fail, reason, watched.dmesg("errors of its device")))
    }

    fn fill(
        &mut self,
        watched: &Watched,
        filesystem: &Filesystem,
        room: Room,
        at: Instant,
    ) -> Option<Finding> {
        let percent = |part: Option<f64>| part.map(|part| part * 100.0);
        let space = percent(part(room.available, room.size));
        let inodes = percent(part(room.files_free, room.files));
        let below = f64::from(watched.thresholds.space_below_percent);
        let [warn, fail] = [(below, LITTLE), (below / 2.0, VERY_LITTLE)]
            .map(|(percent, bytes)| Some(in_thresholds(space?, percent, room.available, bytes)));
        let worst = [
            (self.space.see_each(warn, fail, at), space, "room"),
            (self.inodes.see(inodes, at), inodes, "inodes"),
        ];
        // What makes inodes as it needs them has no number of them, which is nothing unknown.
        let found = worst.into_iter().filter(|(state, ..)| *state >= State::Warn);
        let (state, left, what) = found.max_by_key(|(state, ..)| *state)?;
        let left = left.unwrap_or_default();
        let reason = format!("{} has {left:.1} % of its {what} left", filesystem.point.display());
        let remedy = match what {
            "inodes" => "delete files that are not needed, or enlarge the file system".to_owned(),
            _ => format!(
                "{}: delete it, or enlarge the file system",
                watched.large(&filesystem.point)
            ),
        };
        Some(Finding { weight: -left, ..Finding::new(state, reason, remedy) })
    }

    fn soon(
        &mut self,
        watched: &Watched,
        filesystem: &Filesystem,
        room: Room,
        at: Instant,
    ) -> Option<Finding> {
        watched.thresholds.full_within?;
        let outlook = self.forecast.see(room.size, room.available, at);
        let matters = part(room.available, room.size).is_some_and(|left| left < MATTERS);
        let hours = match outlook {
            _ if !matters => Some(f64::INFINITY),
            Outlook::Steady => Some(f64::INFINITY),
            Outlook::Full(hours) => Some(hours),
            Outlook::Young => None,
        };
        let point = filesystem.point.display();
        match self.full_soon.see(hours, at) {
            Verdict::Clear => None,
            Verdict::Unknown => {
                let for_how_long = minutes(self.forecast.watched(at));
                let reason = format!("{point} has been watched for {for_how_long} only");
                let remedy = format!("wait: after {} it can be foreseen", minutes(WATCH));
                Some(Finding::new(State::Unknown, reason, remedy))
            }
            Verdict::Raised => {
                let hours = hours.filter(|hours| hours.is_finite());
                let when = hours.map_or_else(
                    || "was about to be full".to_owned(),
                    |hours| format!("will be full in {hours:.0} h, going on as in the last hours"),
                );
                let remedy = watched.large(&filesystem.point);
                let weight = -hours.unwrap_or(f64::MAX);
                let reason = format!("{point} {when}");
                Some(Finding { weight, ..Finding::new(State::Warn, reason, remedy) })
            }
        }
    }

    /// One that takes no writes though it did, or though `/etc/fstab` wants it to.
    fn writes(
        &mut self,
        watched: &Watched,
        filesystem: &Filesystem,
        plan: Option<bool>,
    ) -> Option<Finding> {
        if !filesystem.is_read_only {
            self.was_writable = true;
            return None;
        }
        if filesystem.kind == "tmpfs" {
            return None;
        }
        let point = filesystem.point.display();
        let reason = if filesystem.is_taken_back {
            format!("the kernel takes no more writes for {point}, as it does after an error")
        } else if plan == Some(false) {
            return None;
        } else if self.was_writable {
            format!("{point} took writes and takes none any more")
        } else if plan == Some(true) {
            format!("{point} takes no writes, and /etc/fstab mounts it for writing")
        } else {
            return None;
        };
        Some(Finding::new(State::Fail, reason, watched.read_only(&filesystem.point)))
    }
}

/// Returns how much is left in multiples of what is little, which it must be both in percent and in
/// bytes: some percent of a large disk are room enough.
fn in_thresholds(left: f64, percent: f64, available: u64, bytes: f64) -> f64 {
    if percent <= 0.0 {
        return f64::INFINITY;
    }
    #[expect(clippy::cast_precision_loss, reason = "compared with gigabytes")]
    let available = available as f64;
    (left / percent).max(available / bytes)
}

fn in_words(report: &Report, all: &[Filesystem]) -> String {
    let left = |it: &Filesystem| fillable(it).as_ref().and_then(Room::left);
    let fullest = all.iter().filter_map(|it| Some((it, left(it)?)));
    let fullest = fullest.min_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut words = vec![match fullest {
        Some((it, left)) => format!("{} has {:.0} % left", it.point.display(), left * 100.0),
        None => "none that could fill".to_owned(),
    }];
    words.extend(elsewhere(all));
    if report.left_out > 0 {
        words.push(format!("{} more are left out", report.left_out));
    }
    words.join("; ")
}

/// Names what this agent knows of and cannot measure.
fn elsewhere(all: &[Filesystem]) -> Option<String> {
    let unseen = all.iter().filter(|it| it.measured == Measured::Elsewhere);
    let points: Vec<_> = unseen.map(|it| it.point.display().to_string()).collect();
    (!points.is_empty()).then(|| format!("cannot be measured from here: {}", points.join(", ")))
}

/// What the kernel says of a path that one may not walk, or that is not there for this process.
const OUT_OF_REACH: [&str; 2] = ["permission denied", "no such file or directory"];
const WAIT: &str = "wait: if it lasts for a minute its device does not work";
/// Bytes, 50 GiB; with more there is time, whatever part of the disk it is.
const LITTLE: f64 = 50.0 * GIB;
/// Bytes, 10 GiB.
const VERY_LITTLE: f64 = 10.0 * GIB;
const GIB: f64 = 1_073_741_824.0;
/// What is written and deleted within a minute is a temporary file.
const FULL: Patience = Patience { raise: minute(1), clear: minute(2) };
/// One look that fails may be the fault of a busy machine.
const SILENCE: Patience = Patience { raise: minute(1), clear: minute(2) };
/// The forecast itself moves once in half an hour.
const SOON: Patience = Patience { raise: minute(5), clear: minute(30) };
/// Above, a file system has time, whatever it does: as the alerts of the node-mixin have it.
const MATTERS: f64 = 0.40;

#[cfg(test)]
mod tests;
