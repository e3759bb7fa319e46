//! When a host begins, nobody who depends on it can still be hurt.

use curfew_coordinator::{BeginReason, Note, Plan, StopTimes};

use super::history::Trouble;
use super::{Scene, Verdict, millis};

/// A host that cannot be reached for this long has lost what it had of the one that begins: what a
/// loose cable has taken, a stop does not take. One that stops is missed sooner. Whoever can be
/// reached again is seen by the next poll.
const APART: u64 = 10_000;
const APART_STOPPING: u64 = 5_000;
/// A host that boots while another begins is seen by nobody in time.
const NEW: u64 = 10_000;
/// What a reckoning may move between the begin and the look at it.
const BLUR: u64 = 1_000;
/// What a latest start may lie too early.
const SLACK: u64 = 60_000;

/// When X begins, no live dependent has a mount on X or running workloads, unless X's latest start
/// has come; where the time left comes from a runtime that is true within 10 %, no latest start
/// lies earlier than the true end of the battery less the stop times from that host on, less 60 s.
pub(super) fn release_is_true(scene: &Scene<'_>) -> Verdict {
    for (host, note) in scene.notes() {
        match note {
            Note::Began { why: BeginReason::LatestStart, .. } => {
                latest_start_has_come(scene, host)?;
                latest_start_is_true(scene, host)?;
            }
            // That is a person's begin, and no host's.
            Note::Began { why: BeginReason::StoppedByOther, .. } => {}
            Note::Began { .. } => nobody_is_hurt(scene, host)?,
            _ => {}
        }
    }
    Ok(())
}

fn nobody_is_hurt(scene: &Scene<'_>, host: usize) -> Verdict {
    let world = scene.world;
    let name = &world.machine(host).name;
    let plan = Plan::new(world.cluster(), &StopTimes::new());
    for dependent in plan.dependents(name) {
        let Some(place) = world.find(&dependent) else { continue };
        let machine = world.machine(place);
        let has_mounts = machine.mounts.contains(name);
        let is_live = machine.is_alive() && (!machine.has_halted || has_mounts);
        let apart = if machine.stop.is_some() { APART_STOPPING } else { APART };
        let is_apart =
            scene.history.apart_for(scene.now(), host, place).is_some_and(|it| it >= apart);
        let is_new = scene.history.has_booted_within(scene.now(), place, NEW);
        let is_own_will = scene.history.stopped_by_person.contains(&place)
            || scene.history.is_doubled(scene.now(), place);
        if is_live && !is_apart && !is_new && !is_own_will {
            let what = if has_mounts { "has mounts of it" } else { "still works" };
            return Err(format!("{name} begins while {dependent} {what}"));
        }
    }
    Ok(())
}

/// By what the host itself reckons with. In a plan that does not fit the owner stays for as long as
/// it can.
fn latest_start_has_come(scene: &Scene<'_>, host: usize) -> Verdict {
    let Some(agent) = scene.world.agent(host) else { return Ok(()) };
    let status = agent.status();
    let name = scene.name(host);
    let (Some(open), Some(own)) = (&status.shutdown, status.plan.stop_times.get(&status.host))
    else {
        return Ok(());
    };
    let least = scene.world.cluster().settings.built_in.owner_least;
    let early = if open.is_compressed && host == scene.world.owner() {
        open.time_left.map(|left| left.saturating_sub(own.takes.max(least)))
    } else {
        own.latest_start_in
    };
    match early.map(millis) {
        Some(early) if early > BLUR => {
            Err(format!("{name} begins {early} ms before its latest start"))
        }
        _ => Ok(()),
    }
}

fn latest_start_is_true(scene: &Scene<'_>, host: usize) -> Verdict {
    let world = scene.world;
    let is_judged = scene.history.is_runtime_true(world)
        && !scene.history.has(Trouble::Status)
        && !scene.history.has(Trouble::Eyes)
        && !scene.history.has(Trouble::Network)
        && !world.ups().is_low()
        && world.can_read(host);
    let Some(agent) = world.agent(host).filter(|_| is_judged) else { return Ok(()) };
    let taken = agent.status().plan.stop_times;
    let stops: StopTimes = taken.into_iter().map(|(name, stop)| (name, stop.takes)).collect();
    let name = &world.machine(host).name;
    let tail = millis(Plan::new(world.cluster(), &stops).tail(name));
    let left = scene.history.least_left(world);
    if left > tail + SLACK {
        return Err(format!(
            "{name} begins by its latest start with {left} ms left, and {tail} ms to stop"
        ));
    }
    Ok(())
}
