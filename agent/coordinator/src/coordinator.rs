//! The coordinator: one host's view of the cluster, and what it decides.
//!
//! [`Coordinator::handle`] takes one fact in (`absorb`), then lets all rules look at everything
//! that is known (`settle`). The rules are levels, not edges: each may run at any time, any number
//! of times, and does nothing where nothing is due, so that a lost, doubled or late event changes
//! when something happens and never what.
//!
//! The rules, one file each: `trigger` (when to declare), `latch` (whose declarations to follow),
//! `remaining` (how much time is left), `begin` (when to stop), `foreign` (what NUT clients that
//! are not ours get before), `turn` (when to come back), `conduct` (in which order), `owe` (who is
//! still to be woken), `planned` (what somebody stops outside of any shutdown), `absence` (who runs
//! without an agent), `tell` and `view` (what others get to know).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::gauge::Gauge;
use crate::link::LinkWatch;
use crate::mistake::{Mistake, Mistaken};
use crate::outage::Outage;
use crate::peer::{Conclusion, Peer};
use crate::plan::Schedule;
use crate::shutdown::Shutdown;
use crate::stop_time::StopHistory;
use crate::{
    Abilities, Action, Begun, BootId, ClientSight, Cluster, Date, Event, HostName, Note, OsStop,
    Owed, Plan, Planned, Saved, Session, Settings, Step, Time, Watch,
};

mod absence;
mod absorb;
mod armed;
mod begin;
mod conduct;
mod foreign;
mod latch;
mod owe;
mod planned;
mod recover;
mod remaining;
mod tell;
mod trigger;
mod turn;
mod view;

use absence::Sight;
use begin::Calling;
use conduct::Conduct;
use tell::Told;
use trigger::Triggers;

/// How often the rules are run for one event at the most: what one rule decides another may
/// follow, and a chain of three (declare, begin, tell) is the longest there is.
const SETTLE_ROUNDS: usize = 4;

/// One host's coordinator.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Coordinator {
    cluster: Cluster,
    me: HostName,
    session: Session,
    version: String,
    mistaken: Mistaken,
    now: Time,
    started_at: Time,
    date: Option<(Date, Time)>,
    sequence: u64,

    gauge: Gauge,
    missed: Option<String>,
    abilities: Option<Abilities>,
    outage: Outage,
    triggers: Triggers,

    peers: BTreeMap<HostName, Peer>,
    link: LinkWatch,
    mounts: Option<BTreeSet<HostName>>,
    client_addresses: BTreeSet<IpAddr>,
    /// What this NFS server saw of the others, and when.
    clients: BTreeMap<HostName, (ClientSight, Time)>,
    /// A blind declaration that this host does not follow: its number and declarer.
    blind_heard: Option<(u64, HostName)>,

    shutdown: Option<Shutdown>,
    ended: u64,
    highest: u64,
    begun: Option<Begun>,
    calling: Calling,
    is_halting: bool,
    /// The stop of this machine that the OS says runs, whoever called it.
    os_stop: Option<OsStop>,
    is_paused: bool,
    released: BTreeSet<HostName>,
    asked_about: BTreeSet<HostName>,

    owed: BTreeMap<HostName, Owed>,
    /// The planned stops of the others, until they are heard without.
    planned: BTreeMap<HostName, Planned>,
    /// Those whose agents are silent in calm times, as looks show their machines.
    absent: BTreeMap<HostName, Sight>,
    /// The hosts last heard up, by this run or by the one before.
    up: BTreeMap<HostName, BootId>,
    /// Who of them is missing was judged once since this agent started.
    is_roll_called: bool,
    conduct: Option<Conduct>,
    exports_answer: Option<bool>,

    stop_history: StopHistory,
    plan_now: Schedule,
    journal_failure: Option<String>,
    warnings: BTreeSet<String>,

    saved: Saved,
    /// When the numbers were last saved, and in which outage: since when, since when low.
    gauge_saved: (Time, (Option<Time>, Option<Time>)),
    told: Told,
    watch: Watch,
    deadline: Option<Time>,
    notes: Vec<Note>,
    actions: Vec<Action>,
}

/// What a coordinator starts from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Start {
    /// The cluster file of this host.
    pub cluster: Cluster,
    /// This host.
    pub me: HostName,
    /// This run of the agent.
    pub session: Session,
    /// The version of the agent, for the peers.
    pub version: String,
    /// What the journal held.
    pub saved: Option<Saved>,
    /// The journal was damaged: what it held is lost, which is not the same as a first start.
    pub is_journal_lost: bool,
}

