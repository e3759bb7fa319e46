//! What an agent's drivers see of the world, once a beat.

use std::collections::BTreeMap;

use curfew_coordinator::{Answer, Event, Link};

use super::{BEAT, Happening, World};

impl World {
    /// Lets an agent look at everything that its drivers look at once a beat, and tell its state.
    pub(super) fn beat(&mut self, host: usize, run: u64) {
        if self.machine(host).runs != run || self.machine(host).agent.is_none() {
            return;
        }
        self.after(BEAT, Happening::Beat { host, run });
        self.tell_reading(host);
        self.tell_exports(host);
        let is_busy = !self.machine(host).watch.alive.is_empty();
        if is_busy || !self.ups.has_mains {
            self.tell(host, Event::LinkSeen(self.link_of(host)));
        }
        if is_busy {
            self.tell_clients(host);
        }
        let watch = self.machine(host).watch.clone();
        for other in watch.alive {
            let Some(place) = self.find(&other) else { continue };
            let answer = self.answer_of(host, place);
            self.tell(host, Event::HostProbed { host: other, answer });
        }
        for (other, _) in watch.ready {
            let Some(place) = self.find(&other) else { continue };
            let is_ready = self.is_linked(host, place) && self.machine(place).serves(self.now);
            self.tell(host, Event::ReadyProbed { host: other, is_ready });
        }
        self.send_beat(host);
    }

    /// Returns whether `upsd` would answer a host with data now.
    pub fn can_read(&self, host: usize) -> bool {
        let owner = self.owner;
        let is_linked = host == owner || self.is_linked(host, owner);
        is_linked
            && self.machine(owner).runs_upsd()
            && self.now >= self.machine(host).upsd_gone_until
            && self.ups.is_readable(self.now)
    }

    fn tell_reading(&mut self, host: usize) {
        let now = self.now;
        let load = self.load();
        let answers = self.can_read(host);
        let reading = if answers { self.ups.reading(now, load) } else { None };
        self.tell(
            host,
            match reading {
                Some(reading) => Event::ReadingTaken(reading),
                None => Event::ReadingMissed(String::new()),
            },
        );
    }

    /// Tells what has changed: a fact that is told again is the same fact.
    fn tell_exports(&mut self, host: usize) {
        let serves = self.machine(host).serves(self.now);
        let machine = self.machine_mut(host);
        if machine.is_server && machine.told_exports != Some(serves) {
            machine.told_exports = Some(serves);
            self.tell(host, Event::ExportsProbed(serves));
        }
    }

    pub(super) fn tell_mounts(&mut self, host: usize) {
        let machine = self.machine(host);
        let mounts = (!machine.has_unread_mounts).then(|| machine.mounts.clone());
        self.tell(host, Event::MountsRead(mounts));
    }

    /// A file server looks at its clients.
    fn tell_clients(&mut self, host: usize) {
        let server = self.machine(host);
        if !server.is_server {
            return;
        }
        let name = server.name.clone();
        let seen: BTreeMap<_, _> = self
            .machines
            .iter()
            .filter(|it| it.name != name)
            .map(|it| (it.name.clone(), it.mounts.contains(&name)))
            .collect();
        self.tell(host, Event::ClientsSeen(seen));
    }

    fn has_switch(&self) -> bool {
        self.ups.has_mains || (self.network.truth.is_on_ups && self.ups.has_output)
    }

    /// Returns whether its network card sees a switch.
    pub fn has_carrier(&self, host: usize) -> bool {
        self.has_switch() && !self.machine(host).is_unplugged
    }

    /// Returns whether anything gets from one host to the other.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        let has_cuts = !self.network.cuts.is_empty();
        self.has_carrier(from)
            && self.has_carrier(to)
            && !(has_cuts && self.network.cuts.contains(&(from, to)))
    }

    /// Returns whether the two hosts can talk.
    pub fn is_linked(&self, one: usize, other: usize) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    fn link_of(&self, host: usize) -> Link {
        let hears =
            |other: usize| other != host && self.machine(other).runs() && self.passes(other, host);
        let has_carrier = self.has_carrier(host);
        Link {
            has_carrier: Some(has_carrier),
            heard_frame: Some(self.hosts().any(hears)),
            heard_gateway: Some(self.ups.has_mains && has_carrier),
        }
    }

    fn answer_of(&self, host: usize, other: usize) -> Answer {
        let machine = self.machine(other);
        if !self.is_linked(host, other) {
            Answer::Silent
        } else if machine.runs() && machine.stop.is_none_or(|stop| !stop.is_at_hook) {
            Answer::Alive
        } else if machine.truth.answers_arp {
            Answer::ArpOnly
        } else {
            Answer::Silent
        }
    }
}
