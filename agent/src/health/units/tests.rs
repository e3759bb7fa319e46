//! What a person is told of the units of systemd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::Phase;
use curfew_host::systemd::{State as UnitState, Units};
use tokio::time::Instant;

use super::*;
use crate::health::tests::snapshot;
use crate::health::{Health, State};
use crate::units::Blind;

fn found() -> Found {
    let counts = BTreeMap::from([(UnitState::Active, 200), (UnitState::Inactive, 31)]);
    let units = Units { system_state: "running".to_owned(), counts, ..Units::default() };
    Found { units, ..Found::default() }
}

fn trouble(unit: &str, plight: Plight) -> Trouble {
    Trouble { unit: unit.to_owned(), plight }
}

fn of(found: Result<Found, Blind>) -> Check {
    let report = Report { looked: Instant::now(), took: Duration::ZERO, found };
    let snapshot = Snapshot { units: Some(Arc::new(report)), ..snapshot() };
    let health = Health::of(&snapshot);
    health.checks.into_iter().find(|check| check.name == UNITS).expect("it is there")
}

#[test]
fn a_host_without_systemd_has_no_such_check() {
    assert_eq!(check(&snapshot()), None);
}

#[test]
fn that_none_has_failed_is_said_with_what_is_not_looked_at() {
    assert_eq!(of(Ok(found())), Check::pass(UNITS, "none of 231 has failed"));
    let narrow = Found { ignored: 1, left_out: 12, ..found() };
    let expected = "none of 231 has failed, but for 1 that units-ignored names; 12 have no series \
                    of their own";
    assert_eq!(of(Ok(narrow)), Check::pass(UNITS, expected));
}

#[test]
fn the_worst_is_named_with_what_to_do_about_it() {
    let one = vec![trouble("nginx.service", Plight::Failed)];
    let check = of(Ok(Found { trouble: one, ..found() }));
    assert_eq!((check.state, check.reason.as_str()), (State::Warn, "nginx.service has failed"));
    let remedy = check.remedy.expect("there is one");
    for command in ["status", "restart", "reset-failed"] {
        assert!(remedy.contains(&format!("`systemctl {command} nginx.service`")), "{remedy}");
    }
    let many = ["a.service", "b.service", "c.service", "d.service", "e.service"];
    let many = many.map(|unit| trouble(unit, Plight::Failed)).to_vec();
    let check = of(Ok(Found { trouble: many, ..found() }));
    let reason = "a.service has failed; in trouble, too: b.service, c.service and 2 more";
    assert_eq!(check.reason, reason);
}

#[test]
fn services_that_end_with_the_host_are_no_trouble() {
    let found = Found { trouble: vec![trouble("nginx.service", Plight::Failed)], ..found() };
    let report = Report { looked: Instant::now(), took: Duration::ZERO, found: Ok(found) };
    let mut snapshot = Snapshot { units: Some(Arc::new(report)), ..snapshot() };
    for phase in Phase::ALL {
        snapshot.status.phase = phase;
        let is_up = matches!(phase, Phase::Up | Phase::Waiting);
        let expected = if is_up { State::Warn } else { State::Pass };
        assert_eq!(check(&snapshot).unwrap().state, expected, "{phase:?}");
    }
}

#[test]
fn a_service_that_never_stays_up_is_named_too() {
    let restless = vec![trouble("nginx.service", Plight::Restarts(4))];
    let check = of(Ok(Found { trouble: restless, ..found() }));
    assert_eq!(check.reason, "nginx.service was restarted 4 times in five minutes");
    assert!(check.remedy.unwrap().contains("`journalctl -u nginx.service`"));
}

#[test]
fn a_name_with_a_backslash_can_be_typed() {
    let name = r"systemd-fsck@dev-disk-by\x2duuid-1.service";
    let check = of(Ok(Found { trouble: vec![trouble(name, Plight::Failed)], ..found() }));
    assert!(check.remedy.unwrap().contains(&format!("`systemctl status '{name}'`")));
}

#[test]
fn the_rescue_mode_is_a_failure() {
    let mut found = found();
    found.units.system_state = "maintenance".to_owned();
    let check = of(Ok(found));
    assert_eq!(check.state, State::Fail);
    assert!(check.remedy.unwrap().contains("`systemctl default`"));
}

#[test]
fn a_systemd_that_does_not_answer_makes_it_unknown() {
    let blind = Blind { why: "the system bus cannot be reached".to_owned(), remedy: "a remedy" };
    let check = of(Err(blind));
    assert_eq!(check, Check::unknown(UNITS, "the system bus cannot be reached", Some("a remedy")));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_too_old_makes_it_unknown() {
    let report = Report { looked: Instant::now(), took: Duration::ZERO, found: Ok(found()) };
    tokio::time::advance(Duration::from_mins(2)).await;
    assert_eq!(units(&report).state, State::Unknown);
    let trouble = vec![trouble("nginx.service", Plight::Failed)];
    let report = Report { found: Ok(Found { trouble, ..found() }), ..report };
    let check = units(&report);
    let reason = "was: nginx.service has failed; not looked at for 120 s";
    assert_eq!((check.state, check.reason.as_str()), (State::Warn, reason));
}
