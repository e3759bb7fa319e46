//! When to stop: the pause, the release of dependents, the latest start, and the call itself.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Coordinator;
use crate::mistake::Mistake;
use crate::owed::{Debt, unite};
use crate::peer::Peer;
use crate::{
    Action, BeginReason, Begun, Call, Cause, ClientSight, End, HostName, Line, Note, OffProof,
    Owed, Phase, ReadyBy, ReleaseProof, Standing, Time,
};

/// The call to one's own OS, as far as no journal needs to know of it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Calling {
    /// The tries so far.
    attempt: u32,
    /// How many of them failed for certain, so that nothing is left of them.
    refused: u32,
    /// A try is under way.
    is_under_way: bool,
    /// The last try failed at this moment.
    failed_at: Option<Time>,
    /// A run of the agent before this one has begun the stop, or may have.
    pub(super) is_resumed: bool,
    /// When a reboot out of the hold was last asked for.
    rebooted_at: Option<Time>,
    /// The OS took the call long ago and still runs: that was said.
    is_overdue_told: bool,
    /// How long the call that is under way may wait for foreign clients.
    pub(super) foreign_wait: Duration,
}

impl Calling {
    /// Returns that of a stop that begins, or is taken back: what a lost journal may have known of
    /// a call stays unknown.
    pub(super) fn anew(&self) -> Self {
        Self { is_resumed: self.is_resumed, ..Self::default() }
    }
}

impl Coordinator {
    /// Returns the phase of this host.
    pub fn phase(&self) -> Phase {
        match (&self.begun, &self.shutdown) {
            (Some(begun), _) if begun.is_held => Phase::Holding,
            _ if self.is_halting => Phase::Halting,
            (Some(_), _) => Phase::Stopping,
            (None, Some(open)) if open.standing == Standing::Declared => Phase::Waiting,
            (None, _) => Phase::Up,
        }
    }

    pub(super) fn consider_begin(&mut self) {
        if self.begun.is_some() {
            self.carry_on_stopping();
            return;
        }
        let is_leaving = self.os_stop.is_some();
        let is_declared = self.shutdown.as_ref().is_some_and(|open| {
            open.standing == Standing::Declared || self.errs(Mistake::BeginsAlthoughTurned)
        });
        let is_paused = is_declared && !is_leaving && self.must_pause();
        if is_paused != self.is_paused {
            self.is_paused = is_paused;
            self.notes.push(if is_paused { Note::Paused } else { Note::Resumed });
        }
        if !is_declared {
            self.is_paused = false;
            return;
        }
        self.intend_leavers();
        if is_leaving {
            self.begin_by_other();
            return;
        }
        if is_paused {
            return;
        }
        let must_look_first = self.must_look_first();
        if let Some(why) = self.reason_to_begin()
            && !must_look_first
        {
            self.begin(why);
        }
    }

    /// A host that has not begun does not begin for a reason that the battery gave, while a fresh
    /// reading of its own says mains; without one, while the owner's does.
    fn must_pause(&self) -> bool {
        let has_order = self.shutdown.as_ref().is_some_and(super::Shutdown::has_order);
        !has_order && self.line_gone_by() == Line::Mains && !self.errs(Mistake::NoPause)
    }

    /// An agent that has just started has not read the UPS yet: the mains may be back since the
    /// journal was written. It looks first, for as long as a host that booted does, but no longer
    /// than until the latest start; where that has passed while no agent ran, for three looks: a
    /// machine that outlives its battery is on mains.
    fn must_look_first(&mut self) -> bool {
        let has_order = self.shutdown.as_ref().is_some_and(super::Shutdown::has_order);
        if has_order || self.line_gone_by() != Line::Unknown || self.errs(Mistake::BeginsUnread) {
            return false;
        }
        let limits = &self.settings().built_in;
        let (least, most) = (self.started_at + limits.fresh, self.started_at + limits.boot_grace);
        let until = self.latest_start().map_or(most, |latest| latest.max(least).min(most));
        self.wake_at(until);
        self.now < until
    }

    fn reason_to_begin(&mut self) -> Option<BeginReason> {
        let end = self.own_end();
        let dependents = self.dependents();
        if dependents.is_empty() || self.errs(Mistake::BeginsAtOnce) {
            return Some(BeginReason::NoDependents);
        }
        let held: BTreeSet<HostName> =
            dependents.into_iter().filter(|host| !self.lets_go(host, end)).collect();
        if held.is_empty() {
            return Some(match end {
                End::Cut => BeginReason::AllOff,
                End::Off | End::Hold => BeginReason::Released,
            });
        }
        match self.latest_start().filter(|_| !self.errs(Mistake::WaitsForRelease)) {
            Some(latest) if latest <= self.now => Some(BeginReason::LatestStart),
            Some(latest) => {
                self.wake_at(latest);
                None
            }
            None => {
                self.ask_about(&held);
                None
            }
        }
    }

