//! Stories of an agent and machined's socket: who may ask, what is asked, and what happens when
//! nobody answers. Facts §2.1 to §2.3, rules 3 and 6 of §9. Rule 7 was decided otherwise: 0037.

use std::time::Duration;

use anyhow::{Result, ensure};
use curfew_coordinator::OsStop;
use curfew_machined::{Command, Fault, Refusal, Report, Tail};
use curfew_tests::talos::bare::Machined;
use curfew_tests::talos::bare_story::{NODE, PATIENCE, play, play_from_off};
use curfew_tests::{Fact, Lab, ground, http};

/// Rule 6: it comes up without anything else being up, and says what is missing.
#[test]
fn rule_6_an_agent_comes_up_without_machined_and_finds_it_later() -> Result<()> {
    play_from_off(Machined::default(), |lab| {
        lab.tell(NODE, Command::Break(Fault::Freezes))?;
        lab.press_button(NODE);
        lab.until_up(NODE)?;
        lab.until_health_says(NODE, "machined")?;
        ensure!(http::get(NODE, "/livez")?.code == 200, "it is not alive");
        lab.tell(NODE, Command::Mend(Fault::Freezes))?;
        lab.eventually("it reads the events", PATIENCE, reads)?;
        lab.ensure_polite()
    })
}

/// Facts §2.2: a role that is refused is said, with what to do; it is tried again.
#[test]
fn a_refusal_is_told_and_overcome_when_it_is_lifted() -> Result<()> {
    play_from_off(Machined::default(), |lab| {
        lab.tell(NODE, Command::Break(Fault::AllowsNoRole))?;
        lab.press_button(NODE);
        lab.until_up(NODE)?;
        lab.until_health_says(NODE, "os:operator")?;
        ensure!(lab.count_said(NODE, Report::Refused(Refusal::Role)) > 0, "nothing was refused");
        lab.tell(NODE, Command::Mend(Fault::AllowsNoRole))?;
        lab.eventually("it reads the events", PATIENCE, reads)?;
        let since = ground::now();
        lab.tell(NODE, Command::PressButton)?;
        lab.until_noted(NODE, "planned-stop-seen", OsStop::Off, since).map(drop)
    })
}

/// Facts §2.2: "right after start a call may take up to 5 s": no error. And §2.1: no pings.
#[test]
fn a_slow_caller_check_is_waited_for_and_nothing_pings_meanwhile() -> Result<()> {
    let mut machined = Machined::default();
    machined.times.registration = Duration::from_millis(4500);
    play(&[NODE], machined, |lab| {
        lab.eventually("it reads the events", PATIENCE, reads)?;
        let refused = lab.count_said(NODE, Report::Refused(Refusal::Caller));
        ensure!(refused == 0, "it was refused {refused} times");
        lab.throughout("it does not ping", Duration::from_secs(6), |lab| {
            lab.ensure_polite().is_ok()
        })
    })
}

/// Rule 3: the stream goes on where it was.
#[test]
fn rule_3_a_stream_that_breaks_off_goes_on_after_the_last_event() -> Result<()> {
    play(&[NODE], Machined::default(), |lab| {
        lab.eventually("it reads all events first", PATIENCE, |lab| {
            lab.count_said(NODE, Report::Reads(Tail::Events(-1))) == 1
        })?;
        lab.tell(NODE, Command::HangUp)?;
        lab.eventually("it reads what comes after the last", PATIENCE, |lab| {
            let after = |fact: &Fact| matches!(fact, Fact::Machined(Report::Reads(Tail::After(_))));
            lab.timeline().last_that(NODE, after).is_some()
        })?;
        ensure!(lab.count_said(NODE, Report::Reads(Tail::Events(-1))) == 1, "it read all again");
        let since = ground::now();
        lab.tell(NODE, Command::PressButton)?;
        lab.until_noted(NODE, "planned-stop-seen", OsStop::Off, since).map(drop)
    })
}

/// The version and the stage are shown to who looks.
#[test]
fn the_version_and_the_stage_are_shown() -> Result<()> {
    play(&[NODE], Machined::default(), |lab| {
        lab.eventually("its metrics show both", PATIENCE, |_| {
            http::get(NODE, "/metrics").is_ok_and(|page| {
                page.body.contains("v1.13.9") && page.body.contains("stage=\"running\"")
            })
        })
    })
}

fn reads(lab: &Lab) -> bool {
    let reads = |fact: &Fact| matches!(fact, Fact::Machined(Report::Reads(_)));
    lab.timeline().last_that(NODE, reads).is_some()
}
