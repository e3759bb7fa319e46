//! A disk for data: an ext4 file system in an image, on a loop device that a container mounts.
//!
//! What it looks like after the power went is read from the image, as `fsck` finds it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::run;

/// An attached disk; detached when dropped.
#[derive(Debug)]
pub struct DataDisk {
    image: PathBuf,
    device: String,
}

impl DataDisk {
    /// Makes an empty file system in the image `image` and attaches it.
    pub fn make(image: &Path) -> Result<Self> {
        Self::make_by(image, &[])
    }

    /// As [`DataDisk::make`], with everything in it that is in `folder`.
    pub fn make_with(image: &Path, folder: &Path) -> Result<Self> {
        Self::make_by(image, &[Path::new("-d"), folder])
    }

    fn make_by(image: &Path, options: &[&Path]) -> Result<Self> {
        let file = File::create(image).context("make an image")?;
        file.set_len(BYTES).context("size an image")?;
        run("mkfs.ext4", [options, &[Path::new("-q"), image]].concat())?;
        let find = ["--find", "--show"].map(Path::new);
        let device = run("losetup", find.into_iter().chain([image]))?;
        Ok(Self { image: image.to_owned(), device: device.trim().to_owned() })
    }

    /// Returns the device, `/dev/loopN`.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Keeps what is on the disk at this moment. Call it right before a power cut: the kernel,
    /// which survives that, would write what a real one could not any more.
    pub fn keep_for_cut(&self) -> Result<()> {
        fs::copy(&self.image, self.kept()).context("copy a disk").map(drop)
    }

    /// Brings back what was on the disk at the cut, once nobody has it mounted any more.
    pub fn restore_cut(&self) -> Result<()> {
        let mut kept = File::open(self.kept()).context("open the copy of a disk")?;
        let mut image = OpenOptions::new().write(true).open(&self.image).context("open a disk")?;
        io::copy(&mut kept, &mut image).context("bring a disk back")?;
        image.sync_all().context("sync a disk")
    }

    /// Returns how it was left: by the last unmounting or, after a cut, in that moment.
    pub fn state(&self) -> Result<DiskState> {
        let text = run("dumpe2fs", [Path::new("-h"), &self.image])?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        Ok(DiskState {
            word: field("Filesystem state:"),
            needs_recovery: field("Filesystem features:").contains("needs_recovery"),
        })
    }

    fn kept(&self) -> PathBuf {
        self.image.with_extension("cut")
    }
}

impl Drop for DataDisk {
    fn drop(&mut self) {
        detach(&self.device);
    }
}

/// How a file system was left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiskState {
    /// The word of the superblock.
    pub word: String,
    /// Its journal holds what is not in its place yet.
    pub needs_recovery: bool,
}

/// Detaches every loop device whose image is in a folder that `is_orphan` by its path.
pub fn sweep(is_orphan: impl Fn(&Path) -> bool) {
    let list = run("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"]);
    for line in list.unwrap_or_default().lines() {
        if let Some((device, image)) = line.trim().split_once(char::is_whitespace)
            && is_orphan(Path::new(image.trim()))
        {
            detach(device);
        }
    }
}

fn detach(device: &str) {
    if run("losetup", ["--detach", device]).is_err() {
        // The kernel detaches it when the last mount is gone.
    }
}

/// Small, and big enough for a journal of its own.
const BYTES: u64 = 16 * 1024 * 1024;
