//! What the check of a Talos host says, and when it keeps the plan from being carried out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::health::tests::snapshot;
use crate::health::{Health, State};
use crate::talos::node::{Action, Event, Happening, Stage};
use crate::talos::{Lost, Missed, Talos};

/// Returns what is known of a node that is up.
pub(crate) fn view() -> View {
    let mut view = (*Talos::new("/nonexistent").view()).clone();
    view.version = Some("v1.11.6".to_owned());
    view.node.stage = Some(Stage::Running);
    (view.contact.is_kept, view.contact.was_kept) = (true, true);
    view
}

pub(crate) fn lost(ago: Duration, is_refusal: bool) -> View {
    let mut view = view();
    view.contact.is_kept = false;
    view.contact.since = Instant::now().checked_sub(ago).expect("the machine runs for longer");
    let why = "machined cannot be called at /run/machine.sock".to_owned();
    view.contact.failure = Some(Lost { why, is_refusal });
    view
}

fn shutting_down(mut view: View) -> View {
    let name = "shutdown".to_owned();
    let what = Happening::Sequence { name, action: Action::Start, error: None };
    view.node.take(&Event { id: String::new(), actor: String::new(), what });
    view
}

#[test]
fn who_cannot_call_machined_could_not_carry_the_plan_out() {
    let long = Duration::from_secs(20);
    let mut missed = view();
    missed.missed = Some(Missed::NotStarted(Duration::from_secs(70)));
    let mut locked = view();
    locked.node.locked = Some("reboot".to_owned());
    for (what, view, state) in [
        ("all is well", view(), State::Pass),
        ("it goes down", shutting_down(view()), State::Pass),
        ("just lost", lost(Duration::from_secs(2), false), State::Warn),
        ("lost for long", lost(long, false), State::Fail),
        ("refused", lost(long, true), State::Fail),
        ("lost on the way down", shutting_down(lost(long, false)), State::Warn),
        ("nothing came of a call", missed, State::Fail),
        ("a sequence was refused", locked, State::Warn),
    ] {
        let mut snapshot = snapshot();
        snapshot.talos = Some(Arc::new(view));
        let health = Health::of(&snapshot);
        let check = health.checks.iter().find(|check| check.name == TALOS).expect("it is there");
        assert_eq!(check.state, state, "{what}: {check:?}");
        assert_eq!(check.remedy.is_some(), state != State::Pass, "{what}");
        let is_obstacle = health.obstacles.iter().any(|it| it.contains(&check.reason));
        assert_eq!(is_obstacle, state == State::Fail, "{what}: {:?}", health.obstacles);
    }
}

#[test]
fn a_call_that_machined_does_not_take_is_mended_where_calls_are() {
    for (is_refusal, words) in [(true, "ext-curfew"), (false, "machine.sock")] {
        let mut view = view();
        let why = "machined refuses `Shutdown`: not authorized".to_owned();
        view.missed = Some(Missed::NotTaken(Lost { why, is_refusal }));
        let check = judge(&view);
        assert_eq!(check.state, State::Fail);
        assert!(check.remedy.is_some_and(|remedy| remedy.contains(words)), "{words}");
    }
}

#[test]
fn who_was_never_heard_is_waited_for_a_moment() {
    let mut view = (*Talos::new("/nonexistent").view()).clone();
    assert_eq!(judge(&view).state, State::Warn);
    view.contact.since = Instant::now().checked_sub(Duration::from_secs(20)).expect("it runs");
    assert_eq!(judge(&view).state, State::Fail);
}

#[test]
fn other_hosts_have_no_such_check() {
    assert!(Health::of(&snapshot()).checks.iter().all(|check| check.name != TALOS));
}
