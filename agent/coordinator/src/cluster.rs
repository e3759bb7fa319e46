//! What the coordinator knows of the cluster file: hosts, the UPS and every limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::HostName;

/// The cluster as this host's file describes it.
///
/// Built and validated by the agent: names are unique, `needs` has no cycle and names known hosts,
/// the owner is one of the hosts.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Cluster {
    /// The cluster's name.
    pub name: String,
    /// The hash of the file; hosts with different hashes report it.
    pub hash: String,
    /// The hosts in file order.
    pub hosts: Vec<Host>,
    /// The UPS that is acted on.
    pub ups: Ups,
    /// All limits.
    pub settings: Settings,
}

impl Cluster {
    /// Returns the host called `name`.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// Returns the names of all hosts.
    pub fn names(&self) -> BTreeSet<HostName> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }
}

/// One host of the cluster file.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// The hosts that it needs directly: it stops before them and starts after them.
    pub needs: BTreeSet<HostName>,
    /// Whether the UPS feeds it.
    pub is_fed: bool,
    /// Its stop time until one has been measured.
    pub stop_timeout: Duration,
    /// Whether its stops touch power; those of a dry run are not measured.
    pub touches_power: bool,
    /// How others see that it serves.
    pub ready: ReadyBy,
    /// Where its magic packets go and what is in them; none if it cannot be woken.
    pub wake: Option<WakeTarget>,
}

/// What makes a host *ready* in the eyes of the conductor.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ReadyBy {
    /// Its agent says `up`, in another boot than the one in which it stopped.
    Agent,
    /// A probe of its own answers, for example `https://10.0.0.11:6443/readyz`.
    Probe(String),
    /// Its NFS exports answer; the text is the address that serves them.
    Exports(String),
}

/// How a host is woken.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct WakeTarget {
    /// The MAC address in the magic packet.
    pub mac: [u8; 6],
    /// Where the packet is sent, `address:port`; none means broadcast on every link to the host.
    pub to: Option<String>,
    /// The host's own address, to find the link.
    pub address: String,
}

/// The UPS that is acted on.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Ups {
    /// Its name in `upsd`.
    pub name: String,
    /// The host with the cable.
    pub owner: HostName,
    /// What the operator has proven of its return; none means: believe what the UPS offers.
    pub returns: Option<bool>,
}

/// How a host is proven to be off.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum OffProof {
    /// By silence on the network.
    #[default]
    Network,
    /// By the absence of its session alone, where hosts share one machine.
    Session,
}

/// Every limit of the coordinator: those of the cluster file, then the built-in ones.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Settings {
    /// Slack of the whole chain, in the trigger only.
    pub reserve: Duration,
    /// Battery that no plan may touch.
    pub cut_margin: Duration,
    /// Charge in percent below which the charge trigger holds.
    pub charge_below: u8,
    /// Time on battery after which the time trigger holds; none is off.
    pub on_battery_for: Option<Duration>,
    /// How long a trigger must stand in every reading.
    pub debounce: Duration,
    /// Time left assumed at `OB LB` without a credible runtime.
    pub low_battery_left: Duration,
    /// Time that foreign `upsmon` clients get from `FSD` on; a logout is not yet their end.
    pub foreign_stop: Duration,
    /// How a host is proven to be off.
    pub off_proof: OffProof,
    /// How long mains must hold before a shutdown turns.
    pub mains_stable: Duration,
    /// Charge in percent above which recovery goes on.
    pub charge_above: u8,
    /// How long recovery waits for that charge, or for any reading.
    pub charge_wait: Duration,
    /// Time between two magic packets to one host.
    pub wake_every: Duration,
    /// How long recovery tries one host.
    pub wake_timeout: Duration,
    /// The built-in limits.
    pub built_in: BuiltIn,
}

