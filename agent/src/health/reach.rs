//! Checks of the ways between the agents: whether this host can be called, and whether the others
//! are where the cluster file has them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use curfew_coordinator::HostName;

use super::{Check, place};
use crate::peer::{Deaf, Reach};
use crate::snapshot::Place;

/// Says whether peers can call this host.
pub(crate) fn port(deaf: Option<&Deaf>, host: &str, own: Option<&Place>) -> Check {
    let Some(Deaf { at, kind, why }) = deaf else { return Check::pass(PORT, "peers can call") };
    if *kind == ErrorKind::AddrNotAvailable {
        let address = at.ip();
        return Check::fail(
            PORT,
            format!(
                "this machine does not have the address {address} of {host}: nobody can call it"
            ),
            format!(
                "see whether this is the machine of {host} (its name here comes from `--host` or \
                 CURFEW_HOST); then give it that address, or correct `address` in the cluster file"
            ),
        );
    }
    let reason = format!("cannot listen for peers on {at}: {why}");
    let remedy = if *kind == ErrorKind::AddrInUse {
        let ports = place::ports(own);
        format!("end the process that has the port ({ports}), or give {host} another peer-port")
    } else {
        format!("see `address`, `listen` and `peer-port` of {host} in the cluster file")
    };
    Check::fail(PORT, reason, remedy)
}

/// Says whether each peer that is heard is one host, and is where it can be called.
pub(crate) fn addresses(
    reaches: &BTreeMap<HostName, Reach>,
    places: &BTreeMap<HostName, Place>,
) -> Check {
    let doubled = reaches.iter().find_map(|(peer, reach)| doubled(peer, reach));
    let unreached =
        || reaches.iter().find_map(|(peer, reach)| unreached(peer, reach, places.get(peer)));
    match doubled.or_else(unreached) {
        None => Check::pass(ADDRESSES, "who is heard can be called"),
        Some((reason, remedy)) => Check::fail(ADDRESSES, reason, remedy),
    }
}

fn doubled(peer: &HostName, reach: &Reach) -> Option<(String, String)> {
    reach.doubled_since.filter(|since| since.elapsed() >= DOUBLED_FOR)?;
    let reason = format!("two agents call themselves {peer}, from {}", listed(&reach.from));
    let remedy = format!(
        "one of them has the certificate and the name (`--host`, CURFEW_HOST, or the Talos \
         document) of {peer} and is not {peer}: give it its own"
    );
    Some((reason, remedy))
}

fn unreached(peer: &HostName, reach: &Reach, place: Option<&Place>) -> Option<(String, String)> {
    let unreached = reach.unreached.as_ref()?;
    if unreached.since.elapsed() < UNREACHED_FOR {
        return None;
    }
    let (from, why) = (listed(&reach.from), &unreached.why);
    let address = place.map(|place| place.address);
    if address.is_none_or(|address| reach.from.contains(&address)) {
        let reason = format!("{peer} is heard, and cannot be called: {why}");
        let remedy = format!(
            "see peers-port in the health of {peer}, and whether a firewall closes that port there"
        );
        return Some((reason, remedy));
    }
    let reason = format!(
        "{peer} is heard from {from}, and cannot be called where the cluster file has it: {why}"
    );
    let remedy = format!(
        "if {from} belongs to another host, the two have each other's certificate and name: give \
         each its own; else correct `address` of {peer} in the cluster file"
    );
    Some((reason, remedy))
}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ")
}

// Not `peer-…`, which a host could be called, and by which alerts know the check of each host.
pub(super) const PORT: &str = "peers-port";
pub(super) const ADDRESSES: &str = "peers-addresses";
/// Longer than a host that changes its way back and forth is heard from both.
const DOUBLED_FOR: Duration = Duration::from_secs(10);
/// An agent that starts is heard before it can be called, and is called every 3 s.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::cluster_file::{System, TalosSystem};
    use crate::health::State;
    use crate::peer::Unreached;

    fn place(last: u8) -> Place {
        let system = System::Talos(TalosSystem { socket: "/run/machined.sock".into() });
        Place { system, address: [10, 0, 0, last].into() }
    }

    async fn look(from: &[u8], is_doubled: bool, is_unreached: bool, seconds: u64) -> Check {
        let since = Instant::now();
        let why = "cannot connect to 10.0.0.11:9101: connection refused".to_owned();
        let reach = Reach {
            from: from.iter().map(|last| [10, 0, 0, *last].into()).collect(),
            doubled_since: is_doubled.then_some(since),
            unreached: is_unreached.then_some(Unreached { since, why }),
        };
        advance(Duration::from_secs(seconds)).await;
        let reaches = [("k8s-1".into(), reach)].into();
        addresses(&reaches, &[("k8s-1".into(), place(11))].into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_heard_from_elsewhere_and_cannot_be_called_fails() {
        assert_eq!(look(&[12], false, true, 9).await.state, State::Pass, "it may be starting");
        let check = look(&[12], false, true, 10).await;
        assert_eq!(check.state, State::Fail);
        assert!(check.reason.starts_with("k8s-1 is heard from 10.0.0.12, and cannot be called"));
        assert!(check.reason.contains("10.0.0.11:9101: connection refused"), "{}", check.reason);
        assert!(check.sentence().contains("each other's certificate"), "{}", check.sentence());
        let shut = look(&[11], false, true, 10).await;
        assert!(shut.sentence().contains("peers-port in the health of k8s-1"), "{shut:?}");
        // A host with two networks may call from the other one.
        assert_eq!(look(&[12], false, false, 60).await.state, State::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn two_agents_of_one_name_fail() {
        assert_eq!(look(&[11, 14], true, false, 9).await.state, State::Pass);
        let check = look(&[11, 14], true, false, 10).await;
        assert_eq!(check.state, State::Fail);
        let reason = "two agents call themselves k8s-1, from 10.0.0.11 and 10.0.0.14";
        assert_eq!(check.reason, reason);
    }

    #[test]
    fn an_address_that_the_machine_does_not_have_is_no_port_that_is_taken() {
        let at = "10.0.0.11:9101".parse().unwrap();
        let deaf = |kind| Deaf { at, kind, why: "no".to_owned() };
        let missing = deaf(ErrorKind::AddrNotAvailable);
        let check = port(Some(&missing), "k8s-1", Some(&place(11)));
        assert!(check.reason.contains("does not have the address 10.0.0.11"), "{check:?}");
        assert!(check.remedy.unwrap().contains("CURFEW_HOST"));
        let taken = deaf(ErrorKind::AddrInUse);
        let check = port(Some(&taken), "k8s-1", Some(&place(11)));
        assert!(check.remedy.unwrap().contains("`talosctl -n 10.0.0.11 netstat -tlp`"));
        assert_eq!(port(None, "k8s-1", None).state, State::Pass);
    }
}
