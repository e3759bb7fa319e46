//! Conducting: waking the others in order, after a turn or after a boot.
//!
//! Every gate has a limit, after which recovery goes on and says so: nobody is stranded because
//! something could not be known.

use std::collections::{BTreeMap, BTreeSet};

use super::Coordinator;
use crate::mistake::Mistake;
use crate::owed::Debt;
use crate::plan::Schedule;
use crate::{
    Action, Gate, HostName, Line, Note, PassReason, Phase, ReadyBy, RecoveryStatus, Standing, Time,
    TurnReason, WakeTarget,
};

mod gate;

/// A recovery that this host conducts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Conduct {
    /// When it began: the gates' limits count from here.
    pub(super) since: Time,
    /// The last reading was battery: when that is over, everything starts anew.
    is_dark: bool,
    /// Since when nobody may be woken, where that was allowed before.
    interrupted_at: Option<Time>,
    passed: BTreeSet<Gate>,
    hosts: BTreeMap<HostName, Waking>,
}

/// Where the recovery of one host stands.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Waking {
    /// Somebody must wake it. Else others need it: it has come, and is only waited for.
    is_owed: bool,
    /// When recovery turned to it.
    turn_at: Option<Time>,
    /// When the first packet went to it while it was off.
    packets_since: Option<Time>,
    last_packet: Option<Time>,
    was_off: bool,
    /// The `ready` probe has answered.
    has_answered: bool,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Outcome {
    Ready,
    PassedBy,
}

impl Conduct {
    /// Returns where it stands, for who looks.
    pub(super) fn status(&self) -> RecoveryStatus {
        let gates = [Gate::Mains, Gate::Charge, Gate::Exports];
        let is_turned_to = |waking: &Waking| {
            waking.is_owed && waking.turn_at.is_some() && waking.outcome.is_none()
        };
        let turned_to = self.hosts.iter().filter(|(_, waking)| is_turned_to(waking));
        RecoveryStatus {
            gate: gates.into_iter().find(|gate| !self.passed.contains(gate)),
            turned_to: turned_to.map(|(host, _)| host.clone()).collect(),
        }
    }
}

impl Coordinator {
    pub(super) fn conduct(&mut self) {
        let targets = self.targets();
        if targets.is_empty() || !self.is_conductor() {
            self.conduct = None;
            return;
        }
        self.start_conduct();
        self.join(targets);
        if !self.may_wake() {
            self.interrupt_turns();
            return;
        }
        self.resume_turns();
        if self.shutdown.as_ref().is_some_and(|open| open.standing == Standing::Recorded) {
            self.turn(TurnReason::OwnerSilent);
        }
        let may_send = self.pass_gates();
        let plan = self.plan_for_recovery();
        for host in plan.start_order() {
            if may_send {
                self.bring_up(host, &plan);
            } else {
                self.notice(host);
            }
        }
        self.end_if_whole();
    }

    /// Returns the hosts that recovery is about: the participants of a turned shutdown, and
    /// whoever is owed.
    fn targets(&self) -> BTreeSet<HostName> {
        let returning = self.shutdown.as_ref().filter(|open| open.standing == Standing::Returning);
        let mut targets = returning.map(|open| open.participants.clone()).unwrap_or_default();
        let is_refused = |debt: Debt| debt == Debt::Intended && !self.errs(Mistake::WakesIntended);
        let is_due = |debt: Debt| debt != Debt::GivenUp && !is_refused(debt);
        let due = self.owed.iter().filter(|(_, entry)| is_due(entry.debt));
        targets.extend(due.map(|(host, _)| host.clone()));
        targets.retain(|host| self.owed.get(host).is_none_or(|entry| !is_refused(entry.debt)));
        targets.remove(&self.me);
        if returning.is_some() && targets.is_empty() {
            // Alone in the shutdown: there is still a number to end.
            targets.insert(self.me.clone());
        }
        targets
    }

