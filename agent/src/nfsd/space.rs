//! How much room an export has left, by `statvfs` in a thread of its own, with a deadline.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use crate::blocking::Asker;

/// The room that is left, each as a part of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Space {
    /// Bytes, as far as others than root may use them.
    pub free: f64,
    /// Inodes; none where the file system makes them as it needs them.
    pub inodes_free: Option<f64>,
}

/// Asks for the room of one path.
#[derive(Clone, Debug)]
pub struct Gauge {
    path: PathBuf,
    asker: Asker,
}

impl Gauge {
    /// Takes a path of a file system of this machine.
    pub fn new(path: PathBuf) -> Self {
        Self { path, asker: Asker::new(ASK_LIMIT) }
    }

    /// Asks once, for two seconds at most; none if that fails. While one hangs no second is begun.
    pub async fn ask(&self) -> Option<Space> {
        let path = self.path.clone();
        let room = self.asker.ask(move || statvfs(&path)).await.ok()?.ok()?;
        Some(Space {
            free: part(room.blocks_available(), room.blocks())?,
            inodes_free: part(room.files_available(), room.files()),
        })
    }
}

/// Returns a part of the whole; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "a ratio; exact below 2^53 blocks")]
fn part(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A disk that spins up takes longer than one that runs, but not that long for its superblock,
/// which is in memory.
const ASK_LIMIT: Duration = Duration::from_secs(2);
