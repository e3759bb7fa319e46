//! Whether this machine can boot Debian machines.

use std::fs::{create_dir, remove_dir};
use std::path::Path;

use anyhow::{Result, bail};
use nix::unistd::Uid;

use crate::debian::cgroup;
use crate::ground;

/// Returns what this machine lacks and no package can give; none if it can boot others.
pub fn missing() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("it must be run as root".to_owned());
    }
    for hierarchy in cgroup::hierarchies() {
        let probe = hierarchy.join(format!("{}-probe", ground::unique_name()));
        if let Err(error) = create_dir(&probe) {
            return Some(format!("no cgroup can be made in {}: {error}", hierarchy.display()));
        }
        if let Err(error) = remove_dir(&probe) {
            return Some(format!("a cgroup cannot be removed: {error}"));
        }
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let knows = |wanted: &&str| filesystems.lines().any(|line| line.ends_with(*wanted));
    let unknown = ["overlay", "ext4"].into_iter().find(|wanted| !knows(wanted));
    if let Some(unknown) = unknown {
        return Some(format!("this kernel has no file system {unknown}"));
    }
    (!Path::new("/dev/loop-control").exists()).then(|| "there are no loop devices".to_owned())
}

/// Says that the story cannot be played here and why, in one line; returns whether it can.
#[expect(clippy::print_stderr, reason = "who runs the stories must see which were skipped")]
pub fn can_be_played() -> bool {
    let missing = missing();
    if let Some(missing) = &missing {
        eprintln!("SKIPPED: a booted Debian machine is needed, and {missing}");
    }
    missing.is_none()
}

/// Fails with the remedy when a program is missing.
pub(super) fn require_programs() -> Result<()> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(path, _)| !Path::new(path).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    bail!(
        "the stories of booted Debian machines need more programs: \
         apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Each with the package that holds it, packages in order.
const PROGRAMS: [(&str, &str); 6] = [
    ("/usr/bin/strip", "binutils"),
    ("/sbin/mkfs.ext4", "e2fsprogs"),
    ("/usr/bin/mmdebstrap", "mmdebstrap"),
    ("/sbin/losetup", "mount"),
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/usr/bin/nsenter", "util-linux"),
];
