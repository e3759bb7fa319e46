//! How machines stop, hold, boot and lose their power, and how the mains come and go.

use curfew_coordinator::{Call, End, Event, HostName, OsStop};

use super::{Fact, Happening, Power, World};

/// What becomes of a machine in one boot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Accepts,
    Refuses,
    Ignores,
    Halts,
    EndsAgent,
    Unmounts,
    Ends,
    Holds,
    Boots,
    StartsAgent,
    /// The foreign clients have had their time.
    LosesForeign,
}

/// From the boot until the agent starts.
const AGENT_AFTER: u64 = 3_000;
/// The OS takes a call.
const ACCEPTS_AFTER: u64 = 20;
/// How far a reckoned runtime may be off: the driver tells of it in whole seconds and late.
const RECKONING: u128 = 6_000;
/// From the signal to the agent until its end.
const AGENT_ENDS_AFTER: u64 = 300;

impl World {
    pub(crate) fn mains_fail(&mut self) {
        self.ups.mains = false;
        self.battery_since = Some(self.now);
        self.note(&self.cluster.ups.owner.clone(), Fact::MainsFailed);
    }

    /// The mains return: machines that had lost their power boot by their firmware.
    pub(crate) fn mains_return(&mut self) {
        self.ups.mains = true;
        self.battery_since = None;
        self.note(&self.cluster.ups.owner.clone(), Fact::MainsReturned);
        if self.ups.output {
            return;
        }
        self.ups.output = true;
        for host in self.names() {
            if self.machine(host.as_str()).has_firmware_on {
                self.boot(host.as_str());
            }
        }
    }

    /// Switches a machine on, if it is off.
    pub(crate) fn boot(&mut self, host: &str) {
        let machine = self.machine_mut(host);
        if machine.power != Power::Off {
            return;
        }
        machine.power = Power::Booting;
        machine.boots += 1;
        let after = machine.boots_in;
        self.change_after(&HostName::from(host), after, Change::Boots);
    }

    /// Pulls the plug of a machine.
    pub(crate) fn crash(&mut self, host: &str) {
        self.machine_mut(host).go_off();
        self.note(&HostName::from(host), Fact::Off);
    }

    pub(super) fn lose_output(&mut self) {
        self.note(&self.cluster.ups.owner.clone(), Fact::OutputOff);
        for host in self.names() {
            if self.machine(host.as_str()).power != Power::Off {
                self.crash(host.as_str());
            }
        }
    }

    pub(super) fn hear_packet(&mut self, host: &HostName) {
        if self.ups.output && self.machine(host.as_str()).can_wake {
            self.boot(host.as_str());
        }
    }

    pub(super) fn call_stop(&mut self, host: &HostName, call: Call) {
        self.note(host, Fact::StopCalled(call.clone()));
        let machine = self.machine_mut(host.as_str());
        let clients = machine.foreign_clients;
        if clients > 0 && !call.foreign.wait.is_zero() {
            let wait = u64::try_from(call.foreign.wait.as_millis()).expect("a short time");
            machine.called = Some(call);
            self.change_after(host, wait, Change::LosesForeign);
            return self.tell(host, Event::ForeignSent(clients));
        }
        self.call_os(host, &call);
    }

    fn call_os(&mut self, host: &HostName, call: &Call) {
        let Call { end, cut_after, ask_first, .. } = *call;
        self.note(host, Fact::OsCalled);
        let machine = self.machine_mut(host.as_str());
        if machine.refuses_stop || (machine.refuses_cut && end == End::Cut) {
            return self.change_after(host, ACCEPTS_AFTER, Change::Refuses);
        }
        if machine.ignores_cut && end == End::Cut {
            return self.change_after(host, ACCEPTS_AFTER, Change::Ignores);
        }
        let runs = machine.stopping.is_some();
        self.check(!runs || ask_first, "a stop was called while one runs");
        self.change_after(host, ACCEPTS_AFTER, Change::Accepts);
        if runs {
            if self.machine(host.as_str()).is_held {
                self.change_after(host, ACCEPTS_AFTER, Change::Holds);
            }
            return;
        }
        let holds_in = self.machine(host.as_str()).holds_in;
        if end == End::Hold {
            self.machine_mut(host.as_str()).stopping = Some(end);
            return self.change_after(host, holds_in, Change::Holds);
        }
        // The late hook of an owner that cuts waits for the time that the flag holds.
        let wait = u64::try_from(cut_after.as_millis()).expect("a short time");
        self.begin_stop(host, end, wait);
    }

