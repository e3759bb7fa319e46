//! Every course that a bounded world can take: an exhaustive exploration of the real coordinators.
//!
//! A layer is all worlds that there can be at one moment. Each of them goes on in every way that
//! its [`Budget`] allows, to the next moment; worlds that have become the same are one from there
//! on. Worlds of different moments are never the same, so that two layers are all that is kept.
//!
//! ```text
//! moment t                        t + every
//! world ─┬─ nothing ──────────────► world'
//!        ├─ the mains turn ───────► world''      the same hash of world and judge:
//!        ├─ a message is lost ────► world' ◄──── one world, with the larger budget
//!        └─ an agent is killed ───► a violation: told as a story, which replays it
//! ```
//!
//! Two worlds are the same when nothing in them or in their judges can make a difference later.
//! Then those that another one *covers* go no further: a budget that is smaller in everything
//! reaches nothing that the larger one does not, and a judge that excuses more finds nothing that
//! the stricter one does not.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use crate::invariant::{Judge, Violation};
use crate::story::{Dated, Story};
use crate::world::World;

mod bound;
mod choice;
mod layer;
#[cfg(test)]
mod tests;
mod wide;

pub use bound::{Bound, Budget};
use choice::{Choice, choices};
use layer::Layer;

/// What an exploration has found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Explored {
    /// Distinct worlds: alike in everything that can make a difference later.
    pub states: u64,
    /// Ways from one of them to the next.
    pub transitions: u64,
    /// Ways that led to a world that was there already.
    pub merged: u64,
    /// Courses that came to their end and were judged there.
    pub ends: u64,
    /// The most worlds of one moment.
    pub widest: u64,
    /// Moments.
    pub layers: u64,
    /// What did not hold, the shortest story first.
    pub found: Vec<Found>,
}

/// A counterexample.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// A story that leads to it.
    pub story: Story,
    /// What did not hold.
    pub violation: Violation,
}

/// One layer, for those who watch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The moment.
    pub at: u64,
    /// Its distinct worlds.
    pub states: u64,
    /// Ways that have led there.
    pub transitions: u64,
    /// What was found so far.
    pub found: usize,
}

/// Explores a bounded world on so many threads; `watch` is told of each layer.
pub fn explore(bound: &Bound, threads: NonZeroUsize, watch: impl FnMut(Progress)) -> Explored {
    Explorer { bound, first: World::new(&bound.story) }.run(threads, watch)
}

/// Explores a bounded world in which all agents make a mistake.
#[cfg(feature = "mistakes")]
pub fn explore_with(
    bound: &Bound,
    mistake: curfew_coordinator::Mistake,
    threads: NonZeroUsize,
    watch: impl FnMut(Progress),
) -> Explored {
    let first = World::with_mistake(&bound.story, mistake);
    Explorer { bound, first }.run(threads, watch)
}

/// A world on its way, with all that is of its course and not of it.
#[derive(Clone, Debug)]
struct State {
    world: World,
    judge: Judge,
    left: Budget,
    path: Option<Arc<Step>>,
}

impl State {
    fn is_same_as(&self, other: &Self) -> bool {
        self.left == other.left && self.judge == other.judge
    }

    /// Returns whether every violation that the other leads to, this one leads to as well; their
    /// worlds must have the same hash.
    fn covers(&self, other: &Self) -> bool {
        self.left.covers(other.left) && self.judge.excuses_as_little(&other.judge)
    }
}

/// What was chosen on the way, the last choice first.
#[derive(Debug)]
struct Step {
    changes: Vec<Dated>,
    before: Option<Arc<Self>>,
}

/// Where one way has led.
enum Reached {
    /// The next moment.
    Next,
    /// The end of the course.
    End,
    /// What must not be.
    Broken(Violation),
}

/// What one thread has made of its part of a layer.
#[derive(Debug)]
struct Part {
    next: Layer,
    states: u64,
    transitions: u64,
    ends: u64,
    found: Vec<Found>,
}

struct Explorer<'a> {
    bound: &'a Bound,
    first: World,
}

