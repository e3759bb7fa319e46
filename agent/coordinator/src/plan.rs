//! The plan of a shutdown: who stops in which order, and how long each takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Cluster, HostName, ReadyBy, StopTimes, WakeTarget};

/// The plan that all participants follow until the shutdown has ended.
///
/// Frozen at the declaration: what the file or the measurements say later does not change it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Plan {
    /// The hash of the file that it was made from.
    pub file_hash: String,
    /// The UPS owner.
    pub owner: HostName,
    /// The hosts.
    pub hosts: BTreeMap<HostName, PlannedHost>,
}

/// One host of a plan.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
}
