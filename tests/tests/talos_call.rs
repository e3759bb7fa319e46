//! Stories of a Talos node whose agent has it shut down: machined is called once, with force, and
//! what comes of it is watched. Facts §2.4, rules 1 and 2 of §9.

use std::time::Duration;

use anyhow::{Result, ensure};
use curfew_coordinator::{OsStop, Phase};
use curfew_machined::{Command, Fault, Report, Sequence};
use curfew_tests::talos::bare::Machined;
use curfew_tests::talos::bare_story::{NODE, PATIENCE, play, play_from_off};
use curfew_tests::{Fact, Host, Lab, ground, http};
use nix::sys::signal::Signal;

const FORCED: Sequence = Sequence::Shutdown { force: true };

#[test]
fn a_stop_calls_machined_once_with_force_and_the_agent_says_halting() -> Result<()> {
    play(&[NODE], Machined::default(), |lab| {
        let since = ground::now();
        order_shutdown(lab)?;
        lab.until_since(NODE, &Fact::Off, since)?;
        ensure!(lab.calls_of(NODE) == [FORCED], "{:?}", lab.calls_of(NODE));
        ensure!(lab.count_said(NODE, Report::Phase("drain")) == 0, "it drained");
        lab.ensure_ended_in_time(NODE, since)
    })
}

/// Rule 1: the record says "about to call"; nothing runs, so it is called, and once.
#[test]
fn rule_1_an_agent_killed_before_the_call_arrived_calls_once() -> Result<()> {
    play(&[NODE], Machined::default(), |lab| {
        lab.tell(NODE, Command::Break(Fault::Freezes))?;
        order_shutdown(lab)?;
        lab.eventually("the record is written", PATIENCE, |lab| is_in(lab, Phase::Stopping))?;
        let since = ground::now();
        lab.signal_agent(NODE, Signal::SIGKILL)?;
        lab.until_since(NODE, &Fact::AgentEnded(None), since)?;
        lab.tell(NODE, Command::Mend(Fault::Freezes))?;
        lab.until_since(NODE, &Fact::Off, since)?;
        ensure!(lab.calls_of(NODE) == [FORCED], "{:?}", lab.calls_of(NODE));
        Ok(())
    })
}

/// Rule 1, facts §0.1: what runs is not called again, or the pods lose their grace.
#[test]
fn rule_1_an_agent_killed_after_the_call_does_not_call_again() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.pods = Duration::from_secs(4);
    play(&[NODE], machined, |lab| {
        order_shutdown(lab)?;
        lab.eventually("machined is called", PATIENCE, |lab| !lab.calls_of(NODE).is_empty())?;
        let since = ground::now();
        lab.signal_agent(NODE, Signal::SIGKILL)?;
        lab.until_restarted(NODE, since)?;
        lab.until_since(NODE, &Fact::Off, since)?;
        was_called_once(lab)?;
        lab.ensure_ended_in_time(NODE, since)
    })
}

/// Facts §2.4: START is waited for as long as a takeover may take, and nothing is called then.
#[test]
fn a_takeover_that_takes_its_time_is_waited_for() -> Result<()> {
    taking_over(|lab| {
        lab.throughout("START is waited for", Duration::from_secs(7), |lab| {
            lab.calls_of(NODE) == [FORCED]
        })?;
        let page = http::health(NODE)?.body;
        ensure!(!page.contains("has not begun"), "it is reported too early: {page}");
        lab.tell(NODE, Command::Mend(Fault::Hangs("startEverything".to_owned())))?;
        lab.until_since(NODE, &Fact::Off, lab.timeline().start())?;
        was_called_once(lab)
    })
}

/// Rule 1: between the call and the START no event tells that it was called. So it is waited for as
/// long as a takeover may take, and nothing is called.
#[test]
fn rule_1_an_agent_killed_while_it_takes_over_has_its_node_go_down() -> Result<()> {
    taking_over(|lab| {
        let killed = ground::now();
        lab.signal_agent(NODE, Signal::SIGKILL)?;
        lab.until_restarted(NODE, killed)?;
        lab.tell(NODE, Command::Mend(Fault::Hangs("startEverything".to_owned())))?;
        lab.until_since(NODE, &Fact::Off, killed)?;
        was_called_once(lab)
    })
}

/// Plays a story from the moment on when machined was called while the boot hangs.
fn taking_over(story: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let mut machined = Machined::default();
    machined.times.takeover = PATIENCE;
    play_from_off(machined, |lab| {
        lab.tell(NODE, Command::Break(Fault::Hangs("startEverything".to_owned())))?;
        lab.press_button(NODE);
        lab.until_agent(NODE)?;
        lab.until_health_says(NODE, "can be called")?;
        order_shutdown(lab)?;
        lab.eventually("machined is called", PATIENCE, |lab| !lab.calls_of(NODE).is_empty())?;
        story(lab)?;
        lab.ensure_polite()
    })
}

