//! What others get to know, and what becomes durable before they do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::Coordinator;
use crate::mistake::Mistake;
use crate::record::LeavingRef;
use crate::{
    Action, HeardOf, HostName, Line, OffProof, OsStop, Owed, PeerReading, Phase, Reason, Saved,
    Standing, StateMessage, Step, ToldShutdown, Watch,
};

/// The part of the state whose change is told at once.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Told {
    phase: Option<Phase>,
    planned: Option<OsStop>,
    number: Option<u64>,
    standing: Option<Standing>,
    reasons: BTreeSet<Reason>,
    participants: BTreeSet<HostName>,
    ended: u64,
    owed: BTreeMap<HostName, Owed>,
    mounts: Option<BTreeSet<HostName>>,
    client_addresses: BTreeSet<IpAddr>,
    line: Option<Line>,
}

impl Coordinator {
    /// Composes the state message of this moment.
    pub fn message(&mut self, now: crate::Time) -> StateMessage {
        self.now = self.now.max(now);
        // By the boot clock, so that it rises through all runs of the agent in one boot: a run that
        // cannot know of the one before it, since the journal was lost, is heard all the same.
        self.sequence = (self.sequence + 1).max(self.now.as_millis());
        StateMessage {
            host: self.me.clone(),
            session: self.session.clone(),
            sequence: self.sequence,
            version: self.version.clone(),
            file_hash: self.cluster.hash.clone(),
            is_drill: false,
            phase: self.phase(),
            planned: self.planned_stop(),
            waiting_for: self.waiting_for(),
            reading: self.told_reading(),
            shutdown: self.told_shutdown(),
            ended: self.ended,
            highest: self.highest,
            owed: self.owed.clone(),
            heard: self.told_heard(),
            mounts: self.mounts.clone(),
            client_addresses: self.client_addresses.clone(),
            stop_times: self.stop_history.told().clone(),
            date: self.date_now(),
        }
    }

    /// Returns the needs that do not serve yet.
    pub(super) fn waiting_for(&self) -> BTreeSet<HostName> {
        let Some(host) = self.cluster.host(&self.me) else { return BTreeSet::new() };
        host.needs.iter().filter(|name| !self.is_heard_up(name)).cloned().collect()
    }

    fn told_reading(&self) -> Option<PeerReading> {
        let limits = &self.settings().built_in;
        let line = self.own_line();
        if line == Line::Unknown {
            return None;
        }
        Some(PeerReading {
            line,
            is_low: self.gauge.is_low(self.now, limits),
            charge: self.gauge.charge(),
            runtime_left: self.gauge.runtime_left(self.now),
            age: self.gauge.age(self.now)?,
        })
    }

    fn told_shutdown(&self) -> Option<ToldShutdown> {
        let open = self.shutdown.as_ref()?;
        Some(ToldShutdown {
            number: open.number,
            standing: open.standing,
            reasons: open.reasons.clone(),
            plan: Arc::clone(open.plan.plan()),
            planner: open.planner.clone(),
            participants: open.participants.clone(),
            time_left: self.battery_end().map(|end| self.now.until(end)),
        })
    }

    fn told_heard(&self) -> BTreeMap<HostName, HeardOf> {
        self.peers
            .iter()
            .filter_map(|(name, peer)| Some((name.clone(), peer.repeated(self.now)?)))
            .collect()
    }

    /// Returns what is to be told at once if it is another than `told`. Most events change nothing
    /// of it, and cost no copy.
    pub(super) fn news_since(&self, told: &Told) -> Option<Told> {
        (!self.is_told_by(told)).then(|| self.told_now())
    }

    fn is_told_by(&self, told: &Told) -> bool {
        let Told {
            phase,
            planned,
            number,
            standing,
            reasons,
            participants,
            ended,
            owed,
            mounts,
            client_addresses,
            line,
        } = told;
        let is_open = match &self.shutdown {
            None => number.is_none() && reasons.is_empty() && participants.is_empty(),
            Some(open) => {
                *number == Some(open.number)
                    && *standing == Some(open.standing)
                    && *reasons == open.reasons
                    && *participants == open.participants
            }
        };
        is_open
            && *phase == Some(self.phase())
            && *planned == self.planned_stop()
            && *ended == self.ended
            && *owed == self.owed
            && *mounts == self.mounts
            && *client_addresses == self.client_addresses
            && *line == Some(self.own_line())
    }

    fn told_now(&self) -> Told {
        let open = self.shutdown.as_ref();
        Told {
            phase: Some(self.phase()),
            planned: self.planned_stop(),
            number: open.map(|open| open.number),
            standing: open.map(|open| open.standing),
            reasons: open.map(|open| open.reasons.clone()).unwrap_or_default(),
            participants: open.map(|open| open.participants.clone()).unwrap_or_default(),
            ended: self.ended,
            owed: self.owed.clone(),
            mounts: self.mounts.clone(),
            client_addresses: self.client_addresses.clone(),
            line: Some(self.own_line()),
        }
    }

