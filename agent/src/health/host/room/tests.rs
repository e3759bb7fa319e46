//! File systems that fill, that come and go, and that take no more writes.

use std::path::Path;

use super::super::tests::{LOOK, assert_told, filesystem, on_talos, report, watched};
use super::*;
use crate::health::State::{Fail, Pass, Unknown, Warn};

/// Looks at what is there, some looks on.
struct Looks {
    watched: Watched,
    filesystems: Filesystems,
    planned: BTreeMap<PathBuf, bool>,
    at: Instant,
}

impl Looks {
    fn new(watched: Watched) -> Self {
        let (filesystems, planned) = (Filesystems::default(), BTreeMap::new());
        Self { watched, filesystems, planned, at: Instant::now() }
    }

    fn look(&mut self, all: Vec<Filesystem>) -> [Check; 3] {
        self.after(LOOK, all)
    }

    fn after(&mut self, passed: std::time::Duration, all: Vec<Filesystem>) -> [Check; 3] {
        self.at += passed;
        self.filesystems.judge(&self.watched, Some(&report(all)), &self.planned, self.at)
    }

    fn space(&mut self, percent_left: f64) -> Check {
        let [full, ..] = self.look(vec![filesystem("/var", percent_left)]);
        full
    }
}

fn read_only(point: &str) -> Filesystem {
    Filesystem { is_read_only: true, ..filesystem(point, 50.0) }
}

#[tokio::test]
async fn little_room_warns_and_half_of_that_fails() {
    for (left, state, reason) in [
        (40.0, Pass, "/var has 40 % left"),
        (10.0, Pass, "/var has 10 % left"),
        (9.9, Warn, "/var has 9.9 % of its room left"),
        (4.9, Fail, "/var has 4.9 % of its room left"),
    ] {
        assert_told(&Looks::new(watched("")).space(left), state, reason);
    }
    let mut looks = Looks::new(watched("space-below = 0\ninodes-below = 30"));
    assert_told(&looks.space(0.5), Pass, "");
    let mut few = filesystem("/var", 90.0);
    let Measured::Room(room) = &mut few.measured else { panic!("it is measured") };
    room.files_free = 140;
    let [full, ..] = looks.look(vec![few]);
    assert_told(&full, Pass, "");
    for _look in 0..2 {
        let mut few = filesystem("/var", 90.0);
        let Measured::Room(room) = &mut few.measured else { panic!("it is measured") };
        room.files_free = 140;
        looks.look(vec![few]);
    }
}

#[tokio::test]
async fn on_a_large_disk_some_percent_are_room_enough() {
    const TIB: u64 = 1 << 40;
    const GIB: u64 = 1 << 30;
    for (size, available, state) in [
        (4 * TIB, 320 * GIB, Pass),
        (4 * TIB, 180 * GIB, Pass),
        (4 * TIB, 51 * GIB, Pass),
        (4 * TIB, 49 * GIB, Warn),
        (4 * TIB, 9 * GIB, Fail),
        (200 * GIB, 49 * GIB, Pass),
        (100 * GIB, 9 * GIB, Warn),
        (100 * GIB, 4 * GIB, Fail),
    ] {
        let mut disk = filesystem("/srv", 50.0);
        let Measured::Room(room) = &mut disk.measured else { panic!("it is measured") };
        *room = Room { size, free: available, available, ..*room };
        let [full, ..] = Looks::new(watched("")).look(vec![disk]);
        assert_eq!(full.state, state, "{available} of {size}: {full:?}");
    }
}

#[tokio::test]
async fn around_the_threshold_it_is_told_once() {
    let mut looks = Looks::new(watched(""));
    assert_eq!(looks.space(10.1).state, Pass);
    for _look in 0..20 {
        assert_eq!(looks.space(9.9).state, Pass, "never for a minute");
        assert_eq!(looks.space(10.1).state, Pass);
    }
    for _look in 0..3 {
        looks.space(9.9);
    }
    for _look in 0..20 {
        assert_eq!(looks.space(9.9).state, Warn);
        assert_eq!(looks.space(10.5).state, Warn, "within the gap");
    }
    for _look in 0..4 {
        assert_eq!(looks.space(12.0).state, Warn);
    }
    assert_eq!(looks.space(12.0).state, Pass);
}

