//! A real Prometheus with the rules of `deploy/` sees three agents through faults and an outage and
//! back: alerts fire and clear, and every query of the dashboard has data.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_tests::battery::FULL_SECONDS;
use curfew_tests::deploy::{self, Query};
use curfew_tests::http;
use curfew_tests::process::Program;
use curfew_tests::prometheus::Firing;
use curfew_tests::story::BACK;
use curfew_tests::{Host, Lab, Prometheus, Setup};

#[test]
fn alerts_fire_and_clear_and_no_panel_is_empty_through_an_outage_and_back() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let folder = lab.folder().join("prometheus");
    let prometheus = Prometheus::start(&folder, &lab.network().switch())?;
    for host in Host::ALL {
        lab.press_button(host);
    }
    lab.until_whole(LIMIT)?;
    let rules = deploy::alerts()?.len();
    lab.eventually("every rule is evaluated", LIMIT, |_| {
        prometheus.good_rules().is_ok_and(|good| good == rules)
    })?;
    until_understood(&mut lab, &prometheus)?;
    ensure_names_are_no_worse(&mut lab)?;

    // A worn battery, and a host that nobody can reach.
    lab.replace_battery(WORN_SECONDS)?;
    lab.plug(Host::K8s2, false)?;
    until_firing(&mut lab, &prometheus, &[("alertname", "CurfewPlanDoesNotFit")])?;
    let missing = Host::K8s2.name();
    until_firing(&mut lab, &prometheus, &[("alertname", "CurfewPeerMissing"), ("peer", missing)])?;
    until_firing(
        &mut lab,
        &prometheus,
        &[("alertname", "CurfewAgentDown"), ("instance", missing)],
    )?;
    lab.replace_battery(FULL_SECONDS)?;
    lab.plug(Host::K8s2, true)?;
    until_silent(&mut lab, &prometheus)?;

    lab.fail_mains_with_spare(5)?;
    until_firing(&mut lab, &prometheus, &[("alertname", "CurfewOnBattery"), ("ups", "eaton")])?;
    let declared = [("alertname", "CurfewShutdownDeclared"), ("cause", "battery")];
    until_firing(&mut lab, &prometheus, &declared)?;
    lab.until_held()?;
    lab.eventually(
        "two agents are gone, as they should be, and nobody misses them",
        LIMIT,
        |_| {
            prometheus.count(r#"up{job="curfew"} == 0"#).is_ok_and(|count| count == 2)
                && !is_firing(&prometheus, &[("alertname", "CurfewAgentDown")])
                && !is_firing(&prometheus, &[("alertname", "CurfewPeerMissing")])
        },
    )?;

    lab.restore_mains()?;
    lab.eventually("who is to be woken is awaited, and nobody misses it", BACK, |_| {
        let recovering = r#"curfew_health_status{check="recovery",status="warn"} == 1"#;
        prometheus.count(recovering).is_ok_and(|count| count > 0)
            && prometheus.count(r#"up{job="curfew"} == 0"#).is_ok_and(|count| count == 2)
            && !is_firing(&prometheus, &[("alertname", "CurfewAgentDown")])
            && !is_firing(&prometheus, &[("alertname", "CurfewPeerMissing")])
    })?;
    lab.until_whole(BACK)?;
    until_silent(&mut lab, &prometheus)?;
    let failed = prometheus.failed_evaluations()?;
    assert!(failed < 0.5, "{failed} evaluations of rules have failed");
    ensure_no_panel_is_empty(&prometheus).inspect_err(|_| lab.fail())
}

/// Prometheus asks for `OpenMetrics` and gzip first: so it has had that, and has understood it.
fn until_understood(lab: &mut Lab, prometheus: &Prometheus) -> Result<()> {
    for (family, kind) in [
        ("node_cpu_seconds", "counter"),
        ("node_vmstat_pgfault", "unknown"),
        ("node_load1", "gauge"),
        ("curfew_build_info", "gauge"),
        ("curfew_journal_write_failures", "counter"),
        ("network_ups_tools_battery_charge", "gauge"),
    ] {
        lab.eventually(&format!("{family} is known as a {kind}"), LIMIT, |_| {
            prometheus.kind(family).is_ok_and(|found| found.as_deref() == Some(kind))
        })?;
    }
    for series in ["node_cpu_seconds_total", "curfew_journal_write_failures_total"] {
        lab.eventually(&format!("{series} is there of each host"), LIMIT, |_| {
            prometheus.count(series).is_ok_and(|count| count >= Host::ALL.len())
        })?;
    }
    Ok(())
}

/// promtool has nothing against our own names, and against those that we have inherited no more
/// than against the page of a `node_exporter` beside the agent.
fn ensure_names_are_no_worse(lab: &mut Lab) -> Result<()> {
    let host = Host::Nfs;
    let address = SocketAddr::from((host.address(), EXPORTER_PORT));
    let program = Path::new("/usr/bin/prometheus-node-exporter");
    let log = lab.folder().join("node-exporter.log");
    let exporter = Program::new(&lab.network().namespace(host), program, &log);
    let collectors = MORE_COLLECTORS.map(|name| format!("--collector.{name}"));
    let listen = [format!("--web.listen-address={address}")];
    let _exporter = exporter.args(listen).args(collectors).start()?;
    let mut theirs = String::new();
    lab.eventually("node_exporter answers", LIMIT, |_| {
        let answer = http::ask(address, "/metrics", Duration::from_secs(2));
        theirs = answer.map(|answer| answer.body).unwrap_or_default();
        theirs.contains("node_load1")
    })?;
    let theirs = findings(&theirs)?;
    let ours = findings(&http::get_patiently(host, "/metrics")?.body)?;
    let is_excused = |finding: &&String| {
        INHERITED.iter().any(|(name, _)| finding.starts_with(name)) || theirs.contains(*finding)
    };
    let worse: Vec<_> = ours.iter().filter(|finding| !is_excused(finding)).collect();
    ensure!(worse.is_empty(), "promtool: {worse:#?}");
    let own: Vec<_> = ours.iter().filter(|finding| finding.starts_with("curfew_")).collect();
    ensure!(own.is_empty(), "promtool: {own:#?}");
    ensure!(ours.len() > 10, "promtool finds as good as nothing: {ours:#?}");
    Ok(())
}

/// Returns what promtool has against the names on a page; one that it cannot read is an error.
fn findings(page: &str) -> Result<BTreeSet<String>> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    promtool.stdin.take().context("it is piped")?.write_all(page.as_bytes())?;
    let output = promtool.wait_with_output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    // 3 is for findings alone, 1 for a page that cannot be parsed.
    ensure!(matches!(output.status.code(), Some(0 | 3)), "promtool: {said}\n{page}");
    Ok(said.lines().map(str::to_owned).collect())
}

