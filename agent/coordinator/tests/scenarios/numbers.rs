//! Numbers (§4): which of the UPS's count, what a shutdown needs, and the stop times behind it.

use std::time::Duration;

use curfew_coordinator::{Abilities, Event, Line};

use crate::world::World;
use crate::world::reference::{ALL, K1, K2, NFS, cluster};

/// "While … at most one driver update lies, nothing is declared."
#[test]
pub(crate) fn one_driver_update_that_lies_declares_nothing() {
    let mut world = World::reference();
    world.mains_fail();
    world.ups.left = 1_200_000;
    world.ups.full = 1_200_000;
    world.run(31);
    world.ups.lie = Some(Box::new(|reading| {
        reading.runtime = Some(Duration::from_secs(5));
        reading.charge = Some(2);
    }));
    world.run(29);
    world.ups.lie = None;
    world.run(20);
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "An equal value confirms it and never restarts the countdown, so a constant one is harmless."
#[test]
fn a_constant_runtime_runs_down_all_the_same() {
    let mut world = World::reference();
    world.ups.lie = Some(Box::new(|reading| reading.runtime = Some(Duration::from_mins(10))));
    world.run(60);
    world.outage();
    world.check(world.ups.left >= 480_000, "in time");
}

/// "0, −1, 65535 and the like are absent": "runtime 0 or absurd right after transfer".
#[test]
fn an_absurd_runtime_is_no_runtime() {
    for seconds in [0, 65_535] {
        let mut world = World::reference();
        world.mains_fail();
        world.ups.lie =
            Some(Box::new(move |reading| reading.runtime = Some(Duration::from_secs(seconds))));
        world.run(60);
        world.check(world.numbers().is_empty(), "nothing is declared at once");
        world.until("it is declared", 70, |world| !world.triggers(NFS).is_empty());
    }
}

/// "Stop times are measured by those who wait …; they travel in the state."
#[test]
fn stop_times_are_measured_and_known_to_all_after_the_cycle() {
    let mut world = World::reference();
    let before = world.status(NFS).plan.time_needed;
    world.outage();
    world.until("both are off", 300, |world| world.is_off(K1) && world.is_off(K2));
    world.run(10);
    world.mains_return();
    world.until("all is whole again", 1200, World::is_whole);
    world.run(3);
    for host in ALL {
        let plan = world.status(host).plan;
        let takes = |host: &str| plan.stop_times.get(&host.into()).map(|stop| stop.takes.as_secs());
        world.check(takes(K2).is_some_and(|takes| (38..=50).contains(&takes)), "k8s-2");
        world.check(takes(K1).is_some_and(|takes| (38..=50).contains(&takes)), "k8s-1");
        world.check(takes(NFS) == Some(8), "the owner measured its own time to enter the hold");
        world.check(plan.time_needed < before, "less is needed now");
    }
}

/// "Of the last five the largest counts, at most twice `stop-timeout`; stops that … were compressed
/// or touched no power do not count."
#[test]
fn stops_of_a_compressed_plan_or_without_power_are_not_measured() {
    let mut compressed = World::new(cluster(), 300);
    compressed.run(80);
    let mut dry = cluster();
    dry.hosts.iter_mut().for_each(|host| host.touches_power = false);
    for mut world in [compressed, World::settled(dry)] {
        world.outage();
        world.until("both are off", 300, |world| world.is_off(K1) && world.is_off(K2));
        world.run(10);
        world.mains_return();
        world.until("all is whole again", 1500, World::is_whole);
        let hosts = world.status(K1).plan.stop_times;
        let measured = hosts.iter().filter(|(name, _)| name.as_str() != NFS);
        let measured = measured.map(|(_, stop)| stop.measured.len()).sum::<usize>();
        world.check(measured == 0, "nothing was measured");
    }
}

/// "An assumed time left … is fixed when its trigger first holds and from then on only counts
/// down"; "a credible runtime replaces it".
#[test]
fn an_assumed_time_left_only_counts_down() {
    let mut world = World::new(cluster(), 600);
    world.ups.lie = Some(Box::new(|reading| {
        reading.runtime = None;
        reading.charge = None;
        reading.is_low = reading.line == Line::Battery;
    }));
    world.run(40);
    world.machine_mut(K2).stops_in = 900_000;
    world.outage();
    let left = |world: &World| world.status(NFS).shutdown.and_then(|open| open.time_left);
    let first = left(&world);
    world.run(30);
    let later = left(&world).map(|left| left + Duration::from_secs(30));
    let differs = first.zip(later).map(|(first, later)| first.abs_diff(later));
    world.check(differs.is_some_and(|it| it < Duration::from_secs(1)), "by 30 s in 30 s");
}

/// "`time-needed` is the critical path of the stop times, with …, foreign clients if any are logged
/// in, and the UPS's own delay."
#[test]
fn foreign_clients_and_the_delay_of_the_ups_need_their_time() {
    let mut world = World::promised();
    let before = world.status(NFS).plan.time_needed;
    world.ups.lie = Some(Box::new(|reading| reading.foreign_clients = Some(1)));
    world.run(2);
    let foreign = world.status(NFS).plan.time_needed;
    world.check(foreign == before + world.cluster.settings.foreign_stop, "60 s for the foreign");
    let abilities = Abilities { returns: true, shutdown_delay: Some(Duration::from_secs(20)) };
    world.tell(&NFS.into(), Event::UpsProbed(abilities));
    let delayed = world.status(NFS).plan.time_needed;
    world.check(delayed == foreign + Duration::from_secs(20), "20 s for the UPS");
}

/// "*Return is promised* if it offers `shutdown.return` …, or if the operator has proven it on the
/// unit."
#[test]
fn return_is_promised_by_what_the_ups_offers_unless_the_operator_knows_better() {
    for (proven, offers, promised) in [
        (None, false, false),
        (None, true, true),
        (Some(false), true, false),
        (Some(true), false, true),
    ] {
        let mut cluster = cluster();
        cluster.ups.returns = proven;
        let mut world = World::settled(cluster);
        let abilities = Abilities { returns: offers, shutdown_delay: None };
        world.tell(&NFS.into(), Event::UpsProbed(abilities));
        world.check(world.status(NFS).ups.is_return_promised == promised, "promised");
    }
}
