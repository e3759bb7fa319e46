//! One poll of a UPS: its variables as they came, and the numbers that can be believed.
//!
//! A variable that is missing, not a number or out of range is absent, never 0.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

use crate::status::{Line, Status};

/// The longest runtime that is a measurement: 65535 and more mean "unknown" (16 bits, all set).
const MAX_RUNTIME_SECONDS: f64 = 65_534.0;

/// The longest delay or countdown that is believed: one day.
const MAX_DELAY_SECONDS: f64 = 86_400.0;

/// The variables of a UPS as one LIST VAR gave them.
///
/// `upsd` writes a list row by row: values may stem from different updates of the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The name of the UPS in `upsd`.
    pub ups: String,
    /// The number of the connection that it came through; another number may be another `upsd`.
    pub session: u64,
    /// When it was asked for: its age is never understated.
    pub asked_at: Instant,
    /// `ups.status`.
    pub status: Status,
    /// All variables, names in lower case.
    pub variables: BTreeMap<String, String>,
}

impl Snapshot {
    /// Makes a snapshot of the rows of LIST VAR.
    pub fn new(
        ups: &str,
        session: u64,
        asked_at: Instant,
        rows: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let variables: BTreeMap<_, _> =
            rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let status = variables.get("ups.status").map(|value| Status::parse(value));
        let status = status.unwrap_or_default();
        Self { ups: ups.to_owned(), session, asked_at, status, variables }
    }

    /// Returns a variable as it came.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns a number within a range.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        self.text(name).and_then(parse_number).filter(|number| range.contains(number))
    }

    /// Returns the state of the mains.
    pub fn line(&self) -> Line {
        self.status.line()
    }

    /// Returns `battery.charge`, 0 to 100.
    pub fn charge_percent(&self) -> Option<f64> {
        self.number("battery.charge", 0.0..=100.0)
    }

    /// Returns `battery.runtime`; 0, -1, 65535 and more are absent.
    pub fn runtime(&self) -> Option<Duration> {
        self.number("battery.runtime", 1.0..=MAX_RUNTIME_SECONDS).map(Duration::from_secs_f64)
    }

    /// Returns `ups.load` in percent of nominal; overload is above 100.
    pub fn load_percent(&self) -> Option<f64> {
        self.number("ups.load", 0.0..=300.0)
    }

    /// Returns `input.voltage` in volts; 0 is a measurement during an outage.
    pub fn input_voltage(&self) -> Option<f64> {
        self.number("input.voltage", 0.0..=1000.0)
    }

    /// Returns `output.voltage` in volts.
    pub fn output_voltage(&self) -> Option<f64> {
        self.number("output.voltage", 0.0..=1000.0)
    }

    /// Returns `battery.voltage` in volts.
    pub fn battery_voltage(&self) -> Option<f64> {
        self.number("battery.voltage", 0.0..=1000.0)
    }

    /// Returns `ups.temperature` in degrees Celsius.
    pub fn temperature_celsius(&self) -> Option<f64> {
        self.number("ups.temperature", -40.0..=150.0)
    }

    /// Returns `ups.delay.shutdown`: from the command to the open output.
    pub fn shutdown_delay(&self) -> Option<Duration> {
        self.seconds("ups.delay.shutdown")
    }

    /// Returns `ups.delay.start`: from the return of the mains to the closed output.
    pub fn start_delay(&self) -> Option<Duration> {
        self.seconds("ups.delay.start")
    }

    /// Returns a running countdown to the open output; -1 and 0 mean that none runs.
    pub fn shutdown_countdown(&self) -> Option<Duration> {
        self.seconds("ups.timer.shutdown").filter(|left| !left.is_zero())
    }

    pub(crate) fn seconds(&self, name: &str) -> Option<Duration> {
        self.number(name, 0.0..=MAX_DELAY_SECONDS).map(Duration::from_secs_f64)
    }
}

/// Reads a number as NUT writes it: digits with a point, perhaps a minus sign, no exponent.
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim_matches(' ');
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Snapshot {
        Snapshot::new("u", 1, Instant::now(), [(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn numbers_are_plain_decimals_or_absent() {
        let cases = [
            ("100", Some(100.0)),
            ("007", Some(7.0)),
            ("-1", Some(-1.0)),
            ("49.9", Some(49.9)),
            ("", None),
            ("NA", None),
            ("inf", None),
            ("nan", None),
            ("1e5", None),
            ("+5", None),
            ("--5", None),
            ("1.2.3", None),
            (".", None),
            ("12 V", None),
        ];
        for (text, number) in cases {
            assert_eq!(parse_number(text), number, "{text:?}");
        }
        assert_eq!(parse_number(&"9".repeat(500)), None);
    }

    #[test]
    fn incredible_runtimes_are_absent() {
        for value in ["0", "-1", "65535", "4294967295", "", "NA"] {
            assert_eq!(with("battery.runtime", value).runtime(), None, "{value}");
        }
        let runtime = with("battery.runtime", "0600").runtime();
        assert_eq!(runtime, Some(Duration::from_mins(10)));
    }

    #[test]
    fn charge_outside_of_a_percentage_is_absent() {
        assert_eq!(with("battery.charge", "101").charge_percent(), None);
        assert_eq!(with("battery.charge", "-1").charge_percent(), None);
        assert_eq!(with("battery.charge", "0").charge_percent(), Some(0.0));
        assert_eq!(with("Battery.Charge", "55").charge_percent(), Some(55.0));
    }

    #[test]
    fn a_countdown_of_minus_one_or_zero_does_not_run() {
        assert_eq!(with("ups.timer.shutdown", "-1").shutdown_countdown(), None);
        assert_eq!(with("ups.timer.shutdown", "0").shutdown_countdown(), None);
        let running = with("ups.timer.shutdown", "17").shutdown_countdown();
        assert_eq!(running, Some(Duration::from_secs(17)));
    }
}
