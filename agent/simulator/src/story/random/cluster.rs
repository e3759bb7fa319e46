//! Clusters, machines and UPSes as they might be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_coordinator::{Cluster, Host, HostName, ReadyBy, Settings, Ups};
use fastrand::Rng;

use super::{Genre, happens, pick};
use crate::story::file::{usual_address, usual_probe, usual_wake};
use crate::story::{HostTruth, UpsTruth};

/// What a story begins with.
pub(super) struct Scenery {
    pub(super) cluster: Cluster,
    pub(super) hosts: BTreeMap<HostName, HostTruth>,
    pub(super) ups: UpsTruth,
    pub(super) measured: BTreeMap<HostName, Vec<u64>>,
}

/// Who needs whom.
#[derive(Clone, Copy)]
enum Shape {
    /// Everybody needs the file server.
    Star,
    /// Everybody needs the one before.
    Chain,
    /// Two need the first, and all others need both.
    Diamond,
    /// Whoever needs whom.
    Any,
    /// Nobody needs anybody.
    Apart,
}

const OWNER: &str = "nfs";

impl Scenery {
    pub(super) fn random(chance: &mut Rng, genre: Genre) -> Self {
        let is_reference = happens(chance, 3);
        let cluster = if is_reference { reference(chance) } else { cluster(chance) };
        let mut hosts: BTreeMap<_, _> =
            cluster.hosts.iter().map(|host| (host.name.clone(), machine(chance, host))).collect();
        if let Some(owner) = hosts.get_mut(&cluster.ups.owner) {
            // A cut is only good for an owner that comes back with the power.
            owner.starts_with_power = happens(chance, 97);
            owner.is_off = false;
        }
        for host in cluster.hosts.iter().filter(|host| !host.is_fed) {
            // A flicker that no UPS tells of takes its power: nobody knows that it needs a packet.
            if let Some(truth) = hosts.get_mut(&host.name) {
                truth.starts_with_power = true;
            }
        }
        let ups = ups(chance, &cluster, genre);
        let has_history = happens(chance, 30);
        let measured = if has_history { history(chance, &hosts) } else { BTreeMap::new() };
        Self { cluster, hosts, ups, measured }
    }
}

/// Stops that were measured before, each near what they take now.
fn history(
    chance: &mut Rng,
    hosts: &BTreeMap<HostName, HostTruth>,
) -> BTreeMap<HostName, Vec<u64>> {
    hosts
        .iter()
        .map(|(name, truth)| {
            let stops = (0..3).map(|_| truth.stops_in * chance.u64(85..115) / 100).collect();
            (name.clone(), stops)
        })
        .collect()
}

/// The reference cluster, with the limits that the file has by default.
fn reference(chance: &mut Rng) -> Cluster {
    let mut hosts: Vec<Host> = (0..3).map(|place| host(chance, place, Shape::Any)).collect();
    for (host, timeout) in hosts.iter_mut().zip([60, 180, 180]) {
        host.stop_timeout = Duration::from_secs(timeout);
    }
    let ups = Ups { name: "eaton".to_owned(), owner: OWNER.into(), returns: None };
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts,
        ups,
        settings: Settings::default(),
    }
}

fn cluster(chance: &mut Rng) -> Cluster {
    let count = pick(chance, &[2, 2, 3, 3, 3, 3, 4, 4, 5, 6]);
    let shape = pick(
        chance,
        &[Shape::Star, Shape::Chain, Shape::Diamond, Shape::Any, Shape::Any, Shape::Apart],
    );
    let mut hosts: Vec<Host> = (0..count).map(|place| host(chance, place, shape)).collect();
    if happens(chance, 15)
        && let Some(last) = hosts.last_mut()
    {
        last.is_fed = false;
    }
    if happens(chance, 30) {
        chance.shuffle(&mut hosts);
    }
    let returns = happens(chance, 10).then_some(true);
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts,
        ups: Ups { name: "eaton".to_owned(), owner: OWNER.into(), returns },
        settings: settings(chance),
    }
}

