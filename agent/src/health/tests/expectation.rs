//! What is said in the middle of a shutdown and of a recovery: what is to come, and nothing wrong.

use curfew_coordinator::{Gate, RecoveryStatus};

use super::*;
use crate::cluster_file::{System, TalosSystem};
use crate::snapshot::{Holding, Place};

fn owe(snapshot: &mut Snapshot, hosts: &[&str]) {
    let owed = Owed { boot: None, number: 7, debt: Debt::Due };
    snapshot.status.owed = hosts.iter().map(|host| ((*host).into(), owed.clone())).collect();
    for name in hosts {
        host(snapshot, name).presence = Presence::Off;
    }
}

#[test]
fn a_recovery_says_what_it_waits_for() {
    let recovery = |gate, turned_to: &[&str]| {
        look("recovery", |snapshot| {
            owe(snapshot, &["k8s-1", "k8s-2"]);
            let turned_to = turned_to.iter().map(|host| (*host).into()).collect();
            snapshot.status.recovery = Some(RecoveryStatus { gate, turned_to });
        })
    };
    for (gate, turned_to, words) in [
        (Some(Gate::Mains), &[][..], "when the mains have been stable for a while: k8s-1, k8s-2"),
        (
            Some(Gate::Mains),
            &[],
            ": nothing until the mains hold for `mains-stable`: on battery nobody",
        ),
        (Some(Gate::Charge), &[], "to be woken when the battery has charge again: k8s-1, k8s-2"),
        (Some(Gate::Charge), &[], ": nothing, each wait has a limit"),
        (Some(Gate::Exports), &[], "to be woken when the exports of this host answer: "),
        (None, &["k8s-1"], "being woken: k8s-1; then k8s-2: nothing, each"),
        (None, &["k8s-1", "k8s-2"], "being woken: k8s-1, k8s-2: nothing"),
        (None, &[], "to be woken when what they need serves: k8s-1, k8s-2"),
    ] {
        let (state, sentence) = recovery(gate, turned_to);
        assert_eq!(state, State::Warn);
        assert!(sentence.contains(words), "{sentence}");
    }
    let (_, sentence) = look("recovery", |snapshot| {
        snapshot.status.host = "k8s-1".into();
        owe(snapshot, &["k8s-2"]);
    });
    assert!(
        sentence.starts_with("to be woken by nfs: k8s-2: nothing while nfs does"),
        "{sentence}"
    );
}

#[test]
fn a_host_that_the_recovery_brings_back_is_awaited_and_the_plan_is_not_whole() {
    let mut snapshot = snapshot();
    owe(&mut snapshot, &["k8s-2"]);
    let gate = Some(Gate::Charge);
    snapshot.status.recovery = Some(RecoveryStatus { gate, turned_to: BTreeSet::new() });
    let health = Health::of(&snapshot);
    assert_eq!(health.state, State::Warn, "{health:#?}");
    let check = health.checks.iter().find(|check| check.name == "peer-k8s-2").unwrap();
    // What warns as a peer is missed by the alerts.
    assert_eq!(check.state, State::Pass);
    assert_eq!(check.reason, "not back yet: the recovery brings it up (heard 0.3 s ago)");
    assert_eq!(health.obstacles.len(), 1, "{:?}", health.obstacles);
    // Nobody brings back what was given up.
    let owed = snapshot.status.owed.get_mut(&HostName::from("k8s-2")).unwrap();
    owed.debt = Debt::GivenUp;
    let check = |health: Health, name: &str| {
        health.checks.into_iter().find(|check| check.name == name).unwrap().state
    };
    assert_eq!(check(Health::of(&snapshot), "peer-k8s-2"), State::Fail);
}

