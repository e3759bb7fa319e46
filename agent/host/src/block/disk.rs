//! What each disk has done, and what it is: `/proc/diskstats`.

use crate::block::udev::Properties;
use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let disks = reader.file(&roots.proc, "diskstats")?.parsed(|text| parse(text, samples))?;
    let block = roots.sys.join("block");
    let is_known = roots.udev.is_dir();
    for disk in disks {
        let known = if is_known {
            Properties::read(reader, roots, &disk.major, &disk.minor)
        } else {
            Properties::default()
        };
        let folder = block.join(disk.name.replace('/', "!"));
        let turns = reader.attribute(&folder, "queue/rotational") == Some("1");
        info(samples, &disk, &known, if turns { "1" } else { "0" });
    }
    Ok(())
}

struct Disk {
    name: String,
    major: String,
    minor: String,
}

/// Reads the lines `254 0 vda 1 2 …`: newer kernels have more numbers. Returns the disks.
fn parse(text: &str, samples: &mut Samples) -> Result<Vec<Disk>, usize> {
    let mut disks = Vec::new();
    for (line_number, line) in lines(text) {
        let mut words = words(line);
        let (Some(major), Some(minor), Some(name)) = (words.next(), words.next(), words.next())
        else {
            return Err(line_number);
        };
        if is_ignored(name) {
            continue;
        }
        for (word, (unit, family)) in words.zip(&STATISTICS) {
            samples.set(family, &[name], number(word).ok_or(line_number)? * unit);
        }
        disks.push(Disk { name: name.into(), major: major.into(), minor: minor.into() });
    }
    Ok(disks)
}

fn info(samples: &mut Samples, disk: &Disk, known: &Properties, rotational: &str) {
    let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"];
    let serial = serial.iter().find_map(|name| known.get(name)).unwrap_or_default();
    let label = |name| known.label(name);
    let values = [
        &disk.name,
        &disk.major,
        &disk.minor,
        label("ID_PATH"),
        label("ID_WWN"),
        label("ID_MODEL"),
        serial,
        label("ID_REVISION"),
        rotational,
    ];
    samples.set(&INFO, &values, 1.0);
    if let Some(kind) = known.get("ID_FS_TYPE") {
        let (usage, uuid) = (label("ID_FS_USAGE"), label("ID_FS_UUID"));
        let values = [&disk.name, kind, usage, uuid, label("ID_FS_VERSION")];
        samples.set(&FILESYSTEM, &values, 1.0);
    }
    if let Some(name) = known.get("DM_NAME") {
        let (uuid, group) = (label("DM_UUID"), label("DM_VG_NAME"));
        let values = [&disk.name, name, uuid, group, label("DM_LV_NAME"), label("DM_LV_LAYER")];
        samples.set(&MAPPER, &values, 1.0);
    }
    if known.get("ID_ATA").is_some() {
        for (property, family) in &ATA {
            if let Some(value) = known.get(property).and_then(number) {
                samples.set(family, &[&disk.name], value);
            }
        }
    }
}

/// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`, by which `node_exporter` leaves devices
/// out unless told otherwise: RAM disks, loop devices, floppy disks and partitions.
fn is_ignored(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    if ["ram", "zram", "loop", "fd"].contains(&stem) {
        return true;
    }
    let is_letter =
        |rest: &str| rest.len() == 1 && rest.starts_with(|c: char| c.is_ascii_lowercase());
    if ["hd", "sd", "vd", "xvd"].iter().any(|disk| stem.strip_prefix(disk).is_some_and(is_letter)) {
        return true;
    }
    let numbers = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers
        .and_then(|numbers| numbers.split_once('n'))
        .is_some_and(|(controller, space)| is_number(controller) && is_number(space))
}

const DEVICE: &[&str] = &["device"];
/// The kernel's unit, whatever sectors the disk has.
const SECTOR: f64 = 512.0;
const MILLISECOND: f64 = 1.0 / 1000.0;

