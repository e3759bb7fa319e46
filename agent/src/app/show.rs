//! What is published for those who look: the snapshot, with the checks that only the agent can
//! make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{Coordinator, HostName, Time};
use tokio::time::Instant;
use tracing::{info, warn};

use super::foreign::Roster;
use super::outlet::Outlets;
use crate::health::{self, Check, State, place, reach};
use crate::journal;
use crate::snapshot::{OwnedUps, Place, Snapshot};
use crate::task::Restarted;

/// Returns the snapshot of the moment of the start, before any driver has said a word.
pub(super) fn first(coordinator: &Coordinator, at: Time, fresh: Duration) -> Snapshot {
    Snapshot {
        status: coordinator.status(),
        at,
        taken: Instant::now(),
        running_for: Duration::ZERO,
        fresh,
        ups_variables: BTreeMap::new(),
        returns: None,
        owned: None,
        watched: Vec::new(),
        places: Arc::default(),
        certificates: BTreeMap::new(),
        journal: journal::Report::default(),
        past: None,
        battery: None,
        nfs_server: None,
        holding: None,
        filesystems: None,
        units: None,
        host: None,
        smart: None,
        talos: None,
        extra: Vec::new(),
    }
}

/// Returns the snapshot of this moment.
pub(super) fn snapshot(outlets: &Outlets, coordinator: &Coordinator, at: Time) -> Snapshot {
    let taken = Instant::now();
    Snapshot {
        status: coordinator.status(),
        at,
        taken,
        running_for: taken.duration_since(outlets.started_at),
        fresh: outlets.fresh,
        ups_variables: outlets.ups.borrow().variables.clone(),
        returns: outlets.file.ups.first().and_then(|ups| ups.returns),
        owned: owned(outlets),
        watched: outlets.others.now(),
        places: Arc::clone(&outlets.places),
        certificates: expiries(outlets),
        journal: outlets.journal.borrow().clone(),
        past: outlets.past.borrow().clone(),
        battery: outlets.battery.borrow().clone(),
        nfs_server: outlets.nfs_server.borrow().clone(),
        holding: outlets.holding.borrow().clone(),
        filesystems: outlets.filesystems.borrow().clone(),
        units: outlets.units.as_ref().and_then(|units| units.borrow().clone()),
        host: outlets.host.borrow().clone(),
        smart: outlets.smart.borrow().clone(),
        talos: outlets.talos.as_ref().map(|talos| Arc::clone(&talos.borrow())),
        extra: extra(outlets),
    }
}

/// Returns what the owner knows of its UPS; nothing on other hosts.
fn owned(outlets: &Outlets) -> Option<OwnedUps> {
    let roster = outlets.clients.as_ref()?;
    let latest = outlets.ups.borrow();
    let foreign_clients = roster.seen().borrow().count();
    Some(OwnedUps { cut_method: latest.cut_method, delays: latest.delays, foreign_clients })
}

/// What was last logged of how the owner will end.
#[derive(Debug, Default)]
pub(super) struct Verdict(Option<String>);

impl Verdict {
    /// Logs it where it has changed, on the owner and once it has been found out.
    pub(super) fn tell(&mut self, snapshot: &Snapshot) {
        if snapshot.owned.is_none() || snapshot.status.ups.abilities.is_none() {
            return;
        }
        let check = health::end(snapshot);
        let sentence = check.sentence();
        if self.0.as_ref() == Some(&sentence) {
            return;
        }
        match check.state {
            State::Pass => info!("{sentence}"),
            State::Unknown | State::Warn | State::Fail => warn!("{sentence}"),
        }
        self.0 = Some(sentence);
    }
}

fn extra(outlets: &Outlets) -> Vec<Check> {
    let mut checks =
        vec![port(outlets), addresses(outlets), certificates(outlets), refusals(outlets)];
    if let Some(problem) = &outlets.ups.borrow().problem {
        let remedy = "compare [[ups]] in the cluster file with ups.conf and upsd.conf";
        checks.push(Check::fail("ups-configuration", problem, remedy));
    }
    checks.push(outlets.login.borrow().clone());
    checks.extend(outlets.clients.as_ref().map(Roster::check));
    checks.extend(outlets.hand.as_ref().map(|hand| hand.borrow().clone()));
    checks.push(restarts(outlets));
    checks
}

