//! What somebody asks of a cluster of their own: what if the mains fail now, with this battery?
//!
//! A [`Question`] is turned into a [`Story`]; what nobody said is assumed, and
//! [`Question::assumed`] says what that was.

use std::collections::BTreeMap;
use std::time::Duration;

use curfew_coordinator::{Cluster, HostName, Overhead, Plan, ReadyBy};
use fastrand::Rng;

use crate::course::FULL_MESH;
use crate::story::{Change, Dated, HostTruth, KillPoint, NetworkTruth, Story, UpsTruth};
use crate::words::in_words;

#[cfg(test)]
pub(crate) mod tests;

/// The mains fail this long after the story began: by then the numbers of the UPS are confirmed.
pub const FAILS_AT: u64 = 45_000;
/// How many stops count, as in the history of the coordinator.
const MEASURED: usize = 5;
/// Without a measurement a stop takes this part of its `stop-timeout`, in percent.
const TYPICAL_PERCENT: u32 = 50;
/// The hold is entered in this long at the most, unless somebody says otherwise.
const HOLD_TAKES: Duration = Duration::from_secs(10);

/// A question. Everything but the cluster may be left as it is by default.
#[derive(Clone, Debug)]
pub struct Question {
    /// The cluster file.
    pub cluster: Cluster,
    /// What the UPS says of its runtime now; none is twice what a shutdown needs.
    pub runtime: Option<Duration>,
    /// What it says of its charge now.
    pub charge_percent: u8,
    /// How long the mains are away; none is twice the runtime.
    pub return_after: Option<Duration>,
    /// The UPS comes back by itself after it was told to cut; none is what the file says.
    pub returns: Option<bool>,
    /// How long the stops of hosts truly take.
    pub stops: BTreeMap<HostName, Duration>,
    /// How long the agents have measured that they take.
    pub measured: BTreeMap<HostName, Duration>,
    /// What goes wrong.
    pub troubles: Vec<Trouble>,
}

/// Something that goes wrong in the outage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// A host's stop never ends.
    Hangs(HostName),
    /// A host loses its power as the mains fail, without a word.
    Vanishes(HostName),
    /// A host's agent ended before the mains fail, and is not started again.
    DeadAgent(HostName),
    /// A host's network cable is out.
    Unplugged(HostName),
    /// The switch has no power but the mains.
    NoNetwork,
    /// The UPS does not carry out the command to cut.
    CutIgnored,
}

