//! What can happen to a world at one moment, as far as its budget goes.

use std::sync::Arc;

use super::{Bound, Budget, State, Step};
use crate::Change;
use crate::story::{Dated, KillPoint};
use crate::world::World;

/// One way to go on.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// What happens, and how much later.
    changes: Vec<(u64, Change)>,
    cost: Budget,
}

impl Choice {
    /// Returns the way in which nothing happens.
    pub(super) const fn nothing() -> Self {
        Self { changes: Vec::new(), cost: Budget::NONE }
    }

    fn one(change: Change, cost: Budget) -> Self {
        Self { changes: vec![(0, change)], cost }
    }

    fn and(mut self, other: &Self) -> Self {
        self.changes.extend(other.changes.iter().cloned());
        self.cost = self.cost.plus(other.cost);
        self
    }

    /// Makes it happen.
    pub(super) fn make(&self, state: &mut State) {
        if self.changes.is_empty() {
            return;
        }
        let now = state.world.now();
        for (span, change) in &self.changes {
            state.world.change_after(*span, change.clone());
        }
        let dated =
            |(span, change): &(u64, Change)| Dated { at: now + span, change: change.clone() };
        let changes = self.changes.iter().map(dated).collect();
        state.path = Some(Arc::new(Step { changes, before: state.path.take() }));
        state.left = state.left.minus(self.cost);
    }
}

/// Returns every way to go on in which something happens: the mains turn, a fault, or both.
pub(super) fn choices(bound: &Bound, state: &State) -> Vec<Choice> {
    if !bound.covers(state.world.now()) {
        return Vec::new();
    }
    let left = state.left;
    let mut all = Vec::new();
    if left.turns > 0 {
        let change =
            if state.world.ups().has_mains { Change::MainsFail } else { Change::MainsReturn };
        all.push(Choice::one(change, Budget { turns: 1, ..Budget::NONE }));
    }
    let mut faults = Vec::new();
    if left.losses > 0 {
        add_losses(&state.world, &mut faults);
    }
    if left.partitions > 0 {
        add_partitions(bound, &state.world, &mut faults);
    }
    if left.crashes > 0 {
        add_crashes(bound, &state.world, &mut faults);
    }
    let both: Vec<_> =
        all.iter().flat_map(|turn| faults.iter().map(|fault| turn.clone().and(fault))).collect();
    all.extend(faults);
    all.extend(both);
    all
}

fn add_losses(world: &World, faults: &mut Vec<Choice>) {
    for (from, to) in links(world) {
        // Who has no agent sends nothing, and nobody hears what is sent to it.
        if world.agent(from).is_none() || world.agent(to).is_none() {
            continue;
        }
        let (from, to) = (world.machine(from).name.clone(), world.machine(to).name.clone());
        let cost = Budget { losses: 1, ..Budget::NONE };
        faults.push(Choice::one(Change::MessageLost { from, to }, cost));
    }
}

fn add_partitions(bound: &Bound, world: &World, faults: &mut Vec<Choice>) {
    let cost = Budget { partitions: 1, ..Budget::NONE };
    for (from, to) in links(world) {
        let (from, to) = (world.machine(from).name.clone(), world.machine(to).name.clone());
        let cut = Change::LinkCut { from: from.clone(), to: to.clone() };
        let mended = Change::LinkMended { from, to };
        faults.push(Choice { changes: vec![(0, cut), (bound.partition, mended)], cost });
    }
}

fn add_crashes(bound: &Bound, world: &World, faults: &mut Vec<Choice>) {
    let cost = Budget { crashes: 1, ..Budget::NONE };
    for place in world.hosts() {
        let machine = world.machine(place);
        let host = machine.name.clone();
        if world.agent(place).is_some() {
            for at_line in bound.kill_points.iter().copied() {
                let back_after = Some(bound.back_after);
                let change = Change::AgentKilled { host: host.clone(), at_line, back_after };
                faults.push(Choice::one(change, cost));
            }
            if bound.may_stay_dead {
                let at_line = KillPoint::Now;
                let change = Change::AgentKilled { host: host.clone(), at_line, back_after: None };
                faults.push(Choice::one(change, cost));
            }
        }
        if machine.runs() {
            let crash = Change::HostCrashed { host: host.clone() };
            let start = Change::HostStarted { host };
            faults.push(Choice { changes: vec![(0, crash), (bound.back_after, start)], cost });
        }
    }
}

/// Returns all directions.
fn links(world: &World) -> impl Iterator<Item = (usize, usize)> {
    let hosts = world.hosts();
    hosts
        .clone()
        .flat_map(move |from| hosts.clone().filter(move |to| *to != from).map(move |to| (from, to)))
}
