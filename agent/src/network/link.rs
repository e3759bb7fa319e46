//! The interfaces that lead to the peers, as the kernel's files show them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use nix::errno::Errno;
use tokio::task::spawn_blocking;

use super::{Link, Paths, joined, probe};
use crate::route::{self, Interface};

/// Looks at the link again and again, and remembers what must be compared.
pub(super) struct LinkWatch {
    paths: Paths,
    /// The interface toward each peer, as it was last known: when the link fails the route may go
    /// with it.
    peers: BTreeMap<IpAddr, Option<Interface>>,
    /// How many frames each interface had received.
    frames: BTreeMap<String, u64>,
}

impl LinkWatch {
    pub(super) fn new(paths: Paths, peers: BTreeSet<IpAddr>) -> Self {
        let peers = peers.into_iter().map(|peer| (peer, None)).collect();
        Self { paths, peers, frames: BTreeMap::new() }
    }

    /// Takes one look; some network drivers keep even their files waiting.
    pub(super) async fn look(mut self) -> (Self, Link) {
        let (watch, link, gateway) = joined(
            spawn_blocking(move || {
                let (link, gateway) = self.read();
                (self, link, gateway)
            })
            .await,
        );
        let gateway_answered = match gateway {
            Some(address) => probe::gateway(address).await,
            None => None,
        };
        (watch, Link { gateway_answered, ..link })
    }

    fn read(&mut self) -> (Link, Option<Ipv4Addr>) {
        for (peer, known) in &mut self.peers {
            let own = route::source_toward(*peer);
            if let Ok(Some(interface)) = own.and_then(route::interface_of) {
                *known = Some(interface);
            }
        }
        let interfaces: BTreeMap<String, bool> = self
            .peers
            .values()
            .flatten()
            .map(|interface| (interface.name.clone(), interface.is_loopback))
            .collect();
        let is_complete = self.peers.values().all(Option::is_some);
        let unknown = (!is_complete).then_some(None);
        let carriers = interfaces.keys().map(|name| carrier(&self.paths.sys, name));
        let carrier = worst(carriers.chain(unknown));
        let heard: Vec<_> = interfaces
            .iter()
            .map(|(name, &is_loopback)| if is_loopback { None } else { self.heard(name) })
            .collect();
        let frame_heard = worst(heard.into_iter().chain(unknown));
        let routes = fs::read_to_string(self.paths.proc.join("net/route")).unwrap_or_default();
        let gateway = gateway(&routes, |name| interfaces.contains_key(name));
        (Link { carrier, frame_heard, gateway_answered: None }, gateway)
    }

    /// Whether the interface has received a frame since the last look; unknown at the first.
    fn heard(&mut self, name: &str) -> Option<bool> {
        let path = self.paths.sys.join("class/net").join(name).join("statistics/rx_packets");
        let count = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        let before = match count {
            Some(count) => self.frames.insert(name.to_owned(), count),
            None => self.frames.remove(name),
        };
        let (before, count) = (before?, count?);
        // A smaller count is that of a driver that has started anew.
        (count >= before).then_some(count > before)
    }
}

fn carrier(sys: &Path, name: &str) -> Option<bool> {
    match fs::read_to_string(sys.join("class/net").join(name).join("carrier")) {
        Ok(text) => match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            _ => None,
        },
        // The kernel's answer for an interface that is switched off.
        Err(failed) => is_switched_off(&failed).then_some(false),
    }
}

fn is_switched_off(failed: &io::Error) -> bool {
    failed.raw_os_error() == Some(Errno::EINVAL as i32)
}

/// One no is a no, one unknown leaves all unknown, and so does nothing at all.
fn worst(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<_> = parts.collect();
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    (!parts.is_empty() && parts.iter().all(Option::is_some)).then_some(true)
}

/// Returns the default gateway with the smallest metric on one of these interfaces.
///
/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, addresses as the kernel's integers
fn gateway(routes: &str, is_ours: impl Fn(&str) -> bool) -> Option<Ipv4Addr> {
    let parse = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [name, destination, gateway, flags, _, _, metric, mask, ..] = *fields else {
            return None;
        };
        let hex = |field| u32::from_str_radix(field, 16).ok();
        let is_default = hex(destination)? == 0 && hex(mask)? == 0;
        let is_gateway = hex(flags)? & ROUTE_IS_GATEWAY == ROUTE_IS_GATEWAY;
        let address = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        let metric: u32 = metric.parse().ok()?;
        (is_default && is_gateway && is_ours(name)).then_some((metric, address))
    };
    routes.lines().filter_map(parse).min().map(|(_, address)| address)
}

/// Whether the neighbour table has an answer of this address; `None` if it cannot be read.
pub(super) async fn neighbour(proc: &Path, address: Ipv4Addr) -> Option<bool> {
    let table = proc.join("net/arp");
    let read = spawn_blocking(move || fs::read_to_string(table)).await;
    read.ok()?.ok().map(|table| is_neighbour(&table, address))
}

/// `IP-address HW-type Flags HW-address Mask Device`
fn is_neighbour(table: &str, address: Ipv4Addr) -> bool {
    let is_known = |line: &str| {
        let mut fields = line.split_whitespace();
        let is_it = fields.next().and_then(|ip| ip.parse().ok()) == Some(address);
        let flags = fields.nth(1).and_then(|flags| flags.strip_prefix("0x"));
        let flags = flags.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        is_it && flags.is_some_and(|flags| flags & NEIGHBOUR_IS_COMPLETE != 0)
    };
    table.lines().skip(1).any(is_known)
}

/// `RTF_UP` and `RTF_GATEWAY`.
const ROUTE_IS_GATEWAY: u32 = 0x3;
/// `ATF_COM`.
const NEIGHBOUR_IS_COMPLETE: u32 = 0x2;

#[cfg(test)]
mod tests;
