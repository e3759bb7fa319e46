//! Who is still to be woken: entries that others keep too, struck by whoever sees them done.

use super::Coordinator;
use crate::mistake::Mistake;
use crate::owed::{Debt, unite};
use crate::{HostName, Line, Note, Owed, Phase};

impl Coordinator {
    /// Strikes what is done, and owes hosts that fell silent on battery.
    pub(super) fn strike_owed(&mut self) {
        let done: Vec<HostName> = self
            .owed
            .iter()
            .filter(|(host, entry)| self.is_settled(host, entry))
            .map(|(host, _)| host.clone())
            .collect();
        for host in done {
            self.owed.remove(&host);
        }
        self.owe_the_silent();
        self.call_the_roll();
        self.forget_who_left();
    }

    /// Owes, once after the start, the hosts that were up when this agent was last heard of and are
    /// not there now: it may have slept through an outage of which nobody is left to tell. Whose
    /// agent is silent while the machine gives signs is waited for: it may be on its way down.
    fn call_the_roll(&mut self) {
        let grace = self.settings().built_in.boot_grace;
        let at = self.started_at + grace;
        if self.is_roll_called || self.now < at {
            self.wake_at(at);
            return;
        }
        let unheard = |host: &HostName| self.peers.get(host).filter(|it| it.heard_at.is_none());
        let settings = self.settings();
        let mut missing = Vec::new();
        let mut is_roll_called = true;
        for (host, boot) in &self.up {
            let Some(peer) = unheard(host) else { continue };
            if peer.is_quiet_for(self.now, grace, settings) {
                missing.push((host.clone(), boot.clone()));
            } else {
                is_roll_called = false;
            }
        }
        self.is_roll_called = is_roll_called;
        if !is_roll_called {
            self.wake_at(self.now + grace);
        }
        for (host, boot) in missing {
            if self.owed.contains_key(&host) {
                continue;
            }
            self.notes.push(Note::Lost { host: host.clone() });
            let entry = Owed { boot: Some(boot), number: self.highest, debt: Debt::Due };
            unite(&mut self.owed, &host, &entry);
        }
    }

    /// A host that leaves on stable mains, outside of any shutdown, does so by somebody's will.
    fn forget_who_left(&mut self) {
        let span = self.settings().mains_stable;
        if self.up.is_empty() || self.shutdown.is_some() || !self.has_stable_mains() {
            return;
        }
        let (now, peers, settings) = (self.now, &self.peers, &self.cluster.settings);
        self.up.retain(|host, _| {
            let peer = peers.get(host).filter(|peer| peer.heard_at.is_some());
            peer.is_none_or(|peer| !peer.is_quiet_for(now, span, settings))
        });
    }

    /// Returns whether an entry has come to its end: the host is heard up in another boot, or up
    /// in the same one with no shutdown open.
    pub(super) fn is_settled(&self, host: &HostName, entry: &Owed) -> bool {
        let is_up = if *host == self.me { self.is_up() } else { self.is_heard_up(host) };
        if !is_up {
            return false;
        }
        let is_other_boot = self.boot_of(host) != entry.boot && entry.boot.is_some();
        is_other_boot || self.shutdown.is_none()
    }

    /// Returns whether `host` is there, in no shutdown and not about to leave.
    pub(super) fn is_heard_up(&self, host: &HostName) -> bool {
        self.peers.get(host).is_some_and(|peer| {
            peer.is_connected(self.now, self.settings())
                && peer.phase == Some(Phase::Up)
                && peer.planned.is_none()
        })
    }

    /// A host heard `up` that falls silent on battery may have lost its power: somebody must wake
    /// it, whether or not it ever hears of a shutdown. Its silence takes time to be sure of: the
    /// mains may be back by then.
    fn owe_the_silent(&mut self) {
        if self.errs(Mistake::ForgetsTheSilent) {
            return;
        }
        // With the owner `upsd` is gone, too: what was last seen of the line stands.
        let is_dark = match self.line_gone_by() {
            Line::Battery => true,
            Line::Unknown => self.outage.is_dark(),
            Line::Mains => false,
        };
        let blur = self.settings().built_in.fresh;
        let lost: Vec<HostName> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_lost(self.now, self.settings()))
            .filter(|(_, peer)| {
                is_dark || peer.last_sign().is_some_and(|at| self.outage.was_dark(at, blur))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for host in lost {
            if self.owed.contains_key(&host) {
                continue;
            }
            let entry = Owed { boot: self.boot_of(&host), number: self.highest, debt: Debt::Due };
            unite(&mut self.owed, &host, &entry);
        }
    }
}
