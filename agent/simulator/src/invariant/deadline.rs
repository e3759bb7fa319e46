//! Who has latched a shutdown stops in time, whatever the others do.

use std::collections::BTreeMap;

use curfew_coordinator::{Coordinator, Note, Phase, Standing};

use super::{Scene, Verdict, millis};
use crate::Fact;

/// From the latest start until the OS must have taken the call.
const LIMIT: u64 = 10_000;

/// Who reported a failed call goes on calling: a report older than that is no excuse any more.
const CALLS_AGAIN: u64 = 20_000;

/// From the reading to the look at it.
const LOW_BLUR: u64 = 2_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// Since when each host, in this run of its agent, is beyond its latest start and runs on.
    late_since: BTreeMap<usize, (u64, u64)>,
    /// When a call of a host last failed, and that was reported.
    pub(super) refused_at: BTreeMap<usize, u64>,
    /// Since when each host has known of `OB LB`.
    low_since: BTreeMap<usize, u64>,
}

/// Every host that has latched N, is not paused and has not turned has an accepted stop, or has
/// exhausted and reported all ways, by its latest start + 10 s.
///
/// Whether a stop runs is the world's to say, and when the latest start is the agent's, from
/// whatever it was told; a latest start that only a new reading brings counts from that reading,
/// and one that passed while no agent ran from the agent's start.
pub(super) fn deadline(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    let world = scene.world;
    let now = scene.now();
    for (host, note) in scene.notes() {
        if matches!(note, Note::StopFailed { .. }) {
            memory.refused_at.insert(host, now);
        }
    }
    // However short they were, who read them begins anew.
    if scene.news.iter().any(|it| it.fact == Fact::MainsReturned) {
        memory.low_since.clear();
    }
    if !scene.is_beat {
        return Ok(());
    }
    memory.low_counts(scene)?;
    for host in world.hosts() {
        let machine = world.machine(host);
        let late = machine.agent().filter(|_| machine.stop.is_none() && machine.runs());
        if !late.is_some_and(is_late) {
            memory.late_since.remove(&host);
            continue;
        }
        let run = u64::from(machine.boots) << 32 | machine.run();
        let (known, since) = *memory.late_since.entry(host).or_insert((run, now));
        if known != run {
            memory.late_since.insert(host, (run, now));
            continue;
        }
        let is_refused =
            memory.refused_at.get(&host).is_some_and(|at| *at >= since && now - *at <= CALLS_AGAIN);
        if now - since > LIMIT && !is_refused {
            let (host, span) = (scene.name(host), now - since);
            return Err(format!(
                "{host} is {span} ms beyond its latest start, and nothing stops it"
            ));
        }
    }
    Ok(())
}

impl Memory {
    /// From its first reading of `OB LB` on no host reckons with more than `low-battery-left` from
    /// that moment, until mains.
    fn low_counts(&mut self, scene: &Scene<'_>) -> Verdict {
        let world = scene.world;
        if world.ups().has_mains || !world.ups().is_low() {
            self.low_since.clear();
            return Ok(());
        }
        let most = millis(world.cluster().settings.low_battery_left);
        for host in world.hosts() {
            let status = world.agent(host).map(Coordinator::status);
            let Some(status) = status.filter(|it| it.ups.is_low) else {
                self.low_since.remove(&host);
                continue;
            };
            let since = *self.low_since.entry(host).or_insert_with(|| scene.now());
            let left = status.shutdown.and_then(|open| open.time_left).map(millis);
            let passed = scene.now() - since;
            if left.is_some_and(|left| left > most.saturating_sub(passed) + LOW_BLUR) {
                let host = scene.name(host);
                return Err(format!("{host} reckons with {left:?} ms, {passed} ms after `OB LB`"));
            }
        }
        Ok(())
    }
}

fn is_late(agent: &Coordinator) -> bool {
    let is_declared = matches!(agent.open(), Some((_, Standing::Declared)));
    if !is_declared || agent.is_paused() {
        return false;
    }
    match agent.phase() {
        Phase::Up => false,
        Phase::Waiting | Phase::Stopping | Phase::Halting | Phase::Holding => {
            agent.latest_start().is_some_and(|latest| latest <= agent.now())
        }
    }
}