/// Limits that no cluster file sets, but for the time factor of a demo, which divides them.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct BuiltIn {
    /// Between two state messages, two polls of `upsd`, two looks at a silent host: 1 s.
    pub beat: Duration,
    /// Age below which an own reading is fresh: 3 s.
    pub fresh: Duration,
    /// Age below which a peer's reading is fresh: 5 s.
    pub peer_fresh: Duration,
    /// Silence of the owner after which others evaluate its triggers: 15 s.
    pub owner_silent: Duration,
    /// Time that confirms an unchanged number, longer than `usbhid-ups`' `pollfreq`: 35 s.
    pub confirm: Duration,
    /// Blind without any credible runtime: 60 s.
    pub blind_left: Duration,
    /// Silence that makes a host that said `stopping` off: 5 s.
    pub off_silence: Duration,
    /// Silence that makes a host absent: 10 s.
    pub absent_silence: Duration,
    /// A machine that answers for this long without its agent runs without it: 3 min.
    pub agent_absent: Duration,
    /// A frame of another sender within this time proves that the link works: 3 s.
    pub frame_window: Duration,
    /// Carrier without a break for this time proves the link when no gateway answers: 15 s.
    pub carrier_hold: Duration,
    /// Own discharge estimate counts after this time on battery: 90 s.
    pub estimate_after: Duration,
    /// A cluster whose plan does not fit declares by `computed` only after this: 30 s.
    pub tight_wait: Duration,
    /// A host that booted latches again after its first reading, or after this: 15 s.
    pub boot_grace: Duration,
    /// A stop call that failed is repeated after this: 5 s.
    pub call_again: Duration,
    /// The least that the owner keeps for itself in a compressed plan: 10 s.
    pub owner_least: Duration,
    /// At most this often numbers are journalled while on battery: 10 s.
    pub journal_every: Duration,
}

impl Default for BuiltIn {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            beat: seconds(1),
            fresh: seconds(3),
            peer_fresh: seconds(5),
            owner_silent: seconds(15),
            confirm: seconds(35),
            blind_left: seconds(60),
            off_silence: seconds(5),
            absent_silence: seconds(10),
            agent_absent: seconds(180),
            frame_window: seconds(3),
            carrier_hold: seconds(15),
            estimate_after: seconds(90),
            tight_wait: seconds(30),
            boot_grace: seconds(15),
            call_again: seconds(5),
            owner_least: seconds(10),
            journal_every: seconds(10),
        }
    }
}

impl BuiltIn {
    /// Returns the built-in limits of a demo whose clock runs `factor` times as fast.
    #[must_use]
    pub fn scaled(factor: u32) -> Self {
        let by = factor.max(1);
        let all = Self::default();
        Self {
            beat: all.beat / by,
            fresh: all.fresh / by,
            peer_fresh: all.peer_fresh / by,
            owner_silent: all.owner_silent / by,
            confirm: all.confirm / by,
            blind_left: all.blind_left / by,
            off_silence: all.off_silence / by,
            absent_silence: all.absent_silence / by,
            agent_absent: all.agent_absent / by,
            frame_window: all.frame_window / by,
            carrier_hold: all.carrier_hold / by,
            estimate_after: all.estimate_after / by,
            tight_wait: all.tight_wait / by,
            boot_grace: all.boot_grace / by,
            call_again: all.call_again / by,
            owner_least: all.owner_least / by,
            journal_every: all.journal_every / by,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            reserve: seconds(60),
            cut_margin: seconds(15),
            charge_below: 20,
            on_battery_for: None,
            debounce: seconds(5),
            low_battery_left: seconds(120),
            foreign_stop: seconds(60),
            off_proof: OffProof::Network,
            mains_stable: seconds(60),
            charge_above: 30,
            charge_wait: seconds(90 * 60),
            wake_every: seconds(30),
            wake_timeout: seconds(600),
            built_in: BuiltIn::default(),
        }
    }
}

/// Stop times by host, as measured or assumed.
pub type StopTimes = BTreeMap<HostName, Duration>;
