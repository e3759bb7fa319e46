//! Stories of an outage from its first second to the last host that is back.

use std::time::Duration;

use anyhow::Result;
use curfew_coordinator::Phase;
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, ground, report};

#[test]
fn a_falling_runtime_stops_all_in_order_the_owner_holds_and_mains_bring_all_back() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(3)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    let calls = [(Host::K8s2, Verb::Stop), (Host::K8s1, Verb::Stop), (Host::Nfs, Verb::Hold)];
    assert_eq!(lab.timeline().calls(), calls);
    let declared = report::notes(lab.machine(Host::Nfs), "declared");
    assert!(declared.iter().any(|note| note["trigger"] == "computed"), "{declared:?}");
    lab.throughout("nobody is woken on battery", Duration::from_secs(2), |lab| {
        Host::ALL.into_iter().all(|host| lab.timeline().packets(host) == 0)
    })?;
    lab.eventually("the owner says that it holds", DOWN, |lab| {
        lab.status(Host::Nfs).is_ok_and(|status| status.phase == Phase::Holding)
    })?;

    let mains_back = ground::now();
    lab.restore_mains()?;
    let reboot = lab.until(Host::Nfs, &Fact::Called(Verb::Reboot), DOWN)?;
    assert!(reboot.since(mains_back) >= Duration::from_secs(3), "the mains had not held");
    lab.until_whole(BACK)?;
    assert_came_back_in_order(&lab, mains_back);
    Ok(())
}

#[test]
fn a_ups_that_promises_to_return_is_cut_last_and_all_come_back_in_order() -> Result<()> {
    let setup = Setup { returning: Some(30), ..Setup::default() };
    let mut lab = Lab::whole(&setup)?;
    // The firmware of the others stays off, so that the order of the wake-ups shows.
    for host in [Host::K8s1, Host::K8s2] {
        lab.machine_mut(host).does_start_after_power_loss = false;
    }
    let failure = ground::now();
    lab.fail_mains(30)?;
    let cut = lab.until(Host::Nfs, &Fact::CutOrdered, DOWN)?;
    lab.until(None, &Fact::OutputOpened, DOWN)?;
    lab.assert_stopped_in_order(failure, Verb::Cut);
    for host in [Host::K8s1, Host::K8s2] {
        let off = lab.timeline().first(host, &Fact::Off);
        assert!(off.is_some_and(|off| off < cut), "{host} had power when the cut was ordered");
    }

    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_came_back_in_order(&lab, mains_back);
    Ok(())
}

#[test]
fn machines_that_start_by_themselves_after_an_exhausted_battery_are_whole_again() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.fail_mains_with_spare(0)?;
    lab.until_held()?;
    // Nobody brings the mains back: the battery ends the hold.
    lab.until(None, &Fact::OutputOpened, DOWN)?;
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_eq!(lab.timeline().count(Host::Nfs, &Fact::Called(Verb::Reboot)), 0);
    Ok(())
}

#[test]
fn a_low_battery_stops_all_in_order_whatever_its_runtime_says() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = ground::now();
    lab.fail_mains(500)?;
    lab.throughout("all stay up as long as nothing is low", Duration::from_secs(4), |lab| {
        lab.timeline().calls().is_empty()
    })?;
    lab.show_low()?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    let declared = report::notes(lab.machine(Host::Nfs), "declared");
    assert!(declared.iter().any(|note| note["trigger"] == "low-battery"), "{declared:?}");
    Ok(())
}

fn assert_came_back_in_order(lab: &Lab, since: curfew_coordinator::Time) {
    let packet = Fact::Packet(Host::Nfs.address().to_string());
    lab.timeline().assert_order_since(
        since,
        &[
            (Host::Nfs, Fact::AgentStarted),
            (Host::K8s1, packet.clone()),
            (Host::K8s1, Fact::On),
            (Host::K8s1, Fact::AgentStarted),
            (Host::K8s2, packet),
            (Host::K8s2, Fact::On),
            (Host::K8s2, Fact::AgentStarted),
        ],
    );
}