#[test]
fn who_was_back_or_is_owed_nothing_is_awaited_by_nobody() {
    let away = |is_conducting: bool, presence, phase| {
        look("peer-k8s-2", |snapshot| {
            declare(snapshot, Trigger::Computed, Cause::Battery);
            let open = snapshot.status.shutdown.as_mut().unwrap();
            open.standing = Standing::Returning;
            let recovery = RecoveryStatus { gate: None, turned_to: BTreeSet::new() };
            snapshot.status.recovery = is_conducting.then_some(recovery);
            let peer = host(snapshot, "k8s-2");
            (peer.presence, peer.phase, peer.heard) = (presence, phase, None);
        })
    };
    for presence in [Presence::Silent, Presence::Lost, Presence::Off, Presence::Unknown] {
        let (state, sentence) = away(false, presence, Some(Phase::Halting));
        assert_eq!(state, State::Pass, "{sentence}");
        assert_eq!(away(false, presence, None).0, State::Pass);
        for (is_conducting, phase) in
            [(false, Some(Phase::Up)), (true, Some(Phase::Halting)), (true, None)]
        {
            let (state, sentence) = away(is_conducting, presence, phase);
            assert_eq!(state, State::Fail, "{presence:?} {phase:?}: {sentence}");
            assert!(!sentence.contains("brings it up"), "{sentence}");
        }
    }
    let (_, sentence) = away(true, Presence::Off, Some(Phase::Halting));
    assert!(sentence.starts_with("off, and the recovery does not bring it up"), "{sentence}");
}

#[test]
fn what_is_under_way_is_one_line_and_none_while_all_is_calm() {
    let now = |change: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = snapshot();
        change(&mut snapshot);
        under_way(&snapshot)
    };
    assert_eq!(now(&|_| ()), None);
    let outage = |snapshot: &mut Snapshot| {
        declare(snapshot, Trigger::Computed, Cause::Battery);
        let ups = &mut snapshot.status.ups;
        ups.line = Line::Battery;
        ups.on_battery_for = Some(Duration::from_secs(10));
        ups.runtime_left = Some(Duration::from_secs(17));
    };
    let words = "on battery for 10 s, 17 s left, shutdown 7 declared";
    assert_eq!(now(&outage).as_deref(), Some(words));
    let blind = now(&|snapshot| {
        outage(snapshot);
        snapshot.status.ups.age = None;
    });
    assert_eq!(blind.as_deref(), Some("shutdown 7 declared"), "what is old is not now");
    for (gate, turned_to, words) in [
        (Some(Gate::Mains), "", "recovery: waits for stable mains"),
        (Some(Gate::Charge), "", "recovery: waits for charge"),
        (Some(Gate::Exports), "", "recovery: waits for the exports of this host"),
        (None, "", "recovery: waits for what the next host needs"),
        (None, "k8s-2", "recovery: wakes k8s-2"),
    ] {
        let recovery = |snapshot: &mut Snapshot| {
            let turned_to = (!turned_to.is_empty()).then(|| turned_to.into());
            let turned_to = turned_to.into_iter().collect();
            snapshot.status.recovery = Some(RecoveryStatus { gate, turned_to });
        };
        assert_eq!(now(&recovery), None, "nobody is owed");
        let due = now(&|snapshot| {
            owe(snapshot, &["k8s-1", "k8s-2"]);
            recovery(snapshot);
        });
        assert_eq!(due.as_deref(), Some(words));
    }
}

#[test]
fn nothing_is_waited_for_on_the_way_down() {
    let mut snapshot = snapshot();
    declare(&mut snapshot, Trigger::Computed, Cause::Battery);
    owe(&mut snapshot, &["k8s-2"]);
    host(&mut snapshot, "nfs").waiting_for = BTreeSet::from(["k8s-1".into()]);
    let peer = host(&mut snapshot, "k8s-1");
    peer.phase = Some(Phase::Halting);
    peer.presence = Presence::Silent;
    peer.waiting_for = BTreeSet::from(["k8s-2".into()]);
    peer.heard = Some(Duration::from_mins(1));
    let health = Health::of(&snapshot);
    let of = |name: &str| health.checks.iter().find(|check| check.name == name).unwrap();
    assert_eq!(of("peer-k8s-1").state, State::Pass, "{:?}", of("peer-k8s-1"));
    assert!(of("peer-k8s-1").reason.starts_with("halting, as the shutdown wants it"));
    assert!(of("recovery").reason.starts_with("to be woken when the shutdown is over: k8s-2"));
    assert_eq!(health.obstacles, ["shutdown 7 is declared"]);
}

