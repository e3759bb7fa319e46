//! Absence: a machine that runs without its agent is said, since in an outage nobody stops it.
//!
//! Looked at in calm times only, and apart from all else that is known of a host: nothing here is a
//! sign of life to any rule, and no order depends on it. A boot answers before its agent does, so
//! that the machine must have answered for as long as the agent was missed.

use std::time::Duration;

use super::Coordinator;
use crate::peer::Peer;
use crate::{Absence, Answer, HostName, Note, OffProof, Time};

/// One packet may be lost: so many looks in a row without an answer are a machine that is away.
const MISSED_LOOKS: u8 = 2;

/// What was seen of a host whose agent is silent.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Sight {
    /// Since when the machine answers.
    answering_since: Option<Time>,
    /// The looks since its last answer.
    missed: u8,
    /// That it runs without its agent was noted; until the agent is heard.
    is_noted: bool,
}

impl Sight {
    fn on_look(&mut self, now: Time, answer: Answer) {
        match answer {
            Answer::Alive => {
                self.answering_since.get_or_insert(now);
                self.missed = 0;
            }
            // A network card answers ARP for a machine that is off.
            Answer::ArpOnly | Answer::Silent => {
                self.missed = self.missed.saturating_add(1);
                if self.missed >= MISSED_LOOKS {
                    self.answering_since = None;
                }
            }
            Answer::Unknown => self.forget(),
        }
    }

    /// What was seen says nothing of now.
    const fn forget(&mut self) {
        (self.answering_since, self.missed) = (None, 0);
    }
}

impl Coordinator {
    /// Takes a look at a machine whose agent is silent.
    pub(super) fn on_absent_probed(&mut self, host: HostName, answer: Answer) {
        // One that was under way when the times changed says nothing.
        if self.watch.absent.contains(&host) {
            self.absent.entry(host).or_default().on_look(self.now, answer);
        }
    }

    /// Returns whether an absent host is looked at: not before a session had the time to open.
    pub(super) fn is_absent(&self, host: &HostName) -> bool {
        let settings = self.settings();
        let is_connected = |peer: &Peer| peer.is_connected(self.now, settings);
        settings.off_proof == OffProof::Network
            && self.peers.get(host).is_some_and(|peer| !is_connected(peer))
            && self.agent_is_silent_for(host, settings.built_in.absent_silence)
    }

    /// Notes who has come to be without an agent, and who has one again.
    pub(super) fn judge_absence(&mut self, is_calm: bool) {
        let settings = &self.cluster.settings;
        let (now, peers, notes) = (self.now, &self.peers, &mut self.notes);
        self.absent.retain(|host, sight| {
            let is_back = peers.get(host).is_none_or(|peer| peer.is_connected(now, settings));
            if is_back && sight.is_noted {
                notes.push(Note::AgentBack { host: host.clone() });
            }
            if !is_calm {
                sight.forget();
            }
            !is_back
        });
        let missing = self.absent.iter().filter(|(host, sight)| {
            !sight.is_noted && self.absence(host) == Some(Absence::WithoutAgent)
        });
        for host in missing.map(|(host, _)| host.clone()).collect::<Vec<_>>() {
            self.absent.entry(host.clone()).or_default().is_noted = true;
            self.notes.push(Note::WithoutAgent { host });
        }
    }

    /// Returns what the silence of the agent of `host` has come to mean.
    pub(super) fn absence(&self, host: &HostName) -> Option<Absence> {
        let sight = self.absent.get(host)?;
        if sight.missed >= MISSED_LOOKS {
            return Some(Absence::NoMachine);
        }
        let span = self.settings().built_in.agent_absent;
        let answers = sight.answering_since.is_some_and(|at| self.now.since(at) >= span);
        let is_silent = self.agent_is_silent_for(host, self.patience(host, span));
        (answers && is_silent).then_some(Absence::WithoutAgent)
    }

    /// Returns whether nobody who is heard has heard the agent of `host` for `span`, this one
    /// included: heard by another it is there, and what is wrong lies between it and this host.
    fn agent_is_silent_for(&self, host: &HostName, span: Duration) -> bool {
        let own = self.peers.get(host).and_then(|peer| peer.heard_at);
        let told = self.peers.values().filter_map(|peer| {
            let heard = peer.message.as_ref()?.heard.get(host)?;
            Some(peer.heard_at?.minus(heard.age))
        });
        let last = told.chain(own).fold(self.started_at, Time::max);
        self.now.since(last) >= span
    }

    /// Who goes down by plan, and may boot again, answers on its way, too.
    fn patience(&self, host: &HostName, span: Duration) -> Duration {
        let is_planned = self.planned.contains_key(host);
        if is_planned { span.max(self.settings().wake_timeout) } else { span }
    }

    /// Returns whether the machine of a host whose agent is silent answers.
    pub(super) fn answers_without_agent(&self, host: &HostName) -> bool {
        self.absent.get(host).is_some_and(|sight| sight.answering_since.is_some())
    }
}
