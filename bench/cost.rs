//! What one event costs: some hosts live through two quiet minutes, an outage and a recovery, and
//! the nanoseconds of each kind of event in each phase are printed.
//!
//! `cargo run --release -p curfew-coordinator --example cost -- 3 30` measures 3 hosts, then 30.
//! The digest stands for all that was decided: a change for speed alone leaves it as it is.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures real time")]
#![expect(clippy::print_stdout, reason = "its result is a table")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use curfew_coordinator::{
    Action, Answer, ClientSight, Cluster, Coordinator, End, Event, Host, HostName, Line, Link,
    Reading, ReadyBy, Saved, Session, Settings, Start, StateMessage, Step, Time, Ups, WakeTarget,
    Watch,
};

const SECOND: u64 = 1000;
/// The battery in seconds: enough for the plan, not for much more.
const BATTERY: u64 = 600;
/// An accepted stop takes this long; half of it the agent still runs.
const STOP: u64 = 40 * SECOND;
/// From the packet, or the power, until the agent runs.
const BOOT: u64 = 45 * SECOND;
/// No event: the composing of a message.
const COMPOSE: &str = "(compose)";

fn main() {
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    for count in if counts.is_empty() { vec![3, 30] } else { counts } {
        measure(count);
    }
}

fn measure(count: usize) {
    let mut world = World::new(cluster(count));
    world.run("settling", 60);
    world.run("quiet", 120);
    world.mains = false;
    world.run("outage", 60);
    while !world.is_dark() && world.left > 0 {
        world.run("shutdown", 1);
    }
    world.run("hold", 10);
    world.mains = true;
    world.run("recovery", 600);
    world.run("quiet again", 120);
    println!("{count} hosts, {} of them run at the end", world.agents.len());
    println!("digest {:016x}", world.digest.finish());
    for ((phase, kind), cost) in &world.costs {
        println!("  {:<12} {kind:<16} {:>8} x {:>8} ns", phase.1, cost.events, cost.mean());
    }
    let mut phases: BTreeMap<Phase, Cost> = BTreeMap::new();
    for ((phase, _), cost) in world.costs.iter().filter(|((_, kind), _)| *kind != COMPOSE) {
        let sum = phases.entry(*phase).or_default();
        sum.events += cost.events;
        sum.took += cost.took;
    }
    for (phase, cost) in &phases {
        println!("  {:<12} {:<16} {:>8} x {:>8} ns", phase.1, "ALL", cost.events, cost.mean());
    }
}

/// What the events of one kind have cost.
#[derive(Default)]
struct Cost {
    events: u32,
    took: Duration,
}

impl Cost {
    fn mean(&self) -> u128 {
        self.took.as_nanos() / u128::from(self.events.max(1))
    }
}

struct Agent {
    coordinator: Coordinator,
    watch: Watch,
    /// When its stop was called, and how it ends.
    stopping: Option<(u64, End)>,
    is_held: bool,
}

