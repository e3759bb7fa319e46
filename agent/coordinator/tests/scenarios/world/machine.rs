//! A machine: its power, its boots, its agent and the journal that survives both.

use curfew_coordinator::{
    BootId, Call, ClientSight, Coordinator, End, HostName, OsStop, Saved, Session, Time, Watch,
};

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Power {
    Off,
    Booting,
    Running,
}

/// One machine. Spans are in milliseconds.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that a story may throw")]
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: HostName,
    pub(crate) power: Power,
    /// Counts the boots, and so names them.
    pub(crate) boots: u32,
    pub(crate) booted_at: u64,
    pub(crate) agent: Option<Coordinator>,
    /// Counts the runs of the agent.
    pub(crate) runs: u64,
    /// The same as far as the journal knows.
    pub(crate) starts: u64,
    pub(crate) watch: Watch,
    pub(crate) journal: Option<Saved>,
    pub(crate) is_journal_lost: bool,
    /// Records cannot be made durable.
    pub(crate) disk_fails: bool,
    /// The stop that runs in this boot.
    pub(crate) stopping: Option<End>,
    pub(crate) is_held: bool,
    /// Somebody stops it by hand: what its OS says of that.
    pub(crate) stopped_by_hand: Option<OsStop>,
    /// It truly has the owner's exports mounted.
    pub(crate) has_mounts: bool,
    /// The owner lists it as a client, and has heard nothing of that for a lease.
    pub(crate) is_stale: bool,

    /// From the accepted call until the power is off.
    pub(crate) stops_in: u64,
    pub(crate) boots_in: u64,
    pub(crate) holds_in: u64,
    /// From the boot until it serves.
    pub(crate) serves_in: u64,
    /// "After power loss: on".
    pub(crate) has_firmware_on: bool,
    /// It answers magic packets.
    pub(crate) can_wake: bool,
    /// Its agent can read what it has mounted.
    pub(crate) can_read_mounts: bool,
    /// As the owner: its agent can look at its clients.
    pub(crate) looks_at_clients: bool,
    /// `upsd` can be reached from here.
    pub(crate) sees_upsd: bool,
    /// So many `upsmon` of nobody in the file are logged in to its `upsd`.
    pub(crate) foreign_clients: u32,
    /// What waits for them.
    pub(crate) called: Option<Call>,
    /// A stop call fails.
    pub(crate) refuses_stop: bool,
    /// The same, if it is to cut.
    pub(crate) refuses_cut: bool,
    /// Nobody answers a call to cut, and nothing comes of it.
    pub(crate) ignores_cut: bool,
    /// The agent is killed after it saved that it is about to call, and before it calls.
    pub(crate) dies_before_call: bool,
    /// No agent starts with it.
    pub(crate) has_no_agent: bool,
    /// Its network card answers ARP even when it is off.
    pub(crate) answers_arp_when_off: bool,
}

impl Machine {
    /// Makes a machine that has been running since `booted_at`.
    pub(crate) fn new(name: HostName, booted_at: u64) -> Self {
        Self {
            name,
            power: Power::Running,
            boots: 1,
            booted_at,
            agent: None,
            runs: 0,
            starts: 0,
            watch: Watch::default(),
            journal: None,
            is_journal_lost: false,
            disk_fails: false,
            stopping: None,
            is_held: false,
            stopped_by_hand: None,
            has_mounts: true,
            is_stale: false,
            stops_in: 40_000,
            boots_in: 45_000,
            holds_in: 8_000,
            serves_in: 20_000,
            has_firmware_on: true,
            can_wake: true,
            can_read_mounts: true,
            looks_at_clients: true,
            sees_upsd: true,
            foreign_clients: 0,
            called: None,
            refuses_stop: false,
            refuses_cut: false,
            ignores_cut: false,
            dies_before_call: false,
            has_no_agent: false,
            answers_arp_when_off: false,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.power == Power::Running
    }

    /// Returns whether its services answer.
    pub(crate) fn serves(&self, now: u64) -> bool {
        self.runs() && self.stopping.is_none() && now >= self.booted_at + self.serves_in
    }

    /// Returns whether `upsd` runs on it, if it is the owner: the hold keeps it.
    pub(crate) fn runs_upsd(&self) -> bool {
        self.runs() && self.stopping.is_none_or(|end| end == End::Hold)
    }

    /// Returns what the owner sees of it as a client.
    pub(crate) fn sight(&self) -> ClientSight {
        match (self.is_stale, self.has_mounts) {
            (true, _) => ClientSight::Stale,
            (false, true) => ClientSight::Present,
            (false, false) => ClientSight::Nothing,
        }
    }

    pub(crate) fn boot(&self) -> BootId {
        BootId::from(format!("{}-boot-{}", self.name, self.boots))
    }

    pub(crate) fn session(&self) -> Session {
        Session { boot: self.boot(), start: self.starts }
    }

    /// Returns the boot clock.
    pub(crate) fn clock(&self, now: u64) -> Time {
        Time::from_millis(now - self.booted_at)
    }

    /// Takes the power away.
    pub(crate) fn go_off(&mut self) {
        self.power = Power::Off;
        self.agent = None;
        self.called = None;
        self.stopping = None;
        self.is_held = false;
        self.stopped_by_hand = None;
        self.has_mounts = false;
    }
}
