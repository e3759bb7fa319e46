//! The cgroup of a container: whatever happens, all of its processes can be found and ended here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ground::now;
use crate::lab::pass_a_moment;

/// A cgroup in each hierarchy that systemd uses.
#[derive(Debug)]
pub struct Cgroup {
    name: String,
}

impl Cgroup {
    /// Makes the cgroup called `name`; one that is there is taken over.
    pub fn make(name: &str) -> Result<Self> {
        for folder in folders(name) {
            fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        Ok(Self { name: name.to_owned() })
    }

    /// Returns the files by which a process enters it.
    pub fn entrances(&self) -> Vec<PathBuf> {
        folders(&self.name).map(|folder| folder.join(PROCESSES)).collect()
    }

    /// Returns its processes.
    pub fn pids(&self) -> Vec<Pid> {
        pids(&self.name)
    }

    /// Ends every process in it at once, and waits until none is left.
    pub fn end(&self) -> Result<()> {
        end(&self.name)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Ends what is left of the cgroup called `name`, and removes it.
pub fn remove(name: &str) {
    if end(name).is_err() {
        // Nothing more can be done about a process that the kernel does not let go.
    }
    for folder in folders(name) {
        for below in tree(&folder) {
            if fs::remove_dir(&below).is_err() {
                // It still holds such a process, or another laboratory sweeps it, too.
            }
        }
    }
}

/// Returns the names of the cgroups at the top, to find leftovers among them.
pub fn names() -> Vec<String> {
    let names = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    };
    hierarchies().into_iter().flat_map(names).collect()
}

/// Returns where systemd keeps its cgroups: one place, or two where both versions are in use.
pub(super) fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let both = ["systemd", "unified"].map(|name| root.join(name));
    both.into_iter().filter(|folder| folder.is_dir()).collect()
}

fn folders(name: &str) -> impl Iterator<Item = PathBuf> {
    hierarchies().into_iter().map(move |hierarchy| hierarchy.join(name))
}

fn end(name: &str) -> Result<()> {
    let limit = now() + LIMIT;
    loop {
        let pids = pids(name);
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            if kill(pid, Signal::SIGKILL).is_err() {
                // It ended by itself in the meantime.
            }
        }
        if now() >= limit {
            bail!("processes of {name} cannot be ended");
        }
        pass_a_moment();
    }
}

fn pids(name: &str) -> Vec<Pid> {
    let files = folders(name).flat_map(|folder| tree(&folder));
    let texts = files.filter_map(|folder| fs::read_to_string(folder.join(PROCESSES)).ok());
    let mut pids: Vec<i32> =
        texts.flat_map(|text| text.lines().flat_map(str::parse).collect::<Vec<_>>()).collect();
    pids.sort_unstable();
    pids.dedup();
    // A zero stands for a process of another pid namespace.
    pids.into_iter().filter(|pid| *pid > 0).map(Pid::from_raw).collect()
}

/// Returns `folder` and all folders below it, each after those that it holds.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut folders: Vec<_> = below.flat_map(|path| tree(&path)).collect();
    folders.push(folder.to_owned());
    folders
}

const PROCESSES: &str = "cgroup.procs";
/// The kernel ends a process as soon as it leaves a system call.
const LIMIT: Duration = Duration::from_secs(5);
