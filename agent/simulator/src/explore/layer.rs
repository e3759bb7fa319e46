//! The worlds of one moment, each once for every budget and judge that no other covers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::State;
use super::wide::Wide;

/// Threads that insert seldom meet in one of so many parts.
const SHARDS: u128 = 64;

/// A layer that is being filled.
#[derive(Debug)]
pub(super) struct Layer {
    shards: Vec<Mutex<BTreeMap<u128, Vec<State>>>>,
    merged: AtomicU64,
}

impl Layer {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(BTreeMap::new())).collect();
        Self { shards, merged: AtomicU64::new(0) }
    }

    /// Takes in a world, unless it is there already with as large a budget and as
    /// strict a judge.
    pub(super) fn insert(&self, state: State) {
        let hash = Wide::of(&(&state.world, &state.judge));
        let place = usize::try_from(hash % SHARDS).unwrap_or_default();
        let Some(shard) = self.shards.get(place) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let same = shard.entry(hash).or_default();
        let before = same.len();
        if same.iter().any(|known| known.covers(&state)) {
            self.merged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        same.retain(|known| !state.covers(known));
        self.merged.fetch_add((before - same.len()) as u64, Ordering::Relaxed);
        same.push(state);
    }

    /// Returns how many worlds were there already.
    pub(super) fn merged(&self) -> u64 {
        self.merged.load(Ordering::Relaxed)
    }

    /// Returns all worlds.
    pub(super) fn into_states(self) -> Vec<State> {
        let shards = self.shards.into_iter();
        let shards = shards.map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner));
        shards.flat_map(BTreeMap::into_values).flatten().collect()
    }
}
