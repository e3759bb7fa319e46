//! Whether a shutdown that has ended left anything behind.

use std::collections::BTreeSet;

use super::begin::Calling;
use super::{Coordinator, Start};
use crate::{HostName, Line};

impl Coordinator {
    /// Returns whether nothing of any shutdown is left: whether this coordinator is, in all that
    /// belongs to one, what a freshly built one with the same file, history and `ended` is.
    ///
    /// A trigger that holds at this very moment belongs to the next shutdown, and who is owed to
    /// the recovery, which goes on after the end.
    pub fn is_rearmed(&self) -> bool {
        let mut saved = self.saved.clone();
        saved.shutdown = None;
        saved.begun = None;
        saved.ended = self.ended;
        let start = Start {
            cluster: self.cluster.clone(),
            me: self.me.clone(),
            session: self.session.clone(),
            version: self.version.clone(),
            saved: Some(saved),
            is_journal_lost: false,
        };
        let (mut fresh, _) = Self::recover(start, self.now);
        // That belongs to the run of the agent: its journal was lost.
        fresh.calling.is_resumed = self.calling.is_resumed;
        // And that to its end, if somebody stops the machine outside of any shutdown.
        fresh.is_halting = self.is_halting && self.planned_stop().is_some();
        self.of_shutdown() == fresh.of_shutdown()
            && self.ended == fresh.ended
            && self.triggers.are_newer_than(self.now)
            && (self.own_line() != Line::Mains || self.outage.low_since.is_none())
    }

    /// Returns what belongs to a shutdown, but for the triggers.
    fn of_shutdown(&self) -> OfShutdown<'_> {
        OfShutdown {
            is_open: self.shutdown.is_some(),
            has_begun: self.begun.is_some(),
            calling: &self.calling,
            is_halting: self.is_halting,
            is_paused: self.is_paused,
            released: &self.released,
            asked_about: &self.asked_about,
            has_heard_blind: self.blind_heard.is_some(),
        }
    }
}

/// What belongs to a shutdown: a field that does not end with it is a bug.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, only compared")]
#[derive(Eq, PartialEq)]
struct OfShutdown<'a> {
    is_open: bool,
    has_begun: bool,
    calling: &'a Calling,
    is_halting: bool,
    is_paused: bool,
    released: &'a BTreeSet<HostName>,
    asked_about: &'a BTreeSet<HostName>,
    has_heard_blind: bool,
}
