//! Stories of Talos nodes that somebody takes down: what their agents say of it to the others, and
//! when. Each is a row of the table in facts §3.6, or a rule of §9.

use std::time::Duration;

use anyhow::{Result, ensure};
use curfew_coordinator::{OsStop, Phase, Presence};
use curfew_machined::{Command, Fault, Report, Sequence, Service, Version};
use curfew_tests::talos::bare::Machined;
use curfew_tests::talos::bare_story::{NODE, PATIENCE, play};
use curfew_tests::{Fact, Host, Lab, directory, ground};

/// Row 1: going down, no matter who asked. Nobody declares anything, and nobody wakes anybody.
#[test]
fn row_1_who_takes_a_node_down_is_told_to_the_others_before_the_agent_is_ended() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.drain = Duration::from_millis(300);
    play(&[Host::Nfs, NODE], machined, |lab| {
        goes_down(lab, Command::PressButton, OsStop::Off)?;
        goes_down(lab, Command::Order(Sequence::Reboot { force: false }), OsStop::Reboot)?;
        goes_down(lab, Command::Order(Sequence::Upgrade), OsStop::Reboot)?;
        goes_down(lab, Command::Order(Sequence::Reset { reboot: true }), OsStop::Unknown)?;
        goes_down(lab, Command::Order(Sequence::Shutdown { force: false }), OsStop::Off)
    })
}

fn goes_down(lab: &mut Lab, command: Command, stop: OsStop) -> Result<()> {
    let since = ground::now();
    lab.tell(NODE, command)?;
    lab.until_noted(NODE, "planned-stop-seen", stop, since)?;
    let heard = lab.until_noted(Host::Nfs, "planned-stop-heard", stop, since)?;
    let term = lab.until_since(NODE, &Fact::Halting, since)?;
    ensure!(heard < term, "it was told {:?} too late", heard.since(term));
    lab.until_since(NODE, &Fact::Off, since)?;
    lab.ensure_ended_in_time(NODE, since)?;
    let seen = lab.seen(Host::Nfs, NODE)?;
    ensure!(seen.phase == Some(Phase::Halting), "{stop:?}: it said last {:?}", seen.phase);
    ensure!(seen.planned_stop == Some(stop), "it said {:?}", seen.planned_stop);
    lab.throughout("nobody wakes it", Duration::from_secs(1), |lab| {
        lab.timeline().packets(NODE) == 0
    })?;
    lab.press_button(NODE);
    lab.until_up(NODE)?;
    lab.eventually("it is heard, and nothing is planned any more", PATIENCE, |lab| {
        lab.seen(Host::Nfs, NODE)
            .is_ok_and(|seen| seen.presence == Presence::Connected && seen.planned_stop.is_none())
    })?;
    ensure!(lab.calls_of(NODE).is_empty(), "the agent called machined");
    ensure!(lab.declared().is_empty(), "somebody declared");
    Ok(())
}

/// Row 1: an agent that is started in the middle learns it from the history, or from the stage.
#[test]
fn row_1_an_agent_that_comes_late_learns_that_its_node_goes_down() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.pods = Duration::from_secs(4);
    play(&[NODE], machined, |lab| {
        let since = ground::now();
        lab.signal_agent(NODE, nix::sys::signal::Signal::SIGKILL)?;
        lab.tell(NODE, Command::PressButton)?;
        lab.until_restarted(NODE, since)?;
        lab.until_noted(NODE, "planned-stop-seen", OsStop::Off, since)?;
        ensure!(lab.calls_of(NODE).is_empty(), "the agent called machined");
        Ok(())
    })
}

/// Row 2: `cleanup` has ended and pods still run: the kernel's word counts, not the phase.
#[test]
fn row_2_who_leaves_while_pods_run_does_not_say_halting() -> Result<()> {
    play(&[Host::Nfs, NODE], Machined::default(), |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Break(Fault::PodsSurvive))?;
        lab.tell(NODE, Command::PressButton)?;
        leaves_without_halting(lab, since, OsStop::Off)
    })
}

/// Row 2, and facts §0.4: a forced reboot ends the agent at once, with pods running.
#[test]
fn row_2_a_forced_reboot_with_pods_running_says_no_halting() -> Result<()> {
    play(&[Host::Nfs, NODE], Machined::default(), |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Order(Sequence::Reboot { force: true }))?;
        leaves_without_halting(lab, since, OsStop::Reboot)?;
        let said = directory::tail(lab.machine(NODE).log(), 200);
        ensure!(said.contains("unix.Reboot(1234567)"), "it has not heard the end: {said}");
        ensure!(!said.contains("the sequence reboot failed"), "it took it for a failure: {said}");
        Ok(())
    })
}

fn leaves_without_halting(
    lab: &mut Lab,
    since: curfew_coordinator::Time,
    stop: OsStop,
) -> Result<()> {
    lab.until_noted(Host::Nfs, "planned-stop-heard", stop, since)?;
    let mut phases = Vec::new();
    lab.eventually("the node is off", PATIENCE, |lab| {
        let seen = lab.seen(Host::Nfs, NODE).ok().and_then(|seen| seen.phase);
        if phases.last() != Some(&seen) {
            phases.push(seen);
        }
        lab.timeline().last(NODE, &Fact::Off).is_some_and(|at| at >= since)
    })?;
    ensure!(!phases.contains(&Some(Phase::Halting)), "it said {phases:?}");
    lab.ensure_ended_in_time(NODE, since)
}

