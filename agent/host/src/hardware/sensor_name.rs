//! What chips and sensors are called.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::read::Reader;

/// A chip and its name on the page.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Chip {
    pub(super) folder: PathBuf,
    pub(super) name: String,
}

/// Returns the chips with names that stay the same from boot to boot, as far as there are such:
/// `hwmon3` depends on the order in which modules were loaded.
pub(super) fn chips(reader: &mut Reader, class: &Path, entries: &[String]) -> Vec<Chip> {
    let mut chips: Vec<_> = entries
        .iter()
        .map(|entry| class.join(entry))
        .filter(|folder| folder.is_dir())
        .map(|folder| Chip { name: chip_name(reader, &folder), folder })
        .collect();
    let mut uses: BTreeMap<String, u32> = BTreeMap::new();
    for chip in &chips {
        *uses.entry(chip.name.clone()).or_default() += 1;
    }
    // One device may have several chips, which are told apart by their own names, if they differ.
    let own = |reader: &mut Reader, chip: &Chip| {
        clean(reader.attribute(&chip.folder, "name").unwrap_or_default())
    };
    let names: Vec<_> = chips.iter().map(|chip| (chip.name.clone(), own(reader, chip))).collect();
    for (chip, name) in chips.iter_mut().zip(&names) {
        if uses.get(&chip.name).is_some_and(|uses| *uses > 1) {
            let is_unique = names.iter().filter(|other| *other == name).count() == 1;
            let entry = chip.folder.file_name().map(|entry| entry.to_string_lossy().into_owned());
            let suffix = if is_unique && !name.1.is_empty() {
                name.1.clone()
            } else {
                clean(&entry.unwrap_or_default())
            };
            chip.name = format!("{}_{suffix}", chip.name);
        }
    }
    chips
}

/// By its device (`platform_coretemp_0`), else as it calls itself, else as the kernel numbers it.
fn chip_name(reader: &mut Reader, folder: &Path) -> String {
    let last = |path: &Path| {
        clean(&path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default())
    };
    if let Ok(device) = fs::canonicalize(folder.join("device")) {
        let (bus, name) = (device.parent().map(last).unwrap_or_default(), last(&device));
        if !name.is_empty() {
            return if bus.is_empty() { name } else { format!("{bus}_{name}") };
        }
    }
    let own = clean(reader.attribute(folder, "name").unwrap_or_default());
    if own.is_empty() { last(&fs::canonicalize(folder).unwrap_or_default()) } else { own }
}

/// Returns a name in lower case with `_` for what is neither letter nor digit.
pub(super) fn clean(name: &str) -> String {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':';
    let lower = name.to_lowercase();
    lower.replace(|c: char| !is_fine(c), "_").trim_matches('_').to_owned()
}

/// The parts of `temp1_crit_alarm`: kind, number and element.
pub(super) fn parts(file: &str) -> Option<(&str, u32, &str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let (kind, rest) = file.split_at_checked(file.find(is_digit).unwrap_or(file.len()))?;
    let digits = rest.len() - rest.trim_start_matches(is_digit).len();
    let (digits, rest) = rest.split_at_checked(digits)?;
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let element = match rest.strip_prefix('_') {
        Some("") => return None,
        Some(element) => element,
        None if rest.is_empty() => "",
        None => return None,
    };
    KINDS.contains(&kind).then_some((kind, number, element))
}

const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn files_are_taken_apart() {
        assert_eq!(parts("temp1_crit_alarm"), Some(("temp", 1, "crit_alarm")));
        assert_eq!(parts("pwm12"), Some(("pwm", 12, "")));
        assert_eq!(parts("update_interval"), Some(("update_interval", 0, "")));
        for other in ["name", "device", "temp1x", "temp1_", "power_off", "1", "temp99999999999"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }

    #[test]
    fn chips_have_names_that_stay() {
        let tree = Tree::new(&[
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/name", "coretemp\n"),
            ("sys/devices/platform/asus/hwmon/hwmon1/name", "asus\n"),
            ("sys/devices/platform/asus/hwmon/hwmon2/name", "asus_wmi\n"),
            ("sys/devices/virtual/hwmon/hwmon3/name", "acpitz\n"),
            ("sys/devices/virtual/hwmon/hwmon4/temp1_input", "1\n"),
        ]);
        let devices = "../../devices";
        for (entry, place) in [
            ("hwmon0", "platform/coretemp.0/hwmon"),
            ("hwmon1", "platform/asus/hwmon"),
            ("hwmon2", "platform/asus/hwmon"),
            ("hwmon3", "virtual/hwmon"),
            ("hwmon4", "virtual/hwmon"),
        ] {
            tree.link(&format!("sys/class/hwmon/{entry}"), &format!("{devices}/{place}/{entry}"));
            if place.starts_with("platform") {
                tree.link(&format!("sys/devices/{place}/{entry}/device"), "../..");
            }
        }
        let class = tree.roots().sys.join("class/hwmon");
        let entries: Vec<_> = (0..6).map(|number| format!("hwmon{number}")).collect();
        let chips = chips(&mut Reader::default(), &class, &entries);
        let names: Vec<_> = chips.iter().map(|chip| chip.name.as_str()).collect();
        let expected = [
            "platform_coretemp_0",
            "platform_asus_asus",
            "platform_asus_asus_wmi",
            "acpitz",
            "hwmon4",
        ];
        assert_eq!(names, expected);
    }
}
