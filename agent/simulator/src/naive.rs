//! What simpler rules would have done in the same outage, with the same stops and the same battery.
//!
//! For both every command arrives, nothing hangs, and nobody is disturbed by what another one does.
//! NUT begins late, since that is its rule; fixed delays are never short of power.
//!
//! - [`Rule::AllAtOnce`] is NUT with the defaults of `upsmon`: at `OB LB`, which is when the charge
//!   has fallen to the low mark of the UPS, whatever the shutdown needs, the primary sets FSD;
//!   each secondary sees it within `POLLFREQALERT`, waits `FINALDELAY`, calls its OS and logs out
//!   at the *beginning* of its stop; the primary waits for the last to log out, at most `HOSTSYNC`,
//!   then `FINALDELAY`, and goes too.
//! - [`Rule::FixedDelays`] is a shutdown sequence as in `PowerChute`: each stage gets a time that
//!   somebody once set, and the next one follows when that is over, whatever became of the first.
//!   Whoever set it had seen five stops, and took the longest; it is started in good time.

use std::collections::BTreeMap;

use curfew_coordinator::{Host, HostName, Plan, ReadyBy};
use fastrand::Rng;

use crate::story::{HostTruth, Story};

/// A rule without proofs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// Everybody stops when the battery is low.
    AllAtOnce,
    /// Everybody stops in order, after times that were set beforehand.
    FixedDelays,
}

/// What becomes of the hosts under a rule.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fate {
    /// A host stopped while another one had workloads or mounts that needed it.
    pub is_order_broken: bool,
    /// A host stopped while another one that needed it was still on.
    pub is_overlapping: bool,
    /// The battery ended before everybody was off.
    pub loses_power: bool,
    /// From the decision until the last host is off, in milliseconds.
    pub takes: u64,
}

impl Rule {
    /// Returns what becomes of the hosts of a story.
    pub fn fate(self, story: &Story) -> Fate {
        let plan = Plan::new(&story.cluster, &BTreeMap::new());
        let truth = |name: &HostName| story.hosts.get(name).cloned().unwrap_or_default();
        let ways: BTreeMap<HostName, Way> = self
            .begins(story, &plan)
            .into_iter()
            .map(|(name, began)| {
                let way = Way::new(began, &truth(&name));
                (name, way)
            })
            .collect();
        let mut fate = Fate {
            takes: ways.values().map(|way| way.off).max().unwrap_or_default(),
            loses_power: match self {
                Self::AllAtOnce => outlasts_battery(story, &ways),
                Self::FixedDelays => false,
            },
            ..Fate::default()
        };
        for (name, way) in &ways {
            for dependent in plan.dependents(name) {
                let Some(before) = ways.get(&dependent) else { continue };
                let has_mounts = has_mounts(story, &dependent, name);
                let gone = if has_mounts { before.unmounted } else { before.halted };
                fate.is_order_broken |= way.began < gone;
                fate.is_overlapping |= way.began < before.off;
            }
        }
        fate
    }

    fn begins(self, story: &Story, plan: &Plan) -> BTreeMap<HostName, u64> {
        let fed = story.cluster.hosts.iter().filter(|host| host.is_fed);
        let names = fed.map(|host| host.name.clone());
        let truth = |name: &HostName| story.hosts.get(name).cloned().unwrap_or_default();
        match self {
            Self::AllAtOnce => {
                let mut chance = Rng::with_seed(story.seed ^ SALT);
                let owner = &story.cluster.ups.owner;
                let mut begins: BTreeMap<_, _> = names
                    .filter(|name| name != owner)
                    .map(|name| (name, chance.u64(0..=POLLFREQALERT) + FINALDELAY))
                    .collect();
                let logged_out = begins.values().max().copied().unwrap_or_default();
                begins.insert(owner.clone(), logged_out.min(HOSTSYNC) + FINALDELAY);
                begins
            }
            Self::FixedDelays => {
                let stages = stages(plan, &names.collect::<Vec<_>>());
                let delay = |name: &HostName| {
                    let measured = story.measured.get(name).and_then(|all| all.iter().max());
                    measured.copied().unwrap_or_else(|| truth(name).stops_in)
                };
                let mut begins = BTreeMap::new();
                let mut at = 0;
                for stage in stages {
                    let longest = stage.iter().map(delay).max().unwrap_or_default();
                    begins.extend(stage.into_iter().map(|name| (name, at)));
                    at += longest;
                }
                begins
            }
        }
    }
}

/// When a host does what, since the decision.
struct Way {
    began: u64,
    halted: u64,
    unmounted: u64,
    off: u64,
}

impl Way {
    /// Stops as machines of the simulator do.
    fn new(began: u64, truth: &HostTruth) -> Self {
        let takes = truth.stops_in;
        Self {
            began,
            halted: began + takes / 2,
            unmounted: began + takes * 3 / 4,
            off: began + takes,
        }
    }
}

/// Returns whether a host has mounts of another one.
fn has_mounts(story: &Story, host: &HostName, server: &HostName) -> bool {
    let serves = |host: &Host| matches!(host.ready, ReadyBy::Exports(_));
    story.cluster.host(server).is_some_and(serves)
        && story.cluster.host(host).is_some_and(|host| host.needs.contains(server))
}

/// Returns the hosts in the order of stopping: each behind all those that need it.
fn stages(plan: &Plan, names: &[HostName]) -> Vec<Vec<HostName>> {
    let dependents: BTreeMap<&HostName, _> =
        names.iter().map(|name| (name, plan.dependents(name))).collect();
    let mut ranks: BTreeMap<&HostName, usize> = BTreeMap::new();
    // As many rounds as the longest chain can have hosts.
    for _ in 0..names.len() {
        for (name, before) in &dependents {
            let rank = before.iter().filter_map(|it| ranks.get(it)).max().map_or(0, |it| it + 1);
            ranks.insert(*name, rank);
        }
    }
    let mut stages = vec![Vec::new(); names.len()];
    for (name, rank) in ranks {
        if let Some(stage) = stages.get_mut(rank) {
            stage.push(name.clone());
        }
    }
    stages
}

/// Returns whether the battery, low at the decision, ends before the last host is off.
fn outlasts_battery(story: &Story, ways: &BTreeMap<HostName, Way>) -> bool {
    let watts = |name: &HostName| story.hosts.get(name).map_or(0, |truth| truth.watts);
    let all: u64 = ways.keys().map(&watts).sum();
    let low = story.ups.low_percent.min(story.ups.charge_percent);
    let mut energy = story.ups.runtime.saturating_mul(all) / 100 * low;
    let mut ends: Vec<(u64, u64)> = ways.iter().map(|(name, way)| (way.off, watts(name))).collect();
    ends.sort_unstable();
    let (mut at, mut load) = (0, all);
    for (off, watts) in ends {
        let Some(rest) = energy.checked_sub((off - at) * load) else { return true };
        (energy, at, load) = (rest, off, load - watts);
    }
    false
}

/// The draws of the rule are none of those that the story was made of.
const SALT: u64 = 0x006e_7574;
/// As `upsmon` has them by default, in milliseconds.
const POLLFREQALERT: u64 = 5_000;
const FINALDELAY: u64 = 5_000;
const HOSTSYNC: u64 = 15_000;
