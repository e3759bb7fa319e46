//! One look at everything: all files read once, in a thread of its own, with a deadline.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{self, Client};
use super::connection::{self, CONNECTIONS_MAX};
use super::counters::{self, COUNTERS_MAX, Counters};
use super::export::{self, EXPORTS_MAX, Export, Exported};
use super::filesystem::{self, FSTAB_MAX, MountTable};
use super::rmtab::{self, RMTAB_MAX, Remote};
use super::source::{self, Roots, SHORT_MAX};
use super::{Found, Unread};
use crate::blocking::Asker;

/// Everything that one look has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// How many threads serve.
    pub threads: Found<u64>,
    /// The versions of NFS that are served.
    pub versions: Found<Versions>,
    /// How long a client of version 4 may be silent.
    pub lease: Found<Duration>,
    /// How long clients may reclaim after a start.
    pub grace_time: Found<Duration>,
    /// That time is over.
    pub has_grace_ended: Found<bool>,
    /// The clients of version 4.
    pub clients: Found<Vec<Client>>,
    /// Those of version 3, where that is served.
    pub remotes: Found<Vec<Remote>>,
    /// The other ends of the connections to it.
    pub connections: Found<BTreeSet<SocketAddr>>,
    /// The kernel's exports.
    pub exports: Found<Vec<Exported>>,
    /// The exports of `exportfs`.
    pub etab: Found<Vec<Exported>>,
    /// The mounts of the machine.
    pub mounts: Found<MountTable>,
    /// Where `/etc/fstab` mounts something.
    pub fstab: Found<Vec<PathBuf>>,
    /// What the kernel counts.
    pub counters: Found<Counters>,
}

/// The versions of NFS that are served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Versions {
    /// Version 3.
    pub has_v3: bool,
    /// Any of version 4.
    pub has_v4: bool,
}

/// Why a look has not come to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Late {
    /// There was none yet.
    #[error("it has not looked yet")]
    NotYet,
    /// The kernel has not answered in time, or an earlier look still waits for it.
    #[error("reading the files of the NFS server takes longer than {LOOK_LIMIT:?}")]
    Waits,
}

/// Looks at the NFS server of this machine.
#[derive(Clone, Debug)]
pub struct Server {
    roots: Roots,
    asker: Asker,
}

impl Server {
    /// Takes where the files are.
    pub fn new(roots: Roots) -> Self {
        Self { roots, asker: Asker::new(LOOK_LIMIT) }
    }

    /// Looks once, for two seconds at most; while a look hangs no second one is begun.
    pub async fn look(&self) -> Result<Look, Late> {
        let roots = self.roots.clone();
        // A look that panicked or was cancelled has told nothing either.
        self.asker.ask(move || read(&roots)).await.map_err(|_unanswered| Late::Waits)
    }
}

/// Looks once; blocks as long as the kernel does.
pub fn read(roots: &Roots) -> Look {
    let nfsd = |file: &str| roots.in_proc("fs/nfsd").join(file);
    let state = |file: &str| roots.in_root(Path::new("/var/lib/nfs")).join(file);
    let seconds = |file: &str| source::number(&nfsd(file)).map(Duration::from_secs);
    let versions = source::parsed(&nfsd("versions"), SHORT_MAX, parse_versions);
    let etab = source::parsed(&state("etab"), EXPORTS_MAX, export::parse);
    Look {
        threads: source::number(&nfsd("threads")),
        lease: seconds("nfsv4leasetime"),
        grace_time: seconds("nfsv4gracetime"),
        has_grace_ended: source::parsed(&nfsd("v4_end_grace"), SHORT_MAX, parse_ended),
        clients: client::read(&nfsd("clients")),
        remotes: remotes(&state("rmtab"), &versions, &etab),
        connections: connections(roots),
        exports: source::parsed(&nfsd("exports"), EXPORTS_MAX, export::parse),
        mounts: filesystem::read(roots),
        fstab: fstab(roots),
        counters: source::parsed(&roots.in_proc("net/rpc/nfsd"), COUNTERS_MAX, counters::parse),
        versions,
        etab,
    }
}

impl Look {
    /// Says of each configured path how its export truly is.
    pub fn exports_of(&self, paths: &[PathBuf]) -> Vec<Export> {
        export::assess(paths, self)
    }

    /// Returns what could not be read of that which shows clients.
    pub fn blind_spots(&self) -> Vec<&Unread> {
        let (clients, remotes) = (self.clients.as_ref().err(), self.remotes.as_ref().err());
        clients.into_iter().chain(remotes).chain(self.connections.as_ref().err()).collect()
    }
}

/// Reads `rmtab`. A server without version 3 has nobody in it who could still be there; one that
/// never had a client of version 3 may not have the file, if the folder is the right one.
fn remotes(
    rmtab: &Path,
    versions: &Found<Versions>,
    etab: &Found<Vec<Exported>>,
) -> Found<Vec<Remote>> {
    if versions.as_ref().is_ok_and(|versions| !versions.has_v3) {
        return Ok(Vec::new());
    }
    match source::parsed(rmtab, RMTAB_MAX, rmtab::parse) {
        Err(missing) if missing.is_missing() && etab.is_ok() => Ok(Vec::new()),
        read => read,
    }
}

/// Reads both tables; a kernel without IPv6 has only one.
fn connections(roots: &Roots) -> Found<BTreeSet<SocketAddr>> {
    let of =
        |table: &str| source::parsed(&roots.in_proc(table), CONNECTIONS_MAX, connection::parse);
    let mut ends = of("net/tcp")?;
    match of("net/tcp6") {
        Ok(more) => ends.extend(more),
        Err(missing) if missing.is_missing() => {}
        Err(unread) => return Err(unread),
    }
    Ok(ends)
}

/// Reads `/etc/fstab`; a machine without one plans nothing.
fn fstab(roots: &Roots) -> Found<Vec<PathBuf>> {
    match source::read(&roots.in_root(Path::new("/etc/fstab")), FSTAB_MAX) {
        Ok(text) => Ok(filesystem::parse_fstab(&text)),
        Err(missing) if missing.is_missing() => Ok(Vec::new()),
        Err(unread) => Err(unread),
    }
}

/// `+3 +4 +4.1 +4.2`, with `-` before what is off.
fn parse_versions(text: &[u8]) -> Result<Versions, usize> {
    let text = std::str::from_utf8(text).map_err(|_| 1_usize)?;
    let on: Vec<&str> =
        text.split_ascii_whitespace().filter_map(|word| word.strip_prefix('+')).collect();
    if text.split_ascii_whitespace().any(|word| !word.starts_with(['+', '-'])) {
        return Err(1);
    }
    Ok(Versions {
        has_v3: on.contains(&"3"),
        has_v4: on.iter().any(|version| version.starts_with('4')),
    })
}

/// `Y` when the grace period has ended, `N` before.
fn parse_ended(text: &[u8]) -> Result<bool, usize> {
    match text.trim_ascii() {
        b"Y" => Ok(true),
        b"N" => Ok(false),
        _ => Err(1),
    }
}

/// The kernel reads its own memory: milliseconds, unless its server is just being started or
/// stopped, for which it holds a lock.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
