//! The plan of a shutdown: who stops in which order, and how long each takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::graph::Graph;
pub(crate) use self::schedule::Schedule;
use self::schedule::StopOrder;
use crate::{Cluster, HostName, ReadyBy, StopTimes, WakeTarget};

mod graph;
mod schedule;
#[cfg(test)]
mod tests;

/// The plan that all participants follow until the shutdown has ended.
///
/// Frozen at the declaration: what the file or the measurements say later does not change it.
///
/// A plan may come from a peer, so nothing is taken for granted: a need that names no host of the
/// plan is no need, and of a cycle one edge is left out, the same one on every host. No method
/// recurses.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Plan {
    /// The hash of the file that it was made from.
    pub file_hash: String,
    /// The UPS owner.
    pub owner: HostName,
    /// The hosts.
    pub hosts: BTreeMap<HostName, PlannedHost>,
}

/// One host of a plan.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct PlannedHost {
    /// The hosts that it needs directly.
    pub needs: BTreeSet<HostName>,
    /// Whether the UPS feeds it.
    pub is_fed: bool,
    /// How long it takes to stop.
    pub stop: Duration,
    /// How others see that it serves.
    pub ready: ReadyBy,
    /// How it is woken.
    pub wake: Option<WakeTarget>,
}

/// What a shutdown takes besides the stops.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Overhead {
    /// Until every host knows of the declaration.
    pub lag: Duration,
    /// Until the next host knows that the one that it waits for is off.
    pub proof_per_hop: Duration,
    /// What foreign `upsmon` clients get; zero without any.
    pub foreign: Duration,
    /// Between the command to the UPS and the opening of its output.
    pub ups_delay: Duration,
}

impl Plan {
    /// Makes the plan of a cluster with the stop times that count now.
    pub fn new(cluster: &Cluster, stop_times: &StopTimes) -> Self {
        let hosts = cluster
            .hosts
            .iter()
            .map(|host| {
                let planned = PlannedHost {
                    needs: host.needs.clone(),
                    is_fed: host.is_fed,
                    stop: stop_times.get(&host.name).copied().unwrap_or(host.stop_timeout),
                    ready: host.ready.clone(),
                    wake: host.wake.clone(),
                };
                (host.name.clone(), planned)
            })
            .collect();
        Self { file_hash: cluster.hash.clone(), owner: cluster.ups.owner.clone(), hosts }
    }

    /// Takes up what the plan of another declarer of the same shutdown knows more: the hosts that
    /// this one lacks, and all its `needs`, unless those make a cycle; then none of them.
    pub fn unite(&mut self, other: &Self) {
        let mut united = self.clone();
        for (name, theirs) in &other.hosts {
            let bare = PlannedHost { needs: BTreeSet::new(), ..theirs.clone() };
            self.hosts.entry(name.clone()).or_insert_with(|| bare.clone());
            let ours = united.hosts.entry(name.clone()).or_insert(bare);
            ours.needs.extend(theirs.needs.iter().cloned());
        }
        if united.is_acyclic() {
            *self = united;
        }
    }

    /// Returns whether uniting with `other` would add nothing.
    fn has_all_of(&self, other: &Self) -> bool {
        other.hosts.iter().all(|(name, theirs)| {
            self.hosts.get(name).is_some_and(|ours| ours.needs.is_superset(&theirs.needs))
        })
    }

    /// Returns whether the stops can be ordered. The owner must not need a host that its UPS
    /// feeds, since it stops after that host.
    pub fn is_acyclic(&self) -> bool {
        Graph::has_order(self)
    }

    /// Returns the hosts that stop before `host`: those that need it, directly or through others;
    /// for the owner also every fed host.
    pub fn dependents(&self, host: &HostName) -> BTreeSet<HostName> {
        StopOrder::of(self).dependents(host)
    }

    /// Returns the hosts that `host` needs, directly or through others.
    pub fn needs_all(&self, host: &HostName) -> BTreeSet<HostName> {
        Graph::for_starting(self).after(host)
    }

    /// Returns how long it takes from the moment `host` begins until the last host that stops
    /// after it has stopped; zero for a host that the plan lacks.
    pub fn tail(&self, host: &HostName) -> Duration {
        StopOrder::of(self).tail(host)
    }

    /// Returns the critical path: how long the whole shutdown takes if every host waits for those
    /// before it. A host that is not among the participants is off and takes no time.
    pub fn time_needed(&self, overhead: &Overhead, participants: &BTreeSet<HostName>) -> Duration {
        StopOrder::of(self).time_needed(overhead, |host| participants.contains(host))
    }
}
