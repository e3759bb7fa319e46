//! Which NFS servers this host has mounts of, from the kernel's `mountinfo` alone.
//!
//! Nothing here touches a mount: a hung server cannot hold it up. What cannot be read is an error
//! and means *unknown*, which counts as "still mounted"; the empty set is said only when the whole
//! table was read and has none. An agent in a mount namespace of its own must be given another
//! process' table (`/proc/1/mountinfo`), which needs root or `CAP_SYS_PTRACE`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::blocking::Asker;
use crate::escape::unescape;
use crate::mountinfo::{self, Line, TABLE_MAX};

/// Why the mounts are unknown.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The table cannot be read.
    #[error("cannot read the mounts from {}", path.display())]
    Read {
        /// The table.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The table is longer than any that we would believe.
    #[error("{} is longer than {TABLE_MAX} bytes", path.display())]
    TooLong {
        /// The table.
        path: PathBuf,
    },
    /// A line is not one of a `mountinfo`, or the table is empty, which no real one is.
    #[error("{} is no mountinfo at line {line}", path.display())]
    Parse {
        /// The table.
        path: PathBuf,
        /// The first line that is wrong, from 1.
        line: usize,
    },
    /// The kernel has not answered in time, or an earlier question still waits for its answer.
    #[error("reading the mounts from {} takes longer than {READ_LIMIT:?}", path.display())]
    Wait {
        /// The table.
        path: PathBuf,
    },
}

/// One NFS mount of this host.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NfsMount {
    /// The server as it was named when mounting: an address or a name.
    pub server: String,
    /// The server's address that the kernel talks to (`addr=`), if it says one.
    pub server_address: Option<IpAddr>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The address under which the server knows this client (`clientaddr=`): `NFSv4` only.
    pub client_address: Option<IpAddr>,
}

/// Reads the NFS mounts of one mount table.
#[derive(Clone, Debug)]
pub struct Mounts {
    table: PathBuf,
    asker: Asker,
}

impl Mounts {
    /// Takes the mount table to read, usually `/proc/self/mountinfo`.
    pub fn new(table: PathBuf) -> Self {
        Self { table, asker: Asker::new(READ_LIMIT) }
    }

    /// Returns the NFS mounts, within two seconds; while a reading hangs no second one is begun.
    pub async fn look(&self) -> Result<BTreeSet<NfsMount>, MountsError> {
        let table = self.table.clone();
        let read = self.asker.ask(move || read(&table)).await;
        // A reading that panicked or was cancelled has told nothing either.
        read.map_err(|_unanswered| MountsError::Wait { path: self.table.clone() })?
    }
}

/// Reads the NFS mounts of the table at `path`; blocks as long as the kernel does.
pub fn read(path: &Path) -> Result<BTreeSet<NfsMount>, MountsError> {
    let mut table = Vec::new();
    File::open(path)
        .and_then(|file| file.take(TABLE_MAX + 1).read_to_end(&mut table))
        .map_err(|source| MountsError::Read { path: path.to_owned(), source })?;
    if table.len() as u64 > TABLE_MAX {
        return Err(MountsError::TooLong { path: path.to_owned() });
    }
    parse(&table).map_err(|line| MountsError::Parse { path: path.to_owned(), line })
}

/// Returns the NFS mounts, or the number of the first wrong line.
fn parse(table: &[u8]) -> Result<BTreeSet<NfsMount>, usize> {
    let Some(lines) = table.strip_suffix(b"\n") else { return Err(1) };
    let mut mounts = BTreeSet::new();
    for (index, line) in lines.split(|&byte| byte == b'\n').enumerate() {
        mounts.extend(parse_line(line).ok_or(index + 1)?);
    }
    Ok(mounts)
}

/// Returns what a line says: `None` if it is wrong, `Some(None)` for another file system.
#[expect(clippy::option_option, reason = "wrong, another file system and NFS are three answers")]
fn parse_line(line: &[u8]) -> Option<Option<NfsMount>> {
    let line = Line::parse(line)?;
    if line.kind != b"nfs" && line.kind != b"nfs4" {
        return Some(None);
    }
    let options = String::from_utf8(unescape(line.super_options)).ok()?;
    let server_address = address(&options, "addr=");
    let server = server(&String::from_utf8_lossy(&unescape(line.source)))
        .or_else(|| server_address.map(|known| known.to_string()))?;
    Some(Some(NfsMount {
        server,
        server_address,
        mount_point: mountinfo::path(line.point),
        // A client that takes no callbacks says 0.0.0.0.
        client_address: address(&options, "clientaddr=").filter(|own| !own.is_unspecified()),
    }))
}

/// Returns the server part of `server:/path` or `[v6]:/path`.
fn server(source: &str) -> Option<String> {
    let name = match source.strip_prefix('[') {
        Some(rest) => rest.split_once("]:/")?.0,
        None => source.split_once(":/")?.0,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// Returns the address of one super option; a v6 one may carry its zone.
fn address(options: &str, key: &str) -> Option<IpAddr> {
    let value = options.split(',').find_map(|option| option.strip_prefix(key))?;
    value.split('%').next()?.parse().ok()
}

/// The kernel reads its own memory: milliseconds, unless a mount in the making holds the table.
const READ_LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
