//! How a coordinator comes to be: from nothing, or from what the journal held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::begin::Calling;
use super::tell::Told;
use super::trigger::Triggers;
use super::{Coordinator, Start};
use crate::gauge::{Gauge, SavedGauge};
use crate::link::LinkWatch;
use crate::mistake::{Mistake, Mistaken};
use crate::outage::Outage;
use crate::owed::{Debt, unite};
use crate::peer::Peer;
use crate::plan::Schedule;
use crate::shutdown::Shutdown;
use crate::stop_time::StopHistory;
use crate::{Cause, HostName, Note, Owed, Plan, Saved, Standing, Step, Time, TurnReason, Watch};

impl Coordinator {
    /// Builds a coordinator, and returns the first step with it.
    ///
    /// What was saved in another boot serves recovery, never a stop; what was saved in this one is
    /// taken up where the journal stands.
    pub fn recover(start: Start, now: Time) -> (Self, Step) {
        Self::build(start, now, Mistaken::default())
    }

    /// Builds a coordinator that makes `mistake` for as long as it lives, and is right otherwise.
    #[cfg(feature = "mistakes")]
    pub fn recover_with(mistake: Mistake, start: Start, now: Time) -> (Self, Step) {
        Self::build(start, now, mistake.into())
    }

    fn build(start: Start, now: Time, mistaken: Mistaken) -> (Self, Step) {
        let Start { mut cluster, me, session, version, saved, is_journal_lost } = start;
        if mistaken.makes(Mistake::CountsPolls) {
            cluster.settings.built_in.confirm = std::time::Duration::ZERO;
        }
        let is_first = saved.is_none();
        let mut saved = saved.unwrap_or_else(|| empty(&session));
        let is_same_boot = saved.session.boot == session.boot;
        if !is_same_boot {
            saved.conducting_since = None;
        }
        let names: BTreeSet<HostName> =
            cluster.names().into_iter().filter(|name| *name != me).collect();
        let mut stop_history = StopHistory::default();
        stop_history.merge(&saved.stop_times);
        let plan_now = Plan::new(&cluster, &stop_history.counting(&cluster));
        let plan_now = Schedule::from(Arc::new(plan_now));
        let mut coordinator = Self {
            gauge: if is_same_boot { Gauge::recover(&saved.gauge) } else { Gauge::new() },
            missed: None,
            abilities: None,
            outage: Outage { owner_read_at: now, ..Outage::default() },
            triggers: Triggers::default(),
            peers: names.into_iter().map(|name| (name, Peer::default())).collect(),
            link: LinkWatch::default(),
            mounts: None,
            client_addresses: BTreeSet::new(),
            clients: BTreeMap::new(),
            blind_heard: None,
            shutdown: open_of(&saved, is_same_boot, mistaken),
            ended: saved.ended,
            highest: saved.highest,
            begun: saved.begun.clone().filter(|_| is_same_boot),
            calling: Calling::default(),
            is_halting: false,
            os_stop: None,
            is_paused: false,
            released: BTreeSet::new(),
            asked_about: BTreeSet::new(),
            owed: saved.owed.clone(),
            planned: saved.planned.clone(),
            absent: BTreeMap::new(),
            up: saved.up.clone(),
            is_roll_called: false,
            conduct: None,
            exports_answer: None,
            stop_history,
            plan_now,
            journal_failure: None,
            warnings: BTreeSet::new(),
            gauge_saved: (now, (None, None)),
            told: Told::default(),
            watch: Watch::default(),
            deadline: None,
            notes: Vec::new(),
            actions: Vec::new(),
            saved,
            cluster,
            me,
            session,
            version,
            mistaken,
            now,
            started_at: now,
            date: None,
            sequence: 0,
        };
        coordinator.take_up(is_first, is_same_boot, is_journal_lost);
        coordinator.settle();
        let step = coordinator.take_step();
        (coordinator, step)
    }

    fn take_up(&mut self, is_first: bool, is_same_boot: bool, is_journal_lost: bool) {
        if is_same_boot {
            self.take_up_outage();
        }
        if is_journal_lost {
            self.notes.push(Note::JournalLost);
            // It may have said «about to call».
            self.calling.is_resumed = true;
            self.owe_all();
        }
        if !is_first {
            let number = self.shutdown.as_ref().map(|shutdown| shutdown.number);
            self.notes.push(Note::Recovered { number });
        }
        self.take_up_recorded();
    }

    /// Takes up what this boot has seen before the agent was restarted.
    fn take_up_outage(&mut self) {
        for (name, leaving) in &self.saved.leaving {
            if let Some(peer) = self.peers.get_mut(name) {
                *peer = Peer::recover(self.now, leaving);
            }
        }
        self.outage.is_called_off = self.saved.is_called_off;
        if let Some(at) = self.gauge.last_line_at() {
            let left = self.gauge.runtime_left(at);
            self.outage.on_line(at, self.gauge.last_line(), left);
        }
        if self.gauge.low_since().is_some() {
            let since = self.gauge.low_since().unwrap_or(self.now);
            self.outage.on_low(since);
        }
        if let Some(begun) = &mut self.begun {
            // The record says «about to call»: only the OS knows whether the call was made, and
            // whether a stop that it took still runs.
            self.calling.is_resumed = true;
            begun.is_accepted = begun.is_held;
        }
    }

    /// An owner that boots with a battery shutdown recorded has turned it; with an order recorded
    /// it does not conduct, but for an order that asks to wake everything when it is done.
    pub(super) fn take_up_recorded(&mut self) {
        let Some(shutdown) = self.shutdown.as_ref() else { return };
        if shutdown.standing != Standing::Recorded || !self.is_owner() {
            return;
        }
        if shutdown.cause() == Cause::Battery {
            self.turn(TurnReason::OwnerBooted);
        } else if shutdown.wakes_after() {
            self.turn(TurnReason::ThenWake);
        } else {
            self.intend_participants();
            self.end_shutdown();
        }
    }

    /// Takes every host of the file for one that somebody must wake: to wake one too many is the
    /// smaller harm.
    fn owe_all(&mut self) {
        for host in self.cluster.names() {
            let entry = Owed { boot: None, number: self.highest, debt: Debt::Due };
            unite(&mut self.owed, &host, &entry);
        }
    }
}

/// Returns the shutdown that has not ended.
fn open_of(saved: &Saved, is_same_boot: bool, mistaken: Mistaken) -> Option<Shutdown> {
    if is_same_boot && mistaken.makes(Mistake::ForgetsLatchAtRestart) {
        return None;
    }
    let is_acted_on = is_same_boot || mistaken.makes(Mistake::ActsOnOldLatch);
    let open = saved.shutdown.as_ref().filter(|shutdown| shutdown.number > saved.ended)?;
    Some(Shutdown::recover(open, is_acted_on))
}

fn empty(session: &crate::Session) -> Saved {
    Saved {
        session: session.clone(),
        ended: 0,
        highest: 0,
        shutdown: None,
        begun: None,
        owed: BTreeMap::new(),
        up: BTreeMap::new(),
        planned: BTreeMap::new(),
        leaving: BTreeMap::new(),
        gauge: SavedGauge::default(),
        is_called_off: false,
        conducting_since: None::<Time>,
        stop_times: BTreeMap::new(),
    }
}
