//! Every way on which machined tells what happens, and what it amounts to.

use super::*;

fn sequence(name: &str, action: Action) -> Event {
    let what = Happening::Sequence { name: name.to_owned(), action, error: None };
    Event { id: "1".to_owned(), actor: "actor".to_owned(), what }
}

fn start(name: &str) -> Event {
    sequence(name, Action::Start)
}

fn stop(name: &str) -> Event {
    sequence(name, Action::Stop)
}

fn error(name: &str, code: Code, message: &str) -> Event {
    let error = Some(Failure { code, message: message.to_owned() });
    let what = Happening::Sequence { name: name.to_owned(), action: Action::Noop, error };
    Event { id: "1".to_owned(), actor: String::new(), what }
}

fn phase(name: &str) -> Event {
    let what = Happening::PhaseStarted(name.to_owned());
    Event { id: "1".to_owned(), actor: "actor".to_owned(), what }
}

fn staged(stage: Stage) -> Event {
    Event { id: "1".to_owned(), actor: String::new(), what: Happening::Staged(stage) }
}

fn after(events: &[Event]) -> Node {
    let mut node = Node::default();
    for event in events {
        node.take(event);
    }
    node
}

/// A node that is up.
fn booted() -> Vec<Event> {
    vec![
        start("initialize"),
        stop("initialize"),
        start("install"),
        stop("install"),
        start("boot"),
        staged(Stage::Booting),
        phase("startEverything"),
        stop("boot"),
        staged(Stage::Running),
    ]
}

fn then(more: &[Event]) -> Node {
    after(&[&booted(), more].concat())
}

const CANCELED: &str = "sequence failed: context canceled";
const REBOOT: &str = "sequence failed: error running phase 14 in shutdown sequence: task 1/1: \
                      failed, unix.Reboot(4321fedc)";

#[test]
fn where_a_node_goes_is_told_by_its_sequences() {
    let table: [(&str, &[Event], Option<Way>); 13] = [
        ("it is up", &[], None),
        ("shutdown", &[start("shutdown")], Some(Way::Off)),
        ("reboot", &[start("reboot")], Some(Way::Reboot)),
        ("upgrade", &[start("upgrade")], Some(Way::Reboot)),
        ("upgrade at the next boot", &[start("stageUpgrade")], Some(Way::Reboot)),
        ("upgrade in maintenance", &[start("maintenanceUpgrade")], Some(Way::Reboot)),
        ("reset", &[start("reset")], Some(Way::Unknown)),
        ("after a failure", &[start("emergencyVolumeCleanup")], Some(Way::Unknown)),
        ("one that this version does not know", &[start("dance")], None),
        ("configuration: no sequence", &[staged(Stage::Running), phase("noise")], None),
        (
            "a reboot that a shutdown took over",
            &[
                start("reboot"),
                stop("reboot"),
                error("reboot", Code::Canceled, CANCELED),
                start("shutdown"),
            ],
            Some(Way::Off),
        ),
        (
            "a reboot that was refused while it shuts down",
            &[start("shutdown"), error("reboot", Code::Locked, "sequence not started: locked")],
            Some(Way::Off),
        ),
        (
            "a shutdown that came to its end",
            &[
                start("shutdown"),
                phase("shutdown"),
                stop("shutdown"),
                error("shutdown", Code::Fatal, REBOOT),
            ],
            Some(Way::Off),
        ),
    ];
    for (what, events, way) in table {
        assert_eq!(then(events).way(), way, "{what}");
    }
}

#[test]
fn what_failed_ends_the_node_in_the_way_that_was_stored_first() {
    for (name, way) in [
        ("shutdown", Way::Off),
        ("reboot", Way::Reboot),
        ("upgrade", Way::Reboot),
        ("reset", Way::Reboot),
        ("boot", Way::Reboot),
    ] {
        let events = [
            start(name),
            phase("umount"),
            stop(name),
            error(name, Code::Fatal, "sequence failed: no way"),
            start("emergencyVolumeCleanup"),
            phase("umount"),
            stop("emergencyVolumeCleanup"),
            error("emergencyVolumeCleanup", Code::Fatal, "sequence failed: deadline exceeded"),
        ];
        let node = then(&events);
        assert_eq!(node.way(), Some(way), "{name}");
        let run = node.run.as_ref().expect("there is one");
        assert_eq!((run.name.as_str(), run.failure()), (name, Some("sequence failed: no way")));
        assert!(!run.has_failed_drain());
        assert!(node.problem().is_some_and(|problem| problem.is_grave));
    }
}

