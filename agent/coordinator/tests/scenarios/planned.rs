//! Planned stops (§5): "off by intent (a planned stop outside any shutdown)". A person types
//! `systemctl poweroff` or `reboot`.

use curfew_coordinator::{BeginReason, Debt, Note, OsStop, Phase, Presence};

use crate::world::World;
use crate::world::reference::{ALL, K1, K2, NFS};

fn debt(world: &World, of: &str) -> Option<Debt> {
    world.status(NFS).owed.get(&of.into()).map(|entry| entry.debt)
}

fn is_lost(world: &World) -> bool {
    ALL.iter().any(|host| world.noted(host, |note| matches!(note, Note::Lost { .. })).is_some())
}

/// "Peers are told `planned`, nobody waits or wakes": and the host says `halting` at its end.
#[test]
fn a_host_that_somebody_powers_off_is_off_by_intent() {
    let mut world = World::reference();
    world.stop_by_hand(K2, OsStop::Off);
    world.run(2);
    let told = world.status(NFS).hosts[&K2.into()].planned_stop;
    world.check(told == Some(OsStop::Off), "peers are told");
    world.check(world.status(K2).planned_stop == Some(OsStop::Off), "it says so itself");
    world.check(world.phase(K2) == Some(Phase::Up), "it is in no shutdown");
    world.until("it says halting", 30, |world| {
        world.status(NFS).hosts[&K2.into()].phase == Some(Phase::Halting)
    });
    world.until("it is off", 60, |world| world.is_off(K2));
    world.run(10);
    world.check(debt(&world, K2) == Some(Debt::Intended), "off by intent");
    world.run(1200);
    world.check(!is_lost(&world), "nobody counts it as lost");
    world.check(world.packets(K2).is_empty(), "nobody wakes it");
    world.check(world.status(NFS).warnings.is_empty(), "nobody misses it");
}

/// "No participant of a later declaration while it is away": the outage neither waits for it nor
/// wakes it.
#[test]
fn a_host_that_somebody_powered_off_stays_off_through_an_outage() {
    let mut world = World::reference();
    world.stop_by_hand(K2, OsStop::Unknown);
    world.run(120);
    world.outage_of(&[K1, NFS]);
    let open = world.status(NFS).shutdown.expect("it is open");
    world.check(!open.participants.contains(&K2.into()), "it takes no part");
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    let is_late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(world.noted(NFS, is_late).is_none(), "nobody waits for it");
    world.mains_return();
    world.until("the others are back", 1200, |world| {
        world.ended(NFS) == Some(1) && world.ended(K1) == Some(1)
    });
    world.run(700);
    world.check(world.packets(K2).is_empty(), "it is not woken");
}

/// A reboot is owed nothing: the host is a full member again as soon as it is heard `up`.
#[test]
fn a_host_that_reboots_is_neither_missed_nor_woken_and_takes_part_again() {
    let mut world = World::reference();
    world.stop_by_hand(K2, OsStop::Reboot);
    world.until("it is away", 60, |world| world.machine(K2).agent.is_none());
    world.run(10);
    world.check(debt(&world, K2).is_none(), "nothing is owed");
    let told = world.status(NFS).hosts[&K2.into()].planned_stop;
    world.check(told == Some(OsStop::Reboot), "status says why it is silent");
    world.until("all is whole again", 200, World::is_whole);
    world.run(2);
    world.check(world.status(NFS).hosts[&K2.into()].planned_stop.is_none(), "it is back");
    let over = |note: &Note| matches!(note, Note::PlannedStopOver { .. });
    world.check(world.noted(NFS, over).is_some(), "that is noted");
    world.check(world.packets(K2).is_empty() && !is_lost(&world), "nobody missed it");
    world.outage();
    let open = world.status(NFS).shutdown.expect("it is open");
    world.check(open.participants.contains(&K2.into()), "it takes part");
}

