//! All follow one shutdown.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{Coordinator, Standing};

use super::{Scene, Verdict};
use crate::{Change, Fact};

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// Since when a host follows a lower number than another.
    apart_since: Option<u64>,
    /// What each host said last that had ended.
    ended: BTreeMap<usize, u64>,
    /// Hosts whose journal failed or was torn.
    forgetful: BTreeSet<usize>,
}

/// Once messages have flowed for 5 s only the highest number can be declared, but for a blind
/// declaration known to its declarer alone; `ended` never falls; nobody acts on a number at or
/// below it.
///
/// `ended` may fall with a journal that is lost. Who is killed in its stop asks its OS when it
/// starts again, whatever it has heard since: that acts on nothing.
pub(super) fn agreement(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    for happened in scene.news {
        let host = happened.host;
        match &happened.fact {
            Fact::Changed(Change::DiskFails { .. } | Change::RecordTorn { .. }) => {
                memory.forgetful.insert(host);
            }
            Fact::StopCalled(call) => {
                let ended = scene.world.agent(host).map(Coordinator::ended);
                let is_question = call.ask_first && runs_already(scene, host);
                if !is_question && ended.is_some_and(|ended| call.number <= ended) {
                    let (name, number) = (scene.name(host), call.number);
                    return Err(format!("{name} stops for {number}, which has ended"));
                }
            }
            _ => {}
        }
    }
    if !scene.is_beat {
        return Ok(());
    }
    never_falls(memory, scene)?;
    only_the_highest(memory, scene)
}

/// Returns whether the stop of a host that has just called ran before.
fn runs_already(scene: &Scene<'_>, host: usize) -> bool {
    let has_begun = |it: &crate::Happened| it.host == host && it.fact == Fact::StopBegan;
    scene.world.machine(host).stop.is_some() && !scene.news.iter().any(has_begun)
}

fn never_falls(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    for host in scene.world.hosts() {
        let Some(agent) = scene.world.agent(host) else { continue };
        let ended = agent.ended();
        let known = memory.ended.insert(host, ended).unwrap_or_default();
        if ended < known && !memory.forgetful.contains(&host) {
            let name = scene.name(host);
            return Err(format!("{known} had ended on {name}, and now only {ended}"));
        }
    }
    Ok(())
}

fn only_the_highest(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    let world = scene.world;
    let agents = || world.hosts().filter_map(|host| Some((host, world.agent(host)?.open()?)));
    let highest = agents()
        .map(|(_, (number, _))| number)
        .filter(|number| !scene.history.is_blind(*number))
        .max()
        .unwrap_or_default();
    let lower = agents()
        .find(|(_, (number, standing))| *standing == Standing::Declared && *number < highest);
    let Some((host, (number, _))) = lower.filter(|_| scene.history.flows(world)) else {
        memory.apart_since = None;
        return Ok(());
    };
    let now = scene.now();
    let since = *memory.apart_since.get_or_insert(now);
    if now - since > 5_000 {
        let name = scene.name(host);
        return Err(format!("{name} still follows {number}, and others {highest}"));
    }
    Ok(())
}