    /// Returns how this host ends. An order never cuts and never holds.
    fn own_end(&self) -> End {
        let is_order = self.shutdown.as_ref().is_some_and(|open| open.cause() == Cause::Order);
        if !self.is_owner() || is_order {
            return End::Off;
        }
        let cuts = self.is_return_promised() || self.errs(Mistake::CutsUnpromised);
        if cuts { End::Cut } else { End::Hold }
    }

    /// Returns the dependents that this host waits for: those that take part, and whoever of the
    /// others is there all the same, or leaves by a planned stop. Who was off by intent takes no
    /// part.
    fn dependents(&self) -> BTreeSet<HostName> {
        let Some(open) = &self.shutdown else { return BTreeSet::new() };
        let mut dependents = open.plan.dependents(&self.me);
        if self.errs(Mistake::OwnerIgnoresFed) {
            dependents.retain(|host| open.plan.needs_all(host).contains(&self.me));
        }
        let cuts = self.own_end() == End::Cut;
        dependents.retain(|host| {
            let is_leaving = self.is_still_leaving(host) || cuts && self.may_be_booting(host);
            let is_there = self
                .peers
                .get(host)
                .is_some_and(|peer| peer.is_connected(self.now, self.settings()));
            is_there || is_leaving || open.participants.contains(host)
        });
        dependents
    }

    fn lets_go(&mut self, host: &HostName, end: End) -> bool {
        if self.errs(Mistake::KeepsReleased) && self.released.contains(host) {
            return true;
        }
        let proof = self.release_of(host);
        let is_enough = match end {
            End::Cut if !self.errs(Mistake::CutsWhenReleased) => self.went_off(host),
            End::Cut | End::Off | End::Hold => proof.is_some(),
        };
        if let Some(how) = proof {
            if self.released.insert(host.clone()) {
                self.notes.push(Note::Released { host: host.clone(), how });
            }
        } else {
            self.released.remove(host);
        }
        is_enough
    }

    /// Returns whether a host is off after it had said that it stops, so that the power may be cut.
    /// One that only fell silent may run behind a loose cable; one that fell silent before it said
    /// `halting`, or whom no look of this host has reached since it stops, may be stopping there
    /// still, for as long as its stop takes by the plan; and one that was woken since, or went down
    /// to boot again, may run again.
    fn went_off(&self, host: &HostName) -> bool {
        let settings = self.settings();
        let stop = super::stop_time_of(self.shutdown.as_ref(), &self.plan_now, host);
        self.peers.get(host).is_some_and(|peer| {
            let is_done = settings.off_proof == OffProof::Session
                || peer.phase == Some(Phase::Halting) && peer.has_answered
                || peer.leaving_since.is_some_and(|since| self.now.since(since) >= stop);
            !peer.is_woken
                && !self.may_be_booting(host)
                && self.is_off_still(host, peer)
                && peer.is_leaving()
                && is_done
        })
    }

    /// Returns whether a host is off, and was found so in this shutdown: one that was off before
    /// may have been woken since, and who cannot look does not know.
    fn is_off_still(&self, host: &HostName, peer: &Peer) -> bool {
        let settings = self.settings();
        let is_found = self.released.contains(host)
            || peer.is_silent_for(self.now, settings.built_in.off_silence, settings);
        peer.off_since.is_some() && is_found
    }

    /// Returns the proof that a dependent can no longer be hurt, if there is one.
    fn release_of(&self, host: &HostName) -> Option<ReleaseProof> {
        let settings = self.settings();
        let peer = self.peers.get(host)?;
        if peer.off_since.is_some() {
            return self.is_off_still(host, peer).then_some(ReleaseProof::Off);
        }
        if self.errs(Mistake::NoSessionIsAbsent) && !peer.is_connected(self.now, settings) {
            return Some(ReleaseProof::Absent);
        }
        let holds_nothing = match &peer.mounts {
            Some(mounts) => !mounts.contains(&self.me),
            None => self.errs(Mistake::UnreadMountsAreNone),
        };
        let is_halting = peer.phase == Some(Phase::Halting)
            || self.errs(Mistake::ReleasedByStopping) && peer.phase == Some(Phase::Stopping);
        let is_bare = holds_nothing || self.sees_nothing_of(host);
        if is_halting && (is_bare || self.errs(Mistake::HaltingIsEnough)) {
            return Some(ReleaseProof::Halting);
        }
        let span = match settings.off_proof {
            OffProof::Network => settings.built_in.absent_silence,
            OffProof::Session => settings.built_in.off_silence,
        };
        let is_absent = peer.is_known
            && peer.is_silent_for(self.now, span, settings)
            && self.sees_nothing_of(host);
        is_absent.then_some(ReleaseProof::Absent)
    }

