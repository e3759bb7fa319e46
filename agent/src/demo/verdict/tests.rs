//! Broken orders must be called broken: each test breaks a story that is whole.

use std::collections::BTreeSet;

use curfew_coordinator::{BeginReason, Cause, End, Trigger};

use super::*;

/// A story as it should be, in tenths of a second.
fn whole() -> Vec<Occurrence> {
    let began = |end| What::Told(Note::Began { end, why: BeginReason::Released });
    let phase = |phase| What::Told(Note::PhaseChanged { phase });
    let world = What::World;
    let ended = Note::Ended { number: 1, missing: BTreeSet::new() };
    let declared = Note::Declared {
        number: 1,
        trigger: Trigger::Computed,
        cause: Cause::Battery,
        evidence: String::new(),
        time_left: Some(Duration::from_secs(20)),
    };
    let (nfs, first, second) = (Some(Role::Nfs), Some(Role::First), Some(Role::Second));
    [
        (1, nfs, world(Fact::PoweredOn)),
        (2, nfs, world(Fact::Booted)),
        (10, None, world(Fact::MainsFailed)),
        (50, nfs, What::Told(declared)),
        (51, second, began(End::Off)),
        (60, second, phase(Phase::Halting)),
        (61, first, began(End::Off)),
        (63, second, world(Fact::PoweredOff)),
        (70, first, phase(Phase::Halting)),
        (71, nfs, began(End::Hold)),
        (72, nfs, phase(Phase::Holding)),
        (73, first, world(Fact::PoweredOff)),
        (100, None, world(Fact::MainsReturned)),
        (130, nfs, world(Fact::Rebooted)),
        (140, nfs, world(Fact::Booted)),
        (170, first, world(Fact::PacketReceived)),
        (171, first, world(Fact::PoweredOn)),
        (180, first, world(Fact::Booted)),
        (190, second, world(Fact::PoweredOn)),
        (200, second, world(Fact::Booted)),
        (210, nfs, What::Told(ended)),
    ]
    .into_iter()
    .map(|(tenths, role, what)| Occurrence { at: Time::from_millis(tenths * 100), role, what })
    .collect()
}

fn problems(mut story: Vec<Occurrence>) -> Vec<String> {
    story.sort_by_key(|it| it.at);
    Verdict::of(&story).problems
}

/// Moves what happened at `tenths` to another moment.
fn moved(tenths: u64, to: u64) -> Vec<Occurrence> {
    let mut story = whole();
    let from = Time::from_millis(tenths * 100);
    let found = story.iter_mut().find(|it| it.at == from).expect("the story has this moment");
    found.at = Time::from_millis(to * 100);
    story
}

/// Leaves out what happened at `tenths`.
fn without(tenths: &[u64]) -> Vec<Occurrence> {
    let mut story = whole();
    story.retain(|it| !tenths.contains(&(it.at.as_millis() / 100)));
    story
}

#[test]
fn a_story_in_order_is_good_and_its_durations_are_those_of_the_world() {
    let verdict = Verdict::of(&whole());
    assert_eq!(verdict.problems, [""; 0]);
    assert!(verdict.is_good());
    assert_eq!(verdict.down, Some(Duration::from_millis(2200)));
    assert_eq!(verdict.up, Some(Duration::from_secs(11)));
    assert_eq!(verdict.down_order, [Role::Second, Role::First, Role::Nfs]);
    assert_eq!(verdict.up_order, [Role::Nfs, Role::First, Role::Second]);
}

#[test]
fn who_begins_before_its_dependents_are_down_breaks_the_order() {
    assert_eq!(problems(moved(61, 55)), ["k8s-1 began to stop while k8s-2, which needs it, ran"]);
    assert_eq!(problems(moved(71, 65)), ["nfs began to stop while k8s-1, which needs it, ran"]);
    // All at once, as with NUT alone.
    let mut all_at_once = moved(61, 51);
    for it in &mut all_at_once {
        if it.at == Time::from_millis(7100) {
            it.at = Time::from_millis(5100);
        }
    }
    assert_eq!(problems(all_at_once).len(), 3);
}

