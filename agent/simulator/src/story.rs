//! A story: a cluster, the truth about its machines, and what happens to them when.
//!
//! Everything that a run does follows from its story: playing it twice gives the same run. A story
//! that failed is kept as a file and replayed.

use std::collections::BTreeMap;

use curfew_coordinator::{Cluster, HostName};
use serde::{Deserialize, Serialize};

use crate::span;

mod file;
mod random;

pub use file::StoryFileError;

/// A simulated world and its weather. All times are milliseconds since the story began, all spans
/// milliseconds, unless the name says otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Story {
    /// What it shows; for a kept one, what it once found.
    pub about: String,
    /// The chance that is left in the playing: which messages the rain takes.
    pub seed: u64,
    /// The cluster file of all hosts.
    pub cluster: Cluster,
    /// The truth about the machines.
    pub hosts: BTreeMap<HostName, HostTruth>,
    /// The truth about the UPS.
    pub ups: UpsTruth,
    /// The truth about the network.
    pub network: NetworkTruth,
    /// What the agents have measured before the story begins: each host's stops, the oldest first.
    pub measured: BTreeMap<HostName, Vec<u64>>,
    /// What happens, in the order of time.
    pub changes: Vec<Dated>,
    /// When the weather ends: the mains return for good and everything works again, but for what
    /// is gone for good. Liveness is judged from here.
    pub heals_at: u64,
}

/// Something that happens at a moment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Dated {
    /// When.
    #[serde(with = "span::millis")]
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// The truth about one machine, which no cluster file knows.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(default, rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a truth of its own")]
pub struct HostTruth {
    /// What it draws while it has power, in watts.
    pub watts: u64,
    /// From the call that its OS takes until its power is off.
    #[serde(with = "span::millis")]
    pub stops_in: u64,
    /// From the call until the hold is entered.
    #[serde(with = "span::millis")]
    pub holds_in: u64,
    /// From the power until the kernel runs.
    #[serde(with = "span::millis")]
    pub boots_in: u64,
    /// From the boot until its services answer.
    #[serde(with = "span::millis")]
    pub serves_in: u64,
    /// "After power loss: on".
    pub starts_with_power: bool,
    /// It answers magic packets.
    pub can_wake: bool,
    /// Its network card answers ARP while the machine is off.
    pub answers_arp: bool,
    /// It is off when the story begins.
    pub is_off: bool,
}

impl Default for HostTruth {
    fn default() -> Self {
        Self {
            watts: 30,
            stops_in: 20_000,
            holds_in: 8_000,
            boots_in: 20_000,
            serves_in: 10_000,
            starts_with_power: true,
            can_wake: true,
            answers_arp: false,
            is_off: false,
        }
    }
}

/// The truth about the UPS.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(default, rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a truth of its own")]
pub struct UpsTruth {
    /// How long a full battery carries all hosts of the file.
    #[serde(with = "span::millis")]
    pub runtime: u64,
    /// How full it is when the story begins, in percent.
    pub charge_percent: u64,
    /// It comes back with the mains after a cut.
    pub returns: bool,
    /// It offers the command for that.
    pub offers_return: bool,
    /// From the command until the output opens.
    #[serde(with = "span::millis")]
    pub cut_delay: u64,
    /// `LB` below this charge in percent.
    pub low_percent: u64,
    /// How often the driver reads the status.
    #[serde(with = "span::millis")]
    pub status_every: u64,
    /// How often the driver reads the numbers.
    #[serde(with = "span::millis")]
    pub numbers_every: u64,
    /// What the driver says of the runtime, in percent of the truth.
    pub runtime_percent: u64,
    /// The UPS has `battery.charge`.
    pub tells_charge: bool,
    /// The UPS has `battery.runtime`.
    pub tells_runtime: bool,
}

impl Default for UpsTruth {
    fn default() -> Self {
        Self {
            runtime: 600_000,
            charge_percent: 100,
            returns: true,
            offers_return: false,
            cut_delay: 2_000,
            low_percent: 10,
            status_every: 2_000,
            numbers_every: 30_000,
            runtime_percent: 100,
            tells_charge: true,
            tells_runtime: true,
        }
    }
}

/// The truth about the network.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct NetworkTruth {
    /// From one machine to another.
    #[serde(with = "span::millis")]
    pub latency: u64,
    /// The switch has power while the UPS has.
    pub is_on_ups: bool,
}

impl Default for NetworkTruth {
    fn default() -> Self {
        Self { latency: 5, is_on_ups: true }
    }
}

/// What can happen to the world.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "change")]
pub enum Change {
    /// The mains fail.
    MainsFail,
    /// The mains return.
    MainsReturn,

    /// Messages are lost, doubled and late from now on, on all links.
    Rain {
        /// So many of a hundred are lost.
        lost_percent: u64,
        /// So many of a hundred come twice.
        doubled_percent: u64,
        /// Each is late by up to this, so that they overtake each other.
        #[serde(with = "span::millis")]
        late: u64,
    },
    /// The rain ends.
    Dry,
    /// The next message from one host to another is lost.
    MessageLost {
        /// The sender.
        from: HostName,
        /// The receiver.
        to: HostName,
    },
    /// Nothing gets from one host to another any more.
    LinkCut {
        /// The sender.
        from: HostName,
        /// The receiver.
        to: HostName,
    },
    /// It does again.
    LinkMended {
        /// The sender.
        from: HostName,
        /// The receiver.
        to: HostName,
    },
    /// A host's cable is pulled.
    Unplugged {
        /// The host.
        host: HostName,
    },
    /// It is back.
    Plugged {
        /// The host.
        host: HostName,
    },

