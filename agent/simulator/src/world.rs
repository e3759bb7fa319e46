//! The world: mains, a UPS, machines and a network, on virtual time.
//!
//! [`World::step`] goes from one event to the next. Nothing in it is left to chance but what the
//! story's seed decides, and nothing in it looks into an agent to decide what is true.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;

#[cfg(feature = "mistakes")]
use curfew_coordinator::Mistake;
use curfew_coordinator::{Cluster, Coordinator, HostName, Phase, StateMessage};

use crate::story::{Change, Story};
use crate::{Fact, Happened};

mod agent;
mod eyes;
mod machine;
mod network;
mod power;
mod stranger;
mod ups;
mod weather;

pub(crate) use agent::DRILL_NUMBER;
pub use machine::{Machine, Power, Stop};
use network::Network;
use power::{Moment, Output};
use stranger::Stranger;
pub use ups::UpsWorld;

/// How often an agent looks at everything and tells its state.
pub(crate) const BEAT: u64 = 1_000;
/// The world is older than its machines, and they are older than the story.
const START: u64 = 100_000_000;

/// A peer that was not heard for five seconds counts as silent.
const MOST_THINNING: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// Everything that there is.
#[derive(Clone, Debug)]
pub struct World {
    cluster: Cluster,
    owner: usize,
    now: u64,
    machines: Vec<Machine>,
    strangers: Vec<Stranger>,
    ups: UpsWorld,
    network: Network,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    facts: Vec<Happened>,
    traffic: Traffic,
    has_healed: bool,
    /// A beat tells one in so many peers.
    thinning: NonZeroU32,
    #[cfg(feature = "mistakes")]
    mistake: Option<Mistake>,
}

/// What the agents have cost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Events that agents took.
    pub events: u64,
    /// Messages that left.
    pub messages: u64,
}

/// What will happen; what belongs to a boot or a run that is over does not.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Happening {
    Beat { host: usize, run: u64 },
    StrangerBeats { stranger: usize },
    Delivered { to: usize, message: Arc<StateMessage> },
    Closed { to: usize, of: usize },
    Machine { host: usize, boot: u32, moment: Moment },
    Output(Output),
    Changed(Change),
    Healed,
}

impl World {
    /// Makes the world of a story; all agents run.
    pub fn new(story: &Story) -> Self {
        let mut world = Self::bare(story);
        world.start_all();
        world
    }

    /// Makes the world of a story in which an agent tells its state each second to one in `part`
    /// peers, and only what is new to all at once: the cost of a mesh grows with the square of its
    /// hosts, and what is decided rests on silences of five seconds and more.
    pub fn thinned(story: &Story, part: NonZeroU32) -> Self {
        let mut world = Self { thinning: part.min(MOST_THINNING), ..Self::bare(story) };
        world.start_all();
        world
    }

    /// Makes the world of a story in which all agents make a mistake.
    #[cfg(feature = "mistakes")]
    pub fn with_mistake(story: &Story, mistake: Mistake) -> Self {
        let mut world = Self { mistake: Some(mistake), ..Self::bare(story) };
        world.start_all();
        world
    }

    fn bare(story: &Story) -> Self {
        let hosts = &story.cluster.hosts;
        let truth = |name| story.hosts.get(name).cloned().unwrap_or_default();
        let machines = (1..)
            .zip(hosts)
            .map(|(age, host)| {
                let booted_at = START - age * 1_234_567 % (START / 2);
                Machine::new(host, truth(&host.name), booted_at)
            })
            .collect::<Vec<_>>();
        let owner = hosts.iter().position(|host| host.name == story.cluster.ups.owner);
        let watts = machines.iter().filter(|it| it.is_fed).map(|it| it.truth.watts).sum();
        let mut world = Self {
            owner: owner.unwrap_or_default(),
            now: START,
            ups: UpsWorld::new(&story.ups, watts, START),
            network: Network::new(&story.network, story.seed, machines.len()),
            machines,
            strangers: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            facts: Vec::new(),
            traffic: Traffic::default(),
            has_healed: false,
            thinning: NonZeroU32::MIN,
            cluster: story.cluster.clone(),
            #[cfg(feature = "mistakes")]
            mistake: None,
        };
        let stop_times = agent::measured(story);
        if !stop_times.is_empty() {
            for machine in &mut world.machines {
                machine.remember(&stop_times);
            }
        }
        for dated in &story.changes {
            world.after(dated.at, Happening::Changed(dated.change.clone()));
        }
        world.after(story.heals_at, Happening::Healed);
        world
    }

