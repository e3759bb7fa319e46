//! What is known of one other host, and what its silence proves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::record::{Leaving, LeavingRef};
use crate::{
    Answer, BootId, HeardOf, HostName, OffProof, OsStop, Phase, Session, Settings, StateMessage,
    Time,
};

/// How many ended boots of a peer are remembered, to tell an old message from a new boot.
const RETIRED: usize = 16;

/// Everything known of one other host.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that was seen of it")]
pub(crate) struct Peer {
    /// The newest session, heard at first hand or repeated by another.
    pub(crate) session: Option<Session>,
    sequence: u64,
    retired: Vec<BootId>,
    /// The last message of its own that counted.
    pub(crate) message: Option<Arc<StateMessage>>,
    /// When that came.
    pub(crate) heard_at: Option<Time>,
    /// When it last gave a sign, as told by whomever.
    known_at: Option<Time>,
    /// Its phase.
    pub(crate) phase: Option<Phase>,
    /// The planned stop that it said last.
    pub(crate) planned: Option<OsStop>,
    /// Its last report of mounts.
    pub(crate) mounts: Option<BTreeSet<HostName>>,
    /// Since when it is known to be leaving.
    pub(crate) leaving_since: Option<Time>,
    /// When its session ended, if it is not open.
    pub(crate) closed_at: Option<Time>,
    /// Since when all looks at it found nothing while the link worked.
    silent_since: Option<Time>,
    /// Since when all looks at it found ARP at the most while the link worked.
    lifeless_since: Option<Time>,
    looked_at: Option<Time>,
    /// Proven off since.
    pub(crate) off_since: Option<Time>,
    /// It has answered a look since it is leaving, so that its silence says more than that no look
    /// gets there.
    pub(crate) has_answered: bool,
    /// It was sent packets since it was last heard: it may run again, and be off no more.
    pub(crate) is_woken: bool,
    /// It fell silent without a word, and that was concluded.
    is_lost_told: bool,
    /// What it said in this agent's run was heard at least once, by whomever.
    pub(crate) is_known: bool,
    /// When another agent than the newest was last heard to speak as this host.
    pub(crate) doubled_at: Option<Time>,
}

impl Peer {
    /// Restores what the journal of this boot held of a leaving host; its silence counts anew.
    pub(crate) fn recover(now: Time, leaving: &Leaving) -> Self {
        Self {
            known_at: Some(now),
            session: Some(leaving.session.clone()),
            phase: Some(leaving.phase),
            planned: leaving.planned,
            mounts: leaving.mounts.clone(),
            leaving_since: Some(leaving.since),
            is_known: true,
            ..Self::default()
        }
    }

    /// Takes a message of the host itself; returns whether it counts.
    ///
    /// Two agents that speak as one host are a mistake of the operator: the newer boot counts, and
    /// the other again as soon as that one has not been heard for `silence`, or a host that runs
    /// would be taken for off.
    pub(crate) fn on_message(
        &mut self,
        now: Time,
        message: &Arc<StateMessage>,
        silence: Duration,
    ) -> bool {
        if self.retired.contains(&message.session.boot) {
            self.doubled_at = Some(now);
            if self.heard_at.is_none_or(|at| now.since(at) >= silence) {
                self.retired.retain(|boot| *boot != message.session.boot);
            }
        }
        // Another may have repeated of this very message before it came.
        let is_repeated = self.session.as_ref() == Some(&message.session)
            && self.sequence == message.sequence
            && self.message.as_ref().is_none_or(|known| {
                known.session != message.session || known.sequence < message.sequence
            });
        if !is_repeated && !self.admits(&message.session, message.sequence) {
            return false;
        }
        self.enter(&message.session, message.sequence);
        self.heard_at = Some(now);
        self.closed_at = None;
        self.on_phase(now, message.phase, message.planned);
        self.mounts.clone_from(&message.mounts);
        self.message = Some(Arc::clone(message));
        self.on_life(now);
        true
    }

    /// Takes what another host repeats of this one.
    pub(crate) fn on_repeated(&mut self, now: Time, heard: &HeardOf) {
        let at = now.minus(heard.age);
        // Boots have no order, only moments do: who repeats may not have heard of the newest yet.
        let is_other_boot =
            self.session.as_ref().is_some_and(|known| known.boot != heard.session.boot);
        let is_stale = is_other_boot && self.heard_at.max(self.known_at).is_some_and(|it| at <= it);
        if is_stale || !self.admits(&heard.session, heard.sequence) {
            return;
        }
        self.enter(&heard.session, heard.sequence);
        self.on_phase(at, heard.phase, heard.planned);
        self.mounts.clone_from(&heard.mounts);
        self.known_at = self.known_at.max(Some(at));
        self.is_known = true;
        if self.off_since.is_some_and(|off| at >= off) {
            self.off_since = None;
        }
    }

