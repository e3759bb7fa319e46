//! Our page beside that of a real `node_exporter`, on this machine and on one made of files.
//!
//! Every difference is listed here, as in `docs/metrics.md`.

mod exporter;
mod noise;
mod page;
mod tree;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use curfew_host::collector::COLLECTORS;
use curfew_host::{Format, Host, Roots, Selection, Settings};

use crate::exporter::Exporter;
use crate::page::{Page, Series};
use crate::tree::Tree;

/// Collectors of ours that version 1.5 has not.
const NEWER: [&str; 2] = ["kernel_hung", "process"];
/// Families that it has not, or not on its page here.
const ONLY_OURS: [&str; 11] = [
    // Newer versions have them.
    "node_cpu_scaling_governor",
    "node_hwmon_freq_freq_mhz",
    "node_kernel_hung_tasks_total",
    "node_md_degraded",
    "node_md_raid_disks",
    "node_mountstats_nfs_mountpoint_info",
    "node_netstat_TcpExt_TCPOFOQueue",
    "node_netstat_TcpExt_TCPRcvQDrop",
    "node_pressure_irq_stalled_seconds_total",
    "node_softnet_backlog_len",
    // Of the exporter itself, which the tests have turned off.
    "node_exporter_build_info",
];
/// The same, by their beginnings.
const ONLY_OURS_BEGIN: [&str; 6] = [
    "process_",
    "node_scrape_collector_",
    "node_softnet_cpu_collision",
    "node_softnet_flow_limit",
    "node_softnet_received_rps",
    "node_cpu_online",
];
/// Families of the other that have nothing to do with the host.
const ONLY_THEIRS: [&str; 2] = ["promhttp_", "node_exporter_build_info"];
/// Labels that newer versions have.
const NEWER_LABELS: [(&str, &str); 3] = [
    ("node_disk_info", "rotational"),
    ("node_network_info", "adminstate"),
    ("node_nvme_info", "cntlid"),
];

fn arguments(more: &[String]) -> Vec<String> {
    let mut arguments = vec!["--collector.disable-defaults".to_owned()];
    let names = COLLECTORS.iter().map(|collector| collector.name);
    let known = names.filter(|name| !NEWER.contains(name));
    arguments.extend(known.map(|name| format!("--collector.{name}")));
    // Debian leaves the loopback device out.
    arguments.push("--collector.netdev.device-exclude=".to_owned());
    arguments.extend_from_slice(more);
    arguments
}

fn ours(host: &Host) -> Page {
    let mut page = String::new();
    curfew_host::render(host.collect().samples(), Format::Text, &mut page);
    Page::new(&page)
}

fn is_only_theirs(name: &str) -> bool {
    ONLY_THEIRS.iter().any(|start| name.starts_with(start))
}

fn is_only_ours(name: &str) -> bool {
    ONLY_OURS.contains(&name) || ONLY_OURS_BEGIN.iter().any(|start| name.starts_with(start))
}

/// Returns the series without the labels that the other version has not.
fn as_1_5((name, labels): &Series) -> Series {
    let is_newer = |label: &str| {
        NEWER_LABELS.contains(&(name.as_str(), label))
            || label == "transport" && name.starts_with("node_mountstats_nfs_transport")
    };
    let labels = labels.iter().filter(|(label, _)| !is_newer(label)).cloned().collect();
    (name.clone(), labels)
}

/// Asserts that every family of the other is here with the same type and labels, and no other.
fn assert_same_families(ours: &Page, theirs: &Page) {
    for (name, kind) in theirs.kinds.iter().filter(|(name, _)| !is_only_theirs(name)) {
        assert_eq!(ours.kinds.get(name), Some(kind), "the type of {name}");
        let newer =
            NEWER_LABELS.iter().filter(|(family, _)| family == name).map(|(_, label)| label);
        let newer: BTreeSet<_> = newer.collect();
        let mine = ours.labels(name).into_iter().map(|labels| {
            labels.into_iter().filter(|label| !newer.contains(label)).collect::<Vec<_>>()
        });
        assert_eq!(mine.collect::<BTreeSet<_>>(), theirs.labels(name), "the labels of {name}");
    }
    let more = ours.kinds.keys().filter(|name| !theirs.kinds.contains_key(*name));
    let more: Vec<_> = more.filter(|name| !is_only_ours(name)).collect();
    assert!(more.is_empty(), "only ours: {more:?}");
}

