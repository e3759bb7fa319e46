//! The agents: how they start and end, what they are told, and what they have done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{
    Action, Coordinator, Date, Event, HostName, Phase, Start, StateMessage, Step, StopTime,
    ToldShutdown,
};

use super::{BEAT, Happening, Machine, World};
use crate::Fact;
use crate::story::{KillPoint, Story};

/// Agents do not beat in step: each host's is this much later than that of the host before it.
const OUT_OF_STEP: u64 = 277;
/// The date of the world when the story begins, in seconds since 1970.
const DATE: i64 = 1_800_000_000;
/// In seconds.
const ONE_DAY: u64 = 86_400;
const ONE_YEAR: u64 = 365 * ONE_DAY;
/// A rehearsal of a number that no outage will ever reach.
pub(crate) const DRILL_NUMBER: u64 = 1_000_000;

/// Returns the stops that the agents have measured before the story, one on each day.
pub(super) fn measured(story: &Story) -> BTreeMap<HostName, Vec<StopTime>> {
    let stop = |(day, took): (u64, &u64)| StopTime {
        date: Date(DATE.unsigned_abs() - ONE_YEAR + day * ONE_DAY),
        took: Duration::from_millis(*took),
    };
    let stops = |all: &Vec<u64>| (0..).zip(all).map(stop).collect();
    story.measured.iter().map(|(host, all)| (host.clone(), stops(all))).collect()
}

impl World {
    /// Starts the agent of a machine that runs.
    pub(super) fn start_agent(&mut self, host: usize) {
        let cluster = self.cluster.clone();
        let now = self.now;
        let machine = self.machine_mut(host);
        if !machine.runs() || machine.agent.is_some() {
            return;
        }
        machine.runs += 1;
        machine.kill = None;
        machine.told_exports = None;
        let run = machine.runs;
        let start = Start {
            cluster,
            me: machine.name.clone(),
            session: machine.session(),
            version: "simulated".to_owned(),
            saved: machine.journal.clone(),
            is_journal_lost: std::mem::take(&mut machine.is_journal_lost),
        };
        let clock = machine.clock(now);
        let (agent, step) = self.recover(start, clock);
        self.machine_mut(host).agent = Some(agent);
        self.note(host, Fact::AgentStarted);
        self.carry_out(host, step);
        self.tell_os_stop(host);
        self.tell_date(host);
        self.tell_mounts(host);
        if host == self.owner {
            self.tell(host, Event::UpsProbed(self.ups.abilities()));
        }
        let phase = 100 + host as u64 * OUT_OF_STEP % BEAT;
        self.after(phase, Happening::Beat { host, run });
    }

    #[cfg(feature = "mistakes")]
    pub(super) fn recover(
        &self,
        start: Start,
        clock: curfew_coordinator::Time,
    ) -> (Coordinator, Step) {
        match self.mistake {
            Some(mistake) => Coordinator::recover_with(mistake, start, clock),
            None => Coordinator::recover(start, clock),
        }
    }

    #[cfg(not(feature = "mistakes"))]
    #[expect(clippy::unused_self, reason = "with `mistakes` the world decides")]
    pub(super) fn recover(
        &self,
        start: Start,
        clock: curfew_coordinator::Time,
    ) -> (Coordinator, Step) {
        Coordinator::recover(start, clock)
    }

    pub(super) fn tell_date(&mut self, host: usize) {
        let passed = i64::try_from(self.now() / 1000).unwrap_or(i64::MAX);
        let date = DATE.saturating_add(passed).saturating_add(self.machine(host).clock_skew);
        self.tell(host, Event::DateRead(Date(u64::try_from(date).unwrap_or_default())));
    }

    /// Ends an agent; its machine runs on.
    pub(super) fn end_agent(&mut self, host: usize) {
        if self.machine_mut(host).agent.take().is_none() {
            return;
        }
        self.note(host, Fact::AgentEnded);
        let latency = self.network.truth.latency;
        for to in self.hosts() {
            if to != host && self.passes(host, to) {
                self.after(latency, Happening::Closed { to, of: host });
            }
        }
    }

    /// Kills an agent, which systemd or Talos may start again.
    fn kill(&mut self, host: usize, back_after: Option<u64>) {
        self.machine_mut(host).kill = None;
        self.end_agent(host);
        if let Some(span) = back_after {
            self.come_after(host, span, super::Moment::StartsAgent);
        }
    }

    pub(super) fn plan_kill(&mut self, host: usize, point: KillPoint, back_after: Option<u64>) {
        if self.machine(host).agent.is_none() {
            return;
        }
        if point == KillPoint::Now {
            self.kill(host, back_after);
        } else {
            self.machine_mut(host).kill = Some((point, back_after));
        }
    }

