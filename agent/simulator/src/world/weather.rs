//! What a story makes happen, and how the world heals.

use curfew_coordinator::{Command, End, Event, HostName, OsStop};

use super::network::Rain;
use super::power::Moment;
use super::{Power, World};
use crate::Fact;
use crate::story::Change;

/// Who orders things in the stories.
const OPERATOR: &str = "anna";

impl World {
    pub(super) fn make_happen(&mut self, change: &Change) {
        let host = change.host().and_then(|name| self.find(name)).unwrap_or(self.owner);
        self.note(host, Fact::Changed(change.clone()));
        match change {
            Change::MainsFail => self.fail_mains(),
            Change::MainsReturn => self.return_mains(),
            Change::Rain { .. }
            | Change::Dry
            | Change::MessageLost { .. }
            | Change::LinkCut { .. }
            | Change::LinkMended { .. }
            | Change::Unplugged { .. }
            | Change::Plugged { .. } => self.change_network(host, change),
            Change::AgentKilled { at_line, back_after, .. } => {
                self.plan_kill(host, *at_line, *back_after);
            }
            Change::HostCrashed { .. }
            | Change::HostStarted { .. }
            | Change::HostStopped { .. }
            | Change::HostRebooted { .. }
            | Change::HostBroken { .. }
            | Change::StopTakes { .. }
            | Change::StopRefused { .. }
            | Change::MountsUnread { .. }
            | Change::DiskFails { .. }
            | Change::RecordTorn { .. }
            | Change::ClockJumped { .. }
            | Change::Doubled { .. }
            | Change::Rehearsed { .. } => self.change_host(host, change),
            Change::RuntimeLies { .. }
            | Change::UpdateLies { .. }
            | Change::LowFlashed { .. }
            | Change::Calibrated { .. }
            | Change::DriverGone { .. }
            | Change::UsbFlaky { .. }
            | Change::UpsdUnreachable { .. }
            | Change::Forced
            | Change::BatteryCollapsed { .. }
            | Change::CutIgnored { .. } => self.change_ups(change),
            Change::Ordered { then_wake, .. } => {
                let operator = OPERATOR.to_owned();
                self.tell(
                    host,
                    Event::Commanded(Command::Shutdown { operator, then_wake: *then_wake }),
                );
            }
            Change::CalledOff { .. } => {
                let operator = OPERATOR.to_owned();
                self.tell(host, Event::Commanded(Command::CallOff { operator }));
            }
            Change::WakeOrdered { .. } => {
                let operator = OPERATOR.to_owned();
                let hosts = std::collections::BTreeSet::new();
                self.tell(host, Event::Commanded(Command::Wake { operator, hosts }));
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "they come sorted")]
    fn change_network(&mut self, host: usize, change: &Change) {
        match change {
            Change::Rain { lost_percent, doubled_percent, late } => {
                self.network.rain = Some(Rain {
                    lost_percent: *lost_percent,
                    doubled_percent: *doubled_percent,
                    late: *late,
                });
            }
            Change::Dry => self.network.rain = None,
            Change::MessageLost { from, to } => {
                if let (Some(from), Some(to)) = (self.find(from), self.find(to)) {
                    self.network.losing.insert((from, to));
                }
            }
            Change::LinkCut { from, to } => {
                if let (Some(from), Some(to)) = (self.find(from), self.find(to)) {
                    self.network.cuts.insert((from, to));
                }
            }
            Change::LinkMended { from, to } => {
                if let (Some(from), Some(to)) = (self.find(from), self.find(to)) {
                    self.network.cuts.remove(&(from, to));
                }
            }
            Change::Unplugged { .. } => self.machine_mut(host).is_unplugged = true,
            Change::Plugged { .. } => self.machine_mut(host).is_unplugged = false,
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "they come sorted")]
    fn change_host(&mut self, host: usize, change: &Change) {
        let now = self.now;
        match *change {
            Change::HostCrashed { .. } => self.crash(host),
            Change::HostStarted { .. } => self.boot(host),
            Change::HostStopped { .. } => self.stop_by_hand(host, OsStop::Off),
            Change::HostRebooted { .. } => self.stop_by_hand(host, OsStop::Reboot),
            Change::HostBroken { .. } => self.machine_mut(host).is_broken = true,
            Change::StopTakes { span, .. } => {
                let machine = self.machine_mut(host);
                // Another span is for later stops: what hangs, hangs.
                let hangs = machine.stop_never_ends && machine.stop.is_some();
                machine.stop_never_ends = hangs || span.is_none();
                machine.truth.stops_in = span.unwrap_or(machine.truth.stops_in);
            }
            Change::StopRefused { refuses, .. } => self.machine_mut(host).refuses_stop = refuses,
            Change::MountsUnread { unread, .. } => {
                self.machine_mut(host).has_unread_mounts = unread;
                self.tell_mounts(host);
            }
            Change::DiskFails { fails, .. } => {
                self.machine_mut(host).disk_fails = fails;
                if !fails {
                    self.save_pending(host);
                }
            }
            Change::RecordTorn { .. } => {
                let machine = self.machine_mut(host);
                machine.journal = None;
                machine.is_journal_lost = true;
            }
            Change::ClockJumped { date, .. } => {
                let skew = i64::try_from(date).unwrap_or(i64::MAX) - 1_800_000_000;
                self.machine_mut(host).clock_skew = skew;
                self.tell_date(host);
            }
            Change::Doubled { span, .. } => self.let_stranger_speak(host, span),
            Change::Rehearsed { span, .. } => {
                self.machine_mut(host).rehearses = Some((now, now + span));
            }
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "they come sorted")]
    fn change_ups(&mut self, change: &Change) {
        let now = self.now;
        match change {
            Change::RuntimeLies { percent } => self.ups.truth.runtime_percent = *percent,
            Change::UpdateLies { runtime_seconds, charge_percent } => {
                self.ups.update_lie = Some((*runtime_seconds, *charge_percent));
            }
            Change::LowFlashed { span } => self.ups.low_until = now + span,
            Change::Calibrated { span } => self.ups.calibrates_until = now + span,
            Change::DriverGone { span } => self.ups.gone_until = now + span,
            Change::UsbFlaky { every, gap, span } => {
                self.ups.flaky = Some((now, *every, *gap, now + span));
            }
            Change::UpsdUnreachable { host, span } => {
                let place = host.as_ref().and_then(|name| self.find(name));
                for host in self.hosts().filter(|host| place.is_none_or(|it| it == *host)) {
                    self.machine_mut(host).upsd_gone_until = now + span;
                }
            }
            Change::Forced => self.ups.is_forced = true,
            Change::BatteryCollapsed { percent } => self.ups.collapse(*percent),
            Change::CutIgnored { times } => self.ups.ignores_cuts = *times,
            _ => {}
        }
    }

    /// The weather is over: the mains are back for good, and everything works that is not broken.
    pub(super) fn heal(&mut self) {
        self.note(self.owner, Fact::Healed);
        self.has_healed = true;
        self.network.rain = None;
        self.network.cuts.clear();
        self.network.losing.clear();
        let now = self.now;
        self.ups.gone_until = now;
        self.ups.flaky = None;
        self.ups.calibrates_until = now;
        self.ups.low_until = now;
        self.ups.ignores_cuts = 0;
        self.strangers.clear();
        self.return_mains();
        for host in self.hosts() {
            let machine = self.machine_mut(host);
            machine.is_unplugged = false;
            machine.disk_fails = false;
            machine.refuses_stop = false;
            machine.has_unread_mounts = false;
            machine.upsd_gone_until = now;
            machine.rehearses = None;
            let hangs = std::mem::take(&mut machine.stop_never_ends);
            let runs = machine.power == Power::Running && machine.stop.is_none();
            let stops = self.machine(host).stop.is_some_and(|stop| stop.end != End::Hold);
            if hangs && stops {
                self.come_after(host, 0, Moment::Ends);
            }
            self.tell_mounts(host);
            self.save_pending(host);
            if runs {
                self.start_agent(host);
            }
        }
    }
}

impl Change {
    /// Returns the host that it is about, if it is about one.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Unplugged { host }
            | Self::Plugged { host }
            | Self::AgentKilled { host, .. }
            | Self::HostCrashed { host }
            | Self::HostStarted { host }
            | Self::HostStopped { host }
            | Self::HostRebooted { host }
            | Self::HostBroken { host }
            | Self::StopTakes { host, .. }
            | Self::StopRefused { host, .. }
            | Self::MountsUnread { host, .. }
            | Self::DiskFails { host, .. }
            | Self::RecordTorn { host }
            | Self::ClockJumped { host, .. }
            | Self::Doubled { host, .. }
            | Self::Rehearsed { host, .. }
            | Self::Ordered { host, .. }
            | Self::CalledOff { host }
            | Self::WakeOrdered { host } => Some(host),
            Self::UpsdUnreachable { host, .. } => host.as_ref(),
            Self::MainsFail
            | Self::MainsReturn
            | Self::Rain { .. }
            | Self::Dry
            | Self::MessageLost { .. }
            | Self::LinkCut { .. }
            | Self::LinkMended { .. }
            | Self::RuntimeLies { .. }
            | Self::UpdateLies { .. }
            | Self::LowFlashed { .. }
            | Self::Calibrated { .. }
            | Self::DriverGone { .. }
            | Self::UsbFlaky { .. }
            | Self::Forced
            | Self::BatteryCollapsed { .. }
            | Self::CutIgnored { .. } => None,
        }
    }
}
