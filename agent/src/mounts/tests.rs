//! The mount table of real NFS clients, and of odd ones.

use super::*;
use crate::test_directory::TestDirectory;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/nfs").join(name)
}

fn parsed(line: &str) -> Result<Vec<NfsMount>, usize> {
    parse(format!("{line}\n").as_bytes()).map(|mounts| mounts.into_iter().collect())
}

#[test]
fn a_real_client_names_its_server_and_itself() {
    for name in ["qemu-connected.mountinfo", "uml-connected-v42-and-v3.mountinfo"] {
        let mounts = read(&sample(name)).unwrap();
        let expected = NfsMount {
            server: "10.77.0.3".into(),
            server_address: Some("10.77.0.3".parse().unwrap()),
            mount_point: "/mnt/nfs".into(),
            client_address: Some("10.77.0.1".parse().unwrap()),
        };
        assert_eq!(mounts.into_iter().collect::<Vec<_>>(), [expected], "{name}");
    }
}

#[test]
fn a_client_that_has_unmounted_has_none() {
    assert_eq!(read(&sample("qemu-unmounted.mountinfo")).unwrap(), BTreeSet::new());
}

#[test]
fn a_v3_mount_has_no_client_address() {
    // The options are those of `uml-v3-client`, whose table was recorded as /proc/mounts.
    let mounts = parsed(
        "62 28 0:40 / /mnt/v3 rw,relatime shared:9 - nfs 10.77.0.3:/srv/nfs rw,vers=3,\
         nolock,proto=tcp,mountaddr=10.77.0.9,mountvers=3,mountport=46350,addr=10.77.0.3",
    );
    let [mount] = &mounts.unwrap()[..] else { panic!("one mount") };
    assert_eq!(mount.server_address, Some("10.77.0.3".parse().unwrap()));
    assert_eq!(mount.client_address, None);
}

#[test]
fn names_v6_addresses_and_escapes_are_understood() {
    let line = |source: &str, point: &str, options: &str| {
        parsed(&format!("1 2 0:4 / {point} rw - nfs4 {source} {options}")).unwrap().remove(0)
    };
    let by_name = line("nas.home:/srv", r"/mnt/my\040media\134x", "rw,addr=10.0.0.13");
    assert_eq!(by_name.server, "nas.home");
    assert_eq!(by_name.mount_point, Path::new(r"/mnt/my media\x"));
    let by_v6 = line("[fd00::3]:/srv", "/m", "rw,clientaddr=fd00::1,addr=fd00::3");
    assert_eq!(by_v6.server, "fd00::3");
    assert_eq!(by_v6.client_address, Some("fd00::1".parse().unwrap()));
    let link_local = line("[fe80::3%eth0]:/", "/m", "rw,clientaddr=::,addr=fe80::3%eth0");
    assert_eq!(link_local.server, "fe80::3%eth0");
    assert_eq!(link_local.client_address, None);
    assert_eq!(link_local.server_address, Some("fe80::3".parse().unwrap()));
    let odd = line("strange", "/m", "rw,addr=10.0.0.13");
    assert_eq!(odd.server, "10.0.0.13");
}

#[test]
fn what_is_no_mountinfo_is_unknown_and_never_empty() {
    let good = "1 2 0:4 / / rw - ext4 /dev/vda rw";
    assert_eq!(parse(b""), Err(1));
    assert_eq!(parse(b"\n"), Err(1));
    assert_eq!(parse(good.as_bytes()), Err(1), "the end of the table is missing");
    assert_eq!(parse(format!("{good}\n1 2 0:4 / /\n").as_bytes()), Err(2));
    assert_eq!(parsed("1 2 0:4 / /m rw - nfs4 nowhere rw"), Err(1), "a server without a name");
    assert_eq!(parsed(good), Ok(vec![]));
}

#[tokio::test]
async fn the_table_of_this_process_can_be_read_and_a_missing_one_is_an_error() {
    assert!(Mounts::new("/proc/self/mountinfo".into()).look().await.is_ok());
    let missing = Mounts::new("/nonexistent/mountinfo".into()).look().await;
    assert!(matches!(missing, Err(MountsError::Read { .. })), "{missing:?}");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_hangs_is_given_up_and_asked_only_once_at_a_time() {
    let folder = TestDirectory::new();
    let table = folder.path().join("mountinfo");
    let made = std::process::Command::new("/usr/bin/mkfifo").arg(&table).status().unwrap();
    assert!(made.success());
    // Opening a FIFO waits for its other end. Paused time stands still while a blocking task
    // runs, so the limit is passed by hand.
    let mounts = Mounts::new(table.clone());
    let hung = async {
        let second = async {
            let busy = mounts.look().await;
            tokio::time::advance(READ_LIMIT).await;
            busy
        };
        tokio::join!(biased; mounts.look(), second)
    };
    let (first, second) = hung.await;
    assert!(matches!(first, Err(MountsError::Wait { .. })), "{first:?}");
    assert!(matches!(second, Err(MountsError::Wait { .. })), "{second:?}");
    let writer = std::fs::OpenOptions::new().write(true).open(&table).unwrap();
    drop(writer);
}

#[test]
fn parsing_never_panics() {
    proptest::proptest!(|(bytes: Vec<u8>)| {
        if let Ok(mounts) = parse(&bytes) {
            proptest::prop_assert!(mounts.len() <= bytes.len());
        }
    });
}