impl Question {
    /// Makes the question that only names a cluster.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            runtime: None,
            charge_percent: 100,
            return_after: None,
            returns: None,
            stops: BTreeMap::new(),
            measured: BTreeMap::new(),
            troubles: Vec::new(),
        }
    }

    /// Returns the hosts that the question names and the cluster file lacks.
    pub fn unknown(&self) -> Vec<&HostName> {
        let troubled = self.troubles.iter().filter_map(Trouble::host);
        let named = self.stops.keys().chain(self.measured.keys()).chain(troubled);
        named.filter(|name| self.cluster.host(name).is_none()).collect()
    }

    /// Returns the story: everything takes as long as was said.
    pub fn story(&self) -> Story {
        let measured = self.measured.iter().map(|(name, took)| (name.clone(), vec![millis(*took)]));
        self.tell(0, measured.collect(), &|_, typical| typical)
    }

    /// Returns the story of a seed: each stop differs by `percent` (the standard deviation), and
    /// the agents have measured five earlier ones that did so, too.
    pub fn varied(&self, seed: u64, percent: u64) -> Story {
        let mut chance = Rng::with_seed(seed);
        let mut truths = BTreeMap::new();
        let mut measured = BTreeMap::new();
        for host in &self.cluster.hosts {
            let typical = self.typical(&host.name);
            let mut draw = || varied(&mut chance, typical, percent);
            truths.insert(host.name.clone(), draw());
            let stops = (0..MEASURED).map(|_| millis(draw())).collect();
            measured.insert(host.name.clone(), stops);
        }
        let truth = |name: &HostName, typical| truths.get(name).copied().unwrap_or(typical);
        self.tell(seed, measured, &truth)
    }

    /// Returns what was assumed, in sentences for a person.
    pub fn assumed(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.runtime.is_none() {
            all.push(format!(
                "the UPS says {} at {} % now, twice what the shutdown needs (--runtime, --charge)",
                in_words(self.runtime()),
                self.charge_percent
            ));
        }
        if self.return_after.is_none() {
            all.push(format!(
                "the mains are away for {}, twice that runtime (--return-after)",
                in_words(self.return_after())
            ));
        }
        let is_guessed =
            |name: &HostName| !self.stops.contains_key(name) && !self.measured.contains_key(name);
        let guessed: Vec<_> = self.cluster.hosts.iter().map(|host| &host.name).collect();
        let guessed: Vec<_> = guessed.into_iter().filter(|name| is_guessed(name)).collect();
        if !guessed.is_empty() {
            let stops = guessed
                .iter()
                .map(|name| format!("{name} {}", in_words(self.typical(name))))
                .take(NAMED)
                .collect::<Vec<_>>()
                .join(", ");
            let more = guessed.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            all.push(format!(
                "to stop takes {stops}{more}: half of the stop-timeout, and at most {} for a hold \
                 (--stop, --measured, or --at an agent that has measured it)",
                in_words(HOLD_TAKES)
            ));
        }
        if self.cluster.hosts.len() > FULL_MESH {
            all.push(format!(
                "with more than {FULL_MESH} hosts each is told what is not new every 4 s, not \
                 every second"
            ));
        }
        all.push("all hosts draw the same power, and the UPS tells the truth".to_owned());
        if self.returns.is_none() && self.cluster.ups.returns.is_none() {
            all.push("the UPS does not promise to come back after a cut (--returns)".to_owned());
        }
        all
    }

    /// Returns how long the battery carries everybody as it is now.
    pub fn runtime(&self) -> Duration {
        self.runtime.unwrap_or_else(|| {
            let overhead = Overhead {
                lag: self.cluster.settings.debounce,
                proof_per_hop: self.cluster.settings.built_in.off_silence,
                ..Overhead::default()
            };
            let measured = self.measured.clone();
            let plan = Plan::new(&self.cluster, &measured);
            let needed = plan.time_needed(&overhead, &self.cluster.names());
            (needed + self.cluster.settings.reserve) * 2
        })
    }

    /// Returns how long the mains are away.
    pub fn return_after(&self) -> Duration {
        self.return_after.unwrap_or_else(|| self.runtime() * 2)
    }

    /// Returns whether the UPS truly comes back after a cut.
    pub fn returns(&self) -> bool {
        self.returns.or(self.cluster.ups.returns).unwrap_or(false)
    }

    /// Returns how long a host's stop takes as far as is known.
    fn typical(&self, name: &HostName) -> Duration {
        if let Some(said) = self.stops.get(name).or_else(|| self.measured.get(name)) {
            return *said;
        }
        let timeout = self.cluster.host(name).map_or(Duration::ZERO, |host| host.stop_timeout);
        let half = timeout * TYPICAL_PERCENT / 100;
        let holds = *name == self.cluster.ups.owner && !self.returns();
        if holds { half.min(HOLD_TAKES) } else { half }
    }

    fn tell(
        &self,
        seed: u64,
        measured: BTreeMap<HostName, Vec<u64>>,
        truth: &dyn Fn(&HostName, Duration) -> Duration,
    ) -> Story {
        let hosts = self.cluster.hosts.iter().map(|host| {
            let takes = millis(truth(&host.name, self.typical(&host.name)));
            // A hold that hangs is a stop that hangs.
            let hangs = self.troubles.contains(&Trouble::Hangs(host.name.clone()));
            let holds_in = if hangs { NEVER } else { takes };
            let truth = HostTruth { stops_in: takes, holds_in, ..HostTruth::default() };
            (host.name.clone(), truth)
        });
        let charge = u64::from(self.charge_percent.clamp(1, 100));
        let returns = self.returns();
        let returned = FAILS_AT + millis(self.return_after());
        let mut story = Story {
            about: "what if the mains fail now?".to_owned(),
            seed,
            cluster: self.cluster.clone(),
            hosts: hosts.collect(),
            ups: UpsTruth {
                runtime: millis(self.runtime()) * 100 / charge,
                charge_percent: charge,
                returns,
                offers_return: returns,
                ..UpsTruth::default()
            },
            network: NetworkTruth {
                is_on_ups: !self.troubles.contains(&Trouble::NoNetwork),
                ..NetworkTruth::default()
            },
            measured,
            changes: vec![
                Dated { at: FAILS_AT, change: Change::MainsFail },
                Dated { at: returned, change: Change::MainsReturn },
            ],
            heals_at: returned + self.settles_in(),
        };
        story.changes.extend(self.troubles.iter().filter_map(Trouble::dated));
        story.changes.extend(self.helped(story.heals_at));
        story.changes.sort_by_key(|dated| dated.at);
        story
    }

    /// When all else is over somebody switches what hangs off and on.
    fn helped(&self, at: u64) -> impl Iterator<Item = Dated> + '_ {
        self.troubles.iter().flat_map(move |trouble| match trouble {
            Trouble::Hangs(host) => vec![
                Dated { at, change: Change::HostCrashed { host: host.clone() } },
                Dated { at: at + 1_000, change: Change::HostStarted { host: host.clone() } },
            ],
            Trouble::Vanishes(_)
            | Trouble::DeadAgent(_)
            | Trouble::Unplugged(_)
            | Trouble::NoNetwork
            | Trouble::CutIgnored => Vec::new(),
        })
    }

    /// Returns how long everybody may take to come back before somebody helps.
    fn settles_in(&self) -> u64 {
        let settings = &self.cluster.settings;
        let limit = settings.mains_stable * 3 + settings.charge_wait + settings.wake_timeout * 2;
        let boot = HostTruth::default();
        let boots = (boot.boots_in + boot.serves_in) * self.longest_chain();
        millis(limit) + boots * 2
    }

    fn longest_chain(&self) -> u64 {
        let plan = Plan::new(&self.cluster, &BTreeMap::new());
        let chain = |host: &curfew_coordinator::Host| plan.needs_all(&host.name).len();
        self.cluster.hosts.iter().map(chain).max().unwrap_or_default() as u64 + 1
    }

    /// Returns the hosts that serve files.
    pub fn servers(&self) -> impl Iterator<Item = &HostName> {
        let serves = |host: &&curfew_coordinator::Host| matches!(host.ready, ReadyBy::Exports(_));
        self.cluster.hosts.iter().filter(serves).map(|host| &host.name)
    }
}