    /// Gives an agent a fact, and carries out what follows.
    pub(super) fn tell(&mut self, host: usize, event: Event) {
        let now = self.machine(host).clock(self.now);
        let Some(agent) = &mut self.machine_mut(host).agent else { return };
        let step = agent.handle(now, event);
        self.traffic.events += 1;
        self.carry_out(host, step);
    }

    fn carry_out(&mut self, host: usize, step: Step) {
        let Step { saved, notes, actions } = step;
        let calls = actions.iter().any(|action| matches!(action, Action::Stop(_)));
        let kill = self.machine(host).kill;
        if let Some(saved) = saved {
            if let Some((KillPoint::BeforeSave, back)) = kill {
                return self.kill(host, back);
            }
            self.save(host, saved);
            if let Some((KillPoint::AfterSave, back)) = kill {
                return self.kill(host, back);
            }
        }
        for note in notes {
            self.note(host, Fact::Note(note));
        }
        if let Some((KillPoint::BeforeCall, back)) = kill.filter(|_| calls) {
            return self.kill(host, back);
        }
        for action in actions {
            self.act(host, action);
        }
        if let Some((KillPoint::AfterCall, back)) = kill.filter(|_| calls) {
            self.kill(host, back);
        }
    }

    fn save(&mut self, host: usize, saved: Box<curfew_coordinator::Saved>) {
        let machine = self.machine_mut(host);
        if machine.disk_fails {
            let is_news = machine.pending.replace(saved).is_none();
            if is_news {
                self.tell(host, Event::JournalFailed("the disk does not take it".to_owned()));
            }
        } else {
            machine.journal = Some(*saved);
        }
    }

    /// The disk takes records again.
    pub(super) fn save_pending(&mut self, host: usize) {
        let machine = self.machine_mut(host);
        let Some(saved) = machine.pending.take() else { return };
        machine.journal = Some(*saved);
        self.tell(host, Event::JournalRecovered);
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::Tell => self.send(host),
            Action::Stop(call) => self.call_stop(host, call),
            // Nobody foreign is logged in, and nobody else stops a machine.
            Action::Hurry | Action::Sync | Action::RaiseCut { .. } | Action::LowerCut => {}
            Action::Reboot => self.reboot(host),
            Action::Wake { host: to, target: _ } => self.send_packet(host, &to),
            Action::Watch(watch) => self.machine_mut(host).watch = watch,
        }
    }

    fn send_packet(&mut self, host: usize, to: &HostName) {
        let Some(place) = self.find(to) else { return };
        let is_off = self.machine(place).power == super::Power::Off;
        let arrives = self.passes(host, place);
        self.note(host, Fact::PacketSent { to: to.clone(), is_off, arrives });
        if arrives {
            self.hear_packet(place);
        }
    }

    /// Sends an agent's state to all that it reaches.
    pub(super) fn send(&mut self, from: usize) {
        self.send_to(from, |_| true);
    }

    /// Sends an agent's state to all that it reaches, once a beat; in a thinned world to a part of
    /// them, so that each is told in turn.
    pub(super) fn send_beat(&mut self, from: usize) {
        let part = self.thinning.get() as usize;
        let turn = usize::try_from(self.now / BEAT).unwrap_or_default();
        self.send_to(from, |to| (to + turn).is_multiple_of(part));
    }

    fn send_to(&mut self, from: usize, is_meant: impl Fn(usize) -> bool) {
        let now = self.machine(from).clock(self.now);
        let world_now = self.now;
        let Machine { agent, rehearses, .. } = self.machine_mut(from);
        let rehearses = rehearses.filter(|(_, until)| world_now < *until);
        let Some(agent) = agent else { return };
        let mut message = agent.message(now);
        if let Some((since, until)) = rehearses {
            rehearse(&mut message, world_now - since, until - since);
        }
        let message = Arc::new(message);
        for to in self.hosts() {
            let is_there = to != from && self.machine(to).agent.is_some();
            if is_there && is_meant(to) && self.passes(from, to) {
                self.traffic.messages += 1;
                for span in self.network.fate(from, to).into_iter().flatten() {
                    let message = Arc::clone(&message);
                    self.after(span, Happening::Delivered { to, message });
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, to: usize, message: &Arc<StateMessage>) {
        self.tell(to, Event::PeerHeard(Arc::clone(message)));
    }
}

/// Makes the state one of a rehearsal: it goes through all phases, and belongs to no outage.
fn rehearse(message: &mut StateMessage, passed: u64, span: u64) {
    message.is_drill = true;
    message.phase = match passed * 3 / span.max(1) {
        0 => Phase::Waiting,
        1 => Phase::Stopping,
        _ => Phase::Halting,
    };
    message.mounts = Some(std::collections::BTreeSet::new());
    message.highest = DRILL_NUMBER;
    if let Some(shutdown) = &mut message.shutdown {
        *shutdown = ToldShutdown {
            number: DRILL_NUMBER,
            time_left: Some(Duration::from_secs(1)),
            ..shutdown.clone()
        };
    }
}
