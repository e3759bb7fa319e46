//! `off-proof = "session"`: hosts that share one machine, whose addresses answer for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{
    Action, Answer, BootId, Cluster, Coordinator, Event, Host, Line, OffProof, Presence, Reading,
    ReadyBy, Session, Settings, Start, Status, Time, Ups,
};

fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        needs: BTreeSet::new(),
        is_fed: true,
        stop_timeout: Duration::from_secs(10),
        touches_power: false,
        ready: ReadyBy::Agent,
        wake: None,
    }
}

/// Returns what `nfs` makes of an answer to a look at `k8s-1` on battery, and whom it looked at.
fn on_battery(off_proof: OffProof) -> (Status, BTreeSet<String>) {
    let cluster = Cluster {
        name: "demo".to_owned(),
        hash: "hash".to_owned(),
        hosts: vec![host("nfs"), host("k8s-1")],
        ups: Ups { name: "ups".to_owned(), owner: "nfs".into(), returns: None },
        settings: Settings { off_proof, ..Settings::default() },
    };
    let start = Start {
        cluster,
        me: "nfs".into(),
        session: Session { boot: BootId::from("boot".to_owned()), start: 1 },
        version: "0".to_owned(),
        saved: None,
        is_journal_lost: false,
    };
    let (mut coordinator, _first) = Coordinator::recover(start, Time::from_millis(0));
    let reading = Reading {
        line: Line::Battery,
        is_low: false,
        is_forced: false,
        is_calibrating: false,
        charge: Some(90),
        runtime: Some(Duration::from_mins(10)),
        load: None,
        connection: 1,
        foreign_clients: None,
    };
    let step = coordinator.handle(Time::from_millis(1000), Event::ReadingTaken(reading));
    let looked_at = step.actions.into_iter().filter_map(|action| {
        let Action::Watch(watch) = action else { return None };
        Some(watch.alive)
    });
    let looked_at = looked_at.flatten().map(|name| name.to_string()).collect();
    let alive = Event::HostProbed { host: "k8s-1".into(), answer: Answer::Alive };
    let _step = coordinator.handle(Time::from_millis(1100), alive);
    (coordinator.status(), looked_at)
}

#[test]
fn an_answer_of_the_network_is_no_sign_of_life_where_sessions_are_the_proof() {
    let (status, looked_at) = on_battery(OffProof::Session);
    assert_eq!(status.hosts[&"k8s-1".into()].presence, Presence::Unknown);
    assert!(looked_at.is_empty(), "nobody is looked at in vain: {looked_at:?}");
}

#[test]
fn it_is_one_where_the_network_is_the_proof() {
    let (status, looked_at) = on_battery(OffProof::Network);
    assert_eq!(status.hosts[&"k8s-1".into()].presence, Presence::Silent);
    assert_eq!(looked_at, BTreeSet::from(["k8s-1".to_owned()]));
}