fn settings(chance: &mut Rng) -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        reserve: seconds(chance.u64(5..30)),
        cut_margin: seconds(chance.u64(3..15)),
        charge_below: pick(chance, &[0, 10, 20, 40]),
        on_battery_for: happens(chance, 15).then(|| seconds(chance.u64(10..60))),
        debounce: seconds(chance.u64(2..=5)),
        low_battery_left: seconds(chance.u64(20..90)),
        mains_stable: seconds(chance.u64(6..20)),
        charge_above: pick(chance, &[0, 5, 5, 30]),
        charge_wait: seconds(chance.u64(30..80)),
        wake_every: seconds(chance.u64(5..15)),
        wake_timeout: seconds(chance.u64(45..70)),
        ..Settings::default()
    }
}

fn name_of(place: usize) -> HostName {
    if place == 0 { OWNER.into() } else { format!("k8s-{place}").into() }
}

/// The first host is the owner, and mostly serves files.
fn host(chance: &mut Rng, place: usize, shape: Shape) -> Host {
    let needs: BTreeSet<HostName> = match (shape, place) {
        (Shape::Apart, _) | (_, 0) => BTreeSet::new(),
        (Shape::Star, _) | (Shape::Diamond, 1 | 2) => BTreeSet::from([name_of(0)]),
        (Shape::Chain, _) => BTreeSet::from([name_of(place - 1)]),
        (Shape::Diamond, _) => [1, 2].map(name_of).into(),
        (Shape::Any, _) => (0..place)
            .filter(|need| if *need == 0 { happens(chance, 90) } else { chance.bool() })
            .map(name_of)
            .collect(),
    };
    let ready = match place {
        0 if happens(chance, 90) => ReadyBy::Exports(usual_address(place)),
        1 if happens(chance, 10) => ReadyBy::Exports(usual_address(place)),
        _ if chance.bool() => ReadyBy::Probe(usual_probe(place)),
        _ => ReadyBy::Agent,
    };
    Host {
        name: name_of(place),
        needs,
        is_fed: true,
        stop_timeout: Duration::from_secs(chance.u64(8..30)),
        touches_power: true,
        ready,
        wake: (place == 0 || happens(chance, 98)).then(|| usual_wake(place)),
    }
}

fn machine(chance: &mut Rng, host: &Host) -> HostTruth {
    let planned = u64::try_from(host.stop_timeout.as_millis()).unwrap_or(u64::MAX);
    let share = if happens(chance, 10) { chance.u64(100..180) } else { chance.u64(30..100) };
    HostTruth {
        watts: chance.u64(10..80),
        stops_in: planned * share / 100,
        holds_in: chance.u64(2_000..8_000),
        boots_in: chance.u64(4_000..15_000),
        serves_in: chance.u64(2_500..8_000),
        starts_with_power: happens(chance, 75),
        can_wake: happens(chance, 97),
        answers_arp: happens(chance, 30),
        is_off: happens(chance, 3),
    }
}

/// The battery carries the cluster for little longer than the shutdown takes, so that outages are
/// short.
fn ups(chance: &mut Rng, cluster: &Cluster, genre: Genre) -> UpsTruth {
    let stops: Duration = cluster.hosts.iter().map(|host| host.stop_timeout).sum();
    let needed = stops + cluster.settings.reserve + Duration::from_secs(20);
    let needed = u64::try_from(needed.as_millis()).unwrap_or(u64::MAX);
    let charge_percent = chance.u64(60..=100);
    let holds = needed * chance.u64(70..190) / 100;
    let is_lying = happens(chance, if genre == Genre::Ups { 40 } else { 8 });
    UpsTruth {
        runtime: holds * 100 / charge_percent,
        charge_percent,
        returns: true,
        offers_return: chance.bool(),
        cut_delay: chance.u64(1_000..20_000),
        low_percent: chance.u64(0..25),
        status_every: pick(chance, &[1_000, 2_000, 2_000]),
        numbers_every: pick(chance, &[2_000, 5_000, 15_000, 30_000]),
        runtime_percent: if is_lying { chance.u64(20..300) } else { chance.u64(92..=108) },
        tells_charge: happens(chance, 88),
        tells_runtime: happens(chance, 88),
    }
}
