//! Temperatures, fans, voltages and the rest that chips measure: `/sys/class/hwmon`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::collector::Context;
use crate::hardware::sensor_name::{chips, clean, parts};
use crate::read::{CollectError, Reader, names};
use crate::sample::{Family, Kind, Samples};
use crate::text::{number, one_if};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, settings, reader, samples, .. } = context;
    let class = roots.sys.join("class/hwmon");
    let entries = names(&class).map_err(|failure| failure.or_absent("sensors"))?;
    for chip in chips(reader, &class, &entries) {
        let own = clean(reader.attribute(&chip.folder, "name").unwrap_or_default());
        if settings.chips_left_out.contains(&own.as_str()) {
            continue;
        }
        let mut sensors = Sensors::new();
        read(reader, &chip.folder, &mut sensors);
        // Older drivers have the files beside the chip, at its device.
        let device = chip.folder.join("device");
        if device.is_dir() {
            read(reader, &device, &mut sensors);
        }
        if !own.is_empty() {
            samples.set(&CHIP_NAMES, &[&chip.name, &own], 1.0);
        }
        for ((kind, index), elements) in &sensors {
            show(samples, &chip.name, kind, *index, elements);
        }
    }
    Ok(())
}

/// What the files of each sensor say, by kind, number and element.
type Sensors = BTreeMap<(String, u32), BTreeMap<String, String>>;

/// Reads what is there; a folder that is just going away has nothing.
fn read(reader: &mut Reader, folder: &Path, sensors: &mut Sensors) {
    for file in names(folder).unwrap_or_default() {
        let Some((kind, index, element)) = parts(&file) else { continue };
        if let Some(value) = reader.attribute(folder, &file) {
            let elements = sensors.entry((kind.to_owned(), index)).or_default();
            elements.insert(element.to_owned(), value.to_owned());
        }
    }
}

fn show(
    samples: &mut Samples,
    chip: &str,
    kind: &str,
    index: u32,
    elements: &BTreeMap<String, String>,
) {
    let sensor = format!("{kind}{index}");
    let label = elements.get("label").map(String::as_str);
    if let Some(label) = label {
        samples.set(&LABEL, &[chip, &sensor, label], 1.0);
    }
    let alone = elements.get("").map(String::as_str);
    let single = match kind {
        "beep_enable" => Some((&BEEP, Some(one_if(alone == Some("1"))))),
        "vrm" => Some((&REGULATOR, alone.and_then(number))),
        "update_interval" => Some((&INTERVAL, alone.and_then(number).map(|value| value * MILLI))),
        _ => None,
    };
    if let Some((family, value)) = single {
        if let Some(value) = value {
            samples.set(family, &[chip, &sensor], value);
        }
        return;
    }
    for (element, value) in elements.iter().filter(|(element, _)| *element != "label") {
        let Some(value) = number(value) else { continue };
        let shown = Shown::new(kind, element, alone.is_some());
        let sensor = match (kind, element.as_str(), label) {
            // Graphics processors name their clocks.
            ("freq", "input", Some(label)) => clean(label),
            ("freq", "input", None) => continue,
            _ => sensor.clone(),
        };
        let help = format!("What the sensor says: {kind}, {element}.");
        let labels = [("chip", chip), ("sensor", &sensor)];
        samples.named(&shown.name, shown.behaves, &help, &labels, value * shown.unit / shown.per);
    }
}

/// How an element is shown.
struct Shown {
    name: String,
    behaves: Kind,
    /// Two factors, since a thousandth is none that a double has exactly.
    unit: f64,
    per: f64,
}

impl Shown {
    fn new(kind: &str, element: &str, has_own: bool) -> Self {
        let element_name = clean(element);
        let middle = match element {
            "" => String::new(),
            "input" if !has_own => String::new(),
            _ => format!("_{element_name}"),
        };
        let (suffix, unit, per) = match (kind, element) {
            (_, "fault" | "alarm") | ("temp", "type") => ("", 1.0, 1.0),
            (_, "beep") => ("_enabled", 1.0, 1.0),
            ("in" | "cpu", _) => ("_volts", MILLI, 1.0),
            ("temp", _) => ("_celsius", MILLI, 1.0),
            ("curr", _) => ("_amps", MILLI, 1.0),
            ("energy", _) => ("_joule_total", 1.0, MILLION),
            ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
                ("_seconds", MILLI, 1.0)
            }
            ("power", "accuracy") | ("humidity", _) => ("", 1.0, MILLION),
            ("power", _) => ("_watt", 1.0, MILLION),
            ("fan", "input" | "min" | "max" | "target") => ("_rpm", 1.0, 1.0),
            ("freq", "input") => ("_freq_mhz", 1.0, MILLION),
            _ => ("", 1.0, 1.0),
        };
        let behaves =
            if kind == "energy" && suffix == "_joule_total" { Kind::Counter } else { Kind::Gauge };
        Self { name: format!("node_hwmon_{kind}{middle}{suffix}"), behaves, unit, per }
    }
}