/// A phase of the story, numbered so that the table is in its order.
type Phase = (u32, &'static str);

struct World {
    cluster: Cluster,
    now: u64,
    mains: bool,
    left: u64,
    agents: BTreeMap<HostName, Agent>,
    journals: BTreeMap<HostName, Saved>,
    boots: BTreeMap<HostName, u64>,
    booting: BTreeMap<HostName, u64>,
    phase: Phase,
    costs: BTreeMap<(Phase, &'static str), Cost>,
    digest: DefaultHasher,
}

impl World {
    fn new(cluster: Cluster) -> Self {
        let mut world = Self {
            cluster,
            now: 1000 * SECOND,
            mains: true,
            left: BATTERY * SECOND,
            agents: BTreeMap::new(),
            journals: BTreeMap::new(),
            boots: BTreeMap::new(),
            booting: BTreeMap::new(),
            phase: (0, ""),
            costs: BTreeMap::new(),
            digest: DefaultHasher::new(),
        };
        for host in world.cluster.names() {
            world.start(&host);
        }
        world
    }

    /// Returns whether nobody serves any more.
    fn is_dark(&self) -> bool {
        self.agents.values().all(|agent| agent.is_held)
    }

    fn run(&mut self, phase: &'static str, seconds: u64) {
        if self.phase.1 != phase {
            self.phase = (self.phase.0 + 1, phase);
        }
        for _ in 0..seconds {
            self.pass_second();
        }
    }

    fn pass_second(&mut self) {
        self.now += SECOND;
        self.left = if self.mains { self.left } else { self.left.saturating_sub(SECOND) };
        let due: Vec<_> = self.booting.extract_if(.., |_, at| *at <= self.now).collect();
        for (host, _) in due {
            self.start(&host);
        }
        for host in self.cluster.names() {
            self.progress(&host);
            self.beat(&host);
            self.send(&host);
        }
    }

    /// Lets a called stop go on.
    fn progress(&mut self, host: &HostName) {
        let Some(agent) = self.agents.get_mut(host) else { return };
        let Some((at, end)) = agent.stopping else { return };
        let passed = self.now - at;
        if end == End::Hold {
            if !agent.is_held && passed >= 8 * SECOND {
                agent.is_held = true;
                self.tell(host, Event::HoldEntered(Some(Duration::from_millis(passed))));
            }
        } else if passed >= STOP {
            self.agents.remove(host);
        } else if passed == STOP / 2 {
            self.tell(host, Event::HaltSeen);
        }
    }

    fn beat(&mut self, host: &HostName) {
        let owner = self.cluster.ups.owner.clone();
        self.tell(host, Event::ReadingTaken(self.reading()));
        let link = Link {
            has_carrier: Some(true),
            heard_frame: Some(self.agents.len() > 1),
            heard_gateway: Some(self.mains),
        };
        self.tell(host, Event::LinkSeen(link));
        if *host == owner {
            let others = self.cluster.names().into_iter().filter(|other| *other != owner);
            let sight = |runs| if runs { ClientSight::Present } else { ClientSight::Nothing };
            let seen = others.map(|other| (sight(self.agents.contains_key(&other)), other));
            let seen = seen.map(|(sight, it)| (it, sight)).collect();
            self.tell(host, Event::ClientsSeen(seen));
            self.tell(host, Event::ExportsProbed(true));
        } else {
            self.tell(host, Event::MountsRead(Some(BTreeSet::from([owner]))));
        }
        let Some(agent) = self.agents.get(host) else { return };
        let watch = agent.watch.clone();
        for other in watch.alive {
            let runs = self.agents.contains_key(&other);
            let answer = if runs { Answer::Alive } else { Answer::Silent };
            self.tell(host, Event::HostProbed { host: other, answer });
        }
        for (other, _) in watch.ready {
            let is_ready = self.agents.contains_key(&other);
            self.tell(host, Event::ReadyProbed { host: other, is_ready });
        }
        self.tell(host, Event::TimePassed);
    }

    fn send(&mut self, from: &HostName) {
        let Some(agent) = self.agents.get_mut(from) else { return };
        let started = Instant::now();
        let message: Arc<StateMessage> = agent.coordinator.message(at(self.now)).into();
        self.charge(COMPOSE, started);
        message.hash(&mut self.digest);
        for to in self.cluster.names().iter().filter(|to| *to != from) {
            self.tell(to, Event::PeerHeard(Arc::clone(&message)));
        }
    }

    fn tell(&mut self, host: &HostName, event: Event) {
        let Some(agent) = self.agents.get_mut(host) else { return };
        let kind = kind_of(&event);
        let started = Instant::now();
        let step = agent.coordinator.handle(at(self.now), event);
        self.charge(kind, started);
        self.carry_out(host, step);
    }

    fn charge(&mut self, kind: &'static str, started: Instant) {
        let took = started.elapsed();
        let cost = self.costs.entry((self.phase, kind)).or_default();
        cost.took += took;
        cost.events += 1;
    }

    fn carry_out(&mut self, host: &HostName, step: Step) {
        step.hash(&mut self.digest);
        if let Some(saved) = step.saved {
            self.journals.insert(host.clone(), *saved);
        }
        for action in step.actions {
            match action {
                Action::Tell => self.send(host),
                Action::Stop(call) => {
                    if let Some(agent) = self.agents.get_mut(host) {
                        agent.stopping.get_or_insert((self.now, call.end));
                    }
                    self.tell(host, Event::StopAccepted);
                }
                // Nobody else stops a machine here.
                Action::Hurry | Action::Sync | Action::RaiseCut { .. } | Action::LowerCut => {}
                Action::Reboot => {
                    self.agents.remove(host);
                    self.booting.insert(host.clone(), self.now + BOOT);
                }
                Action::Wake { host: to, target: _ } => {
                    if !self.agents.contains_key(&to) {
                        self.booting.entry(to).or_insert(self.now + BOOT);
                    }
                }
                Action::Watch(watch) => {
                    if let Some(agent) = self.agents.get_mut(host) {
                        agent.watch = watch;
                    }
                }
            }
        }
    }

    fn start(&mut self, host: &HostName) {
        let boot = self.boots.entry(host.clone()).or_default();
        *boot += 1;
        let start = Start {
            cluster: self.cluster.clone(),
            me: host.clone(),
            session: Session { boot: format!("{host}-boot-{boot}").into(), start: *boot },
            version: "0.1.0".to_owned(),
            saved: self.journals.get(host).cloned(),
            is_journal_lost: false,
        };
        let (coordinator, step) = Coordinator::recover(start, at(self.now));
        let agent = Agent { coordinator, watch: Watch::default(), stopping: None, is_held: false };
        self.agents.insert(host.clone(), agent);
        self.carry_out(host, step);
    }

    /// Returns what `upsd` answers: its driver reads the numbers every 30 s.
    fn reading(&self) -> Reading {
        let left = self.left - self.left % (30 * SECOND);
        Reading {
            line: if self.mains { Line::Mains } else { Line::Battery },
            is_low: false,
            is_forced: false,
            is_calibrating: false,
            charge: u8::try_from(left * 100 / (BATTERY * SECOND)).ok(),
            runtime: Some(Duration::from_millis(left)),
            load: Some(30),
            connection: 1,
            foreign_clients: Some(0),
        }
    }
}

fn at(now: u64) -> Time {
    Time::from_millis(now)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are rare")]
fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::TimePassed => "time passed",
        Event::ReadingTaken(_) => "reading taken",
        Event::PeerHeard(_) => "peer heard",
        Event::HostProbed { .. } => "host probed",
        Event::LinkSeen(_) => "link seen",
        Event::MountsRead(_) => "mounts read",
        Event::ClientsSeen(_) => "clients seen",
        _ => "another",
    }
}

/// Returns a server of files, a control plane that needs it, and workers that need both.
fn cluster(count: usize) -> Cluster {
    let name = |number: usize| HostName::from(format!("host-{number:02}"));
    let hosts = (0..count).map(|number| Host {
        name: name(number),
        needs: (0..number.min(2)).map(name).collect(),
        is_fed: true,
        stop_timeout: Duration::from_secs(if number == 0 { 60 } else { 180 }),
        touches_power: true,
        ready: match number {
            0 => ReadyBy::Exports("10.0.0.10".to_owned()),
            1 => ReadyBy::Probe("https://10.0.0.11:6443/readyz".to_owned()),
            _ => ReadyBy::Agent,
        },
        wake: Some(WakeTarget {
            mac: [0xaa, 0xbb, 0xcc, 0xdd, 0xee, u8::try_from(number).unwrap_or_default()],
            to: None,
            address: format!("10.0.0.{}", 10 + number),
        }),
    });
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts: hosts.collect(),
        ups: Ups { name: "eaton".to_owned(), owner: name(0), returns: None },
        settings: Settings::default(),
    }
}