/// A reboot that never comes back is not forgotten: neither by the agents that run on nor by one
/// that is restarted meanwhile, which does not wake it either.
#[test]
fn a_host_that_does_not_come_back_from_its_reboot_is_missed_in_words() {
    let mut world = World::reference();
    world.machine_mut(K2).boots_in = 100_000_000;
    world.stop_by_hand(K2, OsStop::Reboot);
    world.run(60);
    world.restart_agent(NFS);
    world.check(world.status(NFS).hosts[&K2.into()].planned_stop.is_some(), "it is remembered");
    world.check(world.status(NFS).warnings.is_empty(), "its time is not over");
    world.run(700);
    for host in [NFS, K1] {
        let warnings = world.status(host).warnings;
        world.check(warnings.iter().any(|text| text.contains("k8s-2 went down")), "it is missed");
        let overdue = |note: &Note| matches!(note, Note::PlannedStopOverdue { .. });
        world.check(world.noted(host, overdue).is_some(), "that is noted");
    }
    world.check(world.packets(K2).is_empty(), "nobody wakes it");
    world.wake(NFS, &[K2]);
    world.run(30);
    world.check(!world.packets(K2).is_empty(), "but on demand");
}

/// An operator's wake outranks the plan, and goes on while the host is silent.
#[test]
fn a_host_that_was_powered_off_by_hand_is_woken_on_demand() {
    let mut world = World::reference();
    world.stop_by_hand(K2, OsStop::Off);
    world.run(90);
    world.wake(K1, &[K2]);
    world.until("all is whole again", 300, World::is_whole);
}

/// What was taken back leaves nothing behind.
#[test]
fn a_planned_stop_that_is_taken_back_is_over_for_everybody() {
    let mut world = World::reference();
    world.stop_by_hand(K2, OsStop::Unknown);
    world.run(3);
    world.take_back_stop(K2);
    world.run(3);
    for host in ALL {
        world.check(world.status(host).hosts[&K2.into()].planned_stop.is_none(), "taken back");
    }
    world.check(world.is_whole(), "nothing is left of it");
    let back = |note: &Note| *note == Note::PlannedStopTakenBack;
    world.check(world.noted(K2, back).is_some(), "that is noted");
    world.outage();
    let open = world.status(NFS).shutdown.expect("it is open");
    world.check(open.participants.contains(&K2.into()), "it takes part");
}

/// "Hosts that wait for it as a dependent wait until it is released, as for any other": also where
/// the declaration comes while it leaves, in which it takes no part.
#[test]
fn who_leaves_by_plan_is_waited_for_until_it_is_released() {
    let mut world = World::reference();
    world.stop_by_hand(K1, OsStop::Off);
    world.stop_by_hand(K2, OsStop::Off);
    world.machine_mut(K1).stops_in = 90_000;
    world.run(2);
    world.order_shutdown(NFS, false);
    world.run(10);
    world.check(world.began(NFS).is_none(), "it waits for both");
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    world.check(!world.machine(K1).has_mounts || world.is_off(K1), "k8s-1 is released");
    world.check(world.calls(K1).is_empty() && world.calls(K2).is_empty(), "nobody is called twice");
}

/// In an open shutdown somebody's stop is the stop of that host: the others' release logic works,
/// it is called no second time, and it is woken with them.
#[test]
fn a_host_that_somebody_stops_in_a_shutdown_has_begun_and_is_woken() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-2 begins", 10, |world| world.began(K2).is_some());
    world.stop_by_hand(K1, OsStop::Off);
    let by_other =
        |note: &Note| matches!(note, Note::Began { why: BeginReason::StoppedByOther, .. });
    world.check(world.noted(K1, by_other).is_some(), "it has begun");
    world.check(world.phase(K1) == Some(Phase::Stopping), "and says so");
    world.check(world.status(K1).planned_stop.is_none(), "it is no planned stop");
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.check(world.calls(K1).is_empty(), "it was not called again");
    world.mains_return();
    world.until("all is whole again", 1500, World::is_whole);
}

/// The same behind a restart of its agent: the journal has the begin, and the OS is asked.
#[test]
fn an_agent_restarted_in_a_stop_by_somebody_else_goes_on_with_it() {
    let mut world = World::reference();
    world.outage();
    world.stop_by_hand(K1, OsStop::Unknown);
    world.restart_agent(K1);
    world.check(world.phase(K1) == Some(Phase::Stopping), "it goes on");
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.mains_return();
    world.until("all is whole again", 1500, World::is_whole);
}

