//! Plans: the reference cluster, and arbitrary graphs that a peer might send.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::{Overhead, Plan, PlannedHost, Schedule};
use crate::{HostName, ReadyBy, Time};

fn host(stop: u64, is_fed: bool, needs: &[&str]) -> PlannedHost {
    PlannedHost {
        needs: names(needs),
        is_fed,
        stop: Duration::from_secs(stop),
        ready: ReadyBy::Agent,
        wake: None,
    }
}

fn plan(owner: &str, hosts: &[(&str, PlannedHost)]) -> Plan {
    let hosts = hosts.iter().map(|(name, host)| ((*name).into(), host.clone())).collect();
    Plan { file_hash: "hash".to_owned(), owner: owner.into(), hosts }
}

fn names(names: &[&str]) -> BTreeSet<HostName> {
    names.iter().copied().map(HostName::from).collect()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The reference cluster, with a fed host that needs nobody.
fn home() -> Plan {
    plan(
        "nfs",
        &[
            ("k8s-1", host(100, true, &["nfs"])),
            ("k8s-2", host(50, true, &["k8s-1", "nfs"])),
            ("nfs", host(30, true, &[])),
            ("printer", host(10, true, &[])),
        ],
    )
}

#[test]
fn dependents_are_those_that_need_it_through_others_too() {
    let mut plan = home();
    plan.owner = "printer".into();
    assert_eq!(plan.dependents(&"k8s-2".into()), names(&[]));
    assert_eq!(plan.dependents(&"k8s-1".into()), names(&["k8s-2"]));
    assert_eq!(plan.dependents(&"nfs".into()), names(&["k8s-1", "k8s-2"]));
}

#[test]
fn every_fed_host_is_a_dependent_of_the_owner() {
    let mut plan = home();
    assert_eq!(plan.dependents(&"nfs".into()), names(&["k8s-1", "k8s-2", "printer"]));
    plan.hosts.insert("laptop".into(), host(10, false, &[]));
    assert!(!plan.dependents(&"nfs".into()).contains(&"laptop".into()));
}

#[test]
fn needs_are_direct_or_through_others_and_the_owner_is_none() {
    let plan = home();
    assert_eq!(needs_of(&plan, &"k8s-2".into()), names(&["k8s-1", "nfs"]));
    assert_eq!(plan.needs_all(&"k8s-2".into()), names(&["k8s-1", "nfs"]));
    assert_eq!(plan.needs_all(&"printer".into()), names(&[]));
    let mut chain = plan;
    chain.hosts.insert("k8s-2".into(), host(50, true, &["k8s-1"]));
    assert_eq!(needs_of(&chain, &"k8s-2".into()), names(&["k8s-1"]));
    assert_eq!(chain.needs_all(&"k8s-2".into()), names(&["k8s-1", "nfs"]));
}

#[test]
fn tail_is_the_own_stop_and_the_longest_chain_after_it() {
    let plan = home();
    assert_eq!(plan.tail(&"nfs".into()), secs(30));
    assert_eq!(plan.tail(&"k8s-1".into()), secs(130));
    assert_eq!(plan.tail(&"k8s-2".into()), secs(180));
    assert_eq!(plan.tail(&"printer".into()), secs(40), "the owner stops after it");
    assert_eq!(plan.tail(&"stranger".into()), Duration::ZERO);
}

#[test]
fn time_needed_is_the_critical_path_with_a_proof_at_each_hop() {
    let overhead =
        Overhead { lag: secs(1), proof_per_hop: secs(5), foreign: secs(60), ups_delay: secs(20) };
    let plan = home();
    let all = plan.hosts.keys().cloned().collect();
    assert_eq!(time_needed(&plan, &overhead, &all), secs(50 + 5 + 100 + 5 + 30 + 1 + 60 + 20));
    assert_eq!(time_needed(&plan, &Overhead::default(), &all), secs(180));
}

#[test]
fn a_host_that_is_no_participant_takes_no_time_and_no_proof() {
    let overhead = Overhead { proof_per_hop: secs(5), ..Overhead::default() };
    let plan = home();
    assert_eq!(time_needed(&plan, &overhead, &names(&["k8s-2", "nfs"])), secs(50 + 5 + 30));
    assert_eq!(time_needed(&plan, &overhead, &names(&["k8s-2", "k8s-1"])), secs(50 + 5 + 100));
    assert_eq!(time_needed(&plan, &overhead, &names(&["nfs"])), secs(30));
    assert_eq!(time_needed(&plan, &overhead, &names(&["stranger"])), Duration::ZERO);
}

#[test]
fn latest_start_counts_backwards_and_ends_at_boot() {
    let plan = home();
    let end = Time::from_millis(1_000_000);
    let latest = |host: &str| latest_start(&plan, &host.into(), end, secs(15));
    assert_eq!(latest("nfs"), Time::from_millis(955_000));
    assert_eq!(latest("k8s-2"), Time::from_millis(805_000));
    assert_eq!(
        latest_start(&plan, &"k8s-2".into(), Time::from_millis(90_000), secs(15)),
        Time::default()
    );
}

#[test]
fn hosts_start_after_their_needs_and_otherwise_by_name() {
    let plan = home();
    let order: Vec<_> = start_order(&plan).iter().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(order, ["nfs", "k8s-1", "k8s-2", "printer"]);
}

#[test]
fn the_owner_stops_last_whatever_it_claims_to_need() {
    let mut plan = home();
    plan.hosts.insert("nfs".into(), host(30, true, &["switch"]));
    plan.hosts.insert("switch".into(), host(5, false, &["k8s-2"]));
    assert!(!plan.is_acyclic());
    assert!(plan.dependents(&"nfs".into()).is_superset(&names(&["k8s-1", "k8s-2", "printer"])));
    assert_eq!(plan.tail(&"nfs".into()), secs(30));
}

#[test]
fn a_need_that_names_no_host_is_no_need() {
    let plan =
        plan("nfs", &[("k8s-1", host(1, true, &["ghost", "nfs"])), ("nfs", host(1, true, &[]))]);
    assert!(plan.is_acyclic());
    assert_eq!(needs_of(&plan, &"k8s-1".into()), names(&["nfs"]));
    assert_eq!(start_order(&plan).len(), 2);
}

#[test]
fn uniting_adds_the_needs_and_the_hosts_that_it_lacks() {
    let mut ours = home();
    let mut theirs = home();
    theirs.hosts.insert("k8s-3".into(), host(20, true, &["k8s-2"]));
    theirs.hosts.insert("printer".into(), host(99, true, &["k8s-1"]));
    ours.unite(&theirs);
    assert_eq!(needs_of(&ours, &"printer".into()), names(&["k8s-1"]));
    assert_eq!(needs_of(&ours, &"k8s-3".into()), names(&["k8s-2"]));
    assert_eq!(ours.tail(&"printer".into()), secs(10 + 100 + 30), "its own stop time stays");
}

#[test]
fn uniting_adds_no_need_at_all_if_one_makes_a_cycle() {
    let mut ours = home();
    let mut theirs = home();
    theirs.hosts.insert("k8s-1".into(), host(100, true, &["nfs", "k8s-2"]));
    theirs.hosts.insert("k8s-3".into(), host(20, true, &["k8s-2"]));
    theirs.hosts.insert("printer".into(), host(10, true, &["k8s-1"]));
    ours.unite(&theirs);
    let mut expected = home();
    expected.hosts.insert("k8s-3".into(), host(20, true, &[]));
    assert_eq!(ours, expected);
}

#[test]
fn a_long_chain_does_not_exhaust_the_stack() {
    let name = |n: usize| format!("h{n:05}");
    let hosts: BTreeMap<HostName, PlannedHost> =
        (0..10_000).map(|n| (name(n).into(), host(1, false, &[name(n + 1).as_str()]))).collect();
    let mut plan = Plan { file_hash: String::new(), owner: name(0).into(), hosts };
    assert!(plan.is_acyclic());
    assert_eq!(plan.tail(&name(0).into()), secs(10_000));
    plan.hosts.insert(name(9_999).into(), host(1, false, &[name(0).as_str()]));
    assert!(!plan.is_acyclic());
    assert_eq!(start_order(&plan).len(), 10_000);
}

fn scheduled(plan: &Plan) -> Schedule {
    Schedule::from(Arc::new(plan.clone()))
}

fn start_order(plan: &Plan) -> Vec<HostName> {
    scheduled(plan).start_order().cloned().collect()
}

fn needs_of(plan: &Plan, host: &HostName) -> BTreeSet<HostName> {
    scheduled(plan).needs_of(host).iter().cloned().collect()
}

fn time_needed(plan: &Plan, overhead: &Overhead, participants: &BTreeSet<HostName>) -> Duration {
    scheduled(plan).time_needed(overhead, |host| participants.contains(host))
}

fn latest_start(plan: &Plan, host: &HostName, end: Time, cut_margin: Duration) -> Time {
    scheduled(plan).latest_start(host, end, cut_margin)
}

/// Any graph over nine names, of which `i` is never a host.
fn any_plan() -> impl Strategy<Value = Plan> {
    let needs = btree_set("[a-i]", 0..4);
    let planned = (needs, any::<bool>(), prop_oneof![0..500_u64, Just(u64::MAX)]).prop_map(
        |(needs, is_fed, stop)| PlannedHost {
            needs: needs.into_iter().map(HostName::from).collect(),
            is_fed,
            stop: Duration::from_secs(stop),
            ready: ReadyBy::Agent,
            wake: None,
        },
    );
    ("[a-c]", btree_map("[a-h]", planned, 0..8)).prop_map(|(owner, hosts)| Plan {
        file_hash: String::new(),
        owner: owner.into(),
        hosts: hosts.into_iter().map(|(name, host)| (name.into(), host)).collect(),
    })
}

/// Any graph whose needs point to later names, with the last one as the owner.
fn sound_plan() -> impl Strategy<Value = Plan> {
    any_plan().prop_map(|mut plan| {
        for (name, host) in &mut plan.hosts {
            host.needs.retain(|need| need > name);
        }
        if let Some(last) = plan.hosts.keys().next_back() {
            plan.owner = last.clone();
        }
        plan
    })
}

proptest! {
    #[test]
    fn every_host_starts_once_whatever_the_plan(plan in any_plan()) {
        let order = start_order(&plan);
        prop_assert_eq!(order.iter().collect::<BTreeSet<_>>(), plan.hosts.keys().collect());
        prop_assert_eq!(order.len(), plan.hosts.len());
        for (at, name) in order.iter().enumerate() {
            for need in needs_of(&plan, name) {
                prop_assert!(order[..at].contains(&need));
            }
        }
    }

    #[test]
    fn no_two_hosts_wait_for_each_other_whatever_the_plan(plan in any_plan()) {
        for name in plan.hosts.keys() {
            let dependents = plan.dependents(name);
            prop_assert!(!dependents.contains(name));
            for dependent in &dependents {
                prop_assert!(!plan.dependents(dependent).contains(name));
            }
        }
        if let Some((owner, _)) = plan.hosts.get_key_value(&plan.owner) {
            let fed = plan.hosts.iter().filter(|(name, host)| host.is_fed && *name != owner);
            let fed: BTreeSet<_> = fed.map(|(name, _)| name.clone()).collect();
            prop_assert!(plan.dependents(owner).is_superset(&fed));
        }
    }

    #[test]
    fn a_dependent_begins_its_own_stop_before_what_it_needs_begins(
        plan in any_plan(),
        end in 0..10_000_000_u64,
    ) {
        let latest =
            |name: &HostName| latest_start(&plan, name, Time::from_millis(end), secs(15));
        for name in plan.hosts.keys() {
            for dependent in plan.dependents(name) {
                let stop = plan.hosts[&dependent].stop;
                prop_assert!(latest(&dependent) <= latest(name).minus(stop));
            }
        }
    }

    #[test]
    fn the_plan_fits_into_the_time_that_it_needs(plan in any_plan()) {
        let all: BTreeSet<_> = plan.hosts.keys().cloned().collect();
        let needed = time_needed(&plan, &Overhead::default(), &all);
        let longest = plan.hosts.keys().map(|name| plan.tail(name)).max();
        prop_assert_eq!(needed, longest.unwrap_or_default());
    }

    #[test]
    fn a_plan_whose_needs_point_one_way_keeps_all_of_them(plan in sound_plan()) {
        prop_assert!(plan.is_acyclic());
        for (name, host) in &plan.hosts {
            let known = host.needs.iter().filter(|need| plan.hosts.contains_key(*need));
            prop_assert_eq!(needs_of(&plan, name), known.cloned().collect());
        }
    }

    #[test]
    fn uniting_keeps_what_is_there_and_is_done_once(
        ours in sound_plan(),
        theirs in any_plan(),
    ) {
        let mut united = ours.clone();
        united.unite(&theirs);
        for (name, host) in &ours.hosts {
            let now = &united.hosts[name];
            prop_assert!(now.needs.is_superset(&host.needs));
            prop_assert_eq!(now.stop, host.stop);
        }
        prop_assert!(theirs.hosts.keys().all(|name| united.hosts.contains_key(name)));
        let added = ours.hosts.iter().any(|(name, host)| united.hosts[name].needs != host.needs);
        prop_assert!(!added || united.is_acyclic());
        let mut again = united.clone();
        again.unite(&theirs);
        prop_assert_eq!(again, united);
    }
}
