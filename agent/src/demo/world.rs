//! The world of the demo: mains, UPS, machines and their network cards, step by step.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use curfew_coordinator::{Line, Note, Phase, Presence, Time};
use curfew_nut::simulated::{Battery, Cadence, SimulatedConfig, SimulatedHandle};
use curfew_nut::simulated::{SimulatedUps, Switching};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cast::Role;
use super::ground::{UPS, UPS_ADDRESS};
use super::machine::Machine;
use super::screen::Headline;
use super::timeline::{Fact, Occurrence, Timeline, What};
use super::verdict::is_ended;
use crate::ask::{self, Answer};
use crate::journal::Noted;

/// Whether the story goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// There is more to come.
    Running,
    /// All has happened that will.
    Over,
}

/// Where the story stands; see the drawing in the parent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Starting,
    Calm { until: Time },
    Outage,
    Dark { until: Time },
    Returned,
    Settling { until: Time },
}

/// All that the agents stand on.
#[derive(Debug)]
pub(super) struct World {
    /// What happened.
    pub(super) timeline: Timeline,
    /// What the battery had left when everybody was down.
    pub(super) battery_left: Option<Duration>,
    base: u16,
    machines: Vec<Machine>,
    ups: SimulatedHandle,
    button: UdpSocket,
    stage: Stage,
    has_mains: bool,
    /// What each agent that runs said last.
    heard: BTreeMap<Role, Answer>,
    looks: JoinSet<(Role, Option<Answer>)>,
    looked_at: Option<Time>,
    /// Nobody is spawned and forgotten: it ends with the world.
    _upsd: JoinSet<()>,
}

impl World {
    /// Makes a world in `folder` in which nothing runs but the UPS.
    pub(super) async fn new(folder: &Path, base: u16) -> anyhow::Result<Self> {
        let at = SocketAddr::from((UPS_ADDRESS, 0));
        let bound = SimulatedUps::bind(at, ups()).await;
        let (upsd, ups) = bound.with_context(|| format!("cannot listen on {UPS_ADDRESS}"))?;
        let mut task = JoinSet::new();
        task.spawn(upsd.run(CancellationToken::new()));
        let button = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let machines = Role::ALL.into_iter().map(|role| Machine::new(role, folder));
        Ok(Self {
            timeline: Timeline::default(),
            battery_left: None,
            base,
            machines: machines.collect::<Result<_, _>>()?,
            ups,
            button: button.context("cannot listen for magic packets on 127.0.0.1")?,
            stage: Stage::Starting,
            has_mains: true,
            heard: BTreeMap::new(),
            looks: JoinSet::new(),
            looked_at: None,
            _upsd: task,
        })
    }

    /// Returns where the UPS answers.
    pub(super) const fn upsd(&self) -> SocketAddr {
        self.ups.address
    }

    /// Returns where magic packets are heard.
    pub(super) fn button(&self) -> io::Result<SocketAddr> {
        self.button.local_addr()
    }

    /// Switches everybody on.
    pub(super) fn switch_on(&mut self, now: Time) -> anyhow::Result<()> {
        for machine in &mut self.machines {
            let fact = machine.press_button(now)?;
            add(&mut self.timeline, now, Some(machine.role()), fact);
        }
        Ok(())
    }

    /// Waits for a packet, and returns whose card it wakes. Cancel safe.
    pub(super) async fn packet(&self) -> Option<Role> {
        let mut packet = [0; 256];
        let Ok(len) = self.button.recv(&mut packet).await else { return None };
        let packet = packet.get(..len)?;
        Role::ALL.into_iter().find(|role| role.mac().magic_packet() == packet)
    }

    /// Switches on the machine whose card has heard its packet.
    pub(super) fn on_packet(&mut self, role: Option<Role>, now: Time) -> anyhow::Result<()> {
        let woken = self.machines.iter_mut().find(|machine| Some(machine.role()) == role);
        let Some(machine) = woken else { return Ok(()) };
        let on = machine.press_button(now)?;
        if on.is_some() {
            add(&mut self.timeline, now, role, Some(Fact::PacketReceived));
        }
        add(&mut self.timeline, now, role, on);
        Ok(())
    }

    /// Lets everything happen that is due, and the story go on.
    pub(super) async fn tick(&mut self, now: Time) -> anyhow::Result<Progress> {
        for machine in &mut self.machines {
            let role = machine.role();
            let fact = machine.tick(now)?;
            if fact.is_some() {
                self.heard.remove(&role);
            }
            add(&mut self.timeline, now, Some(role), fact);
            let news = machine.history.news();
            for entry in news.with_context(|| format!("cannot read what {} did", role.name()))? {
                let Noted::Coordinator(note) = entry.note else { continue };
                let what = What::Told(note);
                self.timeline.add(Occurrence { at: entry.at, role: Some(role), what });
            }
        }
        self.look(now);
        if !*self.ups.output.borrow() {
            for machine in &mut self.machines {
                machine.pull_plug();
            }
            add(&mut self.timeline, now, None, Some(Fact::PowerLost));
            return Ok(Progress::Over);
        }
        self.go_on(now).await
    }

