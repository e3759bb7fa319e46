//! Owed (§5): who is still to be woken, by whom it is known, and what ends it.

use curfew_coordinator::{BeginReason, Debt, Note, Phase};

use crate::world::reference::{ALL, K1, K2, NFS};
use crate::world::{Fact, World};

/// "A host whose journal is lost takes every host of the file": and wakes those who do not run.
#[test]
fn an_owner_that_lost_its_journal_wakes_everybody() {
    let mut world = World::reference();
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.until("k8s-1 is off", 60, |world| world.is_off(K1));
    world.lose_journal(NFS);
    world.mains_return();
    // The agent of the hold wrote its journal again; the disk loses it with the reboot.
    world.until("nfs reboots", 200, |world| world.booted(NFS).is_some());
    world.lose_journal(NFS);
    world.until("all is whole again", 1500, World::is_whole);
    world.check(world.noted(NFS, |note| matches!(note, Note::JournalLost)).is_some(), "said");
    world.check(world.booted(K1) < world.booted(K2), "in order");
}

/// "Owed are … a host heard `up` that falls silent on battery": woken, though no shutdown was ever
/// declared.
#[test]
pub(crate) fn a_host_that_falls_silent_on_battery_is_woken_without_any_shutdown() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.crash(K2);
    world.run(30);
    world.mains_return();
    world.until("all is whole again", 600, World::is_whole);
    world.check(!world.packets(K2).is_empty(), "it was sent packets");
    world.check(world.numbers().is_empty(), "nothing was declared");
}

/// "An entry ends when the host is heard … `up` in the same [boot] with no shutdown open": a loose
/// cable on battery is forgotten.
#[test]
fn a_host_that_was_only_cut_off_on_battery_is_not_owed_for_long() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(5);
    world.isolate(K2);
    world.run(20);
    world.check(world.status(NFS).owed.contains_key(&K2.into()), "owed while silent");
    world.heal();
    world.run(10);
    world.check(!world.status(NFS).owed.contains_key(&K2.into()), "not owed any more");
    world.mains_return();
    world.run(120);
    world.check(world.packets(K2).is_empty(), "and not woken");
}

/// "… or after a full `wake-timeout` of packets *while off*, reported", and "ending … a number
/// never clears it".
#[test]
fn a_host_that_does_not_come_gets_packets_for_the_whole_wake_timeout_and_is_reported() {
    let mut world = World::reference();
    world.machine_mut(K2).can_wake = false;
    world.outage();
    world.until("k8s-2 begins", 10, |world| world.began(K2).is_some());
    world.mains_return();
    world.until("nfs gives it up", 2000, |world| {
        let owed = world.status(NFS).owed;
        owed.get(&K2.into()).is_some_and(|entry| entry.debt == Debt::GivenUp)
    });
    let packets = world.packets(K2);
    let span = packets.last().zip(packets.first()).map(|(last, first)| last - first);
    world.check(span.is_some_and(|span| span >= 560_000), "packets for 10 minutes");
    world.check(packets.len() <= 22, "one each 30 s");
    let passed = |note: &Note| matches!(note, Note::PassedBy { .. });
    world.check(world.noted(NFS, passed).is_some(), "reported");
    world.run(300);
    world.check(world.packets(K2).len() == packets.len(), "and then no more");
    world.machine_mut(K2).can_wake = true;
    world.wake(NFS, &[K2]);
    world.until("all is whole again", 300, World::is_whole);
}

/// "Participants are all hosts that are not off by intent": what an order turned off stays off
/// through the next outage, and nobody waits for it.
#[test]
fn a_host_that_is_off_by_intent_stays_off_through_an_outage() {
    let mut world = World::reference();
    world.order_shutdown(K1, false);
    world.until("all are off", 400, |world| ALL.iter().all(|host| world.is_off(host)));
    world.boot(NFS);
    world.boot(K1);
    world.run(120);
    world.mains_fail();
    world.until("nfs holds", 900, |world| world.phase(NFS) == Some(Phase::Holding));
    let latest = |fact: &Fact| {
        matches!(fact, Fact::Note(Note::Began { why, .. })
        if *why == BeginReason::LatestStart)
    };
    world.check(world.timeline.times_of_any(latest).is_empty(), "nobody waits for k8s-2");
    world.mains_return();
    world.until("k8s-1 is back", 900, |world| {
        world.booted(K1).is_some_and(|at| at + 60_000 < world.now()) && world.ended(NFS) == Some(2)
    });
    world.run(60);
    world.check(world.packets(K2).is_empty(), "k8s-2 is not woken");
}

