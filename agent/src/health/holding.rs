//! Checks of what this host holds that others wait for.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::mounts::NfsMount;
use crate::snapshot::{Holding, Snapshot};

/// The check that says what the NFS servers of this host wait for.
pub(crate) const NFS_MOUNTS: &str = "nfs-mounts";
/// The check that says whether pods run.
pub(crate) const PODS: &str = "pods";

/// Returns those for which something was looked at.
pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let holding = snapshot.holding.as_deref();
    let mounts = holding.map(nfs_mounts);
    [mounts, holding.and_then(pods)].into_iter().flatten().collect()
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

#[cfg(test)]
pub(crate) mod tests;
