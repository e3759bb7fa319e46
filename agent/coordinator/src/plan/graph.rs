//! The order of a plan's hosts as a graph without cycles, whatever the plan says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{HostName, Plan};

/// An edge leads from a host to one that stops after it and starts before it.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    edges: Edges<'a>,
}

type Edges<'a> = BTreeMap<&'a HostName, BTreeSet<&'a HostName>>;

impl<'a> Graph<'a> {
    /// Returns the order of starting: the `needs` alone.
    pub(super) fn for_starting(plan: &'a Plan) -> Self {
        Self { edges: without_cycles(needs(plan)).0 }
    }

    /// Returns the order of stopping: the `needs`, and the owner after every host that its UPS
    /// feeds, which outranks what the owner itself claims to need.
    pub(super) fn for_stopping(plan: &'a Plan) -> Self {
        let mut edges = stops(plan);
        let earlier = reach(&reversed(&edges), &plan.owner);
        if let Some(of_owner) = edges.get_mut(&plan.owner) {
            of_owner.retain(|need| !earlier.contains(need));
        }
        Self { edges: without_cycles(edges).0 }
    }

    /// Returns whether the plan's order of stopping is free of cycles as it stands.
    pub(super) fn has_order(plan: &'a Plan) -> bool {
        !without_cycles(stops(plan)).1
    }

    /// Iterates over the hosts one edge after `host`.
    pub(super) fn next_of(&self, host: &HostName) -> impl Iterator<Item = &'a HostName> {
        self.edges.get(host).into_iter().flatten().copied()
    }

    /// Returns all hosts after `host`.
    pub(super) fn after(&self, host: &HostName) -> BTreeSet<HostName> {
        reach(&self.edges, host).into_iter().cloned().collect()
    }

    /// Returns all hosts, each behind those that its edges lead to; of those that could be next
    /// the first name is.
    pub(super) fn order(&self) -> Vec<&'a HostName> {
        let sources = reversed(&self.edges);
        let mut open: BTreeMap<_, _> =
            self.edges.iter().map(|(host, next)| (*host, next.len())).collect();
        let mut ready: BTreeSet<_> =
            open.iter().filter(|(_, count)| **count == 0).map(|(host, _)| *host).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(host) = ready.pop_first() {
            order.push(host);
            for source in sources.get(host).into_iter().flatten() {
                if let Some(count) = open.get_mut(source) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(source);
                    }
                }
            }
        }
        order
    }
}

/// Returns the needs between hosts of the plan.
fn needs(plan: &Plan) -> Edges<'_> {
    let known = |need: &&HostName| plan.hosts.contains_key(*need);
    plan.hosts
        .iter()
        .map(|(name, host)| (name, host.needs.iter().filter(known).collect()))
        .collect()
}

/// Returns the needs, and an edge from every fed host to the owner.
fn stops(plan: &Plan) -> Edges<'_> {
    let mut edges = needs(plan);
    let Some((owner, _)) = plan.hosts.get_key_value(&plan.owner) else {
        return edges;
    };
    for (name, host) in &plan.hosts {
        if host.is_fed && name != owner {
            edges.entry(name).or_default().insert(owner);
        }
    }
    edges
}

fn reversed<'a>(edges: &Edges<'a>) -> Edges<'a> {
    let mut reversed = Edges::new();
    for (from, to) in edges.iter().flat_map(|(from, next)| next.iter().map(move |to| (*from, *to)))
    {
        reversed.entry(to).or_default().insert(from);
    }
    reversed
}

/// Returns what can be reached from `start`, without it.
fn reach<'a>(edges: &Edges<'a>, start: &HostName) -> BTreeSet<&'a HostName> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&HostName> = vec![start];
    while let Some(host) = open.pop() {
        for next in edges.get(host).into_iter().flatten() {
            if *next != start && reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}

/// Leaves out each edge that leads back to a host on the way, on a walk in the order of the names,
/// and returns whether there was one.
fn without_cycles(mut edges: Edges<'_>) -> (Edges<'_>, bool) {
    let mut done = BTreeSet::new();
    let mut back = Vec::new();
    for root in edges.keys() {
        // The way from the root, each host with the edges that are still to be walked.
        let mut way = Vec::new();
        let mut on_way = BTreeSet::new();
        let mut enter = Some(*root).filter(|root| !done.contains(root));
        loop {
            if let Some(host) = enter.take() {
                on_way.insert(host);
                way.push((host, edges.get(host).into_iter().flatten()));
            }
            let Some((host, rest)) = way.last_mut() else { break };
            match rest.next() {
                Some(next) if on_way.contains(next) => back.push((*host, *next)),
                Some(next) => enter = Some(*next).filter(|next| !done.contains(next)),
                None => {
                    on_way.remove(host);
                    done.insert(*host);
                    way.pop();
                }
            }
        }
    }
    for (from, to) in &back {
        if let Some(next) = edges.get_mut(from) {
            next.remove(to);
        }
    }
    (edges, !back.is_empty())
}
