//! Whose declarations to follow: numbers, merging, and what counts after a boot.

use std::collections::{BTreeMap, BTreeSet};

use super::Coordinator;
use crate::mistake::Mistake;
use crate::owed::{Debt, unite};
use crate::shutdown::{Shutdown, is_blind};
use crate::{
    Cause, HostName, Note, Owed, Reason, Standing, StateMessage, Time, ToldShutdown, Trigger,
    TurnReason,
};

impl Coordinator {
    /// Declares a shutdown, or adds a reason to the one that is declared.
    pub(super) fn declare(
        &mut self,
        trigger: Trigger,
        cause: Cause,
        end: Option<Time>,
        evidence: String,
    ) {
        let reason = Reason { by: self.me.clone(), trigger, cause, evidence, then_wake: false };
        self.add_reason(reason, end);
    }

    /// Declares by order.
    pub(super) fn declare_order(&mut self, trigger: Trigger, evidence: String, then_wake: bool) {
        let cause = Cause::Order;
        let reason = Reason { by: self.me.clone(), trigger, cause, evidence, then_wake };
        self.add_reason(reason, None);
    }

    fn add_reason(&mut self, reason: Reason, end: Option<Time>) {
        let is_open =
            self.shutdown.as_ref().is_some_and(|open| open.standing == Standing::Declared);
        let is_first = self.errs(Mistake::NumberPerTrigger) && !self.has_reason_of(reason.trigger);
        if !is_open || is_first {
            self.open_next();
        }
        let now = self.now;
        let Some(shutdown) = self.shutdown.as_mut() else { return };
        if let Some(end) = end {
            // The first assumption stands; a smaller one of another trigger replaces it.
            let known = shutdown.assumed_end;
            shutdown.assumed_end = Some(known.map_or(end, |known| known.min(end)));
        }
        let is_known = shutdown
            .reasons
            .iter()
            .any(|known| known.by == reason.by && known.trigger == reason.trigger);
        if is_known {
            return;
        }
        self.notes.push(Note::Declared {
            number: shutdown.number,
            trigger: reason.trigger,
            cause: reason.cause,
            evidence: reason.evidence.clone(),
            time_left: end.map(|end| now.until(end)),
        });
        shutdown.reasons.insert(reason);
        self.judge_fit();
    }

    fn has_reason_of(&self, trigger: Trigger) -> bool {
        let open = self.shutdown.as_ref();
        open.is_some_and(|open| open.reasons.iter().any(|known| known.trigger == trigger))
    }

    /// Takes the next number; who took part in a shutdown that has not ended takes part in it.
    fn open_next(&mut self) {
        let superseded = self.supersede();
        self.highest = self.highest.max(self.ended) + 1;
        if self.errs(Mistake::DeclaresById) {
            let names = self.cluster.names();
            self.highest += names.iter().filter(|name| **name < self.me).count() as u64;
        }
        self.renew_plan();
        let mut opened = Shutdown {
            number: self.highest,
            standing: Standing::Declared,
            reasons: BTreeSet::new(),
            plan: self.plan_now.clone(),
            planner: self.me.clone(),
            participants: self.participants_now(),
            assumed_end: None,
            carried_ends: BTreeMap::new(),
            latched_at: self.now,
            told_end: None,
            left_at_latch: None,
            is_compressed: false,
        };
        if let Some(superseded) = &superseded {
            opened.inherit(superseded);
            if self.errs(Mistake::NumberPerTrigger) {
                opened.reasons.clone_from(&superseded.reasons);
            }
        }
        self.shutdown = Some(opened);
        self.on_latched();
    }

    fn supersede(&mut self) -> Option<Shutdown> {
        let superseded = self.shutdown.take();
        if self.errs(Mistake::ForgetsSuperseded) {
            self.owed.retain(|_, entry| entry.debt == Debt::Intended);
            return None;
        }
        superseded
    }

    /// Returns all hosts that are not off by intent, nor leaving for that or for a reboot.
    fn participants_now(&self) -> BTreeSet<HostName> {
        self.cluster.names().into_iter().filter(|name| self.participates(name)).collect()
    }

    /// Returns whether `host`, one of the file, would take part in a shutdown declared now.
    pub(super) fn participates(&self, host: &HostName) -> bool {
        let is_left_out = self.errs(Mistake::ForgetsSuperseded)
            && self.peers.get(host).is_some_and(|it| !it.is_connected(self.now, self.settings()));
        !is_left_out && !self.is_intended(host) && !self.leaves_by_plan(host)
    }

    /// Returns whether `host` is off by intent.
    pub(super) fn is_intended(&self, host: &HostName) -> bool {
        self.owed.get(host).is_some_and(|entry| entry.debt == Debt::Intended)
    }

    /// Takes up what a peer tells of numbers and of its open shutdown.
    pub(super) fn on_told(&mut self, message: &StateMessage) {
        self.highest = self.highest.max(message.highest).max(message.ended);
        let falls = self.errs(Mistake::EndedFalls) && message.ended < self.ended;
        if message.ended > self.ended || falls {
            self.on_ended_heard(message.ended);
        }
        let Some(told) = &message.shutdown else {
            self.forget_blind(&message.host);
            return;
        };
        self.highest = self.highest.max(told.number);
        if told.number <= self.ended && !self.errs(Mistake::ActsOnEnded) {
            return;
        }
        match self.shutdown.as_ref().map(|open| open.number) {
            Some(open) if told.number < open && !self.errs(Mistake::LastHeardWins) => {
                self.inherit(&told.participants);
            }
            Some(open) if told.number == open => self.on_same_number(&message.host, told),
            Some(_) | None => self.on_higher_number(&message.host, told),
        }
    }