#[test]
fn a_drain_that_failed_is_told_with_what_it_did_to_the_pods() {
    let node = then(&[
        start("shutdown"),
        phase("storeShutdown"),
        phase("drain"),
        stop("shutdown"),
        error("shutdown", Code::Fatal, "sequence failed: node not cordoned"),
    ]);
    assert_eq!(node.way(), Some(Way::Off), "it powers off all the same");
    let problem = node.problem().expect("there is one");
    assert!(problem.reason.contains("all pods are killed"), "{problem:?}");
    assert!(problem.remedy.contains("--force"), "{problem:?}");
    assert!(node.draining().is_none(), "there is nothing left to take over");
    assert!(!node.has_stopped_pods());
}

#[test]
fn a_node_whose_shutdown_was_canceled_stays_up_whatever_its_stage_says() {
    let events = [start("shutdown"), staged(Stage::ShuttingDown), stop("shutdown")];
    assert_eq!(then(&events).way(), Some(Way::Off));
    let node = then(&[&events[..], &[error("shutdown", Code::Canceled, CANCELED)]].concat());
    assert_eq!(node.way(), None);
    assert!(!node.is_settled() && !node.is_busy() && !node.is_shutting_down());
    assert!(node.problem().is_some_and(|problem| problem.remedy.contains("talosctl reboot")));
    let mut again = node;
    again.take(&start("shutdown"));
    assert!(again.is_settled() && again.is_shutting_down());
    assert_eq!(again.problem(), None);
}

#[test]
fn a_refused_sequence_is_told_until_what_refused_it_is_over() {
    let locked = error("reboot", Code::Locked, "sequence not started: locked");
    let mut node = then(&[start("upgrade"), locked]);
    assert!(node.problem().is_some_and(|it| !it.is_grave && it.reason.contains("reboot")));
    node.take(&stop("upgrade"));
    assert_eq!(node.problem(), None);
}

#[test]
fn pods_are_stopped_when_a_phase_after_their_own_has_started() {
    let mut node = then(&[start("shutdown"), phase("storeShutdown"), phase("cleanup")]);
    assert!(!node.has_stopped_pods());
    node.take(&phase("dbus"));
    assert!(node.has_stopped_pods());
    // Of a sequence that failed in it, the phases of what follows say nothing.
    let mut node = then(&[start("shutdown"), phase("cleanup"), stop("shutdown")]);
    node.take(&error("shutdown", Code::Fatal, "sequence failed: cannot stop kubelet"));
    node.take(&start("emergencyVolumeCleanup"));
    node.take(&phase("umount"));
    assert!(!node.has_stopped_pods());
    // Nor do those of a forced reboot, which stops nothing.
    assert!(!then(&[start("reboot"), phase("reboot")]).has_stopped_pods());
}

#[test]
fn the_stage_counts_where_no_sequence_is_left_to_tell() {
    for (stage, way) in [
        (Stage::ShuttingDown, Some(Way::Off)),
        (Stage::Rebooting, Some(Way::Reboot)),
        (Stage::Upgrading, Some(Way::Reboot)),
        (Stage::Resetting, Some(Way::Unknown)),
        (Stage::Booting, None),
        (Stage::Running, None),
        (Stage::Maintenance, None),
        (Stage::Installing, None),
        (Stage::Unknown, None),
    ] {
        assert_eq!(after(&[staged(stage)]).way(), way, "{stage:?}");
        assert_eq!(then(&[staged(stage)]).way(), way, "{stage:?} after the boot");
    }
    assert!(STAGES.iter().enumerate().all(|(number, stage)| *stage as usize == number));
}

/// The ring may begin in the middle of anything.
#[test]
fn the_end_of_a_sequence_that_nobody_saw_start_is_understood() {
    let node = after(&[phase("umount"), error("shutdown", Code::Fatal, "sequence failed: x")]);
    assert_eq!(node.way(), Some(Way::Off));
    let node = after(&[staged(Stage::ShuttingDown), error("shutdown", Code::Canceled, CANCELED)]);
    assert_eq!(node.way(), None);
}

#[test]
fn a_drain_is_seen_while_it_runs() {
    let mut node = then(&[start("shutdown"), phase("storeShutdown")]);
    assert!(node.draining().is_none());
    node.take(&phase("drain"));
    assert_eq!(node.draining().map(|run| run.actor.as_str()), Some("actor"));
    node.take(&phase("cleanup"));
    assert!(node.draining().is_none());
    for sequence in ["upgrade", "reset"] {
        assert!(then(&[start(sequence), phase("drain")]).draining().is_some(), "{sequence}");
    }
}
