//! The UPS: a true battery, and a driver that tells of it in updates, or does not, or lies.

use std::time::Duration;

use curfew_coordinator::{Abilities, Line, Reading};

use crate::story::UpsTruth;

/// What the UPS itself draws, in watts: nothing lasts for ever.
const OWN_WATTS: u64 = 2;
/// A battery empties this many times faster than it charges.
const CHARGE_SLOWNESS: u64 = 10;

/// The UPS and its driver.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UpsWorld {
    /// The truth about it, as it is now.
    pub truth: UpsTruth,
    /// Whether the mains feed it.
    pub has_mains: bool,
    /// Whether its output is closed, so that what it feeds has power.
    pub has_output: bool,
    /// Since when the mains have been as they are.
    pub line_since: u64,
    /// What the battery holds, and can hold, in watt-milliseconds.
    energy: u64,
    capacity: u64,
    /// All hosts together, in watts.
    full_load: u64,
    at: u64,
    told: Option<Told>,
    status_at: u64,
    numbers_at: u64,

    pub(super) update_lie: Option<(Option<u64>, Option<u64>)>,
    pub(super) low_until: u64,
    pub(super) calibrates_until: u64,
    pub(super) gone_until: u64,
    /// Drops: since when, how often, how long each, until when.
    pub(super) flaky: Option<(u64, u64, u64, u64)>,
    pub(super) is_forced: bool,
    /// Counts the runs of `upsd`.
    pub(super) connection: u64,
    pub(super) ignores_cuts: u32,
}

/// What the driver told last.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Told {
    line: Line,
    is_low: bool,
    is_calibrating: bool,
    charge: Option<u64>,
    runtime: Option<u64>,
    load: u64,
}

impl UpsWorld {
    pub(super) fn new(truth: &UpsTruth, full_load: u64, now: u64) -> Self {
        let capacity = truth.runtime.saturating_mul(full_load + OWN_WATTS);
        Self {
            truth: truth.clone(),
            has_mains: true,
            has_output: true,
            line_since: now,
            energy: capacity / 100 * truth.charge_percent.min(100),
            capacity,
            full_load,
            at: now,
            told: None,
            status_at: 0,
            numbers_at: 0,
            update_lie: None,
            low_until: 0,
            calibrates_until: 0,
            gone_until: 0,
            flaky: None,
            is_forced: false,
            connection: 1,
            ignores_cuts: 0,
        }
    }

    /// Returns how long the battery carries `load` watts.
    pub(super) fn left(&self, load: u64) -> u64 {
        self.energy / (load + OWN_WATTS)
    }

    /// Returns whether the battery is truly as empty as `LB` says.
    pub fn is_low(&self) -> bool {
        self.charge() < self.truth.low_percent
    }

    /// Returns how full the battery truly is, in percent.
    pub fn charge(&self) -> u64 {
        self.energy.saturating_mul(100) / self.capacity.max(1)
    }

    /// Lets the battery run on to `now`; returns whether it has just come to its end.
    pub(super) fn advance(&mut self, now: u64, load: u64) -> bool {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        if self.has_mains {
            let gained = passed.saturating_mul(self.full_load) / CHARGE_SLOWNESS;
            self.energy = self.capacity.min(self.energy.saturating_add(gained));
        } else if self.has_output {
            self.energy = self.energy.saturating_sub(passed.saturating_mul(load + OWN_WATTS));
            return self.energy == 0;
        }
        false
    }

    /// The battery is worse than it seemed.
    pub(super) fn collapse(&mut self, percent: u64) {
        self.energy = self.energy / 100 * percent.min(100);
        self.capacity = (self.capacity / 100 * percent.min(100)).max(1);
    }

    /// Returns whether the driver has data.
    pub(super) fn is_readable(&self, now: u64) -> bool {
        let drops = self.flaky.is_some_and(|(since, every, gap, until)| {
            now < until && (now - since) % every.max(1) < gap
        });
        !drops && now >= self.gone_until
    }

    /// Returns what the owner finds when it probes.
    pub(super) fn abilities(&self) -> Abilities {
        Abilities {
            returns: self.truth.offers_return,
            shutdown_delay: Some(Duration::from_millis(self.truth.cut_delay)),
        }
    }

    /// Returns what `upsd` answers; none if it has no data.
    pub(super) fn reading(&mut self, now: u64, load: u64) -> Option<Reading> {
        if !self.is_readable(now) {
            return None;
        }
        if self.told.is_none() || now >= self.status_at + self.truth.status_every {
            self.status_at = now;
            let is_calibrating = now < self.calibrates_until;
            let charge = self.charge();
            let is_low = now < self.low_until || charge < self.truth.low_percent;
            let line = match (self.has_mains, is_calibrating) {
                (true, true) => Line::Unknown,
                (true, false) => Line::Mains,
                (false, _) => Line::Battery,
            };
            let (charge, runtime) =
                self.told.as_ref().map_or((None, None), |told| (told.charge, told.runtime));
            self.told = Some(Told { line, is_low, is_calibrating, charge, runtime, load });
            let is_due = now >= self.numbers_at + self.truth.numbers_every;
            if is_due || self.numbers_at == 0 {
                self.numbers_at = now;
                self.update_numbers(load);
            }
        }
        let told = self.told.as_ref()?;
        let percent = told.load.saturating_mul(50) / self.full_load.max(1);
        Some(Reading {
            line: told.line,
            is_low: told.is_low,
            is_forced: self.is_forced,
            is_calibrating: told.is_calibrating,
            charge: told.charge.and_then(|charge| u8::try_from(charge).ok()),
            runtime: told.runtime.map(Duration::from_secs),
            load: u8::try_from(percent).ok(),
            connection: self.connection,
            foreign_clients: Some(0),
        })
    }

    fn update_numbers(&mut self, load: u64) {
        let runtime = self.left(load) / 1000 * self.truth.runtime_percent / 100;
        let charge = self.charge();
        let lie = self.update_lie.take();
        let Some(told) = self.told.as_mut() else { return };
        told.runtime = Some(runtime).filter(|_| self.truth.tells_runtime);
        told.charge = Some(charge).filter(|_| self.truth.tells_charge);
        if let Some((runtime, charge)) = lie {
            told.runtime = runtime;
            told.charge = charge;
        }
    }
}
