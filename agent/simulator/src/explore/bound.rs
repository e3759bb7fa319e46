//! How far an exploration goes: the world, the moments of choice, and what may happen how often.

use std::collections::BTreeMap;
use std::time::Duration;

use curfew_coordinator::{
    BuiltIn, Cluster, Host, HostName, OffProof, ReadyBy, Settings, Ups, WakeTarget,
};

use super::Step;
use crate::story::{Change, Dated, HostTruth, KillPoint, NetworkTruth, Story, UpsTruth};

/// A bounded world.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The world and what happens in it anyway.
    pub story: Story,
    /// The first moment of choice, in milliseconds as all here.
    pub from: u64,
    /// The last one.
    pub until: u64,
    /// From one to the next.
    pub every: u64,
    /// What may happen.
    pub budget: Budget,
    /// How long a link stays cut.
    pub partition: u64,
    /// Until an agent that was killed, or a machine that crashed, is started again.
    pub back_after: u64,
    /// Where agents are killed.
    pub kill_points: Vec<KillPoint>,
    /// An agent may also stay away until the world heals.
    pub may_stay_dead: bool,
    /// So many violations are enough.
    pub enough: usize,
    /// Worlds are one only if they are wholly the same; none stands for another that it covers.
    pub is_exact: bool,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Budget {
    /// The mains return, or fail again.
    pub turns: u8,
    /// A message is lost.
    pub losses: u8,
    /// A link is cut for a while.
    pub partitions: u8,
    /// An agent is killed or a machine crashes.
    pub crashes: u8,
}

impl Budget {
    /// Nothing.
    pub const NONE: Self = Self { turns: 0, losses: 0, partitions: 0, crashes: 0 };

    /// Returns whether whatever `other` allows is allowed.
    pub(super) const fn covers(self, other: Self) -> bool {
        self.turns >= other.turns
            && self.losses >= other.losses
            && self.partitions >= other.partitions
            && self.crashes >= other.crashes
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            turns: self.turns + other.turns,
            losses: self.losses + other.losses,
            partitions: self.partitions + other.partitions,
            crashes: self.crashes + other.crashes,
        }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            turns: self.turns - other.turns,
            losses: self.losses - other.losses,
            partitions: self.partitions - other.partitions,
            crashes: self.crashes - other.crashes,
        }
    }
}

impl Bound {
    /// Makes the bound of the reference cluster with short limits: an outage that the battery
    /// cannot carry begins just before the first choice; `returns` says whether the UPS promises
    /// to come back.
    pub fn reference(returns: bool, seconds: u64, budget: Budget) -> Self {
        let story = Story {
            about: "explored".to_owned(),
            seed: 0,
            cluster: cluster(),
            hosts: ["nfs", "k8s-1", "k8s-2"].map(|name| (name.into(), host())).into(),
            ups: ups(returns),
            network: NetworkTruth { latency: 5, is_on_ups: true },
            measured: BTreeMap::new(),
            changes: vec![Dated { at: FAILS_AT, change: Change::MainsFail }],
            heals_at: FAILS_AT + seconds * 1_000 + 500,
        };
        Self {
            story,
            from: FAILS_AT + 10,
            until: FAILS_AT + seconds * 1_000,
            every: 1_000,
            budget,
            partition: 4_000,
            back_after: 1_630,
            kill_points: vec![
                KillPoint::Now,
                KillPoint::BeforeSave,
                KillPoint::AfterSave,
                KillPoint::BeforeCall,
                KillPoint::AfterCall,
            ],
            may_stay_dead: true,
            enough: usize::MAX,
            is_exact: false,
        }
    }

    pub(super) fn covers(&self, at: u64) -> bool {
        at >= self.from && at <= self.until
    }

    /// Returns the story of a path.
    pub(super) fn tell(&self, mut path: Option<&Step>) -> Story {
        let mut story = self.story.clone();
        while let Some(step) = path {
            story.changes.extend(step.changes.iter().cloned());
            path = step.before.as_deref();
        }
        story.changes.sort_by_key(|dated| dated.at);
        story
    }
}

/// The numbers of the UPS count by then.
const FAILS_AT: u64 = 8_040;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cluster() -> Cluster {
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts: vec![
            file_host(0, "nfs", &[], ReadyBy::Exports("10.0.0.10".to_owned())),
            file_host(1, "k8s-1", &["nfs"], ReadyBy::Probe("tcp://10.0.0.11:6443".to_owned())),
            file_host(2, "k8s-2", &["nfs", "k8s-1"], ReadyBy::Agent),
        ],
        ups: Ups { name: "eaton".to_owned(), owner: "nfs".into(), returns: None },
        settings: Settings {
            reserve: seconds(3),
            cut_margin: seconds(2),
            charge_below: 0,
            on_battery_for: None,
            debounce: seconds(1),
            low_battery_left: seconds(20),
            foreign_stop: seconds(2),
            off_proof: OffProof::Network,
            mains_stable: seconds(4),
            charge_above: 0,
            charge_wait: seconds(12),
            wake_every: seconds(3),
            wake_timeout: seconds(14),
            built_in: built_in(),
        },
    }
}

/// The built-in limits, shorter, in the same order.
fn built_in() -> BuiltIn {
    BuiltIn {
        beat: seconds(1),
        fresh: seconds(3),
        peer_fresh: seconds(4),
        owner_silent: seconds(6),
        confirm: seconds(3),
        blind_left: seconds(12),
        off_silence: seconds(3),
        absent_silence: seconds(5),
        agent_absent: seconds(90),
        frame_window: seconds(3),
        carrier_hold: seconds(5),
        estimate_after: seconds(90),
        tight_wait: seconds(6),
        boot_grace: seconds(5),
        call_again: seconds(2),
        owner_least: seconds(3),
        journal_every: seconds(4),
    }
}

fn file_host(place: u8, name: &str, needs: &[&str], ready: ReadyBy) -> Host {
    let address = format!("10.0.0.{}", place + 10);
    Host {
        name: name.into(),
        needs: needs.iter().map(|need| HostName::from(*need)).collect(),
        is_fed: true,
        stop_timeout: seconds(5),
        touches_power: true,
        ready,
        wake: Some(WakeTarget { mac: [2, 0, 0, 0, 0, place], to: None, address }),
    }
}

fn host() -> HostTruth {
    HostTruth {
        watts: 30,
        stops_in: 4_000,
        holds_in: 1_500,
        boots_in: 2_000,
        serves_in: 2_500,
        starts_with_power: true,
        can_wake: true,
        answers_arp: false,
        is_off: false,
    }
}

fn ups(returns: bool) -> UpsTruth {
    UpsTruth {
        runtime: 44_000,
        charge_percent: 100,
        returns: true,
        offers_return: returns,
        cut_delay: 1_000,
        low_percent: 10,
        status_every: 1_000,
        numbers_every: 2_000,
        runtime_percent: 100,
        tells_charge: true,
        tells_runtime: true,
    }
}
