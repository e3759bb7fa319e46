//! Cgroups of pods as the kernel shows them.

use std::fs;

use super::*;
use crate::test_directory::TestDirectory;

/// A sysfs with the root of a cgroup hierarchy of version 2.
fn sysfs() -> TestDirectory {
    let sys = TestDirectory::new();
    fs::create_dir_all(sys.path().join("fs/cgroup")).unwrap();
    write(&sys, "cgroup.controllers", "cpuset cpu io memory pids\n");
    sys
}

#[expect(clippy::disallowed_methods, reason = "a fixture needs no fsync")]
fn write(sys: &TestDirectory, file: &str, text: &str) {
    let path = sys.path().join("fs/cgroup").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_host_without_a_kubelet_has_no_pods_to_speak_of() {
    assert_eq!(populated(sysfs().path()).unwrap(), None);
}

#[test]
fn pods_run_while_one_process_of_them_lives() {
    let sys = sysfs();
    write(&sys, "kubepods/cgroup.events", "populated 1\nfrozen 0\n");
    assert_eq!(populated(sys.path()).unwrap(), Some(true));
    write(&sys, "kubepods/cgroup.events", "populated 0\nfrozen 0\n");
    assert_eq!(populated(sys.path()).unwrap(), Some(false));
}

#[test]
fn the_cgroup_of_either_driver_counts() {
    let sys = sysfs();
    write(&sys, "kubepods.slice/cgroup.events", "populated 1\nfrozen 0\n");
    assert_eq!(populated(sys.path()).unwrap(), Some(true));
    write(&sys, "kubepods/cgroup.events", "populated 0\nfrozen 0\n");
    assert_eq!(populated(sys.path()).unwrap(), Some(true), "the other's is empty");
    write(&sys, "kubepods/cgroup.events", "frozen 0\npopulated 1\n");
    write(&sys, "kubepods.slice/cgroup.events", "populated 0\n");
    assert_eq!(populated(sys.path()).unwrap(), Some(true), "in any order");
}

#[test]
fn what_cannot_be_read_is_unknown_and_never_empty() {
    let sys = sysfs();
    write(&sys, "kubepods/cgroup.events", "frozen 0\n");
    assert!(matches!(populated(sys.path()), Err(PodsError::Parse { .. })));
    write(&sys, "kubepods/cgroup.events", "populated 2\n");
    assert!(matches!(populated(sys.path()), Err(PodsError::Parse { .. })));
    let folder = sysfs();
    fs::create_dir_all(folder.path().join("fs/cgroup/kubepods/cgroup.events")).unwrap();
    assert!(matches!(populated(folder.path()), Err(PodsError::Read { .. })));
}

#[test]
fn without_the_hierarchy_a_missing_cgroup_proves_nothing() {
    let empty = TestDirectory::new();
    let unknown = populated(empty.path());
    assert!(matches!(unknown, Err(PodsError::Hierarchy { .. })), "{unknown:?}");
}
