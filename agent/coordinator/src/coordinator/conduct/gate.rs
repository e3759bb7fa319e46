//! The gates of a recovery: the mains, the charge and the conductor's own exports.
//!
//! Each is passed when what it waits for is seen, or when its limit has passed, and says by which.

use crate::coordinator::Coordinator;
use crate::mistake::Mistake;
use crate::{Gate, Line, Note, ReadyBy};

impl Coordinator {
    /// Nothing is woken while on battery, nor before the mains have held; no reading is unknown,
    /// not mains, and is waited for as long as for the charge. A passed gate stays passed: readings
    /// that drop every minute would never say that the mains hold.
    pub(super) fn may_wake(&mut self) -> bool {
        let line = self.own_line();
        self.note_dark(line);
        if line == Line::Battery {
            return self.errs(Mistake::WakesOnBattery);
        }
        if line == Line::Unknown && self.has_waited_for_mains() {
            self.pass(Gate::Mains, true);
            return true;
        }
        self.note_gap();
        if self.has_stable_mains() {
            self.pass(Gate::Mains, false);
        }
        let has_passed = self.conduct.as_ref().is_some_and(|it| it.passed.contains(&Gate::Mains));
        line == Line::Mains && has_passed
    }

    fn has_waited_for_mains(&self) -> bool {
        // Only battery starts the wait anew: a peer that reads mains takes nothing back.
        let seen = self.outage.seen.filter(|seen| seen.line == Line::Battery);
        let Some(conduct) = &self.conduct else { return false };
        let since = seen.map_or(conduct.since, |it| it.at.max(conduct.since));
        self.now.since(since) >= self.settings().charge_wait
    }

    /// Who has not looked for as long as the mains must hold must see them hold again.
    fn note_gap(&mut self) {
        let limit = self.settings().mains_stable;
        let gap = self.gauge.last_line_at().map(|at| self.now.since(at));
        if gap.is_some_and(|gap| gap >= limit)
            && let Some(conduct) = self.conduct.as_mut()
        {
            conduct.passed.remove(&Gate::Mains);
        }
    }

    /// A reading of battery takes the gates back, and all their limits count from its end.
    fn note_dark(&mut self, line: Line) {
        let now = self.now;
        let Some(conduct) = self.conduct.as_mut() else { return };
        if line == Line::Battery {
            conduct.is_dark = true;
            conduct.passed.clear();
        } else if std::mem::take(&mut conduct.is_dark) {
            conduct.since = now;
        }
    }

    pub(super) fn pass_gates(&mut self) -> bool {
        let charge = self.passes_charge();
        if let Some(by_limit) = charge {
            self.pass(Gate::Charge, by_limit);
        }
        let exports = self.passes_exports();
        if let Some(by_limit) = exports {
            self.pass(Gate::Exports, by_limit);
        }
        charge.is_some() && exports.is_some()
    }

    /// Returns whether the charge gate is passed, and whether by its limit.
    fn passes_charge(&mut self) -> Option<bool> {
        let Some(conduct) = &self.conduct else { return None };
        if conduct.passed.contains(&Gate::Charge) {
            return Some(false);
        }
        let limit = conduct.since + self.settings().charge_wait;
        if limit <= self.now && !self.errs(Mistake::WaitsForCharge) {
            return Some(true);
        }
        self.wake_at(limit);
        let Some(charge) = self.gauge.charge() else {
            // A variable that the UPS does not have is a passed gate; one that is not confirmed
            // yet is waited for.
            let raw = self.gauge.reading().and_then(|(reading, _)| reading.charge);
            let is_absent = raw.is_none() && self.own_line() == Line::Mains;
            return is_absent.then_some(true);
        };
        (charge > self.settings().charge_above).then_some(false)
    }

    fn passes_exports(&mut self) -> Option<bool> {
        let serves =
            self.cluster.host(&self.me).is_some_and(|me| matches!(me.ready, ReadyBy::Exports(_)));
        if !serves || self.exports_answer == Some(true) {
            return Some(false);
        }
        let limit = self.conduct.as_ref()?.since + self.settings().wake_timeout;
        if limit <= self.now {
            return Some(true);
        }
        self.wake_at(limit);
        None
    }

    fn pass(&mut self, gate: Gate, by_limit: bool) {
        let Some(conduct) = self.conduct.as_mut() else { return };
        if conduct.passed.insert(gate) {
            self.notes.push(Note::GatePassed { gate, by_limit });
        }
    }
}
