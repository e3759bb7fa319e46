//! The kernel's files, the real ones and samples.

use std::fs::{File, create_dir_all};
use std::io::Write;

use super::*;
use crate::test_directory::TestDirectory;

const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0101000A\t0003\t0\t0\t50\t00000000\t0\t0\t0
eth0\t00000000\tFE00000A\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

fn put(path: &Path, text: &str) {
    create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn fake_watch(folder: &TestDirectory) -> LinkWatch {
    let paths = Paths { proc: folder.path().join("proc"), sys: folder.path().join("sys") };
    LinkWatch::new(paths, BTreeSet::new())
}

#[cfg(target_endian = "little")]
#[test]
fn the_gateway_is_the_cheapest_on_our_own_link() {
    assert_eq!(gateway(ROUTES, |name| name == "eth0"), Some([10, 0, 0, 1].into()));
    assert_eq!(gateway(ROUTES, |_| true), Some([10, 0, 1, 1].into()));
    assert_eq!(gateway(ROUTES, |name| name == "wlan0"), None);
    assert_eq!(gateway("", |_| true), None);
    assert_eq!(gateway("eth0 00000000 zz 0003 0 0 0 00000000", |_| true), None);
}

#[tokio::test]
async fn only_a_complete_neighbour_is_one() {
    let folder = TestDirectory::new();
    assert_eq!(neighbour(folder.path(), [10, 0, 0, 11].into()).await, None);
    let table = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.11        0x1         0x2         aa:bb:cc:dd:ee:01     *        eth0
10.0.0.12        0x1         0x0         00:00:00:00:00:00     *        eth0
";
    put(&folder.path().join("net/arp"), table);
    assert_eq!(neighbour(folder.path(), [10, 0, 0, 11].into()).await, Some(true));
    assert_eq!(neighbour(folder.path(), [10, 0, 0, 12].into()).await, Some(false));
    assert_eq!(neighbour(folder.path(), [10, 0, 0, 1].into()).await, Some(false));
}

#[test]
fn a_frame_is_heard_when_the_count_has_grown() {
    let folder = TestDirectory::new();
    let mut watch = fake_watch(&folder);
    let count = folder.path().join("sys/class/net/eth0/statistics/rx_packets");
    assert_eq!(watch.heard("eth0"), None, "no such interface");
    for (frames, heard) in [
        ("100\n", None),
        ("100\n", Some(false)),
        ("101\n", Some(true)),
        ("7\n", None),
        ("8\n", Some(true)),
        ("?\n", None),
        ("9\n", None),
    ] {
        put(&count, frames);
        assert_eq!(watch.heard("eth0"), heard, "{frames}");
    }
}

#[test]
fn carrier_is_yes_no_or_unknown() {
    let folder = TestDirectory::new();
    let path = folder.path().join("class/net/eth0/carrier");
    assert_eq!(carrier(folder.path(), "eth0"), None);
    for (text, expected) in [("1\n", Some(true)), ("0\n", Some(false)), ("", None)] {
        put(&path, text);
        assert_eq!(carrier(folder.path(), "eth0"), expected);
    }
    assert!(is_switched_off(&io::Error::from_raw_os_error(22)));
    assert!(!is_switched_off(&io::Error::from_raw_os_error(2)));
}

#[test]
fn the_worst_of_several_links_counts() {
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(worst([yes, yes].into_iter()), yes);
    assert_eq!(worst([yes, None, no].into_iter()), no);
    assert_eq!(worst([yes, None].into_iter()), None);
    assert_eq!(worst([].into_iter()), None);
}

#[tokio::test]
async fn the_loopback_hears_itself_and_so_proves_nothing() {
    let paths = Paths { proc: "/proc".into(), sys: "/sys".into() };
    let peers = ["127.0.0.12", "127.0.0.13"].map(|peer| peer.parse().unwrap());
    let watch = LinkWatch::new(paths, peers.into());
    let (watch, first) = watch.look().await;
    let (_, second) = watch.look().await;
    for seen in [first, second] {
        assert_eq!(seen, Link { carrier: Some(true), frame_heard: None, gateway_answered: None });
    }
}