fn until_firing(lab: &mut Lab, prometheus: &Prometheus, labels: &[(&str, &str)]) -> Result<()> {
    lab.eventually(&format!("{labels:?} fires"), LIMIT, |_| is_firing(prometheus, labels))
}

fn is_firing(prometheus: &Prometheus, labels: &[(&str, &str)]) -> bool {
    let has_all = |alert: &Firing| {
        labels.iter().all(|(name, value)| alert.get(*name).is_some_and(|it| it == value))
    };
    prometheus.firing().is_ok_and(|firing| firing.iter().any(has_all))
}

/// Waits until no alert fires that the laboratory answers for, though none waits for its `for`.
fn until_silent(lab: &mut Lab, prometheus: &Prometheus) -> Result<()> {
    let mut last = None;
    let result = lab.eventually("no alert fires", LIMIT, |_| {
        last = prometheus.firing().ok();
        last.as_mut().is_some_and(|firing| {
            firing.retain(is_ours);
            firing.is_empty()
        })
    });
    result.with_context(|| format!("these fire: {last:?}"))
}

/// How full the disks of this machine are, for example, is nothing that the laboratory made; and an
/// agent that has started some seconds ago does not believe a runtime that stands still.
fn is_ours(alert: &Firing) -> bool {
    if alert.get("alertname").is_some_and(|name| name == "CurfewPlanUnknown") {
        return false;
    }
    let of_the_machine = |check: &String| !OURS.iter().any(|ours| check.starts_with(ours));
    let is_generic = alert.get("alertname").is_some_and(|name| name.starts_with("CurfewHealth"));
    !is_generic || !alert.get("check").is_some_and(of_the_machine)
}

