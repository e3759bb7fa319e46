//! Recovery (§7): the conductor, its gates and their limits, the order of waking, the end.

use std::time::Duration;

use curfew_coordinator::{Cluster, Gate, HostName, Note, PassReason, Phase, ReadyBy};

use crate::world::reference::{K1, K2, NFS, cluster};
use crate::world::{Fact, World};

impl World {
    fn passed(&self, gate: Gate) -> Option<(u64, bool)> {
        let limit = |limit: bool| {
            self.noted(NFS, move |note| *note == Note::GatePassed { gate, by_limit: limit })
        };
        limit(false).map(|at| (at, false)).or_else(|| limit(true).map(|at| (at, true)))
    }

    fn passed_by(&self, host: &str) -> Option<(u64, PassReason)> {
        let host = HostName::from(host);
        [PassReason::NotOff, PassReason::NotReady, PassReason::NoMac].into_iter().find_map(|why| {
            let at = self.noted(NFS, |note| *note == Note::PassedBy { host: host.clone(), why })?;
            Some((at, why))
        })
    }

    /// An outage that ends when all but the owner are off, and the owner does not hold yet.
    fn turned(cluster: Cluster) -> Self {
        let mut world = Self::settled(cluster);
        world.machine_mut(NFS).refuses_stop = true;
        world.turn();
        world
    }

    /// Nobody reads anything for 4 s of each of so many minutes.
    fn flicker_readings(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.run(56);
            self.let_all_see_upsd(false);
            self.run(4);
            self.let_all_see_upsd(true);
        }
    }

    fn turn(&mut self) {
        self.turn_with(80);
    }

    /// The same with `percent` in the battery when the mains return.
    fn turn_with(&mut self, percent: u64) {
        self.machine_mut(K1).stops_in = 30_000;
        self.machine_mut(K2).stops_in = 30_000;
        self.outage();
        self.until("k8s-1 begins", 200, |world| world.began(K1).is_some());
        self.ups.left = self.ups.full * percent / 100;
        self.mains_return();
        self.until("both are off", 60, |world| world.is_off(K1) && world.is_off(K2));
    }
}

/// "It waits until the mains have been stable for `mains-stable` …. Then, in the order of `needs`,
/// each participant that is off is woken; the next one when all that it needs is *ready*."
#[test]
fn hosts_are_woken_in_order_and_each_when_what_it_needs_is_ready() {
    let mut world = World::turned(cluster());
    let back = world.now() - 30_000;
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.packets(K1).first() >= Some(&back), "k8s-1 after the mains were stable");
    // k8s-1 serves 20 s after its boot.
    let serves = world.booted(K1).map(|at| at + 20_000);
    world.check(world.packets(K2).first().copied() >= serves, "k8s-2 when k8s-1 serves");
    world.check(world.calls(NFS).is_empty(), "nfs stayed");
}

/// "… and charge is above `charge-above`."
#[test]
fn nobody_is_woken_before_the_charge_is_back() {
    let mut world = World::new(cluster(), 600);
    world.ups.numbers_every = 5_000;
    world.run(40);
    world.turn_with(10);
    world.until("all is whole again", 3600, World::is_whole);
    let (at, by_limit) = world.passed(Gate::Charge).expect("the gate is passed");
    world.check(!by_limit && world.packets(K1).first() >= Some(&at), "after the charge");
    // From 10 % to 31 % it takes 21 minutes.
    world.check(at > 1_200_000, "which took its time");
}

/// "Every gate has a limit, after which it goes on and says so: `charge-wait`."
#[test]
pub(crate) fn a_battery_that_does_not_charge_is_waited_for_no_longer_than_charge_wait() {
    let mut cluster = cluster();
    cluster.settings.charge_wait = Duration::from_mins(10);
    let mut world = World::settled(cluster);
    world.ups.numbers_every = 5_000;
    world.turn_with(1);
    world.until("all is whole again", 1500, World::is_whole);
    world.check(world.passed(Gate::Charge).is_some_and(|(_, by_limit)| by_limit), "by its limit");
}

