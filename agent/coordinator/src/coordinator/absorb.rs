//! Taking facts in: each event changes what is known, and decides nothing.

use std::sync::Arc;

use super::Coordinator;
use crate::mistake::Mistake;
use crate::owed::{Debt, unite};
use crate::{
    Answer, Command, Event, HostName, Line, Note, OffProof, Owed, Phase, Reading, StateMessage,
    Trigger,
};

impl Coordinator {
    pub(super) fn absorb(&mut self, event: Event) {
        match event {
            Event::TimePassed => {}
            Event::DateRead(date) => self.date = Some((date, self.now)),
            Event::ReadingTaken(reading) => self.on_reading(&reading),
            // A missed poll changes nothing that was read: readings age by themselves.
            Event::ReadingMissed(why) => self.missed = Some(why),
            Event::UpsProbed(abilities) => self.abilities = Some(abilities),
            Event::PeerHeard(message) => self.on_message(&message),
            Event::SessionClosed(host) => {
                if let Some(peer) = self.peers.get_mut(&host) {
                    peer.on_closed(self.now);
                }
            }
            // Hosts that share one machine always answer: only sessions tell of them.
            Event::HostProbed { .. } if self.settings().off_proof == OffProof::Session => {}
            Event::HostProbed { host, answer } => {
                let works = self.link_works();
                let is_life = self.errs(Mistake::ArpIsLife) && answer == Answer::ArpOnly;
                let answer = if is_life { Answer::Alive } else { answer };
                if let Some(peer) = self.peers.get_mut(&host) {
                    peer.on_probed(self.now, answer, works);
                }
            }
            Event::AbsentProbed { host, answer } => self.on_absent_probed(host, answer),
            Event::LinkSeen(link) => self.link.on_seen(self.now, link),
            Event::MountsRead(mounts) => self.mounts = mounts,
            Event::ClientAddressesRead(addresses) => self.client_addresses = addresses,
            Event::ClientsSeen(clients) => {
                let seen = clients.into_iter().map(|(host, sight)| (host, (sight, self.now)));
                self.clients = seen.collect();
            }
            Event::ReadyProbed { host, is_ready } => self.on_ready_probed(&host, is_ready),
            Event::ExportsProbed(answer) => self.exports_answer = Some(answer),
            Event::Commanded(command) => self.on_command(command),
            Event::ForeignSent(clients) => self.on_foreign_sent(clients),
            Event::ForeignFailed(why) => self.warn(why),
            Event::StopAccepted => self.on_stop_accepted(),
            Event::StopFailed(why) => self.on_stop_failed(why),
            Event::StopUnanswered(why) => self.on_stop_unanswered(why),
            Event::HaltSeen => self.is_halting = self.has_called() || self.os_stop.is_some(),
            Event::OsStopSeen(stop) => self.on_os_stop_seen(stop),
            Event::HoldEntered(took) => self.on_hold_entered(took),
            Event::JournalFailed(why) => self.journal_failure = Some(why),
            Event::JournalRecovered => self.journal_failure = None,
        }
    }

    pub(super) fn link_works(&self) -> bool {
        if self.errs(Mistake::SilenceWithoutLink) {
            return true;
        }
        let lost = self.outage.lost_at.unwrap_or(self.started_at);
        let settings = self.settings();
        self.link.works(self.now, lost, settings.off_proof, &settings.built_in)
    }

    fn on_reading(&mut self, reading: &Reading) {
        self.missed = None;
        let before = self.gauge.last_line();
        let needed = self.time_needed();
        let limits = &self.cluster.settings.built_in;
        let low = self.outage.low_since.filter(|_| self.errs(Mistake::KeepsOldLow));
        self.gauge.on_reading(self.now, reading, needed, limits);
        let line = self.gauge.line(self.now, limits);
        if line != Line::Unknown {
            self.outage.on_line(self.now, line, self.gauge.runtime_left(self.now));
        }
        if self.gauge.is_low(self.now, limits) {
            self.outage.on_low(self.now);
        }
        self.outage.low_since = low.or(self.outage.low_since);
        match (before, line) {
            (Line::Mains | Line::Unknown, Line::Battery) => self.notes.push(Note::MainsLost),
            (Line::Battery, Line::Mains) => self.notes.push(Note::MainsBack),
            (Line::Mains | Line::Unknown, Line::Mains | Line::Unknown)
            | (Line::Battery, Line::Battery | Line::Unknown) => {}
        }
        self.watch_force(reading);
        self.watch_leftover(reading);
        self.watch_fit(line);
    }

