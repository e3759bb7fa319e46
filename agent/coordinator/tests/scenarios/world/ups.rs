//! The UPS: a true battery, and a driver that tells of it in updates.

use std::fmt;

use curfew_coordinator::{Line, Reading};

/// How often the driver of a USB UPS reads its status.
const STATUS_EVERY: u64 = 2_000;

/// A battery empties this many times faster than it charges.
const CHARGE_SLOWNESS: u64 = 10;

/// The UPS and its driver. Times are in milliseconds.
pub(crate) struct Ups {
    pub(crate) mains: bool,
    /// The output: what it feeds has power.
    pub(crate) output: bool,
    /// What the battery truly holds, as a time at the present load.
    pub(crate) left: u64,
    pub(crate) full: u64,
    /// `LB` is told when less is left.
    pub(crate) low_below: u64,
    /// How often the driver reads charge and runtime.
    pub(crate) numbers_every: u64,
    /// What the driver makes of the truth.
    pub(crate) lie: Option<Lie>,
    /// `FSD` is latched in `upsd`.
    pub(crate) is_forced: bool,
    /// The connection number that every reader sees.
    pub(crate) connection: u64,
    told: Option<Reading>,
    status_at: u64,
    numbers_at: u64,
    at: u64,
}

/// A change of what the driver tells.
type Lie = Box<dyn Fn(&mut Reading)>;

impl Ups {
    pub(crate) fn new(full: u64, now: u64) -> Self {
        Self {
            mains: true,
            output: true,
            left: full,
            full,
            low_below: 0,
            numbers_every: 30_000,
            lie: None,
            is_forced: false,
            connection: 1,
            told: None,
            status_at: 0,
            numbers_at: 0,
            at: now,
        }
    }

    /// Lets the battery run on to `now`; returns whether it has just come to its end.
    pub(crate) fn advance(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        if self.mains {
            self.left = self.full.min(self.left + passed / CHARGE_SLOWNESS);
        } else if self.output {
            self.left = self.left.saturating_sub(passed);
            if self.left == 0 {
                self.output = false;
                return true;
            }
        }
        false
    }

    /// Returns what `upsd` answers.
    pub(crate) fn reading(&mut self, now: u64) -> Reading {
        let mut new = self.told.clone().unwrap_or_else(|| self.truth());
        if self.told.is_none() || now >= self.status_at + STATUS_EVERY {
            self.status_at = now;
            let truth = self.truth();
            new = Reading { charge: new.charge, runtime: new.runtime, load: new.load, ..truth };
        }
        if self.told.is_none() || now >= self.numbers_at + self.numbers_every {
            self.numbers_at = now;
            let truth = self.truth();
            new.charge = truth.charge;
            new.runtime = truth.runtime;
        }
        self.told = Some(new.clone());
        if let Some(lie) = &self.lie {
            lie(&mut new);
        }
        new
    }

    fn truth(&self) -> Reading {
        let percent = u8::try_from(self.left * 100 / self.full).expect("at most 100");
        Reading {
            line: if self.mains { Line::Mains } else { Line::Battery },
            is_low: self.left < self.low_below,
            is_forced: self.is_forced,
            is_calibrating: false,
            charge: Some(percent),
            runtime: Some(std::time::Duration::from_secs(self.left / 1000)),
            load: Some(30),
            connection: self.connection,
            foreign_clients: Some(0),
        }
    }
}

impl fmt::Debug for Ups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ups {{ mains: {}, left: {} ms }}", self.mains, self.left)
    }
}
