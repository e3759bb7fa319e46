//! Looks at real file systems, and at ones that hang.

use std::fs;

use super::*;
use crate::test_directory::TestDirectory;

#[expect(clippy::disallowed_methods, reason = "a fixture needs no fsync")]
fn write(folder: &TestDirectory, file: &str, text: &str) -> PathBuf {
    let path = folder.path().join(file);
    fs::write(&path, text).unwrap();
    path
}

fn measured<'a>(report: &'a Report, point: &str) -> &'a Measured {
    let all = report.filesystems.as_ref().unwrap();
    &all.iter().find(|it| it.point == Path::new(point)).unwrap().measured
}

/// Answers without asking anybody: the length of the path.
#[expect(clippy::unnecessary_wraps, reason = "stands in for one that may fail")]
fn length(way: &Path) -> Result<Room, Errno> {
    let size = way.as_os_str().len() as u64;
    Ok(Room { size, free: 2, available: 1, files: 0, files_free: 0 })
}

#[tokio::test]
async fn a_talos_node_is_measured_as_far_as_its_container_reaches() {
    let folder = TestDirectory::new();
    let host = write(&folder, "host", table::tests::HOST);
    let own = write(&folder, "own", table::tests::CONTAINER);
    let mut filesystems = Filesystems::new(Tables { host: vec![host], own });
    filesystems.ask = length;
    let report = filesystems.look().await;
    let room = |way: &str| Measured::Room(length(Path::new(way)).unwrap());
    assert_eq!(*measured(&report, "/var"), room("/var/lib/curfew"));
    assert_eq!(*measured(&report, "/system"), room("/system/run/machined/machine.sock"));
    assert_eq!(*measured(&report, "/var/lib/etcd"), Measured::Elsewhere);
    assert_eq!(*measured(&report, "/system/state"), Measured::Elsewhere);
    assert_eq!(report.filesystems.unwrap().len(), 4, "a tmpfs without a way is of no use");
}

#[tokio::test]
async fn the_file_systems_of_this_machine_are_those_that_statvfs_sees() {
    let own = PathBuf::from("/proc/self/mountinfo");
    let tables = Tables { host: vec![own.clone()], own };
    let report = Filesystems::new(tables).look().await;
    for filesystem in report.filesystems.unwrap() {
        let Measured::Room(room) = filesystem.measured else { continue };
        let Ok(found) = statvfs(&filesystem.point) else { continue };
        assert_eq!(room.size, found.blocks() * found.fragment_size(), "{}", filesystem.device);
        assert_eq!(room.files, found.files(), "{}", filesystem.device);
    }
}

/// Opens what is to be measured, which hangs for a FIFO without a writer.
fn open(way: &Path) -> Result<Room, Errno> {
    if way != Path::new("/") {
        File::open(way).map_err(|_| Errno::ENOENT)?;
    }
    length(way)
}

#[tokio::test]
async fn one_that_hangs_is_said_once_a_second_is_lost_and_holds_up_no_other() {
    let folder = TestDirectory::new();
    let fifo = folder.path().join("hangs");
    let made = std::process::Command::new("/usr/bin/mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let point = fifo.display().to_string();
    let lines = format!(
        "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n3 2 8:2 / {point} ro - ext4 /dev/sdb rw\n\
         4 2 8:3 / /nonexistent/curfew rw - ext4 /dev/sdc rw\n"
    );
    let table = write(&folder, "table", &lines);
    let mut filesystems = Filesystems::new(Tables { host: vec![table.clone()], own: table });
    filesystems.ask = open;
    for _look in 0..2 {
        let report = filesystems.look().await;
        assert_eq!(*measured(&report, &point), Measured::Failed("does not answer".to_owned()));
        assert!(matches!(measured(&report, "/"), Measured::Room(_)));
        let Measured::Failed(why) = measured(&report, "/nonexistent/curfew") else {
            panic!("{report:?}")
        };
        assert_eq!(why, "no such file or directory");
        let is_read_only = |it: &Filesystem| it.is_read_only;
        assert_eq!(report.filesystems.unwrap().iter().filter(|it| is_read_only(it)).count(), 1);
    }
    // The thread was not given a second one beside it: one reader waits, and now has a writer.
    drop(fs::OpenOptions::new().write(true).open(&fifo).unwrap());
}

#[tokio::test]
async fn an_own_namespace_makes_nothing_read_only_for_the_host() {
    let folder = TestDirectory::new();
    // As a unit sees them with ProtectSystem=strict and ReadWritePaths=/var/lib/curfew.
    let text = "2 1 8:1 / / ro,relatime master:1 - ext4 /dev/sda1 rw,errors=remount-ro\n\
                3 2 8:2 / /srv ro,relatime master:2 - ext4 /dev/sdb rw,emergency_ro\n\
                4 2 8:3 / /var ro,relatime master:3 - ext4 /dev/sdc rw\n\
                5 4 8:3 /lib/curfew /var/lib/curfew rw - ext4 /dev/sdc rw\n";
    let table = write(&folder, "table", text);
    let hidden = folder.path().join("hidden");
    let tables = Tables { host: vec![hidden, table.clone()], own: table };
    let report = Filesystems::new(tables).look().await;
    let all = report.filesystems.unwrap();
    let read_only = all.iter().map(|it| it.is_read_only);
    assert_eq!(read_only.collect::<Vec<_>>(), [false, true, false]);
}

#[tokio::test]
async fn a_file_that_is_bound_somewhere_is_no_file_system() {
    let folder = TestDirectory::new();
    let (file, below) = (write(&folder, "os-release", ""), folder.path().join("below"));
    fs::create_dir(&below).unwrap();
    let (point, part) = (file.display(), below.display());
    let text = format!(
        "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
         3 2 8:2 /usr/lib/os-release {point} ro - ext4 /dev/sdb rw\n\
         4 2 8:3 /srv/below {part} rw - ext4 /dev/sdc rw\n"
    );
    let table = write(&folder, "table", &text);
    let report = Filesystems::new(Tables { host: vec![table.clone()], own: table }).look().await;
    let points: Vec<_> = report.filesystems.unwrap().into_iter().map(|it| it.point).collect();
    assert_eq!(points, [PathBuf::from("/"), below]);
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_more_than_enough_is_left_out() {
    let folder = TestDirectory::new();
    let missing = folder.path().join("missing");
    let tables = Tables { host: vec![missing.clone()], own: missing };
    let why = Filesystems::new(tables).look().await.filesystems.unwrap_err();
    assert!(why.contains("missing") && why.contains("No such file"), "{why}");
    let mut many = "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n".to_owned();
    for n in 0..100 {
        many += format!("{} 2 9:{n} / /d/{n} rw - ext4 /dev/sd rw\n", 10 + n).as_str();
    }
    let table = write(&folder, "table", &many);
    let report = Filesystems::new(Tables { host: vec![table.clone()], own: table }).look().await;
    assert_eq!((report.filesystems.unwrap().len(), report.left_out), (64, 37));
}

#[test]
fn the_scarcer_of_bytes_and_inodes_counts() {
    let room = Room { size: 100, free: 60, available: 50, files: 10, files_free: 1 };
    assert_eq!(room.left(), Some(0.1));
    assert_eq!(Room { files: 0, ..room }.left(), Some(0.5));
    assert_eq!(Room { size: 0, ..room }.left(), None);
}
