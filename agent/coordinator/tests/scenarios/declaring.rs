//! Declaring (§5): numbers, what is owed, who takes part, and what a boot forgets.

use curfew_coordinator::{Note, Phase, Standing, TurnReason};

use crate::world::reference::{ALL, K1, K2, NFS};
use crate::world::{Fact, World};

/// "A declaration takes 1 + the highest number known."
#[test]
pub(crate) fn the_next_outage_has_the_next_number() {
    let mut world = World::reference();
    for number in 1..=2 {
        world.outage();
        let open = world.status(K1).shutdown.map(|open| open.number);
        world.check(open == Some(number), "the next number");
        world.call_off(NFS);
        world.mains_return();
        world.until("all is whole again", 900, World::is_whole);
        world.ups.left = world.ups.full;
        world.run(100);
    }
    world.check(world.status(K2).ended == 2, "both have ended everywhere");
}

/// "Declarations with one number are one shutdown: reasons and participants are united, so that …
/// healed partitions are harmless."
#[test]
fn two_that_declared_apart_are_one_shutdown_when_the_partition_heals() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 200_000;
    world.isolate(K2);
    world.run(10);
    world.mains_fail();
    world.machine_mut(K2).sees_upsd = false;
    world.run(5);
    // The others declare; k8s-2 gets the same number from an operator at its console.
    world.until("nfs declares", 200, |world| world.is_in_shutdown(NFS));
    world.order_shutdown(K2, false);
    world.run(2);
    world.check(world.numbers().len() == 1, "one number, declared twice");
    world.heal();
    world.run(3);
    for host in ALL {
        let reasons = world.status(host).shutdown.map(|open| open.reasons.len());
        world.check(reasons == Some(2), "both reasons are known");
    }
}

/// "While a host has N `declared`, a trigger adds its reason to N and takes no number."
#[test]
pub(crate) fn a_second_trigger_adds_its_reason_to_the_open_shutdown() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 900_000;
    world.outage();
    world.ups.low_below = u64::MAX;
    world.run(10);
    world.check(world.numbers().len() == 1, "one number");
    world.check(world.triggers(NFS).len() == 2, "two reasons");
}

/// "One that hears a higher `ended` takes it over": a host that was away does not stay behind.
#[test]
fn a_host_that_was_cut_off_takes_over_what_has_ended() {
    let mut world = World::reference();
    world.machine_mut(K1).refuses_stop = true;
    world.outage();
    world.until("k8s-2 is off", 100, |world| world.is_off(K2));
    world.isolate(K1);
    world.mains_return();
    world.until("nfs has ended it", 2000, |world| world.status(NFS).ended == 1);
    world.heal();
    world.machine_mut(K1).refuses_stop = false;
    world.until("k8s-1 knows", 10, |world| world.status(K1).ended == 1);
    world.check(world.calls(NFS).is_empty(), "nfs stayed");
}

/// "`returning` outranks `declared` and is never taken back": a call-off given to any host turns
/// all of them.
#[test]
fn a_call_off_given_to_one_host_turns_all() {
    for host in ALL {
        let mut world = World::reference();
        world.machine_mut(K2).stops_in = 900_000;
        world.outage();
        world.call_off(host);
        world.run(3);
        for other in ALL {
            let standing = world.status(other).shutdown.map(|open| open.standing);
            world.check(standing != Some(Standing::Declared), "turned");
        }
        world.check(world.calls(K1).is_empty() && world.calls(NFS).is_empty(), "nobody follows");
    }
}

/// "A declaration is acted on only in the boot in which it was latched: after a boot the record
/// serves recovery, never a stop."
#[test]
pub(crate) fn a_host_that_booted_does_not_act_on_what_it_latched_before() {
    let mut world = World::reference();
    world.mains_fail();
    world.until("k8s-2 is off", 300, |world| world.is_off(K2));
    world.until("k8s-1 is off", 300, |world| world.is_off(K1));
    // Somebody switches k8s-1 on while nobody else can be heard.
    world.isolate(K1);
    world.boot(K1);
    world.run(120);
    let standing = world.status(K1).shutdown.map(|open| open.standing);
    world.check(standing == Some(Standing::Recorded), "recorded");
    world.check(world.calls(K1).len() == 1, "no stop in this boot");
    world.check(world.phase(K1) == Some(Phase::Up), "up");
}

/// "It latches N again only if a peer that itself latched N in its *present* boot tells it
/// `declared` directly …, and not before its first own reading or 15 s after its start."
#[test]
fn a_host_that_booted_latches_again_what_a_peer_still_acts_on() {
    let mut world = World::reference();
    world.machine_mut(NFS).holds_in = 900_000;
    world.outage();
    world.until("k8s-1 is off", 300, |world| world.is_off(K1));
    world.machine_mut(K1).sees_upsd = false;
    world.boot(K1);
    world.run(48 + 14);
    world.check(world.calls(K1).len() == 1, "not in its first 15 s, without a reading");
    world.run(10);
    world.check(world.calls(K1).len() == 2, "then it goes down again");
}