    /// The conductor is the owner; when its agent has been silent for twice `mains-stable`, the
    /// first host in file order that is up and has turned the shutdown or booted since.
    fn is_conductor(&mut self) -> bool {
        let standing = self.shutdown.as_ref().map(|open| open.standing);
        let is_leaving = self.begun.is_some() || self.os_stop.is_some();
        if is_leaving || standing == Some(Standing::Declared) {
            return false;
        }
        if self.is_owner() {
            return true;
        }
        let span = self.settings().mains_stable * 2;
        if self.errs(Mistake::NobodyStandsIn)
            || !self.owner_is_silent_for(span)
            || !self.is_first_up()
        {
            return false;
        }
        // Who has booted since with it turns it when it may wake, which may be without any reading:
        // with the owner's machine `upsd` is dead too. An order is not recovered.
        let has_order = self.shutdown.as_ref().is_some_and(super::Shutdown::has_order);
        standing != Some(Standing::Recorded) || !has_order
    }

    fn is_first_up(&self) -> bool {
        let mut before = self.cluster.hosts.iter().take_while(|host| host.name != self.me);
        !before.any(|host| self.is_heard_up(&host.name))
    }

    fn start_conduct(&mut self) {
        if self.conduct.is_some() {
            return;
        }
        // After a restart in the same boot the limits go on from where they were.
        let since = self.saved.conducting_since.unwrap_or(self.now);
        let number = self.shutdown.as_ref().map(|open| open.number);
        self.notes.push(Note::Conducting { number });
        self.conduct = Some(Conduct {
            since,
            is_dark: false,
            interrupted_at: None,
            passed: BTreeSet::new(),
            hosts: BTreeMap::new(),
        });
    }

    fn join(&mut self, targets: BTreeSet<HostName>) {
        let needed: BTreeSet<HostName> = targets
            .iter()
            .flat_map(|host| self.plan_now.needs_of(host))
            .filter(|need| !targets.contains(*need) && **need != self.me)
            .cloned()
            .collect();
        let has_come: Vec<HostName> =
            needed.iter().filter(|need| self.is_to_be_asked(need)).cloned().collect();
        let Some(conduct) = self.conduct.as_mut() else { return };
        conduct.hosts.retain(|host, waking| {
            waking.is_owed = targets.contains(host);
            waking.is_owed || needed.contains(host)
        });
        for host in targets {
            conduct.hosts.entry(host).or_default().is_owed = true;
        }
        for host in has_come {
            conduct.hosts.entry(host).or_default();
        }
    }

    /// Returns whether `host` has come, and its word alone does not say that it serves. A debt ends
    /// with that word.
    fn is_to_be_asked(&self, host: &HostName) -> bool {
        self.is_heard_up(host)
            && self.ready_by(host) != ReadyBy::Agent
            && !self.errs(Mistake::WakesAllAtOnce)
    }

    /// What is interrupted by the battery gets its whole time anew. What is interrupted by a gap in
    /// the readings goes on from where it was, or a flaky cable would keep a limit from ending.
    fn interrupt_turns(&mut self) {
        let now = self.now;
        let is_battery = self.own_line() == Line::Battery;
        let Some(conduct) = self.conduct.as_mut() else { return };
        conduct.interrupted_at.get_or_insert(now);
        if !is_battery {
            return;
        }
        for waking in conduct.hosts.values_mut().filter(|waking| waking.outcome.is_none()) {
            waking.turn_at = None;
            waking.packets_since = None;
            waking.last_packet = None;
        }
    }

    /// The time of an interruption counts for nobody.
    fn resume_turns(&mut self) {
        let now = self.now;
        let Some(conduct) = self.conduct.as_mut() else { return };
        let Some(since) = conduct.interrupted_at.take() else { return };
        let gap = now.since(since);
        for waking in conduct.hosts.values_mut().filter(|waking| waking.outcome.is_none()) {
            waking.turn_at = waking.turn_at.map(|at| at + gap);
            waking.packets_since = waking.packets_since.map(|at| at + gap);
        }
    }

    /// Takes note of a host that has come by itself: the gates hold back packets, and where nobody
    /// needs one, recovery ends without them.
    fn notice(&mut self, host: &HostName) {
        let Some(waking) = self.conduct.as_ref().and_then(|it| it.hosts.get(host)) else { return };
        let waking = waking.clone();
        if waking.outcome.is_none() && (*host == self.me || self.is_ready(host)) {
            self.conclude_waking(host, waking, None);
        }
    }

