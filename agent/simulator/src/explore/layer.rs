//! The worlds of one moment, each once for every budget and judge that no other covers.

use std::collections::BTreeMap;

use super::State;
use super::wide::Wide;

/// A layer that is being filled.
#[derive(Debug)]
pub(super) struct Layer {
    /// By the hash of world and judge.
    worlds: BTreeMap<u128, Vec<State>>,
    /// Only what is wholly the same is one.
    is_exact: bool,
    /// How many were covered by others.
    pub(super) merged: u64,
}

impl Layer {
    pub(super) const fn new(is_exact: bool) -> Self {
        Self { worlds: BTreeMap::new(), is_exact, merged: 0 }
    }

    /// Takes in a world, unless another covers it.
    pub(super) fn insert(&mut self, state: State) {
        let hash = Wide::of(&(&state.world, &state.judge));
        self.insert_as(hash, state);
    }

    /// Takes in all worlds of another.
    pub(super) fn unite(&mut self, other: Self) {
        self.merged += other.merged;
        for (hash, states) in other.worlds {
            for state in states {
                self.insert_as(hash, state);
            }
        }
    }

    fn insert_as(&mut self, hash: u128, state: State) {
        let is_exact = self.is_exact;
        let same = self.worlds.entry(hash).or_default();
        let stands_for = |one: &State, other: &State| {
            if is_exact { one.is_same_as(other) } else { one.covers(other) }
        };
        if same.iter().any(|known| stands_for(known, &state)) {
            self.merged += 1;
            return;
        }
        let before = same.len();
        same.retain(|known| !stands_for(&state, known));
        self.merged += (before - same.len()) as u64;
        same.push(state);
    }

    /// Returns all worlds, dealt into so many parts as evenly as can be.
    pub(super) fn deal(self, parts: usize) -> Vec<Vec<State>> {
        let mut dealt: Vec<Vec<State>> = (0..parts).map(|_| Vec::new()).collect();
        let mut states = self.worlds.into_values().flatten();
        'all: loop {
            for part in &mut dealt {
                let Some(state) = states.next() else { break 'all };
                part.push(state);
            }
        }
        dealt
    }
}
