//! How machines stop, hold, boot and lose their power, and how the UPS switches its output.

use std::time::Duration;

use curfew_coordinator::{Call, End, Event, OsStop};

use super::machine::Stop;
use super::{Happening, Machine, Power, World};
use crate::Fact;

/// What becomes of a machine in one boot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Moment {
    Accepts,
    Refuses,
    Halts,
    EndsAgent,
    Unmounts,
    Ends,
    HookLooks,
    Holds,
    LeavesHold,
    Boots,
    StartsAgent,
    Serves,
}

/// What the UPS does with its output.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Output {
    /// It carries out the command to cut.
    Opens,
    /// It comes back, if the mains are there.
    Closes,
}

/// From the boot until the agent starts.
const AGENT_AFTER: u64 = 2_000;
/// The OS takes a call.
const ACCEPTS_AFTER: u64 = 20;
/// From the signal to the agent until its end.
const AGENT_ENDS_AFTER: u64 = 300;
/// An unmount that waits for a server that is gone looks again after this long, and gives up after
/// so many times.
const UNMOUNT_AGAIN: u64 = 5_000;
const UNMOUNT_TRIES: u64 = 24;
/// From the command of the hook until it looks at the UPS again, besides the UPS's own delay.
const HOOK_WAITS: u64 = 10_000;
/// The least time that the output stays open, long enough for every power supply.
const OFF_TIME: u64 = 10_000;
/// How often the timer of the hold looks.
const HOLD_LOOKS: u64 = 5_000;

impl World {
    pub(super) fn fail_mains(&mut self) {
        if !std::mem::take(&mut self.ups.has_mains) {
            return;
        }
        self.ups.line_since = self.now;
        self.note(self.owner, Fact::MainsFailed);
        for host in self.hosts() {
            if !self.machine(host).is_fed {
                self.lose_power(host);
            }
        }
    }

    /// The mains return: machines that had lost their power boot by their firmware.
    pub(super) fn return_mains(&mut self) {
        if std::mem::replace(&mut self.ups.has_mains, true) {
            return;
        }
        self.ups.line_since = self.now;
        self.note(self.owner, Fact::MainsReturned);
        for host in self.hosts() {
            if !self.machine(host).is_fed {
                self.give_power(host);
            }
        }
        if !self.ups.has_output {
            self.after(OFF_TIME, Happening::Output(Output::Closes));
        }
    }

    pub(super) fn switch_output(&mut self, output: Output) {
        match output {
            Output::Opens if self.ups.ignores_cuts > 0 => self.ups.ignores_cuts -= 1,
            Output::Opens => self.open_output(true),
            Output::Closes => self.close_output(),
        }
    }

    pub(super) fn open_output(&mut self, by_command: bool) {
        if !std::mem::take(&mut self.ups.has_output) {
            return;
        }
        self.note(self.owner, Fact::OutputOpened { by_command });
        for host in self.hosts() {
            if self.machine(host).is_fed {
                self.lose_power(host);
            }
        }
        if self.ups.has_mains && self.ups.truth.returns {
            self.after(OFF_TIME, Happening::Output(Output::Closes));
        }
    }

    fn close_output(&mut self) {
        if !self.ups.has_mains || self.ups.has_output {
            return;
        }
        self.ups.has_output = true;
        self.note(self.owner, Fact::OutputClosed);
        for host in self.hosts() {
            if self.machine(host).is_fed {
                self.give_power(host);
            }
        }
    }

    fn lose_power(&mut self, host: usize) {
        let machine = self.machine_mut(host);
        if machine.power == Power::Off {
            return;
        }
        let is_clean = !machine.is_alive();
        machine.go_off();
        self.note(host, Fact::Off { is_clean });
    }

    fn give_power(&mut self, host: usize) {
        if self.machine(host).truth.starts_with_power {
            self.boot(host);
        }
    }

    fn has_power(&self, host: usize) -> bool {
        if self.machine(host).is_fed { self.ups.has_output } else { self.ups.has_mains }
    }

    /// Switches a machine on, if it is off and has power.
    pub(super) fn boot(&mut self, host: usize) {
        let has_power = self.has_power(host);
        let machine = self.machine_mut(host);
        if machine.power != Power::Off || machine.is_broken || !has_power {
            return;
        }
        machine.power = Power::Booting;
        machine.boots += 1;
        machine.boot = format!("{}-{}", machine.name, machine.boots).into();
        let (name, span) = (machine.name.clone(), machine.truth.boots_in);
        // A server that starts has nobody on its list.
        for other in &mut self.machines {
            other.left_behind.remove(&name);
        }
        self.come_after(host, span, Moment::Boots);
    }

