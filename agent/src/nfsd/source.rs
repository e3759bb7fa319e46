//! Files below configurable roots, read whole and never beyond a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the files are, as `[host.paths]` has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Roots {
    /// The proc file system.
    pub proc: PathBuf,
    /// What stands before every other path.
    pub root: PathBuf,
}

/// Why something is unknown. Cheap to copy, since it is shown for as long as it lasts.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unread {
    /// The file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// It is longer, or has more entries, than any that we would believe.
    #[error("{} is longer than {limit}", path.display())]
    TooLong {
        /// What was to be read.
        path: PathBuf,
        /// The most that is believed.
        limit: usize,
    },
    /// It is not what it should be.
    #[error("{} makes no sense at line {line}", path.display())]
    Parse {
        /// What was read.
        path: PathBuf,
        /// The first line that is wrong, from 1.
        line: usize,
    },
}

impl PartialEq for Unread {
    /// Two are the same if a person would be told the same.
    fn eq(&self, other: &Self) -> bool {
        self.sentence() == other.sentence()
    }
}

impl Unread {
    /// Returns whether the file does not exist, which is an answer too for some.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Returns whether rights are what is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(
            self,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied
        )
    }

    /// Returns the clause with its cause.
    pub fn sentence(&self) -> String {
        match self {
            Self::Read { source, .. } => format!("{self} ({source})"),
            Self::TooLong { .. } | Self::Parse { .. } => self.to_string(),
        }
    }
}

impl Roots {
    /// Returns a path of the proc file system.
    pub fn in_proc(&self, path: &str) -> PathBuf {
        self.proc.join(path)
    }

    /// Returns where an absolute path is.
    pub fn in_root(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Reads a file of at most `limit` bytes; blocks as long as the kernel does.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut content))
        .map_err(|source| unread(path, source))?;
    if content.len() > limit {
        return Err(Unread::TooLong { path: path.to_owned(), limit });
    }
    Ok(content)
}

/// Reads a file and what it says; `parse` returns the number of the first wrong line.
pub(super) fn parsed<T>(
    path: &Path,
    limit: usize,
    parse: impl FnOnce(&[u8]) -> Result<T, usize>,
) -> Result<T, Unread> {
    parse(&read(path, limit)?).map_err(|line| Unread::Parse { path: path.to_owned(), line })
}

pub(super) fn unread(path: &Path, source: io::Error) -> Unread {
    Unread::Read { path: path.to_owned(), source: Arc::new(source) }
}

/// Returns the lines with something in them, numbered from 1.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|&byte| byte == b'\n').enumerate();
    lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(|(index, line)| (index + 1, line))
}

/// Reads a file that holds one number.
pub(super) fn number(path: &Path) -> Result<u64, Unread> {
    parsed(path, SHORT_MAX, |text| {
        std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).ok_or(1)
    })
}

/// Files of one line.
pub(super) const SHORT_MAX: usize = 4096;
