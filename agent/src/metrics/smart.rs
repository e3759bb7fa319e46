//! What the disks say of themselves, named and labelled as `smartctl_exporter` does it.
//!
//! Levels are gauges here; there some of them are counters, which no query minds.

use super::page::{Page, one_if};
use super::{Family, Kind};
use crate::smart::{Answer, Attribute, AttributeFlags, Disk, Report};

/// All of them.
pub(super) const FAMILIES: [&Family; 11] = [
    &SMART_AGE,
    &DEVICE,
    &EXIT_STATUS,
    &SMART_STATUS,
    &TEMPERATURE,
    &ATTRIBUTE,
    &PERCENTAGE_USED,
    &AVAILABLE_SPARE,
    &AVAILABLE_SPARE_THRESHOLD,
    &CRITICAL_WARNING,
    &MEDIA_ERRORS,
];

/// Records what was last read; a disk that does not stand by what it said has its age alone.
pub(super) fn record(page: &mut Page, report: &Report) {
    for disk in report.disks() {
        if let Some(age) = disk.answered {
            let age = age.saturating_add(report.looked.elapsed());
            page.set(&SMART_AGE, [disk.name.as_str()], age.as_secs_f64());
        }
        if let Some(answer) = disk.says() {
            record_one(page, disk, answer);
        }
    }
}

fn record_one(page: &mut Page, disk: &Disk, answer: &Answer) {
    let name = disk.name.as_str();
    describe(page, name, answer);
    let log = answer.nvme_smart_health_information_log;
    let passed = answer.smart_status.map(|status| one_if(status.passed));
    for (family, value) in [
        (&EXIT_STATUS, answer.smartctl.exit_status),
        (&SMART_STATUS, passed),
        (&PERCENTAGE_USED, log.and_then(|log| log.percentage_used)),
        (&AVAILABLE_SPARE, log.and_then(|log| log.available_spare)),
        (&AVAILABLE_SPARE_THRESHOLD, log.and_then(|log| log.available_spare_threshold)),
        (&CRITICAL_WARNING, log.and_then(|log| log.critical_warning).map(f64::from)),
        (&MEDIA_ERRORS, log.and_then(|log| log.media_errors)),
    ] {
        if let Some(value) = value {
            page.set(family, [name], value);
        }
    }
    if let Some(celsius) = answer.temperature.current.filter(|_| disk.is_fresh()) {
        page.set(&TEMPERATURE, [name, "current"], celsius);
    }
    let mut seen = Vec::new();
    for attribute in answer.attributes().filter(|it| is_judged(it)) {
        // A disk that names one twice would make the whole page invalid.
        if !seen.contains(&attribute.id) {
            seen.push(attribute.id);
            record_attribute(page, name, attribute);
        }
    }
}

fn describe(page: &mut Page, name: &str, answer: &Answer) {
    let text = |text: &Option<String>| label(text.as_deref().unwrap_or_default());
    let additional = match text(&answer.ata_additional_product_id) {
        absent if absent.is_empty() => "unknown".to_owned(),
        additional => additional,
    };
    let texts = [
        label(&answer.device.kind),
        label(&answer.device.protocol),
        text(&answer.model_family),
        text(&answer.model_name),
        text(&answer.serial_number),
        additional,
        text(&answer.firmware_version),
        label(&answer.ata_version.string),
        label(&answer.sata_version.string),
        label(&answer.form_factor.name),
    ];
    let [kind, protocol, family, model, serial, more, firmware, ata, sata, form] =
        texts.each_ref().map(String::as_str);
    let labels = [name, kind, protocol, family, model, serial, more, firmware, ata, sata, form];
    page.set(&DEVICE, labels, 1.0);
}