    /// Does what is due for one host, if recovery has come to it.
    fn bring_up(&mut self, host: &HostName, plan: &Schedule) {
        let Some(waking) = self.conduct.as_ref().and_then(|it| it.hosts.get(host)) else { return };
        let mut waking = waking.clone();
        if waking.turn_at.is_none() && !self.needs_are_served(host, plan) {
            return;
        }
        let turn_at = *waking.turn_at.get_or_insert(self.now);
        if *host == self.me || self.is_ready(host) {
            self.conclude_waking(host, waking, None);
            return;
        }
        let is_off = self.seems_off(host);
        waking.was_off |= is_off;
        let target = self.wake_target(host);
        if let Some(target) = target.clone().filter(|_| waking.is_owed && self.is_quiet(host)) {
            if is_off {
                waking.packets_since.get_or_insert(self.now);
            }
            self.send_packet(host, &mut waking, target);
        }
        let timeout = self.settings().wake_timeout;
        if waking.outcome.is_none() && self.now.since(turn_at) >= timeout {
            let why = match (target.is_some(), waking.last_packet.is_some() || !waking.is_owed) {
                (_, true) => PassReason::NotReady,
                (false, false) => PassReason::NoMac,
                (true, false) => PassReason::NotOff,
            };
            self.conclude_waking(host, waking.clone(), Some(why));
            waking.outcome = Some(Outcome::PassedBy);
        }
        self.wake_at(turn_at + timeout);
        self.give_up_if_done(host, &waking, target.is_some());
        if let Some(known) = self.conduct.as_mut().and_then(|it| it.hosts.get_mut(host)) {
            *known = waking;
        }
    }

    fn send_packet(&mut self, host: &HostName, waking: &mut Waking, target: WakeTarget) {
        let every = self.settings().wake_every;
        if waking.last_packet.is_some_and(|at| self.now.since(at) < every) {
            return;
        }
        waking.last_packet = Some(self.now);
        self.wake_at(self.now + every);
        self.notes.push(Note::Woken { host: host.clone() });
        if let Some(peer) = self.peers.get_mut(host) {
            peer.is_woken = true;
        }
        self.actions.push(Action::Wake { host: host.clone(), target });
    }

    /// Strikes the debt after a full `wake-timeout` of packets while off. A host that this agent
    /// never heard may have been going down without a network at first: it gets its stop time
    /// more.
    fn give_up_if_done(&mut self, host: &HostName, waking: &Waking, has_target: bool) {
        let timeout = self.settings().wake_timeout;
        let is_known = self.peers.get(host).is_some_and(|peer| peer.is_known);
        let stop = super::stop_time_of(self.shutdown.as_ref(), &self.plan_now, host);
        let limit = if is_known { timeout } else { timeout + stop };
        let by_packets = has_target && !self.errs(Mistake::GivesUpByClock);
        let since = if by_packets { waking.packets_since } else { waking.turn_at };
        let is_done = since.is_some_and(|since| self.now.since(since) >= limit);
        if !is_done || waking.outcome.is_none() {
            return;
        }
        if let Some(entry) = self.owed.get_mut(host).filter(|entry| entry.debt == Debt::Due) {
            entry.debt = Debt::GivenUp;
        }
    }

    fn conclude_waking(&mut self, host: &HostName, mut waking: Waking, why: Option<PassReason>) {
        let is_new = match (why, waking.outcome) {
            (None, Some(Outcome::Ready)) | (Some(_), Some(_)) => false,
            (None, Some(Outcome::PassedBy)) | (_, None) => true,
        };
        waking.outcome = Some(match why {
            None => Outcome::Ready,
            Some(_) => Outcome::PassedBy,
        });
        if is_new && *host != self.me {
            let host = host.clone();
            self.notes.push(match why {
                None => Note::Ready { host },
                Some(why) => Note::PassedBy { host, why },
            });
        }
        if let Some(known) = self.conduct.as_mut().and_then(|it| it.hosts.get_mut(host)) {
            *known = waking;
        }
    }

    /// Returns whether everything that `host` needs serves, or its limit has passed.
    fn needs_are_served(&self, host: &HostName, plan: &Schedule) -> bool {
        let Some(conduct) = &self.conduct else { return false };
        self.errs(Mistake::WakesAllAtOnce)
            || plan.needs_of(host).iter().all(|need| {
                *need == self.me
                    || conduct.hosts.get(need).is_none_or(|waking| self.is_done(waking))
            })
    }

    /// Returns whether recovery goes on past a host: it serves, or was reported.
    fn is_done(&self, waking: &Waking) -> bool {
        match waking.outcome {
            Some(Outcome::Ready) => true,
            Some(Outcome::PassedBy) => !self.errs(Mistake::WaitsForReported),
            None => false,
        }
    }