    fn start_all(&mut self) {
        for host in self.hosts() {
            if self.machine(host).runs() {
                self.mount(host);
                self.start_agent(host);
            }
        }
    }

    /// Returns the milliseconds since the story began.
    pub fn now(&self) -> u64 {
        self.now - START
    }

    /// Returns the places of all hosts in the cluster file.
    pub fn hosts(&self) -> std::ops::Range<usize> {
        0..self.machines.len()
    }

    /// Returns the cluster file.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns the place of the UPS owner.
    pub fn owner(&self) -> usize {
        self.owner
    }

    /// Returns a machine.
    ///
    /// # Panics
    ///
    /// Without such a host.
    pub fn machine(&self, host: usize) -> &Machine {
        self.machines.get(host).expect("hosts are counted from the machines")
    }

    fn machine_mut(&mut self, host: usize) -> &mut Machine {
        self.machines.get_mut(host).expect("hosts are counted from the machines")
    }

    /// Returns the agent of a host, if it runs.
    pub fn agent(&self, host: usize) -> Option<&Coordinator> {
        self.machine(host).agent.as_ref()
    }

    /// Returns the UPS.
    pub fn ups(&self) -> &UpsWorld {
        &self.ups
    }

    /// Returns what happened since the facts were last cleared, in order.
    pub fn facts(&self) -> &[Happened] {
        &self.facts
    }

    /// Forgets what happened so far.
    pub fn clear_facts(&mut self) {
        self.facts.clear();
    }

    /// Returns what the agents have cost so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Returns when the agent of a host wants to run, in milliseconds since the story began.
    pub fn deadline(&self, host: usize) -> Option<u64> {
        self.machine(host).deadline().map(|deadline| deadline.saturating_sub(START))
    }

    /// Returns whether messages are lost, doubled or late on their own.
    pub fn rains(&self) -> bool {
        self.network.rain.is_some()
    }

    /// Returns whether the services of a host answer.
    pub fn serves(&self, host: usize) -> bool {
        self.machine(host).serves(self.now)
    }

    /// Returns whether a host tells a drill at this moment.
    pub fn is_rehearsing(&self, host: usize) -> bool {
        self.machine(host).rehearses.is_some_and(|(_, until)| self.now < until)
    }

    /// Returns for how long the mains have been as they are.
    pub fn line_for(&self) -> u64 {
        self.now.saturating_sub(self.ups.line_since)
    }

    /// Returns whether the weather of the story is over.
    pub fn has_healed(&self) -> bool {
        self.has_healed
    }

    /// Returns the place of a host by its name.
    pub fn find(&self, name: &HostName) -> Option<usize> {
        self.machines.iter().position(|machine| machine.name == *name)
    }

    /// Returns whether everybody who can run does, is in no shutdown, and owes nobody anything.
    pub fn is_whole(&self) -> bool {
        self.machines.iter().all(|machine| {
            machine.is_broken
                || machine.agent.as_ref().is_some_and(|agent| {
                    machine.stop.is_none() && agent.phase() == Phase::Up && agent.is_at_rest()
                })
        })
    }

    /// Returns whether nothing is under way: every machine is off, or runs with an agent that is in
    /// no shutdown and owes nobody anything.
    pub fn is_at_rest(&self) -> bool {
        self.machines.iter().all(|machine| {
            let is_idle = |agent: &Coordinator| agent.phase() == Phase::Up && agent.is_at_rest();
            match machine.power {
                Power::Off => true,
                Power::Booting => false,
                Power::Running => {
                    machine.stop.is_none() && machine.agent.as_ref().is_some_and(is_idle)
                }
            }
        })
    }

    /// Returns how long the battery would carry what has power now.
    pub fn true_left(&self) -> u64 {
        self.ups.left(self.load())
    }

