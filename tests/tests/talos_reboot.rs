//! Stories of a person who reboots one Talos node: it is drained, powers off and is woken.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_machined::{Command, Fault, Report, Sequence};
use curfew_tests::process::Process;
use curfew_tests::talos::bare::Machined;
use curfew_tests::talos::bare_story::{NODE, play};
use curfew_tests::{Fact, Host, Lab, ground};

#[test]
fn a_node_is_drained_powers_off_and_is_woken_by_another_agent() -> Result<()> {
    play(&Host::ALL, machined(), |lab| {
        let said = goes_and_is_back(lab)?;
        ensure!(!said.contains("gone down hard"), "{said}");
        ensure!(lab.count_said(NODE, Report::LostGrace) == 0, "pods were killed");
        Ok(())
    })
}

/// Facts §0.2: it powers off all the same, with all pods killed, and nobody else wakes it.
#[test]
fn a_drain_that_fails_is_told_and_the_node_is_woken_all_the_same() -> Result<()> {
    play(&Host::ALL, machined(), |lab| {
        lab.tell(NODE, Command::Break(Fault::Fails("drain".to_owned())))?;
        let said = goes_and_is_back(lab)?;
        ensure!(said.contains("the drain of the sequence shutdown failed"), "{said}");
        ensure!(said.contains("k8s-2 has gone down hard: its drain failed"), "{said}");
        Ok(())
    })
}

fn machined() -> Machined {
    let mut machined = Machined::default();
    machined.times.drain = Duration::from_millis(1500);
    machined
}

/// Has an operator give the order to the agent of k8s-1, and returns what they hear until the node
/// is back.
fn goes_and_is_back(lab: &mut Lab) -> Result<String> {
    let since = ground::now();
    let mut operator = lab.operator(&["reboot", "k8s-2"])?;
    lab.until_said(NODE, Report::Phase("drain"), since)?;
    let off = lab.until_since(NODE, &Fact::Off, since)?;
    let said = until_ended(lab, &mut operator)?;
    for words in [
        "its pods are moved away, then it powers off and has to be woken",
        "the agent at 10.77.0.11:9101 wakes it when it is off",
        "k8s-2 is back",
    ] {
        ensure!(said.contains(words), "nothing of {words:?}: {said}");
    }
    ensure!(lab.timeline().packets(NODE) > 0, "it was not woken by a packet");
    ensure!(lab.timeline().last(NODE, &Fact::On) > Some(off), "it has not been on since");
    let calls = lab.calls_of(NODE);
    ensure!(calls == [Sequence::Shutdown { force: false }], "machined was called for {calls:?}");
    ensure!(lab.declared().is_empty(), "somebody declared");
    Ok(said)
}

/// Waits until the operator's command ends well, and returns what it said.
fn until_ended(lab: &mut Lab, operator: &mut Process) -> Result<String> {
    let mut ended = None;
    lab.eventually("the operator hears that it is back", BACK, |_| {
        ended = operator.ended().ok().flatten();
        ended.is_some()
    })?;
    let said = std::fs::read_to_string(operator.log()).context("what it said")?;
    ensure!(ended.is_some_and(|status| status.success()), "{ended:?}: {said}");
    Ok(said)
}

/// From the power-off to the end of the next boot, with room for a busy machine.
const BACK: Duration = Duration::from_mins(1);
