//! Planned stops: somebody stops a host outside of any shutdown, this one or another.
//!
//! Nobody waits for such a host once it is silent, and nobody counts it as lost. One that was to
//! power off is off by intent until somebody starts it; one that was to boot again is owed nothing,
//! and is missed, in words, when it does not come.

use std::collections::BTreeSet;

use super::Coordinator;
use crate::owed::{Debt, unite};
use crate::{
    Action, BeginReason, Begun, ClientSight, End, HostName, Line, Note, OsStop, Owed, Planned,
};

impl Coordinator {
    /// Takes what the OS says of a stop of this machine, whoever called it.
    pub(super) fn on_os_stop_seen(&mut self, stop: Option<OsStop>) {
        self.os_stop = stop;
        if stop.is_some() {
            return;
        }
        // What somebody else began they may take back; what this agent called it did not.
        if self.begun.as_ref().is_some_and(|begun| begun.is_by_other) {
            self.begun = None;
            self.calling = self.calling.anew();
            if self.is_owner() {
                self.actions.push(Action::LowerCut);
            }
        }
        if self.begun.is_none() {
            self.is_halting = false;
        }
    }

    /// Returns the stop of this machine that belongs to no shutdown.
    pub(super) fn planned_stop(&self) -> Option<OsStop> {
        self.os_stop.filter(|_| self.begun.is_none())
    }

    /// Returns whether `host` leaves, or has left, by a planned stop.
    pub(super) fn leaves_by_plan(&self, host: &HostName) -> bool {
        if *host == self.me { self.os_stop.is_some() } else { self.planned.contains_key(host) }
    }

    /// Somebody else stops this machine in the middle of a shutdown that it takes part in: then
    /// that is its stop, and it is woken as the others are. Who takes no part was leaving before.
    pub(super) fn begin_by_other(&mut self) {
        let Some(open) = &self.shutdown else { return };
        if !open.participants.contains(&self.me) {
            return;
        }
        self.begun = Some(Begun {
            number: open.number,
            at: self.now,
            end: End::Off,
            is_accepted: true,
            is_held: false,
            is_by_other: true,
            foreign_sent_at: None,
        });
        self.calling = self.calling.anew();
        self.notes.push(Note::Began { end: End::Off, why: BeginReason::StoppedByOther });
        self.keep_from_staying_off();
    }

    /// An owner that somebody powers off in an outage stays off when the mains return, and with it
    /// everybody whom it would wake. Where the UPS comes back with the mains it is cut, but not
    /// while the battery still carries others: the late hook that cannot wait as long boots the
    /// machine again, and then it stops in its turn.
    fn keep_from_staying_off(&mut self) {
        let Some(open) = &self.shutdown else { return };
        let is_outage = open.has_battery_reason() && self.own_line() != Line::Mains;
        if !is_outage || !self.is_owner() || self.os_stop == Some(OsStop::Reboot) {
            return;
        }
        let number = open.number;
        let is_cut = self.is_return_promised();
        if is_cut {
            // Nobody has waited for the others: who is not off gets all that the battery has.
            let own = self.cut_after(End::Cut);
            let margin = self.settings().cut_margin;
            let end = self.battery_end().filter(|_| !own.is_zero());
            let after = end.map_or(own, |end| self.now.until(end.minus(margin)).max(own));
            self.actions.push(Action::RaiseCut { number, after });
        }
        self.notes.push(Note::OwnerLeaves { is_cut });
    }

    /// Brings what is known of the others' planned stops up to what they said last.
    pub(super) fn follow_plans(&mut self) {
        for (host, peer) in &self.peers {
            let (Some(_), Some(session)) = (peer.phase, &peer.session) else { continue };
            let known = self.planned.get(host);
            let Some(stop) = peer.planned else {
                if self.planned.remove(host).is_some() {
                    self.notes.push(Note::PlannedStopOver { host: host.clone() });
                }
                continue;
            };
            if known.is_some_and(|known| known.stop == stop && known.boot == session.boot) {
                continue;
            }
            let (boot, number) = (session.boot.clone(), self.highest);
            self.planned.insert(host.clone(), Planned { stop, boot, number, is_overdue: false });
            self.notes.push(Note::PlannedStopHeard { host: host.clone(), stop });
        }
        self.intend_planned();
        self.miss_rebooted();
    }

