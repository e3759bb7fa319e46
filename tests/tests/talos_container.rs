//! Stories of the extension's container, started as Talos starts it: it comes up alone, does what
//! an agent does, and cannot do what Talos keeps from it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::{Line, Phase};
use curfew_machined::{Command, Fault, Report, Sequence};
use curfew_tests::talos::node::UPSD_NAME;
use curfew_tests::talos::spec::{CAPABILITIES, DROPPED};
use curfew_tests::talos::story::{PATIENCE, Seen, files_with_content, play};
use curfew_tests::{Fact, Host, Lab, Verb, directory, ground, http};
use nix::sys::signal::Signal;

#[test]
fn an_agent_in_an_empty_root_is_up_before_anything_else_is() -> Result<()> {
    play(|lab| {
        let file = lab.folder().join("cluster.toml");
        let text = std::fs::read_to_string(&file).context("read the cluster file")?;
        let (address, name) = (format!("upsd = \"{}", Host::Nfs.address()), "upsd = \"upsd.lab");
        ensure!(text.contains(&address) && name.ends_with(UPSD_NAME), "another cluster file");
        directory::write(&file, &text.replace(&address, name))?;

        // Machined listens and answers nothing; there is no peer, no upsd, no router.
        lab.node(Host::K8s1)?.tell(Command::Break(Fault::Freezes));
        lab.press_button(Host::K8s1);
        lab.until(Host::K8s1, &Fact::AgentStarted, PATIENCE)?;
        lab.eventually("it is up, alone", PATIENCE, |lab| {
            let status = lab.status(Host::K8s1);
            status.is_ok_and(|it| it.phase == Phase::Up && it.ups.line == Line::Unknown)
        })?;
        ensure!(http::get(Host::K8s1, "/livez")?.code == 200, "it is not alive");
        lab.eventually("its process is known", PATIENCE, |lab| {
            lab.container(Host::K8s1).is_ok_and(|it| it.pid().is_some())
        })?;
        let seen = Seen::of(lab.container(Host::K8s1)?)?;
        for path in ["/etc/passwd", "/etc/ssl", "/lib", "/lib64", "/usr", "/bin"] {
            ensure!(!seen.has(path), "its root has {path}");
        }
        lab.throughout("it stays", Duration::from_secs(2), |lab| {
            lab.container(Host::K8s1).is_ok()
        })?;

        ends_within_five_seconds_and_is_started_again(lab)?;
        lab.press_button(Host::Nfs);
        lab.eventually("it finds upsd by its name in /etc/hosts", PATIENCE, |lab| {
            lab.status(Host::K8s1).is_ok_and(|status| status.ups.line == Line::Mains)
        })?;
        lab.ensure_untouched()
    })
}

#[test]
fn an_outage_stops_the_containers_nodes_by_machined_and_mains_bring_them_back() -> Result<()> {
    play(|lab| {
        lab.start_all()?;
        let failure = lab.fail_mains_with_spare(3)?;
        lab.until_held()?;
        lab.assert_stopped_in_order(failure, Verb::Hold);
        for host in [Host::K8s1, Host::K8s2] {
            assert_was_shut_down_by_its_agent(lab, host);
        }
        ensure!(lab.declared().len() == 1, "declared: {:?}", lab.declared());

        let mains_back = ground::now();
        lab.restore_mains()?;
        lab.until_whole(PATIENCE)?;
        lab.assert_woken_in_order(mains_back);
        for host in [Host::K8s1, Host::K8s2] {
            ensure!(calls(lab, host).len() == 1, "{host} was shut down again");
        }
        Ok(())
    })
}

#[test]
fn a_container_is_bound_as_talos_binds_it_ends_in_time_and_comes_back() -> Result<()> {
    play(|lab| {
        lab.start_all()?;
        assert_has_no_rights_too_many(lab)?;
        assert_changes_nothing_but_its_state(lab)?;
        tells_what_the_host_holds(lab)?;
        ends_within_five_seconds_and_is_started_again(lab)?;
        lab.until_whole(PATIENCE)?;
        is_started_again_after_a_crash(lab)?;
        lab.ensure_untouched()
    })
}

/// Machined was called once, with force, which needs a role that may; the agent was told to end
/// when the pods were stopped, and it ended by itself and in time.
fn assert_was_shut_down_by_its_agent(lab: &Lab, host: Host) {
    let calls = calls(lab, host);
    assert!(
        matches!(calls.as_slice(), [Report::Called(Sequence::Shutdown { force: true }, _)]),
        "{host}: {calls:?}"
    );
    let said = |report: Report| (host, Fact::Machined(report));
    lab.timeline().assert_order(&[
        (host, Fact::Called(Verb::Stop)),
        said(Report::Phase("cleanup")),
        said(Report::Phase("stopServices")),
        (host, Fact::Halting),
        (host, Fact::AgentEnded(Some(0))),
        said(Report::Phase("umount")),
        said(Report::Off),
    ]);
    assert_eq!(lab.timeline().count(host, &Fact::Machined(Report::Kill)), 0, "{host}");
}

