//! The world of the stories: mains, a UPS, machines and a network, on virtual time.
//!
//! [`World::run`] and [`World::until`] step from one event to the next and never sleep. After each
//! event the world checks what must hold in every story, whatever it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{
    Abilities, Action, Answer, Cluster, Command, Coordinator, Event, HostName, Link, Note, Start,
    StateMessage, Status, Step, Time,
};

mod machine;
mod power;
pub(crate) mod reference;
mod timeline;
mod ups;

pub(crate) use machine::{Machine, Power};
pub(crate) use timeline::{Fact, Timeline};
pub(crate) use ups::Ups;

/// From one machine to another.
const LATENCY: u64 = 5;
const BEAT: u64 = 1_000;
/// The world is older than its first machine.
const START: u64 = 10_000_000;

/// Everything that there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) ups: Ups,
    pub(crate) abilities: Abilities,
    pub(crate) timeline: Timeline,
    /// Directions in which nothing gets through.
    pub(crate) cuts: BTreeSet<(HostName, HostName)>,
    /// Directions in which no session gets through, though everything else does.
    pub(crate) cut_sessions: BTreeSet<(HostName, HostName)>,
    /// Hosts whose cable is out.
    pub(crate) unplugged: BTreeSet<HostName>,
    /// The switch has power when the UPS has.
    pub(crate) is_switch_on_ups: bool,
    now: u64,
    machines: BTreeMap<HostName, Machine>,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    ended: BTreeMap<HostName, u64>,
    battery_since: Option<u64>,
}

/// What will happen; what belongs to a boot or a run that is over does not.
#[derive(Debug)]
enum Happening {
    Beat { host: HostName, run: u64 },
    Delivered { to: HostName, message: Arc<StateMessage> },
    Closed { to: HostName, of: HostName },
    Machine { host: HostName, boot: u32, what: power::Change },
}

impl World {
    /// Makes the world of `cluster`, with a battery for `full` seconds; all agents run.
    pub(crate) fn new(cluster: Cluster, full: u64) -> Self {
        let mut machines = BTreeMap::new();
        for (age, host) in (1..).zip(&cluster.hosts) {
            let booted_at = START - age * 1_234_567;
            machines.insert(host.name.clone(), Machine::new(host.name.clone(), booted_at));
        }
        let mut world = Self {
            cluster,
            ups: Ups::new(full * 1000, START),
            abilities: Abilities::default(),
            timeline: Timeline::default(),
            cuts: BTreeSet::new(),
            cut_sessions: BTreeSet::new(),
            unplugged: BTreeSet::new(),
            is_switch_on_ups: true,
            now: START,
            machines,
            queue: BTreeMap::new(),
            queued: 0,
            ended: BTreeMap::new(),
            battery_since: None,
        };
        for name in world.names() {
            world.start_agent(name.as_str());
        }
        world
    }

    /// Returns the milliseconds since the story began.
    pub(crate) fn now(&self) -> u64 {
        self.now - START
    }

    /// Lets every agent get the reading of this moment.
    pub(crate) fn answer_all(&mut self) {
        let reading = self.ups.reading(self.now);
        for name in self.names() {
            self.tell(&name, Event::ReadingTaken(reading.clone()));
        }
    }

    pub(crate) fn names(&self) -> Vec<HostName> {
        self.machines.keys().cloned().collect()
    }

    pub(crate) fn machine(&self, host: &str) -> &Machine {
        self.machines.get(&HostName::from(host)).expect("a host of the world")
    }

    pub(crate) fn machine_mut(&mut self, host: &str) -> &mut Machine {
        self.machines.get_mut(&HostName::from(host)).expect("a host of the world")
    }

    pub(crate) fn status(&self, host: &str) -> Status {
        self.machine(host).agent.as_ref().expect("its agent runs").status()
    }

    /// Runs for `seconds`.
    pub(crate) fn run(&mut self, seconds: u64) {
        self.run_millis(seconds * 1000);
    }

    /// Runs for `millis`.
    pub(crate) fn run_millis(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.pass_to(end);
    }