    /// Returns whether this host's own eyes see nothing of `host`. What cannot be read counts as
    /// still there; a host without exports has nothing that could be seen. A client that has not
    /// renewed for a lease is what is left of a host that said `stopping`; of any other it may be
    /// that of a machine behind a loose cable.
    fn sees_nothing_of(&self, host: &HostName) -> bool {
        let serves =
            self.cluster.host(&self.me).is_some_and(|me| matches!(me.ready, ReadyBy::Exports(_)));
        let limit = self.settings().built_in.frame_window;
        match self.clients.get(host) {
            Some((sight, at)) => {
                let has_left = || {
                    let phase = self.peers.get(host).and_then(|peer| peer.phase);
                    phase.is_some_and(Phase::has_begun)
                };
                let is_gone = match sight {
                    ClientSight::Nothing => true,
                    ClientSight::Stale => has_left(),
                    ClientSight::Present => false,
                };
                is_gone && self.now.since(*at) <= limit
            }
            None => !serves,
        }
    }

    /// Forgets who was released: for another number everybody is looked at anew.
    pub(super) fn forget_released(&mut self) {
        if !self.errs(Mistake::KeepsReleased) {
            self.released.clear();
        }
    }

    /// Without a battery there is no latest start: who is never released is reported.
    fn ask_about(&mut self, held: &BTreeSet<HostName>) {
        let Some(open) = &self.shutdown else { return };
        let since = open.latched_at;
        let longest = open.plan.hosts.values().map(|host| host.stop).max().unwrap_or_default();
        let at = since + longest + self.settings().built_in.absent_silence;
        if at > self.now {
            self.wake_at(at);
            return;
        }
        for host in held {
            if self.asked_about.insert(host.clone()) {
                self.notes.push(Note::AskedAbout { host: host.clone() });
            }
        }
    }

    fn begin(&mut self, why: BeginReason) {
        let Some(open) = &self.shutdown else { return };
        let end = self.own_end();
        self.begun = Some(Begun {
            number: open.number,
            at: self.now,
            end,
            is_accepted: false,
            is_held: false,
            is_by_other: false,
            foreign_sent_at: None,
        });
        self.calling = self.calling.anew();
        self.notes.push(Note::Began { end, why });
        self.call();
    }

    /// Calls the OS. The record of it is in the same step and so durable before.
    fn call(&mut self) {
        self.give_up_cutting();
        let Some(begun) = self.begun.as_mut() else { return };
        begun.is_by_other = false;
        let (number, end, sent_at) = (begun.number, begun.end, begun.foreign_sent_at);
        let cause = self.shutdown.as_ref().map_or(Cause::Battery, super::Shutdown::cause);
        self.calling.attempt += 1;
        self.calling.is_under_way = true;
        self.calling.failed_at = None;
        let foreign = self.foreign_tier(sent_at);
        self.calling.foreign_wait = foreign.wait;
        let call = Call {
            number,
            cause,
            end,
            // Always: a run before this one may have called while its disk took no records, and
            // that there was one is known to nobody. `start` counts through all boots.
            ask_first: !self.errs(Mistake::CallsAgain),
            is_resumed: self.calling.is_resumed && self.calling.attempt == 1,
            attempt: self.calling.attempt,
            cut_after: self.cut_after(end),
            foreign,
        };
        self.actions.push(Action::Stop(call));
    }

    /// A cut that cannot be called leaves the battery to end a machine with everything mounted: the
    /// hold is safe, whatever the UPS does afterwards. A call that nobody answered is not one of
    /// these: it may still power the machine off, which without a cut nothing would start again.
    fn give_up_cutting(&mut self) {
        let Some(begun) = self.begun.as_mut() else { return };
        if begun.end != End::Cut || self.calling.refused < CUT_TRIES {
            return;
        }
        begun.end = End::Hold;
        self.warn(format!(
            "the cut could not be called {CUT_TRIES} times: this host holds instead; the reasons \
             are in the log: mend what it names (its `cut` command, or logind and \
             `curfew-hand.socket`)"
        ));
    }

    /// With everybody off the cut may come as soon as the owner is down; otherwise the others get
    /// what the owner's own stop takes.
    pub(super) fn cut_after(&self, end: End) -> Duration {
        let Some(open) = self.shutdown.as_ref().filter(|_| end == End::Cut) else {
            return Duration::ZERO;
        };
        let all_off = self.dependents().iter().all(|host| self.went_off(host));
        if all_off {
            return Duration::ZERO;
        }
        open.plan.hosts.get(&self.me).map_or(Duration::ZERO, |host| host.stop)
    }

