//! The course of an outage, written down while it is played: who was in which state when, and what
//! the battery held.

use std::num::NonZeroU32;

use curfew_coordinator::{HostName, Note, Phase};

use crate::fact::{Fact, Happened};
use crate::invariant::{Judge, Violation};
use crate::play::Rest;
use crate::story::Story;
use crate::world::{Power, World};

/// How a host stands, by the truth of the world.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// It runs and serves.
    Up,
    /// It has no power, and needs none.
    Off,
    /// It holds: safe, and switched on.
    Holding,
    /// It has power and does not serve yet.
    Booting,
    /// It runs without an agent.
    Unwatched,
    /// It is in a shutdown and has not begun.
    Waiting,
    /// It stops, and its workloads still run.
    Stopping,
    /// Its workloads have ended.
    Halting,
    /// It has lost its power while it had something to lose.
    Lost,
}

impl State {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Off => "off",
            Self::Holding => "holding",
            Self::Booting => "booting",
            Self::Unwatched => "up without an agent",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Halting => "halting",
            Self::Lost => "LOST ITS POWER WHILE IT RAN",
        }
    }
}

/// The way of one host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lane {
    /// Its name.
    pub name: HostName,
    /// The UPS feeds it.
    pub is_fed: bool,
    /// Since when it stands how, the first at 0.
    pub states: Vec<(u64, State)>,
}

/// The battery at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sample {
    /// When.
    pub at: u64,
    /// How full it is, in percent.
    pub charge: u64,
    /// How long it would carry what has power then.
    pub left: u64,
}

/// An outage from before its beginning until everybody is back, or nobody else will be.
#[derive(Clone, Debug)]
pub struct Course {
    /// When the mains failed.
    pub failed_at: u64,
    /// When they came back for the first time after that.
    pub returned_at: Option<u64>,
    /// When it was over.
    pub ended_at: u64,
    /// The hosts, in the order of the file.
    pub lanes: Vec<Lane>,
    /// Whether the mains were there, since when.
    pub mains: Vec<(u64, bool)>,
    /// The battery, about once a second.
    pub samples: Vec<Sample>,
    /// What happened.
    pub facts: Vec<Happened>,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// At its end somebody helped whoever could not help itself.
    pub is_aided: bool,
}

impl Course {
    /// Plays a story and writes its course down, to the end.
    pub fn of(story: &Story) -> Self {
        let mut recorder = Recorder::new(story);
        recorder.course.is_aided = true;
        recorder.play(story, u64::MAX);
        recorder.course
    }

    /// Plays a story and writes its course down until everybody is back, or else until somebody
    /// would have to help. What comes after that is judged, and not written down.
    pub fn unaided(story: &Story) -> Self {
        let mut recorder = Recorder::new(story);
        recorder.play(story, story.heals_at.saturating_sub(1));
        recorder.course
    }

    /// Returns how a host stands at a moment.
    pub fn state_at(&self, host: usize, at: u64) -> State {
        let states = self.lanes.get(host).map(|lane| lane.states.as_slice()).unwrap_or_default();
        states.iter().take_while(|(since, _)| *since <= at).last().map_or(State::Up, |(_, it)| *it)
    }

    /// Returns what the battery held before a moment.
    pub fn battery_before(&self, at: u64) -> Option<Sample> {
        let next = self.samples.partition_point(|sample| sample.at < at);
        self.samples.get(next.checked_sub(1)?).copied()
    }

    /// Returns the name of a host.
    pub fn name(&self, host: usize) -> &str {
        self.lanes.get(host).map_or("?", |lane| lane.name.as_str())
    }
}

/// Looks at the world after each event.
struct Recorder {
    world: World,
    judge: Judge,
    course: Course,
    /// What the facts say of each host.
    hosts: Vec<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    phase: Option<Phase>,
    has_agent: bool,
    is_lost: bool,
    serves: bool,
}

impl Recorder {
    fn new(story: &Story) -> Self {
        let world = if story.cluster.hosts.len() > FULL_MESH {
            World::thinned(story, NonZeroU32::MAX)
        } else {
            World::new(story)
        };
        let lanes = story.cluster.hosts.iter().map(|host| Lane {
            name: host.name.clone(),
            is_fed: host.is_fed,
            states: Vec::new(),
        });
        let course = Course {
            failed_at: 0,
            returned_at: None,
            ended_at: 0,
            lanes: lanes.collect(),
            mains: vec![(0, true)],
            samples: Vec::new(),
            facts: Vec::new(),
            violation: None,
            is_aided: false,
        };
        let runs = |host| world.machine(host).runs();
        let known = |host| Known { serves: runs(host), has_agent: runs(host), ..Known::default() };
        let hosts = world.hosts().map(known).collect();
        Self { judge: Judge::new(story), world, course, hosts }
    }