    fn on_ended_heard(&mut self, number: u64) {
        self.ended = number;
        if self.shutdown.as_ref().is_some_and(|open| open.number <= number) {
            self.notes.push(Note::EndedHeard { number });
            self.shutdown = None;
            self.re_arm();
        }
    }

    fn on_same_number(&mut self, from: &HostName, told: &ToldShutdown) {
        let now = self.now;
        let may_latch = self.may_latch_again();
        let Some(open) = self.shutdown.as_mut() else { return };
        open.unite(told);
        match told.time_left.filter(|_| told.standing == Standing::Declared) {
            Some(left) => open.carried_ends.insert(from.clone(), now + left),
            None => open.carried_ends.remove(from),
        };
        let participants = open.participants.clone();
        match (open.standing, told.standing) {
            (Standing::Recorded | Standing::Declared, Standing::Returning) => {
                self.turn_as_heard();
            }
            (Standing::Recorded, Standing::Declared) if may_latch && !is_blind(told) => {
                open.standing = Standing::Declared;
                self.notes.push(Note::Latched { number: told.number, from: from.clone() });
                self.on_latched();
            }
            (Standing::Recorded | Standing::Declared, Standing::Declared | Standing::Recorded)
            | (Standing::Returning, _) => {}
        }
        self.judge_fit();
        self.owe(&participants);
    }

    fn on_higher_number(&mut self, from: &HostName, told: &ToldShutdown) {
        match told.standing {
            Standing::Declared
                if is_blind(told)
                    && !self.is_blind()
                    && !self.errs(Mistake::BlindLatchedBySeeing) =>
            {
                self.on_blind_heard(from, told);
            }
            Standing::Declared => {
                self.take_over(told, Standing::Declared);
                self.notes.push(Note::Latched { number: told.number, from: from.clone() });
                let now = self.now;
                if let (Some(open), Some(left)) = (self.shutdown.as_mut(), told.time_left) {
                    open.carried_ends.insert(from.clone(), now + left);
                }
                self.on_latched();
                self.judge_fit();
            }
            Standing::Returning => {
                self.take_over(told, Standing::Declared);
                self.turn_as_heard();
            }
            // Somebody has booted with it. Only the owner can bring it to an end: its own record
            // was lost, or it never followed that declaration. It does what it would have done.
            Standing::Recorded => {
                if self.is_owner() && self.shutdown.is_none() {
                    self.take_over(told, Standing::Recorded);
                    self.take_up_recorded();
                }
            }
        }
    }

    /// Makes the told shutdown the open one; it supersedes any lower number.
    fn take_over(&mut self, told: &ToldShutdown, standing: Standing) {
        let superseded = self.supersede();
        let mut open = Shutdown::from_told(self.now, told, standing);
        if let Some(superseded) = &superseded {
            open.inherit(superseded);
        }
        if !open.plan.hosts.contains_key(&self.me) {
            open.plan.unite(&self.plan_now);
        }
        let participants = open.participants.clone();
        self.shutdown = Some(open);
        self.owe(&participants);
    }

    /// A declaration by a host that sees nothing: this one sees, so it does not follow. The
    /// declarer is treated as leaving, and somebody must wake it.
    fn on_blind_heard(&mut self, from: &HostName, told: &ToldShutdown) {
        let heard = (told.number, from.clone());
        if self.blind_heard.as_ref() != Some(&heard) {
            self.notes.push(Note::BlindHeard { number: told.number, by: from.clone() });
            self.blind_heard = Some(heard);
        }
        self.owe(&BTreeSet::from([from.clone()]));
        // The declarer has not begun as long as it says so; on stable mains it is told to stay.
        if self.is_owner() && self.shutdown.is_none() && self.has_stable_mains() {
            self.take_over(told, Standing::Declared);
            self.turn(TurnReason::MainsStable);
        }
    }

    fn forget_blind(&mut self, host: &HostName) {
        if self.blind_heard.as_ref().is_some_and(|(_, by)| by == host) {
            self.blind_heard = None;
        }
    }

    fn inherit(&mut self, participants: &BTreeSet<HostName>) {
        if self.errs(Mistake::ForgetsSuperseded) {
            return;
        }
        if let Some(open) = self.shutdown.as_mut() {
            open.participants.extend(participants.iter().cloned());
        }
        self.owe(participants);
    }

    /// What follows from having latched, whoever declared.
    fn on_latched(&mut self) {
        self.conduct = None;
        self.forget_released();
        self.asked_about.clear();
        self.blind_heard = None;
        let is_leaving = self.leaves_by_plan(&self.me);
        let Some(open) = self.shutdown.as_mut() else { return };
        if !is_leaving {
            // Whoever declared may not have known that this host is back from a planned stop.
            open.participants.insert(self.me.clone());
        }
        let participants = open.participants.clone();
        self.owe(&participants);
    }

    /// The participants of a shutdown are owed a wake-up from the moment it is latched.
    fn owe(&mut self, hosts: &BTreeSet<HostName>) {
        let number = self.shutdown.as_ref().map_or(self.highest, |open| open.number);
        for host in hosts {
            if self.owed.get(host).is_some_and(|known| known.number >= number) {
                continue;
            }
            let entry = Owed { boot: self.boot_of(host), number, debt: Debt::Due };
            unite(&mut self.owed, host, &entry);
        }
    }

    /// A host that booted latches a recorded shutdown again after its first own reading, or 15 s
    /// after its start.
    fn may_latch_again(&self) -> bool {
        let waited = self.now.since(self.started_at) >= self.settings().built_in.boot_grace;
        self.gauge.reading().is_some() || waited
    }
}
