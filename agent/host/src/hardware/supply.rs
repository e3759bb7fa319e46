//! Batteries and mains as the kernel sees them: `/sys/class/power_supply`.

use std::path::Path;

use crate::collector::Context;
use crate::read::{CollectError, Reader, names};
use crate::sample::{Kind, Samples};
use crate::text::integer;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/power_supply");
    let supplies = names(&folder).map_err(|failure| failure.or_absent("power supplies"))?;
    for supply in supplies {
        one(reader, samples, &folder.join(&supply), &supply);
    }
    Ok(())
}

fn one(reader: &mut Reader, samples: &mut Samples, folder: &Path, supply: &str) {
    // Each file asks the device, which may be slow: only what is there is asked for.
    let Ok(files) = names(folder) else { return };
    let mut labels = vec![("power_supply".to_owned(), supply.to_owned())];
    for file in files {
        if TEXTS.contains(&file.as_str()) {
            let text = reader.attribute(folder, &file).filter(|text| !text.is_empty());
            labels.extend(text.map(|text| (file.clone(), text.to_owned())));
        } else if let Some((name, unit)) = named(&file)
            && let Some(value) = reader.attribute(folder, &file).and_then(integer)
        {
            let help = format!("The value {name} of the power supply.");
            let family = format!("node_power_supply_{name}");
            let labels = [("power_supply", supply)];
            samples.named(&family, Kind::Gauge, &help, &labels, value / unit);
        }
    }
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    samples.named("node_power_supply_info", Kind::Gauge, INFO, &labels, 1.0);
}

/// Returns what a file is called on the page, and its unit.
fn named(file: &str) -> Option<(&str, f64)> {
    if let Some((_, name)) = RENAMED.iter().find(|(known, _)| *known == file) {
        let unit = match *name {
            "cyclecount" | "time_to_empty_seconds" | "time_to_full_seconds" => 1.0,
            celsius if celsius.ends_with("celsius") => 10.0,
            _ => MICRO,
        };
        return Some((name, unit));
    }
    let find = |list: &[&'static str]| list.iter().find(|known| **known == file).copied();
    find(&WHOLE).map(|name| (name, 1.0)).or_else(|| find(&SCALED).map(|name| (name, MICRO)))
}

/// Most values are in millionths of their unit.
const MICRO: f64 = 1e6;
const INFO: &str = "Always 1; what the power supply says of itself are labels.";
const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];
/// With another name on the page.
const RENAMED: [(&str, &str); 16] = [
    ("cycle_count", "cyclecount"),
    ("time_to_empty_now", "time_to_empty_seconds"),
    ("time_to_full_now", "time_to_full_seconds"),
    ("current_now", "current_ampere"),
    ("energy_now", "energy_watthour"),
    ("voltage_now", "voltage_volt"),
    ("charge_now", "charge_ampere"),
    ("power_now", "power_watt"),
    ("temp", "temp_celsius"),
    ("temp_alert_max", "temp_alert_max_celsius"),
    ("temp_alert_min", "temp_alert_min_celsius"),
    ("temp_ambient", "temp_ambient_celsius"),
    ("temp_ambient_max", "temp_ambient_max_celsius"),
    ("temp_ambient_min", "temp_ambient_min_celsius"),
    ("temp_max", "temp_max_celsius"),
    ("temp_min", "temp_min_celsius"),
];
const WHOLE: [&str; 7] = [
    "authentic",
    "calibrate",
    "capacity",
    "capacity_alert_max",
    "capacity_alert_min",
    "online",
    "present",
];
const SCALED: [&str; 26] = [
    "charge_control_limit",
    "charge_control_limit_max",
    "charge_counter",
    "charge_empty",
    "charge_empty_design",
    "charge_full",
    "charge_full_design",
    "charge_term_current",
    "constant_charge_current",
    "constant_charge_current_max",
    "constant_charge_voltage",
    "constant_charge_voltage_max",
    "current_boot",
    "current_max",
    "energy_empty",
    "energy_empty_design",
    "energy_full",
    "energy_full_design",
    "input_current_limit",
    "precharge_current",
    "voltage_boot",
    "voltage_max",
    "voltage_max_design",
    "voltage_min",
    "voltage_min_design",
    "voltage_ocv",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn a_battery_and_the_mains() {
        let tree = Tree::new(&[
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
            ("sys/class/power_supply/BAT0/serial_number", "\n"),
            ("sys/class/power_supply/BAT0/capacity", "98\n"),
            ("sys/class/power_supply/BAT0/energy_now", "49450000\n"),
            ("sys/class/power_supply/BAT0/energy_full_design", "50060000\n"),
            ("sys/class/power_supply/BAT0/cycle_count", "0\n"),
            ("sys/class/power_supply/BAT0/temp", "277\n"),
            ("sys/class/power_supply/BAT0/alarm", "2503000\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_power_supply_online{power_supply=\"AC\"}", 0.0),
            ("node_power_supply_info{power_supply=\"AC\",type=\"Mains\"}", 1.0),
            ("node_power_supply_capacity{power_supply=\"BAT0\"}", 98.0),
            ("node_power_supply_energy_watthour{power_supply=\"BAT0\"}", 49.45),
            ("node_power_supply_energy_full_design{power_supply=\"BAT0\"}", 50.06),
            ("node_power_supply_cyclecount{power_supply=\"BAT0\"}", 0.0),
            ("node_power_supply_temp_celsius{power_supply=\"BAT0\"}", 27.7),
            (
                "node_power_supply_info{power_supply=\"BAT0\",status=\"Discharging\",\
                 type=\"Battery\"}",
                1.0,
            ),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.len(), 8);
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