/// "An owner that boots with a battery shutdown recorded has turned it; with an order recorded it
/// does not conduct."
#[test]
pub(crate) fn an_owner_that_boots_with_an_order_recorded_wakes_nobody() {
    let mut world = World::reference();
    world.order_shutdown(K1, false);
    world.until("all are off", 400, |world| ALL.iter().all(|host| world.is_off(host)));
    world.boot(NFS);
    world.run(400);
    world.check(world.packets(K1).is_empty() && world.packets(K2).is_empty(), "no packets");
    world.check(world.status(NFS).ended == 1, "the order is done");
    world.wake(NFS, &[]);
    world.until("all is whole again", 600, World::is_whole);
    world.check(world.booted(K1) < world.booted(K2), "in order, once an operator asks");
}

/// "… is recovered by `curfew wake` or `--then-wake`".
#[test]
fn an_order_that_asks_for_it_wakes_everybody_when_the_owner_is_back() {
    let mut world = World::reference();
    world.order_shutdown(NFS, true);
    world.until("all are off", 400, |world| ALL.iter().all(|host| world.is_off(host)));
    world.boot(NFS);
    world.until("all is whole again", 900, World::is_whole);
    let turned = |note: &Note| matches!(note, Note::Turned { why: TurnReason::ThenWake, .. });
    world.check(world.noted(NFS, turned).is_some(), "turned");
}

/// "A journal write has one second, then the host goes on from memory, says so, and asks its OS
/// before each call."
#[test]
fn a_host_whose_disk_fails_goes_on_from_memory_and_asks_its_os() {
    let mut world = World::reference();
    world.machine_mut(K1).disk_fails = true;
    world.outage();
    world.until("both are off", 300, |world| world.is_off(K1) && world.is_off(K2));
    let asks = |fact: &Fact| matches!(fact, Fact::StopCalled(call) if call.ask_first);
    for host in [K1, K2] {
        world.check(world.timeline.times(host, asks).len() == 1, "it asks first, disk or not");
    }
}

/// "No thrash: declarations per outage ≤ 1 + the number of mains returns longer than
/// `mains-stable`"; "flapping".
#[test]
fn mains_that_flap_for_minutes_declare_once() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 900_000;
    world.outage();
    for _ in 0..6 {
        world.mains_return();
        world.run(30);
        world.mains_fail();
        world.run(10);
    }
    world.check(world.numbers().len() == 1, "one number");
}

/// "State is taken only from the newest session of a peer": also when a lost journal starts to
/// count its sessions anew.
#[test]
fn an_agent_that_lost_its_journal_and_restarts_is_heard() {
    let mut world = World::reference();
    world.restart_agent(K2);
    world.run(5);
    world.lose_journal(K2);
    world.restart_agent(K2);
    world.run(3);
    let heard = world.status(NFS).hosts.get(&K2.into()).and_then(|host| host.heard);
    world.check(heard.is_some_and(|age| age.as_secs() < 2), "nfs hears k8s-2");
    world.outage();
    world.until("nfs holds", 200, |world| world.phase(NFS) == Some(Phase::Holding));
}

/// "No proof and no number leaves a drill": the state of a rehearsal is only a sign of life.
#[test]
pub(crate) fn the_state_of_a_drill_proves_nothing_and_declares_nothing() {
    let mut world = World::reference();
    let mut message = world.compose(K2);
    message.is_drill = true;
    message.phase = Phase::Halting;
    message.mounts = Some([].into());
    world.tell(&NFS.into(), curfew_coordinator::Event::PeerHeard(message.into()));
    let phase = world.status(NFS).hosts.get(&K2.into()).and_then(|host| host.phase);
    world.check(phase == Some(Phase::Up), "it is up");
}

/// "Who has turned N does not latch it again, new evidence takes N+1."
#[test]
pub(crate) fn new_evidence_after_a_turn_takes_the_next_number() {
    let mut world = World::reference();
    world.machine_mut(K2).can_wake = false;
    world.outage();
    world.mains_return();
    world.until("nfs turns", 100, |world| {
        world.status(NFS).shutdown.is_some_and(|open| open.standing == Standing::Returning)
    });
    world.mains_fail();
    world.until("a second number", 300, |world| world.numbers().len() == 2);
    world.check(world.numbers() == [1, 2].into(), "the next one");
    world.run(1);
    let open = world.status(K1).shutdown.map(|open| (open.number, open.participants.len()));
    world.check(open == Some((2, 3)), "with the participants of the first");
}