    /// An agent is killed, and started again after a while.
    AgentKilled {
        /// Its host.
        host: HostName,
        /// At which point.
        at_line: KillPoint,
        /// How long until it is started again; none is never.
        #[serde(default, with = "span::some_millis")]
        back_after: Option<u64>,
    },
    /// A machine loses its power without a word.
    HostCrashed {
        /// The host.
        host: HostName,
    },
    /// A person switches a machine on.
    HostStarted {
        /// The host.
        host: HostName,
    },
    /// A person types `systemctl poweroff` on a machine.
    HostStopped {
        /// The host.
        host: HostName,
    },
    /// A person types `systemctl reboot` on a machine.
    HostRebooted {
        /// The host.
        host: HostName,
    },
    /// A machine cannot start any more.
    HostBroken {
        /// The host.
        host: HostName,
    },
    /// From now on its stop takes this long.
    StopTakes {
        /// The host.
        host: HostName,
        /// How long; none never ends.
        #[serde(default, with = "span::some_millis")]
        span: Option<u64>,
    },
    /// Its OS refuses stop calls from now on, or takes them again.
    StopRefused {
        /// The host.
        host: HostName,
        /// Whether it refuses.
        refuses: bool,
    },
    /// It cannot read its own mounts any more, or can again.
    MountsUnread {
        /// The host.
        host: HostName,
        /// Whether it cannot.
        unread: bool,
    },
    /// Records cannot be made durable any more, or can again.
    DiskFails {
        /// The host.
        host: HostName,
        /// Whether it fails.
        fails: bool,
    },
    /// The journal is damaged: the next start of the agent finds nothing in it.
    RecordTorn {
        /// The host.
        host: HostName,
    },
    /// Its wall clock jumps to this date, in seconds since 1970.
    ClockJumped {
        /// The host.
        host: HostName,
        /// The date.
        date: u64,
    },
    /// A second agent with the same certificate speaks as this host for a while.
    Doubled {
        /// The host.
        host: HostName,
        /// For how long.
        #[serde(with = "span::millis")]
        span: u64,
    },
    /// The host rehearses: its agent tells a drill's phases and number for a while.
    Rehearsed {
        /// The host.
        host: HostName,
        /// For how long.
        #[serde(with = "span::millis")]
        span: u64,
    },

    /// The runtime told is this many percent of the truth from now on.
    RuntimeLies {
        /// In percent.
        percent: u64,
    },
    /// The next update of the driver says this runtime, and only that one.
    UpdateLies {
        /// In seconds; none is absent.
        #[serde(default)]
        runtime_seconds: Option<u64>,
        /// The charge.
        #[serde(default)]
        charge_percent: Option<u64>,
    },
    /// `LB` is told for a while, whatever the battery holds.
    LowFlashed {
        /// For how long.
        #[serde(with = "span::millis")]
        span: u64,
    },
    /// The UPS calibrates for a while: `OB CAL` while the mains are there.
    Calibrated {
        /// For how long.
        #[serde(with = "span::millis")]
        span: u64,
    },
    /// `upsd` has no data of the UPS for a while: the driver is gone, or they are stale.
    DriverGone {
        /// For how long.
        #[serde(with = "span::millis")]
        span: u64,
    },
    /// The USB drops for a moment again and again.
    UsbFlaky {
        /// From one drop to the next.
        #[serde(with = "span::millis")]
        every: u64,
        /// How long each is.
        #[serde(with = "span::millis")]
        gap: u64,
        /// For how long all this.
        #[serde(with = "span::millis")]
        span: u64,
    },
    /// `upsd` does not answer one host for a while, or nobody.
    UpsdUnreachable {
        /// The host; none is everybody.
        #[serde(default)]
        host: Option<HostName>,
        /// For how long.
        #[serde(with = "span::millis")]
        span: u64,
    },
    /// Somebody sets `FSD` in `upsd`; it stays until `upsd` restarts.
    Forced,
    /// The battery holds only this many percent of what it seemed to.
    BatteryCollapsed {
        /// In percent.
        percent: u64,
    },
    /// The UPS does not carry out the command to cut, so many times.
    CutIgnored {
        /// How often.
        times: u32,
    },

    /// An operator orders a shutdown.
    Ordered {
        /// The host that is asked.
        host: HostName,
        /// And to wake everybody when it is done.
        then_wake: bool,
    },
    /// An operator calls the shutdown off.
    CalledOff {
        /// The host that is asked.
        host: HostName,
    },
    /// An operator wants everybody woken.
    WakeOrdered {
        /// The host that is asked.
        host: HostName,
    },
}

/// The point at which an agent is killed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillPoint {
    /// At once.
    Now,
    /// At its next record, which is lost.
    BeforeSave,
    /// After its next record, and before anything that follows from it.
    AfterSave,
    /// After it recorded that it is about to call its OS, and before it calls.
    BeforeCall,
    /// After the call, before its outcome.
    AfterCall,
}

impl Story {
    /// Returns when a run is over whatever happens: everything that may take time after the
    /// weather has taken it.
    pub fn ends_at(&self) -> u64 {
        let settings = &self.cluster.settings;
        let hosts = u32::try_from(self.cluster.hosts.len()).unwrap_or(u32::MAX);
        let chain = (settings.wake_timeout * 2).saturating_mul(hosts);
        let limit = settings.mains_stable * 3 + settings.charge_wait + chain;
        let stops: u64 = self.hosts.values().map(|host| host.stops_in + host.boots_in).sum();
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.heals_at.saturating_add(limit).saturating_add(stops * 2).saturating_add(300_000)
    }
}

impl Change {
    /// Returns the hosts that it names.
    pub fn hosts(&self) -> Vec<&HostName> {
        if let Self::LinkCut { from, to } | Self::LinkMended { from, to } = self {
            return vec![from, to];
        }
        self.host().into_iter().collect()
    }
}