const MILLI: f64 = 0.001;
const MILLION: f64 = 1e6;
const SENSOR: &[&str] = &["chip", "sensor"];
const CHIP_NAMES: Family = Family::gauge(
    "node_hwmon_chip_names",
    &["chip", "chip_name"],
    "Always 1; what the chip calls itself is a label.",
);
const LABEL: Family = Family::gauge(
    "node_hwmon_sensor_label",
    &["chip", "sensor", "label"],
    "Always 1; what the sensor measures is a label.",
);
const BEEP: Family = Family::gauge("node_hwmon_beep_enabled", SENSOR, "1 if the chip may beep.");
const REGULATOR: Family = Family::gauge(
    "node_hwmon_voltage_regulator_version",
    SENSOR,
    "The version of the voltage regulator.",
);
const INTERVAL: Family = Family::gauge(
    "node_hwmon_update_interval_seconds",
    SENSOR,
    "From one measurement to the next.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn elements_have_their_units() {
        let chip = "sys/class/hwmon/hwmon0";
        let files = [
            ("name", "core temp\n"),
            ("temp1_input", "55000\n"),
            ("temp1_label", "Core 0\n"),
            ("temp1_crit_alarm", "0\n"),
            ("temp1_crit", "100000\n"),
            ("temp1_alarm", "1\n"),
            ("temp1_type", "4\n"),
            ("temp2_input", "asleep\n"),
            ("fan1_input", "2000\n"),
            ("fan1_beep", "1\n"),
            ("fan1_output", "2160\n"),
            ("in0_input", "792\n"),
            ("energy1_input", "1500000\n"),
            ("power1_average", "67890000\n"),
            ("power1_accuracy", "50000\n"),
            ("pwm1", "128\n"),
            ("pwm1_enable", "5\n"),
            ("humidity1_input", "45000\n"),
            ("freq1_input", "300000000\n"),
            ("freq1_label", "sclk\n"),
            ("update_interval", "1500\n"),
            ("beep_enable", "1\n"),
        ];
        let tree = Tree::new(&[]);
        for (file, content) in files {
            tree.write(&format!("{chip}/{file}"), content.as_bytes());
        }
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (family, sensor, value) in [
            ("temp_celsius", "temp1", 55.0),
            ("temp_crit_celsius", "temp1", 100.0),
            ("temp_crit_alarm_celsius", "temp1", 0.0),
            ("temp_alarm", "temp1", 1.0),
            ("temp_type", "temp1", 4.0),
            ("fan_rpm", "fan1", 2000.0),
            ("fan_beep_enabled", "fan1", 1.0),
            ("fan_output", "fan1", 2160.0),
            ("in_volts", "in0", 0.792),
            ("energy_joule_total", "energy1", 1.5),
            ("power_average_watt", "power1", 67.89),
            ("power_accuracy", "power1", 0.05),
            ("pwm", "pwm1", 128.0),
            ("pwm_enable", "pwm1", 5.0),
            ("humidity", "humidity1", 0.045),
            ("freq_freq_mhz", "sclk", 300.0),
            ("update_interval_seconds", "update_interval0", 1.5),
            ("beep_enabled", "beep_enable0", 1.0),
        ] {
            let series = format!("node_hwmon_{family}{{chip=\"core_temp\",sensor=\"{sensor}\"}}");
            assert_eq!(samples.value(&series), Some(value), "{series}");
        }
        let label = "node_hwmon_sensor_label{chip=\"core_temp\",sensor=\"temp1\",label=\"Core 0\"}";
        assert_eq!(samples.value(label), Some(1.0));
        assert_eq!(samples.len(), 18 + 3, "and two labels, and the name of the chip");
    }

    #[test]
    fn a_chip_that_is_left_out_is_not_asked() {
        let mut tree = Tree::new(&[
            ("sys/class/hwmon/hwmon0/name", "drivetemp\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "30000\n"),
            ("sys/class/hwmon/hwmon1/name", "coretemp\n"),
            ("sys/class/hwmon/hwmon1/temp1_input", "50000\n"),
        ]);
        assert_eq!(tree.collect(collect).1.len(), 4);
        tree.settings.chips_left_out.push("drivetemp");
        let (_, samples) = tree.collect(collect);
        let series = "node_hwmon_temp_celsius{chip=\"coretemp\",sensor=\"temp1\"}";
        assert_eq!((samples.len(), samples.value(series)), (2, Some(50.0)));
    }

    #[test]
    fn a_chip_that_is_gone_leaves_nothing() {
        let tree = Tree::new(&[("sys/class/hwmon/hwmon0/temp1_input", "1000\n")]);
        assert_eq!(tree.collect(collect).1.len(), 1);
        std::fs::remove_dir_all(tree.path("sys/class/hwmon/hwmon0")).unwrap();
        let (result, samples) = tree.collect(collect);
        assert!(result.is_ok() && samples.is_empty());
        std::fs::remove_dir_all(tree.path("sys/class")).unwrap();
        assert!(tree.collect(collect).0.unwrap_err().is_absence());
    }
}
