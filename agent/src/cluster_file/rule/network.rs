//! Rules for addresses, ports, MACs and names that must be resolved.

use std::net::{IpAddr, SocketAddr};

use super::super::reader::{Report, Spot};
use super::super::section::Draft;
use super::super::value::HostPort;
use super::super::{Host, System};
use super::check_differ;

/// Reports every such rule that the file breaks.
pub(super) fn check(draft: &Draft<'_>, report: &Report<'_>) {
    check_addresses_differ(draft, report);
    check_ports_differ(draft, report);
    let macs = draft.hosts().filter_map(|(host, spot)| Some((host.waking.mac?, spot)));
    let macs = macs.map(|(mac, spot)| (mac.to_string(), spot.at_key("mac")));
    check_differ("hosts", "mac", macs, report);
    check_can_be_woken(draft, report);
    check_upsd_is_shared(draft, report);
    check_names(draft, report);
}

/// Machines have addresses of their own; only hosts of a rehearsal may share one.
fn check_addresses_differ(draft: &Draft<'_>, report: &Report<'_>) {
    let mut seen: Vec<&Host> = Vec::new();
    for (host, spot) in draft.hosts().filter(|(host, _)| is_known(host.network.address)) {
        let address = host.network.address;
        let twin = seen.iter().find(|other| {
            other.network.address == address
                && (other.system.is_machine() || host.system.is_machine())
        });
        if let Some(twin) = twin {
            let message =
                format!("hosts `{}` and `{}` have the address {address}", twin.name, host.name);
            let remedy = "write the address that each machine has".to_owned();
            report.error(spot.at_key("address"), message, remedy);
        }
        seen.push(host);
    }
}

fn check_ports_differ(draft: &Draft<'_>, report: &Report<'_>) {
    let mut seen: Vec<(SocketAddr, &Host)> = Vec::new();
    for (host, spot) in draft.hosts().filter(|(host, _)| is_known(host.network.address)) {
        let network = &host.network;
        for (key, port) in [("http-port", network.http_port), ("peer-port", network.peer_port)] {
            let at = SocketAddr::new(bound_address(host), port);
            if let Some((_, other)) = seen.iter().find(|(taken, _)| *taken == at) {
                let (name, other) = (&host.name, &other.name);
                let message = if name == other {
                    format!("host `{name}` would listen on {at} twice")
                } else {
                    format!("hosts `{other}` and `{name}` both listen on {at}")
                };
                let remedy = format!("give host `{}` another {key} or address", host.name);
                report.error(port_place(spot, key), message, remedy);
            }
            seen.push((at, host));
        }
    }
}

/// A machine that nobody can wake comes back by its firmware only, and after a turn not at all.
fn check_can_be_woken(draft: &Draft<'_>, report: &Report<'_>) {
    for (host, spot) in draft.hosts() {
        let is_woken = match host.system {
            System::Talos(_) => true,
            System::Systemd(_) => !draft.is_owner(host),
            System::Command(_) | System::DryRun => false,
        };
        if is_woken && !spot.has("mac") {
            let message = format!(
                "host `{}` has no mac: it can only come back by its firmware, and not at all when \
                 the mains return before the cut",
                host.name
            );
            let remedy = "write mac = \"…\" as `ip link` shows it, and enable wake-on-LAN";
            report.warning(spot.at(), message, remedy.to_owned());
        }
    }
}

/// An `upsd` on the loopback is another one on each machine.
fn check_upsd_is_shared(draft: &Draft<'_>, report: &Report<'_>) {
    for (ups, spot) in draft.ups().filter(|(ups, _)| ups.upsd.is_loopback()) {
        let mut others = draft.hosts().filter(|(host, _)| {
            host.name != ups.owner
                && is_known(host.network.address)
                && !host.network.address.is_loopback()
        });
        if let Some((host, _)) = others.next() {
            let message = format!(
                "upsd = \"{}\" is read by every host, and on `{}` it is that machine itself",
                ups.upsd, host.name
            );
            let remedy = format!("write the address of `{}` in the network", ups.owner);
            report.warning(spot.at_key("upsd"), message, remedy);
        }
    }
}

fn check_names(draft: &Draft<'_>, report: &Report<'_>) {
    for (ups, spot) in draft.ups() {
        check_name(&ups.upsd, spot.at_key("upsd"), report);
    }
    for (host, spot) in draft.hosts() {
        if let Some(ready) = &host.waking.ready {
            check_name(ready.at(), spot.at_key("ready"), report);
        }
    }
}

fn check_name(at: &HostPort, place: usize, report: &Report<'_>) {
    if !at.host.is_empty() && at.is_name() {
        let message = format!("`{}` must be resolved, and in an outage DNS may be down", at.host);
        report.note(place, message, "write its IP address, or put it into /etc/hosts".to_owned());
    }
}

/// Returns the address that decides about a conflict: two machines may each bind to all of theirs.
fn bound_address(host: &Host) -> IpAddr {
    let network = &host.network;
    if network.listen.is_unspecified() { network.address } else { network.listen }
}

fn port_place(spot: &Spot<'_>, key: &str) -> usize {
    if spot.has(key) { spot.at_key(key) } else { spot.at_key("address") }
}

/// Returns whether the address could be read.
fn is_known(address: IpAddr) -> bool {
    !address.is_unspecified()
}