    /// A machine loses its power without a word.
    pub(super) fn crash(&mut self, host: usize) {
        self.lose_power(host);
    }

    pub(super) fn hear_packet(&mut self, host: usize) {
        if self.machine(host).truth.can_wake {
            self.boot(host);
        }
    }

    pub(super) fn reboot(&mut self, host: usize) {
        self.note(host, Fact::Rebooted);
        self.machine_mut(host).go_off();
        self.boot(host);
    }

    pub(super) fn call_stop(&mut self, host: usize, call: Call) {
        let Call { end, cut_after, ask_first, .. } = call;
        self.note(host, Fact::StopCalled(call));
        if self.machine(host).refuses_stop {
            return self.come_after(host, ACCEPTS_AFTER, Moment::Refuses);
        }
        self.come_after(host, ACCEPTS_AFTER, Moment::Accepts);
        if self.machine(host).stop.is_some() {
            if self.machine(host).is_held {
                self.come_after(host, ACCEPTS_AFTER, Moment::Holds);
            } else if !ask_first {
                self.note(host, Fact::StopRepeated);
            }
            return;
        }
        let cut_after = u64::try_from(cut_after.as_millis()).unwrap_or(u64::MAX);
        self.begin_stop(host, end, cut_after);
    }

    /// Somebody stops a machine that runs, and its OS says so.
    pub(super) fn stop_by_hand(&mut self, host: usize, says: OsStop) {
        let machine = self.machine_mut(host);
        if !machine.runs() || machine.stop.is_some() {
            return;
        }
        machine.stopped_by_hand = Some(says);
        self.begin_stop(host, End::Off, 0);
        self.tell_os_stop(host);
    }

    pub(super) fn tell_os_stop(&mut self, host: usize) {
        let stop = self.machine(host).stopped_by_hand;
        self.tell(host, Event::OsStopSeen(stop));
    }

    /// The OS begins to stop.
    pub(super) fn begin_stop(&mut self, host: usize, end: End, cut_after: u64) {
        let now = self.now;
        let Machine { truth, stop, stop_never_ends, .. } = self.machine_mut(host);
        let cut_at = now.saturating_add(cut_after);
        *stop = Some(Stop { end, began_at: now, cut_at, is_at_hook: false, commands: 0 });
        let (stops_in, holds_in, never) = (truth.stops_in, truth.holds_in, *stop_never_ends);
        self.note(host, Fact::StopBegan);
        if end == End::Hold {
            return self.come_after(host, holds_in, Moment::Holds);
        }
        self.come_after(host, stops_in / 2, Moment::Halts);
        self.come_after(host, stops_in / 2 + AGENT_ENDS_AFTER, Moment::EndsAgent);
        self.come_after(host, stops_in * 3 / 4, Moment::Unmounts);
        if !never {
            self.come_after(host, stops_in, Moment::Ends);
        }
    }

    pub(super) fn come_after(&mut self, host: usize, span: u64, moment: Moment) {
        let boot = self.machine(host).boots;
        self.after(span, Happening::Machine { host, boot, moment });
    }

    pub(super) fn come_to(&mut self, host: usize, moment: Moment) {
        if moment == Moment::Boots {
            return self.come_up(host);
        }
        if !self.machine(host).runs() {
            return;
        }
        match moment {
            Moment::Boots => {}
            Moment::StartsAgent if self.machine(host).starts_nothing() => {}
            Moment::StartsAgent => self.start_agent(host),
            Moment::Serves => {
                self.note(host, Fact::Served);
                self.mount_all();
            }
            Moment::Accepts => self.tell(host, Event::StopAccepted),
            Moment::Refuses => self.tell(host, Event::StopFailed("refused".to_owned())),
            Moment::Halts => {
                self.machine_mut(host).has_halted = true;
                self.note(host, Fact::Halted);
                self.tell(host, Event::HaltSeen);
            }
            Moment::EndsAgent => self.end_agent(host),
            Moment::Unmounts => self.unmount(host),
            Moment::Ends => self.end(host),
            Moment::HookLooks => self.look_from_hook(host),
            Moment::Holds => self.hold(host),
            Moment::LeavesHold => self.look_from_hold(host),
        }
    }