impl Explorer<'_> {
    fn run(self, threads: NonZeroUsize, mut watch: impl FnMut(Progress)) -> Explored {
        let mut explored = Explored::default();
        let mut world = self.first.clone();
        let mut judge = Judge::new(&self.bound.story);
        if let Reached::Broken(violation) = go_on(&mut world, &mut judge, self.bound.from) {
            explored.found.push(Found { story: self.bound.story.clone(), violation });
            return explored;
        }
        judge.forget(&mut world);
        let mut layer = Layer::new(self.bound.is_exact);
        layer.insert(State { world, judge, left: self.bound.budget, path: None });
        let mut at = self.bound.from;
        let end = self.bound.story.ends_at();
        loop {
            let until = (at + self.bound.every).min(end);
            let part = self.explore_layer(layer, threads, until);
            if part.states == 0 {
                break;
            }
            explored.take(&part);
            let Part { next, states, transitions, found, .. } = part;
            explored.found.extend(found);
            let found = explored.found.len();
            watch(Progress { at, states, transitions, found });
            if found >= self.bound.enough {
                break;
            }
            layer = next;
            at = until;
        }
        explored.found.sort_by_key(|found| (found.story.changes.len(), found.violation.at));
        explored
    }

    /// Lets all worlds of a layer go on in every way to `until`.
    ///
    /// Each thread fills a layer of its own, and those are united in their order: nothing is
    /// shared, and what comes of it does not depend on which thread was faster.
    fn explore_layer(&self, layer: Layer, threads: NonZeroUsize, until: u64) -> Part {
        thread::scope(|scope| {
            let parts: Vec<_> = layer
                .deal(threads.get())
                .into_iter()
                .map(|states| scope.spawn(move || self.explore_part(states, until)))
                .collect();
            let mut all = self.part(0);
            for part in parts {
                match part.join() {
                    Ok(part) => all.unite(part),
                    Err(panic) => resume_unwind(panic),
                }
            }
            all
        })
    }

    fn explore_part(&self, states: Vec<State>, until: u64) -> Part {
        let mut part = self.part(states.len() as u64);
        for state in states {
            for choice in choices(self.bound, &state) {
                self.follow(state.clone(), &choice, until, &mut part);
            }
            self.follow(state, &Choice::nothing(), until, &mut part);
        }
        part
    }

    fn part(&self, states: u64) -> Part {
        let next = Layer::new(self.bound.is_exact);
        Part { next, states, transitions: 0, ends: 0, found: Vec::new() }
    }

    /// Lets one world go one way.
    fn follow(&self, mut state: State, choice: &Choice, until: u64, part: &mut Part) {
        part.transitions += 1;
        choice.make(&mut state);
        let mut reached = go_on(&mut state.world, &mut state.judge, until);
        if matches!(reached, Reached::Next) && until >= self.bound.story.ends_at() {
            reached = Reached::End;
        }
        if matches!(reached, Reached::End) {
            part.ends += 1;
            match state.judge.close(&state.world) {
                Ok(()) => return,
                Err(violation) => reached = Reached::Broken(violation),
            }
        }
        if let Reached::Broken(violation) = reached {
            let story = self.bound.tell(state.path.as_deref());
            return part.found.push(Found { story, violation });
        }
        state.judge.forget(&mut state.world);
        part.next.insert(state);
    }
}

impl Part {
    fn unite(&mut self, other: Self) {
        self.next.unite(other.next);
        self.states += other.states;
        self.transitions += other.transitions;
        self.ends += other.ends;
        self.found.extend(other.found);
    }
}

impl Explored {
    fn take(&mut self, part: &Part) {
        self.layers += 1;
        self.states += part.states;
        self.widest = self.widest.max(part.states);
        self.transitions += part.transitions;
        self.ends += part.ends;
        self.merged += part.next.merged;
    }
}

/// Plays a world to `until`, or to its end before that.
fn go_on(world: &mut World, judge: &mut Judge, until: u64) -> Reached {
    if let Err(violation) = judge.look(world) {
        return Reached::Broken(violation);
    }
    while world.step(until) {
        if let Err(violation) = judge.look(world) {
            return Reached::Broken(violation);
        }
        if world.has_healed() && world.is_whole() {
            return Reached::End;
        }
    }
    Reached::Next
}
