//! The page as Prometheus reads it: what is there, what must not be, and how long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use curfew_coordinator::{Cause, HostName, Presence, Trigger};
use curfew_host::Format;
use nix::time::{ClockId, clock_gettime};

use super::*;
use crate::filesystem::{Filesystem, Measured};
use crate::health::Check;
use crate::health::holding::tests::{mount, report};
use crate::health::tests::{declare, snapshot};
use crate::snapshot::{Holding, Snapshot};

/// A cluster of which every family has a series.
pub(crate) fn busy() -> (Snapshot, Counters) {
    let mut snapshot = snapshot();
    declare(&mut snapshot, Trigger::LowBattery, Cause::Battery);
    snapshot.nfs_server = Some(Arc::new(crate::health::nfs_server::tests::report()));
    let mounts = [mount("10.0.0.13", "pvc-1"), mount("nfs", "pvc-2")].into();
    snapshot.holding = Some(Arc::new(Holding { mounts: Ok(mounts), pods: Ok(Some(true)) }));
    let mut disks = report(40);
    let stuck = disks.filesystems.as_mut().unwrap();
    stuck.push(Filesystem {
        point: "/srv".into(),
        measured: Measured::Failed("does not answer".to_owned()),
        ..stuck[0].clone()
    });
    snapshot.filesystems = Some(Arc::new(disks));
    snapshot.smart = Some(Arc::new(smart_disks()));
    snapshot.talos = Some(Arc::new(crate::health::talos::tests::view()));
    snapshot.past = Some(Arc::new(crate::past::tests::example()));
    let counters = Counters::new();
    counters.peer_refused("revoked");
    counters.wake_packet("k8s-1");
    counters.wake_packet("k8s-1");
    (snapshot, counters)
}

fn smart_disks() -> crate::smart::Report {
    use crate::smart::tests::{HARD_DISK, NVME, answer, disk, report};
    report(vec![disk("sda", answer(HARD_DISK, &[])), disk("nvme0", answer(NVME, &[]))])
}

/// Returns the values of the page by series.
fn series(page: &str) -> BTreeMap<&str, f64> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect()
}

fn page(snapshot: &Snapshot) -> String {
    render(snapshot, &Counters::new())
}

#[test]
fn the_stage_goes_when_nobody_tells_it_any_more() {
    use crate::health::talos::tests::lost;

    let has_stage = |seconds: u64| {
        let (mut snapshot, counters) = busy();
        snapshot.talos = Some(Arc::new(lost(Duration::from_secs(seconds), false)));
        let page = render(&snapshot, &counters);
        assert!(page.contains("\ncurfew_talos_contact 0\n"), "{page}");
        page.contains("curfew_talos_stage")
    };
    assert!(has_stage(5), "a connection may break");
    assert!(!has_stage(20));
}