/// "An absent variable is a passed gate, reported."
#[test]
fn a_ups_without_a_charge_passes_that_gate() {
    let mut world = World::new(cluster(), 600);
    world.ups.lie = Some(Box::new(|reading| reading.charge = None));
    world.run(40);
    world.turn();
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.passed(Gate::Charge).is_some_and(|(_, by_limit)| by_limit), "and says so");
}

/// "… and until its own exports answer": "«ready» before exports are mounted".
#[test]
fn nobody_is_woken_before_the_conductors_exports_answer() {
    let mut world = World::reference();
    world.machine_mut(NFS).serves_in = 200_000;
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.run(20);
    world.mains_return();
    world.until("all is whole again", 1500, World::is_whole);
    let serves = world.booted(NFS).map(|at| at + 200_000);
    world.check(world.packets(K1).first().copied() >= serves, "after its exports answer");
}

/// The limit of that gate.
#[test]
fn exports_that_never_answer_delay_the_others_for_the_wake_timeout() {
    let mut world = World::reference();
    world.machine_mut(NFS).serves_in = 90_000_000;
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.run(20);
    world.mains_return();
    world.until("all is whole again", 2400, World::is_whole);
    world.check(world.passed(Gate::Exports).is_some_and(|(_, by_limit)| by_limit), "and says so");
}

/// "No reading is *unknown*, not mains: without any since it began to conduct, it waits
/// `charge-wait`, then goes on and says so."
#[test]
fn a_conductor_without_any_reading_waits_charge_wait_and_goes_on() {
    let mut cluster = cluster();
    cluster.settings.charge_wait = Duration::from_mins(10);
    let mut world = World::settled(cluster);
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.run(20);
    world.mains_return();
    world.until("nfs reboots", 200, |world| world.booted(NFS).is_some());
    world.machine_mut(NFS).sees_upsd = false;
    let booted = world.now();
    world.until("all is whole again", 1500, World::is_whole);
    world.check(world.passed(Gate::Mains).is_some_and(|(_, by_limit)| by_limit), "and says so");
    world.check(world.packets(K1).first() >= Some(&(booted + 600_000)), "after charge-wait");
}

/// "A reading of battery starts that anew": nobody is woken on battery, and who was being woken
/// gets the whole time again.
#[test]
fn battery_in_the_middle_of_recovery_starts_the_gates_anew() {
    let mut world = World::reference();
    world.machine_mut(K1).can_wake = false;
    world.turn();
    world.until("k8s-1 gets packets", 200, |world| !world.packets(K1).is_empty());
    world.run(300);
    world.mains_fail();
    world.run(20);
    world.mains_return();
    let back = world.now();
    world.until("k8s-1 is passed by", 1200, |world| world.passed_by(K1).is_some());
    let at = world.passed_by(K1).map(|(at, _)| at);
    world.check(at >= Some(back + 660_000), "mains-stable and a whole wake-timeout later");
}

/// "Every gate has a limit": readings that drop keep none of them from ending.
#[test]
fn readings_that_drop_every_minute_keep_no_limit_from_ending() {
    let mut world = World::reference();
    world.machine_mut(K1).can_wake = false;
    world.turn();
    world.until("k8s-1 gets packets", 200, |world| !world.packets(K1).is_empty());
    let first = world.now();
    world.flicker_readings(12);
    let at = world.passed_by(K1).map(|(at, _)| at);
    world.check(at >= Some(first + 610_000), "k8s-1 gets its whole wake-timeout without the gaps");
    world.check(at <= Some(first + 700_000), "and little more");
    world.check(world.packets(K2).first().copied() >= at, "then k8s-2 is woken");
    world.check(!world.packets(K2).is_empty() && world.phase(K2) == Some(Phase::Up), "and is up");
}

