//! The disks on the page: what they say, and nothing where they do not stand by it.

use std::sync::Arc;
use std::time::Duration;

use crate::health::tests::snapshot;
use crate::metrics::{Counters, render};
use crate::smart::tests::{HARD_DISK, NVME, answer, disk, report};
use crate::smart::{Disk, Report, Standing};

/// Returns the lines of the disks.
fn lines(report: Report) -> Vec<String> {
    let mut snapshot = snapshot();
    snapshot.smart = Some(Arc::new(report));
    let page = render(&snapshot, &Counters::new());
    let is_of_disks = |line: &&str| line.starts_with("smartctl_") || line.contains("_smart_age");
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter(is_of_disks)
        .map(str::to_owned)
        .collect()
}

fn names(disk: Disk) -> Vec<String> {
    let name = |line: String| line.split('{').next().unwrap_or_default().to_owned();
    lines(report(vec![disk])).into_iter().map(name).collect()
}

#[test]
fn a_disk_shows_what_dashboards_of_the_field_ask_for() {
    let lines = lines(report(vec![
        disk("sda", answer(HARD_DISK, &[])),
        disk("nvme0", answer(NVME, &[("\"critical_warning\":0", "\"critical_warning\":4")])),
    ]));
    for wanted in [
        "smartctl_device_smart_status{device=\"sda\"} 1",
        "smartctl_device_smartctl_exit_status{device=\"sda\"} 0",
        "smartctl_device_temperature{device=\"sda\",temperature_type=\"current\"} 32",
        "smartctl_device_attribute{device=\"sda\",attribute_name=\"Reallocated_Sector_Ct\",\
         attribute_flags_short=\"PO--CK\",attribute_flags_long=\"prefailure,updated_online,\
         event_count,auto_keep\",attribute_value_type=\"value\",attribute_id=\"5\"} 200",
        "smartctl_device{device=\"sda\",interface=\"sat\",protocol=\"ATA\",model_family=\"Maker \
         Model Line\",model_name=\"MAKER MD4000-AB\",serial_number=\"XY-0001\",\
         ata_additional_product_id=\"unknown\",firmware_version=\"82.00A82\",ata_version=\"ACS-3 \
         T13/2161-D revision 5\",sata_version=\"SATA 3.1\",form_factor=\"3.5 inches\"} 1",
        "smartctl_device_percentage_used{device=\"nvme0\"} 3",
        "smartctl_device_available_spare{device=\"nvme0\"} 100",
        "smartctl_device_available_spare_threshold{device=\"nvme0\"} 10",
        "smartctl_device_critical_warning{device=\"nvme0\"} 4",
        "smartctl_device_media_errors{device=\"nvme0\"} 0",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted} in\n{}", lines.join("\n"));
    }
    // Attributes that nobody judges are not shown, nor is what a disk does not have.
    let is_there = |what: &str| lines.iter().any(|line| line.contains(what));
    assert!(!is_there("attribute_id=\"194\"") && !is_there("percentage_used{device=\"sda\"}"));
}

#[test]
fn a_disk_that_does_not_answer_has_its_age_alone() {
    for standing in [Standing::Silent(1), Standing::Offline, Standing::Unknown] {
        let mut gone = disk("sda", answer(HARD_DISK, &[]));
        gone.standing = standing;
        assert_eq!(names(gone), ["curfew_smart_age_seconds"]);
    }
    let mut never = disk("sda", answer(HARD_DISK, &[]));
    (never.standing, never.answered, never.answer) = (Standing::Asleep, None, None);
    assert!(names(never).is_empty());
    // While it sleeps what it has counted stays true, and how warm it was does not.
    let mut sleeper = disk("nvme0", answer(NVME, &[]));
    (sleeper.standing, sleeper.answered) = (Standing::Asleep, Some(Duration::from_hours(9)));
    let names = names(sleeper);
    assert!(names.contains(&"smartctl_device_media_errors".to_owned()));
    assert!(!names.contains(&"smartctl_device_temperature".to_owned()));
}

#[test]
fn what_a_disk_calls_itself_is_a_label_and_no_more() {
    let rude = HARD_DISK.replace("MAKER MD4000-AB", "a\\\"b\\\\c\\nd\\u001b\\u00fc");
    let long = "x".repeat(500);
    let rude = rude.replace("XY-0001", &long);
    // One attribute twice, which would be two series of one name.
    let rude = rude.replace("\"id\":198", "\"id\":197");
    let lines = lines(report(vec![disk("sda", answer(&rude, &[]))]));
    let device = lines.iter().find(|line| line.starts_with("smartctl_device{")).unwrap();
    assert!(device.contains("model_name=\"a\\\"b\\\\cd\""), "{device}");
    assert!(device.contains(&format!("serial_number=\"{}\"", "x".repeat(64))), "{device}");
    let pending = lines.iter().filter(|line| line.contains("attribute_id=\"197\""));
    assert_eq!(pending.count(), 2, "its value and its raw value");
}
