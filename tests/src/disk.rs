//! A disk of its own for a state directory, which can become full.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::run;

/// A small file system in memory, mounted until this is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one at `path`, an empty folder.
    pub fn mount(path: &Path) -> Result<Self> {
        let (kind, size) = (["-t", "tmpfs"], ["-o", "size=1m", "curfew-lab"]);
        run("mount", [&kind[..], &size[..]].concat().into_iter().map(Path::new).chain([path]))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Fills it up, to the last byte.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.path.join("filler")).context("make a file")?;
        let block = [0; 4096];
        loop {
            match file.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("fill a disk"),
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// Takes the file system at `path` away, also while a process holds it.
pub(crate) fn unmount(path: &Path) {
    if run("umount", [Path::new("--lazy"), path]).is_err() {
        // It is not there any more.
    }
}
