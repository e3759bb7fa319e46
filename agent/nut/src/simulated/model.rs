//! The physics: mains, battery, output, and what the driver last saw of them. Pure.
//!
//! ```text
//!                    countdown over, battery empty
//!   output closed ──────────────────────────────────► output open
//!        ▲                                                 │
//!        ├── mains there for start_delay ◄── shutdown.return
//!        └── mains return ◄────── load.off.delay, load.off, empty battery
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::simulated::{Battery, Cadence, Driver, SimulatedConfig, Switching};

/// The delay of `load.off.delay` without a parameter, as in usbhid-ups' table.
const LOAD_OFF_DELAY: Duration = Duration::from_secs(20);

/// The shortest update interval: a zero one would never let time pass.
const SHORTEST_UPDATE: Duration = Duration::from_millis(10);

/// More than the rounding errors of a day of updates, less than anything that is shown.
const DRIFT: f64 = 1e-6;

/// A UPS at a moment of model time.
#[derive(Debug)]
pub struct Model {
    battery: Battery,
    switching: Switching,
    cadence: Cadence,
    now: Duration,
    has_mains: bool,
    energy_seconds: f64,
    output: Output,
    countdown: Option<Countdown>,
    driver: Driver,
    shown: Shown,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Output {
    Closed,
    /// Closes when the mains have been there since then for the start delay.
    OpenUntilMainsHold {
        since: Option<Duration>,
    },
    /// Closes when the mains return; mains that are there do not close it.
    OpenUntilMainsReturn,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Countdown {
    end: Duration,
    returns: bool,
}

/// What the driver last reported.
#[derive(Debug, Default)]
struct Shown {
    status: String,
    countdown_seconds: i64,
    charge_percent: f64,
    runtime_seconds: f64,
    input_volts: f64,
    output_volts: f64,
    next_status: Duration,
    next_numbers: Duration,
}

/// Why the driver does not carry an order out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OrderError {
    /// It does not know the command.
    Unknown,
    /// It does not take the value.
    Value,
}

impl Model {
    /// Starts on mains, at model time zero.
    pub fn new(config: &SimulatedConfig) -> Self {
        let battery = config.battery.clone();
        let charge = battery.charge_percent.clamp(0.0, 100.0) / 100.0;
        let mut model = Self {
            energy_seconds: battery.runtime.as_secs_f64() * charge,
            battery,
            switching: config.switching.clone(),
            cadence: config.cadence.clone(),
            now: Duration::ZERO,
            has_mains: true,
            output: Output::Closed,
            countdown: None,
            driver: Driver::Running,
            shown: Shown::default(),
        };
        model.show_status();
        model.show_numbers();
        model
    }

    /// Lets model time pass up to a moment; the past changes nothing.
    pub fn advance(&mut self, to: Duration) {
        while self.now < to {
            let step = self.next_event().min(to);
            self.flow(step.saturating_sub(self.now));
            self.now = step;
            self.settle();
        }
    }

    /// Returns the next moment at which something happens by itself; always later than now.
    pub fn next_event(&self) -> Duration {
        let refresh = self.shown.next_status.min(self.shown.next_numbers);
        let events = [self.countdown.map(|countdown| countdown.end), self.empty_at()];
        let events = events.into_iter().chain([self.closes_at()]).flatten();
        events.fold(refresh, Duration::min).max(self.now + Duration::from_millis(1))
    }

    /// Takes the mains away or gives them back.
    pub fn set_mains(&mut self, present: bool) {
        if present == self.has_mains {
            return;
        }
        let was_dead = self.driver() == Driver::Away && self.driver != Driver::Away;
        self.has_mains = present;
        self.output = match self.output {
            Output::OpenUntilMainsReturn if present => Output::Closed,
            Output::OpenUntilMainsHold { .. } => {
                Output::OpenUntilMainsHold { since: present.then_some(self.now) }
            }
            unmoved @ (Output::Closed | Output::OpenUntilMainsReturn) => unmoved,
        };
        self.settle();
        if was_dead {
            self.show_status();
            self.show_numbers();
        }
    }