impl Trouble {
    /// Returns the host that it is about.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Hangs(host)
            | Self::Vanishes(host)
            | Self::DeadAgent(host)
            | Self::Unplugged(host) => Some(host),
            Self::NoNetwork | Self::CutIgnored => None,
        }
    }

    fn dated(&self) -> Option<Dated> {
        let before = FAILS_AT - 1_000;
        let (at, change) = match self {
            Self::NoNetwork => return None,
            Self::Hangs(host) => {
                (before, Change::StopTakes { host: host.clone(), span: Some(NEVER) })
            }
            Self::Vanishes(host) => (FAILS_AT + 1_000, Change::HostCrashed { host: host.clone() }),
            Self::DeadAgent(host) => {
                let host = host.clone();
                let at_line = KillPoint::Now;
                (before, Change::AgentKilled { host, at_line, back_after: None })
            }
            Self::Unplugged(host) => (FAILS_AT, Change::Unplugged { host: host.clone() }),
            Self::CutIgnored => (before, Change::CutIgnored { times: u32::MAX }),
        };
        Some(Dated { at, change })
    }
}

/// Draws from a normal distribution around `typical`; never less than a third of it.
fn varied(chance: &mut Rng, typical: Duration, percent: u64) -> Duration {
    // Box and Muller; 1 - f64() is never 0.
    let radius = (-2.0 * (1.0 - chance.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * chance.f64()).cos();
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    let factor = 1.0 + normal * percent as f64 / 100.0;
    typical.mul_f64(factor.max(LEAST_FACTOR))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A stop that takes so long never ends.
pub(crate) const NEVER: u64 = 1_000 * 3_600_000;
/// A stop that takes less than a third of what it usually does is none.
const LEAST_FACTOR: f64 = 1.0 / 3.0;
/// More hosts are not named one by one.
const NAMED: usize = 6;
