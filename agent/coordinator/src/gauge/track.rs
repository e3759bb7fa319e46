//! One number of the UPS: what its driver updates said, and what of it counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Time;

/// What one driver update said.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(super) struct Update {
    /// The number as it came.
    pub(super) value: u64,
    /// When it was first seen.
    pub(super) at: Time,
    /// What has run down since.
    used: u64,
}

/// A number over time. What makes it count stands in the parent's documentation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(super) struct Track {
    counting: Option<Update>,
    latest: Option<Update>,
    /// Since when `latest` has been seen without a break.
    held_since: Time,
    absent_since: Option<Time>,
}

impl Update {
    fn left(self) -> u64 {
        self.value.saturating_sub(self.used)
    }
}

impl Track {
    /// Returns what counts, as it was run down last.
    pub(super) fn counting(&self) -> Option<u64> {
        self.counting.map(Update::left)
    }

    /// Returns the update that counts.
    pub(super) fn update(&self) -> Option<Update> {
        self.counting
    }

    /// Returns whether no update has come since `at`.
    pub(super) fn is_older_than(&self, at: Time) -> bool {
        self.latest.is_none_or(|latest| latest.at < at)
    }

    /// Takes up what a reading says; `is_unbroken` if it follows closely on the one before.
    pub(super) fn observe(
        &mut self,
        now: Time,
        value: Option<u64>,
        is_unbroken: bool,
        confirm: Duration,
    ) {
        let Some(value) = value else {
            self.absent_since.get_or_insert(now);
            return;
        };
        let was_absent = self.absent_since.take().is_some();
        let Some(latest) = self.latest.filter(|latest| latest.value == value) else {
            return self.on_change(Update { value, at: now, used: 0 });
        };
        if was_absent || !is_unbroken {
            self.held_since = now;
        }
        if now.since(self.held_since) >= confirm {
            self.counting = Some(latest);
        }
    }

    /// Lets the update of this very moment, if there is one below `limit`, count at once.
    pub(super) fn count_new(&mut self, now: Time, limit: u64) {
        if let Some(latest) = self.latest.filter(|new| new.at == now && new.value < limit) {
            self.counting = Some(latest);
        }
    }

    /// Runs all down by `amount`.
    pub(super) fn run_down(&mut self, amount: u64) {
        for update in [&mut self.counting, &mut self.latest].into_iter().flatten() {
            update.used = update.used.saturating_add(amount);
        }
    }

    /// Gives back what mains for `millis` have charged.
    pub(super) fn give_back(&mut self, millis: u64) {
        for update in [&mut self.counting, &mut self.latest].into_iter().flatten() {
            update.used = update.used.saturating_sub(millis / CHARGE_SLOWNESS);
        }
    }

    /// Forgets all if the number has been absent for `span`.
    pub(super) fn forget_if_absent(&mut self, now: Time, span: Duration) {
        if self.absent_since.is_some_and(|since| now.since(since) >= span) {
            *self = Self { absent_since: self.absent_since, ..Self::default() };
        }
    }

    fn on_change(&mut self, new: Update) {
        self.counting = match (self.counting, self.latest) {
            (Some(counting), Some(before)) => Some(median(counting, before, new)),
            (None, Some(before)) if before.left() > new.left() => Some(before),
            (None, Some(_)) => Some(new),
            (counting, None) => counting,
        };
        self.held_since = new.at;
        self.latest = Some(new);
    }
}

/// A battery charges about this many times slower than it empties: 5 to 10 hours against half an
/// hour, and the cautious side of that.
const CHARGE_SLOWNESS: u64 = 10;

/// Returns the update that leaves neither the most nor the least; of equals the newest.
fn median(counting: Update, before: Update, new: Update) -> Update {
    let mut by_left = [counting, before, new];
    by_left.sort_by_key(|update| (update.left(), update.at));
    let [_, middle, _] = by_left;
    middle
}