/// Returns every call of machined's API that was taken, and every one that was refused.
fn calls(lab: &Lab, host: Host) -> Vec<Report> {
    let entries = lab.timeline().entries().iter().filter(|entry| entry.host == Some(host));
    let reports = entries.filter_map(|entry| {
        let Fact::Machined(report) = &entry.fact else { return None };
        Some(report.clone())
    });
    let is_call = |report: &Report| matches!(report, Report::Called(..) | Report::Refused(_));
    reports.filter(is_call).collect()
}

fn assert_has_no_rights_too_many(lab: &Lab) -> Result<()> {
    let seen = Seen::of(lab.container(Host::K8s1)?)?;
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        let bits = u64::from_str_radix(&seen.status(set)?, 16).context("no set")?;
        for (bit, name) in CAPABILITIES.iter().enumerate() {
            ensure!(!DROPPED.contains(name) || bits >> bit & 1 == 0, "{set} has {name}");
        }
    }
    ensure!(seen.status("NoNewPrivs")? == "1", "it may gain rights");
    ensure!(seen.status("Seccomp")? == "2", "its system calls are not filtered");
    let own = std::fs::read_link("/proc/self/ns/mnt").context("look at ourselves")?;
    ensure!(seen.namespace("mnt")? != own, "its mounts are this machine's");
    ensure!(seen.status("NSpid")?.ends_with("\t1"), "it is not the first of its processes");

    // Not by its own code, which does not try, but with its rights.
    let reboot = with_its_rights(lab, &["reboot", "-n", "-f"])?;
    ensure!(reboot.contains("Operation not permitted"), "reboot(2): {reboot}");
    Ok(())
}

fn assert_changes_nothing_but_its_state(lab: &Lab) -> Result<()> {
    let mounts = Seen::of(lab.container(Host::K8s1)?)?.mounts()?;
    let kept = mounts.iter().filter(|mount| mount.is_writable && mount.is_on_disk());
    let kept: Vec<_> = kept.map(|mount| mount.path.as_str()).collect();
    ensure!(kept == [PLAYED_CGROUP, STATE], "it can write to {kept:?}");
    for path in ["/file", "/etc/file", "/etc/curfew/cluster.toml", "/var/file", "/host/sys/file"] {
        let answer = with_its_rights(lab, &["touch", path])?;
        ensure!(answer.contains("Read-only file system"), "touch {path}: {answer}");
    }
    let answer = with_its_rights(lab, &["touch", "/var/lib/curfew/file"])?;
    ensure!(answer.is_empty(), "its state directory: {answer}");
    let node = lab.node(Host::K8s1)?;
    ensure!(node.tree().join("var/lib/curfew/file").exists(), "another state directory");
    // Mount points are empty.
    let written = files_with_content(&node.written());
    ensure!(written.is_empty(), "it has written {written:?}");
    Ok(())
}

/// What of the host is not the container's own: its mounts, its pods, its processes.
fn tells_what_the_host_holds(lab: &mut Lab) -> Result<()> {
    let wanted = ["\ncurfew_nfs_mounts 1\n", "\ncurfew_pods_running 1\n"];
    lab.eventually("it tells of the host's NFS mounts and pods", PATIENCE, |_| {
        let page = http::get(Host::K8s1, "/metrics").map(|answer| answer.body).unwrap_or_default();
        wanted.iter().all(|line| page.contains(line))
    })
}

/// A change of the configuration: Talos ends the service, and starts it again.
fn ends_within_five_seconds_and_is_started_again(lab: &mut Lab) -> Result<()> {
    let asked = ground::now();
    lab.node(Host::K8s1)?.tell(Command::RestartService);
    let term = lab.until(Host::K8s1, &Fact::Halting, PATIENCE)?;
    let ended = lab.until(Host::K8s1, &Fact::AgentEnded(Some(0)), PATIENCE)?;
    ensure!(ended.since(term) < Duration::from_secs(5), "it took {:?}", ended.since(term));
    lab.eventually("it is started again", PATIENCE, |lab| {
        lab.timeline().last(Host::K8s1, &Fact::AgentStarted).is_some_and(|at| at > asked)
    })
}

fn is_started_again_after_a_crash(lab: &mut Lab) -> Result<()> {
    lab.signal_agent(Host::K8s1, Signal::SIGKILL)?;
    let ended = lab.until(Host::K8s1, &Fact::AgentEnded(None), PATIENCE)?;
    lab.eventually("Talos starts it again", PATIENCE, |lab| {
        lab.timeline().last(Host::K8s1, &Fact::AgentStarted).is_some_and(|at| at > ended)
    })?;
    lab.until_whole(PATIENCE)
}

/// Runs a tool in the container of k8s-1, from this machine, since there is none in it, and returns
/// what it says.
fn with_its_rights(lab: &Lab, args: &[&str]) -> Result<String> {
    let tool = format!("/host/proc/{}/root/bin/busybox", std::process::id());
    let args = [&[tool.as_str()], args].concat();
    lab.container(Host::K8s1)?.run(&args).map(|(_, answer)| answer)
}

const STATE: &str = "/var/lib/curfew";
/// On a node it is in memory, and as writable: a bind of the host's `/sys` leaves the mounts below
/// it as they are.
const PLAYED_CGROUP: &str = "/host/sys/fs/cgroup";