fn record_attribute(page: &mut Page, name: &str, attribute: &Attribute) {
    let (short, long) = (label(&attribute.flags.string), words(&attribute.flags));
    let (called, id) = (label(&attribute.name), attribute.id.to_string());
    for (kind, value) in [("value", attribute.value), ("raw", Some(attribute.raw.value))] {
        if let Some(value) = value {
            page.set(&ATTRIBUTE, [name, &called, &short, &long, kind, &id], value);
        }
    }
}

fn is_judged(attribute: &Attribute) -> bool {
    matches!(attribute.id, 5 | 197 | 198) || attribute.is_wear()
}

fn words(flags: &AttributeFlags) -> String {
    let words: Vec<&str> = [
        (flags.prefailure, "prefailure"),
        (flags.updated_online, "updated_online"),
        (flags.performance, "performance"),
        (flags.error_rate, "error_rate"),
        (flags.event_count, "event_count"),
        (flags.auto_keep, "auto_keep"),
    ]
    .into_iter()
    .filter_map(|(is_set, word)| is_set.then_some(word))
    .collect();
    words.join(",")
}

/// What a disk says of itself, fit for a label.
fn label(text: &str) -> String {
    let printable = text.trim().chars().filter(|it| matches!(it, ' '..='~'));
    printable.take(LABEL_MAX).collect()
}

/// A model is 40 letters at most, a serial number 20.
const LABEL_MAX: usize = 64;

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: &["device"], help }
}

pub(crate) const SMART_AGE: Family = gauge(
    "curfew_smart_age_seconds",
    "Time since the disk last said how it fares; grows while it sleeps, absent if it never said.",
);
pub(crate) const DEVICE: Family = Family {
    name: "smartctl_device",
    kind: Kind::Gauge,
    labels: &[
        "device",
        "interface",
        "protocol",
        "model_family",
        "model_name",
        "serial_number",
        "ata_additional_product_id",
        "firmware_version",
        "ata_version",
        "sata_version",
        "form_factor",
    ],
    help: "Always 1; what the disk is called.",
};
pub(crate) const EXIT_STATUS: Family = gauge(
    "smartctl_device_smartctl_exit_status",
    "What smartctl ended with when it last asked the disk, a bit for each thing that is wrong.",
);
pub(crate) const SMART_STATUS: Family = gauge(
    "smartctl_device_smart_status",
    "1 if the disk does not expect to fail, else 0; absent if it does not say.",
);
pub(crate) const TEMPERATURE: Family = Family {
    name: "smartctl_device_temperature",
    kind: Kind::Gauge,
    labels: &["device", "temperature_type"],
    help: "Degrees Celsius; absent while the disk has not been asked for 3 h.",
};
pub(crate) const ATTRIBUTE: Family = Family {
    name: "smartctl_device_attribute",
    kind: Kind::Gauge,
    labels: &[
        "device",
        "attribute_name",
        "attribute_flags_short",
        "attribute_flags_long",
        "attribute_value_type",
        "attribute_id",
    ],
    help: "Attributes of an ATA disk: 5, 197, 198 and those of wear, as value and raw.",
};
pub(crate) const PERCENTAGE_USED: Family = gauge(
    "smartctl_device_percentage_used",
    "How worn an NVMe disk is, in percent of what its maker promises.",
);
pub(crate) const AVAILABLE_SPARE: Family =
    gauge("smartctl_device_available_spare", "What is left of the spare of an NVMe disk, percent.");
pub(crate) const AVAILABLE_SPARE_THRESHOLD: Family = gauge(
    "smartctl_device_available_spare_threshold",
    "The spare below which an NVMe disk warns, percent.",
);
pub(crate) const CRITICAL_WARNING: Family = gauge(
    "smartctl_device_critical_warning",
    "The critical warning of an NVMe disk, a bit for each thing that is wrong.",
);
pub(crate) const MEDIA_ERRORS: Family = gauge(
    "smartctl_device_media_errors",
    "How often data of an NVMe disk could not be read or was wrong, over its life.",
);

#[cfg(test)]
mod tests;
