//! Stories of mains that come back, and go again, at the worst moment.

use std::time::Duration;

use anyhow::Result;
use curfew_coordinator::{Phase, Standing};
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, ground};

#[test]
fn mains_that_return_when_only_one_has_begun_spare_the_others_and_wake_that_one() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.stop_slowly(Host::K8s2);
    let failure = lab.fail_mains_with_spare(2)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    lab.restore_mains()?;
    lab.eventually("the owner turns", DOWN, |lab| {
        let standing = |status: curfew_coordinator::Status| status.shutdown.map(|it| it.standing);
        lab.status(Host::Nfs).is_ok_and(|status| standing(status) == Some(Standing::Returning))
    })?;
    lab.until_whole(BACK)?;
    assert_eq!(lab.timeline().calls(), [(Host::K8s2, Verb::Stop)]);
    let packet = Fact::Packet(Host::Nfs.address().to_string());
    lab.timeline().assert_order_since(
        failure,
        &[(Host::K8s2, Fact::Off), (Host::K8s2, packet), (Host::K8s2, Fact::On)],
    );

    // The next outage finds nothing of the first one.
    let second = lab.fail_mains_with_spare(2)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(second, Verb::Hold);
    assert_eq!(lab.declared(), [1, 2]);
    Ok(())
}

#[test]
fn a_host_that_is_still_off_in_a_second_outage_is_not_forgotten() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    // Its button does not work yet: it will be off when the mains fail again.
    lab.machine_mut(Host::K8s2).has_button = false;
    lab.stop_slowly(Host::K8s2);
    lab.fail_mains_with_spare(2)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    lab.restore_mains()?;
    lab.eventually("somebody tries to wake it", DOWN, |lab| {
        lab.timeline().packets(Host::K8s2) > 0
    })?;

    lab.fail_mains_with_spare(2)?;
    lab.until(Host::Nfs, &Fact::Called(Verb::Hold), DOWN)?;
    lab.until_off(&[Host::K8s1])?;
    lab.machine_mut(Host::K8s2).has_button = true;
    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    lab.timeline().assert_order_since(
        mains_back,
        &[(Host::Nfs, Fact::On), (Host::K8s1, Fact::On), (Host::K8s2, Fact::On)],
    );
    Ok(())
}

#[test]
fn a_flicker_shorter_than_the_debounce_changes_nothing() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    for _ in 0..3 {
        lab.fail_mains(300)?;
        lab.eventually("the owner sees it", DOWN, |lab| {
            let battery = curfew_coordinator::Line::Battery;
            lab.status(Host::Nfs).is_ok_and(|status| status.ups.line == battery)
        })?;
        lab.restore_mains()?;
        lab.until_whole(DOWN)?;
    }
    lab.throughout("all stay up", Duration::from_secs(3), |lab| {
        lab.status(Host::Nfs).is_ok_and(|status| status.phase == Phase::Up)
    })?;
    lab.ensure_untouched()
}
