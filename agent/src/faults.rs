//! What the kernel counts, without any rights, of what disks and file systems got wrong.
//!
//! All of it is in sysfs, which asks no device: a disk that hangs answers here as any other does.
//! What disks say of themselves is SMART, and another matter. `/etc/fstab` is read besides: what it
//! mounts for writing ought to take writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::escape::unescape;

/// Why they are unknown.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// The disks cannot be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// All that was found at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Faults {
    /// Of each disk, by its name.
    pub disks: BTreeMap<String, Disk>,
    /// The state of each controller of `NVMe`, by its name.
    pub controllers: BTreeMap<String, String>,
    /// How many errors each file system that counts them has ever had, by its type and device.
    pub filesystems: BTreeMap<String, u64>,
    /// The arrays that are containers of others: firmware's metadata, never active themselves.
    pub containers: BTreeSet<String>,
    /// Which mount points the host's `/etc/fstab` has, and whether for writing.
    pub planned: BTreeMap<PathBuf, bool>,
}

/// What is counted of a disk on a bus that speaks SCSI, which SATA and USB do; none of the rest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Disk {
    /// The kernel's word for whether it can be used.
    pub state: Option<String>,
    /// Commands that ended with anything but success, harmless ones among them; none of a drive
    /// whose medium can be taken out.
    pub errors: Option<u64>,
    /// Commands that got no answer; older kernels do not count them.
    pub timeouts: Option<u64>,
}

/// Reads everything; what one device does not show is left out.
pub fn read(sys: &Path, root: &Path) -> Result<Faults, FaultsError> {
    let block = sys.join("block");
    let names = list(&block).map_err(|source| FaultsError::List { path: block.clone(), source })?;
    let containers = names.iter().filter(|name| is_container(&block.join(name))).cloned().collect();
    let disks = names.into_iter().filter_map(|name| {
        let disk = disk(&name, &block.join(&name));
        (disk != Disk::default()).then_some((name, disk))
    });
    let class = sys.join("class/nvme");
    let controllers = list(&class).unwrap_or_default().into_iter().filter_map(|name| {
        let state = text(&class.join(&name).join("state"))?;
        Some((name, state))
    });
    let mut filesystems = ext4(&sys.join("fs/ext4"));
    filesystems.extend(btrfs(&sys.join("fs/btrfs")));
    Ok(Faults {
        disks: disks.collect(),
        controllers: controllers.collect(),
        filesystems,
        containers,
        planned: planned(&root.join("etc/fstab")),
    })
}

fn disk(name: &str, block: &Path) -> Disk {
    let device = block.join("device");
    // One of `NVMe` has its state in the same place; it is told with its controller.
    let errors = text(&device.join("ioerr_cnt")).as_deref().and_then(hexadecimal);
    let timeouts = text(&device.join("iotmo_cnt")).as_deref().and_then(hexadecimal);
    let state = errors.and_then(|_| text(&device.join("state")));
    // The kernel asks a drive whether there is a medium in it every two seconds, and each time that
    // there is none counts as an error.
    let has_medium = text(&block.join("removable")).is_none_or(|removable| removable == "0")
        && !name.starts_with("sr");
    let counted = |count: Option<u64>| count.filter(|_| has_medium);
    Disk { state, errors: counted(errors), timeouts: counted(timeouts) }
}

/// A container says `external:imsm` or `external:ddf`, an array in it `external:/md127/0`, with a
/// minus instead of the slash while its metadata must not be written.
fn is_container(block: &Path) -> bool {
    let metadata = text(&block.join("md/metadata_version"));
    let external = metadata.as_deref().and_then(|metadata| metadata.strip_prefix("external:"));
    external.is_some_and(|of| !of.starts_with(['/', '-']))
}

/// `errors_count` is in the superblock, so that it counts from one check of the disk to the next.
fn ext4(folder: &Path) -> BTreeMap<String, u64> {
    let counts = list(folder).unwrap_or_default().into_iter().filter_map(|name| {
        let count = text(&folder.join(&name).join("errors_count"))?.parse().ok()?;
        Some((format!("ext4 on {name}"), count))
    });
    counts.collect()
}

/// Five counters of each device of each file system, which last until they are reset.
fn btrfs(folder: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for id in list(folder).unwrap_or_default() {
        let infos = folder.join(&id).join("devinfo");
        let all = list(&infos).unwrap_or_default().into_iter().filter_map(|device| {
            let stats = text(&infos.join(device).join("error_stats"))?;
            let numbers = stats.lines().filter_map(|line| line.split_once(' '));
            Some(numbers.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>())
        });
        let all: Vec<u64> = all.collect();
        if all.is_empty() {
            continue;
        }
        let devices = list(&folder.join(&id).join("devices")).unwrap_or_default();
        let name = devices.into_iter().next().unwrap_or(id);
        counts.insert(format!("btrfs on {name}"), all.iter().sum());
    }
    counts
}

