//! Stories of the hold on a booted Debian machine: entered for real, left for real, and the power
//! that goes from under it.

use anyhow::Result;
use curfew_tests::debian::story::{PATIENCE, play};
use curfew_tests::debian::{End, Server};
use curfew_tests::story::DOWN;
use curfew_tests::{Fact, Host, Lab, Verb, ground};

#[test]
fn an_outage_is_held_and_mains_or_an_empty_battery_end_it() -> Result<()> {
    play(Server::default(), |lab| {
        holds_until_the_mains_return_and_wakes_the_others(lab)?;
        loses_nothing_when_the_power_goes_in_the_hold(lab)
    })
}

fn holds_until_the_mains_return_and_wakes_the_others(lab: &mut Lab) -> Result<()> {
    let written: Vec<_> = lab.writable()?.into_iter().map(|mount| mount.path).collect();
    assert!(written.contains(&"/".to_owned()), "{written:?}");
    assert!(written.contains(&"/srv/media".to_owned()), "{written:?}");
    let failure = lab.fail_mains_with_spare(2)?;
    lab.until_hold("held")?;
    lab.until_off(&[Host::K8s1, Host::K8s2])?;
    lab.assert_held_in_order(failure);
    lab.eventually("it holds for real", PATIENCE, |lab| lab.ensure_held().is_ok())?;
    lab.ensure_held()?;
    // Nobody asks a disk any more, also when the agent is started anew.
    lab.server()?.shell("systemctl start curfew; ! systemctl is-active curfew-smart.timer")?;
    let console = lab.server()?.console();
    assert!(console.contains("IS IN THE HOLD"), "{console}");
    assert!(console.contains("systemctl reboot"), "how to leave it: {console}");
    let report = lab.server()?.read("/run/curfew-hold/report");
    assert_eq!(report.as_deref(), Some(""), "what is not safe");

    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_ended(End::Reboots, mains_back)?;
    lab.until_whole(PATIENCE)?;
    let packet = Fact::Packet(Host::Nfs.address().to_string());
    lab.timeline().assert_order_since(
        mains_back,
        &[
            (Host::Nfs, Fact::Ended(End::Reboots)),
            (Host::Nfs, Fact::On),
            (Host::K8s1, packet.clone()),
            (Host::K8s1, Fact::On),
            (Host::K8s2, packet),
            (Host::K8s2, Fact::On),
        ],
    );
    let calls = [(Host::K8s2, Verb::Stop), (Host::K8s1, Verb::Stop)];
    assert_eq!(lab.timeline().calls(), calls);
    assert_eq!(lab.declared(), [1]);
    assert_eq!(lab.server()?.read("/run/curfew-hold/state"), None, "another boot");
    lab.server()?.shell("systemctl is-active media.service")?;
    Ok(())
}

fn loses_nothing_when_the_power_goes_in_the_hold(lab: &mut Lab) -> Result<()> {
    let failure = lab.fail_mains_with_spare(2)?;
    lab.eventually("it holds again", PATIENCE, |lab| {
        let held = Fact::Hold("held".to_owned());
        lab.timeline().last(Host::Nfs, &held).is_some_and(|at| at >= failure)
    })?;
    lab.until_off(&[Host::K8s1, Host::K8s2])?;
    lab.eventually("it holds for real", PATIENCE, |lab| lab.ensure_held().is_ok())?;
    lab.drain(1)?;
    lab.until(None, &Fact::OutputOpened, DOWN)?;
    assert!(!lab.server()?.is_on());
    let disk = lab.server_mut()?.disk().state()?;
    assert!(!disk.needs_recovery && disk.word == "clean", "{disk:?}");

    // The return after exhaustion is the one that every UPS has: firmware starts everybody.
    lab.restore_mains()?;
    lab.until_whole(PATIENCE)?;
    assert_eq!(lab.declared(), [1, 2]);
    Ok(())
}
