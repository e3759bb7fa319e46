//! What each mount of an NFS server has done: `/proc/self/mountstats`.

use std::collections::{BTreeMap, BTreeSet};

use crate::collector::Context;
use crate::nfs::family::{AGE, BYTES, EVENTS, INFO, OPERATIONS, TRANSPORT};
use crate::read::CollectError;
use crate::sample::Samples;
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let text = reader.file(&roots.proc, "self/mountstats")?.as_str().to_owned();
    if !text.contains(" with fstype nfs") {
        return Ok(());
    }
    let addresses = addresses(reader.file(&roots.proc, "self/mountinfo")?.as_str());
    let mut shown = Shown::default();
    let mut lines = lines(&text).peekable();
    while let Some((line_number, line)) = lines.next() {
        let Some((export, point)) = nfs_mount(line) else { continue };
        let mut mount = Mount::default();
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.starts_with("device ")) {
            mount.take(line);
        }
        let address = addresses.get(&(export, point)).copied().unwrap_or_default();
        let place = Place { export, point, address };
        mount.show(samples, &place, &mut shown).ok_or_else(|| CollectError::Parse {
            path: roots.proc.join("self/mountstats"),
            line: line_number,
        })?;
    }
    Ok(())
}

/// Returns the export and the mount point of `device … mounted on … with fstype nfs4 statvers=1.1`.
fn nfs_mount(line: &str) -> Option<(&str, &str)> {
    let mut words = words(line.strip_prefix("device ")?);
    let export = words.next()?;
    let point = words.nth(2)?;
    let has_statistics = matches!(words.nth(2)?, "nfs" | "nfs4") && words.next().is_some();
    has_statistics.then_some((export, point))
}

/// Returns the addresses of the servers by export and mount point, from `/proc/self/mountinfo`.
fn addresses(mountinfo: &str) -> BTreeMap<(&str, &str), &str> {
    let mut addresses = BTreeMap::new();
    for line in mountinfo.lines() {
        let Some((mount, device)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(export)) = (words(mount).nth(4), words(device).nth(1)) else {
            continue;
        };
        let options = words(device).nth(2).unwrap_or_default();
        let address = options.split(',').find_map(|option| option.strip_prefix("addr="));
        addresses.insert((export, point), address.unwrap_or_default());
    }
    addresses
}

/// Where a mount is.
struct Place<'a> {
    export: &'a str,
    point: &'a str,
    address: &'a str,
}

/// What has a series already: mounts of one export share their statistics.
#[derive(Default)]
struct Shown {
    exports: BTreeSet<[String; 3]>,
    mounts: BTreeSet<[String; 4]>,
}

/// The lines of one mount.
#[derive(Default)]
struct Mount<'a> {
    age: Option<&'a str>,
    bytes: Option<&'a str>,
    events: Option<&'a str>,
    transports: Vec<(&'a str, &'a str)>,
    operations: Vec<(&'a str, &'a str)>,
    is_in_operations: bool,
}

impl<'a> Mount<'a> {
    fn take(&mut self, line: &'a str) {
        let line = line.trim();
        if line == "per-op statistics" {
            self.is_in_operations = true;
            return;
        }
        let Some((name, rest)) = line.split_once(':') else { return };
        let rest = rest.trim_start();
        match name {
            _ if self.is_in_operations => self.operations.push((name, rest)),
            "age" => self.age = Some(rest),
            "bytes" => self.bytes = Some(rest),
            "events" => self.events = Some(rest),
            "xprt" => self.transports.extend(rest.split_once(' ')),
            _ => {}
        }
    }

    fn show(&self, samples: &mut Samples, place: &Place<'_>, shown: &mut Shown) -> Option<()> {
        for (protocol, _) in &self.transports {
            let labels = [place.export, protocol, place.address];
            let mount = [place.export, protocol, place.address, place.point];
            if shown.mounts.insert(mount.map(str::to_owned)) {
                samples.set(&INFO, &mount, 1.0);
            }
            // More than one connection to a server by one protocol: they are told below.
            if !shown.exports.insert(labels.map(str::to_owned)) {
                return Some(());
            }
            self.statistics(samples, labels)?;
        }
        Some(())
    }

    fn statistics(&self, samples: &mut Samples, labels: [&str; 3]) -> Option<()> {
        let [export, protocol, address] = labels;
        if let Some(age) = self.age {
            samples.set(&AGE, &labels, number(age)?);
        }
        for (families, line) in [(BYTES.as_slice(), self.bytes), (&EVENTS, self.events)] {
            let Some(line) = line else { continue };
            for (family, value) in families.iter().zip(words(line).map(number)) {
                // One of the events has had no meaning for long.
                if let Some(family) = family {
                    samples.set(family, &labels, value?);
                }
            }
        }
        for (index, (kind, line)) in self.transports.iter().enumerate() {
            let labels = [export, protocol, address, &index.to_string()];
            transport(samples, kind, line, &labels)?;
        }
        for (operation, line) in &self.operations {
            let labels = [export, protocol, address, operation];
            for ((unit, family), value) in OPERATIONS.iter().zip(words(line).map(number)) {
                samples.set(family, &labels, value? / unit);
            }
        }
        Some(())
    }
}

