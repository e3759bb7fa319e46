//! The whole cycle: outage, ordered shutdown, hold or cut, gated and ordered restart.

use curfew_coordinator::{End, Note, Phase, TurnReason};

use crate::world::World;
use crate::world::reference::{ALL, K1, K2, NFS};

/// "Outage → ordered shutdown → hold → the mains return → gated, ordered restart", on a UPS that
/// does not promise to come back.
#[test]
pub(crate) fn an_outage_ends_in_the_hold_and_all_come_back_in_order() {
    let mut world = World::reference();
    world.outage();
    world.until("nfs holds and the others are off", 300, |world| {
        world.phase(NFS) == Some(Phase::Holding) && world.is_off(K1) && world.is_off(K2)
    });
    world.check(world.off(K2) < world.off(K1), "k8s-2 is off before k8s-1");
    world.check(world.began(K2) < world.began(K1), "k8s-2 begins before k8s-1");
    world.check(world.began(K1) < world.began(NFS), "k8s-1 begins before nfs");
    world.run(60);
    world.check(world.packets(K1).is_empty(), "nobody is woken from the hold");
    world.mains_return();
    world.until("all is whole again", 1200, World::is_whole);
    world.check(world.booted(NFS) < world.booted(K1), "nfs before k8s-1");
    world.check(world.booted(K1) < world.booted(K2), "k8s-1 before k8s-2");
    world.check(ALL.iter().all(|host| world.calls(host).len() == 1), "one call each");
    world.check(world.numbers().len() == 1, "one number");
}

/// The same where return is promised: the owner powers off and has the UPS cut.
#[test]
fn an_outage_ends_in_the_cut_where_return_is_promised() {
    let mut world = World::promised();
    world.outage();
    world.until("the UPS is cut", 300, |world| !world.ups.output);
    world.check(world.called(NFS, End::Cut), "nfs cuts");
    world.run(600);
    world.mains_return();
    world.until("all is whole again", 1200, World::is_whole);
    world.check(world.noted(NFS, |note| matches!(note, Note::Ended { .. })).is_some(), "it ends");
    world.check(ALL.iter().all(|host| world.calls(host).len() == 1), "one call each");
}

/// "What a host does is decided by one fact of its own: if it has begun it goes through with it
/// and is woken; if not, it is `up` again."
#[test]
pub(crate) fn mains_that_return_when_only_k8s_2_has_begun_bring_back_k8s_2_alone() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-2 begins", 60, |world| world.began(K2).is_some());
    world.mains_return();
    world.until("all is whole again", 1200, World::is_whole);
    world.check(world.calls(K1).is_empty() && world.calls(NFS).is_empty(), "the others stay");
    world.check(world.off(K2) < world.booted(K2), "k8s-2 went through with it and was woken");
    let turned = |note: &Note| matches!(note, Note::Turned { why: TurnReason::MainsStable, .. });
    world.check(world.noted(NFS, turned).is_some(), "nfs turned");
    world.check(world.noted(K1, |note| matches!(note, Note::Paused)).is_some(), "k8s-1 paused");
}

/// "A second outage is a new number and inherits the participants."
#[test]
pub(crate) fn a_second_outage_during_recovery_is_a_new_number_and_strands_nobody() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-1 is off", 300, |world| world.is_off(K1));
    world.mains_return();
    world.until("k8s-1 is woken", 600, |world| !world.packets(K1).is_empty());
    world.mains_fail();
    // Stops were measured by now, and so the cluster waits longer than the first time.
    world.ups.left = 200_000;
    world.until("a second number", 300, |world| world.numbers().len() == 2);
    world.until("nfs holds again", 600, |world| world.phase(NFS) == Some(Phase::Holding));
    world.run(30);
    world.mains_return();
    world.until("all is whole again", 1800, World::is_whole);
}

/// "An agent that starts in the same boot with a latched shutdown resumes where the journal
/// stands": `waiting`, on each host.
#[test]
pub(crate) fn agents_restarted_while_they_wait_resume() {
    for host in ALL {
        let mut world = World::reference();
        world.outage();
        world.restart_agent(host);
        finish(&mut world);
    }
}

/// The same in `stopping`.
#[test]
pub(crate) fn agents_restarted_while_they_stop_do_not_stop_twice() {
    for host in ALL {
        let mut world = World::reference();
        world.outage();
        world.until("it begins", 300, |world| !world.calls(host).is_empty());
        world.run(1);
        world.restart_agent(host);
        finish(&mut world);
    }
}

/// The same between the record and the call: "the record says *about to call*".
#[test]
fn an_agent_that_died_before_the_call_calls_after_its_restart() {
    for host in ALL {
        let mut world = World::reference();
        world.machine_mut(host).dies_before_call = true;
        world.mains_fail();
        world.until("it dies", 300, |world| {
            world.began(host).is_some() && world.machine(host).agent.is_none()
        });
        world.check(world.calls(host).is_empty(), "it has not called");
        world.run(2);
        world.start_agent(host);
        finish(&mut world);
        world.check(world.calls(host).len() == 1, "it calls once");
    }
}

/// The same in the hold.
#[test]
fn an_owner_whose_agent_is_restarted_in_the_hold_conducts() {
    let mut world = World::reference();
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.restart_agent(NFS);
    finish(&mut world);
}

/// "… turning and conducting included."
#[test]
fn an_owner_whose_agent_is_restarted_while_it_conducts_goes_on() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-2 begins", 60, |world| world.began(K2).is_some());
    world.run(5);
    world.mains_return();
    world.until("nfs conducts", 300, |world| world.status(NFS).is_conducting);
    world.restart_agent(NFS);
    world.until("all is whole again", 1200, World::is_whole);
    world.check(world.calls(NFS).is_empty(), "nfs stays");
}

/// The owner's agent dies before anybody begins: the others go on without it.
#[test]
fn the_others_stop_in_order_without_the_agent_of_the_owner() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(20);
    world.kill_agent(NFS);
    world.until("the others are off", 600, |world| world.is_off(K1) && world.is_off(K2));
    world.check(world.began(K2) < world.began(K1), "k8s-1 waits for k8s-2");
    world.start_agent(NFS);
    finish(&mut world);
}

/// Lets the battery go on for a while, has the mains return, and waits until all is whole.
fn finish(world: &mut World) {
    world.until("nfs holds and the others are off", 600, |world| {
        world.phase(NFS) == Some(Phase::Holding) && world.is_off(K1) && world.is_off(K2)
    });
    world.run(10);
    world.mains_return();
    world.until("all is whole again", 1800, World::is_whole);
}
