//! Real servers as they were recorded, and what their eyes make of them.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use curfew_coordinator::ClientSight::{self, Nothing, Present, Stale};

use super::compare::Comparison;
use super::grace::GraceWatch;
use super::sight::{Lasting, judge, strangers};
use super::space::Gauge;
use super::*;
use crate::test_directory::TestDirectory;

/// A recorded server that a test may change.
pub(crate) struct Tree {
    folder: TestDirectory,
}

impl Tree {
    pub(crate) fn of(name: &str) -> Self {
        let tree = Self { folder: TestDirectory::in_memory() };
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/nfsd").join(name);
        copy(&recorded, tree.folder.path());
        fs::create_dir_all(tree.at("proc/fs/nfsd/clients")).unwrap();
        tree
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots { proc: self.at("proc"), root: self.at("root") }
    }

    pub(crate) fn look(&self) -> Look {
        look::read(&self.roots())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file of a test need not be durable")]
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.at(path)).unwrap();
    }

    /// Changes what the client of version 4 says of itself.
    fn renew(&self, status: &str, seconds: u64) {
        let path = "proc/fs/nfsd/clients/3/info";
        let info = fs::read_to_string(self.at(path)).unwrap();
        let line = |line: &str| match line.split(':').next() {
            Some("status") => format!("status: {status}\n"),
            Some("seconds from last renew") => format!("seconds from last renew: {seconds}\n"),
            _ => format!("{line}\n"),
        };
        let changed: String = info.lines().map(line).collect();
        self.write(path, &changed);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

const ALL: [&str; 4] =
    ["qemu-connected", "qemu-unmounted", "uml-connected-v42-and-v3", "uml-client-killed-courtesy"];

pub(crate) fn hosts() -> BTreeMap<HostName, std::collections::BTreeSet<IpAddr>> {
    let host = |name: &str, address: &str| (name.into(), [address.parse().unwrap()].into());
    [host("alpha", "10.77.0.1"), host("beta", "10.77.0.2")].into()
}

fn seen_in(look: &Look, lasting: &Lasting, now: Instant) -> [Option<ClientSight>; 2] {
    let seen = judge(now, look, lasting, &hosts());
    ["alpha", "beta"].map(|host| seen[&HostName::from(host)].sight)
}

fn sights(tree: &Tree) -> [Option<ClientSight>; 2] {
    seen_in(&tree.look(), &Lasting::default(), Instant::now())
}

#[test]
fn everything_that_was_recorded_can_be_read() {
    for name in ALL {
        let look = Tree::of(name).look();
        assert_eq!(look.threads, Ok(8), "{name}");
        assert_eq!(look.versions, Ok(Versions { has_v3: true, has_v4: true }), "{name}");
        assert!(look.blind_spots().is_empty(), "{name}: {look:?}");
        let exports = look.exports.clone().unwrap();
        let paths: Vec<_> = exports.iter().map(|it| (it.path.as_path(), it.is_writable)).collect();
        assert_eq!(paths, [(Path::new("/srv/nfs"), true)], "{name}");
        let etab = look.etab.clone().unwrap();
        let paths: Vec<_> = etab.iter().map(|it| (it.path.as_path(), it.is_writable)).collect();
        assert_eq!(paths, [(Path::new("/srv/nfs"), true)], "{name}");
        assert_eq!(look.counters.as_ref().unwrap().threads, Some(8), "{name}");
        assert!(look.has_grace_ended.is_err(), "{name}: it was not recorded");
    }
}

#[test]
fn a_client_is_described_by_what_the_kernel_says_of_it() {
    let clients = Tree::of("qemu-connected").look().clients.unwrap();
    let expected = Client {
        address: "10.77.0.1:673".parse().unwrap(),
        name: Some("Linux NFSv4.2 k1".to_owned()),
        status: Some(Status::Confirmed),
        renewed: Some(Duration::from_secs(1)),
        states: Some(3),
    };
    assert_eq!(clients, [expected]);
    let look = Tree::of("uml-connected-v42-and-v3").look();
    let ends = look.connections.unwrap();
    let expected: [SocketAddr; 2] =
        ["10.77.0.1:796", "10.77.0.2:984"].map(|it| it.parse().unwrap());
    assert_eq!(ends, expected.into());
    let killed = Tree::of("uml-client-killed-courtesy").look().clients.unwrap();
    assert_eq!(killed[0].status, Some(Status::Courtesy));
    assert_eq!(killed[0].states, Some(2));
}

#[test]
fn clients_of_both_versions_are_seen_until_they_unmount() {
    assert_eq!(sights(&Tree::of("qemu-connected")), [Some(Present), Some(Nothing)]);
    assert_eq!(sights(&Tree::of("qemu-unmounted")), [Some(Nothing), Some(Nothing)]);
    assert_eq!(sights(&Tree::of("uml-connected-v42-and-v3")), [Some(Present), Some(Present)]);
    // Its connection is open still, and belongs to the client that is listed.
    assert_eq!(sights(&Tree::of("uml-client-killed-courtesy")), [Some(Stale), Some(Nothing)]);
}

#[test]
fn a_client_is_stale_after_a_lease_whatever_the_kernel_calls_it() {
    let tree = Tree::of("uml-connected-v42-and-v3");
    tree.renew("confirmed", 14);
    assert_eq!(sights(&tree)[0], Some(Present));
    tree.renew("confirmed", 15);
    assert_eq!(sights(&tree)[0], Some(Stale), "the lease is 15 s");
    tree.renew("expirable", 0);
    assert_eq!(sights(&tree)[0], Some(Stale));
    tree.renew("confirmed", 99);
    tree.remove("proc/fs/nfsd/nfsv4leasetime");
    assert_eq!(sights(&tree)[0], Some(Present), "without a lease only the word counts");
    // A client that started anew has left its former self behind.
    let twice = Tree::of("uml-client-killed-courtesy");
    copy(&twice.at("proc/fs/nfsd/clients/3"), &twice.at("proc/fs/nfsd/clients/9"));
    twice.renew("confirmed", 1);
    assert_eq!(sights(&twice)[0], Some(Present));
}

#[test]
fn what_cannot_be_read_is_never_nothing() {
    for missing in ["proc/fs/nfsd/clients", "proc/net/tcp", "root/var/lib/nfs/rmtab"] {
        let tree = Tree::of("qemu-unmounted");
        let path = tree.at(missing);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            // A folder cannot be read as a file, also not by root.
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        assert_eq!(sights(&tree), [None, None], "{missing}");
        assert_eq!(tree.look().blind_spots().len(), 1, "{missing}");
    }
    let damaged = Tree::of("qemu-connected");
    damaged.write("root/var/lib/nfs/rmtab", "nonsense\n");
    assert_eq!(sights(&damaged), [Some(Present), None], "a client that is seen is seen");
    let no_info = Tree::of("qemu-unmounted");
    no_info.write("proc/fs/nfsd/clients/4/info", "clientid: 0x1\n");
    assert_eq!(sights(&no_info), [None, None]);
    let long = Tree::of("qemu-unmounted");
    long.write("proc/fs/nfsd/clients/4/info", &"x".repeat(20_000));
    assert!(matches!(long.look().clients, Err(Unread::TooLong { .. })));
}

#[test]
fn a_client_that_goes_while_we_look_is_gone() {
    let tree = Tree::of("qemu-unmounted");
    fs::create_dir(tree.at("proc/fs/nfsd/clients/7")).unwrap();
    assert_eq!(sights(&tree), [Some(Nothing), Some(Nothing)]);
}

#[test]
fn rmtab_counts_where_version_3_is_served() {
    let tree = Tree::of("qemu-unmounted");
    tree.write("root/var/lib/nfs/rmtab", "10.77.0.2:/srv/nfs:0x00000001\nalpha.home:/srv:0x1\n");
    assert_eq!(sights(&tree), [Some(Present), Some(Present)]);
    tree.write("proc/fs/nfsd/versions", "-2 -3 +4 +4.1 +4.2\n");
    assert_eq!(sights(&tree), [Some(Nothing), Some(Nothing)]);
    let never = Tree::of("qemu-unmounted");
    never.remove("root/var/lib/nfs/rmtab");
    assert_eq!(sights(&never), [Some(Nothing), Some(Nothing)], "nobody ever mounted by it");
    never.remove("root/var/lib/nfs/etab");
    assert_eq!(sights(&never), [None, None], "or the folder is another one");
}

#[tokio::test(start_paused = true)]
async fn a_connection_alone_counts_if_root_made_it_or_if_it_lasts() {
    let tree = Tree::of("uml-connected-v42-and-v3");
    tree.write("root/var/lib/nfs/rmtab", "");
    assert_eq!(sights(&tree)[1], Some(Present), "from port 984, with a lost line in rmtab");
    let table = fs::read_to_string(tree.at("proc/net/tcp")).unwrap();
    tree.write("proc/net/tcp", &table.replace("02004D0A:03D8", "02004D0A:B3D8"));
    let mut lasting = Lasting::default();
    let look = tree.look();
    let start = Instant::now();
    for (after, expected) in [(0, Nothing), (10, Nothing), (15, Present)] {
        let now = start + Duration::from_secs(after);
        lasting.update(now, &look);
        assert_eq!(seen_in(&look, &lasting, now)[1], Some(expected), "after {after} s");
    }
}

#[test]
fn a_host_is_known_by_other_addresses_and_by_its_name() {
    let look = Tree::of("qemu-connected").look();
    let at = |name: &str, address: &str| {
        let hosts = [(HostName::from(name), [address.parse().unwrap()].into())].into();
        let seen = judge(Instant::now(), &look, &Lasting::default(), &hosts);
        (seen.values().next().unwrap().sight, strangers(&look, &hosts))
    };
    assert_eq!(at("k1", "10.0.0.11"), (Some(Present), Some(0)), "by the name in its client");
    assert_eq!(at("alpha", "10.77.0.1"), (Some(Present), Some(0)));
    assert_eq!(at("k2", "10.77.0.2"), (Some(Nothing), Some(1)), "k1 is a stranger then");
}

fn one(host: &str, value: bool) -> BTreeMap<HostName, bool> {
    [(host.into(), value)].into()
}

#[tokio::test(start_paused = true)]
async fn a_reported_mount_that_is_not_seen_fails_after_half_a_minute() {
    let start = Instant::now();
    let seen = judge(start, &Tree::of("qemu-unmounted").look(), &Lasting::default(), &hosts());
    let mut comparison = Comparison::default();
    let alpha = HostName::from("alpha");
    let mut at = |seconds, reports: &BTreeMap<HostName, bool>| {
        let now = start + Duration::from_secs(seconds);
        let agreement = comparison.update(now, &seen, reports)[&alpha];
        (agreement, comparison.trusts(&alpha, Some(0)))
    };
    let unseen =
        |seconds, is_failing| Agreement::Unseen { since: Duration::from_secs(seconds), is_failing };
    assert_eq!(at(0, &one("alpha", true)), (unseen(0, false), true));
    assert_eq!(at(25, &one("alpha", true)), (unseen(25, false), true));
    assert_eq!(at(26, &BTreeMap::new()), (Agreement::Unknown, true), "it begins anew");
    assert_eq!(at(30, &one("alpha", true)), (unseen(0, false), true));
    assert_eq!(at(60, &one("alpha", true)), (unseen(30, true), false));
    assert_eq!(at(70, &BTreeMap::new()), (Agreement::Unknown, false), "also when it stops then");
    assert_eq!(at(80, &one("alpha", false)), (Agreement::Agrees, true));
}

#[test]
fn nothing_of_a_host_is_not_believed_while_a_client_may_be_its_own() {
    let now = Instant::now();
    let seen = judge(now, &Tree::of("qemu-unmounted").look(), &Lasting::default(), &hosts());
    let mut comparison = Comparison::default();
    let alpha = HostName::from("alpha");
    // The agent was restarted while the host stops.
    comparison.update(now, &seen, &BTreeMap::new());
    let trusted = [Some(0), Some(1), None].map(|strangers| comparison.trusts(&alpha, strangers));
    assert_eq!(trusted, [true, false, false]);
    comparison.update(now, &seen, &one("alpha", false));
    comparison.update(now, &seen, &BTreeMap::new());
    assert!(comparison.trusts(&alpha, Some(1)), "the eyes were right about it");
}

#[test]
fn a_client_without_a_reported_mount_is_told_apart_and_no_failure() {
    let look = Tree::of("qemu-connected").look();
    let now = Instant::now();
    let seen = judge(now, &look, &Lasting::default(), &hosts());
    let mut comparison = Comparison::default();
    let mut with = |value| comparison.update(now, &seen, &one("alpha", value));
    assert_eq!(with(false)[&HostName::from("alpha")], Agreement::Unreported);
    assert_eq!(with(true)[&HostName::from("alpha")], Agreement::Agrees);
    assert_eq!(with(true)[&HostName::from("beta")], Agreement::Unknown);
}

const ROOT: &str = "1 0 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n";

fn export(tree: &Tree, path: &str) -> Export {
    tree.look().exports_of(&[path.into()]).remove(0)
}

#[test]
fn an_export_is_one_that_exportfs_knows() {
    let tree = Tree::of("qemu-connected");
    tree.write("proc/1/mountinfo", ROOT);
    assert_eq!(export(&tree, "/srv/nfs").is_exported, Some(true));
    assert_eq!(export(&tree, "/srv/nfs/media").is_exported, Some(true), "it lies in one");
    assert_eq!(export(&tree, "/srv/media").is_exported, Some(false));
    tree.remove("root/var/lib/nfs/etab");
    assert_eq!(export(&tree, "/srv/nfs").is_exported, Some(true), "by the kernel's table");
    tree.remove("proc/fs/nfsd/exports");
    assert_eq!(export(&tree, "/srv/nfs").is_exported, None);
    assert!(export(&tree, "/srv/nfs").is_up(), "unknown is not down");
}

#[test]
fn an_export_needs_the_mount_that_fstab_plans() {
    let tree = Tree::of("qemu-connected");
    assert_eq!(export(&tree, "/srv/nfs").disk, Disk::Unknown);
    let mounted = |point: &str, is_writable| Disk::Mounted {
        point: point.into(),
        is_writable,
        is_local: true,
    };
    tree.write("proc/1/mountinfo", ROOT);
    assert_eq!(export(&tree, "/srv/nfs").disk, mounted("/", true));
    tree.write("root/etc/fstab", "/dev/vdb /srv ext4 defaults 0 2\n/dev/vdc /srv/x xfs rw 0 2\n");
    let missing = Disk::Missing { point: "/srv".into() };
    assert_eq!(export(&tree, "/srv/nfs").disk, missing);
    assert!(!export(&tree, "/srv/nfs").is_up());
    tree.write("proc/1/mountinfo", &format!("{ROOT}2 1 0:5 / /srv rw - autofs systemd-1 rw\n"));
    assert_eq!(export(&tree, "/srv/nfs").disk, missing, "nobody has mounted it yet");
    let disk =
        |flags: &str, own: &str| format!("{ROOT}2 1 8:1 / /srv {flags} - ext4 /dev/vdb {own}\n");
    tree.write("proc/1/mountinfo", &disk("rw", "rw"));
    assert_eq!(export(&tree, "/srv/nfs").disk, mounted("/srv", true));
    for (flags, own) in [("ro", "rw"), ("rw", "ro,errors=remount-ro")] {
        tree.write("proc/1/mountinfo", &disk(flags, own));
        assert_eq!(export(&tree, "/srv/nfs").disk, mounted("/srv", false), "{flags} {own}");
    }
    // In a sandbox every mount of our own namespace is read-only.
    tree.remove("proc/1/mountinfo");
    tree.write("proc/self/mountinfo", &disk("ro", "rw"));
    assert_eq!(export(&tree, "/srv/nfs").disk, mounted("/srv", true));
    let veil = format!("{ROOT}2 1 0:8 /systemd/inaccessible/dir /srv ro - tmpfs tmpfs rw\n");
    tree.write("proc/self/mountinfo", &veil);
    assert_eq!(export(&tree, "/srv/nfs").disk, Disk::Unknown, "hidden from us");
    let remote = format!("{ROOT}2 1 0:9 / /srv rw - fuse.mergerfs a:b rw\n");
    tree.write("proc/self/mountinfo", &remote);
    let far = Disk::Mounted { point: "/srv".into(), is_writable: true, is_local: false };
    assert_eq!(export(&tree, "/srv/nfs").disk, far);
}

#[tokio::test(start_paused = true)]
async fn the_grace_period_ends_when_the_kernel_says_so_or_when_it_must_be_over() {
    let tree = Tree::of("uml-connected-v42-and-v3");
    let start = Instant::now();
    let mut watch = GraceWatch::default();
    let mut at = |seconds| watch.update(start + Duration::from_secs(seconds), &tree.look());
    let left = |seconds| Grace::Running { left: Duration::from_secs(seconds) };
    assert_eq!(at(0), left(10), "unknown, and at most the whole of it");
    assert_eq!(at(4), left(6));
    tree.write("proc/fs/nfsd/v4_end_grace", "N\n");
    assert_eq!(at(12), left(0), "the kernel takes longer");
    tree.write("proc/fs/nfsd/v4_end_grace", "Y\n");
    assert_eq!(at(13), Grace::Over);
    tree.write("proc/fs/nfsd/threads", "0\n");
    assert_eq!(at(20), Grace::Unknown);
    tree.remove("proc/fs/nfsd/v4_end_grace");
    tree.write("proc/fs/nfsd/threads", "8\n");
    assert_eq!(at(30), left(10), "a new start");
    assert_eq!(at(40), Grace::Over);
}

#[tokio::test]
async fn room_is_a_part_of_the_whole_and_unknown_where_there_is_no_such_path() {
    let space = Gauge::new("/".into()).ask().await.unwrap();
    assert!((0.0..=1.0).contains(&space.free), "{space:?}");
    assert_eq!(Gauge::new("/nonexistent".into()).ask().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_is_given_up_and_only_one_hangs_at_a_time() {
    let tree = Tree::of("qemu-connected");
    tree.remove("proc/fs/nfsd/threads");
    let path = tree.at("proc/fs/nfsd/threads");
    let made = std::process::Command::new("/usr/bin/mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let server = Server::new(tree.roots());
    // Paused time stands still while a blocking task runs, so the limit is passed by hand.
    let second = async {
        let busy = server.look().await;
        tokio::time::advance(Duration::from_secs(2)).await;
        busy
    };
    let (first, second) = tokio::join!(biased; server.look(), second);
    assert_eq!((first.err(), second.err()), (Some(Late::Waits), Some(Late::Waits)));
    drop(fs::OpenOptions::new().write(true).open(&path).unwrap());
}

#[tokio::test]
async fn the_machine_that_tests_run_on_can_be_looked_at() {
    let roots = Roots { proc: "/proc".into(), root: "/".into() };
    let look = Server::new(roots).look().await.unwrap();
    assert!(look.connections.is_ok() && look.mounts.is_ok(), "{look:?}");
}

#[test]
fn one_look_costs() {
    use nix::time::{ClockId, clock_gettime};
    let tree = Tree::of("uml-connected-v42-and-v3");
    tree.write("proc/1/mountinfo", &ROOT.repeat(40));
    let cpu = || Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap());
    let before = cpu();
    for _ in 0..100 {
        let look = tree.look();
        let seen = judge(Instant::now(), &look, &Lasting::default(), &hosts());
        assert_eq!(seen.len(), 2);
    }
    println!("a look: {:?} of the CPU", (cpu().saturating_sub(before)) / 100);
}