#[test]
fn a_machine_of_files_is_seen_as_node_exporter_sees_it() {
    let tree = Tree::new();
    let path = |name: &str| tree.path().join(name).display().to_string();
    let exporter = Exporter::start(&arguments(&[
        format!("--path.procfs={}", path("proc")),
        format!("--path.sysfs={}", path("sys")),
        format!("--path.rootfs={}", path("root")),
        format!("--path.udev.data={}", path("udev")),
        format!("--collector.textfile.directory={}", path("text")),
        "--no-collector.netdev.netlink".to_owned(),
    ]));
    let host = Host::new(tree.roots(), tree.settings(), &Selection::default());
    let (theirs, ours) = (exporter.scrape(), ours(&host));
    let mut found = Vec::new();
    for (series, value) in &theirs.values {
        let is_volatile = ["node_time_seconds", "node_timex_", "node_scrape_collector_duration"]
            .iter()
            .any(|start| series.0.starts_with(start));
        let mine = ours.values.iter().find(|(mine, _)| as_1_5(mine) == *series);
        match mine {
            _ if is_explained(series) => {}
            None => found.push(format!("{series:?} {value} is missing")),
            Some((_, mine)) if mine.to_bits() != value.to_bits() && !is_volatile => {
                found.push(format!("{series:?}: {mine} here, {value} there"));
            }
            Some(_) => {}
        }
    }
    for (series, value) in &ours.values {
        // Version 1.5 does not know sensors of frequencies at all.
        let is_newer = series.1.iter().any(|(_, value)| value == "freq1");
        let is_theirs = theirs.values.contains_key(&as_1_5(series));
        if !is_theirs && !is_newer && !is_only_ours(&series.0) {
            found.push(format!("{series:?} {value} is only here"));
        }
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_collector_is_in_the_manual() {
    let manual = include_str!("../../../../docs/metrics.md");
    let missing = |name: &&str| !manual.contains(&format!("\n| `{name}` | "));
    let collectors = COLLECTORS.iter().map(|collector| collector.name);
    let missing: Vec<_> = collectors.filter(missing).collect();
    assert!(missing.is_empty(), "docs/metrics.md has no row for {missing:?}");
}

/// What an absent value is on its page: 0.
fn is_explained((name, labels): &Series) -> bool {
    if is_only_theirs(name) {
        return true;
    }
    let has = |value: &str| labels.iter().any(|(_, label)| label == value);
    // There are no connections over UDP.
    let of_connections = ["connect_total", "idle_time_seconds"].map(|it| format!("transport_{it}"));
    has("udp") && of_connections.iter().any(|end| name.ends_with(end))
}

#[test]
fn this_machine_is_seen_as_node_exporter_sees_it() {
    let exporter = Exporter::start(&arguments(&[]));
    let host = Host::new(Roots::default(), Settings::default(), &Selection::default());
    // The other is asked over a connection, which it sees, too.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = |host: &Host| {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let page = listener.accept().map(|_connection| ours(host)).unwrap();
        drop(client);
        page
    };
    let mut different: Option<BTreeSet<Series>> = None;
    // What changes between two looks is compared by the next: nothing differs in all of them.
    for _ in 0..ROUNDS {
        let (before, theirs, after) = (ours(&host), exporter.scrape(), ours(&host));
        assert_same_families(&after, &theirs);
        let between = |series: &Series, value: &f64| {
            let find = |page: &Page| {
                let mut mine = page.values.iter().filter(|(mine, _)| as_1_5(mine) == *series);
                mine.next().map(|(_, value)| *value)
            };
            let bounds = find(&before).zip(find(&after));
            bounds.is_some_and(|(a, b)| (a.min(b)..=a.max(b)).contains(value))
        };
        let values = theirs.values.iter().filter(|(series, _)| !is_of_its_own(&series.0));
        let now: BTreeSet<_> = values
            .filter(|(series, value)| !between(series, value))
            .map(|(series, _)| series.clone())
            .collect();
        let left = different.map_or_else(|| now.clone(), |before| &before & &now);
        if left.is_empty() {
            return;
        }
        different = Some(left);
    }
    panic!("never the same as node_exporter's: {different:#?}");
}

/// What has another value in each process, or another set of devices by default.
fn is_of_its_own(name: &str) -> bool {
    let own = ["node_scrape_collector_duration", "node_disk_"];
    is_only_theirs(name) || own.iter().any(|start| name.starts_with(start))
}

const ROUNDS: usize = 40;