/// Facts §2.4: a takeover that Talos drops silently.
#[test]
fn a_call_of_which_nothing_comes_is_reported_and_repeated_once() -> Result<()> {
    play(&[NODE], Machined::default(), |lab| {
        lab.tell(NODE, Command::Break(Fault::DropsCalls))?;
        order_shutdown(lab)?;
        lab.until_health_says(NODE, "has not begun within 5 s")?;
        lab.eventually("it is called again", PATIENCE, |lab| lab.calls_of(NODE).len() == 2)?;
        lab.throughout("and no more", Duration::from_secs(6), |lab| {
            lab.calls_of(NODE) == [FORCED; 2]
        })
    })
}

/// Facts §2.4: answered, and refused by an event alone.
#[test]
fn locked_is_understood() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.pods = Duration::from_secs(4);
    play(&[NODE], machined, |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::PressButton)?;
        lab.until_noted(NODE, "planned-stop-seen", OsStop::Off, since)?;
        lab.tell(NODE, Command::Order(Sequence::Reboot { force: false }))?;
        lab.until_health_says(NODE, "refused: another one runs")?;
        // It is still the shutdown that runs.
        let way = lab.status(NODE)?.planned_stop;
        ensure!(way == Some(OsStop::Off), "it believes {way:?}");
        Ok(())
    })
}

/// Facts §2.4: taken over, and what took it over was dropped: nothing goes down any more.
#[test]
fn canceled_without_a_successor_takes_everything_back() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.takeover = Duration::from_millis(500);
    play(&[NODE], machined, |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Break(Fault::Hangs("dbus".to_owned())))?;
        lab.tell(NODE, Command::Order(Sequence::Reboot { force: false }))?;
        lab.until_noted(NODE, "planned-stop-seen", OsStop::Reboot, since)?;
        lab.until_said(NODE, Report::Phase("dbus"), since)?;
        lab.tell(NODE, Command::PressButton)?;
        lab.until_said(NODE, Report::Dropped("shutdown"), since)?;
        lab.tell(NODE, Command::Mend(Fault::Hangs("dbus".to_owned())))?;
        lab.until_health_says(NODE, "was canceled, and no other has followed")?;
        lab.eventually("it is up again", PATIENCE, |lab| {
            lab.status(NODE).is_ok_and(|status| status.planned_stop.is_none())
        })
    })
}

/// Rule 2, facts §2.4: on battery a drain that somebody began is taken over, once.
#[test]
fn rule_2_on_battery_a_drain_of_somebody_else_is_taken_over_by_force() -> Result<()> {
    on_battery(Machined::default(), |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Order(Sequence::Shutdown { force: false }))?;
        lab.until_said(NODE, Report::Phase("drain"), since)?;
        lab.show_low()?;
        lab.until_since(NODE, &Fact::Off, since)?;
        was_called_once(lab)
    })
}

/// Rule 2: past the drain it would cost the pods their grace.
#[test]
fn rule_2_past_the_drain_nothing_is_called() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.pods = Duration::from_secs(5);
    on_battery(machined, |lab| {
        let since = ground::now();
        lab.tell(NODE, Command::Order(FORCED))?;
        lab.until_said(NODE, Report::Phase("cleanup"), since)?;
        lab.show_low()?;
        lab.eventually("a shutdown is declared", PATIENCE, |lab| {
            lab.status(NODE).is_ok_and(|status| status.shutdown.is_some())
        })?;
        lab.until_since(NODE, &Fact::Off, since)?;
        ensure!(lab.calls_of(NODE).is_empty(), "{:?}", lab.calls_of(NODE));
        Ok(())
    })
}

/// Plays a story on battery, with `upsd` on the owner's machine, whose agent does not run.
fn on_battery(machined: Machined, story: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    play_from_off(machined, |lab| {
        lab.machine_mut(Host::Nfs).has_agent = false;
        lab.press_button(Host::Nfs);
        lab.press_button(NODE);
        lab.until_up(NODE)?;
        lab.fail_mains(500)?;
        lab.eventually("it sees the battery", PATIENCE, |lab| {
            let line = lab.status(NODE).map(|status| status.ups.line);
            line.is_ok_and(|line| line == curfew_coordinator::Line::Battery)
        })?;
        story(lab)?;
        lab.ensure_polite()
    })
}

fn order_shutdown(lab: &Lab) -> Result<()> {
    lab.order_at(NODE, &["shutdown", "--yes"])
}

fn was_called_once(lab: &Lab) -> Result<()> {
    ensure!(lab.calls_of(NODE) == [FORCED], "{:?}", lab.calls_of(NODE));
    ensure!(lab.count_said(NODE, Report::LostGrace) == 0, "pods lost their grace");
    Ok(())
}

fn is_in(lab: &Lab, phase: Phase) -> bool {
    lab.status(NODE).is_ok_and(|status| status.phase == phase)
}
