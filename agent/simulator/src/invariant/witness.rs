//! Who could know of whom: what nobody can know, nobody is blamed for.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::World;

/// Two agents that live and are linked for this long have heard of one another.
const HEARS_AFTER: u64 = 2_000;

/// Who has heard whom, and who has forgotten it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Witness {
    /// Since when each host could hear another while both agents lived.
    hears_since: BTreeMap<(usize, usize), u64>,
    /// Of whom each host has heard, by whomever.
    knows: BTreeMap<usize, BTreeSet<usize>>,
    /// In which boot and when a host's agent last found its journal lost.
    forgot: BTreeMap<usize, (u32, u64)>,
}

impl Witness {
    /// Takes a look, once a second.
    pub(super) fn look(&mut self, world: &World) {
        let now = world.now();
        let lives = |host| world.agent(host).is_some();
        for one in world.hosts() {
            for other in world.hosts().filter(|other| *other != one) {
                let pair = (one, other);
                if !(lives(one) && lives(other) && world.is_linked(one, other)) {
                    self.hears_since.remove(&pair);
                } else if now >= *self.hears_since.entry(pair).or_insert(now) + HEARS_AFTER {
                    let told = self.knows.get(&other).cloned().unwrap_or_default();
                    let known = self.knows.entry(one).or_default();
                    known.insert(other);
                    known.extend(told);
                }
            }
        }
    }

    /// Takes note that the agent of a host found its journal lost.
    pub(super) fn forget(&mut self, world: &World, host: usize) {
        self.forgot.insert(host, (world.machine(host).boots, world.now()));
    }

    /// Returns whether any other agent that lives has ever heard of this host.
    pub(super) fn is_known(&self, world: &World, host: usize) -> bool {
        let lives = |it: usize| it != host && world.agent(it).is_some();
        self.knows.iter().any(|(it, known)| lives(*it) && known.contains(&host))
    }

    /// Returns whether the agent of a host has found its journal lost in the last boot: whether
    /// that has called its OS already is known to nobody.
    pub(super) fn has_forgotten(&self, world: &World, host: usize) -> bool {
        self.forgot.get(&host).is_some_and(|(boot, _)| *boot == world.machine(host).boots)
    }

    /// Returns when the agent of a host last found its journal lost.
    pub(super) fn forgot_at(&self, host: usize) -> Option<u64> {
        self.forgot.get(&host).map(|(_, at)| *at)
    }
}
