//! An agent that starts in the middle of a shutdown has not read the UPS yet: it looks before it
//! begins.

use curfew_coordinator::Phase;

use crate::world::reference::{K1, K2, NFS};
use crate::world::{Fact, World};

/// The mains are back and k8s-1 is paused: k8s-2 was the last that it waited for, and halts. Then
/// the agent of k8s-1 is killed.
fn killed_in_the_pause() -> World {
    let mut world = World::reference();
    world.outage();
    world.run(2);
    world.mains_return();
    world.until("k8s-1 is paused", 5, |world| world.status(K1).is_paused);
    world.until("k8s-1 hears k8s-2 halt", 30, |world| {
        let hosts = world.status(K1).hosts;
        hosts.get(&K2.into()).and_then(|host| host.phase) == Some(Phase::Halting)
    });
    world.kill_agent(K1);
    world.run(2);
    world
}

/// From now on neither `upsd` nor another agent tells k8s-1 of the UPS.
fn blind(world: &mut World) {
    world.machine_mut(K1).sees_upsd = false;
    world.cut_sessions.extend([(NFS.into(), K1.into()), (K2.into(), K1.into())]);
}

/// "A host that has not begun does not begin while a fresh reading of its own says mains": the
/// mains came back while no agent ran.
#[test]
fn an_agent_restarted_in_a_paused_shutdown_looks_at_the_ups_before_it_begins() {
    let mut world = killed_in_the_pause();
    world.start_agent(K1);
    world.until("it is paused", 5, |world| world.status(K1).is_paused);
    world.until("it is up again", 60, |world| world.phase(K1) == Some(Phase::Up));
    world.check(world.began(K1).is_none(), "k8s-1 never begins");
}

/// Who cannot look does not wait for longer than a host that booted: 15 s.
#[test]
fn an_agent_that_sees_nothing_after_its_start_begins_when_the_grace_is_over() {
    let mut world = killed_in_the_pause();
    blind(&mut world);
    world.run(1);
    world.start_agent(K1);
    let started = world.now();
    world.run(14);
    world.check(world.began(K1).is_none(), "it looks for a reading");
    let began = world.until("it begins", 2, |world| world.began(K1).is_some());
    world.check((15_000..16_000).contains(&(began - started)), "it begins after the grace");
}

/// No look is worth the latest start.
#[test]
fn an_agent_that_sees_nothing_after_its_start_looks_no_longer_than_until_its_latest_start() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 1_000_000;
    world.outage();
    world.run(2);
    world.kill_agent(K1);
    blind(&mut world);
    let latest_in = |world: &World| {
        let plan = world.status(K1).plan;
        plan.stop_times.get(&K1.into()).and_then(|stop| stop.latest_start_in)
    };
    // k8s-1 stops for three minutes and nfs for one; 15 s are never touched.
    let tail = 180 + 60 + 15;
    world.until("the latest start is near", 600, |world| world.ups.left < (tail + 4) * 1000);
    world.start_agent(K1);
    let left = latest_in(&world).map_or(0, |left| left.as_millis());
    world.check((3_000..4_500).contains(&left), "it comes before the end of the grace");
    let started = world.now();
    let began = world.until("it begins", 15, |world| world.began(K1).is_some());
    world.check(u128::from(began - started) <= left + 50, "it begins by its latest start");
    world.check(u128::from(began - started) >= left - 50, "and looks until then");
}

/// A latest start that passed while no agent ran is no reason not to look: the machine runs still,
/// so the mains may be back.
#[test]
fn an_agent_that_starts_long_after_its_latest_start_looks_at_the_ups_before_it_begins() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 1_000_000;
    world.outage();
    world.run(2);
    world.kill_agent(K1);
    world.kill_agent(NFS);
    world.mains_return();
    world.run(1_200);
    world.start_agent(K1);
    world.run(10);
    world.check(world.status(K1).is_paused, "k8s-1 reads mains");
    world.check(world.began(K1).is_none(), "and does not begin");
}

/// "Asks its OS before each call", also where the record of the call was lost with the journal: a
/// second call would start the stop over.
#[test]
fn an_agent_that_lost_its_journal_while_it_stops_asks_its_os() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-2 stops", 300, |world| !world.calls(K2).is_empty());
    world.run(1);
    world.lose_journal(K2);
    world.kill_agent(K2);
    world.start_agent(K2);
    let asks = |fact: &Fact| matches!(fact, Fact::StopCalled(call) if call.ask_first);
    world.until("k8s-2 asks", 10, |world| !world.facts(K2, asks).is_empty());
}

/// The same, where the disk never took the record of the call.
#[test]
fn an_agent_whose_disk_failed_while_it_stopped_asks_its_os() {
    let mut world = World::reference();
    world.machine_mut(K2).disk_fails = true;
    world.outage();
    world.until("k8s-2 stops", 300, |world| !world.calls(K2).is_empty());
    world.run(1);
    let calls = world.calls(K2).len();
    world.restart_agent(K2);
    world.until("k8s-2 calls again", 10, |world| world.calls(K2).len() > calls);
    let last = world.facts(K2, |fact| matches!(fact, Fact::StopCalled(_))).pop();
    let asks = matches!(last, Some(Fact::StopCalled(call)) if call.ask_first);
    world.check(asks, "it asks first");
}

/// The mains end no order: there is nothing to look for.
#[test]
fn an_agent_restarted_in_a_shutdown_by_order_begins_without_a_reading() {
    let mut world = World::reference();
    world.order_shutdown(NFS, false);
    world.run(2);
    world.kill_agent(K1);
    blind(&mut world);
    world.until("k8s-2 is off", 60, |world| world.is_off(K2));
    world.run(1);
    world.start_agent(K1);
    world.until("it begins, long before the grace is over", 10, |world| world.began(K1).is_some());
}

/// "The owner measures its own time to enter the hold": of a hold that stood already, and of which
/// the journal knows nothing, nobody has measured anything, least of all that it takes no time.
#[test]
fn a_hold_that_stands_already_is_not_measured_as_one_of_no_time() {
    let mut world = World::reference();
    world.machine_mut(NFS).disk_fails = true;
    world.outage();
    world.until("nfs holds", 400, |world| world.phase(NFS) == Some(Phase::Holding));
    world.restart_agent(NFS);
    world.until("nfs holds again", 400, |world| world.phase(NFS) == Some(Phase::Holding));
    let status = world.status(NFS);
    let stop = &status.plan.stop_times[&NFS.into()];
    world.check(stop.measured.is_empty(), "nobody measured it");
}