#[tokio::test]
async fn the_worst_is_named_first_and_what_is_to_be_ignored_never() {
    let mut looks = Looks::new(watched("filesystems-ignored = [\"/backup\"]"));
    let all = || {
        [("/", 9.0), ("/backup", 0.1), ("/home", 3.0), ("/srv", 4.0)]
            .map(|(point, left)| filesystem(point, left))
            .to_vec()
    };
    let [full, ..] = looks.look(all());
    assert_told(&full, Fail, "/home has 3.0 % of its room left, and 2 more");
    let mut gone = all();
    gone.retain(|it| it.point != Path::new("/home"));
    let [full, ..] = looks.look(gone);
    assert_told(&full, Fail, "/srv has 4.0 % of its room left, and 1 more");
    assert_eq!(looks.filesystems.known.len(), 3, "nothing is kept of what is gone");
}

#[tokio::test]
async fn one_that_does_not_answer_fails_after_a_minute() {
    let mut looks = Looks::new(watched(""));
    let silent = || Filesystem {
        measured: Measured::Failed("does not answer".to_owned()),
        ..filesystem("/mnt", 50.0)
    };
    let [full, ..] = looks.look(vec![silent()]);
    assert_told(&full, Unknown, "unknown: /mnt: does not answer");
    looks.look(vec![silent()]);
    let [full, ..] = looks.look(vec![silent(), filesystem("/", 50.0)]);
    assert_told(&full, Fail, "/mnt: does not answer");
    assert_eq!(full.remedy.as_deref(), Some("see `dmesg` for errors of its device"));
    let hidden = Filesystem {
        measured: Measured::Failed("permission denied".to_owned()),
        ..filesystem("/root/x", 50.0)
    };
    let [full, ..] = Looks::new(watched("")).look(vec![hidden]);
    assert_told(&full, Unknown, "unknown: /root/x: permission denied");
}

