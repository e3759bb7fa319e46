//! Mount tables of a Talos node, of its extension's container, and odd ones.

use super::*;

/// A node of Talos 1.14 with a volume of its own for etcd, a pod with a secret and an NFS volume.
pub(in super::super) const HOST: &str = "\
1 1 0:2 / / rw - rootfs rootfs rw
30 1 0:26 / / ro,relatime shared:1 - overlay overlay ro,lowerdir=/layers
31 30 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw
32 31 0:23 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw
33 30 0:24 / /run rw,nosuid shared:4 - tmpfs tmpfs rw,mode=755
34 30 0:25 / /system rw,relatime shared:5 - tmpfs tmpfs rw,mode=755
35 34 8:5 / /system/state rw,nosuid shared:6 - xfs /dev/sda5 rw
36 30 8:6 / /var rw,nosuid,nodev shared:7 - xfs /dev/sda6 rw,prjquota
37 36 8:6 /lib/kubelet /var/lib/kubelet rw,nosuid shared:8 - xfs /dev/sda6 rw,prjquota
38 37 0:60 / /var/lib/kubelet/pods/6f6e/volumes/kubernetes.io~secret/a rw shared:9 - tmpfs tmpfs rw
39 37 0:70 / /var/lib/kubelet/pods/6f6e/volumes/kubernetes.io~csi/b/mount rw - nfs4 10.0.0.13:/b rw
40 36 8:7 / /var/lib/etcd rw,nosuid shared:10 - xfs /dev/sda7 rw,prjquota
41 30 0:33 / /etc/cni rw,relatime shared:11 - overlay overlay rw,lowerdir=/etc/cni
";

/// What the service file of the extension makes of it.
pub(in super::super) const CONTAINER: &str = "\
100 90 0:80 / / ro,relatime - overlay overlay ro,lowerdir=/l
101 100 0:81 / /proc rw - proc proc rw
102 100 0:82 / /dev rw - tmpfs tmpfs rw
103 100 0:83 / /run rw - tmpfs tmpfs rw
104 100 0:21 / /host/proc ro master:12 - proc proc rw
105 100 0:22 / /host/sys ro master:13 - sysfs sysfs rw
106 100 8:6 /lib/curfew /var/lib/curfew rw,nosuid - xfs /dev/sda6 rw,prjquota
107 100 0:25 /run/machined/machine.sock /system/run/machined/machine.sock ro - tmpfs tmpfs rw
";

fn table(text: &str) -> Table {
    Table::parse(text.as_bytes()).unwrap()
}

fn points(text: &str) -> Vec<String> {
    let table = table(text);
    table.filesystems().iter().map(|mount| mount.point.display().to_string()).collect()
}

fn ways(text: &str) -> Vec<String> {
    table(text).ways().values().map(|way| way.display().to_string()).collect()
}

#[test]
fn a_node_has_its_disks_and_none_of_the_binds_of_kubernetes() {
    assert_eq!(points(HOST), ["/run", "/system", "/system/state", "/var", "/var/lib/etcd"]);
}

#[test]
fn the_container_leads_to_what_is_bound_into_it() {
    let ways = table(CONTAINER).ways();
    let to = |major, minor| ways.get(&DeviceNumber { major, minor }).map(PathBuf::as_path);
    assert_eq!(to(8, 6), Some(Path::new("/var/lib/curfew")));
    assert_eq!(to(0, 25), Some(Path::new("/system/run/machined/machine.sock")));
    assert_eq!(to(8, 7), None);
    assert_eq!(to(8, 5), None);
}

#[test]
fn no_way_leads_through_another_machine() {
    let root = "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
    for kind in ["nfs", "nfs4", "cifs", "ceph", "fuse.sshfs", "autofs", "9p", "unheard-of"] {
        let below = format!(
            "{root}3 2 0:50 / /mnt rw - {kind} far rw\n4 3 8:9 / /mnt/disk rw - ext4 /dev/sdb rw\n"
        );
        assert_eq!(ways(&below), ["/"], "{kind}");
        let covered = format!(
            "{root}3 2 8:9 / /data rw - ext4 /dev/sdb rw\n4 3 0:50 / /data rw - {kind} far rw\n"
        );
        assert_eq!(ways(&covered), ["/"], "{kind}");
        assert_eq!(points(&covered), ["/"], "{kind}");
        let itself = format!("{root}3 2 0:50 / /far rw - {kind} far rw\n");
        assert_eq!(ways(&itself), ["/"], "{kind}");
    }
}

