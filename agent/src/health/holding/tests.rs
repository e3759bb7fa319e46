//! What a person is told of mounts, pods and disks.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::filesystem::{Filesystem, Measured, Report, Room};
use crate::health::State;
use crate::health::tests::snapshot;
use crate::mountinfo::DeviceNumber;

/// A mount of a CSI volume by `NFSv4`.
pub(crate) fn mount(server: &str, volume: &str) -> NfsMount {
    let folder = "/var/lib/kubelet/pods/6f6e/volumes/kubernetes.io~csi";
    NfsMount {
        server: server.to_owned(),
        server_address: server.parse().ok(),
        mount_point: format!("{folder}/{volume}/mount").into(),
        client_address: Some([10, 0, 0, 11].into()),
    }
}

/// EPHEMERAL with this part of it left, and a volume that cannot be seen.
pub(crate) fn report(percent_left: u64) -> Report {
    let room = Room {
        size: 1000 << 20,
        free: (percent_left * 10) << 20,
        available: (percent_left * 10) << 20,
        files: 1000,
        files_free: 900,
    };
    let filesystem = |point: &str, minor, measured| Filesystem {
        point: point.into(),
        device: format!("/dev/sda{minor}"),
        kind: "xfs".to_owned(),
        number: DeviceNumber { major: 8, minor },
        is_read_only: false,
        is_taken_back: false,
        measured,
    };
    let all = vec![
        filesystem("/var", 6, Measured::Room(room)),
        filesystem("/var/lib/etcd", 7, Measured::Elsewhere),
    ];
    Report { looked: Instant::now(), filesystems: Ok(all), left_out: 0 }
}

fn check(snapshot: &Snapshot, name: &str) -> Check {
    checks(snapshot).into_iter().find(|check| check.name == name).unwrap()
}

fn holding(
    mounts: Result<BTreeSet<NfsMount>, String>,
    pods: Result<Option<bool>, String>,
) -> Snapshot {
    let holding = Some(Arc::new(Holding { mounts, pods }));
    Snapshot { holding, ..snapshot() }
}

#[test]
fn before_the_first_look_nothing_is_said() {
    assert_eq!(checks(&snapshot()), []);
}

#[test]
fn mounts_are_counted_by_server() {
    let all = [mount("10.0.0.13", "pvc-1"), mount("10.0.0.13", "pvc-2"), mount("nas", "pvc-3")];
    let snapshot = holding(Ok(BTreeSet::from(all)), Ok(Some(true)));
    assert_eq!(check(&snapshot, NFS_MOUNTS).sentence(), "2 of 10.0.0.13, 1 of nas");
    assert_eq!(check(&snapshot, PODS).sentence(), "pods run here");
}

#[test]
fn what_is_unknown_is_worth_a_warning_with_its_consequence() {
    let snapshot = holding(Err("cannot read it".to_owned()), Err("no cgroup".to_owned()));
    for name in [NFS_MOUNTS, PODS] {
        let check = check(&snapshot, name);
        assert_eq!(check.state, State::Warn);
        assert!(check.reason.contains("unknown, so that"), "{check:?}");
    }
    let without_kubelet = holding(Ok(BTreeSet::new()), Ok(None));
    assert_eq!(checks(&without_kubelet).len(), 1);
}
