//! The report of a look as a whole; what each check says is told beside it.

use std::net::Ipv4Addr;

use curfew_coordinator::Phase;
use curfew_host::{Host as Metrics, Kind, Roots, Samples, Settings};

use super::source::Found;
use super::*;
use crate::cluster_file::ClusterFile;
use crate::filesystem::{Filesystem, Measured, Room};
use crate::health::tests::snapshot;
use crate::health::{Health, State};
use crate::mountinfo::DeviceNumber;
use crate::test_directory::TestDirectory;

pub(super) const LOOK: Duration = Duration::from_secs(30);

const FILE: &str = include_str!("../../../../docs/examples/home.toml");

/// A host as the cluster file has it, with these lines in `[host.health]`.
pub(super) fn watched(thresholds: &str) -> Watched {
    let table = format!("nfs-exports = [\"/srv/media\"]\n[host.health]\n{thresholds}\n");
    let text = FILE.replace("nfs-exports = [\"/srv/media\"]\n", &table);
    let parsed = ClusterFile::parse(&text);
    let file = parsed.file().unwrap_or_else(|| panic!("{:#?}", parsed.findings));
    Watched::new(file.host("nfs").unwrap())
}

/// The same on Talos.
pub(super) fn on_talos() -> Watched {
    Watched { words: Words::Talos(Ipv4Addr::new(10, 0, 0, 11).into()), ..watched("") }
}

/// A name, labels, and a value.
type Series<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Samples as a collector would have found them.
pub(super) fn samples(series: &[Series<'_>]) -> Samples {
    let mut samples = Samples::default();
    for (name, labels, value) in series {
        samples.named(name, Kind::Gauge, "Help.", labels, *value);
    }
    samples
}

pub(super) fn here(samples: &Samples) -> Source<'_> {
    Source::Here(Found(samples))
}

/// Asserts how a check stands, and a part of its reason.
#[track_caller]
pub(super) fn assert_told(check: &Check, state: State, reason: &str) {
    assert!(check.state == state && check.reason.contains(reason), "{state:?} {reason}: {check:?}");
}

/// A file system with so much left.
pub(super) fn filesystem(point: &str, percent_left: f64) -> Filesystem {
    // To the thousandth.
    let available: u64 = format!("{:.0}", percent_left * 1e6).parse().unwrap();
    let room = Room { size: 100_000_000, free: available, available, files: 1000, files_free: 900 };
    Filesystem {
        point: point.into(),
        device: "/dev/sda1".to_owned(),
        kind: "ext4".to_owned(),
        number: DeviceNumber { major: 8, minor: 1 },
        is_read_only: false,
        is_taken_back: false,
        measured: Measured::Room(room),
    }
}

pub(super) fn report(filesystems: Vec<Filesystem>) -> filesystem::Report {
    filesystem::Report { looked: Instant::now(), filesystems: Ok(filesystems), left_out: 0 }
}

fn sight(collected: Result<Collected, String>, faults: Result<Faults, String>) -> Sight {
    let filesystems = Some(Arc::new(report(vec![filesystem("/", 50.0)])));
    Sight { collected, faults, filesystems }
}

fn states(report: &Report) -> Vec<(&str, State)> {
    report.checks.iter().map(|check| (check.name.as_str(), check.state)).collect()
}

/// What the collectors find on a made-up machine.
fn collected(tree: &TestDirectory) -> Collected {
    let folder = |name: &str| tree.path().join(name);
    let (proc, sys, root) = (folder("proc"), folder("sys"), folder("root"));
    let roots = Roots { proc, sys, udev: root.join("run/udev/data"), root };
    Metrics::new(roots, Settings::default(), &Selection::default().only(&COLLECTORS)).collect()
}

#[tokio::test]
async fn a_machine_is_judged_by_what_its_files_say() {
    let tree = TestDirectory::new();
    for (file, text) in [
        ("proc/mdstat", "md0 : active raid1 sdb1[1] sda1[0](F)\n      10 blocks [2/1] [_U]\n\n"),
        ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n"),
        ("proc/vmstat", "oom_kill 4\n"),
        ("proc/pressure/memory", "some avg10=0 avg60=0 avg300=0 total=5\nfull total=5\n"),
        ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "101000\n"),
        ("sys/class/hwmon/hwmon0/temp1_crit", "100000\n"),
        ("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n"),
    ] {
        tree.write(file, text);
    }
    let mut watch = Watch::new(watched(""));
    let seen = sight(Ok(collected(&tree)), Ok(Faults::default()));
    let report = watch.judge(seen, Instant::now());
    let find = |name: &str| report.checks.iter().find(|check| check.name == name).unwrap();
    assert_told(find(MD), State::Fail, "md0 lacks 1 of 2 disks");
    assert_told(find(MEMORY), State::Pass, "50 % is available");
    assert_told(find(TEMPERATURE), State::Fail, "coretemp Package id 0 has 101 °C");
    assert_told(find(FILESYSTEMS), State::Pass, "/ has 50 % left");
    assert_told(find(DISKS), State::Pass, "");
}

#[tokio::test]
async fn what_hangs_costs_its_own_checks_and_no_other() {
    let mut watch = Watch::new(watched(""));
    let late = "no answer within 2s".to_owned();
    let seen = sight(Err(late.clone()), Ok(Faults::default()));
    let report = watch.judge(seen, Instant::now());
    let unknown = [MD, MEMORY, TEMPERATURE, CLOCK];
    for (name, state) in states(&report) {
        let expected = if unknown.contains(&name) { State::Unknown } else { State::Pass };
        assert_eq!(state, expected, "{name}");
    }
    let report = watch.judge(sight(Ok(Collected::default()), Err(late)), Instant::now());
    let disks = report.checks.iter().find(|check| check.name == DISKS).unwrap();
    assert_eq!(disks.reason, "unknown: no answer within 2s");
}

