//! A story of what the agent sees of a booted Debian machine from within its sandbox: the units of
//! systemd, beside what a real `node_exporter` sees of them, and how well the clock is kept.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use curfew_tests::debian::Server;
use curfew_tests::debian::story::{PATIENCE, play};
use curfew_tests::{Host, Lab, http};

#[test]
fn the_agent_sees_the_units_as_node_exporter_does_and_how_well_the_clock_is_kept() -> Result<()> {
    let file = |path, text: &str| (path, text.to_owned());
    let files = vec![file(FAILS_UNIT, FAILS), file(RESTLESS_UNIT, RESTLESS), file(BOOTS, WANTS)];
    play(Server { files, ..Server::default() }, |lab| {
        says_which_units_are_in_trouble(lab)?;
        shows_them_as_node_exporter_does(lab)?;
        shows_how_well_the_clock_is_kept()?;
        forgets_a_failure_when_it_is_reset(lab)
    })
}

fn says_which_units_are_in_trouble(lab: &mut Lab) -> Result<()> {
    const SENTENCE: &str = "fails.service has failed; in trouble, too: restless.service";
    const REMEDY: &str = "`systemctl status fails.service`";
    lab.eventually("both are in trouble", PATIENCE, |_| {
        health().is_ok_and(|health| health.contains(SENTENCE) && health.contains(REMEDY))
    })?;
    let page = series(&metrics()?);
    let state = |unit, state| {
        let labels = format!("name=\"{unit}\",state=\"{state}\",type=\"simple\"");
        page.get(&format!("node_systemd_unit_state{{{labels}}}")).copied()
    };
    assert_eq!(state("fails.service", "failed"), Some(1.0));
    assert_eq!(state("fails.service", "active"), Some(0.0));
    assert_eq!(page.get("node_systemd_system_running"), Some(&0.0));
    assert_eq!(page.get("node_scrape_collector_success{collector=\"systemd\"}"), Some(&1.0));
    let restarts = page.get("node_systemd_service_restart_total{name=\"restless.service\"}");
    assert!(restarts.is_some_and(|count| *count >= 3.0), "{restarts:?}");
    // It comes to rest, so that two who look after each other see the same.
    lab.server()?.shell("systemctl stop restless.service").map(drop)
}

fn shows_them_as_node_exporter_does(lab: &mut Lab) -> Result<()> {
    let server = lab.server()?;
    let binary = server.root().join("usr/local/bin/node_exporter");
    fs::copy(EXPORTER, binary).context("apt-get install prometheus-node-exporter")?;
    server.shell(START_EXPORTER)?;
    let mut difference = Vec::new();
    let same = lab.eventually("both show the same", PATIENCE, |lab| {
        let theirs = lab.server().and_then(|server| server.shell(ASK_EXPORTER));
        let (Ok(theirs), Ok(ours)) = (theirs, metrics()) else { return false };
        difference = differing(&series(&ours), &series(&theirs));
        difference.is_empty()
    });
    same.with_context(|| format!("{difference:#?}"))
}

/// Returns what one page has of systemd and the other has not, or not so.
fn differing(ours: &BTreeMap<String, f64>, theirs: &BTreeMap<String, f64>) -> Vec<String> {
    let is_of_systemd = |series: &&String| series.starts_with("node_systemd_");
    if theirs.keys().filter(is_of_systemd).count() < 500 {
        return vec!["node_exporter has not answered".to_owned()];
    }
    let mut names: Vec<_> = ours.keys().chain(theirs.keys()).filter(is_of_systemd).collect();
    names.sort();
    names.dedup();
    let differing = names.into_iter().filter(|name| match (ours.get(*name), theirs.get(*name)) {
        (Some(_), None) => !name.starts_with(NEWER),
        // Those that nothing starts again have none.
        (None, Some(restarts)) => !name.starts_with(RESTARTS) || *restarts != 0.0,
        (our, their) => our != their,
    });
    differing.map(|name| format!("{name}: {:?} {:?}", ours.get(name), theirs.get(name))).collect()
}

/// `ProtectClock=` in the unit would deny it.
fn shows_how_well_the_clock_is_kept() -> Result<()> {
    let page = series(&metrics()?);
    assert_eq!(page.get("node_scrape_collector_success{collector=\"timex\"}"), Some(&1.0));
    assert!(page.contains_key("node_timex_sync_status"));
    assert!(page.get("node_timex_maxerror_seconds").is_some_and(|seconds| *seconds > 0.0));
    Ok(())
}

fn forgets_a_failure_when_it_is_reset(lab: &mut Lab) -> Result<()> {
    lab.server()?.shell("systemctl reset-failed fails.service")?;
    lab.eventually("it is forgotten", PATIENCE, |_| {
        let failed = metrics().map(|page| series(&page).get(FAILED_UNITS).copied());
        failed.is_ok_and(|failed| failed == Some(0.0))
    })?;
    // The other one was restless a moment ago, and that it is at rest takes five minutes to show.
    let health = health()?;
    assert!(!health.contains("fails.service"), "{health}");
    Ok(())
}

fn health() -> Result<String> {
    Ok(http::get(Host::Nfs, "/health")?.body.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn metrics() -> Result<String> {
    Ok(http::get_patiently(Host::Nfs, "/metrics")?.body)
}

/// Returns the values of a page by what stands before them.
fn series(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect()
}

const FAILS_UNIT: &str = "/etc/systemd/system/fails.service";
const FAILS: &str = "[Service]\nExecStart=/bin/false\n";
const RESTLESS_UNIT: &str = "/etc/systemd/system/restless.service";
/// It runs when somebody looks, most of the time.
const RESTLESS: &str = "[Unit]\nStartLimitIntervalSec=0\n\
    [Service]\nExecStart=/bin/sleep 2\nRestart=always\nRestartSec=100ms\n";
const BOOTS: &str = "/etc/systemd/system/multi-user.target.d/wants.conf";
const WANTS: &str = "[Unit]\nWants=fails.service restless.service\n";

/// Debian's.
const EXPORTER: &str = "/usr/bin/prometheus-node-exporter";
/// Units are left out as by the original; Debian's leaves targets out, too.
const START_EXPORTER: &str = "systemd-run --quiet --unit=exporter /usr/local/bin/node_exporter \
    --collector.disable-defaults --collector.systemd --collector.systemd.enable-restarts-metrics \
    '--collector.systemd.unit-exclude=.+\\.(automount|device|mount|scope|slice)' \
    --web.listen-address=127.0.0.1:9999";
const ASK_EXPORTER: &str = "curl --silent --fail http://127.0.0.1:9999/metrics";
/// What Debian's version does not have yet.
const NEWER: &str = "node_systemd_virtualization_info";
const RESTARTS: &str = "node_systemd_service_restart_total";
const FAILED_UNITS: &str = "node_systemd_units{state=\"failed\"}";