    /// Goes on to the next event, at most to `until`; returns whether there was one.
    pub fn step(&mut self, until: u64) -> bool {
        let until = until + START;
        let deadline = self.next_deadline();
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let at = match (deadline, queued) {
            (Some((deadline, _)), Some(queued)) => deadline.min(queued),
            (Some((deadline, _)), None) => deadline,
            (None, Some(queued)) => queued,
            (None, None) => u64::MAX,
        };
        if at > until {
            self.pass_to(until);
            return false;
        }
        self.pass_to(at);
        if let Some((_, host)) = deadline.filter(|(deadline, _)| *deadline <= at) {
            self.tell(host, curfew_coordinator::Event::TimePassed);
        } else if let Some((_, happening)) = self.queue.pop_first() {
            self.happen(happening);
        }
        true
    }

    /// Lets something happen now.
    pub fn change(&mut self, change: Change) {
        self.happen(Happening::Changed(change));
    }

    /// Lets something happen after a while.
    pub fn change_after(&mut self, span: u64, change: Change) {
        self.after(span, Happening::Changed(change));
    }

    fn next_deadline(&self) -> Option<(u64, usize)> {
        self.machines.iter().enumerate().filter_map(|(host, it)| Some((it.deadline()?, host))).min()
    }

    fn pass_to(&mut self, at: u64) {
        self.now = self.now.max(at);
        if self.ups.advance(self.now, self.load()) {
            self.open_output(false);
        }
    }

    fn load(&self) -> u64 {
        self.machines.iter().filter(|it| it.is_fed).map(Machine::watts).sum()
    }

    fn after(&mut self, span: u64, happening: Happening) {
        self.queued += 1;
        self.queue.insert((self.now + span, self.queued), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Beat { host, run } => self.beat(host, run),
            Happening::StrangerBeats { stranger } => self.stranger_beats(stranger),
            Happening::Delivered { to, message } => self.deliver(to, &message),
            Happening::Closed { to, of } => {
                let of = self.machine(of).name.clone();
                self.tell(to, curfew_coordinator::Event::SessionClosed(of));
            }
            Happening::Machine { host, boot, moment } => {
                if self.machine(host).boots == boot {
                    self.come_to(host, moment);
                }
            }
            Happening::Output(output) => self.switch_output(output),
            Happening::Changed(change) => self.make_happen(&change),
            Happening::Healed => self.heal(),
        }
    }

    fn note(&mut self, host: usize, fact: Fact) {
        self.facts.push(Happened { at: self.now - START, host, fact });
    }

    /// Returns the names of the hosts that serve files.
    fn servers(&self) -> BTreeSet<HostName> {
        self.machines.iter().filter(|it| it.is_server).map(|it| it.name.clone()).collect()
    }
}

#[cfg(test)]
impl World {
    /// Notes a fact that did not happen, for a test of the judge.
    pub(crate) fn pretend(&mut self, host: usize, fact: Fact) {
        self.note(host, fact);
    }

    /// Gives a machine to a test, to be made into what it is not.
    pub(crate) fn bend(&mut self, host: usize) -> &mut Machine {
        self.machine_mut(host)
    }

    /// Lets time pass in which nothing happens to anybody.
    pub(crate) fn skip(&mut self, span: u64) {
        self.now += span;
    }
}

/// Two worlds are equal if they go on equally: what happened before, and what it cost, is not of
/// the world.
impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.now == other.now
            && self.machines == other.machines
            && self.strangers == other.strangers
            && self.ups == other.ups
            && self.network == other.network
            && self.has_healed == other.has_healed
            && self.queue.len() == other.queue.len()
            && self.queued_in_order().eq(other.queued_in_order())
    }
}

impl Eq for World {}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.now.hash(state);
        self.machines.hash(state);
        self.strangers.hash(state);
        self.ups.hash(state);
        self.network.hash(state);
        self.has_healed.hash(state);
        for queued in self.queued_in_order() {
            queued.hash(state);
        }
    }
}

impl World {
    fn queued_in_order(&self) -> impl Iterator<Item = (u64, &Happening)> {
        self.queue.iter().map(|((at, _), happening)| (*at, happening))
    }
}
