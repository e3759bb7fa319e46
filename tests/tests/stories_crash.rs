//! Stories of agents that are killed in the middle and started again by their supervisor.

use anyhow::Result;
use curfew_coordinator::{Phase, Standing};
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, ground};
use nix::sys::signal::Signal;

#[test]
fn agents_killed_while_they_wait_resume_and_the_order_holds() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(2)?;
    for host in [Host::K8s1, Host::Nfs] {
        lab.eventually(&format!("{host} waits"), DOWN, |lab| is_in(lab, host, Phase::Waiting))?;
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_eq!(lab.declared().len(), 1);
    Ok(())
}

#[test]
fn all_agents_killed_at_once_resume_from_their_journals_and_the_order_holds() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(4)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    for host in Host::ALL {
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    assert_eq!(lab.declared(), [1]);
    lab.restore_mains()?;
    lab.until_whole(BACK)
}

#[test]
fn an_agent_killed_while_its_host_stops_undoes_nothing_and_lets_nobody_go_early() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(2)?;
    for host in [Host::K8s2, Host::K8s1] {
        lab.until(host, &Fact::Called(Verb::Stop), DOWN)?;
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    lab.until_held()?;
    lab.timeline().assert_order_since(
        failure,
        &[
            (Host::K8s2, Fact::Called(Verb::Stop)),
            (Host::K8s2, Fact::Halting),
            (Host::K8s1, Fact::Called(Verb::Stop)),
            (Host::K8s1, Fact::Off),
        ],
    );
    lab.restore_mains()?;
    lab.until_whole(BACK)
}

#[test]
fn an_owner_killed_in_the_hold_goes_on_holding_and_conducts() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(6)?;
    lab.until_held()?;
    lab.signal_agent(Host::Nfs, Signal::SIGKILL)?;
    lab.eventually("it holds again", DOWN, |lab| is_in(lab, Host::Nfs, Phase::Holding))?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until(Host::Nfs, &Fact::Called(Verb::Reboot), DOWN)?;
    lab.until_whole(BACK)?;
    lab.timeline()
        .assert_order_since(mains_back, &[(Host::K8s1, Fact::On), (Host::K8s2, Fact::On)]);
    Ok(())
}

#[test]
fn a_conductor_killed_during_recovery_wakes_the_rest() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.fail_mains_with_spare(2)?;
    lab.until_held()?;
    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.eventually("k8s-1 is woken", BACK, |lab| lab.timeline().packets(Host::K8s1) > 0)?;
    lab.signal_agent(Host::Nfs, Signal::SIGKILL)?;
    lab.until_whole(BACK)?;
    lab.timeline()
        .assert_order_since(mains_back, &[(Host::K8s1, Fact::On), (Host::K8s2, Fact::On)]);
    Ok(())
}

#[test]
fn agents_killed_in_the_pause_and_after_the_turn_undo_neither() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.stop_slowly(Host::K8s2);
    lab.fail_mains_with_spare(2)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    lab.restore_mains()?;
    let pauses = |lab: &Lab, host| lab.status(host).is_ok_and(|status| status.is_paused);
    lab.eventually("k8s-1 pauses", DOWN, |lab| pauses(lab, Host::K8s1))?;
    for host in [Host::K8s1, Host::Nfs] {
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    let has_turned = |lab: &Lab, host| {
        let standing = lab.status(host).ok().and_then(|status| Some(status.shutdown?.standing));
        standing == Some(Standing::Returning)
    };
    lab.eventually("the owner turns", DOWN, |lab| has_turned(lab, Host::Nfs))?;
    for host in [Host::K8s1, Host::Nfs] {
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    lab.until_whole(BACK)?;
    assert_eq!(lab.timeline().calls(), [(Host::K8s2, Verb::Stop)]);
    assert_eq!(lab.declared(), [1]);
    Ok(())
}

#[test]
fn agents_that_are_killed_as_soon_as_they_are_back_hold_no_recovery_up() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.fail_mains_with_spare(2)?;
    lab.until_held()?;
    let mains_back = ground::now();
    lab.restore_mains()?;
    for host in [Host::K8s1, Host::K8s2] {
        lab.eventually(&format!("{host} is up"), BACK, |lab| is_in(lab, host, Phase::Up))?;
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    lab.until_whole(BACK)?;
    lab.timeline()
        .assert_order_since(mains_back, &[(Host::K8s1, Fact::On), (Host::K8s2, Fact::On)]);
    assert_eq!(lab.declared(), [1]);
    Ok(())
}

fn is_in(lab: &Lab, host: Host, phase: Phase) -> bool {
    lab.status(host).is_ok_and(|status| status.phase == phase)
}