    /// Chooses whom the agent looks at: everybody, as long as anything is open, else those who are
    /// missed.
    pub(super) fn choose_watch(&mut self) {
        let is_calm = self.is_calm();
        self.judge_absence(is_calm);
        let is_busy = !is_calm || self.conduct.is_some();
        // Where hosts share one machine, all their addresses answer for ever.
        let looks = is_busy && self.settings().off_proof == OffProof::Network;
        let alive = self.peers.keys().filter(|_| looks);
        let absent = self.peers.keys().filter(|host| is_calm && self.is_absent(host));
        let ready = self.asked_ready();
        let is_same = self.watch.ready == ready
            && self.watch.alive.iter().eq(alive.clone())
            && self.watch.absent.iter().eq(absent.clone());
        if !is_same {
            let (alive, absent) = (alive.cloned().collect(), absent.cloned().collect());
            self.watch = Watch { alive, absent, ready };
            self.actions.push(Action::Watch(self.watch.clone()));
        }
    }

    /// Returns whether no shutdown is open, or may be in a moment. Who is still owed may be
    /// conducted in calm times, too, for as long as its machine runs without its agent.
    fn is_calm(&self) -> bool {
        self.shutdown.is_none()
            && self.begun.is_none()
            && self.line_gone_by() != Line::Battery
            // Who fell silent just before the mains came back, or with the owner and its `upsd`, is
            // still to be found.
            && !self.outage.was_dark(self.now, self.settings().built_in.absent_silence)
            && !self.outage.is_dark()
    }

    /// Closes the step: what must be durable, then what happened, then what to do.
    pub(super) fn take_step(&mut self) -> Step {
        let is_late =
            self.errs(Mistake::TellsBeforeSaving) && self.news_since(&self.told).is_some();
        let is_new = !is_late && self.renew_saved();
        let saved = is_new.then(|| Box::new(self.saved.clone()));
        self.notes.extend(self.phase_notes());
        self.notes.extend(self.planned_note());
        if let Some(news) = self.news_since(&self.told) {
            self.told = news;
            self.actions.insert(0, Action::Tell);
        }
        Step {
            saved,
            notes: std::mem::take(&mut self.notes),
            actions: std::mem::take(&mut self.actions),
        }
    }

    fn phase_notes(&self) -> Option<crate::Note> {
        let phase = self.phase();
        let is_change = self.told.phase.is_some_and(|told| told != phase);
        is_change.then_some(crate::Note::PhaseChanged { phase })
    }

    fn planned_note(&self) -> Option<crate::Note> {
        let stop = self.planned_stop();
        if stop == self.told.planned {
            return None;
        }
        match stop {
            Some(stop) => {
                let live_dependents = self.live_dependents();
                Some(crate::Note::PlannedStopSeen { stop, live_dependents })
            }
            // What has become this host's stop in a shutdown is no planned one any more.
            None => self.begun.is_none().then_some(crate::Note::PlannedStopTakenBack),
        }
    }

    /// Brings the durable state up to this moment, and returns whether that changed anything.
    fn renew_saved(&mut self) -> bool {
        let gauge = self.gauge_to_save();
        if gauge.is_none() && self.is_saved() {
            return false;
        }
        self.saved = Saved {
            session: self.session.clone(),
            ended: self.ended,
            highest: self.highest,
            shutdown: self.shutdown.as_ref().map(super::Shutdown::saved),
            begun: self.begun.clone(),
            owed: self.owed.clone(),
            up: self.up.clone(),
            planned: self.planned.clone(),
            leaving: self.leaving().map(|(name, host)| (name.clone(), host.into())).collect(),
            gauge: gauge.unwrap_or_else(|| self.saved.gauge.clone()),
            is_called_off: self.outage.is_called_off,
            conducting_since: self.conduct.as_ref().map(|conduct| conduct.since),
            stop_times: self.stop_history.told().clone(),
        };
        true
    }

    /// Returns whether all that is durable, but for the numbers of the UPS, stands as it was saved.
    fn is_saved(&self) -> bool {
        let Saved {
            session,
            ended,
            highest,
            shutdown,
            begun,
            owed,
            up,
            planned,
            leaving,
            gauge: _,
            is_called_off,
            conducting_since,
            stop_times,
        } = &self.saved;
        let is_open = match (&self.shutdown, shutdown) {
            (Some(open), Some(saved)) => open.is_saved_as(saved),
            (open, saved) => open.is_none() && saved.is_none(),
        };
        is_open
            && *session == self.session
            && *ended == self.ended
            && *highest == self.highest
            && *begun == self.begun
            && *owed == self.owed
            && *up == self.up
            && *planned == self.planned
            && leaving.iter().map(|(name, host)| (name, host.into())).eq(self.leaving())
            && *is_called_off == self.outage.is_called_off
            && *conducting_since == self.conduct.as_ref().map(|conduct| conduct.since)
            && stop_times == self.stop_history.told()
    }

    /// Returns the numbers of the UPS if they are to be saved anew. They change all the time and
    /// are written at most every 10 s, and only on battery.
    fn gauge_to_save(&mut self) -> Option<crate::SavedGauge> {
        let outage = (self.gauge.battery_since(), self.gauge.low_since());
        let every = self.settings().built_in.journal_every;
        let is_same = outage == self.gauge_saved.1;
        if is_same && outage.0.is_some() && self.now.since(self.gauge_saved.0) < every {
            return None;
        }
        self.gauge_saved = (self.now, outage);
        Some(self.gauge.saved()).filter(|gauge| *gauge != self.saved.gauge)
    }

    fn leaving(&self) -> impl Iterator<Item = (&HostName, LeavingRef<'_>)> {
        let peers = self.shutdown.iter().flat_map(|_| &self.peers);
        peers.filter_map(|(name, peer)| Some((name, peer.leaving()?)))
    }
}