    fn come_up(&mut self, host: usize) {
        let now = self.now;
        let machine = self.machine_mut(host);
        if machine.power != Power::Booting {
            return;
        }
        machine.power = Power::Running;
        machine.booted_at = now;
        machine.runs = 0;
        let serves_in = machine.truth.serves_in;
        self.note(host, Fact::Booted);
        if host == self.owner {
            self.ups.connection += 1;
            self.ups.is_forced = false;
        }
        self.come_after(host, AGENT_AFTER, Moment::StartsAgent);
        self.come_after(host, serves_in, Moment::Serves);
    }

    /// Mounts what a host needs of the servers that are there.
    pub(super) fn mount(&mut self, host: usize) {
        let servers = self.servers();
        let machine = self.machine(host);
        let is_there = |name: &&curfew_coordinator::HostName| {
            let place = self.find(name);
            place.is_some_and(|place| self.machine(place).serves(self.now))
        };
        let mounts = machine.needs.intersection(&servers).filter(is_there).cloned().collect();
        if machine.mounts != mounts && machine.stop.is_none() {
            let machine = self.machine_mut(host);
            machine.left_behind.retain(|server| !mounts.contains(server));
            machine.mounts = mounts;
            self.tell_mounts(host);
        }
    }

    /// Whoever waited for a server mounts from it now; so does who has just come up.
    fn mount_all(&mut self) {
        for host in self.hosts() {
            if self.machine(host).serves(self.now) {
                self.mount(host);
            }
        }
    }

    /// An unmount of a server that is gone hangs, and with it the whole stop, for two minutes.
    fn unmount(&mut self, host: usize) {
        let now = self.now;
        let machine = self.machine(host);
        let hangs = machine.mounts.iter().any(|server| {
            let place = self.find(server);
            place.is_some_and(|place| !self.machine(place).serves_files(now))
        });
        let Some(stop) = machine.stop else { return };
        let tried = (now - stop.began_at).saturating_sub(machine.truth.stops_in) / UNMOUNT_AGAIN;
        if hangs && tried < UNMOUNT_TRIES {
            return self.come_after(host, UNMOUNT_AGAIN, Moment::Unmounts);
        }
        self.machine_mut(host).mounts.clear();
        self.note(host, Fact::Unmounted);
    }

    /// The end of a machine's stop; an owner that cuts goes on to the late hook.
    fn end(&mut self, host: usize) {
        if !self.machine(host).mounts.is_empty() {
            return self.come_after(host, UNMOUNT_AGAIN, Moment::Ends);
        }
        let Some(stop) = self.machine_mut(host).stop.as_mut() else { return };
        if stop.end == End::Cut {
            stop.is_at_hook = true;
            let cut_at = stop.cut_at;
            return self.come_after(host, cut_at.saturating_sub(self.now), Moment::HookLooks);
        }
        if self.machine(host).stopped_by_hand == Some(OsStop::Reboot) {
            return self.reboot(host);
        }
        self.machine_mut(host).go_off();
        self.note(host, Fact::Off { is_clean: true });
    }

    /// The late hook reads the UPS: on mains it reboots; otherwise it commands the cut, twice at
    /// most. An unreadable UPS counts as battery.
    fn look_from_hook(&mut self, host: usize) {
        let reads_mains = self.ups.has_mains && self.ups.is_readable(self.now);
        let cut_delay = self.ups.truth.cut_delay;
        let Some(stop) = self.machine_mut(host).stop.as_mut() else { return };
        if reads_mains || stop.commands >= 2 {
            return self.reboot(host);
        }
        stop.commands += 1;
        self.after(cut_delay, Happening::Output(Output::Opens));
        self.come_after(host, cut_delay + HOOK_WAITS, Moment::HookLooks);
    }

    fn hold(&mut self, host: usize) {
        let now = self.now;
        let machine = self.machine_mut(host);
        let took = Duration::from_millis(machine.truth.holds_in);
        let stood = std::mem::replace(&mut machine.is_held, true);
        if !stood {
            machine.held_at = now;
            machine.has_halted = true;
            self.note(host, Fact::Held);
            self.come_after(host, HOLD_LOOKS, Moment::LeavesHold);
        }
        self.tell(host, Event::HoldEntered((!stood).then_some(took)));
    }

    /// The timer of the hold, which needs no agent: it reboots a machine that has had the mains for
    /// twice `mains-stable`.
    fn look_from_hold(&mut self, host: usize) {
        let stable = u64::try_from(self.cluster.settings.mains_stable.as_millis()).unwrap_or(0) * 2;
        let since = self.ups.line_since.max(self.machine(host).held_at);
        if self.ups.has_mains && self.now - since >= stable {
            return self.reboot(host);
        }
        self.come_after(host, HOLD_LOOKS, Moment::LeavesHold);
    }
}
