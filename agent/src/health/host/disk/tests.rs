//! Disks that are gone, that err, and arrays that lack one.

use super::super::tests::{LOOK, assert_told, here, on_talos, samples, watched};
use super::*;
use crate::health::State::{Fail, Pass, Unknown, Warn};

/// Judges what was counted at each look; the last check is returned.
struct Looks {
    watched: Watched,
    disks: Disks,
    at: Instant,
}

impl Looks {
    fn new(watched: Watched) -> Self {
        Self { watched, disks: Disks::default(), at: Instant::now() }
    }

    fn look(&mut self, faults: &Faults) -> Check {
        self.at += LOOK;
        let mounted = [("sda1".to_owned(), "/".into()), ("sdd1".to_owned(), "/a b".into())];
        self.disks.judge(&self.watched, Ok(faults), &mounted.into(), self.at)
    }
}

fn disk(state: &str, errors: u64, timeouts: u64) -> Faults {
    let disk =
        Disk { state: Some(state.to_owned()), errors: Some(errors), timeouts: Some(timeouts) };
    Faults { disks: [("sda".to_owned(), disk)].into(), ..Faults::default() }
}

fn counted(name: &str, count: u64) -> Faults {
    Faults { filesystems: [(name.to_owned(), count)].into(), ..Faults::default() }
}

#[tokio::test]
async fn a_disk_that_is_gone_fails_after_a_minute_and_one_that_is_pulled_leaves_nothing() {
    let mut looks = Looks::new(watched(""));
    assert_told(&looks.look(&disk("running", 3, 0)), Pass, "no errors on 1 disks");
    for _look in 0..2 {
        assert_eq!(looks.look(&disk("offline", 3, 0)).state, Pass);
    }
    assert_told(&looks.look(&disk("offline", 3, 0)), Fail, "sda is offline");
    assert_eq!(looks.look(&Faults::default()).state, Pass);
    assert!(looks.disks.states.is_empty() && looks.disks.errors.is_empty());
    // A reset comes and goes.
    for _look in 0..10 {
        assert_eq!(looks.look(&disk("blocked", 3, 0)).state, Pass);
        assert_eq!(looks.look(&disk("running", 3, 0)).state, Pass);
    }
}

#[tokio::test]
async fn a_controller_that_is_dead_fails_and_one_that_resets_for_long_warns() {
    for (state, gravity) in [("dead", Fail), ("resetting", Warn), ("live", Pass)] {
        let mut looks = Looks::new(on_talos());
        let controllers = [("nvme0".to_owned(), state.to_owned())].into();
        let faults = Faults { controllers, ..Faults::default() };
        looks.look(&faults);
        looks.look(&faults);
        let told = looks.look(&faults);
        assert_told(&told, gravity, if gravity == Pass { "" } else { state });
        let remedy = told.remedy.unwrap_or_default();
        assert_eq!(remedy.contains("talosctl -n 10.0.0.11 dmesg"), gravity != Pass, "{remedy}");
    }
}

#[tokio::test]
async fn timeouts_count_at_once_and_failed_commands_in_numbers() {
    let mut looks = Looks::new(watched(""));
    assert_eq!(looks.look(&disk("running", 500, 7)).state, Pass, "what was before is no news");
    assert_eq!(looks.look(&disk("running", 599, 7)).state, Pass, "as whoever asks by SMART");
    let told = looks.look(&disk("running", 600, 7));
    assert_told(&told, Warn, "sda has had 100 commands that failed in the last hour");
    let told = looks.look(&disk("running", 600, 8));
    assert_told(&told, Warn, "sda has had 1 commands without an answer in the last hour");
    looks.at += LOOK_BACK;
    assert_eq!(looks.look(&disk("running", 600, 8)).state, Pass);
}

#[tokio::test]
async fn errors_of_a_file_system_warn_and_new_ones_fail() {
    let mut looks = Looks::new(watched(""));
    assert_told(&looks.look(&counted("ext4 on sda1", 0)), Pass, "1 file systems");
    let mut looks = Looks::new(watched(""));
    let told = looks.look(&counted("ext4 on sda1", 3));
    assert_told(&told, Warn, "ext4 on sda1 has recorded 3 errors");
    assert!(told.remedy.unwrap().contains("boot once with `fsck.mode=force`"));
    let told = Looks::new(watched("")).look(&counted("ext4 on sde1", 3));
    assert!(told.remedy.unwrap().contains("unmount it, `e2fsck -f /dev/sde1`"));
    let told = Looks::new(watched("")).look(&counted("btrfs on sdd1", 3));
    assert!(told.remedy.unwrap().contains("`btrfs device stats --reset '/a b'`"));
    let told = looks.look(&counted("ext4 on sda1", 5));
    assert_told(&told, Fail, "ext4 on sda1 has had 2 errors in the last hour");
    looks.at += LOOK_BACK;
    assert_eq!(looks.look(&counted("ext4 on sda1", 5)).state, Warn);
    assert_eq!(looks.look(&counted("ext4 on sda1", 0)).state, Pass, "checked, and counted anew");
    let told = Looks::new(watched("")).look(&counted("btrfs on sdc", 1));
    assert!(told.remedy.unwrap().contains("btrfs scrub"));
}

#[tokio::test]
async fn what_cannot_be_listed_is_unknown() {
    let mut looks = Looks::new(watched(""));
    let told = looks.disks.judge(
        &looks.watched,
        Err("cannot list /sys/block"),
        &BTreeMap::new(),
        looks.at,
    );
    assert_told(&told, Unknown, "unknown: cannot list /sys/block");
}

/// An array of two disks in this state.
fn array(state: &str, active: f64, failed: f64) -> Check {
    named("md0", state, active, failed)
}

fn named(name: &str, state: &str, active: f64, failed: f64) -> Check {
    let md = ("device", name);
    let samples = samples(&[
        ("node_md_disks_required", &[md], 2.0),
        ("node_md_disks", &[md, ("state", "active")], active),
        ("node_md_disks", &[md, ("state", "failed")], failed),
        ("node_md_state", &[md, ("state", state)], 1.0),
        ("node_md_blocks", &[md], 1000.0),
        ("node_md_blocks_synced", &[md], 85.0),
    ]);
    arrays(&watched(""), here(&samples), Some(&BTreeSet::from(["md127".to_owned()])))
}

#[test]
fn an_array_is_told_by_what_the_kernel_says_of_it() {
    for (state, active, failed, expected, reason) in [
        ("active", 2.0, 0.0, Pass, "md0 is whole"),
        ("check", 2.0, 0.0, Pass, "md0 is whole, and is compared, 8 % done"),
        ("active", 1.0, 1.0, Fail, "md0 lacks 1 of 2 disks"),
        ("active", 2.0, 1.0, Warn, "md0 is whole, and 1 failed disks are still in it"),
        ("recovering", 1.0, 0.0, Warn, "md0 is being rebuilt, 8 % done"),
        ("inactive", 0.0, 0.0, Fail, "md0 is not running"),
    ] {
        assert_told(&array(state, active, failed), expected, reason);
    }
    let container = named("md127", "inactive", 0.0, 0.0);
    assert_told(&container, Pass, "this host has no arrays of disks");
    let none = arrays(&watched(""), Source::Absent, None);
    assert_told(&none, Pass, "this host has no arrays of disks");
    let unread =
        arrays(&watched(""), Source::Unknown("/proc/mdstat makes no sense at line 3"), None);
    assert_told(&unread, Unknown, "unknown: /proc/mdstat makes no sense at line 3");
}