#[test]
fn what_lies_below_a_later_mount_is_reached_by_another_way_or_none() {
    let hidden = "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                  3 2 8:9 / /srv/disk rw - ext4 /dev/sdb rw\n\
                  4 2 8:8 / /srv rw - ext4 /dev/sdc rw\n";
    assert_eq!(ways(hidden), ["/", "/srv"], "/srv covers /srv/disk");
    let bound = format!("{hidden}5 2 8:9 /part /elsewhere rw - ext4 /dev/sdb rw\n");
    assert_eq!(ways(&bound), ["/", "/srv", "/elsewhere"]);
}

#[test]
fn subvolumes_are_shown_and_what_a_sandbox_binds_is_not() {
    let sandbox = "2 1 0:30 /@ / ro - btrfs /dev/sda1 rw\n\
                   3 2 0:30 /@home /home rw - btrfs /dev/sda1 rw\n\
                   4 2 0:30 /@/var/lib/curfew /var/lib/curfew rw - btrfs /dev/sda1 rw\n\
                   5 2 0:40 / /run ro - tmpfs tmpfs rw\n\
                   6 2 0:40 /systemd/inaccessible/dir /root ro - tmpfs tmpfs rw\n\
                   7 2 0:30 /@/srv /srv/twice rw - btrfs /dev/sda1 rw\n";
    assert_eq!(points(sandbox), ["/", "/home", "/run"]);
}

#[test]
fn what_a_sandbox_hides_is_known_and_not_asked() {
    let hidden = "2 1 8:1 / / ro - ext4 /dev/sda1 rw\n\
                  3 2 0:40 / /run ro - tmpfs tmpfs rw\n\
                  4 2 8:2 / /home ro - ext4 /dev/sda2 rw\n\
                  5 4 0:40 /systemd/inaccessible/dir /home ro - tmpfs tmpfs rw\n";
    assert_eq!(points(hidden), ["/", "/home", "/run"]);
    assert_eq!(ways(hidden), ["/run", "/"]);
}

#[test]
fn what_comes_and_goes_with_containers_is_left_out() {
    let busy = "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                3 2 0:41 / /dev/shm rw - tmpfs tmpfs rw\n\
                4 2 0:42 / /run/credentials/x.service rw - tmpfs tmpfs rw\n\
                5 2 253:1 / /var/lib/kubelet/pods/1/volumes/v/mount rw - ext4 /dev/dm-1 rw\n\
                6 2 253:2 / /var/lib/docker rw - ext4 /dev/dm-2 rw\n\
                7 6 253:3 / /var/lib/docker/devicemapper/mnt/1 rw - ext4 /dev/dm-3 rw\n";
    assert_eq!(points(busy), ["/", "/var/lib/docker"]);
}

#[test]
fn what_is_no_mount_table_is_an_error() {
    let good = "2 1 8:1 / / rw - ext4 /dev/sda1 rw";
    assert_eq!(Table::parse(b""), Err(1));
    assert_eq!(Table::parse(good.as_bytes()), Err(1), "the end of the table is missing");
    assert_eq!(Table::parse(format!("{good}\nx\n").as_bytes()), Err(2));
}

#[test]
fn no_table_makes_it_panic_or_go_in_circles() {
    let line = (0_u32..4, 0_u32..4, 0_u32..3, 0_usize..3, 0_usize..3);
    let lines = proptest::collection::vec(line, 0..12);
    proptest::proptest!(|(lines in lines)| {
        let points = ["/", "/a", "/a/b"];
        let lines: Vec<String> = lines.iter().map(|&(id, parent, device, point, kind)| {
            let kind = ["ext4", "nfs4", "overlay"][kind];
            format!("{id} {parent} 8:{device} / {} rw - {kind} x rw\n", points[point])
        }).collect();
        if let Ok(table) = Table::parse(lines.concat().as_bytes()) {
            let _all = table.filesystems().len();
            for way in table.ways().values() {
                proptest::prop_assert!(table.0.iter().any(|it| it.point == *way && it.is_local()));
            }
        }
    });
}
