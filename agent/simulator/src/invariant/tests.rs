//! Each invariant condemns what was made for it: a judge that cannot condemn is worthless.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_coordinator::{
    BeginReason, Call, Cause, Cluster, End, ForeignTier, Host, HostName, Note, ReadyBy, Settings,
    Trigger, Ups, WakeTarget,
};

use super::{Invariant, Judge, compare, twin};
use crate::story::{Change, Dated, HostTruth, NetworkTruth, Story, UpsTruth};
use crate::world::{DRILL_NUMBER, World};
use crate::{Fact, play};

const NFS: usize = 0;
const K1: usize = 1;
const K2: usize = 2;

fn host(place: u8, needs: &[&str], ready: ReadyBy, stop: u64) -> Host {
    let name = if place == 0 { "nfs".to_owned() } else { format!("k8s-{place}") };
    let address = format!("10.0.0.{}", place + 10);
    Host {
        name: HostName::from(name),
        needs: needs.iter().map(|need| HostName::from(*need)).collect(),
        is_fed: true,
        stop_timeout: Duration::from_secs(stop),
        touches_power: true,
        ready,
        wake: Some(WakeTarget { mac: [2, 0, 0, 0, 0, place], to: None, address }),
    }
}

/// Three hosts on mains, and a battery for so many milliseconds.
fn story(runtime: u64) -> Story {
    let hosts = vec![
        host(0, &[], ReadyBy::Exports("10.0.0.10".to_owned()), 10),
        host(1, &["nfs"], ReadyBy::Probe("https://10.0.0.11:6443/readyz".to_owned()), 30),
        host(2, &["nfs", "k8s-1"], ReadyBy::Agent, 20),
    ];
    let truth = HostTruth { stops_in: 8_000, ..HostTruth::default() };
    let settings = Settings {
        reserve: Duration::from_secs(10),
        cut_margin: Duration::from_secs(5),
        ..Settings::default()
    };
    Story {
        about: String::new(),
        seed: 1,
        hosts: hosts.iter().map(|host| (host.name.clone(), truth.clone())).collect(),
        cluster: Cluster {
            name: "home".to_owned(),
            hash: "hash".to_owned(),
            hosts,
            ups: Ups { name: "eaton".to_owned(), owner: "nfs".into(), returns: None },
            settings,
        },
        ups: UpsTruth { runtime, ..UpsTruth::default() },
        network: NetworkTruth::default(),
        measured: BTreeMap::new(),
        changes: Vec::new(),
        heals_at: 10_000_000,
    }
}

/// A world under the eyes of its judge.
struct Court {
    world: World,
    judge: Judge,
}

impl Court {
    /// Opens with a cluster that has been at rest for a minute.
    fn open(runtime: u64) -> Self {
        let story = story(runtime);
        let mut court = Self { world: World::new(&story), judge: Judge::new(&story) };
        assert_eq!(court.run(60_000), None);
        court
    }

    /// Lets the world go on, at most for so long, until something is condemned.
    fn run(&mut self, span: u64) -> Option<Invariant> {
        let until = self.world.now() + span;
        loop {
            let goes_on = self.world.step(until);
            if let Some(found) = self.look() {
                return Some(found);
            }
            if !goes_on {
                return None;
            }
        }
    }

    fn look(&mut self) -> Option<Invariant> {
        self.judge.look(&self.world).err().map(|violation| violation.invariant)
    }

    fn change(&mut self, change: Change) {
        self.world.change(change);
        assert_eq!(self.look(), None);
    }

    /// Looks at what never happened.
    fn pretend(&mut self, host: usize, fact: Fact) -> Option<Invariant> {
        self.world.pretend(host, fact);
        self.look()
    }
}

fn declared(number: u64, trigger: Trigger, evidence: &str) -> Fact {
    let evidence = evidence.to_owned();
    let cause = Cause::Battery;
    Fact::Note(Note::Declared { number, trigger, cause, evidence, time_left: None })
}

fn began(why: BeginReason) -> Fact {
    Fact::Note(Note::Began { end: End::Off, why })
}

fn packet(to: &str) -> Fact {
    Fact::PacketSent { to: to.into(), is_off: true, arrives: true }
}

#[test]
fn all_are_named_as_in_the_documentation() {
    let page = include_str!("../../../../docs/protocol.md");
    let section = page.split("## Invariants").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let named: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("- **"))
        .filter_map(|line| line.split("**").next())
        .collect();
    let titles: Vec<&str> = Invariant::ALL.iter().map(|it| it.title()).collect();
    assert_eq!(named, titles);
}

