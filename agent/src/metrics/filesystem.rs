//! How full the local file systems are, named and labelled as the collector `filesystem` of
//! `node_exporter` does it.

use super::page::{Page, one_if};
use super::{Family, Kind};
use crate::filesystem::{Filesystem, Measured, Report};

/// All of them.
pub(super) const FAMILIES: [&Family; 8] = [
    &FILESYSTEM_SIZE,
    &FILESYSTEM_FREE,
    &FILESYSTEM_AVAIL,
    &FILESYSTEM_FILES,
    &FILESYSTEM_FILES_FREE,
    &FILESYSTEM_READONLY,
    &FILESYSTEM_DEVICE_ERROR,
    &FILESYSTEM_MOUNT_INFO,
];

/// Records a report; one that is too old leaves nothing on the page.
pub(super) fn record(page: &mut Page, report: &Report) {
    if report.is_stale() {
        return;
    }
    for filesystem in report.filesystems.iter().flatten() {
        record_one(page, filesystem);
    }
}

fn record_one(page: &mut Page, filesystem: &Filesystem) {
    let Filesystem { point, device, kind, number, is_read_only, is_taken_back: _, measured } =
        filesystem;
    let point = point.display().to_string();
    let labels = [device.as_str(), kind.as_str(), point.as_str()];
    let (major, minor) = (number.major.to_string(), number.minor.to_string());
    let of_mount = [device.as_str(), major.as_str(), minor.as_str(), point.as_str()];
    page.set(&FILESYSTEM_MOUNT_INFO, of_mount, 1.0);
    match measured {
        Measured::Elsewhere => {}
        Measured::Failed(why) => {
            let [device, kind, point] = labels;
            page.set(&FILESYSTEM_DEVICE_ERROR, [device, kind, point, why], 1.0);
        }
        Measured::Room(room) => {
            // An empty label would be none to Prometheus, but one to those who compare pages.
            let fine = Family { labels: LABELS, ..FILESYSTEM_DEVICE_ERROR };
            page.set(&fine, labels, 0.0);
            page.set(&FILESYSTEM_READONLY, labels, one_if(*is_read_only));
            for (family, value) in [
                (&FILESYSTEM_SIZE, room.size),
                (&FILESYSTEM_FREE, room.free),
                (&FILESYSTEM_AVAIL, room.available),
                (&FILESYSTEM_FILES, room.files),
                (&FILESYSTEM_FILES_FREE, room.files_free),
            ] {
                page.set(family, labels, float(value));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, more than there is of anything")]
fn float(value: u64) -> f64 {
    value as f64
}

const LABELS: &[&str] = &["device", "fstype", "mountpoint"];

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: LABELS, help }
}

pub(crate) const FILESYSTEM_SIZE: Family =
    gauge("node_filesystem_size_bytes", "Size of a local file system.");
pub(crate) const FILESYSTEM_FREE: Family =
    gauge("node_filesystem_free_bytes", "What of it is free.");
pub(crate) const FILESYSTEM_AVAIL: Family =
    gauge("node_filesystem_avail_bytes", "What of it others than root can still fill.");
pub(crate) const FILESYSTEM_FILES: Family =
    gauge("node_filesystem_files", "Inodes of it; 0 where they are made as needed.");
pub(crate) const FILESYSTEM_FILES_FREE: Family =
    gauge("node_filesystem_files_free", "Inodes of it that are free.");
pub(crate) const FILESYSTEM_READONLY: Family =
    gauge("node_filesystem_readonly", "1 if it takes no writes, else 0.");
pub(crate) const FILESYSTEM_DEVICE_ERROR: Family = Family {
    name: "node_filesystem_device_error",
    kind: Kind::Gauge,
    labels: &["device", "fstype", "mountpoint", "device_error"],
    help: "1 if it could not be measured, with the reason as a label; else 0, without.",
};
pub(crate) const FILESYSTEM_MOUNT_INFO: Family = Family {
    name: "node_filesystem_mount_info",
    kind: Kind::Gauge,
    labels: &["device", "major", "minor", "mountpoint"],
    help: "Always 1; each local file system of the host, also those that this agent has no way to.",
};