    /// Changes what is there of the driver; one that runs again has fresh values.
    pub fn set_driver(&mut self, driver: Driver) {
        self.driver = driver;
        self.show_status();
        self.show_numbers();
    }

    /// Returns what is there of the driver: a UPS without mains and battery has none.
    pub fn driver(&self) -> Driver {
        if !self.has_mains && self.energy_seconds <= 0.0 { Driver::Away } else { self.driver }
    }

    /// Returns whether the load has power.
    pub fn is_output_closed(&self) -> bool {
        self.output == Output::Closed
    }

    /// Returns the variables as the driver last reported them.
    pub fn variables(&self) -> BTreeMap<&'static str, String> {
        let whole = |seconds: Duration| seconds.as_secs().to_string();
        let mut variables = BTreeMap::from([
            ("battery.charge", format!("{:.0}", self.shown.charge_percent)),
            ("battery.charge.low", format!("{:.0}", self.battery.low_percent)),
            ("battery.runtime", format!("{:.0}", self.shown.runtime_seconds)),
            ("device.mfr", "Curfew".to_owned()),
            ("device.model", "Simulated".to_owned()),
            ("device.type", "ups".to_owned()),
            ("driver.name", "simulated".to_owned()),
            ("input.voltage", format!("{:.1}", self.shown.input_volts)),
            ("output.voltage", format!("{:.1}", self.shown.output_volts)),
            ("ups.delay.shutdown", whole(self.switching.shutdown_delay)),
            ("ups.load", format!("{:.0}", self.battery.load_percent)),
            ("ups.mfr", "Curfew".to_owned()),
            ("ups.model", "Simulated".to_owned()),
            ("ups.status", self.shown.status.clone()),
            ("ups.timer.shutdown", self.shown.countdown_seconds.to_string()),
        ]);
        if self.switching.offers_return {
            variables.insert("ups.delay.start", whole(self.switching.start_delay));
        }
        variables
    }

    /// Returns the names of the variables that can be set.
    pub fn writables(&self) -> Vec<&'static str> {
        let all = ["battery.charge.low", "ups.delay.shutdown", "ups.delay.start"];
        let offers_return = self.switching.offers_return;
        all.into_iter().filter(|name| offers_return || *name != "ups.delay.start").collect()
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OrderError> {
        let number: u32 = value.parse().map_err(|_text| OrderError::Value)?;
        let delay = Duration::from_secs(number.into());
        match name {
            "battery.charge.low" if number <= 100 => self.battery.low_percent = number.into(),
            "ups.delay.shutdown" => self.switching.shutdown_delay = delay,
            "ups.delay.start" => self.switching.start_delay = delay,
            _ => return Err(OrderError::Value),
        }
        Ok(())
    }

