//! The battery and the mains, as they truly are.

/// What the UPS measures: true, in whole seconds, advanced once per second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Battery {
    is_on_mains: bool,
    is_low: bool,
    seconds_left: u32,
    charge_percent: u8,
    full_seconds: u32,
    seconds_at_failure: u32,
    charge_at_failure: u8,
}

impl Default for Battery {
    fn default() -> Self {
        Self {
            is_on_mains: true,
            is_low: false,
            seconds_left: FULL_SECONDS,
            charge_percent: 100,
            full_seconds: FULL_SECONDS,
            seconds_at_failure: FULL_SECONDS,
            charge_at_failure: 100,
        }
    }
}

impl Battery {
    /// The mains go; the battery lasts for another `seconds`.
    pub fn lose_mains(&mut self, seconds: u32) {
        *self = Self {
            is_on_mains: false,
            seconds_left: seconds,
            seconds_at_failure: seconds.max(1),
            charge_at_failure: self.charge_percent,
            ..*self
        };
    }

    /// The mains come back.
    pub fn regain_mains(&mut self) {
        (self.is_on_mains, self.is_low) = (true, false);
    }

    /// Another battery is put in, which is charged in part and lasts for `full_seconds` when it is
    /// full.
    pub fn replace(&mut self, full_seconds: u32) {
        (self.full_seconds, self.charge_percent) = (full_seconds, NEW_PERCENT);
    }

    /// The UPS finds its battery low, whatever the numbers say, until the mains are back.
    pub const fn become_low(&mut self) {
        self.is_low = true;
    }

    /// One second passes.
    pub fn pass_second(&mut self) {
        if self.is_on_mains {
            self.charge_percent = self.charge_percent.saturating_add(CHARGED_PER_SECOND).min(100);
            self.seconds_left = self.full_seconds * u32::from(self.charge_percent) / 100;
        } else {
            self.seconds_left = self.seconds_left.saturating_sub(1);
            let share = u32::from(self.charge_at_failure) * self.seconds_left;
            self.charge_percent = u8::try_from(share / self.seconds_at_failure).unwrap_or(100);
        }
    }

    /// Returns whether the mains are there.
    pub const fn is_on_mains(&self) -> bool {
        self.is_on_mains
    }

    /// Returns whether the load has power.
    pub const fn is_empty(&self) -> bool {
        !self.is_on_mains && self.seconds_left == 0
    }

    /// Returns `ups.status`.
    pub const fn status(&self) -> &'static str {
        match (self.is_on_mains, self.is_low, self.charge_percent) {
            (true, _, 100) => "OL",
            (true, _, _) => "OL CHRG",
            (false, false, _) => "OB DISCHRG",
            (false, true, _) => "OB DISCHRG LB",
        }
    }

    /// Returns `battery.charge`.
    pub const fn charge_percent(&self) -> u8 {
        self.charge_percent
    }

    /// Returns `battery.runtime`.
    pub const fn seconds_left(&self) -> u32 {
        self.seconds_left
    }
}

/// The runtime of a full battery: far above what any plan of the laboratory needs.
pub const FULL_SECONDS: u32 = 600;
/// Its numbers change for some seconds, so that an agent believes them at once.
const NEW_PERCENT: u8 = 80;
/// A minute from empty to full would hold up each story: it takes a third of that.
const CHARGED_PER_SECOND: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_down_by_the_second_and_takes_the_charge_with_it() {
        let mut battery = Battery::default();
        battery.lose_mains(20);
        for _ in 0..5 {
            battery.pass_second();
        }
        assert_eq!((battery.seconds_left(), battery.charge_percent()), (15, 75));
        assert_eq!(battery.status(), "OB DISCHRG");
    }

    #[test]
    fn another_battery_is_charged_to_its_own_runtime() {
        let mut battery = Battery::default();
        battery.replace(10);
        battery.pass_second();
        assert_eq!((battery.seconds_left(), battery.charge_percent()), (8, 85));
        for _ in 0..20 {
            battery.pass_second();
        }
        assert_eq!((battery.seconds_left(), battery.charge_percent()), (10, 100));
    }

    #[test]
    fn is_empty_only_without_mains() {
        let mut battery = Battery::default();
        battery.lose_mains(1);
        battery.pass_second();
        assert!(battery.is_empty());
        battery.regain_mains();
        assert!(!battery.is_empty());
    }
}