/// "[One that hears a higher `ended`] drops everything at or below it … and, if its evidence still
/// holds, declares anew."
#[test]
fn a_host_whose_evidence_still_holds_declares_anew_above_what_has_ended() {
    let mut world = World::reference();
    world.machine_mut(K2).refuses_stop = true;
    world.outage();
    let mut message = world.compose(K2);
    message.ended = 7;
    message.shutdown = None;
    world.tell(&NFS.into(), curfew_coordinator::Event::PeerHeard(message.into()));
    world.check(world.status(NFS).ended == 7, "taken over");
    world.until("nfs declares anew", 10, |world| world.numbers().contains(&8));
}

/// "An owner that boots with a battery shutdown recorded has turned it": also on battery, where its
/// evidence takes the next number.
#[test]
fn an_owner_that_crashes_and_boots_in_the_middle_strands_nobody() {
    let mut world = World::reference();
    world.outage();
    world.run(10);
    world.crash(NFS);
    world.boot(NFS);
    world.until("the others are off", 900, |world| world.is_off(K1) && world.is_off(K2));
    world.run(60);
    world.mains_return();
    world.until("all is whole again", 1800, World::is_whole);
}

/// With the owner's machine `upsd` is gone: the others are blind, stop in order, and come back.
#[test]
fn an_owner_whose_machine_dies_on_battery_takes_nobody_with_it() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(20);
    world.crash(NFS);
    world.until("the others are off", 600, |world| world.is_off(K1) && world.is_off(K2));
    world.check(world.began(K2) < world.began(K1), "in order");
    world.until("the battery ends", 700, |world| !world.ups.output);
    world.mains_return();
    world.until("all is whole again", 1800, World::is_whole);
}

/// "The plan is the owner's, else that of the declarer whose name sorts first, with the `needs` of
/// all plans unless that makes a cycle": hosts with different files follow one order.
#[test]
fn hosts_with_different_files_follow_one_plan() {
    let mut world = World::reference();
    // The file of k8s-2 does not know yet that it needs k8s-1, and has another hash.
    let known = world.cluster.clone();
    world.cluster.hash = "older".to_owned();
    for host in world.cluster.hosts.iter_mut().filter(|host| host.name.as_str() == K2) {
        host.needs = [NFS.into()].into();
    }
    world.restart_agent(K2);
    world.cluster = known;
    world.run(5);
    world.outage();
    world.until("both begin", 200, |world| world.began(K1).is_some());
    world.check(world.began(K2) < world.began(K1), "k8s-1 waits for k8s-2 all the same");
    let other = world.status(NFS).hosts.get(&K2.into()).map(|host| host.has_other_file);
    world.check(other == Some(true), "and the other file is reported");
}

/// A blind host that sees again before its countdown is over declares nothing.
#[test]
fn contact_that_comes_back_on_battery_ends_the_blind_countdown() {
    let mut world = World::reference();
    world.mains_fail();
    for host in ALL {
        world.machine_mut(host).sees_upsd = false;
    }
    world.run(30);
    for host in ALL {
        world.machine_mut(host).sees_upsd = true;
    }
    world.run(30);
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "An *order* ends only by an operator": called off before anybody has begun, it leaves no trace.
#[test]
pub(crate) fn an_order_that_is_called_off_turns_and_leaves_nobody_off_by_intent() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 120_000;
    world.order_shutdown(NFS, false);
    world.run(5);
    world.call_off(K1);
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.calls(NFS).is_empty() && world.calls(K1).is_empty(), "they stayed");
    world.check(!world.packets(K2).is_empty(), "k8s-2 had begun and was woken");
}

/// "Only the highest number is open: N+1 supersedes N."
#[test]
fn a_higher_number_supersedes_a_lower_one() {
    let mut world = World::reference();
    world.machine_mut(K2).refuses_stop = true;
    world.outage();
    let mut message = world.compose(K2);
    if let Some(open) = &mut message.shutdown {
        open.number = 5;
    }
    world.tell(&NFS.into(), curfew_coordinator::Event::PeerHeard(message.into()));
    world.run(2);
    for host in [NFS, K1] {
        let open = world.status(host).shutdown.map(|open| open.number);
        world.check(open == Some(5), "the higher one is open");
    }
}

/// "An agent that starts in the same boot with a latched shutdown resumes where the journal
/// stands", though nobody tells it of it again.
#[test]
pub(crate) fn an_agent_that_starts_again_alone_resumes_where_the_journal_stands() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 900_000;
    world.outage();
    world.isolate(K1);
    world.restart_agent(K1);
    world.check(world.phase(K1) == Some(Phase::Waiting), "it waits");
}