/// The same where they drop from the beginning, so that the mains are never seen to hold.
#[test]
fn mains_that_are_never_seen_to_hold_are_waited_for_no_longer_than_charge_wait() {
    let mut cluster = cluster();
    cluster.settings.charge_wait = Duration::from_mins(10);
    let mut world = World::settled(cluster);
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.mains_return();
    world.until("nfs is back", 200, |world| world.phase(NFS) == Some(Phase::Up));
    let booted = world.now();
    world.flicker_readings(14);
    world.check(world.passed(Gate::Mains).is_some_and(|(_, by_limit)| by_limit), "and says so");
    world.check(world.packets(K1).first() >= Some(&(booted + 600_000)), "after charge-wait");
    world.check(world.is_whole(), "then all are woken");
}

/// Who has seen nothing for longer than the mains must hold must see them hold again.
#[test]
fn after_a_long_gap_in_the_readings_the_mains_must_be_seen_to_hold_again() {
    let mut world = World::reference();
    world.machine_mut(K1).can_wake = false;
    world.turn();
    world.until("k8s-1 gets packets", 200, |world| !world.packets(K1).is_empty());
    world.run(10);
    let before = world.packets(K1).len();
    world.let_all_see_upsd(false);
    world.run(90);
    world.let_all_see_upsd(true);
    world.run(58);
    world.check(world.packets(K1).len() == before, "no packet before the mains held");
    world.until("k8s-1 gets packets", 5, |world| world.packets(K1).len() > before);
}

/// "… after which it goes on and says so": once, however long nobody sees anything.
#[test]
fn a_conductor_that_loses_its_readings_for_good_says_once_that_it_goes_on() {
    let mut cluster = cluster();
    cluster.settings.charge_wait = Duration::from_mins(10);
    let mut world = World::settled(cluster);
    world.machine_mut(K1).can_wake = false;
    world.turn();
    world.until("k8s-1 gets packets", 200, |world| !world.packets(K1).is_empty());
    world.let_all_see_upsd(false);
    world.until("nfs has ended it", 1500, |world| world.status(NFS).ended == 1);
    let said =
        |fact: &Fact| *fact == Fact::Note(Note::GatePassed { gate: Gate::Mains, by_limit: true });
    world.check(world.timeline.times(NFS, said).len() == 1, "said once");
}

/// "A reading of battery starts that anew", also among readings that drop.
#[test]
fn battery_among_readings_that_drop_gives_the_whole_time_anew() {
    let mut world = World::reference();
    world.machine_mut(K1).can_wake = false;
    world.turn();
    world.until("k8s-1 gets packets", 200, |world| !world.packets(K1).is_empty());
    world.flicker_readings(5);
    world.mains_fail();
    world.run(10);
    world.mains_return();
    let back = world.now();
    world.run(70);
    world.flicker_readings(12);
    let at = world.passed_by(K1).map(|(at, _)| at);
    world.check(at >= Some(back + 660_000), "mains-stable and a whole wake-timeout later");
    world.check(at <= Some(back + 760_000), "and little more");
}

/// "Magic packets every `wake-every`"; "`wake-timeout` for each host from the moment recovery turns
/// to it", then the next one.
#[test]
fn a_host_that_does_not_come_is_passed_by_after_its_wake_timeout() {
    let mut world = World::reference();
    world.machine_mut(K1).can_wake = false;
    world.turn();
    world.until("k8s-2 is up", 1500, |world| world.phase(K2) == Some(Phase::Up));
    let first = world.packets(K1).first().copied();
    world.check(world.passed_by(K1).map(|(_, why)| why) == Some(PassReason::NotReady), "reported");
    world.check(
        world.passed_by(K1).map(|(at, _)| at) >= first.map(|at| at + 600_000),
        "after its wake-timeout",
    );
    world.check(world.packets(K2).first() >= world.packets(K1).get(18), "k8s-2 after it");
    let pairs: Vec<u64> = world.packets(K1);
    world.check(pairs.windows(2).all(|pair| pair[1] - pair[0] >= 30_000), "every 30 s");
}