#[test]
fn a_host_that_is_off_before_the_one_that_needs_it_breaks_the_order() {
    assert_eq!(problems(moved(63, 80)), ["k8s-1 was off before k8s-2, which needs it"]);
}

#[test]
fn a_silent_death_counts_as_down_but_not_as_in_order_when_late() {
    // Without a word of `halting` it is down when its machine is off.
    assert_eq!(problems(without(&[60])), ["k8s-1 began to stop while k8s-2, which needs it, ran"]);
}

#[test]
fn who_is_started_before_what_it_needs_breaks_the_order() {
    assert_eq!(problems(moved(190, 175)), ["k8s-2 was started before k8s-1, which it needs"]);
    assert_eq!(problems(moved(171, 135)), ["k8s-1 was started before nfs, which it needs"]);
}

#[test]
fn who_is_started_on_battery_is_reported() {
    let story = moved(171, 90);
    assert!(problems(story).contains(&"k8s-1 was started on battery".to_owned()));
}

#[test]
fn who_is_left_off_is_reported() {
    assert_eq!(problems(without(&[190, 200])), ["k8s-2 was left off"]);
    // Switched on is not yet back.
    assert_eq!(problems(without(&[200])), ["k8s-2 was left off"]);
    let stuck = problems(without(&[130, 140]));
    assert!(
        stuck.contains(&"nfs went into its stop and was never started anew".to_owned()),
        "{stuck:?}"
    );
}

#[test]
fn who_never_stops_is_reported() {
    let verdict = Verdict::of(&without(&[51, 60, 63, 190, 200]));
    assert_eq!((verdict.down, verdict.down_order), (None, vec![Role::First, Role::Nfs]));
    let never = problems(without(&[51, 60, 63, 190, 200]));
    assert!(never.contains(&"k8s-2 was never told to stop".to_owned()), "{never:?}");
    assert!(
        never.contains(&"k8s-1 began to stop while k8s-2, which needs it, ran".to_owned()),
        "{never:?}"
    );
}

#[test]
fn a_recovery_that_does_not_end_or_ends_without_somebody_is_reported() {
    assert_eq!(problems(without(&[210])), ["the recovery took too long: it has not ended"]);
    let mut story = without(&[210]);
    let missing = BTreeSet::from(["k8s-2".into()]);
    let what = What::Told(Note::Ended { number: 1, missing });
    story.push(Occurrence { at: Time::from_millis(21_000), role: Some(Role::Nfs), what });
    assert_eq!(problems(story), ["the recovery ended without k8s-2"]);
}

#[test]
fn accidents_are_reported_whatever_else_happened() {
    for (fact, sentence) in [
        (Fact::PowerLost, "the battery was empty before everybody was down"),
        (Fact::Crashed { how: "signal: 9".to_owned() }, "the agent of ups crashed: signal: 9"),
    ] {
        let mut story = whole();
        let at = Time::from_millis(9000);
        story.push(Occurrence { at, role: None, what: What::World(fact) });
        assert_eq!(problems(story), [sentence]);
    }
}

#[test]
fn a_story_that_was_cut_short_is_no_success() {
    let mut story = whole();
    story.truncate(4);
    assert_eq!(problems(story), ["the story did not get as far as the return of the mains"]);
}

#[test]
fn a_machine_whose_agent_crashed_does_not_run_and_is_reported_once() {
    let mut story = without(&[51, 60, 63]);
    let what = What::World(Fact::Crashed { how: "signal: 9".to_owned() });
    story.push(Occurrence { at: Time::from_millis(4000), role: Some(Role::Second), what });
    assert_eq!(problems(story), ["the agent of k8s-2 crashed: signal: 9"]);
}
