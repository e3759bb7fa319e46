//! When to come back: stable mains, a call-off, and what ends a shutdown.

use super::Coordinator;
use super::trigger::Triggers;
use crate::mistake::Mistake;
use crate::owed::{Debt, unite};
use crate::{HostName, Line, Note, Owed, Standing, TurnReason};

impl Coordinator {
    pub(super) fn consider_turn(&mut self) {
        let is_declared =
            self.shutdown.as_ref().is_some_and(|open| open.standing == Standing::Declared);
        if !is_declared || self.begun.is_some() {
            return;
        }
        // An order ends only by an operator.
        if self.shutdown.as_ref().is_some_and(super::Shutdown::has_order) {
            return;
        }
        if self.is_owner() {
            let is_flicker = self.errs(Mistake::TurnsAtFirstMains);
            if self.has_stable_mains() || is_flicker && self.own_line() == Line::Mains {
                self.turn(TurnReason::MainsStable);
            }
            return;
        }
        if self.errs(Mistake::NobodyStandsIn) {
            return;
        }
        let span = self.settings().mains_stable * 2;
        if self.has_mains_for(span) && self.owner_is_silent_for(span) {
            self.turn(TurnReason::OwnerSilent);
        }
    }

    /// Returns whether this host itself has read mains for `mains-stable`.
    pub(super) fn has_stable_mains(&mut self) -> bool {
        self.has_mains_for(self.settings().mains_stable)
    }

    pub(super) fn has_mains_for(&mut self, span: std::time::Duration) -> bool {
        if self.own_line() != Line::Mains {
            return false;
        }
        let limits = &self.cluster.settings.built_in;
        let Some(since) = self.gauge.mains_since(self.now, limits) else { return false };
        self.wake_at(since + span);
        self.now.since(since) >= span
    }

    /// Returns whether nothing was heard of the owner's agent for `span`, nor could be.
    pub(super) fn owner_is_silent_for(&mut self, span: std::time::Duration) -> bool {
        if self.is_owner() {
            return false;
        }
        let heard = self.owner().and_then(|owner| owner.heard_at);
        let since = heard.unwrap_or(self.started_at).max(self.started_at);
        self.wake_at(since + span);
        self.now.since(since) >= span
    }

    /// Turns the open shutdown: no one begins any more, those that have begun are brought back.
    pub(super) fn turn(&mut self, why: TurnReason) {
        let Some(open) = self.shutdown.as_mut() else { return };
        if open.standing == Standing::Returning {
            return;
        }
        open.standing = Standing::Returning;
        let number = open.number;
        let is_order = open.has_order();
        let participants = open.participants.clone();
        self.notes.push(Note::Turned { number, why });
        self.is_paused = false;
        self.forget_released();
        self.triggers = Triggers::default().with_force_of(&self.triggers);
        // What an order had turned off is owed again: one number more than the intent has, which
        // the next declaration must not take.
        self.highest = self.highest.max(number + u64::from(is_order));
        for host in participants {
            let is_intended =
                self.owed.get(&host).is_some_and(|known| known.debt == Debt::Intended);
            if is_intended {
                let boot = self.boot_of(&host);
                let entry = Owed { boot, number: number + 1, debt: Debt::Due };
                unite(&mut self.owed, &host, &entry);
            }
        }
    }

    /// Turns because a peer has. Where this host itself reads battery, it was no mains that turned
    /// it: an operator has called off, and the numbers must not declare anew at once.
    pub(super) fn turn_as_heard(&mut self) {
        if self.own_line() == Line::Battery {
            self.outage.is_called_off = true;
        }
        self.turn(TurnReason::Heard);
    }

    /// An operator's turn.
    pub(super) fn call_off(&mut self) {
        if self.shutdown.is_none() {
            return;
        }
        self.outage.is_called_off = self.line_gone_by() == Line::Battery;
        if self.errs(Mistake::CallOffEnds) {
            return self.end_shutdown();
        }
        self.turn(TurnReason::CalledOff);
    }

    /// Ends the open shutdown: it and all before it are over.
    pub(super) fn end_shutdown(&mut self) {
        let Some(open) = self.shutdown.take() else { return };
        self.ended = self.ended.max(open.number);
        let missing = open
            .participants
            .iter()
            .filter(|host| **host != self.me && !self.is_ready(host))
            .cloned()
            .collect();
        self.notes.push(Note::Ended { number: open.number, missing });
        self.re_arm();
    }

    /// Forgets everything that belonged to a shutdown, so that the next one starts clean.
    pub(super) fn re_arm(&mut self) {
        if self.errs(Mistake::ForgetsOwedAtEnd) {
            self.owed.retain(|_, entry| entry.debt == Debt::Intended);
        }
        self.forget_released();
        self.asked_about.clear();
        self.blind_heard = None;
        self.is_paused = false;
        self.triggers = Triggers::default().with_force_of(&self.triggers);
    }

    /// Returns the boot in which `host` was last heard.
    pub(super) fn boot_of(&self, host: &HostName) -> Option<crate::BootId> {
        if *host == self.me {
            return Some(self.session.boot.clone());
        }
        self.peers.get(host)?.session.as_ref().map(|session| session.boot.clone())
    }
}