    fn play(&mut self, story: &Story, until: u64) {
        let end = story.ends_at();
        let changes = story.changes.iter().map(|dated| dated.at).filter(|at| *at <= until);
        let changed = changes.max().unwrap_or_default();
        let mut rest = Rest::new(story);
        self.look();
        while self.course.violation.is_none()
            && self.world.now() < until
            && !rest.is_over(&self.world)
            && self.world.step(end.min(until))
        {
            self.look();
            if self.world.now() > changed + SETTLES && self.world.is_whole() && self.all_serve() {
                break;
            }
        }
        self.course.ended_at = self.world.now();
        let is_whole = self.world.is_whole();
        while self.course.violation.is_none() && !is_whole {
            if rest.is_over(&self.world) || !self.world.step(end) {
                break;
            }
            self.judge();
        }
        if self.course.violation.is_none() {
            self.course.violation = self.judge.close(&self.world).err();
        }
    }

    fn all_serve(&self) -> bool {
        let last = |lane: &Lane| lane.states.last().map(|(_, state)| *state);
        self.course.lanes.iter().all(|lane| last(lane) != Some(State::Booting))
    }

    fn judge(&mut self) {
        if self.course.violation.is_none() {
            self.course.violation = self.judge.look(&self.world).err();
        }
    }

    fn look(&mut self) {
        self.judge();
        let now = self.world.now();
        let is_due = self.course.samples.last().is_none_or(|last| now >= last.at + SAMPLE);
        if is_due {
            let (charge, left) = (self.world.ups().charge(), self.world.true_left());
            self.course.samples.push(Sample { at: now, charge, left });
        }
        let news = self.world.facts().get(self.course.facts.len()..).unwrap_or_default().to_vec();
        if news.is_empty() && now > 0 {
            return;
        }
        for happened in &news {
            self.learn(happened);
        }
        self.course.facts.extend(news);
        for host in self.world.hosts() {
            let state = self.state_of(host);
            let Some(lane) = self.course.lanes.get_mut(host) else { continue };
            if lane.states.last().is_none_or(|(_, last)| *last != state) {
                lane.states.push((now, state));
            }
        }
    }

    fn learn(&mut self, happened: &Happened) {
        let course = &mut self.course;
        let Some(known) = self.hosts.get_mut(happened.host) else { return };
        match &happened.fact {
            Fact::MainsFailed => {
                if course.failed_at == 0 {
                    course.failed_at = happened.at;
                }
                course.mains.push((happened.at, false));
            }
            Fact::MainsReturned => {
                course.returned_at = course.returned_at.or(Some(happened.at));
                course.mains.push((happened.at, true));
            }
            Fact::Note(Note::PhaseChanged { phase }) => known.phase = Some(*phase),
            Fact::AgentStarted => known.has_agent = true,
            Fact::AgentEnded => known.has_agent = false,
            Fact::Off { is_clean } => *known = Known { is_lost: !is_clean, ..Known::default() },
            Fact::Rebooted | Fact::Booted => *known = Known::default(),
            Fact::Served => known.serves = true,
            Fact::Note(_)
            | Fact::Changed(_)
            | Fact::Healed
            | Fact::OutputOpened { .. }
            | Fact::OutputClosed
            | Fact::StopCalled(_)
            | Fact::StopBegan
            | Fact::StopRepeated
            | Fact::Halted
            | Fact::Unmounted
            | Fact::Held
            | Fact::PacketSent { .. } => {}
        }
    }

    fn state_of(&self, host: usize) -> State {
        let machine = self.world.machine(host);
        let known = self.hosts.get(host).copied().unwrap_or_default();
        match machine.power {
            Power::Off if known.is_lost => State::Lost,
            Power::Off => State::Off,
            Power::Booting => State::Booting,
            Power::Running if machine.is_held => State::Holding,
            Power::Running if machine.stop.is_some() && machine.has_halted => State::Halting,
            Power::Running if machine.stop.is_some() => State::Stopping,
            Power::Running if !known.serves => State::Booting,
            Power::Running if !known.has_agent => State::Unwatched,
            Power::Running if known.phase == Some(Phase::Waiting) => State::Waiting,
            Power::Running => State::Up,
        }
    }
}

/// In a larger cluster a beat tells only a part of the peers, or nobody would wait for the end.
pub const FULL_MESH: usize = 12;
/// After the last change everybody has time to see it before nothing more is expected.
const SETTLES: u64 = 10_000;
/// Between two looks at the battery.
const SAMPLE: u64 = 500;
