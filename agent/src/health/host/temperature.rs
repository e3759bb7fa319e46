//! Judges temperatures by what the sensors say themselves of what is too much.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::super::steady::{Grade, Limit, Patience};
use super::super::{Check, State};
use super::finding::{Finding, check};
use super::source::{Found, Source};
use super::{TEMPERATURE, Watched, minute};

/// What is remembered of each sensor, by chip and number.
#[derive(Debug, Default)]
pub(super) struct Temperatures {
    known: BTreeMap<(String, String), Grade>,
}

/// What one sensor measures.
#[derive(Clone, Debug)]
struct Sensor {
    name: String,
    celsius: Option<f64>,
    warn: f64,
    fail: f64,
}

impl Temperatures {
    pub(super) fn judge(&mut self, watched: &Watched, source: Source<'_>, at: Instant) -> Check {
        let samples = match source {
            Source::Here(samples) => samples,
            Source::Absent | Source::LeftOut => {
                return Check::pass(TEMPERATURE, "this host has no sensors");
            }
            Source::Unknown(why) => {
                let remedy = "see which of /sys/class/hwmon hangs";
                return Check::unknown(TEMPERATURE, why, Some(remedy));
            }
        };
        let sensors = sensors(samples, watched.thresholds.temperature_above_celsius);
        self.known.retain(|sensor, _| sensors.contains_key(sensor));
        let mut found = Vec::new();
        for (id, sensor) in &sensors {
            let (warn, fail) = (limit(sensor.warn), limit(sensor.fail));
            let grade = self.known.entry(id.clone());
            let grade = grade.or_insert_with(|| Grade::new(warn, fail, PATIENCE));
            if !grade.has(warn, fail) {
                *grade = Grade::new(warn, fail, PATIENCE);
            }
            let state = grade.see(sensor.celsius, at);
            if state < State::Warn {
                continue;
            }
            let celsius = sensor.celsius.unwrap_or_default();
            let most = if state == State::Fail { sensor.fail } else { sensor.warn };
            let reason = format!("{} has {celsius:.0} °C, and {most:.0} is much", sensor.name);
            let remedy = "see that its fan turns and air gets there, and clean its filter";
            found.push(Finding { weight: celsius, ..Finding::new(state, reason, remedy) });
        }
        check(TEMPERATURE, found, || {
            let hottest = sensors.values().filter_map(|it| Some((it.celsius?, it)));
            match hottest.max_by(|(one, _), (other, _)| one.total_cmp(other)) {
                Some((celsius, it)) => format!("{} is the hottest with {celsius:.0} °C", it.name),
                None => "no sensor measures one that can be relied on".to_owned(),
            }
        })
    }
}

fn sensors(samples: Found<'_>, above: Option<u8>) -> BTreeMap<(String, String), Sensor> {
    let names: BTreeMap<String, String> = samples
        .series("node_hwmon_chip_names")
        .filter_map(|(labels, _)| Some((labels.get("chip")?, labels.get("chip_name")?)))
        .collect();
    let all = samples.series("node_hwmon_temp_celsius").filter_map(|(labels, celsius)| {
        let (chip, sensor) = (labels.get("chip")?, labels.get("sensor")?);
        let own = names.get(&chip).unwrap_or(&chip).clone();
        if BOARDS.iter().any(|board| own.starts_with(board)) {
            return None;
        }
        let of = [("chip", chip.as_str()), ("sensor", sensor.as_str())];
        let limit =
            |family: &str| samples.value(family, &of).filter(|limit| LIMITS.contains(limit));
        let (max, critical) =
            (limit("node_hwmon_temp_max_celsius"), limit("node_hwmon_temp_crit_celsius"));
        let usual = critical.map_or(ABOVE, |critical| (critical - BEFORE).min(ABOVE));
        // What is critical stays so, whatever the cluster file or the sensor itself says else.
        let fail = critical.unwrap_or(f64::INFINITY);
        let warn = above.map_or_else(|| max.unwrap_or(usual), f64::from).min(fail);
        let label = samples.series("node_hwmon_sensor_label").find_map(|(labels, _)| {
            let is_it = labels.get("chip")? == chip && labels.get("sensor")? == sensor;
            is_it.then(|| labels.get("label"))?
        });
        let name = format!("{own} {}", label.unwrap_or_else(|| sensor.clone()));
        let celsius = Some(celsius).filter(|celsius| CREDIBLE.contains(celsius));
        Some(((chip, sensor), Sensor { name, celsius, warn, fail }))
    });
    all.collect()
}

fn limit(celsius: f64) -> Limit {
    Limit::Above(celsius, celsius - GAP)
}

/// Chips of main boards: they measure what is wired to them, often nothing, and have limits that
/// nobody has set. Processors, disks and network cards measure themselves.
const BOARDS: [&str; 9] = ["nct", "it8", "w83", "f71", "f81", "sch5", "asus", "gigabyte", "vt1211"];
/// Limits beyond are placeholders.
const LIMITS: std::ops::RangeInclusive<f64> = 40.0..=125.0;
/// Temperatures beyond are those of sensors that are not wired.
const CREDIBLE: std::ops::RangeInclusive<f64> = -40.0..=150.0;
/// What is too much where a sensor says nothing.
const ABOVE: f64 = 85.0;
/// Where a sensor knows only what is critical.
const BEFORE: f64 = 5.0;
/// A fan that speeds up is worth more.
const GAP: f64 = 3.0;
/// A processor is hot for a minute whenever it is told to.
const PATIENCE: Patience = Patience { raise: minute(3), clear: minute(3) };

#[cfg(test)]
mod tests;
