//! With true readings and stops as planned nobody begins by its latest start.

use curfew_coordinator::{BeginReason, Note};

use super::history::{History, is_up};
use super::{Scene, Verdict, millis};
use crate::Fact;
use crate::world::World;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// All were up and the plan fitted when the mains failed, and nobody has booted since.
    fits: bool,
}

/// Where readings are true within 10 %, each stop stays within its planned time and all can talk,
/// no host begins by its latest start.
///
/// Judged in each outage that finds the cluster whole with a battery that carries the plan and its
/// reserve, and a reserve that covers the cut margin: the trigger waits for the one, and latest
/// starts leave out the other. What `LB` leaves is assumed, and no reading. Nor does any fed host
/// lose its power while it runs: who declares nothing, or too late, keeps all other invariants.
pub(super) fn order_holds_if_the_plan_fits(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    let world = scene.world;
    for happened in scene.news {
        match &happened.fact {
            Fact::MainsFailed => {
                let all_up = world.hosts().all(|host| is_up(world, host));
                memory.fits =
                    all_up && scene.history.is_calm() && History::fits(world) && has_slack(world);
            }
            Fact::Booted => memory.fits = false,
            Fact::Note(Note::Began { why: BeginReason::LatestStart, .. })
                if memory.fits && is_judged(scene) =>
            {
                let host = scene.name(happened.host);
                return Err(format!("{host} begins by its latest start, and the plan fits"));
            }
            Fact::Off { is_clean: false }
                if memory.fits
                    && is_carried(scene)
                    && world.cluster().hosts.get(happened.host).is_some_and(|it| it.is_fed) =>
            {
                let host = scene.name(happened.host);
                return Err(format!("{host} loses its power while it runs, and the plan fits"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn has_slack(world: &World) -> bool {
    let settings = &world.cluster().settings;
    settings.reserve >= settings.cut_margin
}

fn is_judged(scene: &Scene<'_>) -> bool {
    is_carried(scene) && !scene.world.ups().is_low()
}

fn is_carried(scene: &Scene<'_>) -> bool {
    let world = scene.world;
    let planned = |host: usize| {
        let host = world.cluster().hosts.get(host);
        host.map_or(0, |host| millis(host.stop_timeout))
    };
    scene.history.is_calm()
        && scene.history.is_runtime_true(world)
        && world.hosts().all(|host| world.machine(host).stops_within(planned(host)))
}