    fn carry_on_stopping(&mut self) {
        let again = self.settings().built_in.call_again;
        let Some(begun) = self.begun.clone() else { return };
        if begun.is_held {
            self.leave_hold();
            return;
        }
        if begun.is_accepted {
            self.watch_accepted(&begun);
            return;
        }
        if self.calling.is_under_way {
            self.hurry();
            return;
        }
        let at = self.calling.failed_at.map_or(self.now, |at| at + again);
        if at <= self.now {
            self.call();
        } else {
            self.wake_at(at);
        }
    }

    /// The hold is left only by a reboot, when the mains are stable.
    fn leave_hold(&mut self) {
        if !self.has_stable_mains() {
            return;
        }
        let again = self.settings().built_in.call_again;
        let is_due = self.calling.rebooted_at.is_none_or(|at| self.now.since(at) >= again);
        if is_due {
            self.calling.rebooted_at = Some(self.now);
            self.actions.push(Action::Reboot);
        }
    }

    fn watch_accepted(&mut self, begun: &Begun) {
        let stop = super::stop_time_of(self.shutdown.as_ref(), &self.plan_now, &self.me);
        let late = begun.at + stop * 2;
        if self.calling.is_overdue_told || self.is_halting {
            return;
        }
        if late > self.now {
            self.wake_at(late);
            return;
        }
        self.calling.is_overdue_told = true;
        self.warn(format!(
            "the stop call was accepted {} s ago and the machine still runs: look at its console; \
             it is not called again, since that would start the stop over",
            self.now.since(begun.at).as_secs()
        ));
    }

    /// Returns whether the OS has taken the call, or may just be taking it. A host whose calls are
    /// refused does not halt, whoever ends its agent.
    pub(super) fn has_called(&self) -> bool {
        self.begun.as_ref().is_some_and(|it| it.is_accepted) || self.calling.is_under_way
    }

    pub(super) fn on_stop_accepted(&mut self) {
        self.calling.is_under_way = false;
        if let Some(begun) = self.begun.as_mut().filter(|begun| !begun.is_accepted) {
            begun.is_accepted = true;
            self.notes.push(Note::StopAccepted);
        }
    }

    pub(super) fn on_stop_failed(&mut self, why: String) {
        self.calling.refused += 1;
        self.on_stop_unanswered(why);
    }

    pub(super) fn on_stop_unanswered(&mut self, why: String) {
        self.calling.is_under_way = false;
        self.calling.failed_at = Some(self.now);
        self.notes.push(Note::StopFailed { why, attempt: self.calling.attempt });
        // What the battery may end with everything mounted has at least nothing unwritten.
        if self.begun.as_ref().is_some_and(|begun| begun.end == End::Hold) {
            self.actions.push(Action::Sync);
        }
    }

    pub(super) fn on_hold_entered(&mut self, took: Option<Duration>) {
        self.on_stop_accepted();
        let Some(begun) = self.begun.as_mut() else { return };
        if begun.is_held {
            return;
        }
        begun.is_held = true;
        let me = self.me.clone();
        let touches_power = self.cluster.host(&me).is_some_and(|host| host.touches_power);
        // Nobody measured a hold that stood already, or that a run before this one began.
        if let Some(took) = took.filter(|_| touches_power && !self.calling.is_resumed) {
            self.record_stop_time(me, took);
        }
    }

    /// Hosts that an order turns off are off by intent.
    fn intend_leavers(&mut self) {
        let Some(open) = self.shutdown.as_ref().filter(|open| open.has_order()) else { return };
        let number = open.number;
        let leaving: Vec<HostName> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.phase.is_some_and(Phase::has_begun))
            .map(|(name, _)| name.clone())
            .collect();
        for host in leaving {
            let entry = Owed { boot: self.boot_of(&host), number, debt: Debt::Intended };
            unite(&mut self.owed, &host, &entry);
        }
    }

    /// All participants of a recorded order are off by intent.
    pub(super) fn intend_participants(&mut self) {
        let Some(open) = &self.shutdown else { return };
        let number = open.number;
        for host in open.participants.clone() {
            let boot = self.owed.get(&host).and_then(|known| known.boot.clone());
            let entry = Owed { boot, number, debt: Debt::Intended };
            unite(&mut self.owed, &host, &entry);
        }
    }
}

/// How often a cut is tried before the hold: twice covers a passing fault, in 5 s.
const CUT_TRIES: u32 = 2;
