//! What an agent's drivers see of the world, once a beat.

use std::collections::BTreeMap;

use curfew_coordinator::{Answer, ClientSight, Event, Link};

use super::{BEAT, Happening, World};

/// How long a client may be silent before its server takes it for gone: the kernel's default.
const LEASE: u64 = 90 * BEAT;

/// Every how many beats an agent looks at a machine whose agent is absent.
const LOOK_AT_ABSENT: u64 = 60;

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
        } else {
            self.machine_mut(host).renewals.clear();
        }
        let watch = self.machine(host).watch.clone();
        for other in watch.alive {
            let Some(place) = self.find(&other) else { continue };
            let answer = self.answer_of(host, place);
            self.tell(host, Event::HostProbed { host: other, answer });
        }
        let is_minute = (self.now / BEAT).is_multiple_of(LOOK_AT_ABSENT);
        for other in watch.absent.into_iter().filter(|_| is_minute) {
            let Some(place) = self.find(&other) else { continue };
            let answer = self.answer_of(host, place);
            self.tell(host, Event::AbsentProbed { host: other, answer });
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
        if !self.machine(host).is_server {
            return;
        }
        let others = self.hosts().filter(|other| *other != host);
        let seen: BTreeMap<_, _> = others
            .map(|other| (self.machine(other).name.clone(), self.sight_of(host, other)))
            .collect();
        let heard: Vec<_> = self.hosts().filter(|other| self.renews(host, *other)).collect();
        for other in heard {
            let name = self.machine(other).name.clone();
            let now = self.now;
            self.machine_mut(host).renewals.insert(name, now);
        }
        self.tell(host, Event::ClientsSeen(seen));
    }

    /// Returns what a server sees of another host: who went without unmounting, or cannot be
    /// reached, stays on its list and is stale after a lease.
    fn sight_of(&self, server: usize, other: usize) -> ClientSight {
        let (server, client) = (self.machine(server), self.machine(other));
        let is_listed =
            client.mounts.contains(&server.name) || client.left_behind.contains(&server.name);
        let renewed = server.renewals.get(&client.name).copied().unwrap_or(self.now);
        match is_listed {
            false => ClientSight::Nothing,
            true if self.now - renewed >= LEASE => ClientSight::Stale,
            true => ClientSight::Present,
        }
    }

    /// Returns whether a server hears of a client now; also of one that it sees for the first time.
    fn renews(&self, server: usize, other: usize) -> bool {
        let (from, client) = (self.machine(server), self.machine(other));
        let is_new = !from.renewals.contains_key(&client.name);
        is_new || client.mounts.contains(&from.name) && self.is_linked(server, other)
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
