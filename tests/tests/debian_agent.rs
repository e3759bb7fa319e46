//! Stories of an agent that is frozen, restarted and killed on a booted Debian machine, in the
//! middle of an outage, too: systemd brings it back, and what it has begun goes on.

use anyhow::{Context, Result};
use curfew_coordinator::Phase;
use curfew_tests::debian::story::{PATIENCE, play};
use curfew_tests::debian::{End, Server};
use curfew_tests::http;
use curfew_tests::{Fact, Host, Lab, ground};
use nix::sys::signal::Signal;

#[test]
fn systemd_brings_the_agent_back_whatever_ends_it_and_the_outage_goes_on() -> Result<()> {
    play(
        Server {
            files: vec![(WATCHDOG, "[Service]\nWatchdogSec=3s\n".to_owned())],
            ..Server::default()
        },
        |lab| {
            is_killed_by_its_watchdog_when_it_hangs(lab)?;
            goes_on_where_it_was_when_restarted_and_killed(lab)
        },
    )
}

fn is_killed_by_its_watchdog_when_it_hangs(lab: &mut Lab) -> Result<()> {
    assert_eq!(lab.restarts()?, 0);
    has_the_disks_asked(lab)?;
    lab.signal_agent(Host::Nfs, Signal::SIGSTOP)?;
    lab.eventually("systemd starts it again", PATIENCE, |lab| {
        lab.restarts().is_ok_and(|count| count == 1)
    })?;
    lab.until_whole(PATIENCE)?;
    // It reads at its start what was left for it, in its own sandbox.
    lab.eventually("it says how the disks fare", PATIENCE, |_| {
        http::get(Host::Nfs, "/health")
            .is_ok_and(|page| page.body.contains("\n?     smart: smartctl is not installed"))
    })?;
    let journal = lab.server()?.shell("journalctl --boot --unit=curfew --no-pager")?;
    assert!(journal.contains("watchdog"), "{journal}");
    lab.ensure_untouched()
}

/// The timer came with the agent; the folder is root's.
fn has_the_disks_asked(lab: &Lab) -> Result<()> {
    let server = lab.server()?;
    server.shell("systemctl is-active curfew-smart.timer && systemctl start curfew-smart")?;
    let summary = server.read("/run/curfew-smart/summary").context("a summary")?;
    assert!(summary.contains(" smartctl=missing "), "{summary}");
    server.shell("! runuser -u curfew -- touch /run/curfew-smart/summary")?;
    Ok(())
}

fn goes_on_where_it_was_when_restarted_and_killed(lab: &mut Lab) -> Result<()> {
    // The others take their time, so that there is a time to wait for them.
    for host in [Host::K8s1, Host::K8s2] {
        lab.machine_mut(host).timing.services = std::time::Duration::from_secs(4);
    }
    let failure = lab.fail_mains_with_spare(6)?;
    lab.until_phase(Host::Nfs, Phase::Waiting)?;
    lab.server()?.shell("systemctl restart curfew")?;
    lab.until_phase(Host::Nfs, Phase::Waiting)?;
    lab.signal_agent(Host::Nfs, Signal::SIGKILL)?;
    lab.until_hold("entering")?;
    lab.signal_agent(Host::Nfs, Signal::SIGKILL)?;
    lab.until_hold("held")?;
    lab.until_phase(Host::Nfs, Phase::Holding)?;
    lab.signal_agent(Host::Nfs, Signal::SIGKILL)?;
    lab.eventually("it holds for real", PATIENCE, |lab| lab.ensure_held().is_ok())?;
    lab.ensure_held()?;
    lab.assert_held_in_order(failure);
    let requests = lab.server()?.read("/run/curfew-hold/request").context("a request")?;
    assert!(requests.contains("shutdown=1\n"), "{requests}");

    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_ended(End::Reboots, mains_back)?;
    lab.until_whole(PATIENCE)?;
    assert_eq!(lab.declared(), [1]);
    lab.timeline()
        .assert_order_since(mains_back, &[(Host::K8s1, Fact::On), (Host::K8s2, Fact::On)]);
    Ok(())
}

/// The watchdog of the unit waits longer than a story should.
const WATCHDOG: &str = "/etc/systemd/system/curfew.service.d/watchdog.conf";
