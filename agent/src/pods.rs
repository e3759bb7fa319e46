//! Whether pods still run on this host, from the cgroup that the kubelet keeps them in.
//!
//! The kernel counts: `populated` is 1 as long as a live process is anywhere below. It knows
//! nothing of what the API server believes, and asks neither the kubelet nor a container runtime.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why it is unknown whether pods run.
#[derive(Debug, thiserror::Error)]
pub enum PodsError {
    /// The events of the pods' cgroup cannot be read.
    #[error("cannot read whether pods run from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file does not say whether the cgroup is populated.
    #[error("{} does not say whether pods run", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
    },
    /// No cgroup of version 2 is mounted, so that there is nothing to be found.
    #[error("{} is no cgroup of version 2", path.display())]
    Hierarchy {
        /// Where it should be.
        path: PathBuf,
    },
}

/// Returns whether a process of any pod is alive, from the cgroups below `sys`, the mount of
/// sysfs; none if there is no cgroup of pods, because no kubelet has made one in this boot.
///
/// Reads a few bytes of the kernel's own memory, and waits for nothing.
pub fn populated(sys: &Path) -> Result<Option<bool>, PodsError> {
    let hierarchy = sys.join("fs/cgroup");
    let mut found = None;
    for name in CGROUPS {
        let events = hierarchy.join(name).join("cgroup.events");
        if let Some(is_populated) = read(&events)? {
            found = Some(is_populated || found == Some(true));
        }
    }
    // Without the kernel's own file at the top, a missing cgroup proves nothing.
    if found.is_none() && !hierarchy.join("cgroup.controllers").exists() {
        return Err(PodsError::Hierarchy { path: hierarchy });
    }
    Ok(found)
}

/// Returns what one cgroup says; none if there is no such cgroup.
fn read(events: &Path) -> Result<Option<bool>, PodsError> {
    let mut text = String::new();
    match File::open(events).and_then(|file| file.take(EVENTS_MAX).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(gone) if is_gone(&gone) => return Ok(None),
        Err(source) => return Err(PodsError::Read { path: events.to_owned(), source }),
    }
    let is_populated = parse(&text).ok_or_else(|| PodsError::Parse { path: events.to_owned() })?;
    Ok(Some(is_populated))
}

/// A cgroup that is removed between opening and reading answers with `ENODEV`.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32)
}

/// `populated 1`, among lines of other names.
fn parse(events: &str) -> Option<bool> {
    match events.lines().find_map(|line| line.strip_prefix("populated "))? {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// The kubelet's, by its driver: `cgroupfs` (Talos) and `systemd`. A host whose driver was changed
/// has both until its next boot.
const CGROUPS: [&str; 2] = ["kubepods", "kubepods.slice"];
/// Two lines today.
const EVENTS_MAX: u64 = 4096;

#[cfg(test)]
mod tests;
