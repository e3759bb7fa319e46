//! Checks of what this host holds and how full it is.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::filesystem::{Filesystem, Measured, Report};
use crate::mounts::NfsMount;
use crate::snapshot::{Holding, Snapshot};

/// The check that says what the NFS servers of this host wait for.
pub(crate) const NFS_MOUNTS: &str = "nfs-mounts";
/// The check that says whether pods run.
pub(crate) const PODS: &str = "pods";
const FILESYSTEMS: &str = "filesystems";

/// Returns those for which something was looked at.
pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let holding = snapshot.holding.as_deref();
    let filesystems = snapshot.filesystems.as_deref().map(filesystems);
    let mounts = holding.map(nfs_mounts);
    [mounts, holding.and_then(pods), filesystems].into_iter().flatten().collect()
}

fn nfs_mounts(holding: &Holding) -> Check {
    match &holding.mounts {
        Ok(mounts) if mounts.is_empty() => Check::pass(NFS_MOUNTS, "this host has none"),
        Ok(mounts) => Check::pass(NFS_MOUNTS, by_server(mounts)),
        Err(why) => Check::warn(
            NFS_MOUNTS,
            format!("unknown, so that NFS servers wait until this host is off: {why}"),
            "let the agent read that file: see [host.paths] in the cluster file",
        ),
    }
}

/// `2 of nfs, 1 of 10.0.0.9`.
fn by_server(mounts: &BTreeSet<NfsMount>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for mount in mounts {
        *counts.entry(&mount.server).or_default() += 1;
    }
    let words: Vec<_> =
        counts.iter().map(|(server, count)| format!("{count} of {server}")).collect();
    words.join(", ")
}

fn pods(holding: &Holding) -> Option<Check> {
    match &holding.pods {
        Ok(None) => None,
        Ok(Some(true)) => Some(Check::pass(PODS, "pods run here")),
        Ok(Some(false)) => Some(Check::pass(PODS, "no pod runs here")),
        Err(why) => Some(Check::warn(
            PODS,
            format!("unknown, so that this host never says that they have stopped: {why}"),
            "mount the host's /sys where [host.paths] has it, as the service of the extension does",
        )),
    }
}

fn filesystems(report: &Report) -> Check {
    let all = match &report.filesystems {
        Ok(_) if report.is_stale() => {
            let remedy = "see the log: something on this host hangs";
            return Check::warn(FILESYSTEMS, "not measured for a minute", remedy);
        }
        Ok(all) => all,
        Err(why) => {
            let remedy = "let the agent read that file: see [host.paths] in the cluster file";
            return Check::warn(FILESYSTEMS, format!("unknown: {why}"), remedy);
        }
    };
    let failed = all.iter().filter_map(failure).collect::<Vec<_>>();
    if !failed.is_empty() {
        return Check::warn(FILESYSTEMS, failed.join("; "), "see `dmesg` for errors of the disk");
    }
    let full = fullest(all);
    if let Some((filesystem, left)) = full.filter(|(_, left)| *left < LEFT_WARN) {
        let reason = format!("{} has {:.1} % left", filesystem.point.display(), left * 100.0);
        let remedy = "delete what is not needed, or enlarge the file system";
        return Check::warn(FILESYSTEMS, reason, remedy);
    }
    Check::pass(FILESYSTEMS, in_words(report, all, full))
}

fn failure(filesystem: &Filesystem) -> Option<String> {
    match &filesystem.measured {
        Measured::Failed(why) => Some(format!("{}: {why}", filesystem.point.display())),
        Measured::Room(_) | Measured::Elsewhere => None,
    }
}

/// Returns the fullest that somebody can fill, and the part that is left.
fn fullest(all: &[Filesystem]) -> Option<(&Filesystem, f64)> {
    let left = |filesystem: &Filesystem| match &filesystem.measured {
        Measured::Room(room) if !filesystem.is_read_only && filesystem.kind != "tmpfs" => {
            room.left()
        }
        Measured::Room(_) | Measured::Failed(_) | Measured::Elsewhere => None,
    };
    let all = all.iter().filter_map(|it| Some((it, left(it)?)));
    all.min_by(|(_, one), (_, other)| one.total_cmp(other))
}

fn in_words(report: &Report, all: &[Filesystem], fullest: Option<(&Filesystem, f64)>) -> String {
    let mut words = vec![match fullest {
        Some((it, left)) => format!("{} has {:.0} % left", it.point.display(), left * 100.0),
        None => "none that could fill".to_owned(),
    }];
    let is_elsewhere = |it: &&Filesystem| it.measured == Measured::Elsewhere;
    let unseen: Vec<_> = all.iter().filter(is_elsewhere).collect();
    if !unseen.is_empty() {
        let points: Vec<_> = unseen.iter().map(|it| it.point.display().to_string()).collect();
        words.push(format!("cannot be measured from here: {}", points.join(", ")));
    }
    if report.left_out > 0 {
        words.push(format!("{} more are left out", report.left_out));
    }
    words.join("; ")
}

/// Below, kubelets evict, file systems slow down, and a day of backups no longer fits.
const LEFT_WARN: f64 = 0.10;

#[cfg(test)]
pub(crate) mod tests;
