//! The checks of an NFS server, of recorded ones and of ones that fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::HostName;
use tokio::time::Instant;

use super::*;
use crate::health::Health;
use crate::health::tests::snapshot;
use crate::nfsd::sight::{Lasting, judge, strangers};
use crate::nfsd::tests::{Tree, hosts};
use crate::nfsd::{Answer, Answers, Late};

/// What a healthy server with a client says of itself.
pub(crate) fn report() -> Report {
    let tree = Tree::of("uml-connected-v42-and-v3");
    tree.write("proc/1/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda rw\n");
    tree.write("proc/fs/nfsd/v4_end_grace", "Y\n");
    let look = tree.look();
    let now = Instant::now();
    let good = |reason: &str| Answer { is_good: true, reason: reason.to_owned() };
    Report {
        looked: now,
        answers: Answers {
            nfs: Some(good("10.77.0.3:2049 answers NFS 4")),
            mountd: Some(Mountd::Asked(good("10.77.0.3:46350 answers MOUNT 3"))),
        },
        exports: look.exports_of(&["/srv/nfs".into()]),
        space: [("/srv/nfs".to_owned(), Space { free: 0.4, inodes_free: Some(0.9) })].into(),
        grace: Grace::Over,
        seen: judge(now, &look, &Lasting::default(), &hosts()),
        strangers: strangers(&look, &hosts()),
        agreement: hosts().keys().map(|host| (host.clone(), Agreement::Agrees)).collect(),
        look: Ok(Arc::new(look)),
    }
}

fn look(name: &str, change: impl FnOnce(&mut Report)) -> (State, String) {
    let mut report = report();
    change(&mut report);
    let snapshot = Snapshot { nfs_server: Some(Arc::new(report)), ..snapshot() };
    let health = Health::of(&snapshot);
    let check = health.checks.iter().find(|check| check.name == name).expect("the check is there");
    (check.state, check.sentence())
}

fn with_look(report: &mut Report, change: impl FnOnce(&mut Look)) {
    let mut look = Look::clone(report.look.as_ref().unwrap());
    change(&mut look);
    report.look = Ok(Arc::new(look));
}

fn unread() -> Unread {
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied).into();
    Unread::Read { path: "/proc/fs/nfsd/clients".into(), source }
}

#[test]
fn a_server_that_serves_passes_and_says_whom_it_sees() {
    let same = |_: &mut Report| {};
    let (state, sentence) = look("nfs-server", same);
    assert_eq!(state, State::Pass);
    let expected =
        "8 threads; 10.77.0.3:2049 answers NFS 4; 10.77.0.3:46350 answers MOUNT 3".to_owned();
    assert_eq!(sentence, expected);
    let all = "all 1 are exported, mounted and have room".to_owned();
    assert_eq!(look("nfs-exports", same), (State::Pass, all));
    assert_eq!(look("nfs-eyes", same), (State::Pass, "alpha is here, beta is here".to_owned()));
    assert_eq!(look("nfs-grace", same), (State::Pass, "it is over".to_owned()));
    assert!(report().is_serving());
}

#[test]
fn a_host_without_exports_has_no_such_check() {
    let health = Health::of(&snapshot());
    assert!(health.checks.iter().all(|check| !check.name.starts_with("nfs-")));
}