    /// Notes whether the plan fits the battery, while the mains are there to ask.
    fn watch_fit(&mut self, line: Line) {
        if line != Line::Mains {
            return;
        }
        let Some(left) = self.gauge.runtime_left(self.now) else { return };
        self.outage.did_not_fit = left <= self.time_needed() + self.settings().reserve;
    }

    fn on_message(&mut self, message: &Arc<StateMessage>) {
        let host = &message.host;
        let silence = self.cluster.settings.built_in.fresh;
        let Some(peer) = self.peers.get_mut(host) else { return };
        if message.is_drill && !self.mistaken.makes(Mistake::DrillCounts) {
            // A rehearsal is a sign of life of a host that is in no shutdown, and nothing else.
            let up = StateMessage { phase: Phase::Up, shutdown: None, ..(**message).clone() };
            peer.on_message(self.now, &Arc::new(up), silence);
            return;
        }
        if !peer.on_message(self.now, message, silence) {
            return;
        }
        for (other, heard) in &message.heard {
            if let Some(peer) = self.peers.get_mut(other) {
                peer.on_repeated(self.now, heard);
            }
        }
        let is_up = message.phase == Phase::Up && message.planned.is_none();
        if is_up && self.up.get(host) != Some(&message.session.boot) {
            self.up.insert(host.clone(), message.session.boot.clone());
        }
        self.on_peer_reading(message);
        if self.stop_history.merge(&message.stop_times) {
            self.renew_plan();
        }
        for (other, entry) in &message.owed {
            if !self.is_settled(other, entry) {
                unite(&mut self.owed, other, entry);
            }
        }
        self.on_told(message);
    }

    fn on_peer_reading(&mut self, message: &StateMessage) {
        let limits = &self.cluster.settings.built_in;
        let Some(reading) = &message.reading else { return };
        if reading.line == Line::Unknown || reading.age >= limits.peer_fresh {
            return;
        }
        if message.host == self.cluster.ups.owner && reading.age < limits.fresh {
            self.outage.owner_read_at = self.now;
        }
        let own = self.gauge.line(self.now, limits);
        if own == Line::Unknown {
            self.outage.on_line(self.now.minus(reading.age), reading.line, reading.runtime_left);
        }
        if own != Line::Mains && reading.line == Line::Battery && reading.is_low {
            self.outage.on_low(self.now.minus(reading.age));
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Shutdown { operator, then_wake } => {
                let evidence = format!("ordered by {operator}");
                self.declare_order(Trigger::Operator, evidence, then_wake);
            }
            Command::CallOff { operator: _ } => self.call_off(),
            Command::Wake { operator: _, hosts } => self.owe_again(&hosts),
        }
    }

    /// An operator wants these hosts running: what was given up or intended is owed anew.
    fn owe_again(&mut self, hosts: &std::collections::BTreeSet<HostName>) {
        let known: Vec<HostName> = self.owed.keys().cloned().collect();
        let wanted = if hosts.is_empty() { known } else { hosts.iter().cloned().collect() };
        // The debt takes a number like a declaration: it must win over whatever was given up or
        // intended before, by whomever, and so must the next one.
        self.highest = self.highest.max(self.ended) + 1;
        for host in wanted.into_iter().filter(|host| self.cluster.host(host).is_some()) {
            let boot = self.boot_of(&host);
            let entry = Owed { boot, number: self.highest, debt: Debt::Due };
            unite(&mut self.owed, &host, &entry);
        }
    }
}
