//! The variables of the UPS under the names that the NUT exporters of Prometheus use.

use std::collections::{BTreeMap, BTreeSet};

use super::page::Page;
use super::{NUT_DEVICE_INFO, NUT_LABEL, NUT_PREFIX, NUT_STATUS};

/// Records all that is a number, the flags of `ups.status`, and what the UPS says of itself.
pub(super) fn record(page: &mut Page, ups: &str, variables: &BTreeMap<String, String>) {
    let device = |name: &str| variables.get(&format!("device.{name}")).map_or("", String::as_str);
    let [model, mfr, serial, kind, description, contact, location, part, macaddr] =
        DEVICE.map(device);
    page.set(
        &NUT_DEVICE_INFO,
        [ups, model, mfr, serial, kind, description, contact, location, part, macaddr],
        1.0,
    );
    for (name, value) in variables {
        if name == "ups.status" {
            flags(page, ups, value);
        } else if let Some(value) = number(value) {
            let help = format!("Value of the NUT variable {name}.");
            page.named(&metric_name(name), &help, (NUT_LABEL, ups), value);
        }
    }
}

fn flags(page: &mut Page, ups: &str, status: &str) {
    let set: BTreeSet<_> = status.split_ascii_whitespace().collect();
    for flag in FLAGS.into_iter().filter(|flag| !set.contains(flag)) {
        page.set(&NUT_STATUS, [ups, flag], 0.0);
    }
    for flag in set {
        page.set(&NUT_STATUS, [ups, flag], 1.0);
    }
}

/// Returns the value of a variable that is a plain decimal number or a switch, as that exporter
/// takes them: no exponents, no hexadecimal, no infinity.
fn number(value: &str) -> Option<f64> {
    let text = value.trim();
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(&ON) {
        return Some(1.0);
    }
    if is_one_of(&OFF) {
        return Some(0.0);
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { text.parse().ok() } else { None }
}

fn metric_name(variable: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    NUT_PREFIX.chars().chain(variable.chars().map(plain)).collect()
}

/// What the exporter takes for a switch that is on, in either case, unless told otherwise.
const ON: [&str; 6] = ["enable", "enabled", "on", "true", "active", "activated"];
const OFF: [&str; 6] = ["disable", "disabled", "off", "false", "inactive", "deactivated"];
/// The labels of the device, in the order of the family.
const DEVICE: [&str; 9] =
    ["model", "mfr", "serial", "type", "description", "contact", "location", "part", "macaddr"];
/// Shown as 0 when they are not set, so that an alert has a series before its first outage.
const FLAGS: [&str; 15] = [
    "OL", "OB", "LB", "HB", "RB", "CHRG", "DISCHRG", "BYPASS", "CAL", "OFF", "OVER", "TRIM",
    "BOOST", "FSD", "SD",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_the_exporter_takes() {
        for (text, value) in [("100", 100.0), ("27.3", 27.3), ("-1", -1.0), (" 5 ", 5.0)] {
            assert_eq!(number(text), Some(value));
        }
        for (on, off) in [
            ("enabled", "disabled"),
            ("Enable", "DISABLE"),
            ("ON", "off"),
            ("true", "False"),
            ("active", "inactive"),
            ("activated", "deactivated"),
        ] {
            assert_eq!((number(on), number(off)), (Some(1.0), Some(0.0)), "{on} {off}");
        }
        for text in [
            "",
            "yes",
            "no",
            "one",
            "onoff",
            "-",
            ".",
            "01.10.0005",
            "1e3",
            "inf",
            "NaN",
            "0x10",
            "OL",
            "2026/11/22",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_exporter() {
        let name = metric_name("outlet.1.delay-start");
        assert_eq!(name, "network_ups_tools_outlet_1_delay_start");
    }
}
