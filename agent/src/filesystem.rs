//! How full the local file systems of this host are.
//!
//! Only local types are ever asked, each in a thread that may be given up: one that hangs costs
//! that thread and says so, and no second one is begun beside it. Nothing is opened, so nothing is
//! held that somebody wants to unmount.
//!
//! In a container only what is mounted there can be asked. On Talos that is EPHEMERAL, of which
//! the state directory is a part; file systems that the host has besides are known by name alone.

mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use curfew_nut::error::Chain;
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

use self::table::{Mount, Table};
use crate::blocking::{AskError, Asker};
use crate::mountinfo::{DeviceNumber, TABLE_MAX};

/// Why the file systems are unknown.
#[derive(Debug, thiserror::Error)]
pub enum FilesystemsError {
    /// A mount table cannot be read.
    #[error("cannot read the mounts from {}", path.display())]
    Read {
        /// The table.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not one.
    #[error("{} is no mountinfo at line {line}", path.display())]
    Parse {
        /// The table.
        path: PathBuf,
        /// The first line that is wrong, from 1.
        line: usize,
    },
    /// The kernel has not answered in time.
    #[error("the mount tables cannot be read in time")]
    Wait(#[source] AskError),
}

/// All that was found at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When.
    pub looked: Instant,
    /// The local file systems, by mount point; else one clause on why they are unknown.
    pub filesystems: Result<Vec<Filesystem>, String>,
    /// How many more there are.
    pub left_out: usize,
}

/// One file system of this host.
#[derive(Clone, Debug, PartialEq)]
pub struct Filesystem {
    /// Where the host has it.
    pub point: PathBuf,
    /// What it lies on.
    pub device: String,
    /// Its type.
    pub kind: String,
    /// The kernel's number of it.
    pub number: DeviceNumber,
    /// It takes no writes.
    pub is_read_only: bool,
    /// It takes none any more though it is mounted for writing: the kernel has seen an error.
    pub is_taken_back: bool,
    /// How full it is.
    pub measured: Measured,
}

/// How full a file system is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Measured {
    /// So full.
    Room(Room),
    /// It is not mounted where this agent lives.
    Elsewhere,
    /// It was asked, and this went wrong.
    Failed(String),
}

/// Bytes and inodes of a file system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// All bytes.
    pub size: u64,
    /// Those that nothing is in.
    pub free: u64,
    /// Of these, what others than root may use.
    pub available: u64,
    /// All inodes; 0 where they are made as needed.
    pub files: u64,
    /// Those that are free.
    pub files_free: u64,
}

impl Report {
    /// Returns whether it is too old to be shown.
    pub fn is_stale(&self) -> bool {
        self.looked.elapsed() >= STALE_AFTER
    }
}

impl Room {
    /// Returns the part that others than root may still use: of bytes or inodes, what is less.
    pub fn left(&self) -> Option<f64> {
        let bytes = part(self.available, self.size)?;
        Some(part(self.files_free, self.files).map_or(bytes, |files| files.min(bytes)))
    }
}

/// Where the mount tables are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tables {
    /// The host's: the first of these that can be read.
    pub host: Vec<PathBuf>,
    /// That of the namespace in which this agent lives.
    pub own: PathBuf,
}

/// Looks at the file systems again and again.
#[derive(Debug)]
pub struct Filesystems {
    tables: Tables,
    reader: Asker,
    /// One for each, so that one that hangs holds up no other.
    askers: BTreeMap<DeviceNumber, Asker>,
    /// Asks the kernel; another one in tests.
    ask: fn(&Path) -> Result<Room, Errno>,
}

impl Filesystems {
    /// Takes where the mount tables are.
    pub fn new(tables: Tables) -> Self {
        Self { tables, reader: Asker::new(READ_LIMIT), askers: BTreeMap::new(), ask: room }
    }

    /// Looks once; each file system that hangs for the first time costs a second.
    pub async fn look(&mut self) -> Report {
        let tables = self.tables.clone();
        let found = self.reader.ask(move || read(&tables)).await;
        let found = found.map_err(FilesystemsError::Wait).and_then(|read| read);
        let looked = Instant::now();
        match found {
            Ok(found) => {
                let (filesystems, left_out) = self.measure(found).await;
                Report { looked, filesystems: Ok(filesystems), left_out }
            }
            Err(failed) => {
                let why = Chain(&failed).to_string();
                Report { looked, filesystems: Err(why), left_out: 0 }
            }
        }
    }