/// What somebody began in a shutdown and took back was no begin: the host stops in its turn.
#[test]
fn a_stop_by_somebody_else_that_is_taken_back_leaves_the_host_in_the_shutdown() {
    let mut world = World::reference();
    world.outage();
    world.stop_by_hand(K1, OsStop::Off);
    world.run(2);
    world.take_back_stop(K1);
    world.check(world.phase(K1) == Some(Phase::Waiting), "it waits again");
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    world.check(world.calls(K1).len() == 1, "it was called in its turn");
    world.mains_return();
    world.until("all is whole again", 1500, World::is_whole);
}

/// Who is back from a reboot in the middle of a shutdown takes part, though it did not when that
/// was declared: it stops with the others and is woken with them.
#[test]
fn a_host_that_comes_back_into_a_shutdown_takes_part() {
    let mut world = World::reference();
    world.stop_by_hand(K2, OsStop::Reboot);
    world.machine_mut(K1).stops_in = 200_000;
    world.run(2);
    world.outage_of(&[K1, NFS]);
    world.until("k8s-2 begins", 300, |world| world.began(K2).is_some());
    world.run(2);
    let open = world.status(NFS).shutdown.expect("it is open");
    world.check(open.participants.contains(&K2.into()), "everybody knows");
    world.until("nfs holds", 400, |world| world.phase(NFS) == Some(Phase::Holding));
    world.mains_return();
    world.until("all is whole again", 1500, World::is_whole);
}

/// "No early cut": the silence of a host that boots again proves for a moment only that it is off.
#[test]
fn nothing_is_cut_under_a_host_that_boots_again() {
    let mut world = World::promised();
    world.stop_by_hand(K1, OsStop::Off);
    world.run(60);
    world.stop_by_hand(K2, OsStop::Unknown);
    world.run(45);
    world.boot(K2);
    world.machine_mut(K2).has_no_agent = true;
    world.ups.left = 150_000;
    world.outage_of(&[NFS]);
    // The world itself checks that nobody runs when the output opens by command.
    world.until("nfs begins", 600, |world| world.began(NFS).is_some());
    let is_late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(world.noted(NFS, is_late).is_some(), "the battery lets it wait no longer");
    world.run(200);
}

/// "Dependents are warned": the server says whom its stop hurts.
#[test]
fn a_server_that_is_stopped_by_hand_says_whom_that_hurts() {
    let mut world = World::reference();
    world.machine_mut(K2).has_mounts = false;
    world.run(3);
    world.stop_by_hand(NFS, OsStop::Reboot);
    let seen = |note: &Note| {
        matches!(note, Note::PlannedStopSeen { live_dependents, .. }
            if live_dependents.len() == 1 && live_dependents.contains(&K1.into()))
    };
    world.check(world.noted(NFS, seen).is_some(), "k8s-1 has mounts of it");
    world.check(world.status(NFS).live_dependents == [K1.into()].into(), "and status shows it");
    world.run(2);
    for host in [K1, K2] {
        let server = &world.status(host).hosts[&NFS.into()];
        world.check(server.planned_stop == Some(OsStop::Reboot), "the dependents know");
        world.check(
            world.status(host).hosts[&host.into()].waiting_for.contains(&NFS.into()),
            "and say so",
        );
    }
    world.until("all is whole again", 200, World::is_whole);
    world.check(world.numbers().is_empty(), "nothing was declared");
}

/// An agent that ends while nobody stops its machine never says `halting`.
#[test]
fn an_agent_that_is_told_to_end_without_a_stop_is_not_halting() {
    let mut world = World::reference();
    world.tell(&K2.into(), curfew_coordinator::Event::HaltSeen);
    world.check(world.phase(K2) == Some(Phase::Up), "it is up");
    world.run(2);
    let presence = world.status(NFS).hosts[&K2.into()].presence;
    world.check(presence == Presence::Connected, "and heard");
}