#[tokio::test]
async fn what_is_left_out_is_not_asked_and_has_no_check() {
    let table = "[host.metrics]\nwithout = [\"hwmon\", \"arp\"]";
    let watched = watched(table);
    let asked = watched.collectors().collectors();
    assert!(asked.iter().all(|collector| collector.name != "hwmon") && asked.len() == 5);
    let mut watch = Watch::new(watched);
    let seen = sight(Ok(Collected::default()), Ok(Faults::default()));
    let report = watch.judge(seen, Instant::now());
    assert!(report.checks.iter().all(|check| check.name != TEMPERATURE), "{report:?}");
}

#[tokio::test]
async fn before_the_first_look_every_check_is_there_and_unknown() {
    for table in ["", "[host.metrics]\nwithout = [\"hwmon\", \"mdadm\"]"] {
        let watched = watched(table);
        let unseen = watched.unseen();
        for check in &unseen.checks {
            assert_told(check, State::Unknown, "unknown: nobody has looked yet");
        }
        let names = |report: &Report| -> Vec<_> {
            report.checks.iter().map(|check| check.name.clone()).collect()
        };
        let seen = sight(Ok(Collected::default()), Ok(Faults::default()));
        assert_eq!(names(&unseen), names(&Watch::new(watched).judge(seen, Instant::now())));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_report_is_unknown_and_never_what_it_was() {
    let mut watch = Watch::new(watched(""));
    let report = watch.judge(sight(Err("late".to_owned()), Ok(Faults::default())), Instant::now());
    let mut snapshot = snapshot();
    assert_eq!(checks(&snapshot), [], "nothing before the first look");
    snapshot.host = Some(Arc::new(report.clone()));
    assert_eq!(checks(&snapshot), report.checks);
    tokio::time::advance(STALE_AFTER).await;
    for check in checks(&snapshot) {
        assert_told(&check, State::Unknown, "unknown: nobody has looked for 120 s");
    }
    // The loop is as old, which is told, and nothing of the host makes it worse.
    snapshot.taken = Instant::now();
    assert_eq!(Health::of(&snapshot).state, State::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_was_ill_stays_so_while_nobody_can_look() {
    let mut watch = Watch::new(watched(""));
    let full = Some(Arc::new(report(vec![filesystem("/", 3.0)])));
    let fine = || sight(Err("late".to_owned()), Ok(Faults::default()));
    let find = |report: &Report, name: &str| {
        report.checks.iter().find(|check| check.name == name).cloned().unwrap()
    };
    let first = watch.judge(Sight { filesystems: full.clone(), ..fine() }, Instant::now());
    assert_eq!(find(&first, FILESYSTEMS).state, State::Fail);
    tokio::time::advance(STALE_AFTER).await;
    let mut snapshot = snapshot();
    snapshot.host = Some(Arc::new(first));
    let of = |checks: Vec<Check>, name| checks.into_iter().find(|it| it.name == name).unwrap();
    let was = "was: / has 3.0 % of its room left; not looked at for 120 s";
    assert_told(&of(checks(&snapshot), FILESYSTEMS), State::Warn, was);
    assert_eq!(of(checks(&snapshot), DISKS).state, State::Unknown, "it was well");
    // The report of the file systems is old, too, and that of the host is new.
    let blind = watch.judge(Sight { filesystems: full, ..fine() }, Instant::now());
    assert_told(&find(&blind, FILESYSTEMS), State::Warn, was);
    assert_eq!(find(&blind, READ_ONLY).state, State::Unknown);
    snapshot.host = Some(Arc::new(blind));
    tokio::time::advance(STALE_AFTER).await;
    let told = of(checks(&snapshot), FILESYSTEMS);
    assert_told(&told, State::Warn, "was: / has 3.0 % of its room left; not looked at for");
    assert_eq!(told.reason.matches("not looked at").count(), 1);
    let well = watch.judge(fine(), Instant::now());
    assert_eq!(find(&well, FILESYSTEMS).state, State::Fail, "not well for long enough");
}

#[tokio::test]
async fn the_hold_may_have_everything_read_only() {
    let mut watch = Watch::new(watched(""));
    let mut root = filesystem("/", 50.0);
    (root.is_read_only, root.is_taken_back) = (true, true);
    let filesystems = Some(Arc::new(report(vec![root])));
    let seen = Sight { filesystems, ..sight(Err(String::new()), Ok(Faults::default())) };
    let mut snapshot = snapshot();
    snapshot.host = Some(Arc::new(watch.judge(seen, Instant::now())));
    let find = |snapshot: &Snapshot| {
        checks(snapshot).into_iter().find(|check| check.name == READ_ONLY).unwrap()
    };
    assert_told(&find(&snapshot), State::Fail, "the kernel takes no more writes for /");
    for phase in Phase::ALL {
        snapshot.status.phase = phase;
        match phase {
            Phase::Up | Phase::Waiting => assert_told(&find(&snapshot), State::Fail, "/"),
            Phase::Stopping | Phase::Halting | Phase::Holding => {
                assert_told(&find(&snapshot), State::Pass, "this host stops");
            }
        }
    }
}
