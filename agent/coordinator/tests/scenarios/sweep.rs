//! One thing that goes wrong at each moment of the cycle: nobody is stranded.

use crate::world::World;
use crate::world::reference::{ALL, cluster};

/// From the failure of the mains until the last host is off or holds, with the short stops below.
const CYCLE: u64 = 70;
/// Between two moments that are tried. Prime, so that it meets no beat of the world's.
const STEP: usize = 13;

/// A cluster whose battery leaves it little time, so that a cycle is short: about 15 s after the
/// mains it declares.
fn short(is_promised: bool) -> World {
    let mut cluster = cluster();
    cluster.ups.returns = Some(is_promised);
    let mut world = World::new(cluster, 520);
    world.ups.numbers_every = 10_000;
    world.run(40);
    for host in ALL {
        world.machine_mut(host).stops_in = 16_000;
    }
    world
}

#[track_caller]
fn check_whole(world: &mut World) {
    world.until("all is whole again", 2400, World::is_whole);
}

/// "Nobody is stranded when the mains return at the worst moment, also on a UPS that cannot be told
/// to come back."
#[test]
fn mains_that_return_at_any_moment_strand_nobody() {
    for is_promised in [false, true] {
        for moment in (1..CYCLE).step_by(STEP) {
            let mut world = short(is_promised);
            world.mains_fail();
            world.run(moment);
            world.mains_return();
            check_whole(&mut world);
        }
    }
}

/// The same where the mains return for a little while only, and then for good.
#[test]
fn mains_that_return_twice_strand_nobody() {
    for moment in (1..CYCLE).step_by(STEP) {
        let mut world = short(false);
        world.mains_fail();
        world.run(moment);
        world.mains_return();
        world.run(75);
        world.mains_fail();
        world.run(40);
        world.mains_return();
        check_whole(&mut world);
    }
}

/// "An agent that starts in the same boot with a latched shutdown resumes where the journal
/// stands", at whatever moment.
#[test]
fn agents_that_are_killed_at_any_moment_strand_nobody() {
    for host in ALL {
        for moment in (1..CYCLE).step_by(STEP) {
            let mut world = short(false);
            world.mains_fail();
            world.run(moment);
            if world.machine(host).agent.is_some() {
                world.restart_agent(host);
            }
            world.run(CYCLE);
            world.mains_return();
            check_whole(&mut world);
        }
    }
}

/// The same while all come back.
#[test]
fn agents_that_are_killed_at_any_moment_of_recovery_strand_nobody() {
    for host in ALL {
        for moment in (1..4 * CYCLE).step_by(4 * STEP) {
            let mut world = short(false);
            world.mains_fail();
            world.run(CYCLE);
            world.mains_return();
            world.run(moment);
            if world.machine(host).agent.is_some() {
                world.restart_agent(host);
            }
            check_whole(&mut world);
        }
    }
}

/// A machine that crashes at whatever moment, and boots or is woken, comes back with all others.
#[test]
fn machines_that_crash_at_any_moment_strand_nobody() {
    for host in ALL {
        for moment in (1..CYCLE).step_by(STEP) {
            let mut world = short(false);
            world.mains_fail();
            world.run(moment);
            world.crash(host);
            world.boot(host);
            world.run(CYCLE);
            world.mains_return();
            check_whole(&mut world);
        }
    }
}

/// A cable that comes loose for a while harms nobody.
#[test]
fn cables_that_are_loose_for_a_while_strand_nobody() {
    for host in ALL {
        for moment in (1..CYCLE).step_by(STEP) {
            let mut world = short(false);
            world.mains_fail();
            world.run(moment);
            world.isolate(host);
            world.run(20);
            world.heal();
            world.run(CYCLE);
            world.mains_return();
            check_whole(&mut world);
        }
    }
}