#[test]
fn a_host_that_hangs_in_its_stop_is_no_longer_well_when_its_time_is_over() {
    let hanging = |presence, heard: Option<u64>, running_for| {
        look("peer-k8s-1", |snapshot| {
            declare(snapshot, Trigger::Computed, Cause::Battery);
            snapshot.running_for = Duration::from_secs(running_for);
            let peer = host(snapshot, "k8s-1");
            peer.phase = Some(Phase::Stopping);
            peer.presence = presence;
            peer.heard = heard.map(Duration::from_secs);
            peer.waiting_for = BTreeSet::from(["nfs".into()]);
            passed(snapshot, 1);
        })
    };
    for presence in [Presence::Silent, Presence::Lost, Presence::Unknown] {
        assert_eq!(hanging(presence, Some(178), 3600).0, State::Pass);
        // An agent that started in the middle counts from there.
        assert_eq!(hanging(presence, None, 178).0, State::Pass);
        assert_ne!(hanging(presence, None, 179).0, State::Pass);
    }
    let (state, sentence) = hanging(Presence::Silent, Some(179), 3600);
    assert_eq!(state, State::Warn);
    let reason = "stopping, and takes longer than its 180 s (heard 180 s ago); nfs waits for it: ";
    assert!(sentence.starts_with(reason), "{sentence}");
    assert!(sentence.contains("switch it off by hand; nfs goes on at its latest start"));
    assert_eq!(hanging(Presence::Lost, Some(179), 3600).0, State::Fail);
    assert_eq!(hanging(Presence::Off, Some(179), 3600).0, State::Pass);
}

#[test]
fn a_host_without_a_certificate_is_not_ready_and_says_why() {
    let mut snapshot = snapshot();
    let reason = "cannot read /etc/curfew/pki/ca.pem";
    snapshot.extra.push(Check::fail(CERTIFICATES, reason, "issue it"));
    let obstacles = Health::of(&snapshot).obstacles;
    assert_eq!(obstacles, [format!("certificates: {reason}: issue it")]);
}

#[test]
fn no_remedy_for_a_talos_host_is_debians() {
    let mut snapshot = snapshot();
    snapshot.status.host = "k8s-1".into();
    let system = System::Talos(TalosSystem { socket: "/run/machined.sock".into() });
    let place = |last: u8| Place { system: system.clone(), address: [10, 0, 0, last].into() };
    snapshot.places = Arc::new([("k8s-1".into(), place(11)), ("k8s-2".into(), place(12))].into());
    let peer = host(&mut snapshot, "k8s-2");
    peer.presence = Presence::Lost;
    peer.has_other_file = true;
    snapshot.status.journal_failure = Some("disk full".to_owned());
    let no = || "no".to_owned();
    snapshot.holding = Some(Arc::new(Holding { mounts: Err(no()), pods: Err(no()) }));
    let health = Health::of(&snapshot);
    let wrong = health.checks.iter().filter(|check| check.state != State::Pass);
    let remedies: Vec<_> = wrong.filter_map(|check| check.remedy.as_deref()).collect();
    assert!(remedies.len() >= 5, "{remedies:?}");
    for words in ["systemctl", "journalctl", "ss -l", "`dmesg`", "apt-get"] {
        assert!(!remedies.iter().any(|remedy| remedy.contains(words)), "{words} in {remedies:#?}");
    }
    for words in ["`talosctl -n 10.0.0.12 logs ext-curfew`", "apply the document of k8s-2 anew"] {
        assert!(remedies.iter().any(|remedy| remedy.contains(words)), "{words} in {remedies:#?}");
    }
}