/// "One that is not yet off by then is reported and passed by, and gets its own `wake-timeout` of
/// packets when it is, also after the end."
#[test]
pub(crate) fn a_host_that_hangs_in_its_stop_is_passed_by_and_woken_when_it_is_off_at_last() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 1_500_000;
    world.outage();
    world.until("k8s-2 begins", 10, |world| world.began(K2).is_some());
    world.mains_return();
    world.until("it is passed by", 900, |world| world.passed_by(K2).is_some());
    world.check(world.passed_by(K2).map(|(_, why)| why) == Some(PassReason::NotOff), "reported");
    world.until("nfs has ended it", 10, |world| world.status(NFS).ended == 1);
    world.check(world.packets(K2).is_empty(), "no packets while it runs");
    world.until("all is whole again", 1500, World::is_whole);
    world.check(world.packets(K2).first().copied() >= world.off(K2), "then it is woken");
}

/// "With a probe a missing agent is reported, not waited for."
#[test]
fn with_a_probe_a_missing_agent_is_not_waited_for() {
    let mut world = World::reference();
    world.turn();
    world.until("k8s-1 boots", 300, |world| world.booted(K1).is_some());
    world.run(1);
    // Its agent never starts in this boot.
    world.machine_mut(K1).has_no_agent = true;
    world.until("k8s-2 is up", 300, |world| world.phase(K2) == Some(Phase::Up));
    world.check(world.machine(K1).agent.is_none(), "though k8s-1 has no agent");
}

/// "With neither, its agent says `up` in another boot than the one in which it stopped."
#[test]
fn without_a_probe_the_agent_must_be_up_in_another_boot() {
    let mut cluster = cluster();
    for host in &mut cluster.hosts {
        host.ready = ReadyBy::Agent;
    }
    let mut world = World::turned(cluster);
    world.until("all is whole again", 900, World::is_whole);
    let up = world.booted(K1).map(|at| at + 3_000);
    world.check(world.packets(K2).first().copied() >= up, "k8s-2 when the agent of k8s-1 is up");
}

/// "MAC, address and `ready` come from the current file, else from the plan; a participant that the
/// current file lacks is woken by the plan."
#[test]
fn a_host_that_the_current_file_lacks_is_woken_by_the_plan() {
    let mut world = World::reference();
    world.turn();
    world.cluster.hosts.retain(|host| host.name.as_str() != K2);
    world.restart_agent(NFS);
    world.until("k8s-2 gets packets", 600, |world| !world.packets(K2).is_empty());
    world.until("nfs has ended it", 900, |world| world.ended(NFS) == Some(1));
}

/// "Waking twice is harmless", and who is up is not woken: "a host that was off before is woken,
/// one that was on is not".
#[test]
fn who_did_not_stop_is_sent_no_packet() {
    let mut world = World::reference();
    world.outage();
    world.call_off(NFS);
    world.run(20);
    world.mains_return();
    world.until("k8s-2 is off", 60, |world| world.is_off(K2));
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.packets(K1).is_empty(), "k8s-1 ran all the time");
    world.check(!world.packets(K2).is_empty(), "k8s-2 had begun");
}

/// "The conductor is the UPS owner …; when its agent has been silent for twice `mains-stable`, the
/// first host in file order that is ready and has turned N or booted since."
#[test]
fn the_first_host_conducts_when_the_owner_does_not_come_back() {
    let mut cluster = cluster();
    cluster.settings.charge_wait = Duration::from_mins(10);
    let mut world = World::settled(cluster);
    world.machine_mut(NFS).has_firmware_on = false;
    world.machine_mut(K2).has_firmware_on = false;
    world.outage();
    world.until("the battery ends", 700, |world| !world.ups.output);
    world.mains_return();
    // `upsd` is on the dead owner: nobody reads anything.
    world.until("k8s-2 gets packets", 1500, |world| !world.packets(K2).is_empty());
    let conducts = |note: &Note| matches!(note, Note::Conducting { .. });
    world.check(world.noted(K1, conducts).is_some(), "k8s-1 conducts");
    world.until("k8s-2 is up", 200, |world| world.phase(K2) == Some(Phase::Up));
}