    /// Takes the end of the session.
    pub(crate) fn on_closed(&mut self, now: Time) {
        if self.heard_at.is_some() {
            self.closed_at.get_or_insert(now);
        }
    }

    /// Takes one look at whether the host is alive.
    pub(crate) fn on_probed(&mut self, now: Time, answer: Answer, link_works: bool) {
        self.looked_at = Some(now);
        if link_works && matches!(answer, Answer::ArpOnly | Answer::Silent) {
            self.lifeless_since.get_or_insert(now);
        } else {
            self.lifeless_since = None;
        }
        match answer {
            Answer::Alive => {
                self.has_answered = self.leaving_since.is_some();
                self.on_life(now);
            }
            // A network card answers ARP for a machine that has halted.
            Answer::ArpOnly if self.phase != Some(Phase::Halting) => self.on_arp(),
            Answer::ArpOnly | Answer::Silent if link_works => {
                self.silent_since.get_or_insert(now);
            }
            Answer::ArpOnly | Answer::Silent | Answer::Unknown => self.silent_since = None,
        }
    }

    /// Returns whether a session with the host is open and alive.
    pub(crate) fn is_connected(&self, now: Time, settings: &Settings) -> bool {
        self.closed_at.is_none()
            && self.heard_at.is_some_and(|at| now.since(at) < settings.built_in.off_silence)
    }

    /// Returns since when the host has been without a session; none while it has one.
    fn quiet_since(&self, now: Time, settings: &Settings) -> Option<Time> {
        if self.is_connected(now, settings) {
            return None;
        }
        self.last_sign().or_else(|| Some(Time::default()))
    }

    /// Returns whether the host has been silent for `span`: without a session and, where the
    /// network is the proof, without an answer to any look.
    pub(crate) fn is_silent_for(&self, now: Time, span: Duration, settings: &Settings) -> bool {
        let Some(quiet_since) = self.quiet_since(now, settings) else { return false };
        if now.since(quiet_since) < span {
            return false;
        }
        match settings.off_proof {
            OffProof::Session => true,
            OffProof::Network => {
                let is_watched = self
                    .looked_at
                    .is_some_and(|at| now.since(at) <= settings.built_in.frame_window);
                is_watched && self.silent_since.is_some_and(|at| now.since(at) >= span)
            }
        }
    }

    /// Returns whether the host has been silent for `span` but for ARP, which a network card may
    /// answer for a machine that is off: that proves nothing to who waits for it, but somebody
    /// may have to wake it.
    pub(crate) fn is_lifeless_for(&self, now: Time, span: Duration, settings: &Settings) -> bool {
        if self.is_silent_for(now, span, settings) {
            return true;
        }
        let is_watched =
            self.looked_at.is_some_and(|at| now.since(at) <= settings.built_in.frame_window);
        is_watched
            && self.is_quiet_for(now, span, settings)
            && self.lifeless_since.is_some_and(|at| now.since(at) >= span)
    }

    /// Returns whether nothing was heard of the host for `span`, by whatever way but ARP, though
    /// that may prove nothing.
    pub(crate) fn is_quiet_for(&self, now: Time, span: Duration, settings: &Settings) -> bool {
        self.quiet_since(now, settings).is_some_and(|since| now.since(since) >= span)
    }

    /// Returns when the host was last known to be there.
    pub(crate) fn last_sign(&self) -> Option<Time> {
        self.heard_at.max(self.known_at).max(self.leaving_since)
    }

    /// Returns since when the host is silent, where that is known.
    fn silence_began(&self, settings: &Settings) -> Option<Time> {
        let quiet = self.last_sign();
        match settings.off_proof {
            OffProof::Session => quiet,
            OffProof::Network => self.silent_since.max(quiet),
        }
    }

    /// Draws the conclusions of the time that has passed; returns what has just become true.
    ///
    /// `stop_time` is the time that a host that fell silent without a word is given.
    pub(crate) fn settle(
        &mut self,
        now: Time,
        stop_time: Duration,
        settings: &Settings,
    ) -> Option<Conclusion> {
        if self.off_since.is_some() || !self.is_known {
            return None;
        }
        if !self.is_silent_for(now, settings.built_in.off_silence, settings) {
            return None;
        }
        let began = self.silence_began(settings)?;
        if self.is_leaving() {
            self.off_since = Some(now);
            // How long a stop by hand is waited for is no measure of one in a shutdown.
            let since = self.leaving_since.filter(|_| self.planned.is_none());
            let took = since.map(|since| began.since(since));
            return Some(Conclusion::Off { took });
        }
        if now.since(began) >= stop_time {
            self.off_since = Some(now);
            return Some(Conclusion::Off { took: None });
        }
        let is_news = !std::mem::replace(&mut self.is_lost_told, true);
        is_news.then_some(Conclusion::Lost)
    }

