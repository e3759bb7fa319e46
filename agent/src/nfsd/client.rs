//! The `NFSv4` clients that the kernel knows: `/proc/fs/nfsd/clients/N/{info,states}`.
//!
//! A client of version 3 never appears there. One that unmounts takes its folder with it; one
//! whose power is cut leaves it behind, with all that it had open, until somebody else wants that.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::source::{self, Unread, lines};

/// A client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// Where it called from when it introduced itself.
    pub address: SocketAddr,
    /// How it calls itself, with the name of its machine in it.
    pub name: Option<String>,
    /// How it stands; none on a kernel that does not say it.
    pub status: Option<Status>,
    /// How long ago it last gave a sign.
    pub renewed: Option<Duration>,
    /// How many opens, locks, delegations and layouts it holds; none if they cannot be counted.
    pub states: Option<usize>,
}

/// How a client stands with the kernel.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// It has introduced itself and not gone on.
    Unconfirmed,
    /// As it should be.
    Confirmed,
    /// It has not renewed for a lease; what it holds is kept until somebody wants it.
    Courtesy,
    /// The same, and somebody wants it.
    Expirable,
}

impl Client {
    /// Returns whether nothing was heard of it for a lease.
    pub fn is_stale(&self, lease: Option<Duration>) -> bool {
        let is_late = self.renewed.zip(lease).is_some_and(|(renewed, lease)| renewed >= lease);
        is_late || matches!(self.status, Some(Status::Courtesy | Status::Expirable))
    }

    /// Returns the address alone, a v4 one as such.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Returns the name of its machine: `Linux NFSv4.2 k8s-1` and `Linux NFSv4.0 k8s-1/…` have it.
    pub fn machine(&self) -> Option<&str> {
        let owner = self.name.as_deref()?.split(' ').nth(2)?;
        owner.split('/').next()
    }
}

/// Reads all clients; blocks as long as the kernel does.
pub(super) fn read(folder: &Path) -> Result<Vec<Client>, Unread> {
    let mut clients = Vec::new();
    let entries = folder.read_dir().map_err(|source| source::unread(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| source::unread(folder, source))?;
        if clients.len() >= CLIENTS_MAX {
            return Err(Unread::TooLong { path: folder.to_owned(), limit: CLIENTS_MAX });
        }
        let of_one = entry.path();
        match source::parsed(&of_one.join("info"), INFO_MAX, parse) {
            Ok(client) => {
                let states = source::read(&of_one.join("states"), STATES_MAX);
                clients.push(Client { states: states.ok().as_deref().map(count), ..client });
            }
            // It went while we looked.
            Err(gone) if gone.is_missing() || is_dead(&gone) => {}
            Err(unread) => return Err(unread),
        }
    }
    Ok(clients)
}

/// A file that was opened and whose client went before it was read.
fn is_dead(unread: &Unread) -> bool {
    matches!(unread, Unread::Read { source, .. } if source.raw_os_error() == Some(ENXIO)
        || source.kind() == io::ErrorKind::StaleNetworkFileHandle)
}

/// Returns what an `info` says, or the number of its first wrong line.
fn parse(text: &[u8]) -> Result<Client, usize> {
    let (mut address, mut name, mut status, mut renewed) = (None, None, None, None);
    for (number, line) in lines(text) {
        let line = String::from_utf8_lossy(line);
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key {
            "address" => address = Some(unquoted(value).parse().map_err(|_| number)?),
            "name" => name = Some(unquoted(value).to_owned()),
            "status" => status = Some(word(value).ok_or(number)?),
            "seconds from last renew" => renewed = Some(value.parse::<i64>().map_err(|_| number)?),
            _ => {}
        }
    }
    Ok(Client {
        address: address.ok_or(1_usize)?,
        name,
        status,
        renewed: renewed.map(|seconds| Duration::from_secs(seconds.max(0).unsigned_abs())),
        states: None,
    })
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn word(value: &str) -> Option<Status> {
    match value {
        "unconfirmed" => Some(Status::Unconfirmed),
        "confirmed" => Some(Status::Confirmed),
        "courtesy" => Some(Status::Courtesy),
        "expirable" => Some(Status::Expirable),
        _ => None,
    }
}

/// Each state is one line of the list.
fn count(states: &[u8]) -> usize {
    lines(states).filter(|(_, line)| line.starts_with(b"- ")).count()
}

/// More than a home has machines, by far; each costs two files.
const CLIENTS_MAX: usize = 512;
/// An `info` has some 400 bytes, with a name of 1 KiB at most.
const INFO_MAX: usize = 16 << 10;
/// Some 5 000 open files of one client.
const STATES_MAX: usize = 1 << 20;
/// "No such device or address": what the kernel answers for a client that is gone.
const ENXIO: i32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_versions_have_the_machine() {
        let named = |name: &str| {
            let text = format!("address: \"[fd00::1]:700\"\nname: \"{name}\"\n");
            parse(text.as_bytes()).unwrap().machine().map(ToOwned::to_owned)
        };
        assert_eq!(named("Linux NFSv4.2 k8s-1").as_deref(), Some("k8s-1"));
        assert_eq!(named("Linux NFSv4.0 k8s-1/10.0.0.13").as_deref(), Some("k8s-1"));
        assert_eq!(named("something else").as_deref(), None);
    }

    #[test]
    fn an_older_kernel_says_less_and_nonsense_is_refused() {
        let old = parse(b"clientid: 0x1\naddress: \"10.0.0.11:700\"\nname: \"x\"\n").unwrap();
        assert_eq!((old.status, old.renewed), (None, None));
        assert!(!old.is_stale(Some(Duration::from_secs(90))));
        for (text, line) in [
            ("clientid: 1\n", 1),
            ("x: 1\naddress: \"10.0.0.11\"\n", 2),
            ("address: \"1.2.3.4:5\"\nstatus: dancing\n", 2),
            ("address: \"1.2.3.4:5\"\nseconds from last renew: soon\n", 2),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(line), "{text}");
        }
    }

    #[test]
    fn parsing_never_panics() {
        let info = "(address|status|name|x): ?[\" -z]{0,20}\n";
        proptest::proptest!(|(bytes: Vec<u8>, text in info)| {
            drop(parse(&bytes));
            drop(parse(text.as_bytes()));
            proptest::prop_assert!(count(&bytes) <= bytes.len());
        });
    }
}
