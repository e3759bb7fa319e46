//! Stories of things that break: `upsd`, cables, the switch, an agent for good.

use std::time::Duration;

use anyhow::Result;
use curfew_coordinator::{Line, Phase};
use curfew_tests::directory::write;
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, report};
use nix::sys::signal::Signal;

#[test]
fn upsd_that_ends_on_mains_stops_nobody() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.run_upsd(false)?;
    lab.eventually("all miss it", DOWN, |lab| {
        let is_unknown = |host| lab.status(host).is_ok_and(|it| it.ups.line == Line::Unknown);
        Host::ALL.into_iter().all(is_unknown)
    })?;
    // Blind without a runtime counts to 15 s here (60 s, factor 4); all of it must pass unused.
    lab.throughout("all stay up", Duration::from_secs(17), |lab| {
        lab.timeline().calls().is_empty()
    })?;
    lab.ensure_untouched()?;
    lab.run_upsd(true)?;
    lab.until_whole(DOWN)
}

#[test]
fn upsd_that_ends_on_battery_leaves_a_countdown_that_stops_all_in_order() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(12)?;
    lab.eventually("all see the battery and its runtime", DOWN, |lab| {
        let sees = |host| {
            lab.status(host).is_ok_and(|status| {
                status.ups.line == Line::Battery
                    && status.ups.on_battery_for.is_some_and(|it| it > Duration::from_secs(3))
            })
        };
        Host::ALL.into_iter().all(sees)
    })?;
    lab.run_upsd(false)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    let declared: Vec<_> = Host::ALL
        .into_iter()
        .flat_map(|host| report::notes(lab.machine(host), "declared"))
        .collect();
    assert!(declared.iter().any(|note| note["trigger"] == "blind"), "{declared:?}");
    Ok(())
}

#[test]
fn a_loose_cable_on_battery_takes_down_its_host_alone_and_it_is_woken() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    // Its countdown runs twice as fast as the battery: it ends while the others have time to spare.
    lab.fail_mains_with_spare(24)?;
    lab.eventually("k8s-2 knows the runtime of this outage", DOWN, |lab| {
        let left = |status: curfew_coordinator::Status| status.ups.runtime_left;
        let is_known = |left: Duration| left < Duration::from_mins(1);
        lab.status(Host::K8s2).is_ok_and(|status| left(status).is_some_and(is_known))
    })?;
    lab.plug(Host::K8s2, false)?;
    lab.until(Host::K8s2, &Fact::Off, DOWN * 2)?;
    assert_eq!(lab.timeline().calls(), [(Host::K8s2, Verb::Stop)]);
    lab.plug(Host::K8s2, true)?;
    lab.throughout("the others stay up", Duration::from_secs(2), |lab| {
        lab.status(Host::Nfs).is_ok_and(|status| status.phase == Phase::Up)
    })?;
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_eq!(lab.timeline().calls(), [(Host::K8s2, Verb::Stop)]);
    Ok(())
}

#[test]
fn a_driver_that_freezes_on_battery_is_overtaken_by_the_countdown_of_its_last_value() -> Result<()>
{
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(8)?;
    lab.eventually("the owner knows the runtime of this outage", DOWN, |lab| {
        let left = lab.status(Host::Nfs).ok().and_then(|status| status.ups.runtime_left);
        left.is_some_and(|left| left < Duration::from_mins(1))
    })?;
    lab.signal_driver(Signal::SIGSTOP)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    assert_eq!(lab.timeline().first(None, &Fact::OutputOpened), None, "the battery ended first");
    Ok(())
}

#[test]
fn an_upsd_that_hangs_on_mains_stops_nobody_and_is_read_again_when_it_goes_on() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.signal_upsd(Signal::SIGSTOP)?;
    lab.eventually("all miss it", DOWN, |lab| {
        let is_unknown = |host| lab.status(host).is_ok_and(|it| it.ups.line == Line::Unknown);
        Host::ALL.into_iter().all(is_unknown)
    })?;
    lab.signal_upsd(Signal::SIGCONT)?;
    lab.until_whole(DOWN)?;
    lab.ensure_untouched()
}

#[test]
fn a_switch_that_dies_on_battery_makes_each_host_stop_by_itself_and_one_shutdown() -> Result<()> {
    let mut setup = Setup::default();
    setup.limits.mains_stable = "2s";
    let mut lab = Lab::whole(&setup)?;
    lab.fail_mains_with_spare(7)?;
    lab.eventually("all know the runtime of this outage", DOWN, |lab| {
        let left = |host| lab.status(host).ok().and_then(|status| status.ups.runtime_left);
        let is_known = |host| left(host).is_some_and(|left| left < Duration::from_mins(1));
        Host::ALL.into_iter().all(is_known)
    })?;
    for host in Host::ALL {
        lab.plug(host, false)?;
    }
    lab.until_held()?;
    let mut calls = lab.timeline().calls();
    calls.sort_by_key(|(host, _)| *host);
    let stops = [(Host::K8s1, Verb::Stop), (Host::K8s2, Verb::Stop)];
    assert_eq!(calls, [&[(Host::Nfs, Verb::Hold)], stops.as_slice()].concat());

    for host in Host::ALL {
        lab.plug(host, true)?;
    }
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_eq!(lab.declared(), [1]);
    Ok(())
}

#[test]
fn a_partition_that_heals_leaves_one_shutdown() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.network().block(Host::K8s1, Host::K8s2)?;
    let failure = lab.fail_mains_with_spare(2)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    lab.network().unblock_all()?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    assert_eq!(lab.declared(), [1]);
    Ok(())
}

#[test]
fn a_stop_that_the_operating_system_refuses_is_tried_again_until_it_takes_it() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let refusal = lab.folder().join("k8s-2/refuse-stop");
    write(&refusal, "")?;
    let failure = lab.fail_mains_with_spare(2)?;
    lab.eventually("the refusal is noted twice", DOWN, |lab| {
        report::notes(lab.machine(Host::K8s2), "stop-failed").len() >= 2
    })?;
    std::fs::remove_file(&refusal)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    Ok(())
}

#[test]
fn without_the_owners_agent_the_others_come_back_by_themselves() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.stop_slowly(Host::K8s2);
    lab.fail_mains_with_spare(2)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    lab.machine_mut(Host::Nfs).is_supervised = false;
    lab.signal_agent(Host::Nfs, Signal::SIGKILL)?;
    lab.restore_mains()?;
    lab.until(Host::K8s2, &Fact::Off, DOWN)?;
    lab.eventually("k8s-2 runs again, and k8s-1 went on", BACK, |lab| {
        let is_up = |host| lab.status(host).is_ok_and(|it| it.phase == Phase::Up);
        lab.timeline().count(Host::K8s2, &Fact::AgentStarted) == 2
            && is_up(Host::K8s2)
            && is_up(Host::K8s1)
    })?;
    assert_eq!(lab.timeline().calls(), [(Host::K8s2, Verb::Stop)]);
    Ok(())
}