#[test]
fn a_plain_outage_breaks_none_of_them() {
    let mut story = story(200_000);
    story.changes.push(Dated { at: 60_000, change: Change::MainsFail });
    story.heals_at = 400_000;
    let outcome = play(&story);
    assert_eq!(outcome.violation, None);
    let begins = outcome.world.facts().iter().filter(|it| it.fact == Fact::StopBegan).count();
    assert_eq!(begins, 3, "all stop");
}

#[test]
fn a_host_that_begins_while_its_dependents_work_is_condemned() {
    let mut court = Court::open(600_000);
    let found = court.pretend(NFS, began(BeginReason::Released));
    assert_eq!(found, Some(Invariant::ReleaseIsTrue));
}

#[test]
fn a_latest_start_with_most_of_the_battery_left_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    let found = court.pretend(NFS, began(BeginReason::LatestStart));
    assert_eq!(found, Some(Invariant::ReleaseIsTrue));
}

#[test]
fn a_latest_start_in_a_calm_outage_whose_plan_fits_is_condemned() {
    let mut court = Court::open(112_000);
    court.change(Change::MainsFail);
    let found = court.pretend(K2, began(BeginReason::LatestStart));
    assert_eq!(found, Some(Invariant::OrderHoldsIfThePlanFits));
}

#[test]
fn a_host_that_loses_its_power_although_the_plan_fits_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    assert_eq!(court.run(3_000), None);
    let found = court.pretend(K1, Fact::Off { is_clean: false });
    assert_eq!(found, Some(Invariant::OrderHoldsIfThePlanFits));
}

#[test]
fn an_outage_that_is_long_over_is_no_evidence() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    assert_eq!(court.run(3_000), None);
    court.change(Change::MainsReturn);
    assert_eq!(court.run(60_000), None);
    let found = court.pretend(NFS, declared(1, Trigger::Computed, "runtime left"));
    assert_eq!(found, Some(Invariant::NoFalseShutdown));
}

#[test]
fn a_declaration_by_one_update_that_lies_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    court.change(Change::UpdateLies { runtime_seconds: Some(1), charge_percent: Some(1) });
    assert_eq!(court.run(3_000), None);
    let found = court.pretend(NFS, declared(1, Trigger::Computed, "runtime left"));
    assert_eq!(found, Some(Invariant::NoFalseShutdown));
}

#[test]
fn a_host_that_is_beyond_its_latest_start_and_does_not_stop_is_condemned() {
    let mut court = Court::open(120_000);
    court.change(Change::MainsFail);
    while court.world.machine(K2).stop.is_none() {
        assert!(court.world.step(1_000_000), "k8s-2 stops");
        assert_eq!(court.look(), None);
    }
    // The stop is undone, and nothing comes of it.
    let machine = court.world.bend(K2);
    machine.stop = None;
    machine.boots += 1;
    assert_eq!(court.run(120_000), Some(Invariant::Deadline));
}

#[test]
fn a_declaration_without_evidence_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    let found = court.pretend(NFS, declared(1, Trigger::Time, ""));
    assert_eq!(found, Some(Invariant::NoFalseShutdown));
}

#[test]
fn a_declaration_with_all_of_the_battery_left_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    let found = court.pretend(NFS, declared(1, Trigger::Computed, "it was felt"));
    assert_eq!(found, Some(Invariant::NoFalseShutdown));
}

#[test]
fn a_stop_on_mains_is_condemned() {
    let mut court = Court::open(600_000);
    assert_eq!(court.pretend(K2, Fact::StopBegan), Some(Invariant::NoFalseShutdown));
}

#[test]
fn a_stop_that_starts_over_is_condemned() {
    let mut court = Court::open(600_000);
    assert_eq!(court.pretend(K2, Fact::StopRepeated), Some(Invariant::Latch));
}

#[test]
fn a_stop_for_a_number_that_was_not_latched_in_this_boot_is_condemned() {
    let mut court = Court::open(600_000);
    let found = court.pretend(K2, Fact::StopCalled(call(7)));
    assert_eq!(found, Some(Invariant::Latch));
}

fn call(number: u64) -> Call {
    Call {
        number,
        cause: Cause::Battery,
        end: End::Off,
        ask_first: false,
        attempt: 1,
        is_resumed: false,
        cut_after: Duration::ZERO,
        foreign: ForeignTier::default(),
    }
}

