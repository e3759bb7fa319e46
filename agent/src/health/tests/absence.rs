//! A machine without its agent, and one that does not answer, are not the same thing to mend.

use curfew_coordinator::Absence;

use super::*;
use crate::cluster_file::{System, SystemdSystem, TalosSystem};
use crate::snapshot::Place;

fn peer(absence: Absence, presence: Presence, system: &System) -> (State, String) {
    look("peer-k8s-1", |snapshot| {
        let place = Place { system: system.clone(), address: "10.0.0.11".parse().unwrap() };
        snapshot.places = Arc::new([("k8s-1".into(), place)].into());
        let host = host(snapshot, "k8s-1");
        host.presence = presence;
        host.absence = Some(absence);
        host.heard = Some(Duration::from_mins(5));
    })
}

#[test]
fn a_machine_without_its_agent_fails_and_says_where_to_look_on_its_system() {
    let talos = System::Talos(TalosSystem { socket: "/run/machined.sock".into() });
    let systemd = System::Systemd(SystemdSystem { run: "/run/curfew".into() });
    let presences = [Presence::Silent, Presence::Lost, Presence::Off, Presence::Unknown];
    for presence in presences {
        for (system, words) in [
            (&talos, "`talosctl -n 10.0.0.11 get extensions` must list curfew"),
            (&talos, "`talosctl -n 10.0.0.11 service ext-curfew`"),
            (&talos, "docs/talos.md"),
            (&systemd, "on k8s-1: `systemctl status curfew`"),
            (&System::DryRun, "start curfew on k8s-1"),
        ] {
            let (state, sentence) = peer(Absence::WithoutAgent, presence, system);
            assert_eq!(state, State::Fail);
            assert!(sentence.starts_with("its machine runs without its agent"), "{sentence}");
            assert!(sentence.contains(words), "{sentence}");
        }
    }
}

#[test]
fn a_machine_that_does_not_answer_is_off_or_cut_off() {
    for presence in [Presence::Silent, Presence::Lost, Presence::Unknown] {
        let (state, sentence) = peer(Absence::NoMachine, presence, &System::DryRun);
        assert_eq!(state, State::Fail);
        let reason = "its machine does not answer (heard 300 s ago): it is off, or cut off";
        assert!(sentence.starts_with(reason), "{sentence}");
    }
    let (_, sentence) = peer(Absence::NoMachine, Presence::Off, &System::DryRun);
    assert!(sentence.starts_with("off, though no shutdown is open"), "{sentence}");
}

#[test]
fn a_machine_that_came_back_without_its_agent_needs_no_waking() {
    let recovery = |absence| {
        look("recovery", |snapshot| {
            let owed = Owed { boot: None, number: 1, debt: Debt::GivenUp };
            snapshot.status.owed = [("k8s-1".into(), owed)].into();
            host(snapshot, "k8s-1").absence = absence;
        })
    };
    assert_eq!(recovery(Some(Absence::NoMachine)).0, State::Fail);
    assert_eq!(recovery(None).0, State::Fail);
    assert_eq!(recovery(Some(Absence::WithoutAgent)).0, State::Pass, "the check of the peer fails");
}

#[test]
fn a_machine_without_its_agent_is_an_obstacle_also_right_after_the_start() {
    let mut snapshot = snapshot();
    snapshot.running_for = Duration::from_secs(5);
    host(&mut snapshot, "k8s-1").absence = Some(Absence::WithoutAgent);
    let health = Health::of(&snapshot);
    assert!(health.obstacles.iter().any(|why| why.contains("without its agent")), "{health:?}");
}
