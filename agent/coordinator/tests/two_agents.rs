//! Two agents that speak as one host: an operator's mistake, from which the cluster recovers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{
    BootId, Cluster, Coordinator, Event, Host, OffProof, Presence, ReadyBy, Session, Settings,
    Start, Time, Ups,
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

fn agent(me: &str, boot: &str) -> Coordinator {
    let settings = Settings { off_proof: OffProof::Session, ..Settings::default() };
    let cluster = Cluster {
        name: "demo".to_owned(),
        hash: "hash".to_owned(),
        hosts: vec![host("nfs"), host("k8s-1")],
        ups: Ups { name: "ups".to_owned(), owner: "nfs".into(), returns: None },
        settings,
    };
    let start = Start {
        cluster,
        me: me.into(),
        session: Session { boot: BootId::from(boot.to_owned()), start: 1 },
        version: "0".to_owned(),
        saved: None,
        is_journal_lost: false,
    };
    Coordinator::recover(start, at(0)).0
}

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn tell(from: &mut Coordinator, to: &mut Coordinator, seconds: u64) {
    let message = Arc::new(from.message(at(seconds)));
    let _step = to.handle(at(seconds), Event::PeerHeard(message));
}

#[test]
fn the_one_that_goes_on_is_heard_again_when_the_newer_falls_silent_and_never_counts_as_off() {
    let mut nfs = agent("nfs", "boot-nfs");
    let (mut real, mut double) = (agent("k8s-1", "real"), agent("k8s-1", "double"));
    let boot = |nfs: &Coordinator| nfs.status().hosts[&"k8s-1".into()].boot.clone();

    tell(&mut real, &mut nfs, 1);
    for seconds in 2..5 {
        tell(&mut double, &mut nfs, seconds);
        tell(&mut real, &mut nfs, seconds);
        assert_eq!(boot(&nfs), Some(BootId::from("double".to_owned())), "the newer boot counts");
    }
    let warnings = nfs.status().warnings;
    assert!(warnings.iter().any(|it| it.contains("two agents speak as k8s-1")), "{warnings:?}");

    for seconds in 5..30 {
        tell(&mut real, &mut nfs, seconds);
        let presence = nfs.status().hosts[&"k8s-1".into()].presence;
        assert_eq!(presence, Presence::Connected, "second {seconds}");
    }
    assert_eq!(boot(&nfs), Some(BootId::from("real".to_owned())));
}