/// Row 3: what pods have mounted is seen in the table of the node, and told; with `depends: cri` it
/// is still there when the agent leaves.
#[test]
fn row_3_the_mounts_of_pods_are_told_and_are_still_there_at_the_end() -> Result<()> {
    play(&[Host::Nfs, NODE], Machined::default(), |lab| {
        lab.eventually("its mounts are told", PATIENCE, |lab| has_mounts(lab, true))?;
        let since = ground::now();
        lab.tell(NODE, Command::PressButton)?;
        lab.until_since(NODE, &Fact::Off, since)?;
        ensure!(has_mounts(lab, true), "it said that its mounts are gone");
        Ok(())
    })
}

/// Row 3, variant B of facts §3.5: without a dependency on cri the agent sees them go.
#[test]
fn row_3_an_agent_that_outlives_the_unmounts_tells_that_they_are_gone() -> Result<()> {
    let machined = Machined { service: Service::Alone, ..Machined::default() };
    play(&[Host::Nfs, NODE], machined, |lab| {
        lab.eventually("its mounts are told", PATIENCE, |lab| has_mounts(lab, true))?;
        let since = ground::now();
        lab.tell(NODE, Command::PressButton)?;
        lab.until_since(NODE, &Fact::Off, since)?;
        ensure!(has_mounts(lab, false), "it never said that its mounts are gone");
        Ok(())
    })
}

/// Returns whether the owner believes that the node has something of it mounted.
fn has_mounts(lab: &Lab, has: bool) -> bool {
    let mounts = lab.seen(Host::Nfs, NODE).ok().and_then(|seen| seen.mounts);
    mounts.is_some_and(|mounts| mounts.iter().any(|host| host.as_str() == "nfs") == has)
}

/// Row 4: SIGTERM without a sequence.
#[test]
fn row_4_a_change_of_the_configuration_says_nothing_to_the_others() -> Result<()> {
    play(&[Host::Nfs, NODE], Machined::default(), |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::RestartService)?;
        let mut phases = Vec::new();
        lab.eventually("it is started again and heard", PATIENCE, |lab| {
            let seen = lab.seen(Host::Nfs, NODE);
            phases.extend(seen.iter().filter_map(|seen| seen.phase));
            let is_back = lab.timeline().last(NODE, &Fact::AgentStarted) >= Some(since);
            is_back && seen.is_ok_and(|it| it.presence == Presence::Connected)
        })?;
        ensure!(phases.iter().all(|phase| *phase == Phase::Up), "it said {phases:?}");
        lab.ensure_ended_in_time(NODE, since)?;
        for (host, note) in [(NODE, "planned-stop-seen"), (Host::Nfs, "planned-stop-heard")] {
            ensure!(lab.count_noted(host, note) == 0, "{host} noted {note}");
        }
        ensure!(lab.timeline().first(NODE, &Fact::Off).is_none(), "the node went off");
        Ok(())
    })
}

/// Row 5: the drain fails, which is fatal: pods are killed and everything gets SIGTERM at once. It
/// is told while there is time, and it is no `halting`.
#[test]
fn row_5_a_drain_that_fails_is_told_and_says_no_halting() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.drain = Duration::from_millis(1500);
    play(&[Host::Nfs, NODE], machined, |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Break(Fault::Fails("drain".to_owned())))?;
        lab.tell(NODE, Command::Order(Sequence::Shutdown { force: false }))?;
        leaves_without_halting(lab, since, OsStop::Off)?;
        let said = directory::tail(lab.machine(NODE).log(), 200);
        ensure!(said.contains("sequence failed"), "it has not said so: {said}");
        Ok(())
    })
}

/// Row 5: "may not reach the agent any more".
#[test]
fn row_5_a_failure_that_does_not_reach_the_agent_changes_nothing() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.drain = Duration::from_millis(1500);
    play(&[Host::Nfs, NODE], machined, |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Break(Fault::LosesLastWords))?;
        lab.tell(NODE, Command::Break(Fault::Fails("drain".to_owned())))?;
        lab.tell(NODE, Command::Order(Sequence::Shutdown { force: false }))?;
        leaves_without_halting(lab, since, OsStop::Off)
    })
}

/// Rule 4: within five seconds, whatever hangs.
#[test]
fn rule_4_the_agent_ends_in_time_when_machined_hangs() -> Result<()> {
    play(&[NODE], Machined::default(), |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Break(Fault::Freezes))?;
        lab.tell(NODE, Command::RestartService)?;
        lab.until_since(NODE, &Fact::AgentEnded(Some(0)), since)?;
        lab.ensure_ended_in_time(NODE, since)?;
        // In the middle of a stop, and with pods that do not end.
        lab.until_restarted(NODE, since)?;
        lab.tell(NODE, Command::Mend(Fault::Freezes))?;
        let since = ground::now();
        lab.tell(NODE, Command::Break(Fault::PodsSurvive))?;
        lab.tell(NODE, Command::PressButton)?;
        lab.until_said(NODE, Report::Phase("cleanup"), since)?;
        lab.tell(NODE, Command::Break(Fault::Freezes))?;
        lab.until_since(NODE, &Fact::Off, since)?;
        lab.ensure_ended_in_time(NODE, since)?;
        ensure!(lab.count_said(NODE, Report::Kill) == 0, "it was killed");
        ensure!(lab.calls_of(NODE).is_empty(), "it called machined");
        Ok(())
    })
}

/// The families of facts §3.1 differ in their phases, not in what they amount to.
#[test]
fn every_version_is_understood() -> Result<()> {
    for (minor, patch) in [(8, 4), (10, 9), (14, 0)] {
        let machined = Machined { version: Version::new(minor, patch), ..Machined::default() };
        play(&[NODE], machined, |lab| {
            let since = ground::now();
            lab.tell(NODE, Command::PressButton)?;
            lab.until_noted(NODE, "planned-stop-seen", OsStop::Off, since)?;
            lab.until_since(NODE, &Fact::Off, since)?;
            lab.ensure_ended_in_time(NODE, since)
        })?;
    }
    Ok(())
}