    /// Somebody types `systemctl poweroff` or `reboot`; what the OS says of it is `says`.
    pub(crate) fn stop_by_hand(&mut self, host: &str, says: OsStop) {
        let host = HostName::from(host);
        self.machine_mut(host.as_str()).stopped_by_hand = Some(says);
        self.begin_stop(&host, End::Off, 0);
        self.tell_os_stop(&host);
    }

    /// The OS does not stop after all: what it was asked for has failed.
    pub(crate) fn take_back_stop(&mut self, host: &str) {
        let machine = self.machine_mut(host);
        machine.stopped_by_hand = None;
        machine.stopping = None;
        self.tell_os_stop(&HostName::from(host));
    }

    pub(super) fn tell_os_stop(&mut self, host: &HostName) {
        let stop = self.machine(host.as_str()).stopped_by_hand;
        self.tell(host, Event::OsStopSeen(stop));
    }

    fn begin_stop(&mut self, host: &HostName, end: End, wait: u64) {
        let stops_in = self.machine(host.as_str()).stops_in;
        self.machine_mut(host.as_str()).stopping = Some(end);
        self.change_after(host, stops_in / 2, Change::Halts);
        self.change_after(host, stops_in / 2 + AGENT_ENDS_AFTER, Change::EndsAgent);
        self.change_after(host, stops_in * 3 / 4, Change::Unmounts);
        self.change_after(host, stops_in.max(wait), Change::Ends);
    }

    /// The foreign clients get no more time.
    pub(super) fn hurry(&mut self, host: &HostName) {
        self.note(host, Fact::Hurried);
        self.change_after(host, 0, Change::LosesForeign);
    }

    pub(super) fn reboot(&mut self, host: &HostName) {
        self.note(host, Fact::Rebooted);
        self.machine_mut(host.as_str()).go_off();
        self.boot(host.as_str());
    }

    fn change_after(&mut self, host: &HostName, span: u64, what: Change) {
        let boot = self.machine(host.as_str()).boots;
        self.after(span, Happening::Machine { host: host.clone(), boot, what });
    }

    pub(super) fn change(&mut self, host: &HostName, what: Change) {
        let now = self.now;
        let machine = self.machine_mut(host.as_str());
        match what {
            Change::Boots => {
                machine.power = Power::Running;
                machine.booted_at = now;
                machine.has_mounts = true;
                self.note(host, Fact::Booted);
                self.change_after(host, AGENT_AFTER, Change::StartsAgent);
            }
            _ if !machine.runs() => {}
            // Of a stop that was taken back nothing happens any more.
            Change::Halts | Change::EndsAgent | Change::Unmounts | Change::Ends
                if machine.stopping.is_none() => {}
            Change::StartsAgent if machine.has_no_agent => {}
            Change::StartsAgent => self.start_agent(host.as_str()),
            Change::EndsAgent => {
                machine.agent = None;
                self.close_sessions(host);
            }
            Change::Unmounts => machine.has_mounts = false,
            Change::Ends => self.end(host),
            Change::Accepts => self.tell(host, Event::StopAccepted),
            Change::Refuses => self.tell(host, Event::StopFailed("refused".to_owned())),
            Change::LosesForeign => {
                if let Some(call) = machine.called.take() {
                    self.call_os(host, &call);
                }
            }
            Change::Ignores => self.tell(host, Event::StopUnanswered("no answer".to_owned())),
            Change::Halts => self.tell(host, Event::HaltSeen),
            Change::Holds => {
                let stood = std::mem::replace(&mut machine.is_held, true);
                let took = std::time::Duration::from_millis(machine.holds_in);
                self.note(host, Fact::Held);
                self.tell(host, Event::HoldEntered((!stood).then_some(took)));
            }
        }
    }

    /// The end of a machine's stop; the late hook of an owner that cuts reads the UPS first.
    fn end(&mut self, host: &HostName) {
        if self.machine(host.as_str()).stopped_by_hand == Some(OsStop::Reboot) {
            return self.reboot(host);
        }
        let is_cut = self.machine(host.as_str()).stopping == Some(End::Cut);
        if is_cut && self.ups.mains {
            return self.reboot(host);
        }
        self.machine_mut(host.as_str()).go_off();
        self.note(host, Fact::Off);
        if is_cut {
            let all_off = self.machines.values().all(|machine| machine.power == Power::Off);
            let margin = self.cluster.settings.cut_margin.as_millis();
            // Where the reckoning of the runtime is true within some seconds, so is the cut.
            let is_empty = u128::from(self.ups.left) < margin + RECKONING;
            self.check(all_off || is_empty, "the UPS was cut while a fed host ran");
            self.ups.output = false;
            self.lose_output();
        }
    }
}