fn planned(fstab: &Path) -> BTreeMap<PathBuf, bool> {
    let Some(table) = text(fstab) else { return BTreeMap::new() };
    let entries = table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.next().filter(|device| !device.starts_with('#'))?;
        let (point, _kind) = (fields.next()?, fields.next()?);
        let options = fields.next().unwrap_or("defaults");
        let is_for_writing = options.split(',').all(|option| option != "ro");
        let point = String::from_utf8(unescape(point.as_bytes())).ok()?;
        point.starts_with('/').then(|| (PathBuf::from(point), is_for_writing))
    });
    entries.collect()
}

/// Returns the names in a folder, sorted.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        // What is not UTF-8 has not been named by the kernel.
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Attributes of sysfs have a page at most; an `/etc/fstab` some thousand lines.
const FILE_MAX: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    #[test]
    fn what_the_kernel_counts_is_read() {
        let tree = TestDirectory::new();
        for (file, text) in [
            ("sys/block/sda/device/state", "running\n"),
            ("sys/block/sda/device/ioerr_cnt", "0x1f\n"),
            ("sys/block/sda/device/iotmo_cnt", "0x2\n"),
            ("sys/block/sdb/device/state", "offline\n"),
            ("sys/block/sdb/device/ioerr_cnt", "0x0\n"),
            ("sys/block/sdf/device/state", "running\n"),
            ("sys/block/sdf/device/ioerr_cnt", "0x9f3\n"),
            ("sys/block/sdf/removable", "1\n"),
            ("sys/block/sr0/device/state", "running\n"),
            ("sys/block/sr0/device/ioerr_cnt", "0x4\n"),
            ("sys/block/sr0/device/iotmo_cnt", "0x1\n"),
            ("sys/block/sdb/removable", "0\n"),
            ("sys/block/nvme0n1/device/state", "live\n"),
            ("sys/block/vda/size", "1\n"),
            ("sys/block/md0/md/metadata_version", "1.2\n"),
            ("sys/block/md126/md/metadata_version", "external:/md127/0\n"),
            ("sys/block/md125/md/metadata_version", "external:-md127/1\n"),
            ("sys/block/md127/md/metadata_version", "external:imsm\n"),
            ("sys/class/nvme/nvme0/state", "live\n"),
            ("sys/fs/ext4/sda1/errors_count", "3\n"),
            ("sys/fs/ext4/features/lazy_itable_init", "supported\n"),
            ("sys/fs/btrfs/features/raid56", "0\n"),
            ("sys/fs/btrfs/5af0/devinfo/1/error_stats", "write_errs 1\nread_errs 4\n"),
            ("sys/fs/btrfs/5af0/devinfo/2/error_stats", "write_errs 0\nread_errs 2\n"),
            ("sys/fs/btrfs/5af0/devices/sdc/size", "1\n"),
            (
                "root/etc/fstab",
                "# <device>\nUUID=1 / ext4 errors=remount-ro 0 1\n\
                 /dev/sdd1 /a\\040b xfs ro,noatime\n\
                 /dev/sde none swap sw 0 0\nnfs:/srv\n",
            ),
        ] {
            tree.write(file, text);
        }
        let faults = read(&tree.path().join("sys"), &tree.path().join("root")).unwrap();
        let disk = |state: &str, errors, timeouts| Disk {
            state: Some(state.to_owned()),
            errors,
            timeouts,
        };
        let disks = [
            ("sda", disk("running", Some(31), Some(2))),
            ("sdb", disk("offline", Some(0), None)),
            ("sdf", disk("running", None, None)),
            ("sr0", disk("running", None, None)),
        ];
        assert_eq!(faults.disks, disks.map(|(name, disk)| (name.to_owned(), disk)).into());
        assert_eq!(faults.controllers, [("nvme0".to_owned(), "live".to_owned())].into());
        let counts = [("ext4 on sda1", 3), ("btrfs on sdc", 7)];
        assert_eq!(faults.filesystems, counts.map(|(name, n)| (name.to_owned(), n)).into());
        assert_eq!(faults.containers, ["md127".to_owned()].into());
        let planned = [("/".into(), true), ("/a b".into(), false)];
        assert_eq!(faults.planned, planned.into());
    }

    #[test]
    fn without_sysfs_nothing_is_known() {
        let tree = TestDirectory::new();
        let why = read(tree.path(), tree.path()).unwrap_err().to_string();
        assert!(why.ends_with("/block"), "{why}");
    }

    #[test]
    fn this_machine_can_be_read() {
        read(Path::new("/sys"), Path::new("/")).unwrap();
    }
}