    /// Returns how things stand.
    pub(super) fn headline(&self) -> Headline {
        let hosts = self.machines.iter().map(|machine| {
            let phase = self.heard.get(&machine.role()).map(|it| it.status.phase.as_str());
            let word = if machine.is_on() { phase.unwrap_or("starting") } else { machine.word() };
            (machine.role(), word)
        });
        let ups = self.heard.values().map(|it| &it.status.ups);
        let ups = ups.filter(|ups| ups.line != Line::Unknown).min_by_key(|ups| ups.age);
        Headline {
            hosts: hosts.collect(),
            has_mains: self.has_mains,
            charge: ups.and_then(|ups| ups.charge),
            left: ups.and_then(|ups| ups.runtime_left),
        }
    }

    async fn go_on(&mut self, now: Time) -> anyhow::Result<Progress> {
        match self.stage {
            Stage::Starting if self.is_whole() => self.stage = Stage::Calm { until: now + CALM },
            Stage::Calm { until } if until <= now => {
                self.ups.fail_mains().await.context("cannot fail the mains")?;
                self.has_mains = false;
                add(&mut self.timeline, now, None, Some(Fact::MainsFailed));
                self.stage = Stage::Outage;
            }
            Stage::Outage if self.is_down() => {
                let nfs = self.heard.get(&Role::Nfs);
                self.battery_left = nfs.and_then(|it| it.status.ups.runtime_left);
                self.stage = Stage::Dark { until: now + DARK };
            }
            Stage::Dark { until } if until <= now => {
                self.ups.return_mains().await.context("cannot return the mains")?;
                self.has_mains = true;
                add(&mut self.timeline, now, None, Some(Fact::MainsReturned));
                self.stage = Stage::Returned;
            }
            Stage::Returned if self.timeline.has(Role::Nfs, is_ended) => {
                self.stage = Stage::Settling { until: now + SETTLING };
            }
            Stage::Settling { until } if until <= now => return Ok(Progress::Over),
            Stage::Starting
            | Stage::Calm { .. }
            | Stage::Outage
            | Stage::Dark { .. }
            | Stage::Returned
            | Stage::Settling { .. } => {}
        }
        Ok(Progress::Running)
    }

    /// Asks the agents that run how they are, one question to each at a time.
    fn look(&mut self, now: Time) {
        while let Some(Ok((role, answer))) = self.looks.try_join_next() {
            let is_on = self.machines.iter().any(|it| it.role() == role && it.is_on());
            if let Some(answer) = answer.filter(|_| is_on) {
                self.heard.insert(role, answer);
            }
        }
        let is_due = self.looked_at.is_none_or(|at| now.since(at) >= LOOK_EVERY);
        if !is_due || !self.looks.is_empty() {
            return;
        }
        self.looked_at = Some(now);
        for machine in self.machines.iter().filter(|machine| machine.is_on()) {
            let (role, at) = (machine.role(), machine.role().http(self.base));
            self.looks.spawn(async move { (role, ask::status(at).await.ok()) });
        }
    }

    /// Everybody talks with everybody, and the owner knows what the battery is worth.
    fn is_whole(&self) -> bool {
        let is_ready = |role: &Role| {
            self.heard.get(role).is_some_and(|answer| {
                let status = &answer.status;
                let mut hosts = status.hosts.values();
                status.ups.line == Line::Mains
                    && hosts.all(|host| host.presence == Presence::Connected)
                    && (*role != Role::Nfs || status.ups.runtime_left.is_some())
            })
        };
        Role::ALL.iter().all(is_ready)
    }

    fn is_down(&self) -> bool {
        let holds =
            |what: &What| matches!(what, What::Told(Note::PhaseChanged { phase: Phase::Holding }));
        let others = self.machines.iter().filter(|machine| machine.role() != Role::Nfs);
        self.timeline.has(Role::Nfs, holds) && others.into_iter().all(|machine| !machine.is_on())
    }
}

fn add(timeline: &mut Timeline, at: Time, role: Option<Role>, fact: Option<Fact>) {
    if let Some(fact) = fact {
        timeline.add(Occurrence { at, role, what: What::World(fact) });
    }
}

/// A UPS as small as the time that it is watched for; like the Eaton 5E it does not promise to
/// come back after a cut, so that its owner holds. It charges fast enough for each of its numbers
/// to be confirmed by the next.
fn ups() -> SimulatedConfig {
    SimulatedConfig {
        name: UPS.to_owned(),
        battery: Battery {
            runtime: Duration::from_secs(30),
            recharge: Duration::from_mins(1),
            charge_percent: 85.0,
            low_percent: 10.0,
            load_percent: 25.0,
        },
        switching: Switching {
            offers_return: false,
            shutdown_delay: Duration::from_secs(2),
            start_delay: Duration::from_secs(2),
        },
        cadence: Cadence {
            status: Duration::from_millis(200),
            numbers: Duration::from_millis(700),
        },
        time_factor: 1.0,
        accounts: Vec::new(),
    }
}

/// Time to read who is there.
const CALM: Duration = Duration::from_millis(1500);
/// How long the mains stay away once everybody is down.
const DARK: Duration = Duration::from_secs(3);
/// Until the last histories are read, and all have told each other.
const SETTLING: Duration = Duration::from_millis(600);
/// Often enough for a headline.
const LOOK_EVERY: Duration = Duration::from_millis(200);
