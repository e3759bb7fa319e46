//! What a look says of each host of the cluster: judged by address, and by the name that a client
//! gives itself.
//!
//! *Nothing* is said only when all that could show a client was read. A connection alone, without
//! a client of version 4 and without a line in `rmtab`, is taken for a mount of version 3 whose
//! line was lost if it comes from a port that only root has, as the kernel's client does, or if it
//! lasts longer than any probe of ours or of others (decision 25).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use curfew_coordinator::{ClientSight, HostName};
use tokio::time::Instant;

use super::Look;
use super::client::Client;
use super::rmtab::Remote;

/// What is seen of a host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// The judgement; none if there can be none.
    pub sight: Option<ClientSight>,
    /// Its clients of version 4; none if they could not be read.
    pub clients: Option<usize>,
    /// What they hold; none where that could not be counted.
    pub states: Option<usize>,
    /// How long ago the one that renewed last did so.
    pub renewed: Option<Duration>,
    /// Its mounts of version 3 as `rmtab` has them; none if it could not be read.
    pub remotes: Option<usize>,
    /// Its connections to port 2049; none if they could not be read.
    pub connections: Option<usize>,
}

/// Since when each connection is there.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    since: BTreeMap<SocketAddr, Instant>,
}

impl Lasting {
    /// Takes the next look.
    pub fn update(&mut self, now: Instant, look: &Look) {
        let Ok(connections) = &look.connections else { return };
        self.since.retain(|end, _| connections.contains(end));
        for end in connections {
            self.since.entry(*end).or_insert(now);
        }
    }

    /// Returns whether a connection is more than a probe.
    fn is_mount(&self, now: Instant, end: SocketAddr) -> bool {
        let lasts = self.since.get(&end).is_some_and(|at| now.duration_since(*at) >= PROBE_LONGEST);
        lasts || end.port() < UNPRIVILEGED
    }
}

/// Judges all hosts by one look; `hosts` has the addresses of each.
pub fn judge(
    now: Instant,
    look: &Look,
    lasting: &Lasting,
    hosts: &BTreeMap<HostName, BTreeSet<IpAddr>>,
) -> BTreeMap<HostName, Seen> {
    let one = |(host, addresses): (&HostName, &BTreeSet<IpAddr>)| {
        (host.clone(), Judge { now, look, lasting, host, addresses }.seen())
    };
    hosts.iter().map(one).collect()
}

/// Returns how many clients are of none of these hosts; none if that is unknown.
pub fn strangers(look: &Look, hosts: &BTreeMap<HostName, BTreeSet<IpAddr>>) -> Option<usize> {
    let (clients, remotes) = (look.clients.as_ref().ok()?, look.remotes.as_ref().ok()?);
    let is_known = |test: &dyn Fn(&HostName, &BTreeSet<IpAddr>) -> bool| {
        hosts.iter().any(|(host, addresses)| test(host, addresses))
    };
    let odd_clients = clients
        .iter()
        .filter(|client| !is_known(&|host, addresses| is_client_of(client, host, addresses)));
    let odd_remotes = remotes
        .iter()
        .filter(|remote| !is_known(&|host, addresses| is_remote_of(remote, host, addresses)));
    Some(odd_clients.count() + odd_remotes.count())
}

struct Judge<'a> {
    now: Instant,
    look: &'a Look,
    lasting: &'a Lasting,
    host: &'a HostName,
    addresses: &'a BTreeSet<IpAddr>,
}

impl Judge<'_> {
    fn seen(&self) -> Seen {
        let look = self.look;
        let clients: Option<Vec<&Client>> = look.clients.as_ref().ok().map(|all| {
            all.iter().filter(|it| is_client_of(it, self.host, self.addresses)).collect()
        });
        let remotes =
            look.remotes.as_ref().ok().map(|all| {
                all.iter().filter(|it| is_remote_of(it, self.host, self.addresses)).count()
            });
        let ends: Option<Vec<SocketAddr>> = look.connections.as_ref().ok().map(|all| {
            all.iter().filter(|end| self.addresses.contains(&end.ip())).copied().collect()
        });
        let known = clients.as_deref().unwrap_or_default();
        Seen {
            sight: self.sight(clients.as_deref(), remotes, ends.as_deref()),
            clients: clients.as_ref().map(Vec::len),
            states: clients.as_ref().and_then(|all| all.iter().map(|it| it.states).sum()),
            renewed: known.iter().filter_map(|client| client.renewed).min(),
            remotes,
            connections: ends.as_ref().map(Vec::len),
        }
    }

    fn sight(
        &self,
        clients: Option<&[&Client]>,
        remotes: Option<usize>,
        ends: Option<&[SocketAddr]>,
    ) -> Option<ClientSight> {
        let lease = self.look.lease.as_ref().ok().copied();
        let has_remotes = remotes.is_some_and(|count| count > 0);
        let is_alive = clients.unwrap_or_default().iter().any(|client| !client.is_stale(lease));
        let is_listed = clients.is_some_and(|clients| !clients.is_empty()) || has_remotes;
        // A connection of a client that is listed is that client's.
        let is_connected = !is_listed
            && ends.unwrap_or_default().iter().any(|end| self.lasting.is_mount(self.now, *end));
        if has_remotes || is_alive || is_connected {
            return Some(ClientSight::Present);
        }
        let (clients, _remotes, _ends) = (clients?, remotes?, ends?);
        Some(if clients.is_empty() { ClientSight::Nothing } else { ClientSight::Stale })
    }
}

fn is_client_of(client: &Client, host: &HostName, addresses: &BTreeSet<IpAddr>) -> bool {
    addresses.contains(&client.ip()) || client.machine().is_some_and(|name| is_name(name, host))
}

fn is_remote_of(remote: &Remote, host: &HostName, addresses: &BTreeSet<IpAddr>) -> bool {
    match remote {
        Remote::Address(address) => addresses.contains(address),
        Remote::Name(name) => is_name(name, host),
    }
}

/// A machine may call itself by its whole domain name.
fn is_name(name: &str, host: &HostName) -> bool {
    name == host.as_str() || name.split('.').next() == Some(host.as_str())
}

/// Ours end after three seconds, those of Kubernetes after ten at most by default.
const PROBE_LONGEST: Duration = Duration::from_secs(15);
/// Ports below are root's, and the kernel's NFS client takes one of them unless told otherwise.
const UNPRIVILEGED: u16 = 1024;
