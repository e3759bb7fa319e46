//! Our own estimate of the runtime left, from how fast the charge falls.
//!
//! A straight line from the first *step* seen on battery (not from the transfer) to the last one,
//! extended to 0 %. What happens before the first step is left out: the voltage sags at the
//! transfer, and a full battery says 100 % for a while; both bend the line. The base is no step of
//! the three, so the estimate counts at the fourth change at the earliest, and `estimate_after`
//! runs from the base too.
//!
//! It sees only charges that count, so that one lying update never bends it, and takes the moment
//! when such a charge was first seen, not the later one when it was confirmed. Whole percents hide
//! less than one step at either end: a fall of `n` was truly more than `n − 1`. With three steps
//! the line therefore ends no earlier than after two thirds of the true time, less what the last
//! percent hides, and with more it comes closer. That keeps it above half of the truth, where
//! nothing may be declared.
//!
//! A rise of the charge, or a load that changed by a quarter, makes it start anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::track::Update;
use crate::Time;
use crate::time::millis;

/// The fall of the charge in this outage, at this load.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(super) struct Estimate {
    /// The charge from which the next step leads down.
    current: Option<u64>,
    base: Option<Base>,
    /// Steps since the base.
    steps: u32,
    ends: Option<Ends>,
}

/// Where the line begins.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
struct Base {
    charge: u64,
    at: Time,
    load: Option<u64>,
}

/// What the line says: at 0 % this many milliseconds after its last step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
struct Ends {
    step_at: Time,
    after: u64,
}

impl Estimate {
    /// Takes up the charge and the load that count on battery now.
    pub(super) fn observe(&mut self, charge: Update, load: Option<u64>, least: Duration) {
        let is_rise = self.current.is_some_and(|current| charge.value > current);
        if is_rise || self.base.is_some_and(|base| is_other_load(base.load, load)) {
            *self = Self::default();
        }
        let is_step = self.current.is_some_and(|current| charge.value < current);
        self.current = Some(charge.value);
        if !is_step {
            return;
        }
        let Some(base) = self.base else {
            self.base = Some(Base { charge: charge.value, at: charge.at, load });
            return;
        };
        self.steps = self.steps.saturating_add(1);
        let took = charge.at.since(base.at);
        let fall = base.charge.saturating_sub(charge.value);
        if self.steps >= LEAST_STEPS && took >= least {
            let after = charge.value.saturating_mul(millis(took)).checked_div(fall);
            self.ends = after.map(|after| Ends { step_at: charge.at, after });
        }
    }

    /// Returns the milliseconds left at `now`; none while it does not count.
    pub(super) fn left(&self, now: Time) -> Option<u64> {
        self.ends.map(|ends| ends.after.saturating_sub(millis(now.since(ends.step_at))))
    }
}

/// Steps after which the line counts.
const LEAST_STEPS: u32 = 3;

/// Whole percents waver by one on their own; at a small load that would be a quarter.
const LEAST_LOAD_CHANGE: u64 = 2;

/// Returns whether the load changed by a quarter; an absent one says nothing.
fn is_other_load(base: Option<u64>, load: Option<u64>) -> bool {
    base.zip(load).is_some_and(|(base, load)| {
        let change = base.abs_diff(load);
        change >= LEAST_LOAD_CHANGE && change.saturating_mul(4) >= base
    })
}