#[test]
fn the_page_says_what_scripts_rely_on() {
    let (snapshot, counters) = busy();
    let page = render(&snapshot, &counters);
    let series = series(&page);
    let age = series["curfew_ups_reading_age_seconds{ups=\"eaton\"}"];
    assert!((0.4..10.0).contains(&age), "{age}");
    for (name, value) in [
        ("curfew_phase{host=\"k8s-1\",phase=\"up\"}", 1.0),
        ("curfew_phase{host=\"k8s-1\",phase=\"halting\"}", 0.0),
        ("curfew_shutdown{number=\"7\",state=\"declared\",cause=\"battery\"}", 1.0),
        ("curfew_trigger{trigger=\"low-battery\"}", 1.0),
        ("curfew_trigger{trigger=\"blind\"}", 0.0),
        ("curfew_plan_time_needed_seconds", 412.0),
        ("curfew_plan_runtime_left_seconds", 1800.0),
        ("curfew_plan_margin_seconds", 1328.0),
        ("curfew_peer_up{peer=\"k8s-2\"}", 1.0),
        ("curfew_health_status{check=\"shutdown\",status=\"warn\"}", 1.0),
        ("curfew_health_status{check=\"shutdown\",status=\"fail\"}", 0.0),
        ("curfew_health_status{check=\"shutdown\",status=\"unknown\"}", 0.0),
        ("curfew_build_info{version=\"0.1.0\"}", 1.0),
        ("curfew_stop_time_seconds{host=\"nfs\"}", 180.0),
        ("curfew_peer_refused_total{reason=\"revoked\"}", 1.0),
        ("curfew_wake_packets_total{host=\"k8s-1\"}", 2.0),
        ("curfew_journal_durable", 1.0),
        ("curfew_talos_info{version=\"v1.11.6\"}", 1.0),
        ("curfew_talos_stage{stage=\"running\"}", 1.0),
        ("curfew_talos_stage{stage=\"shutting-down\"}", 0.0),
        ("curfew_talos_contact", 1.0),
        ("network_ups_tools_battery_charge{ups=\"eaton\"}", 100.0),
        ("network_ups_tools_battery_voltage{ups=\"eaton\"}", 27.3),
        ("network_ups_tools_ups_beeper_status{ups=\"eaton\"}", 1.0),
        ("network_ups_tools_ups_status{ups=\"eaton\",flag=\"OL\"}", 1.0),
        ("network_ups_tools_ups_status{ups=\"eaton\",flag=\"OB\"}", 0.0),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name} in\n{page}");
    }
    for (name, value) in [
        ("curfew_nfs_server_answers{program=\"mountd\"}", 1.0),
        ("curfew_nfs_grace", 0.0),
        ("curfew_nfs_export_active{export=\"/srv/nfs\"}", 1.0),
        ("curfew_nfs_export_free_ratio{export=\"/srv/nfs\"}", 0.4),
        ("curfew_nfs_client_sight{host=\"alpha\",sight=\"present\"}", 1.0),
        ("curfew_nfs_client_sight{host=\"alpha\",sight=\"stale\"}", 0.0),
        ("curfew_nfs_client_states{host=\"alpha\"}", 1.0),
        ("curfew_nfs_client_v3_mounts{host=\"beta\"}", 1.0),
        ("curfew_nfs_client_unseen{host=\"beta\"}", 0.0),
        ("curfew_nfs_clients_foreign", 0.0),
        // The recorded line of the kernel is `net 45 0 45 3`, and so on.
        ("node_nfsd_connections_total", 3.0),
        ("node_nfsd_packets_total{proto=\"tcp\"}", 45.0),
        ("node_nfsd_reply_cache_nocache_total", 45.0),
        ("node_nfsd_server_threads", 8.0),
        ("node_nfsd_rpc_errors_total{error=\"cInt\"}", 0.0),
        ("node_nfsd_requests_total{proto=\"3\",method=\"GetAttr\"}", 3.0),
        ("node_nfsd_requests_total{proto=\"3\",method=\"PathConf\"}", 1.0),
        ("node_nfsd_requests_total{proto=\"4\",method=\"GetAttr\"}", 21.0),
        ("node_nfsd_requests_total{proto=\"4\",method=\"PutFH\"}", 27.0),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name} in\n{page}");
    }
    assert!(!page.contains("proto=\"2\""), "this kernel serves no version 2");
    let info = "network_ups_tools_device_info{ups=\"eaton\",model=\"Eaton 5E 1100i\",\
                mfr=\"EATON\",serial=\"\",";
    assert!(page.contains(info), "{page}");
    assert!(!page.contains("ups_firmware"), "text is no number");
}

#[test]
fn the_last_outage_is_on_the_page_and_what_never_was_is_not() {
    let (mut snapshot, counters) = busy();
    let text = render(&snapshot, &counters);
    for (name, value) in [
        ("curfew_battery_full_runtime_seconds{ups=\"eaton\"}", 1800.0),
        ("curfew_battery_full_runtime_ratio{ups=\"eaton\"}", 0.95),
        ("curfew_history_start_timestamp_seconds", 224.0),
        ("curfew_history_outages", 1.0),
        ("curfew_history_shutdowns", 1.0),
        ("curfew_history_recoveries", 1.0),
        ("curfew_history_on_battery_seconds", 13.25),
        ("curfew_last_outage_timestamp_seconds", 224.0),
        ("curfew_last_outage_duration_seconds", 13.25),
        ("curfew_last_shutdown_timestamp_seconds", 231.0),
        ("curfew_last_shutdown_duration_seconds", 2.75),
        ("curfew_last_shutdown_margin_seconds", 17.25),
        ("curfew_last_recovery_timestamp_seconds", 242.0),
        ("curfew_last_recovery_duration_seconds", 15.5),
    ] {
        assert_eq!(series(&text).get(name), Some(&value), "{name}");
    }
    snapshot.past = Some(Arc::new(crate::past::Past::new("nfs".into())));
    let text = render(&snapshot, &counters);
    assert!(text.contains("\ncurfew_history_outages 0\n"));
    assert!(!text.contains("curfew_last_") && !text.contains("curfew_history_start"));
    snapshot.past = None;
    snapshot.battery = None;
    assert!(!render(&snapshot, &counters).contains("curfew_battery_"));
    assert!(!render(&snapshot, &counters).contains("curfew_history_outages"));
}