fn transport(samples: &mut Samples, kind: &str, line: &str, labels: &[&str]) -> Option<()> {
    // Over UDP there are no connections, and so nothing of the third to the fifth column.
    let skipped = if kind == "udp" { 3 } else { 0 };
    for (column, family) in &TRANSPORT {
        let column = match *column {
            2..=4 if skipped > 0 => continue,
            // Behind them, RDMA has columns of its own.
            10.. if kind == "rdma" => continue,
            5.. => column - skipped,
            _ => *column,
        };
        // Older kernels end earlier.
        let Some(word) = words(line).nth(column) else { continue };
        samples.set(family, labels, number(word)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    const STATISTICS: &str = "
\topts:\trw,vers=4.2
\tage:\t13968
\tevents:\t52 226 3 4 1 13 398 0 0 331 0 47 0 0 77 0 0 78 99 5 0 0 0 0 0 0 7
\tbytes:\t1207640230 1 2 3 1210214218 4 295483 5
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
";
    const OPERATIONS: &str = "\tper-op statistics
\t        NULL: 0 0 0 0 0 0 0 0
\t        READ: 1298 1299 2 207680 1210292152 6 79386 79407 0

";

    fn tree(mounts: &[(&str, &str, &str)]) -> Tree {
        let tree = Tree::new(&[]);
        let mut stats = "device proc mounted on /proc with fstype proc\n".to_owned();
        let mut info = "21 25 0:20 / /proc rw - proc proc rw\n".to_owned();
        for (export, point, transports) in mounts {
            let head = format!("device {export} mounted on {point} with fstype nfs4 statvers=1.1");
            stats.push_str(&(head + STATISTICS + transports + OPERATIONS));
            let options = "rw,vers=4.2,addr=192.0.2.1\n";
            info.extend(["40 25 0:42 / ", point, " rw shared:1 - nfs4 ", export, " ", options]);
        }
        tree.write("proc/self/mountstats", stats.as_bytes());
        tree.write("proc/self/mountinfo", info.as_bytes());
        tree
    }

    const TCP: &str = "\txprt:\ttcp 832 1 2 3 11 6428 6429 4 12154 5 24 26 5726\n";

    #[test]
    fn mounts_of_one_export_share_their_statistics() {
        let one = ("nfs:/srv", "/mnt/a", TCP);
        let (result, samples) = tree(&[one, ("nfs:/srv", "/mnt/b", TCP)]).collect(collect);
        result.unwrap();
        let labels = "export=\"nfs:/srv\",protocol=\"tcp\",mountaddr=\"192.0.2.1\"";
        for (name, more, value) in [
            ("age_seconds_total", "", 13968.0),
            ("read_bytes_total", "", 1_207_640_230.0),
            ("write_pages_total", "", 5.0),
            ("event_vfs_file_release_total", "", 78.0),
            ("event_truncation_total", "", 5.0),
            ("event_pnfs_write_total", "", 7.0),
            ("transport_connect_total", ",transport=\"0\"", 2.0),
            ("transport_idle_time_seconds", ",transport=\"0\"", 11.0),
            ("transport_sends_total", ",transport=\"0\"", 6428.0),
            ("transport_backlog_queue_total", ",transport=\"0\"", 5.0),
            ("transport_pending_queue_total", ",transport=\"0\"", 5726.0),
            ("operations_requests_total", ",operation=\"READ\"", 1298.0),
            ("operations_response_time_seconds_total", ",operation=\"READ\"", 79.386),
            ("mountpoint_info", ",mountpoint=\"/mnt/b\"", 1.0),
        ] {
            let series = format!("node_mountstats_nfs_{name}{{{labels}{more}}}");
            assert_eq!(samples.value(&series), Some(value), "{series}");
        }
        let (_, alone) = tree(&[one]).collect(collect);
        assert_eq!(samples.len(), alone.len() + 1, "the second adds its mount point");
    }

    #[test]
    fn udp_has_no_connections_and_rdma_columns_of_its_own() {
        let udp = "\txprt:\tudp 832 1 6428 6429 4 12154 5 24 26 5726\n";
        let rdma = "\txprt:\trdma 832 1 2 3 11 6428 6429 4 12154 5 2 6 12 0 0 0 0 0 0 0 0 0 0\n";
        let mounts = [("a:/", "/a", udp), ("b:/", "/b", rdma)];
        let (result, samples) = tree(&mounts).collect(collect);
        result.unwrap();
        let value = |export, protocol, name| {
            let labels = format!(
                "export=\"{export}\",protocol=\"{protocol}\",mountaddr=\"192.0.2.1\",\
                 transport=\"0\""
            );
            samples.value(&format!("node_mountstats_nfs_transport_{name}{{{labels}}}"))
        };
        assert_eq!(value("a:/", "udp", "connect_total"), None);
        assert_eq!(value("a:/", "udp", "sends_total"), Some(6428.0));
        assert_eq!(value("a:/", "udp", "maximum_rpc_slots"), Some(24.0));
        assert_eq!(value("b:/", "rdma", "backlog_queue_total"), Some(5.0));
        assert_eq!(value("b:/", "rdma", "maximum_rpc_slots"), None);
    }

    #[test]
    fn without_nfs_there_is_nothing() {
        let (result, samples) = tree(&[]).collect(collect);
        result.unwrap();
        assert!(samples.is_empty());
    }
}
