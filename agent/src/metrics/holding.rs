//! What this host holds that others wait for: its NFS mounts and its pods.

use super::page::{Page, one_if};
use super::{Family, Kind};
use crate::snapshot::Holding;

/// All of them.
pub(super) const FAMILIES: [&Family; 3] = [&NFS_MOUNT, &NFS_MOUNTS, &PODS_RUNNING];

/// Records what was last seen.
pub(super) fn record(page: &mut Page, holding: &Holding) {
    if let Ok(mounts) = &holding.mounts {
        page.set(&NFS_MOUNTS, [], float(mounts.len()));
        for mount in mounts.iter().take(MOUNTS_MAX) {
            let point = mount.mount_point.display().to_string();
            let client = mount.client_address.map(|own| own.to_string()).unwrap_or_default();
            page.set(&NFS_MOUNT, [mount.server.as_str(), client.as_str(), point.as_str()], 1.0);
        }
    }
    if let Ok(Some(are_running)) = holding.pods {
        page.set(&PODS_RUNNING, [], one_if(are_running));
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, more than there is of anything")]
fn float(count: usize) -> f64 {
    count as f64
}

/// A node has some 110 pods at most, few of which mount something; their mount points change with
/// them, and what counts is that there are some.
const MOUNTS_MAX: usize = 64;

pub(crate) const NFS_MOUNT: Family = Family {
    name: "curfew_nfs_mount",
    kind: Kind::Gauge,
    labels: &["server", "client_address", "mount_point"],
    help: "Always 1; an NFS mount of this host, the server as it was named when mounting, and the \
           address by which it knows this client (NFS 4 only). Of more than 64 the first by name.",
};
pub(crate) const NFS_MOUNTS: Family = Family {
    name: "curfew_nfs_mounts",
    kind: Kind::Gauge,
    labels: &[],
    help: "All NFS mounts of this host; absent if they cannot be read.",
};
pub(crate) const PODS_RUNNING: Family = Family {
    name: "curfew_pods_running",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while a process of any pod is alive on this host, else 0; absent without a kubelet, \
           and if it is not known.",
};