impl Coordinator {
    /// Takes one fact, and returns what it leads to.
    ///
    /// `now` is the boot clock at the moment of the fact; a moment before the last one counts as
    /// that one.
    pub fn handle(&mut self, now: Time, event: Event) -> Step {
        self.now = self.now.max(now);
        self.absorb(event);
        self.settle();
        self.take_step()
    }

    /// Returns when the coordinator wants to run again at the latest, whatever happens.
    ///
    /// Never none: it looks at everything once a beat.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| self.begun.is_none() || !self.errs(Mistake::SleepsWhenBegun))
    }

    /// Runs all rules until none has anything to do.
    fn settle(&mut self) {
        self.deadline = Some(self.now + self.settings().built_in.beat);
        let mut news = self.news_since(&self.told);
        for _ in 0..SETTLE_ROUNDS {
            self.conclude();
            self.follow_plans();
            self.judge_triggers();
            self.consider_turn();
            self.consider_begin();
            self.strike_owed();
            self.conduct();
            let news_of_round = self.news_since(news.as_ref().unwrap_or(&self.told));
            if news_of_round.is_none() {
                break;
            }
            news = news_of_round;
        }
        self.choose_watch();
    }

    /// Draws conclusions from the silence of others.
    fn conclude(&mut self) {
        let settings = &self.cluster.settings;
        let mut off = Vec::new();
        for (name, peer) in &mut self.peers {
            let stop_time = stop_time_of(self.shutdown.as_ref(), &self.plan_now, name);
            match peer.settle(self.now, stop_time, settings) {
                Some(Conclusion::Off { took }) => off.push((name.clone(), took)),
                Some(Conclusion::Lost) => self.notes.push(Note::Lost { host: name.clone() }),
                None => {}
            }
            if let Some(at) = peer.next_look(stop_time, settings).filter(|at| *at > self.now) {
                self.deadline = self.deadline.map(|deadline| deadline.min(at));
            }
        }
        for (host, took) in off {
            self.measure(&host, took);
            self.notes.push(Note::Off { host });
        }
    }

    /// Takes the stop time of a host that this one waited for into the history.
    fn measure(&mut self, host: &HostName, took: Option<Duration>) {
        let Some(took) = took else { return };
        let Some(shutdown) = &self.shutdown else { return };
        let touches_power = self.cluster.host(host).is_some_and(|host| host.touches_power);
        let waited = shutdown.plan.dependents(&self.me).contains(host);
        if !touches_power || !waited || shutdown.is_compressed {
            return;
        }
        self.record_stop_time(host.clone(), took);
    }

    fn record_stop_time(&mut self, host: HostName, took: Duration) {
        let date = self.date_now().unwrap_or_default();
        self.stop_history.record(host, crate::StopTime { date, took });
        self.renew_plan();
    }

    fn renew_plan(&mut self) {
        let plan = Plan::new(&self.cluster, &self.stop_history.counting(&self.cluster));
        if plan != **self.plan_now.plan() {
            self.plan_now = Schedule::from(Arc::new(plan));
        }
    }

    /// Asks to run again at `at`, if that lies ahead.
    fn wake_at(&mut self, at: Time) {
        if at > self.now {
            self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    /// Returns whether this coordinator was told to make `mistake`; never in a shipped binary.
    fn errs(&self, mistake: Mistake) -> bool {
        self.mistaken.makes(mistake)
    }

    fn settings(&self) -> &Settings {
        &self.cluster.settings
    }

    fn is_owner(&self) -> bool {
        self.cluster.ups.owner == self.me
    }

    fn owner(&self) -> Option<&Peer> {
        self.peers.get(&self.cluster.ups.owner)
    }

    fn date_now(&self) -> Option<Date> {
        let (date, at) = self.date?;
        Some(Date(date.0.saturating_add(self.now.since(at).as_secs())))
    }

    fn warn(&mut self, text: String) {
        if self.warnings.insert(text.clone()) {
            self.notes.push(Note::Warned { text });
        }
    }
}

/// Returns the stop time that counts for `host`: by the open plan, else by the present one.
fn stop_time_of(open: Option<&Shutdown>, plan_now: &Schedule, host: &HostName) -> Duration {
    let plan = open.map_or(plan_now, |shutdown| &shutdown.plan);
    let planned = plan.hosts.get(host).or_else(|| plan_now.hosts.get(host));
    planned.map_or(Duration::ZERO, |planned| planned.stop)
}