#[test]
fn each_part_of_the_service_fails_with_what_to_do() {
    let (state, sentence) = look("nfs-server", |report| {
        with_look(report, |look| look.threads = Ok(0));
        assert!(!report.is_serving());
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("no thread") && sentence.contains("systemctl start"), "{sentence}");
    let silent = |reason: &str| Answer { is_good: false, reason: reason.to_owned() };
    let (state, sentence) = look("nfs-server", |report| {
        report.answers.nfs = Some(silent("it has not answered within 3s"));
        assert!(!report.is_serving());
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("within 3s: `systemctl restart nfs-server`"), "{sentence}");
    let (state, sentence) = look("nfs-server", |report| {
        report.answers.mountd = Some(Mountd::Asked(silent("it refuses MOUNT 3")));
        assert!(!report.is_serving());
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("`systemctl restart nfs-mountd`"), "{sentence}");
    let (state, sentence) = look("nfs-server", |report| {
        report.answers.mountd = Some(Mountd::None);
        assert!(report.is_serving());
    });
    assert_eq!(state, State::Pass, "a server of NFS 4 alone has none");
    assert!(sentence.contains("no MOUNT service"), "{sentence}");
    let (state, sentence) = look("nfs-server", |report| {
        with_look(report, |look| look.threads = Err(unread()));
    });
    assert_eq!(state, State::Warn);
    assert!(sentence.contains("CAP_DAC_READ_SEARCH"), "{sentence}");
}

#[test]
fn the_grace_period_warns_and_is_not_ready() {
    let (state, sentence) = look("nfs-grace", |report| {
        report.grace = Grace::Running { left: Duration::from_secs(42) };
        assert!(!report.is_serving());
    });
    assert_eq!(state, State::Warn);
    assert!(sentence.contains("for 42 s at most"), "{sentence}");
}

#[test]
fn exports_fail_for_the_gravest_reason_and_say_all() {
    let broken = |change: fn(&mut Report)| look("nfs-exports", change);
    let (state, sentence) = broken(|report| {
        for export in &mut report.exports {
            export.is_exported = Some(false);
            export.disk = Disk::Missing { point: "/srv".into() };
        }
        assert!(!report.is_serving());
    });
    assert_eq!(state, State::Fail);
    let start =
        "/srv/nfs is not exported; /srv/nfs is served from below /srv, which is not mounted";
    assert!(sentence.starts_with(start), "{sentence}");
    let (state, sentence) = broken(|report| {
        for export in &mut report.exports {
            let point = "/srv".into();
            export.disk = Disk::Mounted { point, is_writable: false, is_local: true };
        }
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("exported for writing, and /srv takes no writes"), "{sentence}");
    let room = |free, inodes_free| {
        look("nfs-exports", |report| {
            report.space = [("/srv/nfs".to_owned(), Space { free, inodes_free })].into();
        })
    };
    assert_eq!(room(0.101, Some(0.5)).0, State::Pass);
    assert_eq!(room(0.099, None).0, State::Warn);
    assert_eq!(room(0.5, Some(0.029)).0, State::Fail);
    assert!(room(0.5, Some(0.029)).1.starts_with("/srv/nfs has 2.9 % of its inodes left: "));
}

#[test]
fn eyes_that_miss_a_mount_or_cannot_see_fail_and_are_an_obstacle() {
    let unseen = |is_failing| {
        move |report: &mut Report| {
            let since = Duration::from_secs(31);
            let agreement = Agreement::Unseen { since, is_failing };
            report.agreement.insert(HostName::from("beta"), agreement);
        }
    };
    assert_eq!(look("nfs-eyes", unseen(false)).0, State::Pass, "it may be on its way");
    let (state, sentence) = look("nfs-eyes", unseen(true));
    assert_eq!(state, State::Fail);
    let start = "beta has a mount of this server that is not seen here, for 31 s: see under which";
    assert!(sentence.starts_with(start), "{sentence}");
    let (state, sentence) = look("nfs-eyes", |report| {
        with_look(report, |look| look.clients = Err(unread()));
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("count as there") && sentence.contains("CAP_DAC"), "{sentence}");
    let mut blind = report();
    blind.look = Err(Late::Waits);
    let snapshot = Snapshot { nfs_server: Some(Arc::new(blind)), ..snapshot() };
    let health = Health::of(&snapshot);
    assert_eq!(health.obstacles.len(), 1, "{health:#?}");
}

#[tokio::test(start_paused = true)]
async fn eyes_that_no_longer_look_fail_and_leave_no_series() {
    let snapshot = Snapshot { nfs_server: Some(Arc::new(report())), ..snapshot() };
    let page = || crate::metrics::render(&snapshot, &crate::metrics::Counters::new());
    assert!(page().contains("curfew_nfs_client_sight{host=\"alpha\",sight=\"present\"} 1"));
    tokio::time::advance(Duration::from_secs(15)).await;
    let failing = checks(&snapshot);
    assert_eq!(failing.iter().map(|check| check.state).collect::<Vec<_>>(), [State::Fail]);
    assert!(!page().contains("curfew_nfs_") && !page().contains("node_nfsd_"));
}

#[test]
fn who_left_a_client_behind_or_is_a_stranger_is_told() {
    let (state, sentence) = look("nfs-eyes", |report| {
        report.seen.get_mut(&HostName::from("alpha")).unwrap().sight = Some(ClientSight::Stale);
        report.agreement = BTreeMap::from([(HostName::from("beta"), Agreement::Unreported)]);
        report.strangers = Some(2);
    });
    assert_eq!(state, State::Pass);
    let expected = "alpha has left a client behind, beta is here and reports no mount, 2 clients \
                    are of no host of the cluster";
    assert_eq!(sentence, expected);
}