/// An operator may ask again for a host that was given up twice.
#[test]
fn a_host_that_was_given_up_is_woken_each_time_an_operator_asks() {
    let mut world = World::reference();
    world.machine_mut(K2).can_wake = false;
    world.outage();
    world.until("k8s-2 begins", 10, |world| world.began(K2).is_some());
    world.mains_return();
    let is_given_up = |world: &World| {
        let owed = world.status(NFS).owed;
        owed.get(&K2.into()).is_some_and(|entry| entry.debt == Debt::GivenUp)
    };
    for _ in 0..2 {
        world.until("nfs gives it up", 2000, is_given_up);
        let before = world.packets(K2).len();
        world.wake(NFS, &[K2]);
        world.run(60);
        world.check(world.packets(K2).len() > before, "packets again");
    }
}

/// "Hosts that an order turned off are off by intent, kept in every journal until they are woken":
/// an owner that lost its journal learns it from whoever is there.
#[test]
fn what_is_off_by_intent_is_known_to_all() {
    let mut world = World::reference();
    world.order_shutdown(K1, false);
    world.until("all are off", 400, |world| ALL.iter().all(|host| world.is_off(host)));
    world.boot(NFS);
    world.boot(K1);
    world.run(90);
    for host in [NFS, K1] {
        let debt = world.status(host).owed.get(&K2.into()).map(|entry| entry.debt);
        world.check(debt == Some(Debt::Intended), "k8s-2 is off by intent");
    }
}

/// "Nobody stranded … also with any one agent dead": an owner whose agent slept through the whole
/// outage misses those who were up before.
#[test]
fn an_owner_whose_agent_slept_through_the_outage_wakes_those_who_are_missing() {
    let mut world = World::reference();
    world.kill_agent(NFS);
    world.run(10);
    world.mains_fail();
    world.until("the others are off", 600, |world| world.is_off(K1) && world.is_off(K2));
    world.mains_return();
    world.run(30);
    world.start_agent(NFS);
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.booted(K1) < world.booted(K2), "in order");
}

/// A host that somebody switched off on mains stays off, whoever is restarted later.
#[test]
fn a_host_that_was_switched_off_on_mains_is_not_missed() {
    let mut world = World::reference();
    world.run(30);
    world.crash(K2);
    world.run(90);
    world.restart_agent(NFS);
    world.run(300);
    world.check(world.packets(K2).is_empty(), "it is not woken");
}

/// "A host heard `up` that falls silent on battery": it did, though by the time when its silence is
/// sure the mains are back.
#[test]
fn a_host_that_fell_off_just_before_the_mains_came_back_is_woken() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(20);
    world.crash(K2);
    world.run(1);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
}

/// "A host heard `up` that falls silent on battery": also after the owner, with whose machine
/// `upsd` is gone, so that nobody can read the line any more.
#[test]
fn a_host_that_falls_silent_on_battery_after_the_owner_is_owed() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(20);
    world.crash(NFS);
    world.run(8);
    world.crash(K1);
    world.until("k8s-1 is owed", 30, |world| world.status(K2).owed.contains_key(&K1.into()));
}

/// "The next one when all that it needs is *ready*": the debt to a host ends with its first word,
/// and it serves only later.
#[test]
fn a_host_that_has_come_and_does_not_serve_yet_is_waited_for_by_those_who_need_it() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.crash(K1);
    world.crash(K2);
    world.run(30);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.numbers().is_empty(), "nothing was declared");
    let served_at = world.booted(K1).map(|at| at + world.machine(K1).serves_in);
    world.check(world.packets(K2).first().copied() >= served_at, "k8s-1 serves first");
}

/// "Nobody stranded": an owner that boots while another host is on its way down, its agent already
/// gone, misses that one as soon as it is silent.
#[test]
fn a_host_that_goes_down_while_the_owner_starts_is_missed() {
    let mut world = World::reference();
    world.kill_agent(NFS);
    world.run(10);
    world.mains_fail();
    world.until("k8s-1 begins", 600, |world| world.began(K1).is_some());
    world.kill_agent(K1);
    world.run(7);
    world.check(!world.is_off(K1), "its machine still stops");
    world.start_agent(NFS);
    world.run(3);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
}

/// "A host heard `up`": one whose network card answers has not been heard, and is not woken.
#[test]
fn a_host_that_was_off_before_is_not_owed_for_what_its_network_card_answers() {
    let mut world = World::reference();
    world.run(30);
    world.crash(K2);
    world.machine_mut(K2).answers_arp_when_off = true;
    world.run(120);
    world.kill_agent(NFS);
    world.kill_agent(K1);
    world.start_agent(NFS);
    world.start_agent(K1);
    world.run(30);
    world.mains_fail();
    world.run(30);
    world.mains_return();
    world.run(300);
    world.check(world.packets(K2).is_empty(), "it is not woken");
}
