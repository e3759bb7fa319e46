//! Stories of wrong input: what cannot be parsed ends the agent, all else leaves it running and
//! saying what to do.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::Line;
use curfew_tests::cluster_file::CLUSTER;
use curfew_tests::directory::{replace, write_secret};
use curfew_tests::disk::Disk;
use curfew_tests::http::{get, health};
use curfew_tests::nut::Shown;
use curfew_tests::story::DOWN;
use curfew_tests::{Fact, Host, Lab, Setup, Verb, agent, directory};

const LIMIT: Duration = Duration::from_secs(15);
const BAD_CONFIGURATION: Fact = Fact::AgentEnded(Some(78));

#[test]
fn without_a_cluster_file_the_agent_ends_with_78_and_says_where_it_looked() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    lab.machine_mut(Host::Nfs).paths_mut().cluster = "/nowhere/cluster.toml".into();
    lab.press_button(Host::Nfs);
    lab.until(Host::Nfs, &BAD_CONFIGURATION, LIMIT)?;
    ensure_logged(&lab, "/nowhere/cluster.toml")
}

#[test]
fn a_mistake_in_the_cluster_file_ends_the_agent_with_78_and_names_the_line() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    edit_cluster_file(&lab, "name = \"lab\"", "name = \"lab\"\nfrobnicate = 1")?;
    lab.press_button(Host::Nfs);
    lab.until(Host::Nfs, &BAD_CONFIGURATION, LIMIT)?;
    ensure_logged(&lab, "3:1: error")?;
    ensure_logged(&lab, "frobnicate")
}

#[test]
fn a_host_that_the_cluster_file_lacks_ends_the_agent_with_78_and_names_it() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    edit_cluster_file(&lab, "\"nfs\"", "\"other\"")?;
    lab.press_button(Host::Nfs);
    lab.until(Host::Nfs, &BAD_CONFIGURATION, LIMIT)?;
    ensure_logged(&lab, "nfs")
}

#[test]
fn a_peer_port_in_use_leaves_the_agent_running_and_failing_its_health() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let _squatter = squat(&lab, Host::K8s1, 9101)?;
    lab.press_button(Host::Nfs);
    lab.press_button(Host::K8s1);
    until_unwell(&mut lab, Host::K8s1, "9101")
}

#[test]
fn without_a_certificate_the_agent_watches_the_ups_and_says_how_to_get_one() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    lab.machine_mut(Host::Nfs).paths_mut().pki = "/nowhere/pki".into();
    lab.press_button(Host::Nfs);
    until_unwell(&mut lab, Host::Nfs, "curfew pki issue")?;
    until_mains(&mut lab, Host::Nfs)
}

#[test]
fn a_certificate_of_another_cluster_is_refused_by_the_others_and_said() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let foreign = lab.folder().join("foreign-pki");
    agent::make_certificates(&agent::binary()?, CLUSTER, &foreign)?;
    lab.machine_mut(Host::K8s2).paths_mut().pki = foreign.join("k8s-2");
    for host in Host::ALL {
        lab.press_button(host);
    }
    until_unwell(&mut lab, Host::Nfs, "k8s-2")?;
    until_unwell(&mut lab, Host::K8s2, "certificate")?;
    let status = lab.status(Host::Nfs)?;
    let other = status.hosts.iter().find(|(name, _)| name.as_str() == "k8s-2");
    ensure!(other.is_some_and(|(_, host)| host.phase.is_none()), "k8s-2 was heard");
    Ok(())
}

#[test]
fn two_nodes_with_each_others_names_are_found_out_by_all() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    for (host, other) in [(Host::K8s1, Host::K8s2), (Host::K8s2, Host::K8s1)] {
        let pki = lab.folder().join("pki").join(other.name());
        let paths = lab.machine_mut(host).paths_mut();
        (paths.host, paths.pki) = (other, pki);
    }
    for host in Host::ALL {
        lab.press_button(host);
    }
    // Their machines do not have the addresses of the file, and are shown at those they have.
    until_unwell(&mut lab, Host::K8s1, "does not have the address 10.77.0.12 of k8s-2")?;
    until_unwell(&mut lab, Host::K8s2, "does not have the address 10.77.0.11 of k8s-1")?;
    until_unwell(&mut lab, Host::Nfs, "k8s-1 is heard from 10.77.0.12, and cannot be called")?;
    let ready = get(Host::Nfs, "/readyz")?;
    ensure!(ready.code == 503, "{}", ready.body);
    ensure!(ready.body.contains("not ready: peers-addresses: k8s-1 is heard"), "{}", ready.body);
    Ok(())
}

