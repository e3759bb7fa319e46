//! Stories of a person who reboots one host and nothing else.

use anyhow::{Context, Result};
use curfew_coordinator::OsStop;
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Verb};

#[test]
fn a_host_is_rebooted_by_any_agents_word_and_the_others_are_told() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let refused = lab.order(&["reboot", "k8s-9"]).expect_err("nobody is called so");
    assert!(format!("{refused:#}").contains("refused: no host is called k8s-9"), "{refused:#}");

    let mut operator = lab.operator(&["reboot", "k8s-2"])?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Reboot), DOWN)?;
    lab.eventually("the others know that it is planned", DOWN, |lab| {
        [Host::Nfs, Host::K8s1].into_iter().all(|host| {
            let status = lab.status(host).ok();
            let planned =
                status.and_then(|it| it.hosts.get(&Host::K8s2.name().into())?.planned_stop);
            planned == Some(OsStop::Reboot)
        })
    })?;
    let mut ended = None;
    lab.eventually("the operator hears that it is back", BACK, |_| {
        ended = operator.ended().ok().flatten();
        ended.is_some()
    })?;
    let said = std::fs::read_to_string(operator.log()).context("what it said")?;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {said}");
    assert!(said.contains("k8s-2: it reboots") && said.contains("k8s-2 is back"), "{said}");
    lab.until_whole(BACK)?;
    assert_eq!(lab.timeline().count(Host::K8s2, &Fact::AgentStarted), 2);
    assert_eq!(lab.timeline().calls(), [(Host::K8s2, Verb::Reboot)]);
    assert!(lab.declared().is_empty(), "{:?}", lab.declared());
    Ok(())
}

#[test]
fn nobody_reboots_a_host_on_battery() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.fail_mains_with_spare(20)?;
    lab.eventually("k8s-2 sees the battery", DOWN, |lab| {
        let line = lab.status(Host::K8s2).map(|status| status.ups.line);
        line.is_ok_and(|line| line == curfew_coordinator::Line::Battery)
    })?;
    let refused = lab.order(&["reboot", "k8s-2", "--force"]).expect_err("the mains are away");
    assert!(format!("{refused:#}").contains("refused: the mains are away"), "{refused:#}");
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    lab.ensure_untouched()
}