    /// Runs until `condition` holds, for `seconds` at most; returns when that was.
    pub(crate) fn until(
        &mut self,
        what: &str,
        seconds: u64,
        condition: impl Fn(&Self) -> bool,
    ) -> u64 {
        let end = self.now + seconds * 1000;
        while !condition(self) {
            assert!(self.now < end, "{what}: not within {seconds} s");
            if self.next_at().is_some_and(|at| at <= end) {
                self.step();
            } else {
                // Nobody runs; only the battery does.
                self.pass_to(end.min(self.now + BEAT));
            }
        }
        self.now()
    }

    /// Asserts.
    #[track_caller]
    pub(crate) fn check(&self, holds: bool, what: &str) {
        assert!(holds, "at {} ms: {what}", self.now());
    }

    fn next_at(&self) -> Option<u64> {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        self.next_deadline().map(|(at, _)| at).into_iter().chain(queued).min()
    }

    fn next_deadline(&self) -> Option<(u64, HostName)> {
        let deadlines = self.machines.values().filter_map(|machine| {
            let at = machine.agent.as_ref()?.next_deadline()?;
            Some((machine.booted_at + at.as_millis(), machine.name.clone()))
        });
        deadlines.min()
    }

    fn step(&mut self) {
        let Some(at) = self.next_at() else { return };
        self.pass_to(at);
        let due = self.next_deadline().filter(|(deadline, _)| *deadline <= at);
        if let Some((_, host)) = due {
            self.tell(&host, Event::TimePassed);
        } else if let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= at) {
            let happening = entry.remove();
            self.happen(happening);
        }
    }

    fn pass_to(&mut self, at: u64) {
        self.now = self.now.max(at);
        if self.ups.advance(self.now) {
            self.lose_output();
        }
    }

    fn after(&mut self, span: u64, happening: Happening) {
        self.queued += 1;
        self.queue.insert((self.now + span, self.queued), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Beat { host, run } => {
                let is_same = self.machine(host.as_str()).runs == run;
                if is_same && self.machine(host.as_str()).agent.is_some() {
                    self.after(BEAT, Happening::Beat { host: host.clone(), run });
                    self.beat(&host);
                    self.send(&host);
                }
            }
            Happening::Delivered { to, message } => self.tell(&to, Event::PeerHeard(message)),
            Happening::Closed { to, of } => self.tell(&to, Event::SessionClosed(of)),
            Happening::Machine { host, boot, what } => {
                if self.machine(host.as_str()).boots == boot {
                    self.change(&host, what);
                }
            }
        }
    }

    /// Lets an agent look at everything that its drivers look at once a beat.
    fn beat(&mut self, host: &HostName) {
        self.tell_reading(host);
        let has_mounts = self.machine(host.as_str()).has_mounts;
        let owner = self.cluster.ups.owner.clone();
        let is_owner = *host == owner;
        let mounts = if has_mounts && !is_owner { [owner].into() } else { BTreeSet::new() };
        let can_read = self.machine(host.as_str()).can_read_mounts;
        self.tell(host, Event::MountsRead(can_read.then_some(mounts)));
        if is_owner {
            let clients = self.machines.values().filter(|machine| machine.name != *host);
            let seen = clients.map(|it| (it.name.clone(), it.sight())).collect();
            if self.machine(host.as_str()).looks_at_clients {
                self.tell(host, Event::ClientsSeen(seen));
            }
            let serves = self.machine(host.as_str()).serves(self.now);
            self.tell(host, Event::ExportsProbed(serves));
        }
        self.tell(host, Event::LinkSeen(self.link_of(host)));
        let watch = self.machine(host.as_str()).watch.clone();
        for other in watch.alive {
            let answer = self.answer_of(host, &other);
            self.tell(host, Event::HostProbed { host: other, answer });
        }
        let is_minute = (self.now / BEAT).is_multiple_of(60);
        for other in watch.absent.into_iter().filter(|_| is_minute) {
            let answer = self.answer_of(host, &other);
            self.tell(host, Event::AbsentProbed { host: other, answer });
        }
        for (other, _) in watch.ready {
            let is_ready =
                self.is_linked(host, &other) && self.machine(other.as_str()).serves(self.now);
            self.tell(host, Event::ReadyProbed { host: other, is_ready });
        }
    }

    fn tell_reading(&mut self, host: &HostName) {
        let owner = self.cluster.ups.owner.clone();
        let is_linked = *host == owner || self.is_linked(host, &owner);
        let runs = self.machine(owner.as_str()).runs_upsd();
        let event = if is_linked && runs && self.machine(host.as_str()).sees_upsd {
            Event::ReadingTaken(self.ups.reading(self.now))
        } else {
            Event::ReadingMissed("no answer".to_owned())
        };
        self.tell(host, event);
    }

    fn has_switch(&self) -> bool {
        self.ups.mains || (self.is_switch_on_ups && self.ups.output)
    }

    fn has_carrier(&self, host: &HostName) -> bool {
        self.has_switch() && !self.unplugged.contains(host)
    }

    fn passes(&self, from: &HostName, to: &HostName) -> bool {
        let is_cut = self.cuts.contains(&(from.clone(), to.clone()));
        self.has_carrier(from) && self.has_carrier(to) && !is_cut
    }

    fn is_linked(&self, one: &HostName, other: &HostName) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    fn link_of(&self, host: &HostName) -> Link {
        let others = self.machines.values().filter(|it| it.name != *host && it.runs());
        Link {
            has_carrier: Some(self.has_carrier(host)),
            heard_frame: Some(others.into_iter().any(|it| self.passes(&it.name, host))),
            heard_gateway: Some(self.ups.mains && self.has_carrier(host)),
        }
    }

    fn answer_of(&self, host: &HostName, other: &HostName) -> Answer {
        let machine = self.machine(other.as_str());
        if !self.is_linked(host, other) {
            Answer::Silent
        } else if machine.runs() {
            Answer::Alive
        } else if machine.answers_arp_when_off {
            Answer::ArpOnly
        } else {
            Answer::Silent
        }
    }

    /// Sends an agent's state to all that it reaches.
    fn send(&mut self, from: &HostName) {
        let now = self.machine(from.as_str()).clock(self.now);
        let Some(agent) = &mut self.machine_mut(from.as_str()).agent else { return };
        let message = Arc::new(agent.message(now).aged(Duration::from_millis(LATENCY)));
        for to in self.names() {
            let is_cut = self.cut_sessions.contains(&(from.clone(), to.clone()));
            let runs = self.machine(to.as_str()).runs();
            if to != *from && runs && !is_cut && self.passes(from, &to) {
                let message = Arc::clone(&message);
                self.after(LATENCY, Happening::Delivered { to, message });
            }
        }
    }

    /// Lets an agent compose its state, for a story that changes it on the way.
    pub(crate) fn compose(&mut self, from: &str) -> StateMessage {
        let now = self.machine(from).clock(self.now);
        self.machine_mut(from).agent.as_mut().expect("its agent runs").message(now)
    }

    /// An operator's command arrives at `host`.
    pub(crate) fn command(&mut self, host: &str, command: Command) {
        self.tell(&HostName::from(host), Event::Commanded(command));
    }

    /// Gives an agent a fact, and carries out what follows.
    pub(crate) fn tell(&mut self, host: &HostName, event: Event) {
        let now = self.machine(host.as_str()).clock(self.now);
        let Some(agent) = &mut self.machine_mut(host.as_str()).agent else { return };
        let step = agent.handle(now, event);
        self.carry_out(host, step);
        self.check_always(host);
    }

    /// Starts the agent of a machine that runs.
    pub(crate) fn start_agent(&mut self, host: &str) {
        let cluster = self.cluster.clone();
        let now = self.now;
        let machine = self.machine_mut(host);
        machine.runs += 1;
        machine.starts += 1;
        let run = machine.runs;
        let me = machine.name.clone();
        let start = Start {
            cluster,
            me: me.clone(),
            session: machine.session(),
            version: "0.1.0".to_owned(),
            saved: machine.journal.clone(),
            is_journal_lost: std::mem::take(&mut machine.is_journal_lost),
        };
        let (agent, step) = recover(start, machine.clock(now));
        machine.agent = Some(agent);
        self.note(&me, Fact::AgentStarted);
        self.carry_out(&me, step);
        self.tell_os_stop(&me);
        if me == self.cluster.ups.owner {
            self.tell(&me, Event::UpsProbed(self.abilities));
        }
        // Agents do not beat in step.
        let phase = 100 + 277 * me.as_str().len() as u64 % BEAT;
        self.after(phase, Happening::Beat { host: me, run });
    }

    /// Kills an agent; its machine runs on.
    pub(crate) fn kill_agent(&mut self, host: &str) {
        let machine = self.machine_mut(host);
        machine.agent = None;
        machine.called = None;
        let of = machine.name.clone();
        self.note(&of, Fact::AgentKilled);
        self.close_sessions(&of);
    }

    fn close_sessions(&mut self, of: &HostName) {
        for to in self.names() {
            if to != *of && self.passes(of, &to) {
                self.after(LATENCY, Happening::Closed { to, of: of.clone() });
            }
        }
    }

    fn carry_out(&mut self, host: &HostName, step: Step) {
        let Step { saved, notes, actions } = step;
        let machine = self.machine_mut(host.as_str());
        let mut journal_failed = false;
        if let Some(saved) = saved {
            if machine.disk_fails {
                journal_failed = true;
            } else {
                machine.journal = Some(*saved);
            }
        }
        let calls = actions.iter().any(|action| matches!(action, Action::Stop(_)));
        let dies = calls && std::mem::take(&mut machine.dies_before_call);
        for note in notes {
            self.note(host, Fact::Note(note));
        }
        if dies {
            self.kill_agent(host.as_str());
            return;
        }
        for action in actions {
            self.act(host, action);
        }
        if journal_failed && self.status_has_no_failure(host) {
            self.tell(host, Event::JournalFailed("the disk does not take it".to_owned()));
        }
    }

    fn status_has_no_failure(&self, host: &HostName) -> bool {
        let agent = self.machine(host.as_str()).agent.as_ref();
        agent.is_some_and(|agent| agent.status().journal_failure.is_none())
    }

    fn act(&mut self, host: &HostName, action: Action) {
        match action {
            Action::Tell => self.send(host),
            Action::Stop(call) => self.call_stop(host, call),
            Action::Hurry => self.hurry(host),
            Action::Sync => self.note(host, Fact::Synced),
            Action::Reboot => self.reboot(host),
            Action::RaiseCut { after, .. } => self.note(host, Fact::CutRaised(after)),
            Action::LowerCut => self.note(host, Fact::CutLowered),
            Action::Wake { host: to, target: _ } => {
                self.note(host, Fact::Packet(to.clone()));
                let dark = self.battery_since.map(|since| self.now - since);
                let is_late = dark.is_some_and(|dark| dark > 3_000);
                self.check(!is_late, "a packet was sent while on battery");
                if self.passes(host, &to) {
                    self.hear_packet(&to);
                }
            }
            Action::Watch(watch) => self.machine_mut(host.as_str()).watch = watch,
        }
    }

    pub(crate) fn note(&mut self, host: &HostName, fact: Fact) {
        self.timeline.add(self.now - START, host, fact);
    }

    /// What holds after every event of every story.
    fn check_always(&mut self, host: &HostName) {
        let machine = self.machine(host.as_str());
        let Some(agent) = &machine.agent else { return };
        let now = machine.clock(self.now);
        let is_ahead = agent.next_deadline().is_some_and(|at| at > now);
        let ended = agent.ended();
        self.check(is_ahead, "the next deadline lies ahead");
        let before = self.ended.insert(host.clone(), ended).unwrap_or_default();
        self.check(ended >= before, "`ended` never falls");
    }

    /// Forgets what `host` had ended: its journal is lost.
    pub(crate) fn lose_journal(&mut self, host: &str) {
        self.ended.remove(&HostName::from(host));
        let machine = self.machine_mut(host);
        machine.journal = None;
        machine.is_journal_lost = true;
        machine.starts = 0;
    }

    /// Returns when `host` noted what `is` describes, for the first time.
    pub(crate) fn noted(&self, host: &str, is: impl Fn(&Note) -> bool) -> Option<u64> {
        self.timeline
            .times(host, |fact| matches!(fact, Fact::Note(note) if is(note)))
            .first()
            .copied()
    }
}

#[cfg(not(feature = "mistakes"))]
fn recover(start: Start, now: Time) -> (Coordinator, Step) {
    Coordinator::recover(start, now)
}

/// Builds a coordinator that makes the mistake that the story is told with, if any.
#[cfg(feature = "mistakes")]
fn recover(start: Start, now: Time) -> (Coordinator, Step) {
    match crate::mistakes::chosen() {
        Some(mistake) => Coordinator::recover_with(mistake, start, now),
        None => Coordinator::recover(start, now),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.timeline);
        }
    }
}