#[test]
fn a_refused_password_leaves_the_owner_watching_and_says_which_file_to_change() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    write_secret(&lab.folder().join("upsd.password"), "wrong\n")?;
    lab.press_button(Host::Nfs);
    until_mains(&mut lab, Host::Nfs)?;
    until_unwell(&mut lab, Host::Nfs, "password")
}

#[test]
fn a_ups_that_upsd_does_not_know_is_named_in_the_health() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    edit_cluster_file(&lab, "\"eaton\"", "\"heaton\"")?;
    lab.press_button(Host::Nfs);
    until_unwell(&mut lab, Host::Nfs, "heaton")
}

#[test]
fn without_a_runtime_the_charge_declares_and_the_health_says_so() -> Result<()> {
    let shown = Shown { has_runtime: false, has_charge: true };
    let mut setup = Setup { shown, ..Setup::default() };
    (setup.limits.charge_below, setup.limits.charge_above) = (60, 80);
    let mut lab = Lab::whole(&setup)?;
    until_unwell(&mut lab, Host::Nfs, "runtime")?;
    lab.fail_mains(40)?;
    lab.until_held()
}

#[test]
fn without_a_charge_the_runtime_declares() -> Result<()> {
    let shown = Shown { has_runtime: true, has_charge: false };
    let mut lab = Lab::whole(&Setup { shown, ..Setup::default() })?;
    lab.fail_mains_with_spare(2)?;
    lab.until_held()
}

#[test]
fn a_full_disk_fails_the_health_and_stops_no_shutdown() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let disk = Disk::mount(lab.machine(Host::K8s2).state())?;
    for host in Host::ALL {
        lab.press_button(host);
    }
    lab.until_whole(DOWN)?;
    disk.fill()?;
    let failure = lab.fail_mains_with_spare(4)?;
    until_unwell(&mut lab, Host::K8s2, "journal")?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    Ok(())
}

fn edit_cluster_file(lab: &Lab, from: &str, to: &str) -> Result<()> {
    let path = lab.folder().join("cluster.toml");
    let text = std::fs::read_to_string(&path).context("read the cluster file")?;
    ensure!(text.contains(from), "the cluster file has no {from}");
    replace(&path, &text.replace(from, to))
}

fn ensure_logged(lab: &Lab, words: &str) -> Result<()> {
    let log = directory::tail(lab.machine(Host::Nfs).log(), 50);
    ensure!(log.contains(words), "the agent does not say {words:?} but:\n{log}");
    Ok(())
}

/// Waits until the health of `host` has a finding with these words in it.
fn until_unwell(lab: &mut Lab, host: Host, words: &str) -> Result<()> {
    let mut last = String::new();
    let waited = lab.eventually(&format!("{host}'s health speaks of {words:?}"), LIMIT, |_| {
        health(host).is_ok_and(|answer| {
            last = format!("{} {}", answer.code, answer.body);
            let is_finding = |line: &str| {
                let line = line.to_lowercase();
                line.contains(&words.to_lowercase())
                    && (line.contains("fail") || line.contains("warn"))
            };
            answer.body.lines().any(is_finding)
        })
    });
    waited.with_context(|| last)
}

fn until_mains(lab: &mut Lab, host: Host) -> Result<()> {
    lab.eventually(&format!("{host} reads mains"), LIMIT, |lab| {
        lab.status(host).is_ok_and(|status| status.ups.line == Line::Mains)
    })
}

/// Takes a port before the agent does.
fn squat(lab: &Lab, host: Host, port: u16) -> Result<TcpListener> {
    let address = (host.address(), port);
    lab.network().inside(host, move || TcpListener::bind(address))?.context("take a port")
}
