//! The tier of the foreign `upsmon` clients: what they get between the owner's begin and its call.
//!
//! Their time is in `time-needed`, so that the trigger comes by it earlier. It moves no latest
//! start: dependents that have used it up keep their server for as long as before, since their data
//! are on it, and the foreign clients then have what the owner's own stop takes.

use std::time::Duration;

use super::Coordinator;
use crate::{Action, ForeignTier, Note, Time};

impl Coordinator {
    /// Returns what foreign clients get before the OS is called now: of `foreign-stop` what is left
    /// since they were sent down, and no more than until this host's latest start. An order has no
    /// such limit.
    pub(super) fn foreign_tier(&self, sent_at: Option<Time>) -> ForeignTier {
        if !self.is_owner() {
            return ForeignTier::default();
        }
        let most = self.settings().foreign_stop;
        let spent = sent_at.map_or(Duration::ZERO, |at| self.now.since(at));
        let left = most.saturating_sub(spent);
        let wait = self.latest_start().map_or(left, |latest| left.min(self.now.until(latest)));
        ForeignTier { wait, is_sent: sent_at.is_some() }
    }

    pub(super) fn on_foreign_sent(&mut self, clients: u32) {
        let now = self.now;
        let Some(begun) = self.begun.as_mut() else { return };
        if begun.foreign_sent_at.is_none() {
            begun.foreign_sent_at = Some(now);
            self.notes.push(Note::ForeignSent { clients });
        }
    }

    /// The battery may fall faster than it was reckoned with when the call was made.
    pub(super) fn hurry(&mut self) {
        if self.calling.foreign_wait.is_zero() {
            return;
        }
        match self.latest_start() {
            Some(latest) if latest <= self.now => {
                self.calling.foreign_wait = Duration::ZERO;
                self.actions.push(Action::Hurry);
            }
            Some(latest) => self.wake_at(latest),
            None => {}
        }
    }
}