#[tokio::test]
async fn one_that_is_full_and_then_hangs_does_not_pass() {
    let mut looks = Looks::new(watched(""));
    assert_eq!(looks.space(3.0).state, Fail);
    let silent = Filesystem {
        measured: Measured::Failed("does not answer".to_owned()),
        ..filesystem("/var", 50.0)
    };
    for _look in 0..2 {
        let [full, ..] = looks.look(vec![silent.clone()]);
        assert_told(&full, Fail, "/var has 3.0 % of its room left");
    }
    let [full, ..] = looks.look(vec![silent]);
    assert_told(&full, Fail, "/var: does not answer");
    let elsewhere = Filesystem { measured: Measured::Elsewhere, ..filesystem("/var", 50.0) };
    let [_, soon, _] = Looks::new(watched("")).look(vec![elsewhere]);
    assert_told(&soon, Pass, "cannot be measured from here: /var");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_unknown() {
    let mut looks = Looks::new(watched(""));
    let unread = Report { filesystems: Err("cannot read it".to_owned()), ..report(Vec::new()) };
    let old = report(vec![filesystem("/", 1.0)]);
    tokio::time::advance(std::time::Duration::from_mins(2)).await;
    let cases = [
        (None, "unknown: nobody has looked yet"),
        (Some(&unread), "unknown: cannot read it"),
        (Some(&old), "unknown: not measured for 120 s"),
    ];
    for (report, reason) in cases {
        let unread = report.is_some_and(|report| report.filesystems.is_err());
        let fresh = report.map(|it| Report { looked: Instant::now(), ..it.clone() });
        let report = if unread { fresh.as_ref() } else { report };
        let checks =
            looks.filesystems.judge(&looks.watched, report, &looks.planned, Instant::now());
        for check in checks {
            assert_told(&check, Unknown, reason);
        }
    }
}

#[tokio::test]
async fn one_that_fills_is_told_a_day_before_where_it_matters() {
    let half_hour = std::time::Duration::from_mins(30);
    let mut looks = Looks::new(watched(""));
    // One percent of all in half an hour.
    for left in (31..=60).rev() {
        let [_, soon, _] = looks.after(half_hour, vec![filesystem("/var", f64::from(left))]);
        // At 39 it has just begun.
        let expected = if left >= 39 { Pass } else { Warn };
        assert_eq!(soon.state, expected, "{left}: {soon:?}");
    }
    let [_, soon, _] = looks.after(half_hour, vec![filesystem("/var", 30.0)]);
    assert_told(&soon, Warn, "/var will be full in 15 h, going on as in the last hours");
    assert!(soon.remedy.unwrap().contains("`du -xhd2 /var | sort -h | tail`"));
    for _look in 0..4 {
        looks.after(half_hour, vec![filesystem("/var", 30.0)]);
    }
    let [_, soon, _] = looks.after(half_hour, vec![filesystem("/var", 30.0)]);
    assert_eq!(soon.state, Pass, "it has ceased");
}

#[tokio::test]
async fn what_is_not_watched_for_long_is_unknown_unless_it_has_time() {
    let mut looks = Looks::new(watched(""));
    let all = || vec![filesystem("/", 80.0), filesystem("/var", 20.0)];
    let [_, soon, _] = looks.look(all());
    assert_told(&soon, Unknown, "unknown: /var has been watched for 0 min only");
    let [_, soon, _] = looks.look(vec![filesystem("/", 80.0)]);
    assert_told(&soon, Pass, "none within 24 h");
    let mut off = Looks::new(watched("full-within = \"off\""));
    let [_, soon, _] = off.look(all());
    assert_told(&soon, Pass, "full-within is off");
}

#[tokio::test]
async fn one_that_took_writes_and_takes_none_fails() {
    let mut looks = Looks::new(watched(""));
    let [.., writes] = looks.look(vec![filesystem("/", 50.0), read_only("/media")]);
    assert_told(&writes, Pass, "all that should take writes do");
    let [.., writes] = looks.look(vec![read_only("/"), read_only("/media")]);
    assert_told(&writes, Fail, "/ took writes and takes none any more");
    assert!(writes.remedy.is_some_and(|remedy| remedy.contains("`mount -o remount,rw /`")));
    looks.planned.insert("/".into(), false);
    let [.., writes] = looks.look(vec![read_only("/"), read_only("/media")]);
    assert_eq!(writes.state, Pass, "now it is meant so");
}

#[tokio::test]
async fn another_one_at_the_same_point_has_never_taken_writes() {
    let mut looks = Looks::new(watched(""));
    looks.look(vec![filesystem("/mnt", 50.0)]);
    let number = DeviceNumber { major: 8, minor: 33 };
    let [.., writes] = looks.look(vec![Filesystem { number, ..read_only("/mnt") }]);
    assert_eq!(writes.state, Pass, "{writes:?}");
    assert_eq!(looks.filesystems.known.len(), 1);
}

#[tokio::test]
async fn one_that_never_took_writes_fails_by_fstab_or_by_the_kernel() {
    let mut looks = Looks::new(watched(""));
    looks.planned = [("/srv".into(), true), ("/cd".into(), false)].into();
    let [.., writes] = looks.look(vec![read_only("/cd")]);
    assert_eq!(writes.state, Pass);
    let [.., writes] = looks.look(vec![read_only("/cd"), read_only("/srv")]);
    assert_told(&writes, Fail, "/srv takes no writes, and /etc/fstab mounts it for writing");
    let mut talos = Looks::new(on_talos());
    let taken = || vec![Filesystem { is_taken_back: true, ..read_only("/var") }];
    let [.., writes] = talos.look(taken());
    assert_told(&writes, Fail, "the kernel takes no more writes for /var");
    let remedy = writes.remedy.unwrap();
    assert!(
        remedy.contains("talosctl -n 10.0.0.11 reboot") && !remedy.contains("mount"),
        "{remedy}"
    );
}