    /// Returns the names of the instant commands.
    pub fn commands(&self) -> Vec<&'static str> {
        let all = [
            "load.off",
            "load.off.delay",
            "shutdown.return",
            "shutdown.stop",
            "simulate.mains.fail",
            "simulate.mains.return",
        ];
        let offers_return = self.switching.offers_return;
        all.into_iter().filter(|name| offers_return || *name != "shutdown.return").collect()
    }

    /// Runs an instant command.
    pub fn run(&mut self, command: &str, parameter: Option<&str>) -> Result<(), OrderError> {
        match command {
            "load.off" => self.count_down(Duration::ZERO, false),
            "load.off.delay" => {
                // A text is 0, that is "off now": so does usbhid-ups.
                let given = parameter.map(|text| text.parse::<u32>().unwrap_or(0));
                let delay = given.map_or(LOAD_OFF_DELAY, |given| Duration::from_secs(given.into()));
                self.count_down(delay, false);
            }
            "shutdown.return" => self.count_down(self.switching.shutdown_delay, true),
            "shutdown.stop" => self.countdown = None,
            "simulate.mains.fail" => self.set_mains(false),
            "simulate.mains.return" => self.set_mains(true),
            _ => return Err(OrderError::Unknown),
        }
        Ok(())
    }

    fn count_down(&mut self, delay: Duration, returns: bool) {
        self.countdown = Some(Countdown { end: self.now + delay, returns });
        self.settle();
    }

    fn is_discharging(&self) -> bool {
        !self.has_mains && self.is_output_closed()
    }

    fn empty_at(&self) -> Option<Duration> {
        let left = Duration::from_secs_f64(self.energy_seconds.max(0.0));
        self.is_discharging().then(|| self.now + left)
    }

    fn closes_at(&self) -> Option<Duration> {
        match self.output {
            Output::OpenUntilMainsHold { since } => {
                since.map(|since| since + self.switching.start_delay)
            }
            Output::Closed | Output::OpenUntilMainsReturn => None,
        }
    }

    /// Lets energy flow for a time without events.
    fn flow(&mut self, time: Duration) {
        let full = self.battery.runtime.as_secs_f64();
        if self.is_discharging() {
            self.energy_seconds = (self.energy_seconds - time.as_secs_f64()).max(0.0);
        } else if self.has_mains {
            let recharge = self.battery.recharge.as_secs_f64().max(1.0);
            let gained = time.as_secs_f64() * full / recharge;
            self.energy_seconds = (self.energy_seconds + gained).min(full);
        }
    }

    /// Lets everything happen whose moment has come.
    fn settle(&mut self) {
        if let Some(countdown) = self.countdown.filter(|countdown| countdown.end <= self.now) {
            self.countdown = None;
            if self.is_output_closed() {
                let since = self.has_mains.then_some(self.now);
                self.output = if countdown.returns {
                    Output::OpenUntilMainsHold { since }
                } else {
                    Output::OpenUntilMainsReturn
                };
            }
        }
        if self.empty_at().is_some_and(|at| at <= self.now) {
            self.energy_seconds = 0.0;
            self.output = Output::OpenUntilMainsReturn;
            self.countdown = None;
        }
        if self.closes_at().is_some_and(|at| at <= self.now) {
            self.output = Output::Closed;
        }
        if self.shown.next_status <= self.now {
            self.show_status();
        }
        if self.shown.next_numbers <= self.now {
            self.show_numbers();
        }
    }

    fn charge_percent(&self) -> f64 {
        let full = self.battery.runtime.as_secs_f64();
        if full > 0.0 { self.energy_seconds / full * 100.0 } else { 0.0 }
    }

    fn show_status(&mut self) {
        self.shown.next_status = self.now + self.cadence.status.max(SHORTEST_UPDATE);
        let left = self.countdown.map(|countdown| countdown.end.saturating_sub(self.now));
        let seconds = left.map(|left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX));
        self.shown.countdown_seconds = seconds.unwrap_or(-1);
        let charge = self.charge_percent();
        let mut status = if self.has_mains { "OL" } else { "OB" }.to_owned();
        if !self.is_output_closed() {
            status.push_str(" OFF");
        } else if !self.has_mains {
            status.push_str(" DISCHRG");
        }
        if self.has_mains && charge < 100.0 {
            status.push_str(" CHRG");
        }
        if charge <= self.battery.low_percent {
            status.push_str(" LB");
        }
        self.shown.status = status;
    }

    fn show_numbers(&mut self) {
        self.shown.next_numbers = self.now + self.cadence.numbers.max(SHORTEST_UPDATE);
        self.shown.charge_percent = (self.charge_percent() + DRIFT).floor();
        self.shown.runtime_seconds = (self.energy_seconds + DRIFT).floor();
        self.shown.input_volts = if self.has_mains { 230.0 } else { 0.0 };
        self.shown.output_volts = if self.is_output_closed() { 230.0 } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn model(offers_return: bool) -> Model {
        let mut config = SimulatedConfig::default();
        config.switching.offers_return = offers_return;
        Model::new(&config)
    }

    fn shown(model: &Model, name: &str) -> String {
        model.variables().get(name).cloned().unwrap_or_default()
    }

    #[test]
    fn values_follow_at_the_drivers_cadence_and_no_faster() {
        let mut model = model(true);
        model.advance(seconds(1));
        model.set_mains(false);
        assert_eq!(shown(&model, "ups.status"), "OL");
        model.advance(seconds(2));
        assert_eq!(shown(&model, "ups.status"), "OB DISCHRG");
        assert_eq!(shown(&model, "battery.runtime"), "600");
        model.advance(seconds(10));
        assert_eq!(shown(&model, "battery.runtime"), "591");
        assert_eq!(shown(&model, "battery.charge"), "98");
    }

    #[test]
    fn a_low_battery_says_so_and_an_empty_one_opens_the_output_until_mains_return() {
        let mut model = model(true);
        model.set_mains(false);
        model.advance(seconds(479));
        assert_eq!(shown(&model, "ups.status"), "OB DISCHRG");
        model.advance(seconds(482));
        assert_eq!(shown(&model, "ups.status"), "OB DISCHRG LB");
        model.advance(seconds(599));
        assert!(model.is_output_closed());
        model.advance(seconds(601));
        assert!(!model.is_output_closed());
        assert_eq!(model.driver(), Driver::Away);
        model.set_mains(true);
        assert!(model.is_output_closed());
        assert_eq!(model.driver(), Driver::Running);
    }

    #[test]
    fn shutdown_return_opens_after_its_delay_and_closes_when_mains_hold() {
        let mut model = model(true);
        model.set_mains(false);
        assert_eq!(model.run("shutdown.return", None), Ok(()));
        model.advance(seconds(4));
        assert_eq!(shown(&model, "ups.timer.shutdown"), "16");
        model.advance(seconds(19));
        assert!(model.is_output_closed());
        model.advance(seconds(20));
        assert!(!model.is_output_closed());
        model.advance(seconds(100));
        model.set_mains(true);
        model.advance(seconds(110));
        model.set_mains(false);
        model.advance(seconds(120));
        model.set_mains(true);
        model.advance(seconds(149));
        assert!(!model.is_output_closed(), "the mains did not hold");
        model.advance(seconds(150));
        assert!(model.is_output_closed());
    }

    #[test]
    fn shutdown_return_interrupts_even_when_mains_came_back_before_the_cut() {
        let mut model = model(true);
        model.set_mains(false);
        assert_eq!(model.run("shutdown.return", None), Ok(()));
        model.advance(seconds(10));
        model.set_mains(true);
        model.advance(seconds(20));
        assert!(!model.is_output_closed());
        model.advance(seconds(50));
        assert!(model.is_output_closed());
    }

    #[test]
    fn without_a_promise_the_power_race_strands_the_load() {
        let mut model = model(false);
        assert_eq!(model.commands().iter().find(|name| **name == "shutdown.return"), None);
        model.set_mains(false);
        assert_eq!(model.run("load.off.delay", Some("30")), Ok(()));
        model.advance(seconds(10));
        model.set_mains(true);
        model.advance(seconds(3600));
        assert!(!model.is_output_closed());
        model.set_mains(false);
        model.set_mains(true);
        assert!(model.is_output_closed());
    }

    #[test]
    fn a_countdown_can_be_stopped() {
        let mut model = model(true);
        assert_eq!(model.run("load.off.delay", None), Ok(()));
        model.advance(seconds(19));
        assert_eq!(model.run("shutdown.stop", None), Ok(()));
        model.advance(seconds(60));
        assert!(model.is_output_closed());
        assert_eq!(shown(&model, "ups.timer.shutdown"), "-1");
    }

    #[test]
    fn the_battery_charges_on_mains() {
        let mut config = SimulatedConfig::default();
        config.battery.charge_percent = 50.0;
        let mut model = Model::new(&config);
        assert_eq!(shown(&model, "ups.status"), "OL CHRG");
        model.advance(Duration::from_hours(1));
        assert_eq!(shown(&model, "battery.charge"), "75");
        model.advance(Duration::from_hours(3));
        assert_eq!(shown(&model, "ups.status"), "OL");
    }
}