const INFO: Family = Family::gauge(
    "node_disk_info",
    &["device", "major", "minor", "path", "wwn", "model", "serial", "revision", "rotational"],
    "Always 1; what the disk is are labels.",
);
const FILESYSTEM: Family = Family::gauge(
    "node_disk_filesystem_info",
    &["device", "type", "usage", "uuid", "version"],
    "Always 1; the file system that is on the disk.",
);
const MAPPER: Family = Family::gauge(
    "node_disk_device_mapper_info",
    &["device", "name", "uuid", "vg_name", "lv_name", "lv_layer"],
    "Always 1; what the device mapper has made.",
);
static ATA: [(&str, Family); 3] = [
    (
        "ID_ATA_WRITE_CACHE",
        Family::gauge("node_disk_ata_write_cache", DEVICE, "1 if the disk has a write cache."),
    ),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        Family::gauge("node_disk_ata_write_cache_enabled", DEVICE, "1 if it uses its cache."),
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        Family::gauge("node_disk_ata_rotation_rate_rpm", DEVICE, "Turns a minute, or 0."),
    ),
];
/// In the order of the line.
static STATISTICS: [(f64, Family); 17] = [
    (1.0, Family::counter("node_disk_reads_completed_total", DEVICE, "Reads.")),
    (1.0, Family::counter("node_disk_reads_merged_total", DEVICE, "Reads merged with others.")),
    (SECTOR, Family::counter("node_disk_read_bytes_total", DEVICE, "Bytes read.")),
    (
        MILLISECOND,
        Family::counter("node_disk_read_time_seconds_total", DEVICE, "Seconds of all reads."),
    ),
    (1.0, Family::counter("node_disk_writes_completed_total", DEVICE, "Writes.")),
    (1.0, Family::counter("node_disk_writes_merged_total", DEVICE, "Writes merged with others.")),
    (SECTOR, Family::counter("node_disk_written_bytes_total", DEVICE, "Bytes written.")),
    (
        MILLISECOND,
        Family::counter("node_disk_write_time_seconds_total", DEVICE, "Seconds of all writes."),
    ),
    (1.0, Family::gauge("node_disk_io_now", DEVICE, "Requests that run.")),
    (
        MILLISECOND,
        Family::counter("node_disk_io_time_seconds_total", DEVICE, "Seconds with requests."),
    ),
    (
        MILLISECOND,
        Family::counter(
            "node_disk_io_time_weighted_seconds_total",
            DEVICE,
            "Seconds with requests, each counted.",
        ),
    ),
    (1.0, Family::counter("node_disk_discards_completed_total", DEVICE, "Discards.")),
    (
        1.0,
        Family::counter("node_disk_discards_merged_total", DEVICE, "Discards merged with others."),
    ),
    (1.0, Family::counter("node_disk_discarded_sectors_total", DEVICE, "Sectors discarded.")),
    (
        MILLISECOND,
        Family::counter("node_disk_discard_time_seconds_total", DEVICE, "Seconds of all discards."),
    ),
    (1.0, Family::counter("node_disk_flush_requests_total", DEVICE, "Flushes.")),
    (
        MILLISECOND,
        Family::counter(
            "node_disk_flush_requests_time_seconds_total",
            DEVICE,
            "Seconds of all flushes.",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn partitions_and_what_is_in_memory_are_left_out() {
        for name in ["ram0", "zram1", "loop12", "fd0", "sda1", "vdb12", "xvda1", "nvme0n1p3"] {
            assert!(is_ignored(name), "{name}");
        }
        for name in ["sda", "nvme0n1", "dm-0", "md127", "mmcblk0p1", "sr0", "sdaa1", "nvmep1", ""] {
            assert!(!is_ignored(name), "{name}");
        }
    }

    #[test]
    fn a_disk_has_its_statistics_and_what_udev_knows() {
        let stats = "8 0 sda 1 2 3 4000 5 6 7 8 9 10 11\n8 1 sda1 1 1 1 1 1 1 1 1 1 1 1\n\
                     254 0 dm-0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17000\n";
        let tree = Tree::new(&[
            ("proc/diskstats", stats),
            ("sys/block/sda/queue/rotational", "1\n"),
            (
                "udev/b8:0",
                "S:disk\nE:ID_MODEL=WDC\nE:ID_SERIAL=WDC_1\nE:ID_SERIAL_SHORT=1\nE:ID_ATA=1\n\
                 E:ID_ATA_WRITE_CACHE=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\n",
            ),
            (
                "udev/b254:0",
                "E:DM_NAME=vg-root\nE:DM_UUID=LVM-x\nE:DM_VG_NAME=vg\nE:DM_LV_NAME=root\n\
                 E:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:ID_FS_UUID=5d\n\
                 E:ID_FS_VERSION=1.0\n",
            ),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_disk_read_bytes_total{device=\"sda\"}", 1536.0),
            ("node_disk_read_time_seconds_total{device=\"sda\"}", 4.0),
            ("node_disk_flush_requests_time_seconds_total{device=\"dm-0\"}", 17.0),
            ("node_disk_ata_rotation_rate_rpm{device=\"sda\"}", 7200.0),
            (
                "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",path=\"\",wwn=\"\",\
                 model=\"WDC\",serial=\"1\",revision=\"\",rotational=\"1\"}",
                1.0,
            ),
            (
                "node_disk_device_mapper_info{device=\"dm-0\",name=\"vg-root\",uuid=\"LVM-x\",\
                 vg_name=\"vg\",lv_name=\"root\",lv_layer=\"\"}",
                1.0,
            ),
            (
                "node_disk_filesystem_info{device=\"dm-0\",type=\"ext4\",usage=\"filesystem\",\
                 uuid=\"5d\",version=\"1.0\"}",
                1.0,
            ),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        let flushes = "node_disk_flush_requests_total{device=\"sda\"}";
        assert_eq!(samples.value(flushes), None, "an older kernel does not count them");
    }
}
