//! The folder of a laboratory: removed at its end, kept when the story failed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder of its own below the system's temporary folder.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    is_kept: bool,
}

impl Directory {
    /// Makes the folder of the laboratory called `name`.
    pub fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self { path, is_kept: false })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder for those who look into a failure; the next laboratory removes it.
    pub const fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Returns the path of `name` in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_kept && fs::remove_dir_all(&self.path).is_err() {
            // The next laboratory sweeps it away: see `ground::sweep`.
        }
    }
}

/// Writes `text` to a new file at `path`, or over an old one.
pub fn write(path: &Path, text: &str) -> Result<()> {
    write_mode(path, text, 0o644)
}

/// As [`write()`], with the permissions of a file that holds a secret.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    write_mode(path, text, 0o600)
}

/// As [`write()`], with the permissions of a program.
pub fn write_program(path: &Path, text: &str) -> Result<()> {
    write_mode(path, text, 0o755)
}

/// Replaces the file at `path` so that no reader sees half of it.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("fresh");
    write(&fresh, text)?;
    fs::rename(&fresh, path).with_context(|| format!("replace {}", path.display()))
}

/// Returns the last `count` lines of the file at `path`, if there is one.
pub fn tail(path: &Path, count: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_else(|error| format!("({}: {error})", path.display()));
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

fn write_mode(path: &Path, text: &str, mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let open = || -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)
    };
    open()
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}