#[test]
fn what_this_host_holds_is_on_the_page() {
    let (mut snapshot, counters) = busy();
    let text = render(&snapshot, &counters);
    let series = series(&text);
    let point = "/var/lib/kubelet/pods/6f6e/volumes/kubernetes.io~csi/pvc-1/mount";
    let var = "{device=\"/dev/sda6\",fstype=\"xfs\",mountpoint=\"/var\"}";
    let srv = "device=\"/dev/sda6\",fstype=\"xfs\",mountpoint=\"/srv\"";
    for (name, value) in [
        (
            format!(
                "curfew_nfs_mount{{server=\"10.0.0.13\",client_address=\"10.0.0.11\",\
                 mount_point=\"{point}\"}}"
            ),
            1.0,
        ),
        ("curfew_nfs_mounts".to_owned(), 2.0),
        ("curfew_pods_running".to_owned(), 1.0),
        (format!("node_filesystem_size_bytes{var}"), 1_048_576_000.0),
        (format!("node_filesystem_avail_bytes{var}"), 419_430_400.0),
        (format!("node_filesystem_files_free{var}"), 900.0),
        (format!("node_filesystem_readonly{var}"), 0.0),
        (format!("node_filesystem_device_error{var}"), 0.0),
        (format!("node_filesystem_device_error{{{srv},device_error=\"does not answer\"}}"), 1.0),
        (
            "node_filesystem_mount_info{device=\"/dev/sda7\",major=\"8\",minor=\"7\",\
             mountpoint=\"/var/lib/etcd\"}"
                .to_owned(),
            1.0,
        ),
    ] {
        assert_eq!(series.get(name.as_str()), Some(&value), "{name} in\n{text}");
    }
    let sizes = || text.lines().filter(|line| line.starts_with("node_filesystem_size_bytes"));
    assert_eq!(sizes().count(), 1, "neither of one that hangs nor of one elsewhere");

    let many = (0..100).map(|n| mount("nfs", &format!("pvc-{n}"))).collect();
    snapshot.holding = Some(Arc::new(Holding { mounts: Ok(many), pods: Ok(None) }));
    let bounded = page(&snapshot);
    let mounts = bounded.lines().filter(|line| line.starts_with("curfew_nfs_mount{"));
    assert_eq!(mounts.count(), 64);
    assert!(bounded.contains("curfew_nfs_mounts 100\n"), "{bounded}");
    assert!(!bounded.contains("curfew_pods_running"), "{bounded}");

    let unread = Holding { mounts: Err("no".to_owned()), pods: Err("no".to_owned()) };
    snapshot.holding = Some(Arc::new(unread));
    let unknown = page(&snapshot);
    assert!(!unknown.contains("curfew_nfs_mount"), "{unknown}");
}

#[test]
fn promtool_has_nothing_against_the_page_of_an_agent_that_cannot_start() {
    let mut page = String::new();
    curfew_host::render([&collect_standby()], Format::Text, &mut page);
    assert!(page.contains("curfew_health_status{check=\"agent\",status=\"fail\"} 1"), "{page}");
    promtool(&page, "none");
}

#[test]
fn what_vanishes_leaves_no_series() {
    let counters = Counters::new();
    let (mut snapshot, _) = busy();
    let before = render(&snapshot, &counters);
    assert!(before.contains("battery_voltage") && before.contains("curfew_shutdown{"));
    snapshot.ups_variables.remove("battery.voltage");
    snapshot.status.shutdown = None;
    snapshot.status.plan.runtime_left = None;
    snapshot.status.plan.margin_millis = None;
    snapshot.status.hosts.remove(&HostName::from("k8s-2"));
    let after = render(&snapshot, &counters);
    for gone in [
        "battery_voltage",
        "curfew_shutdown",
        "curfew_plan_runtime_left",
        "curfew_plan_margin",
        "host=\"k8s-2\",p",
        "peer=\"k8s-2\"",
    ] {
        assert!(!after.contains(gone), "{gone} is still on\n{after}");
    }
}

