//! Which file system a path lies in: the mounts of the machine, and what `/etc/fstab` plans.
//!
//! The table of process 1 is the machine's; an agent that may not see it has its own, in which a
//! sandbox makes everything read-only: of that, only what the file system says itself counts.

use std::path::{Path, PathBuf};

use super::source::{self, Roots, Unread, lines};
use crate::mountinfo::{self, Line};

/// The mounts of the machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountTable {
    /// In the order in which they were made.
    pub filesystems: Vec<Filesystem>,
    /// Whose they are: the machine's, or those of this agent's namespace.
    pub is_of_init: bool,
}

/// One mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filesystem {
    /// Where.
    pub point: PathBuf,
    /// Of which type.
    pub kind: String,
    /// The file system itself takes no writes.
    pub is_read_only: bool,
    /// This mount of it takes none.
    pub is_mount_read_only: bool,
    /// A sandbox has put it there to hide what lies below.
    pub is_veil: bool,
}

impl Filesystem {
    /// Returns whether asking for its room asks nobody but this machine's own disks and memory.
    pub fn is_local(&self) -> bool {
        LOCAL.contains(&self.kind.as_str())
    }

    /// Returns whether it only waits for somebody to mount what belongs there.
    pub fn is_automount(&self) -> bool {
        self.kind == "autofs"
    }
}

/// Reads the machine's mounts, else those of our own namespace.
pub(super) fn read(roots: &Roots) -> Result<MountTable, Unread> {
    let of = |table: &str| source::parsed(&roots.in_proc(table), TABLE_MAX, parse);
    match of("1/mountinfo") {
        Ok(filesystems) => Ok(MountTable { filesystems, is_of_init: true }),
        Err(_hidden) => {
            of("self/mountinfo").map(|filesystems| MountTable { filesystems, is_of_init: false })
        }
    }
}

/// Returns the mount that holds `path`: the deepest above it, and of those the last.
pub(super) fn holding<'a>(path: &Path, all: &'a [Filesystem]) -> Option<&'a Filesystem> {
    let above = all.iter().filter(|it| path.starts_with(&it.point));
    above.max_by_key(|it| it.point.components().count())
}

/// Returns the mounts, or the number of the first wrong line.
fn parse(table: &[u8]) -> Result<Vec<Filesystem>, usize> {
    let all: Result<Vec<_>, _> =
        lines(table).map(|(number, line)| parse_line(line).ok_or(number)).collect();
    // No real table is empty.
    all.and_then(|all| if all.is_empty() { Err(1) } else { Ok(all) })
}

fn parse_line(line: &[u8]) -> Option<Filesystem> {
    let line = Line::parse(line)?;
    Some(Filesystem {
        point: mountinfo::path(line.point),
        kind: String::from_utf8_lossy(line.kind).into_owned(),
        is_read_only: line.is_read_only(),
        is_mount_read_only: line.is_mount_read_only(),
        is_veil: line.root.starts_with(VEIL),
    })
}

/// Returns where `/etc/fstab` mounts something, but for the root; a line that it would not
/// understand either plans nothing.
pub(super) fn parse_fstab(text: &[u8]) -> Vec<PathBuf> {
    let points = lines(text).filter_map(|(_, line)| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|it| !it.is_empty());
        fields.next().filter(|device| !device.starts_with(b"#"))?;
        Some(mountinfo::path(fields.next()?))
    });
    points.filter(|point| point.is_absolute() && *point != Path::new("/")).collect()
}

/// File systems of this machine's own disks and memory. Those of others (`nfs`, `fuse.…`) may hang.
const LOCAL: [&str; 13] = [
    "ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "vfat", "exfat",
    "tmpfs", "overlay",
];
/// From where systemd covers what a unit may not see, within the file system of `/run`.
const VEIL: &[u8] = b"/systemd/inaccessible/";
/// Some 50 000 mounts of 300 bytes, a hundred times what a busy Kubernetes node has.
const TABLE_MAX: usize = 16 << 20;
/// Some 10 000 lines.
pub(super) const FSTAB_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_the_deepest_mounts_holds_a_path() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      2 1 8:2 / /srv ro,relatime shared:1 - ext4 /dev/sdb1 rw\n\
                      3 1 8:3 / /srv rw - xfs /dev/sdc1 ro,noquota\n\
                      4 1 8:4 / /srv\\040x rw - ext4 /dev/sdd1 rw\n";
        let all = parse(table).unwrap();
        let at = |path: &str| holding(Path::new(path), &all).unwrap().clone();
        assert_eq!(at("/srv/media").kind, "xfs");
        assert!(at("/srv").is_read_only && !at("/srv").is_mount_read_only);
        assert_eq!(at("/srv x/y").point, Path::new("/srv x"));
        assert_eq!(at("/srvx").point, Path::new("/"));
        assert_eq!(parse(b""), Err(1));
        assert_eq!(parse(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\nx\n"), Err(2));
    }

    #[test]
    fn fstab_plans_mount_points() {
        let text = b"# /etc/fstab\nUUID=1 / ext4 defaults 0 1\n/dev/sdb1\t/srv\\040a  ext4 rw\n\
                     /dev/sdc2 none swap sw 0 0\n  # a comment\nnonsense\n";
        assert_eq!(parse_fstab(text), [PathBuf::from("/srv a")]);
    }

    #[test]
    fn parsing_never_panics() {
        proptest::proptest!(|(bytes: Vec<u8>)| {
            drop(parse(&bytes));
            drop(parse_fstab(&bytes));
        });
    }
}
