//! How much time is left, and by when this host must begin.

use std::time::Duration;

use super::Coordinator;
use crate::mistake::Mistake;
use crate::plan::Overhead;
use crate::{Action, HostName, Line, Phase, Standing, Time};

/// Detection takes up to two beats: one poll of `upsd`, and the message that tells of it.
const DETECTION_BEATS: u32 = 2;

impl Coordinator {
    /// Returns the time that a shutdown of everybody would take now.
    pub(super) fn time_needed(&self) -> Duration {
        let settings = self.settings();
        let limits = &settings.built_in;
        let foreign = self.gauge.reading().and_then(|(reading, _)| reading.foreign_clients);
        let delay = self.abilities.and_then(|abilities| abilities.shutdown_delay);
        let overhead = Overhead {
            lag: settings.debounce + limits.beat * DETECTION_BEATS,
            proof_per_hop: limits.off_silence + limits.beat,
            foreign: match foreign {
                Some(1..) => settings.foreign_stop,
                Some(0) | None => Duration::ZERO,
            },
            ups_delay: if self.is_return_promised() {
                delay.unwrap_or_default()
            } else {
                Duration::ZERO
            },
        };
        if self.errs(Mistake::NeedsLongestStop) {
            return self.plan_now.hosts.values().map(|host| host.stop).max().unwrap_or_default();
        }
        self.plan_now.time_needed(&overhead, |host| self.participates(host))
    }

    /// Returns whether the UPS is known to come back with the mains.
    pub(super) fn is_return_promised(&self) -> bool {
        let offers = self.abilities.is_some_and(|abilities| abilities.returns);
        self.cluster.ups.returns.unwrap_or(offers)
    }

    /// Returns the line by a fresh reading of this host's own.
    pub(super) fn own_line(&self) -> Line {
        self.gauge.line(self.now, &self.settings().built_in)
    }

    /// Returns the line by a fresh reading of the owner, as its agent told it.
    pub(super) fn owner_line(&self) -> Line {
        if self.is_owner() {
            return self.own_line();
        }
        let limit = self.settings().built_in.peer_fresh;
        let Some(owner) = self.owner() else { return Line::Unknown };
        let (Some(message), Some(heard_at)) = (&owner.message, owner.heard_at) else {
            return Line::Unknown;
        };
        match &message.reading {
            Some(reading) if reading.age + self.now.since(heard_at) < limit => reading.line,
            Some(_) | None => Line::Unknown,
        }
    }

    /// Returns the line that this host goes by: its own reading, without one the owner's.
    pub(super) fn line_gone_by(&self) -> Line {
        match self.own_line() {
            Line::Unknown => self.owner_line(),
            line @ (Line::Mains | Line::Battery) => line,
        }
    }

    /// Returns the end of the battery that this host reckons with in the open shutdown; none
    /// while nothing that the battery said stands.
    pub(super) fn battery_end(&self) -> Option<Time> {
        let shutdown = self.shutdown.as_ref()?;
        if shutdown.standing != Standing::Declared || !shutdown.has_battery_reason() {
            return None;
        }
        let end = match self.own_line() {
            Line::Mains => return None,
            Line::Battery if self.errs(Mistake::CarriedBeatsOwn) => {
                let own = self.gauge.runtime_left(self.now).map(|left| self.now + left);
                self.carried_end().or(own)?
            }
            Line::Battery => match self.gauge.runtime_left(self.now) {
                Some(left) => self.now + left,
                None => shutdown.assumed_end.or_else(|| self.carried_end())?,
            },
            Line::Unknown => match self.owner_line() {
                Line::Mains => return None,
                Line::Battery | Line::Unknown => self.carried_end().or(shutdown.assumed_end)?,
            },
        };
        let low = self.outage.low_since.filter(|_| !self.errs(Mistake::IgnoresLow));
        let low = low.map(|at| at + self.settings().low_battery_left);
        Some(low.map_or(end, |low| low.min(end)))
    }

    /// Returns the end of the battery by the reckoning of others: the owner's counts, else the
    /// smallest, this host's own assumption among them.
    fn carried_end(&self) -> Option<Time> {
        let shutdown = self.shutdown.as_ref()?;
        if let Some(end) = shutdown.carried_ends.get(&self.cluster.ups.owner) {
            return Some(*end);
        }
        let least = shutdown.carried_ends.values().copied().min();
        let known = match (least, shutdown.assumed_end) {
            (Some(carried), Some(assumed)) => Some(carried.min(assumed)),
            (carried, assumed) => carried.or(assumed),
        };
        // Who told it may have read mains in its last message: the end as of the latching stays.
        known.or(shutdown.told_end)
    }

    /// Returns the last moment at which this host may begin; none without a battery's reason.
    ///
    /// A plan that did not fit the battery when it was declared is compressed: for others a latest
    /// start in the past means now; the owner stays for as long as it can, with a third of the
    /// time left at the declaration for itself, at most its stop time and at least 10 s.
    pub fn latest_start(&self) -> Option<Time> {
        let shutdown = self.shutdown.as_ref()?;
        let end = self.battery_end()?;
        let usual = shutdown.plan.latest_start(&self.me, end, self.settings().cut_margin);
        if self.errs(Mistake::ReserveInLatestStarts) {
            return Some(usual.minus(self.settings().reserve));
        }
        if !shutdown.is_compressed || !self.is_owner() || self.errs(Mistake::CompressesOwner) {
            return Some(usual);
        }
        let third = shutdown.left_at_latch.unwrap_or_default() / 3;
        let stop = shutdown.plan.hosts.get(&self.me).map_or(Duration::ZERO, |host| host.stop);
        let own = third.min(stop).max(self.settings().built_in.owner_least);
        Some(end.minus(own))
    }

    /// Notes, as soon as the open shutdown has an end of the battery, whether its plan fits: an
    /// order has none, until the battery adds its reason.
    pub(super) fn judge_fit(&mut self) {
        let Some(end) = self.battery_end() else { return };
        let margin = self.settings().cut_margin;
        let now = self.now;
        let is_owner = self.is_owner();
        let Some(shutdown) = self.shutdown.as_mut() else { return };
        if shutdown.left_at_latch.is_some() {
            return;
        }
        shutdown.left_at_latch = Some(now.until(end));
        // Who is on its way already needs no latest start any more.
        let begun = |host: &&HostName| {
            let peer = self.peers.get(*host);
            peer.is_some_and(|peer| peer.phase.is_some_and(Phase::has_begun))
        };
        let starts = shutdown.participants.iter().filter(|host| !begun(host));
        shutdown.is_compressed = starts
            .map(|host| shutdown.plan.latest_start(host, end, margin))
            .any(|latest| latest < now);
        if shutdown.is_compressed && is_owner {
            self.actions.push(Action::Sync);
        }
    }
}
