//! A plan with its orders of stopping and starting worked out: it is asked with every event, and
//! hardly changes.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::graph::Graph;
use super::{Overhead, Plan};
use crate::{HostName, Time};

/// A plan that decisions follow. It is its plan: the orders are only what follows from that.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    plan: Arc<Plan>,
    order: Arc<StopOrder>,
    starts: Arc<StartOrder>,
}

impl Schedule {
    /// Returns the plan, to be shared.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// See [`Plan::dependents`].
    pub(crate) fn dependents(&self, host: &HostName) -> BTreeSet<HostName> {
        self.order.dependents(host)
    }

    /// Returns the last moment at which `host` may begin so that it and all after it have stopped
    /// when the battery, less `cut_margin`, ends at `end`. A moment before boot is boot: now.
    pub(crate) fn latest_start(&self, host: &HostName, end: Time, cut_margin: Duration) -> Time {
        end.minus(cut_margin).minus(self.order.tail(host))
    }

    /// See [`Plan::time_needed`].
    pub(crate) fn time_needed(
        &self,
        overhead: &Overhead,
        participates: impl Fn(&HostName) -> bool,
    ) -> Duration {
        self.order.time_needed(overhead, participates)
    }

    /// Iterates over all hosts in the order in which they start: what a host needs comes before it,
    /// and of those that could be next the first name is.
    pub(crate) fn start_order(&self) -> impl Iterator<Item = &HostName> {
        self.starts.0.iter().map(|(host, _)| host)
    }

    /// Returns the hosts that `host` needs directly, and so waits for when it starts.
    pub(crate) fn needs_of(&self, host: &HostName) -> &[HostName] {
        let start = self.starts.0.iter().find(|(name, _)| name == host);
        start.map_or(&[], |(_, needs)| needs)
    }

    /// See [`Plan::unite`].
    pub(crate) fn unite(&mut self, other: &Plan) {
        if !self.plan.has_all_of(other) {
            let mut plan = Plan::clone(&self.plan);
            plan.unite(other);
            *self = Self::from(Arc::new(plan));
        }
    }
}

impl From<Arc<Plan>> for Schedule {
    fn from(plan: Arc<Plan>) -> Self {
        let starts = StartOrder::of(&plan);
        Self { order: Arc::new(StopOrder::of(&plan)), starts: Arc::new(starts), plan }
    }
}

impl Deref for Schedule {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan
    }
}

impl Eq for Schedule {}

impl Hash for Schedule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plan.hash(state);
    }
}

/// The hosts of a plan, each behind those that it needs directly, and with them.
#[derive(Debug)]
struct StartOrder(Vec<(HostName, Vec<HostName>)>);

impl StartOrder {
    fn of(plan: &Plan) -> Self {
        let graph = Graph::for_starting(plan);
        let needs = |host: &HostName| graph.next_of(host).cloned().collect();
        Self(graph.order().into_iter().map(|host| (host.clone(), needs(host))).collect())
    }
}

/// The hosts of a plan, each behind those that stop after it.
#[derive(Debug)]
pub(super) struct StopOrder(Vec<Stop>);

/// One host in the order of stopping.
#[derive(Debug)]
struct Stop {
    host: HostName,
    takes: Duration,
    /// Where those stand that stop directly after it.
    next: Vec<usize>,
    /// From its beginning until all after it have stopped.
    tail: Duration,
}

impl StopOrder {
    pub(super) fn of(plan: &Plan) -> Self {
        let graph = Graph::for_stopping(plan);
        let order = graph.order();
        let mut stops: Vec<Stop> = Vec::with_capacity(order.len());
        for host in &order {
            let place = |host: &HostName| order.iter().position(|other| **other == *host);
            let next: Vec<usize> = graph.next_of(host).filter_map(place).collect();
            let after = next.iter().filter_map(|at| stops.get(*at)).map(|stop| stop.tail).max();
            let takes = plan.hosts.get(*host).map_or(Duration::ZERO, |planned| planned.stop);
            let tail = takes.saturating_add(after.unwrap_or_default());
            stops.push(Stop { host: (*host).clone(), takes, next, tail });
        }
        Self(stops)
    }

    pub(super) fn dependents(&self, host: &HostName) -> BTreeSet<HostName> {
        let mut leads_to_host: Vec<bool> = Vec::with_capacity(self.0.len());
        let mut dependents = BTreeSet::new();
        for stop in &self.0 {
            let is_before = stop.next.iter().any(|at| leads_to_host.get(*at) == Some(&true));
            leads_to_host.push(is_before || stop.host == *host);
            if is_before {
                dependents.insert(stop.host.clone());
            }
        }
        dependents
    }

    pub(super) fn tail(&self, host: &HostName) -> Duration {
        let stop = self.0.iter().find(|stop| stop.host == *host);
        stop.map_or(Duration::ZERO, |stop| stop.tail)
    }

    pub(super) fn time_needed(
        &self,
        overhead: &Overhead,
        participates: impl Fn(&HostName) -> bool,
    ) -> Duration {
        // None: nobody on the chain has to stop, so that nobody is waited for either.
        let mut chains: Vec<Option<Duration>> = Vec::with_capacity(self.0.len());
        for stop in &self.0 {
            let after = stop.next.iter().filter_map(|at| chains.get(*at).copied()).max().flatten();
            let own = Some(stop.takes).filter(|_| participates(&stop.host));
            chains.push(match (own, after) {
                (None, after) => after,
                (Some(own), None) => Some(own),
                (Some(own), Some(after)) => {
                    Some(own.saturating_add(overhead.proof_per_hop).saturating_add(after))
                }
            });
        }
        let longest = chains.into_iter().max().flatten().unwrap_or_default();
        [overhead.lag, overhead.foreign, overhead.ups_delay]
            .into_iter()
            .fold(longest, Duration::saturating_add)
    }
}
