//! How the disks of this host fare, by SMART.
//!
//! The agent is not root and sees no disk. `curfew-smart.timer` of the Debian package has each one
//! asked every hour, and what `smartctl` says of it lies in a folder that root alone can write;
//! `systemd/lib/smart` describes the files. Here they are read, on a thread that may be given up,
//! and with a limit for each of them: what a disk says of itself is nothing to be trusted.
//!
//! What it means is judged in `health/smart.rs`.

mod answer;
mod file;
mod rise;

use std::path::PathBuf;
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::time::Instant;

pub use self::answer::{
    Answer, Attribute, AttributeFlags, Device, Endurance, Message, Named, NvmeLog, Raw, Smartctl,
    Status, Support, Table, Temperature, Versioned,
};
pub use self::file::SmartError;
pub use self::rise::Rise;

use self::file::Found;
use self::rise::Rises;
use crate::blocking::Asker;
use crate::clock;

/// What was found at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When.
    pub looked: Instant,
    /// From when on a disk is too hot, besides what it says itself, in degrees Celsius.
    pub hot_above: Option<u8>,
    /// What was there.
    pub sight: Sight,
}

/// What there was to see of the disks.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// This system has no `smartctl`.
    Impossible,
    /// Nobody has asked the disks since this machine was started.
    Unasked,
    /// `smartctl` is not installed.
    Missing,
    /// The disks were last asked so long ago.
    Old(Duration),
    /// One clause on why the answers cannot be read.
    Unreadable(String),
    /// The disks were asked.
    Asked(Disks),
}

/// The disks that were asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disks {
    /// By name.
    pub disks: Vec<Disk>,
    /// Names of disks that have no SMART by their nature.
    pub without: Vec<String>,
    /// How many more there are.
    pub left_out: u32,
}

/// One disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Its name, such as `sda`.
    pub name: String,
    /// Whether it was there to be asked.
    pub standing: Standing,
    /// The time since somebody tried to ask it.
    pub tried: Duration,
    /// The time since it answered; none if it never did.
    pub answered: Option<Duration>,
    /// What it said then; else one clause on why that cannot be read.
    pub answer: Option<Result<Box<Answer>, String>>,
    /// Counts that have risen of late.
    pub rises: Vec<Rise>,
}

/// Whether a disk was there to be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It answered.
    Answered,
    /// It sleeps, and was not woken.
    Asleep,
    /// It has not answered, so many times in a row.
    Silent(u32),
    /// The kernel has given it up.
    Offline,
    /// One that this agent does not know, or none: the file is no such file.
    Unknown,
}

impl Report {
    /// Returns whether it is too old to be shown.
    pub fn is_stale(&self) -> bool {
        self.sight != Sight::Impossible && self.looked.elapsed() >= STALE_AFTER
    }

    /// Returns the disks, if they were asked and that is not too long ago.
    pub fn disks(&self) -> &[Disk] {
        match &self.sight {
            Sight::Asked(asked) if !self.is_stale() => &asked.disks,
            Sight::Asked(_)
            | Sight::Impossible
            | Sight::Unasked
            | Sight::Missing
            | Sight::Old(_)
            | Sight::Unreadable(_) => &[],
        }
    }
}

impl Disk {
    /// Returns what it said last, if it is still there to stand by it.
    pub fn says(&self) -> Option<&Answer> {
        if self.is_left_out() {
            return None;
        }
        match self.standing {
            Standing::Answered | Standing::Asleep => self.answer.as_ref()?.as_deref().ok(),
            Standing::Silent(_) | Standing::Offline | Standing::Unknown => None,
        }
    }

    /// Returns whether nobody asks it any more, though others are asked.
    pub fn is_left_out(&self) -> bool {
        self.tried >= OLD_AFTER
    }

    /// Returns whether what changes by the hour, such as the temperature, is still so.
    pub fn is_fresh(&self) -> bool {
        self.answered.is_some_and(|age| age < OLD_AFTER)
    }
}

/// Reads the answers again and again.
#[derive(Debug)]
pub struct Smart {
    folder: PathBuf,
    hot_above: Option<u8>,
    asker: Asker,
    rises: Rises,
}

impl Smart {
    /// Takes the folder with the answers, and from when on a disk is too hot.
    pub fn new(folder: PathBuf, hot_above: Option<u8>) -> Self {
        Self { folder, hot_above, asker: Asker::new(READ_LIMIT), rises: Rises::default() }
    }

    /// Looks once.
    pub async fn look(&mut self) -> Report {
        let folder = self.folder.clone();
        let now = Duration::from_millis(clock::boot_ms());
        let found = self.asker.ask(move || file::read(&folder, now)).await;
        let looked = Instant::now();
        let sight = match found {
            Ok(Ok(found)) => self.sight(found, looked),
            Ok(Err(failed)) => Sight::Unreadable(Chain(&failed).to_string()),
            Err(failed) => Sight::Unreadable(Chain(&failed).to_string()),
        };
        Report { looked, hot_above: self.hot_above, sight }
    }

    fn sight(&mut self, found: Found, looked: Instant) -> Sight {
        let (age, mut disks) = match found {
            Found::Nothing => return Sight::Unasked,
            Found::Missing => return Sight::Missing,
            Found::Asked(age, disks) => (age, disks),
        };
        if age >= OLD_AFTER {
            return Sight::Old(age);
        }
        for disk in &mut disks.disks {
            if let Some(Ok(answer)) = &disk.answer {
                disk.rises = self.rises.see(&disk.name, answer, looked);
            }
        }
        Sight::Asked(disks)
    }
}

/// The files are in memory: milliseconds.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Five looks.
const STALE_AFTER: Duration = Duration::from_mins(5);
/// Two hourly rounds that were missed; one takes a quarter of an hour at most.
const OLD_AFTER: Duration = Duration::from_hours(3);

#[cfg(test)]
pub(crate) mod tests;
