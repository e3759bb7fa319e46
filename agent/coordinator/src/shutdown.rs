//! One numbered shutdown, as this host knows it, and how two accounts of it are united.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::Schedule;
use crate::record::SavedShutdown;
use crate::{Cause, HostName, Reason, Standing, Time, ToldShutdown, Trigger};

/// The shutdown that is open on this host.
///
/// ```text
///               declared here or heard
///   (none) ──────────────────────────────▶ Declared ──── turned, or heard turned ───▶ Returning
///                                             │ boot                                     │
///                                             ▼                                          ▼
///                                          Recorded ─── heard turned ──▶ Returning     ended
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Shutdown {
    /// Its number.
    pub(crate) number: u64,
    /// Where it stands here.
    pub(crate) standing: Standing,
    /// All reasons known.
    pub(crate) reasons: BTreeSet<Reason>,
    /// The plan that all follow.
    pub(crate) plan: Schedule,
    /// Who made it.
    pub(crate) planner: HostName,
    /// Who takes part.
    pub(crate) participants: BTreeSet<HostName>,
    /// The end of the battery that this host assumed when a trigger of its own held.
    pub(crate) assumed_end: Option<Time>,
    /// The end of the battery by the message from which it was latched.
    pub(crate) told_end: Option<Time>,
    /// The ends of the battery that others told, each by its own reckoning.
    pub(crate) carried_ends: BTreeMap<HostName, Time>,
    /// When it was latched.
    pub(crate) latched_at: Time,
    /// The time left then.
    pub(crate) left_at_latch: Option<Duration>,
    /// The plan did not fit the battery then.
    pub(crate) is_compressed: bool,
}

impl Shutdown {
    /// Restores a shutdown from the journal.
    ///
    /// In another boot than the one in which it was latched it is only recorded: it serves
    /// recovery, never a stop.
    pub(crate) fn recover(saved: &SavedShutdown, is_same_boot: bool) -> Self {
        let standing = match saved.standing {
            Standing::Declared if !is_same_boot => Standing::Recorded,
            standing @ (Standing::Declared | Standing::Recorded | Standing::Returning) => standing,
        };
        Self {
            number: saved.number,
            standing,
            reasons: saved.reasons.clone(),
            plan: Schedule::from(Arc::clone(&saved.plan)),
            planner: saved.planner.clone(),
            participants: saved.participants.clone(),
            assumed_end: saved.end.filter(|_| is_same_boot),
            told_end: None,
            carried_ends: BTreeMap::new(),
            latched_at: if is_same_boot { saved.latched_at } else { Time::default() },
            left_at_latch: saved.left_at_latch,
            is_compressed: saved.is_compressed,
        }
    }

    /// Makes the account of a shutdown that was only heard of.
    pub(crate) fn from_told(now: Time, told: &ToldShutdown, standing: Standing) -> Self {
        Self {
            number: told.number,
            standing,
            reasons: told.reasons.clone(),
            plan: Schedule::from(Arc::clone(&told.plan)),
            planner: told.planner.clone(),
            participants: told.participants.clone(),
            assumed_end: None,
            told_end: told.time_left.map(|left| now + left),
            carried_ends: BTreeMap::new(),
            latched_at: now,
            // Judged by this host's own reckoning, as soon as it has an end of the battery.
            left_at_latch: None,
            is_compressed: false,
        }
    }

    /// Returns what the journal holds of it.
    pub(crate) fn saved(&self) -> SavedShutdown {
        SavedShutdown {
            number: self.number,
            standing: self.standing,
            reasons: self.reasons.clone(),
            plan: Arc::clone(self.plan.plan()),
            planner: self.planner.clone(),
            participants: self.participants.clone(),
            end: self.saved_end(),
            latched_at: self.latched_at,
            left_at_latch: self.left_at_latch,
            is_compressed: self.is_compressed,
        }
    }

    /// Returns whether the journal holds just that.
    pub(crate) fn is_saved_as(&self, saved: &SavedShutdown) -> bool {
        let SavedShutdown {
            number,
            standing,
            reasons,
            plan,
            planner,
            participants,
            end,
            latched_at,
            left_at_latch,
            is_compressed,
        } = saved;
        *number == self.number
            && *standing == self.standing
            && *reasons == self.reasons
            && plan == self.plan.plan()
            && *planner == self.planner
            && *participants == self.participants
            && *end == self.saved_end()
            && *latched_at == self.latched_at
            && *left_at_latch == self.left_at_latch
            && *is_compressed == self.is_compressed
    }

    fn saved_end(&self) -> Option<Time> {
        // Carried ends shift by milliseconds with each message: the first one is kept.
        let carried = || self.carried_ends.values().copied().min();
        self.assumed_end.or(self.told_end).or_else(carried)
    }

    /// Unites the account that a peer told of the same number with this one: reasons,
    /// participants, plan. Where it stands is decided elsewhere.
    pub(crate) fn unite(&mut self, told: &ToldShutdown) {
        if !self.reasons.is_superset(&told.reasons) {
            self.reasons.extend(told.reasons.iter().cloned());
        }
        if !self.participants.is_superset(&told.participants) {
            self.participants.extend(told.participants.iter().cloned());
        }
        if self.planner == told.planner {
            return;
        }
        if self.ranks_before(&told.planner) {
            self.plan.unite(&told.plan);
        } else {
            let ours = Arc::clone(self.plan.plan());
            self.plan = Schedule::from(Arc::clone(&told.plan));
            self.plan.unite(&ours);
            self.planner.clone_from(&told.planner);
        }
    }

    /// Takes over who took part in a shutdown that this one supersedes, and how to wake a host that
    /// only its plan still knows.
    pub(crate) fn inherit(&mut self, superseded: &Self) {
        self.participants.extend(superseded.participants.iter().cloned());
        if superseded.participants.iter().any(|host| !self.plan.hosts.contains_key(host)) {
            self.plan.unite(&superseded.plan);
        }
    }

    /// The plan is the owner's, else that of the declarer whose name sorts first.
    fn ranks_before(&self, planner: &HostName) -> bool {
        let owner = &self.plan.owner;
        (self.planner != *owner, &self.planner) < (planner != owner, planner)
    }

    /// Returns whether an order stands among the reasons.
    pub(crate) fn has_order(&self) -> bool {
        self.reasons.iter().any(|reason| reason.cause == Cause::Order)
    }

    /// Returns whether the battery gave a reason.
    pub(crate) fn has_battery_reason(&self) -> bool {
        self.reasons.iter().any(|reason| reason.cause == Cause::Battery)
    }

    /// Returns whether an order asks to wake everything when it is done.
    pub(crate) fn wakes_after(&self) -> bool {
        self.reasons.iter().any(|reason| reason.then_wake)
    }

    /// Returns what it rests on, in one word: an order is never weakened by a battery.
    pub(crate) fn cause(&self) -> Cause {
        if self.has_order() { Cause::Order } else { Cause::Battery }
    }
}

/// Returns whether the only reasons told are those of hosts that saw nothing.
pub(crate) fn is_blind(told: &ToldShutdown) -> bool {
    told.reasons.iter().all(|reason| reason.trigger == Trigger::Blind)
}
