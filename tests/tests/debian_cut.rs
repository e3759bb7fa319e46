//! Stories of the cut on a booted Debian machine: the power-off is real, the late hook runs, and
//! its command reaches the driver, or it sees the mains and gives none.

use anyhow::Result;
use curfew_tests::debian::story::{PATIENCE, play};
use curfew_tests::debian::{End, Server};
use curfew_tests::{Fact, Host, Lab};

#[test]
fn a_ups_that_comes_back_is_cut_by_the_last_hook_unless_the_mains_are_back() -> Result<()> {
    let server = Server { does_return: true, ..Server::default() };
    play(server, |lab| {
        is_cut_on_battery_and_comes_back(lab)?;
        reboots_and_cuts_nothing_on_mains(lab)
    })
}

fn is_cut_on_battery_and_comes_back(lab: &mut Lab) -> Result<()> {
    // Long enough for the cut: it is not the battery that ends this one.
    let failure = lab.fail_mains_with_spare(2)?;
    lab.until(Host::Nfs, &Fact::CutOrdered, PATIENCE)?;
    lab.until(None, &Fact::OutputOpened, PATIENCE)?;
    lab.timeline().assert_order_since(
        failure,
        &[(Host::K8s2, Fact::Off), (Host::K8s1, Fact::Off), (Host::Nfs, Fact::CutOrdered)],
    );
    lab.timeline()
        .assert_order_since(failure, &[(Host::Nfs, Fact::CutOrdered), (Host::Nfs, Fact::Off)]);
    assert_eq!(lab.timeline().count(Host::Nfs, &Fact::CutOrdered), 1, "\n{}", lab.timeline());
    assert!(lab.timeline().first(Host::Nfs, &Fact::Hold("entering".to_owned())).is_none());
    let disk = lab.server_mut()?.disk().state()?;
    assert!(!disk.needs_recovery && disk.word == "clean", "{disk:?}");

    lab.restore_mains()?;
    lab.until_whole(PATIENCE)?;
    assert_eq!(lab.declared(), [1]);
    assert_eq!(lab.server()?.read("/run/curfew/cut"), None, "the flag is of another boot");
    Ok(())
}

fn reboots_and_cuts_nothing_on_mains(lab: &mut Lab) -> Result<()> {
    let failure = lab.fail_mains_with_spare(2)?;
    lab.eventually("the owner powers off", PATIENCE, |lab| {
        let state = lab.server().and_then(|server| server.run(["systemctl", "is-system-running"]));
        state.is_ok_and(|answer| answer.output.trim() == "stopping")
    })?;
    lab.restore_mains()?;
    lab.until_ended(End::Reboots, failure)?;
    lab.until_whole(PATIENCE)?;
    assert_eq!(lab.timeline().count(Host::Nfs, &Fact::CutOrdered), 1, "\n{}", lab.timeline());
    assert_eq!(lab.timeline().count(None, &Fact::OutputOpened), 1);
    assert_eq!(lab.declared(), [1, 2]);
    lab.timeline().assert_order_since(
        failure,
        &[(Host::Nfs, Fact::On), (Host::K8s1, Fact::On), (Host::K8s2, Fact::On)],
    );
    Ok(())
}
