//! A machine: its power, its boots, its agent and the journal that survives both.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{
    BootId, Coordinator, End, Host, HostName, OsStop, ReadyBy, Saved, SavedGauge, Session,
    StopTime, Time, Watch,
};

use crate::story::{HostTruth, KillPoint};

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Power {
    /// It draws nothing.
    Off,
    /// It has power and no kernel yet.
    Booting,
    /// Its kernel runs.
    Running,
}

/// A stop that runs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Stop {
    /// How it ends.
    pub end: End,
    /// When the OS took the call.
    pub began_at: u64,
    /// With a cut: the earliest moment for it.
    pub(super) cut_at: u64,
    /// The late hook runs: nothing is mounted read-write any more.
    pub is_at_hook: bool,
    /// How often the hook has commanded the cut.
    pub(super) commands: u32,
}

/// One machine.
#[expect(clippy::struct_excessive_bools, reason = "each is a truth of its own")]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Machine {
    /// Its name.
    pub name: HostName,
    /// The truth about it, as it is now.
    pub truth: HostTruth,
    /// Whether the UPS feeds it.
    pub is_fed: bool,
    /// Whether it serves files.
    pub is_server: bool,
    /// The hosts that it needs.
    pub needs: BTreeSet<HostName>,
    /// Whether it runs.
    pub power: Power,
    /// Counts the boots.
    pub boots: u32,
    pub(super) boot: BootId,
    pub(super) booted_at: u64,
    pub(super) agent: Option<Coordinator>,
    /// Counts the runs of the agent.
    pub(super) runs: u64,
    pub(super) watch: Watch,
    pub(super) journal: Option<Saved>,
    /// What the disk did not take.
    pub(super) pending: Option<Box<Saved>>,
    pub(super) is_journal_lost: bool,
    pub(super) disk_fails: bool,
    pub(super) kill: Option<(KillPoint, Option<u64>)>,
    /// Somebody stops it by hand: what its OS says of that.
    pub(super) stopped_by_hand: Option<OsStop>,
    /// The stop that runs in this boot.
    pub stop: Option<Stop>,
    /// The hold is entered.
    pub is_held: bool,
    pub(super) held_at: u64,
    /// The workloads are gone.
    pub has_halted: bool,
    /// The servers of which it has mounts.
    pub mounts: BTreeSet<HostName>,
    /// The servers that have it on their lists still, since its power went before it unmounted.
    pub(super) left_behind: BTreeSet<HostName>,
    /// As a server of files: when it last heard of each client, as far as it looks.
    pub(super) renewals: BTreeMap<HostName, u64>,
    pub(super) stop_never_ends: bool,
    pub(super) refuses_stop: bool,
    pub(super) has_unread_mounts: bool,
    /// It cannot start any more.
    pub is_broken: bool,
    pub(super) is_unplugged: bool,
    /// What it told last of its exports.
    pub(super) told_exports: Option<bool>,
    /// What it adds to the date of the world.
    pub(super) clock_skew: i64,
    /// It tells a drill until then, since then.
    pub(super) rehearses: Option<(u64, u64)>,
    pub(super) upsd_gone_until: u64,
}

impl Machine {
    /// Makes a machine that has been running since `booted_at`.
    pub(super) fn new(host: &Host, truth: HostTruth, booted_at: u64) -> Self {
        let is_off = truth.is_off;
        Self {
            name: host.name.clone(),
            truth,
            is_fed: host.is_fed,
            is_server: matches!(host.ready, ReadyBy::Exports(_)),
            needs: host.needs.clone(),
            power: if is_off { Power::Off } else { Power::Running },
            boots: 1,
            boot: BootId::from(format!("{}-1", host.name)),
            booted_at,
            agent: None,
            runs: 0,
            watch: Watch::default(),
            journal: None,
            pending: None,
            is_journal_lost: false,
            disk_fails: false,
            kill: None,
            stopped_by_hand: None,
            stop: None,
            is_held: false,
            held_at: 0,
            has_halted: false,
            mounts: BTreeSet::new(),
            left_behind: BTreeSet::new(),
            renewals: BTreeMap::new(),
            stop_never_ends: false,
            refuses_stop: false,
            has_unread_mounts: false,
            is_broken: false,
            is_unplugged: false,
            told_exports: None,
            clock_skew: 0,
            rehearses: None,
            upsd_gone_until: 0,
        }
    }