    /// Who is silent after it said that somebody powers it off is off by intent, and no roll calls
    /// it. A stop of which the OS cannot tell the end counts so, too: who was to boot again is
    /// heard in another boot, and that ends it.
    fn intend_planned(&mut self) {
        let settings = &self.cluster.settings;
        let span = settings.built_in.off_silence;
        for (host, planned) in &self.planned {
            self.up.remove(host);
            let peer = self.peers.get(host);
            let is_silent = peer.is_none_or(|peer| peer.is_quiet_for(self.now, span, settings));
            if is_silent && planned.stop != OsStop::Reboot {
                let (boot, number) = (Some(planned.boot.clone()), planned.number);
                unite(&mut self.owed, host, &Owed { boot, number, debt: Debt::Intended });
            }
        }
    }

    /// Nobody wakes who was to boot again, so somebody must hear of it if it does not.
    fn miss_rebooted(&mut self) {
        let settings = &self.cluster.settings;
        let span = settings.wake_timeout;
        // An agent that was just started has heard nobody yet.
        if self.now.since(self.started_at) < span {
            return;
        }
        let is_late = |host: &HostName, planned: &Planned| {
            planned.stop == OsStop::Reboot
                && !planned.is_overdue
                && self.peers.get(host).is_some_and(|it| it.is_quiet_for(self.now, span, settings))
                // It has come, though its agent has not.
                && !self.answers_without_agent(host)
        };
        let late = self.planned.iter().filter(|(host, planned)| is_late(host, planned));
        for host in late.map(|(host, _)| host.clone()).collect::<Vec<_>>() {
            self.notes.push(Note::PlannedStopOverdue { host: host.clone() });
            if let Some(planned) = self.planned.get_mut(&host) {
                planned.is_overdue = true;
            }
        }
    }

    /// Returns a warning for each host that was to boot again and has not come.
    pub(super) fn overdue(&self) -> impl Iterator<Item = String> + '_ {
        let overdue = self.planned.iter().filter(|(_, planned)| planned.is_overdue);
        overdue.filter(|(host, _)| !self.answers_without_agent(host)).map(|(host, _)| {
            format!(
                "{host} went down to boot again and has not come back: look at its console, or \
                 wake it with `curfew wake {host}`"
            )
        })
    }

    /// Returns whether a host that left by a planned stop may still be on its way down: it is not
    /// off, and has not been silent for as long as its stop takes.
    pub(super) fn is_still_leaving(&self, host: &HostName) -> bool {
        let stop = super::stop_time_of(self.shutdown.as_ref(), &self.plan_now, host);
        self.planned.contains_key(host)
            && self.peers.get(host).is_some_and(|peer| {
                peer.is_known
                    && peer.off_since.is_none()
                    && !peer.is_quiet_for(self.now, stop, self.settings())
            })
    }

    /// Returns whether a host that fell silent by a planned stop may be booting: its silence then
    /// proves for a moment only that it has no power.
    pub(super) fn may_be_booting(&self, host: &HostName) -> bool {
        let span = self.settings().wake_timeout;
        self.planned.get(host).is_some_and(|planned| planned.stop != OsStop::Off)
            && self.peers.get(host).is_some_and(|peer| {
                peer.is_known && !peer.is_quiet_for(self.now, span, self.settings())
            })
    }

    /// Returns the hosts that a stop of this one hurts: they need it, are there, and hold mounts of
    /// it, or cannot tell, or this host's own eyes see something of them.
    pub(super) fn live_dependents(&self) -> BTreeSet<HostName> {
        let limit = self.settings().built_in.frame_window;
        let hosts = self.peers.iter().filter(|(host, peer)| {
            let holds = peer.mounts.as_ref().is_none_or(|mounts| mounts.contains(&self.me));
            let seen = self.clients.get(*host);
            let is_seen = seen.is_some_and(|(sight, at)| {
                *sight == ClientSight::Present && self.now.since(*at) <= limit
            });
            peer.is_connected(self.now, self.settings())
                && self.plan_now.needs_all(host).contains(&self.me)
                && (holds || is_seen)
        });
        hosts.map(|(host, _)| host.clone()).collect()
    }
}