    /// Returns when [`Peer::settle`] could next conclude something, if nothing else happens.
    pub(crate) fn next_look(&self, stop_time: Duration, settings: &Settings) -> Option<Time> {
        if self.off_since.is_some() || !self.is_known {
            return None;
        }
        let began = self.silence_began(settings)?;
        let least = began + settings.built_in.off_silence;
        if self.is_leaving() {
            return Some(least);
        }
        Some(least.max(began + stop_time))
    }

    /// Returns whether the host said last that its OS goes down.
    pub(crate) fn is_leaving(&self) -> bool {
        self.phase.is_some_and(Phase::has_begun) || self.planned.is_some()
    }

    /// Returns whether the host fell silent without ever having said that it stops. Of whom nothing
    /// was ever heard but answers of its network card, nobody knows that it ran.
    pub(crate) fn is_lost(&self, now: Time, settings: &Settings) -> bool {
        self.session.is_some()
            && self.is_known
            && !self.is_leaving()
            && self.is_lifeless_for(now, settings.built_in.off_silence, settings)
    }

    /// Returns what the journal should hold of the host while it is leaving.
    pub(crate) fn leaving(&self) -> Option<LeavingRef<'_>> {
        let phase = self.phase.filter(|_| self.is_leaving())?;
        let (session, mounts) = (self.session.as_ref()?, self.mounts.as_ref());
        let (planned, since) = (self.planned, self.leaving_since?);
        Some(LeavingRef { session, phase, planned, mounts, since })
    }

    /// Returns what this host repeats of the other, from what it heard itself.
    pub(crate) fn repeated(&self, now: Time) -> Option<HeardOf> {
        let message = self.message.as_ref()?;
        Some(HeardOf {
            session: message.session.clone(),
            sequence: message.sequence,
            phase: message.phase,
            planned: message.planned,
            mounts: message.mounts.clone(),
            age: now.since(self.heard_at?),
        })
    }

    /// Returns whether a message of `session` is newer than all that is known.
    fn admits(&self, session: &Session, sequence: u64) -> bool {
        let Some(known) = &self.session else { return true };
        if known.boot == session.boot {
            // The sequence rises through a whole boot; a start number falls with a lost journal.
            return sequence > self.sequence;
        }
        // A boot that was already left behind never comes back.
        !self.retired.contains(&session.boot)
    }

    fn enter(&mut self, session: &Session, sequence: u64) {
        self.sequence = sequence;
        if self.session.as_ref() == Some(session) {
            return;
        }
        let is_other_boot = self.session.as_ref().is_some_and(|known| known.boot != session.boot);
        if is_other_boot {
            self.leaving_since = None;
            self.phase = None;
            self.planned = None;
            self.off_since = None;
            self.has_answered = false;
            self.is_woken = false;
        }
        if let Some(known) = self.session.replace(session.clone()).filter(|_| is_other_boot) {
            if self.retired.len() >= RETIRED {
                self.retired.remove(0);
            }
            self.retired.push(known.boot);
        }
    }

    fn on_phase(&mut self, at: Time, phase: Phase, planned: Option<OsStop>) {
        (self.phase, self.planned) = (Some(phase), planned);
        if self.is_leaving() {
            self.leaving_since.get_or_insert(at);
        } else {
            self.leaving_since = None;
            self.has_answered = false;
        }
    }

    fn on_life(&mut self, now: Time) {
        self.known_at = self.known_at.max(Some(now));
        self.lifeless_since = None;
        self.is_woken = false;
        self.on_arp();
    }

    /// Takes a sign that no silence can outweigh, though it may be of the network card alone.
    fn on_arp(&mut self) {
        self.silent_since = None;
        self.off_since = None;
        self.is_lost_told = false;
        self.is_known = true;
    }
}

/// What the silence of a host has come to prove.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Conclusion {
    /// It is off; it took this long from `stopping` to its last sign, where both were seen.
    Off {
        /// The stop time.
        took: Option<Duration>,
    },
    /// It fell silent without ever having said `stopping`.
    Lost,
}
