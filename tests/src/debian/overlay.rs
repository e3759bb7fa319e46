//! The root file system of a container: what is installed, shared by all, under what it wrote.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disk::unmount;
use crate::process::run;

/// A mounted overlay; unmounted when dropped, what was written stays in its folder.
///
/// It is a file system of its own, which a container can make read-only without touching those of
/// this machine.
#[derive(Debug)]
pub struct Overlay {
    folder: PathBuf,
    layers: Vec<PathBuf>,
}

impl Overlay {
    /// Mounts `layers`, the topmost first, with everything that is written in `folder`.
    pub fn mount(folder: &Path, layers: &[PathBuf]) -> Result<Self> {
        for name in ["upper", "work", "root"] {
            fs::create_dir_all(folder.join(name)).context("make the folders of an overlay")?;
        }
        let overlay = Self { folder: folder.to_owned(), layers: layers.to_vec() };
        overlay.attach()?;
        Ok(overlay)
    }

    /// Returns the folder with the whole tree.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Mounts it anew, writable, as a disk is after a boot.
    pub fn remount(&self) -> Result<()> {
        unmount(&self.root());
        self.attach()
    }

    fn attach(&self) -> Result<()> {
        let lower: Vec<_> = self.layers.iter().map(|layer| layer.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            self.folder.join("upper").display(),
            self.folder.join("work").display()
        );
        let args = ["-t", "overlay", "curfew-lab", "-o", &options].map(AsRef::as_ref);
        run("mount", args.into_iter().chain([self.root().as_os_str()])).map(drop)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        unmount(&self.root());
    }
}