fn ensure_no_panel_is_empty(prometheus: &Prometheus) -> Result<()> {
    let seconds = prometheus.age_seconds()?;
    let mut empty = Vec::new();
    for Query { place, expression, is_instant } in deploy::queries()? {
        let asked = filled_in(&expression, seconds);
        let count =
            if is_instant { prometheus.count(&asked) } else { prometheus.count_ever(&asked) };
        if count.with_context(|| format!("{place}: {asked}"))? == 0
            && !is_excused(prometheus, &expression)?
        {
            empty.push(format!("{place}: {asked}"));
        }
    }
    ensure!(empty.is_empty(), "{} queries have no data:\n{}", empty.len(), empty.join("\n"));
    Ok(())
}

/// A query may be empty only if no agent shows a metric that it needs, and there is a reason why
/// none can in the laboratory.
fn is_excused(prometheus: &Prometheus, expression: &str) -> Result<bool> {
    for selector in deploy::selectors(expression) {
        let is_listed = NOT_HERE.iter().any(|(prefix, _)| selector.metric.starts_with(prefix));
        if is_listed && prometheus.count_ever(selector.metric)? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts in what Grafana would, with everything selected.
fn filled_in(expression: &str, seconds: u64) -> String {
    let hosts = Host::ALL.map(Host::name).join("|");
    expression
        .replace("$__rate_interval", "4s")
        .replace("$__range", &format!("{seconds}s"))
        .replace("$ups", "eaton")
        .replace("$instance", &format!("({hosts})"))
        .replace("$host", &format!("({hosts})"))
}

/// The beginnings of the names of checks that judge what the laboratory is made of.
const OURS: [&str; 6] = ["agent", "certificates", "coordinator", "drivers", "peer", "ups-"];
/// What no agent of the laboratory can show, with the reason.
const NOT_HERE: [(&str, &str); 11] = [
    ("network_ups_tools_input_voltage", "the UPS of the laboratory measures no voltage"),
    ("network_ups_tools_output_voltage", "the UPS of the laboratory measures no voltage"),
    ("curfew_pods_running", "no host of the laboratory has a kubelet"),
    ("curfew_battery_", "a runtime is recorded after half an hour at full charge"),
    ("curfew_nfs_client_", NO_SERVER),
    ("curfew_nfs_export_", NO_SERVER),
    ("curfew_nfs_server_", NO_SERVER),
    ("curfew_talos_", "no host of the laboratory runs Talos"),
    ("node_nfsd_", NO_SERVER),
    ("node_disk_", "this machine may have no disk of its own"),
    ("node_hwmon_", "this machine may be a virtual one, without sensors"),
];
const NO_SERVER: &str = "the owner's operating system is played and serves no NFS";
/// What promtool may find, by the beginning of its line, with the reason why it is not on the page
/// of the `node_exporter` beside it, which is Debian's, version 1.5.
const INHERITED: [(&str, &str); 5] = [
    ("network_ups_tools_", "the names of NUT's variables, as the NUT exporters have them"),
    ("node_hwmon_freq_freq_mhz ", "node_exporter has it since version 1.6"),
    ("node_netstat_TcpExt_TCPOFOQueue ", "node_exporter has it since version 1.6"),
    ("node_netstat_TcpExt_TCPRcvQDrop ", "node_exporter has it since version 1.6"),
    ("node_systemd_socket_refused_connections_total ", "its collector systemd is not on there"),
];
/// Collectors that we have and `node_exporter` has not without being told to.
const MORE_COLLECTORS: [&str; 1] = ["mountstats"];
const EXPORTER_PORT: u16 = 9190;
/// Full, it lasts for less than the plan of the laboratory needs.
const WORN_SECONDS: u32 = 10;
/// For what takes seconds on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(30);