    /// Gives it the journal of an agent that has measured stops in an earlier boot.
    pub(super) fn remember(&mut self, stop_times: &BTreeMap<HostName, Vec<StopTime>>) {
        let boot = BootId::from(format!("{}-0", self.name));
        self.journal = Some(Saved {
            session: Session { boot, start: 1 },
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
            conducting_since: None,
            stop_times: stop_times.clone(),
        });
    }

    /// Returns its agent, if that runs.
    pub fn agent(&self) -> Option<&Coordinator> {
        self.agent.as_ref()
    }

    /// Returns which run of the agent in this boot it is.
    pub fn run(&self) -> u64 {
        self.runs
    }

    /// Returns what its disk holds of the agent.
    pub fn journal(&self) -> Option<&Saved> {
        self.journal.as_ref()
    }

    /// Returns whether the journal was written in the boot that runs.
    pub fn is_journal_of_boot(&self) -> bool {
        self.journal.as_ref().is_some_and(|saved| saved.session.boot == self.boot)
    }

    /// Returns whether its disk takes no records.
    pub fn has_bad_disk(&self) -> bool {
        self.disk_fails
    }

    /// Returns whether its OS takes calls, and carries them out within `planned` milliseconds.
    pub fn stops_within(&self, planned: u64) -> bool {
        !self.stop_never_ends && !self.refuses_stop && self.truth.stops_in <= planned
    }

    /// Returns whether its kernel runs.
    pub fn runs(&self) -> bool {
        self.power == Power::Running
    }

    /// Returns whether it still has something to lose: workloads, or files open for writing.
    pub fn is_alive(&self) -> bool {
        self.runs() && !self.is_held && self.stop.is_none_or(|stop| !stop.is_at_hook)
    }

    /// Returns what it draws, in watts.
    pub(super) fn watts(&self) -> u64 {
        if self.power == Power::Off { 0 } else { self.truth.watts }
    }

    /// Returns whether its services answer.
    pub(super) fn serves(&self, now: u64) -> bool {
        self.runs() && self.stop.is_none() && now >= self.booted_at + self.truth.serves_in
    }

    /// Returns whether its files can still be reached: until its own stop has come to them.
    pub(super) fn serves_files(&self, now: u64) -> bool {
        match self.stop {
            None => self.serves(now),
            Some(stop) => self.runs() && stop.end != End::Hold && !self.has_halted,
        }
    }

    /// Returns whether its OS is so far in its stop that it starts no agent again; the hold does.
    pub(super) fn starts_nothing(&self) -> bool {
        self.has_halted && self.stop.is_some_and(|stop| stop.end != End::Hold)
    }

    /// Returns whether `upsd` runs on it, if it is the owner: the hold keeps it.
    pub(super) fn runs_upsd(&self) -> bool {
        self.runs() && (self.stop.is_none_or(|it| it.end == End::Hold) || !self.has_halted)
    }

    pub(super) fn session(&self) -> Session {
        Session { boot: self.boot.clone(), start: self.runs }
    }

    /// Returns the boot clock.
    pub(super) fn clock(&self, now: u64) -> Time {
        Time::from_millis(now - self.booted_at)
    }

    /// Returns when its agent wants to run, by the clock of the world.
    pub(super) fn deadline(&self) -> Option<u64> {
        Some(self.booted_at + self.agent.as_ref()?.next_deadline()?.as_millis())
    }

    /// Takes the power away.
    pub(super) fn go_off(&mut self) {
        self.power = Power::Off;
        self.agent = None;
        self.stop = None;
        self.stopped_by_hand = None;
        self.is_held = false;
        self.has_halted = false;
        self.left_behind.append(&mut self.mounts);
        self.renewals.clear();
        self.kill = None;
        self.pending = None;
        self.rehearses = None;
    }
}