/// Returns where this host is, for what is said of it.
fn own_place(outlets: &Outlets) -> Option<&Place> {
    outlets.places.get(&HostName::from(outlets.me.name.as_str()))
}

fn port(outlets: &Outlets) -> Check {
    reach::port(outlets.peers.borrow().deaf.as_ref(), &outlets.me.name, own_place(outlets))
}

fn addresses(outlets: &Outlets) -> Check {
    reach::addresses(&outlets.peers.borrow().reaches, &outlets.places)
}

/// Returns when the certificates that are in use run out.
fn expiries(outlets: &Outlets) -> BTreeMap<String, u64> {
    let status = outlets.peers.borrow();
    let open = status.open.iter().map(|(peer, it)| (peer.to_string(), it.not_after));
    let own = status.credentials.current.iter().flat_map(|current| {
        let own = (outlets.me.name.clone(), current.own.validity.not_after);
        [own, ("authority".to_owned(), current.authority.not_after)]
    });
    open.chain(own).collect()
}

fn certificates(outlets: &Outlets) -> Check {
    const NAME: &str = health::CERTIFICATES;
    let status = outlets.peers.borrow();
    let remedy = place::certificate(own_place(outlets), &outlets.me.name);
    if let Some(problem) = &status.credentials.problem {
        return Check::fail(NAME, problem, remedy);
    }
    let Some(current) = &status.credentials.current else {
        let remedy = "see the check drivers: the part that loads it does not run";
        return Check::fail(NAME, "no certificate is loaded: no peer is talked to", remedy);
    };
    let left = outlets.me.seeing.health.certificate_expires_within;
    let now = std::time::SystemTime::now();
    let own = current.own.validity;
    let of_authority = || "renew the authority: `curfew pki --help`".to_owned();
    let of_peer = |peer: &HostName| place::certificate(outlets.places.get(peer), peer.as_str());
    let all = std::iter::once(("this host", own, remedy))
        .chain([("the authority", current.authority, of_authority())])
        .chain(status.open.iter().map(|(peer, it)| (peer.as_str(), *it, of_peer(peer))));
    for (whose, validity, remedy) in all {
        if !validity.contains(now) {
            let reason =
                format!("the certificate of {whose} is out of date, or the clock is wrong");
            return Check::warn(NAME, reason, remedy);
        }
        if !validity.contains(now + left) {
            return Check::warn(NAME, format!("the certificate of {whose} runs out soon"), remedy);
        }
    }
    Check::pass(NAME, "all are valid")
}

fn refusals(outlets: &Outlets) -> Check {
    const NAME: &str = health::REFUSALS;
    let status = outlets.peers.borrow();
    let Some(refused) = status.refused.first() else {
        return Check::pass(NAME, "nobody is refused");
    };
    let who = refused.peer.as_ref().map_or_else(
        || refused.address.to_string(),
        |peer| format!("{peer} ({})", refused.address),
    );
    let reason = format!("{who}: {}", refused.refusal);
    let is_of_cluster =
        refused.peer.is_some()
            || outlets.file.hosts.iter().any(|host| {
                host.network.address == refused.address && host.name != outlets.me.name
            });
    if is_of_cluster {
        Check::fail(NAME, reason, "put that right on the host that is named; the log says more")
    } else {
        Check::warn(
            NAME,
            reason,
            "a stranger, or an operator without a certificate of this cluster",
        )
    }
}

fn restarts(outlets: &Outlets) -> Check {
    const NAME: &str = "drivers";
    let restarts = outlets.restarts.borrow();
    let Some((name, restarted)) = restarts.iter().max_by_key(|(_, restarted)| restarted.count)
    else {
        return Check::pass(NAME, "none was restarted");
    };
    let Restarted { count, why } = restarted;
    Check::warn(
        NAME,
        format!("{name} was restarted {count} times since the agent started, last because {why}"),
        format!("the log says why: {}", place::log(own_place(outlets))),
    )
}