#[test]
fn a_cut_that_nobody_promised_to_end_is_condemned() {
    let mut court = Court::open(600_000);
    let found = court.pretend(NFS, Fact::OutputOpened { by_command: true });
    assert_eq!(found, Some(Invariant::NoEarlyCut));
}

#[test]
fn a_host_that_stays_off_is_condemned_at_the_end() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    assert_eq!(court.run(10_000), None);
    court.change(Change::HostCrashed { host: "k8s-1".into() });
    let found = court.judge.close(&court.world).err().map(|violation| violation.invariant);
    assert_eq!(found, Some(Invariant::NobodyStranded));
}

#[test]
fn a_packet_on_battery_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    assert_eq!(court.run(10_000), None);
    assert_eq!(court.pretend(NFS, packet("k8s-2")), Some(Invariant::RestartOrder));
}

#[test]
fn a_packet_before_a_need_has_served_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::HostCrashed { host: "k8s-1".into() });
    assert_eq!(court.run(10_000), None);
    assert_eq!(court.pretend(NFS, Fact::Note(Note::Conducting { number: None })), None);
    assert_eq!(court.pretend(NFS, packet("k8s-2")), Some(Invariant::RestartOrder));
}

#[test]
fn a_stop_for_what_has_ended_is_condemned() {
    let mut court = Court::open(600_000);
    let found = court.pretend(K1, Fact::StopCalled(call(0)));
    assert_eq!(found, Some(Invariant::Agreement));
}

#[test]
fn a_trigger_that_stood_before_the_end_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::LowFlashed { span: 60_000 });
    court.change(Change::MainsFail);
    assert_eq!(court.run(4_000), None);
    let ended = Fact::Note(Note::Ended { number: 1, missing: BTreeSet::new() });
    assert_eq!(court.pretend(NFS, ended), Some(Invariant::ReArm));
}

#[test]
fn a_number_of_a_drill_is_condemned() {
    let mut court = Court::open(600_000);
    let latched = Note::Latched { number: DRILL_NUMBER, from: "k8s-1".into() };
    assert_eq!(court.pretend(NFS, Fact::Note(latched)), Some(Invariant::DrillIsHarmless));
}

#[test]
fn a_host_that_only_rehearses_is_not_to_be_let_go() {
    let mut court = Court::open(600_000);
    court.change(Change::Rehearsed { host: "k8s-1".into(), span: 10_000 });
    let off = Note::Off { host: "k8s-1".into() };
    assert_eq!(court.pretend(NFS, Fact::Note(off)), Some(Invariant::DrillIsHarmless));
}

#[test]
fn a_number_of_who_reads_nothing_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    court.change(Change::UpsdUnreachable { host: None, span: 60_000 });
    assert_eq!(court.run(10_000), None);
    let found = court.pretend(K1, declared(1, Trigger::Charge, "charge 0 % is below 20 %"));
    assert_eq!(found, Some(Invariant::UnsureIsNotZero));
}

#[test]
fn a_twin_that_begins_earlier_is_condemned() {
    let mut story = story(600_000);
    story.changes.push(Dated { at: 10_000, change: Change::MainsFail });
    story.changes.push(Dated { at: 110_000, change: Change::MainsReturn });
    let darker = twin(&story).expect("the outage is long enough");
    assert_eq!(darker.changes.len(), 3);
    let (original, mut other) = (World::new(&story), World::new(&darker));
    other.pretend(K2, began(BeginReason::NoDependents));
    assert_eq!(compare(&story, &original, &original), Ok(()));
    let found = compare(&story, &original, &other).err().map(|violation| violation.invariant);
    assert_eq!(found, Some(Invariant::UnsureIsNotZero));
}

#[test]
fn a_second_number_in_one_outage_is_condemned() {
    let mut court = Court::open(600_000);
    court.change(Change::MainsFail);
    assert_eq!(court.run(1_000), None);
    assert_eq!(court.pretend(NFS, declared(1, Trigger::Time, "too long")), None);
    let found = court.pretend(NFS, declared(2, Trigger::Time, "too long"));
    assert_eq!(found, Some(Invariant::NoThrash));
}

#[test]
fn an_agent_that_misses_its_deadline_is_condemned() {
    let mut court = Court::open(600_000);
    court.world.skip(5_000);
    assert_eq!(court.look(), Some(Invariant::Limits));
}
