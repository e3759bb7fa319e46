//! The eyes of an NFS server: its threads, its exports, and whom it has as clients.
//!
//! All of it comes from files of the kernel and of `nfs-utils`, read in a thread of their own, one
//! look at a time, with a deadline; nothing is asked of a client, no name is resolved and no path
//! of a client is touched. What cannot be read is an [`Unread`] and never an empty list: *unknown*
//! counts as "still there".
//!
//! Reading order: [`look`] (one look at everything), its parsers (`client`, `rmtab`, `connection`,
//! `export`, `filesystem`, `counters`), `sight` (what a look says of each host), `compare` (whether
//! that agrees with what the hosts say themselves), `grace`, `space`, and [`Report`], which those
//! who only look are shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::HostName;
use tokio::time::Instant;

mod client;
pub mod compare;
mod connection;
mod counters;
mod export;
mod filesystem;
pub mod grace;
pub mod look;
mod rmtab;
pub mod sight;
mod source;
pub mod space;
#[cfg(test)]
pub(crate) mod tests;

pub use self::client::{Client, Status};
pub use self::counters::Counters;
pub use self::export::{Disk, Export, Exported};
pub use self::filesystem::{Filesystem, MountTable};
pub use self::look::{Late, Look, Server, Versions};
pub use self::rmtab::Remote;
pub use self::source::{Roots, Unread};

use self::compare::Agreement;
use self::grace::Grace;
use self::sight::Seen;
use self::space::Space;

/// A fact of a look, or why there is none.
pub type Found<T> = Result<T, Unread>;

/// What an NFS server knows of itself at one moment.
#[derive(Clone, Debug)]
pub struct Report {
    /// When its files were last read.
    pub looked: Instant,
    /// What was read then; none if no look has come to an end yet, or the last one has not.
    pub look: Result<Arc<Look>, Late>,
    /// Whether the service answers.
    pub answers: Answers,
    /// Its configured exports.
    pub exports: Vec<Export>,
    /// The room that each has left, by path; without those that could not be measured.
    pub space: BTreeMap<String, Space>,
    /// Whether clients may only reclaim what they had.
    pub grace: Grace,
    /// The clients, by host of the cluster.
    pub seen: BTreeMap<HostName, Seen>,
    /// How many more clients there are, of no host of the cluster; none if that is unknown.
    pub strangers: Option<usize>,
    /// How that agrees with the mounts that the hosts report.
    pub agreement: BTreeMap<HostName, Agreement>,
}

/// Whether the parts of the service answer a call; none if they were not asked yet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answers {
    /// The NULL call of NFS.
    pub nfs: Option<Answer>,
    /// The NULL call of MOUNT, which there need not be.
    pub mountd: Option<Mountd>,
}

/// The answer to a call, with what a person needs to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// It was answered as it should be.
    pub is_good: bool,
    /// One clause.
    pub reason: String,
}

/// What is known of the server of MOUNT.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mountd {
    /// NFS 3 is off and nobody has registered: there is none that could be asked.
    None,
    /// It was asked.
    Asked(Answer),
}

impl Report {
    /// Returns whether this is too old to be shown as the present.
    pub fn is_stale(&self) -> bool {
        self.looked.elapsed() >= STALE_AFTER
    }

    /// Returns whether the exports serve, as far as can be known: both services answer, past the
    /// grace period, and no export is known to be missing. What is unknown hinders nothing, since
    /// the call was answered.
    pub fn is_serving(&self) -> bool {
        let answers = self.answers.nfs.as_ref().is_some_and(|answer| answer.is_good)
            && !matches!(&self.answers.mountd, Some(Mountd::Asked(answer)) if !answer.is_good);
        // The kernel keeps a look waiting while its server is started or stopped.
        let has_threads = self.look.as_ref().is_ok_and(|look| look.threads != Ok(0));
        answers && has_threads && !self.grace.is_running() && self.exports.iter().all(Export::is_up)
    }
}

/// Three looks that did not come, at the pace of a quiet day.
pub const STALE_AFTER: Duration = Duration::from_secs(15);
