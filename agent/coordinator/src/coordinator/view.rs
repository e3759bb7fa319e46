//! The status for people and monitors.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Coordinator;
use super::conduct::Conduct;
use crate::peer::Peer;
use crate::time::millis;
use crate::{
    HostName, HostStatus, Phase, PlanStatus, PlannedStop, Presence, ShutdownStatus, Status, Time,
    UpsStatus,
};

impl Coordinator {
    /// Returns the view of this moment.
    pub fn status(&self) -> Status {
        Status {
            host: self.me.clone(),
            owner: self.cluster.ups.owner.clone(),
            phase: self.phase(),
            is_paused: self.is_paused,
            is_conducting: self.conduct.is_some(),
            recovery: self.conduct.as_ref().map(Conduct::status),
            planned_stop: self.planned_stop(),
            live_dependents: self.live_dependents(),
            ups: self.ups_status(),
            plan: self.plan_status(),
            triggers: self.triggers_standing().collect(),
            shutdown: self.shutdown_status(),
            ended: self.ended,
            hosts: self.host_statuses(),
            owed: self.owed.clone(),
            warnings: self
                .warnings
                .iter()
                .cloned()
                .chain(self.doubled())
                .chain(self.overdue())
                .collect(),
            journal_failure: self.journal_failure.clone(),
        }
    }

    /// Returns whether nothing is left to do: no shutdown is open, nobody is conducted, and nobody
    /// is owed.
    pub fn is_at_rest(&self) -> bool {
        let is_due = |entry: &crate::Owed| entry.debt == crate::owed::Debt::Due;
        self.shutdown.is_none() && self.conduct.is_none() && !self.owed.values().any(is_due)
    }

    /// Returns the number of the open shutdown and where it stands, if one is open.
    pub fn open(&self) -> Option<(u64, crate::Standing)> {
        self.shutdown.as_ref().map(|open| (open.number, open.standing))
    }

    /// Returns the highest number that has ended.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Returns the moment of the last fact.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns whether this host waits because it reads mains.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns whether this host is in no shutdown and not about to leave.
    pub(super) fn is_up(&self) -> bool {
        self.phase() == Phase::Up && self.os_stop.is_none()
    }

    /// Returns a warning for each host as which two agents speak.
    fn doubled(&self) -> impl Iterator<Item = String> + '_ {
        let limit = self.settings().built_in.blind_left;
        let is_doubled =
            move |peer: &Peer| peer.doubled_at.is_some_and(|at| self.now.since(at) < limit);
        self.peers.iter().filter(move |(_, peer)| is_doubled(peer)).map(|(name, _)| {
            format!(
                "two agents speak as {name}: end the one that does not belong there, and give its \
                 certificate back"
            )
        })
    }

    fn ups_status(&self) -> UpsStatus {
        let limits = &self.settings().built_in;
        UpsStatus {
            name: self.cluster.ups.name.clone(),
            line: self.own_line(),
            age: self.gauge.age(self.now),
            on_battery_for: self.gauge.battery_since().map(|since| self.now.since(since)),
            charge: self.gauge.charge(),
            runtime_left: self.gauge.runtime_left(self.now),
            is_low: self.gauge.is_low(self.now, limits),
            abilities: self.abilities,
            is_return_promised: self.is_return_promised(),
            is_force_left_over: self.triggers.is_force_left_over(),
            missed: self.missed.clone(),
        }
    }

    fn plan_status(&self) -> PlanStatus {
        let needed = self.time_needed();
        let left = self.gauge.runtime_left(self.now);
        let wanted = millis(needed + self.settings().reserve);
        let told = self.stop_history.told();
        let end = self.battery_end();
        let margin = self.settings().cut_margin;
        let plan = self.shutdown.as_ref().map_or(&self.plan_now, |open| &open.plan);
        let stop_times = plan
            .hosts
            .iter()
            .map(|(name, host)| {
                let latest = end.map(|end| plan.latest_start(name, end, margin));
                let stop = PlannedStop {
                    takes: host.stop,
                    measured: told.get(name).cloned().unwrap_or_default(),
                    latest_start_in: latest.map(|latest: Time| self.now.until(latest)),
                };
                (name.clone(), stop)
            })
            .collect();
        PlanStatus {
            time_needed: needed,
            runtime_left: left,
            margin_millis: left.map(|left| signed(left, wanted)),
            stop_times,
        }
    }

    fn shutdown_status(&self) -> Option<ShutdownStatus> {
        let open = self.shutdown.as_ref()?;
        Some(ShutdownStatus {
            number: open.number,
            standing: open.standing,
            reasons: open.reasons.clone(),
            participants: open.participants.clone(),
            time_left: self.battery_end().map(|end| self.now.until(end)),
            is_compressed: open.is_compressed,
        })
    }

    fn host_statuses(&self) -> BTreeMap<HostName, HostStatus> {
        let mut hosts: BTreeMap<HostName, HostStatus> = self
            .peers
            .iter()
            .map(|(name, peer)| (name.clone(), self.host_status(name, peer)))
            .collect();
        hosts.insert(
            self.me.clone(),
            HostStatus {
                phase: Some(self.phase()),
                presence: Presence::Connected,
                absence: None,
                planned_stop: self.planned_stop(),
                heard: Some(Duration::ZERO),
                waiting_for: self.waiting_for(),
                is_ready: Some(self.is_up() && self.exports_answer != Some(false)),
                mounts: self.mounts.clone(),
                client_addresses: self.client_addresses.clone(),
                version: Some(self.version.clone()),
                has_other_file: false,
                boot: Some(self.session.boot.clone()),
                clock_skew_seconds: None,
            },
        );
        hosts
    }

    fn host_status(&self, name: &HostName, peer: &Peer) -> HostStatus {
        let settings = self.settings();
        let message = peer.message.as_deref();
        let presence = if peer.is_connected(self.now, settings) {
            Presence::Connected
        } else if peer.off_since.is_some() {
            Presence::Off
        } else if !peer.is_known {
            Presence::Unknown
        } else if peer.is_lost(self.now, settings) {
            Presence::Lost
        } else {
            Presence::Silent
        };
        HostStatus {
            phase: peer.phase,
            presence,
            absence: self.absence(name),
            planned_stop: self.planned.get(name).map(|planned| planned.stop),
            heard: peer.heard_at.map(|at| self.now.since(at)),
            waiting_for: message.map(|it| it.waiting_for.clone()).unwrap_or_default(),
            is_ready: self.conduct.is_some().then(|| self.is_ready(name)),
            mounts: peer.mounts.clone(),
            client_addresses: message.map(|it| it.client_addresses.clone()).unwrap_or_default(),
            version: message.map(|it| it.version.clone()),
            has_other_file: message.is_some_and(|it| it.file_hash != self.cluster.hash),
            boot: peer.session.as_ref().map(|session| session.boot.clone()),
            clock_skew_seconds: self.skew_of(peer),
        }
    }

    fn skew_of(&self, peer: &Peer) -> Option<i64> {
        let theirs = peer.message.as_ref()?.date?.0;
        let since = self.now.since(peer.heard_at?).as_secs();
        let ours = self.date_now()?.0.saturating_sub(since);
        let difference = i64::try_from(theirs.abs_diff(ours)).ok()?;
        Some(if theirs < ours { -difference } else { difference })
    }
}

/// Returns `left` less `wanted` milliseconds.
fn signed(left: Duration, wanted: u64) -> i64 {
    let left = i64::try_from(millis(left)).unwrap_or(i64::MAX);
    left.saturating_sub(i64::try_from(wanted).unwrap_or(i64::MAX))
}