    async fn measure(&mut self, mut found: Vec<Found>) -> (Vec<Filesystem>, usize) {
        let left_out = found.len().saturating_sub(FILESYSTEMS_MAX);
        found.truncate(FILESYSTEMS_MAX);
        // Forgets those that are gone; a thread that hangs in one ends by itself or never.
        self.askers.retain(|number, _| found.iter().any(|it| it.filesystem.number == *number));
        let mut filesystems = Vec::with_capacity(found.len());
        for Found { mut filesystem, way, place } in found {
            if let Some(way) = way {
                let asker = self.askers.entry(filesystem.number);
                let asker = asker.or_insert_with(|| Asker::new(ASK_LIMIT));
                let room = self.ask;
                let is_file = move || place.is_some_and(|place| place.is_file());
                let answer = asker.ask(move || (!is_file()).then(|| room(&way))).await;
                let Some(answer) = answer.transpose() else { continue };
                filesystem.measured = measured(answer);
            }
            filesystems.push(filesystem);
        }
        (filesystems, left_out)
    }
}

/// A file system, not measured yet, and the path to ask it by.
struct Found {
    filesystem: Filesystem,
    way: Option<PathBuf>,
    /// Where it is for this agent, if it is a part that is bound there: it may be a single file.
    place: Option<PathBuf>,
}

/// Reads both tables; blocks as long as the kernel does.
fn read(tables: &Tables) -> Result<Vec<Found>, FilesystemsError> {
    let (host, is_of_init) = read_host(&tables.host)?;
    let own = read_table(&tables.own)?;
    let (ways, reachable) = (own.ways(), own.reachable());
    let found = host.filesystems().into_iter().filter_map(|mount| {
        let way = ways.get(&mount.number).cloned();
        let is_here = mount.is_part() && reachable.iter().any(|own| own.is_same(mount));
        let place = is_here.then(|| mount.point.clone());
        // What is in memory only and cannot be asked, such as the secrets of pods, is of no use.
        let is_of_use = way.is_some() || mount.is_on_disk();
        is_of_use.then(|| Found { filesystem: Filesystem::of(mount, is_of_init), way, place })
    });
    Ok(found.collect())
}

/// Returns the host's table, and whether it is that of the host's first process: in a namespace of
/// our own a sandbox makes everything read-only.
fn read_host(candidates: &[PathBuf]) -> Result<(Table, bool), FilesystemsError> {
    let mut failed = None;
    for (index, path) in candidates.iter().enumerate() {
        match read_table(path) {
            Ok(table) => return Ok((table, index == 0)),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.unwrap_or_else(|| FilesystemsError::Parse { path: PathBuf::new(), line: 0 }))
}

fn read_table(path: &Path) -> Result<Table, FilesystemsError> {
    let mut table = Vec::new();
    File::open(path)
        .and_then(|file| file.take(TABLE_MAX).read_to_end(&mut table))
        .map_err(|source| FilesystemsError::Read { path: path.to_owned(), source })?;
    Table::parse(&table).map_err(|line| FilesystemsError::Parse { path: path.to_owned(), line })
}

impl Filesystem {
    fn of(mount: &Mount, is_of_init: bool) -> Self {
        Self {
            point: mount.point.clone(),
            device: mount.source.clone(),
            kind: mount.kind.clone(),
            number: mount.number,
            is_read_only: mount.is_read_only || (is_of_init && mount.is_mount_read_only),
            is_taken_back: mount.is_read_only && !mount.is_mount_read_only,
            measured: Measured::Elsewhere,
        }
    }
}

fn measured(answer: Result<Result<Room, Errno>, AskError>) -> Measured {
    match answer {
        Ok(Ok(room)) => Measured::Room(room),
        Ok(Err(refused)) => Measured::Failed(refused.desc().to_lowercase()),
        // The same words however long it lasts: they are a label.
        Err(_unanswered) => Measured::Failed("does not answer".to_owned()),
    }
}

fn room(way: &Path) -> Result<Room, Errno> {
    let found = statvfs(way)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
    Ok(Room {
        size: bytes(found.blocks()),
        free: bytes(found.blocks_free()),
        available: bytes(found.blocks_available()),
        files: found.files(),
        files_free: found.files_free(),
    })
}

/// Returns one number as a part of another; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "a ratio; exact below 2^53 bytes")]
pub(crate) fn part(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The kernel reads its own memory: milliseconds, unless a mount in the making holds the table.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// A superblock is in memory.
const ASK_LIMIT: Duration = Duration::from_secs(1);
/// Far more than a home's machine has; each has ten series.
const FILESYSTEMS_MAX: usize = 64;
/// Four looks.
const STALE_AFTER: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