/// "At the end durations go into the history": the report says who is missing.
#[test]
fn the_end_names_those_who_are_missing() {
    let mut world = World::reference();
    world.machine_mut(K2).can_wake = false;
    world.turn();
    world.until("nfs has ended it", 1500, |world| world.status(NFS).ended == 1);
    let k8s_2 = HostName::from(K2);
    let names =
        |note: &Note| matches!(note, Note::Ended { missing, .. } if missing.contains(&k8s_2));
    world.check(world.noted(NFS, names).is_some(), "k8s-2 is missing");
}

/// "One that comes later joins and ends for itself."
#[test]
pub(crate) fn a_host_that_comes_after_the_end_is_owed_nothing() {
    let mut world = World::reference();
    world.machine_mut(K2).can_wake = false;
    world.turn();
    world.until("nfs has ended it", 1500, |world| world.status(NFS).ended == 1);
    world.boot(K2);
    world.until("all is whole again", 120, World::is_whole);
    world.check(world.ended(K2) == Some(1), "k8s-2 has ended it too");
}

/// "A host that starts by itself before its needs are ready publishes `not ready: waiting for
/// nfs`."
#[test]
fn a_host_that_starts_before_its_needs_says_what_it_waits_for() {
    let mut world = World::reference();
    world.outage();
    world.until("the battery ends", 700, |world| !world.ups.output);
    world.machine_mut(NFS).boots_in = 300_000;
    world.mains_return();
    world.run(60);
    let waits = world.status(K1).hosts.get(&K1.into()).map(|host| host.waiting_for.clone());
    world.check(waits == Some([HostName::from(NFS)].into()), "k8s-1 waits for nfs");
}

/// "… a reading of battery starts that anew": `charge-wait` counts from the last return.
#[test]
fn battery_in_the_middle_of_charge_wait_starts_it_anew() {
    let mut cluster = cluster();
    cluster.settings.charge_wait = Duration::from_mins(10);
    let mut world = World::settled(cluster);
    world.ups.numbers_every = 5_000;
    world.turn_with(10);
    world.run(400);
    world.mains_fail();
    world.run(4);
    world.mains_return();
    let back = world.now();
    world.until("k8s-1 gets packets", 900, |world| !world.packets(K1).is_empty());
    world.check(world.now() >= back + 600_000, "10 minutes after the last return");
    world.check(world.passed(Gate::Charge).is_some_and(|(_, by_limit)| by_limit), "by its limit");
}

/// "ARP alone is no sign of life after `halting`", and no reason to leave a host off: the network
/// card of a machine that lost its power without a word answers it for ever.
#[test]
fn a_host_that_fell_off_while_its_network_card_answers_arp_is_woken() {
    let mut world = World::reference();
    world.machine_mut(K2).answers_arp_when_off = true;
    world.mains_fail();
    world.run(10);
    world.crash(K2);
    world.run(30);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
}

/// The same, where it comes to nothing: packets for a full `wake-timeout`, and then no more.
#[test]
fn a_host_that_only_answers_arp_is_given_up_after_its_packets() {
    let mut world = World::reference();
    world.machine_mut(K2).answers_arp_when_off = true;
    world.machine_mut(K2).can_wake = false;
    world.mains_fail();
    world.run(10);
    world.crash(K2);
    world.run(30);
    world.mains_return();
    world.run(1_200);
    let debt = world.status(NFS).owed.get(&K2.into()).map(|entry| entry.debt);
    world.check(debt == Some(curfew_coordinator::Debt::GivenUp), "k8s-2 is given up");
}
