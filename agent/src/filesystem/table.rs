//! Which file systems there are, and by which path each can be asked without asking another
//! machine.
//!
//! Two tables: the host's says what there is and where, our own by which way we get there. An agent
//! in a container has mounts of its own, of the host's file systems; the number of the device
//! tells which is which.
//!
//! A path is walked by the kernel through every mount on it, so a way counts only if each of these
//! is local: what lies below an NFS mount, or is covered by one, is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::mountinfo::{self, DeviceNumber, Line};

/// All mounts of one namespace, in the kernel's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Table(Vec<Mount>);

/// One mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mount {
    id: u32,
    parent: u32,
    pub(super) number: DeviceNumber,
    root: PathBuf,
    pub(super) point: PathBuf,
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) is_read_only: bool,
    pub(super) is_mount_read_only: bool,
}

impl Table {
    /// Returns the mounts, or the number of the first wrong line.
    pub(super) fn parse(table: &[u8]) -> Result<Self, usize> {
        let Some(lines) = table.strip_suffix(b"\n") else { return Err(1) };
        let lines = lines.split(|&byte| byte == b'\n').enumerate();
        let mounts = lines.map(|(index, line)| Mount::parse(line).ok_or(index + 1));
        mounts.collect::<Result<_, _>>().map(Self)
    }

    /// Returns one mount of each local file system that is worth looking at, by mount point.
    ///
    /// Binds of a part of one that is there as a whole (of Kubernetes' subpaths, of a sandbox) are
    /// left out; subvolumes, neither of which is a part of the other, are not. So is what another
    /// mount covers.
    pub(super) fn filesystems(&self) -> Vec<&Mount> {
        // What a sandbox hides from this process is there for all others.
        let covers = self.0.iter().filter(|mount| !mount.root.starts_with(VEIL));
        let places = covers.map(|mount| (mount.parent, mount.point.as_path()));
        let covered: BTreeSet<(u32, &Path)> = places.collect();
        let is_wanted = |mount: &&Mount| {
            let is_covered = covered.contains(&(mount.id, mount.point.as_path()));
            mount.is_local() && !is_covered && !is_left_out(&mount.point)
        };
        let mut wanted: Vec<&Mount> = self.0.iter().filter(is_wanted).collect();
        // Stable, so that of several mounts of the same part the kernel's first stays the first.
        wanted.sort_by_key(|mount| mount.root.components().count());
        let mut kept: Vec<&Mount> = Vec::new();
        for mount in wanted {
            if !kept.iter().any(|whole| mount.is_part_of(whole)) {
                kept.push(mount);
            }
        }
        kept.sort_by(|one, other| one.point.cmp(&other.point));
        kept
    }

    /// Returns, for each file system that can be asked from this namespace, a path to ask it by.
    pub(super) fn ways(&self) -> BTreeMap<DeviceNumber, PathBuf> {
        let mut ways: BTreeMap<DeviceNumber, PathBuf> = BTreeMap::new();
        for mount in self.reachable() {
            ways.entry(mount.number).or_insert_with(|| mount.point.clone());
        }
        ways
    }

    /// Returns the local mounts that can be asked from this namespace.
    pub(super) fn reachable(&self) -> Vec<&Mount> {
        let roots: BTreeSet<u32> = self.0.iter().map(|mount| mount.id).collect();
        let is_root = |mount: &&Mount| {
            mount.point == Path::new("/")
                && (mount.parent == mount.id || !roots.contains(&mount.parent))
        };
        let Some(root) = self.0.iter().find(is_root) else { return Vec::new() };
        let children: BTreeMap<(u32, &Path), &Mount> = self
            .0
            .iter()
            .filter(|mount| mount.parent != mount.id)
            .map(|mount| ((mount.parent, mount.point.as_path()), mount))
            .collect();
        let is_reached = |mount: &&Mount| {
            walk(root, &mount.point, &children).is_some_and(|end| end.id == mount.id)
        };
        self.0.iter().filter(|mount| mount.is_local()).filter(is_reached).collect()
    }
}

/// Returns the mount in which a path ends; none if the way there leads through one that may hang.
fn walk<'a>(
    root: &'a Mount,
    path: &Path,
    children: &BTreeMap<(u32, &Path), &'a Mount>,
) -> Option<&'a Mount> {
    let mut here = root;
    let steps: Vec<&Path> = path.ancestors().collect();
    for step in steps.into_iter().rev() {
        // As many as can lie above one another; no table that a kernel writes goes in a circle.
        for _ in 0..=children.len() {
            let Some(next) = children.get(&(here.id, step)) else { break };
            here = next;
        }
        if !here.is_harmless() {
            return None;
        }
    }
    Some(here)
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = Line::parse(line)?;
        let text = |field: &[u8]| mountinfo::path(field).to_string_lossy().into_owned();
        Some(Self {
            id: line.id,
            parent: line.parent,
            number: line.number,
            root: mountinfo::path(line.root),
            point: mountinfo::path(line.point),
            kind: text(line.kind),
            source: text(line.source),
            is_read_only: line.is_read_only(),
            is_mount_read_only: line.is_mount_read_only(),
        })
    }

    /// Returns whether it is on a disk of this machine, and not only in its memory.
    pub(super) fn is_on_disk(&self) -> bool {
        self.is_local() && self.kind != "tmpfs"
    }

    fn is_local(&self) -> bool {
        LOCAL.contains(&self.kind.as_str())
    }

    /// Returns whether the kernel can walk through it without asking another machine.
    fn is_harmless(&self) -> bool {
        self.is_local() || HARMLESS.contains(&self.kind.as_str())
    }

    /// Returns whether it is only a part of its file system, which may be a single file.
    pub(super) fn is_part(&self) -> bool {
        self.root != Path::new("/")
    }

    /// Returns whether it has the same at the same place, in whichever table.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && self.root == other.root && self.point == other.point
    }

    fn is_part_of(&self, whole: &Self) -> bool {
        self.number == whole.number && self.root.starts_with(&whole.root)
    }
}

/// Returns whether nobody wants to see what is mounted there: the kernel's own, and what comes and
/// goes with each container.
fn is_left_out(point: &Path) -> bool {
    let is_below = |folder: &&str| point.starts_with(folder) && point != Path::new(folder);
    let is_at = |folder: &&str| point.starts_with(folder);
    LEFT_OUT.iter().any(is_at) || LEFT_OUT_BELOW.iter().any(is_below)
}

/// File systems of this machine's own disks and memory that have a capacity of their own. Those of
/// others (`nfs`, `nfs4`, `cifs`, `ceph`, `fuse.…`, `9p`) may hang, and `autofs` mounts what it is
/// asked about. An unknown one is none of these.
const LOCAL: [&str; 14] = [
    "ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "vfat", "msdos",
    "exfat", "ntfs3", "tmpfs",
];
/// Through these a way may lead: layers of the machine's own images, and the kernel's memory.
const HARMLESS: [&str; 9] =
    ["overlay", "squashfs", "erofs", "iso9660", "rootfs", "ramfs", "devtmpfs", "proc", "sysfs"];
/// From where systemd covers what a unit may not see, within the file system of `/run`.
const VEIL: &str = "/systemd/inaccessible";
/// As the collector `filesystem` of `node_exporter` leaves them out.
const LEFT_OUT: [&str; 3] = ["/dev", "/proc", "/sys"];
const LEFT_OUT_BELOW: [&str; 5] = [
    "/run/credentials",
    "/var/lib/containers/storage",
    "/var/lib/docker",
    "/var/lib/kubelet/plugins",
    "/var/lib/kubelet/pods",
];

#[cfg(test)]
pub(super) mod tests;
