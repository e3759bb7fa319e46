//! A second agent that speaks as a host of the cluster: somebody copied a certificate.

use std::sync::Arc;

use curfew_coordinator::{BootId, Coordinator, Event, Session, Start, Time};

use super::{BEAT, Happening, World};

/// An agent on a machine that is none of the cluster's. It reads the UPS, tells its state to all,
/// hears nobody, and nothing that it wants done is done.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Stranger {
    host: usize,
    agent: Coordinator,
    since: u64,
    until: u64,
}

impl World {
    pub(super) fn let_stranger_speak(&mut self, host: usize, span: u64) {
        let boot = BootId::from(format!("stranger-{}", self.strangers.len()));
        let start = Start {
            cluster: self.cluster.clone(),
            me: self.machine(host).name.clone(),
            session: Session { boot, start: 1 },
            version: "simulated".to_owned(),
            saved: None,
            is_journal_lost: false,
        };
        let (agent, _) = self.recover(start, Time::from_millis(0));
        let stranger = self.strangers.len();
        let (since, until) = (self.now, self.now + span);
        self.strangers.push(Stranger { host, agent, since, until });
        self.after(BEAT, Happening::StrangerBeats { stranger });
    }

    pub(super) fn stranger_beats(&mut self, stranger: usize) {
        let now = self.now;
        let load = self.load();
        let reading = self.ups.reading(now, load);
        let Some(it) = self.strangers.get_mut(stranger) else { return };
        if now > it.until {
            return;
        }
        let clock = Time::from_millis(now - it.since);
        if let Some(reading) = reading {
            let _ignored = it.agent.handle(clock, Event::ReadingTaken(reading));
        }
        let message = Arc::new(it.agent.message(clock));
        let host = it.host;
        let latency = self.network.truth.latency;
        for to in self.hosts() {
            if to != host && self.machine(to).agent.is_some() {
                let message = Arc::clone(&message);
                self.after(latency, Happening::Delivered { to, message });
            }
        }
        self.after(BEAT, Happening::StrangerBeats { stranger });
    }
}