#[test]
fn without_a_fresh_reading_only_the_age_of_the_last_is_left() {
    let mut snapshot = snapshot();
    snapshot.status.ups.age = Some(Duration::from_secs(3));
    let stale = page(&snapshot);
    assert!(!stale.contains("network_ups_tools"), "{stale}");
    assert!(stale.contains("curfew_ups_reading_age_seconds{ups=\"eaton\"} 3"), "{stale}");
    snapshot.status.ups.age = None;
    let never = page(&snapshot);
    assert!(!never.contains("curfew_ups_reading_age_seconds"), "{never}");
}

#[test]
fn a_host_that_was_never_heard_has_no_phase() {
    let mut snapshot = snapshot();
    let host = snapshot.status.hosts.get_mut(&HostName::from("k8s-1")).unwrap();
    host.phase = None;
    host.presence = Presence::Unknown;
    let page = page(&snapshot);
    assert!(!page.contains("curfew_phase{host=\"k8s-1\""), "{page}");
    assert!(page.contains("curfew_peer_up{peer=\"k8s-1\"} 0"), "{page}");
    assert!(page.contains("curfew_host_presence{host=\"k8s-1\",presence=\"unknown\"} 1"), "{page}");
}

#[test]
fn hostile_text_cannot_break_the_page() {
    let mut snapshot = snapshot();
    let rubbish = "a\"b\\c\n\nup 1\n# TYPE up counter";
    snapshot.ups_variables.insert("device.serial".to_owned(), rubbish.to_owned());
    snapshot.ups_variables.insert("ups.status".to_owned(), "OL O\"B".to_owned());
    snapshot.ups_variables.insert("a b\n# x{".to_owned(), "1".to_owned());
    snapshot.extra.push(Check::pass("odd\"\ncheck", "fine"));
    let page = page(&snapshot);
    assert!(!page.contains("\nup 1"), "{page}");
    promtool(&page, "network_ups_tools_");
}

/// Runs `promtool check metrics` on the page; findings about names with `inherited` do not count.
fn promtool(page: &str, inherited: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be run: apt-get install --no-install-recommends prometheus");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let findings: Vec<_> = text.lines().filter(|line| !line.starts_with(inherited)).collect();
    assert!(findings.is_empty(), "promtool: {findings:#?}\n{page}");
    // 3 is for findings alone, 1 for a page that cannot be parsed.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
}

#[test]
fn promtool_has_nothing_against_our_own_metrics() {
    let (snapshot, counters) = busy();
    promtool(&render(&snapshot, &counters), "network_ups_tools_");
}

#[test]
fn the_page_the_list_and_the_docs_agree() {
    let (snapshot, counters) = busy();
    let page = render(&snapshot, &counters);
    let docs = include_str!("../../../docs/metrics.md");
    for family in families() {
        let Family { name, kind, labels, help } = family;
        assert!(page.contains(&format!("# HELP {name} {help}\n")), "{name} in\n{page}");
        assert!(page.contains(&format!("# TYPE {name} {}\n", kind.as_str())), "{name} in\n{page}");
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(" "));
        assert!(docs.contains(&row), "docs/metrics.md lacks the row\n{row}");
    }
    let listed: BTreeSet<_> = families().map(|family| family.name).collect();
    let shown = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in shown {
        assert!(listed.contains(name) || name.starts_with(NUT_PREFIX), "{name} is not listed");
    }
    let documented = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_ours = |name: &&str| name.starts_with("curfew_") || name.starts_with("node_");
    for name in documented.filter(is_ours) {
        assert!(listed.contains(name), "{name} is documented and not there");
    }
}

#[test]
fn one_page_costs() {
    let (snapshot, counters) = busy();
    let cpu = || Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap());
    let mut page = render(&snapshot, &counters);
    let (started, cpu_before) = (now(), cpu());
    for _ in 0..100 {
        page = render(&snapshot, &counters);
    }
    let (wall, cpu) = (started.elapsed() / 100, cpu().saturating_sub(cpu_before) / 100);
    println!("a page of {} bytes: {wall:?}, {cpu:?} of the CPU", page.len());
}

#[expect(clippy::disallowed_methods, reason = "measures the real time of a computation")]
fn now() -> Instant {
    Instant::now()
}
