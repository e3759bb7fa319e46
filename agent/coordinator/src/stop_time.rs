//! Stop times, measured by those who wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::millis;
use crate::{Cluster, Date, HostName, StopTimes};

#[cfg(test)]
mod tests;

/// One measured stop of a host: from its `stopping` to the moment when nobody waited any more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct StopTime {
    /// When, by the clock of the host that measured.
    pub date: Date,
    /// From `stopping` to off (for the owner: to the hold).
    #[serde(rename = "took_seconds", with = "crate::seconds")]
    pub took: Duration,
}

/// The last five stops of each host, the same on all hosts once they have told each other.
///
/// A set: taking up what a peer tells is idempotent and knows no order.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(from = "Told", into = "Told")]
pub struct StopHistory {
    /// No host has an empty entry; each has its stops in order, every one once.
    hosts: Told,
}

/// The form in which it is told and journalled: each host's stops, the oldest first.
type Told = BTreeMap<HostName, Vec<StopTime>>;

/// How many stops of a host count: enough to have met a bad one, few enough to forget it.
const KEPT: usize = 5;

/// A measurement counts for at most this many times the host's `stop-timeout`.
const MOST_TIMEOUTS: u32 = 2;

impl StopHistory {
    /// Takes up a stop that was measured here. The caller leaves out those that do not count:
    /// that hit a limit, were compressed or touched no power.
    pub fn record(&mut self, host: HostName, stop: StopTime) {
        // As it is told and journalled, so that it never stands here twice.
        let stop = StopTime { took: Duration::from_millis(millis(stop.took)), ..stop };
        self.merge(&BTreeMap::from([(host, vec![stop])]));
    }

    /// Takes up what a peer tells, and returns whether that was news.
    pub fn merge(&mut self, told: &Told) -> bool {
        let mut is_news = false;
        for (host, stops) in told.iter().filter(|(_, stops)| !stops.is_empty()) {
            let kept = self.hosts.entry(host.clone()).or_default();
            if kept == stops {
                continue;
            }
            let all: BTreeSet<StopTime> = kept.iter().chain(stops).copied().collect();
            let last: Vec<_> = all.iter().skip(all.len().saturating_sub(KEPT)).copied().collect();
            is_news |= *kept != last;
            *kept = last;
        }
        is_news
    }

    /// Returns all of it, to be told and journalled.
    pub fn told(&self) -> &Told {
        &self.hosts
    }

    /// Returns the stop times that count: the largest of each host's, at most twice its
    /// `stop_timeout`. A host without any is absent.
    pub fn counting(&self, cluster: &Cluster) -> StopTimes {
        cluster
            .hosts
            .iter()
            .filter_map(|host| {
                let largest = self.hosts.get(&host.name)?.iter().map(|stop| stop.took).max()?;
                let most = host.stop_timeout.saturating_mul(MOST_TIMEOUTS);
                Some((host.name.clone(), largest.min(most)))
            })
            .collect()
    }
}

impl From<Told> for StopHistory {
    fn from(told: Told) -> Self {
        let mut history = Self::default();
        history.merge(&told);
        history
    }
}

impl From<StopHistory> for Told {
    fn from(history: StopHistory) -> Self {
        history.hosts
    }
}
