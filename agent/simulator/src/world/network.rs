//! The network: one switch, cables, and rain that takes messages.

use std::collections::BTreeSet;

use crate::story::NetworkTruth;

/// The network as it is now.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Network {
    pub(super) truth: NetworkTruth,
    /// Directions in which nothing gets through.
    pub(super) cuts: BTreeSet<(usize, usize)>,
    /// Directions in which the next message is lost.
    pub(super) losing: BTreeSet<(usize, usize)>,
    pub(super) rain: Option<Rain>,
    seed: u64,
    hosts: usize,
    /// Messages sent on each link while it rained: the chance of each is its own, so that what
    /// happens on one link does not change what happens on another.
    sent: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Rain {
    pub(super) lost_percent: u64,
    pub(super) doubled_percent: u64,
    pub(super) late: u64,
}

impl Network {
    pub(super) fn new(truth: &NetworkTruth, seed: u64, hosts: usize) -> Self {
        Self {
            truth: truth.clone(),
            cuts: BTreeSet::new(),
            losing: BTreeSet::new(),
            rain: None,
            seed,
            hosts,
            sent: vec![0; hosts * hosts],
        }
    }

    /// Returns how late a message arrives, each time that it does.
    pub(super) fn fate(&mut self, from: usize, to: usize) -> [Option<u64>; 2] {
        if self.losing.remove(&(from, to)) {
            return [None, None];
        }
        let base = self.truth.latency;
        let Some(rain) = self.rain else { return [Some(base), None] };
        let link = from * self.hosts + to;
        let Some(sent) = self.sent.get_mut(link) else { return [Some(base), None] };
        *sent += 1;
        let mut chance = fastrand::Rng::with_seed(self.seed ^ (link as u64) << 40 ^ *sent);
        let lateness = |chance: &mut fastrand::Rng| base + chance.u64(0..=rain.late);
        if chance.u64(0..100) < rain.lost_percent {
            return [None, None];
        }
        let first = lateness(&mut chance);
        let is_doubled = chance.u64(0..100) < rain.doubled_percent;
        [Some(first), is_doubled.then(|| lateness(&mut chance))]
    }
}