    /// Returns whether `host` serves, in the eyes of the conductor.
    ///
    /// A host that has begun goes through with it: `up` is heard from it only in another boot.
    pub(super) fn is_ready(&self, host: &HostName) -> bool {
        let Some(peer) = self.peers.get(host) else { return false };
        let is_leaving = peer.is_leaving() && peer.off_since.is_none();
        let is_connected = peer.is_connected(self.now, self.settings());
        if is_connected && peer.phase == Some(Phase::Waiting) {
            // It has not heard of the turn, and may begin at this very moment.
            return false;
        }
        match self.ready_by(host) {
            ReadyBy::Agent => self.is_heard_up(host),
            ReadyBy::Probe(_) | ReadyBy::Exports(_) => {
                let waking = self.conduct.as_ref().and_then(|it| it.hosts.get(host));
                waking.is_some_and(|waking| waking.has_answered && (!is_leaving || waking.was_off))
            }
        }
    }

    pub(super) fn on_ready_probed(&mut self, host: &HostName, is_ready: bool) {
        if let Some(waking) = self.conduct.as_mut().and_then(|it| it.hosts.get_mut(host)) {
            waking.has_answered = is_ready;
        }
    }

    /// Returns whether packets to `host` make sense: nothing is heard of it. Whether it is off may
    /// be impossible to prove, and a packet to a host that runs does no harm.
    fn is_quiet(&self, host: &HostName) -> bool {
        let settings = self.settings();
        let span = settings.built_in.off_silence;
        let is_quiet =
            self.peers.get(host).is_none_or(|peer| peer.is_quiet_for(self.now, span, settings));
        is_quiet && self.now.since(self.started_at) >= span
    }

    /// Returns whether `host` is off, or silent for as long as nobody who runs would be: only then
    /// its packets count. Where ARP answers on, that is as long as its stop may take.
    fn seems_off(&self, host: &HostName) -> bool {
        let Some(peer) = self.peers.get(host) else { return false };
        if peer.off_since.is_some() {
            return true;
        }
        let settings = self.settings();
        let span = settings.built_in.off_silence;
        let stop = super::stop_time_of(self.shutdown.as_ref(), &self.plan_now, host);
        self.now.since(self.started_at) >= span
            && (peer.is_silent_for(self.now, span, settings)
                || peer.is_lifeless_for(self.now, span + stop, settings))
    }

    /// MAC, address and `ready` come from the current file, else from the plan.
    fn wake_target(&self, host: &HostName) -> Option<WakeTarget> {
        if let Some(host) = self.cluster.host(host) {
            return host.wake.clone();
        }
        self.shutdown.as_ref()?.plan.hosts.get(host)?.wake.clone()
    }

    fn ready_by(&self, host: &HostName) -> ReadyBy {
        if let Some(host) = self.cluster.host(host) {
            return host.ready.clone();
        }
        let planned = self.shutdown.as_ref().and_then(|open| open.plan.hosts.get(host));
        planned.map_or(ReadyBy::Agent, |planned| planned.ready.clone())
    }

    /// The current file's plan, with the hosts that only the shutdown's plan still knows.
    fn plan_for_recovery(&self) -> Schedule {
        let mut plan = self.plan_now.clone();
        if let Some(open) = &self.shutdown {
            plan.unite(&open.plan);
        }
        plan
    }

    /// Recovery ends when each participant is ready or reported.
    fn end_if_whole(&mut self) {
        let Some(conduct) = &self.conduct else { return };
        let Some(open) = &self.shutdown else { return };
        let is_whole = open
            .participants
            .iter()
            .filter_map(|host| conduct.hosts.get(host))
            .all(|waking| self.is_done(waking));
        if is_whole && open.standing == Standing::Returning {
            self.end_shutdown();
        }
    }

    /// Returns the hosts whose readiness the conductor asks about.
    pub(super) fn asked_ready(&self) -> BTreeSet<(HostName, ReadyBy)> {
        let Some(conduct) = &self.conduct else { return BTreeSet::new() };
        conduct
            .hosts
            .keys()
            .filter(|host| **host != self.me)
            .map(|host| (host.clone(), self.ready_by(host)))
            .filter(|(_, by)| *by != ReadyBy::Agent)
            .collect()
    }
}
