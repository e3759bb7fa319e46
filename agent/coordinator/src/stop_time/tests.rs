//! The history of stop times: what counts, and the laws of taking up what peers tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{StopHistory, StopTime, Told};
use crate::{Cluster, Date, Host, HostName, ReadyBy, Settings, Ups};

fn stop(date: u64, seconds: u64) -> StopTime {
    StopTime { date: Date(date), took: Duration::from_secs(seconds) }
}

fn cluster() -> Cluster {
    let host = |name: &str| Host {
        name: name.into(),
        needs: BTreeSet::new(),
        is_fed: true,
        stop_timeout: Duration::from_mins(3),
        touches_power: true,
        ready: ReadyBy::Agent,
        wake: None,
    };
    Cluster {
        name: "home".to_owned(),
        hash: String::new(),
        hosts: vec![host("k8s-1"), host("nfs")],
        ups: Ups { name: "eaton".to_owned(), owner: "nfs".into(), returns: None },
        settings: Settings::default(),
    }
}

fn history(stops: &[StopTime]) -> StopHistory {
    let mut history = StopHistory::default();
    for stop in stops {
        history.record("k8s-1".into(), *stop);
    }
    history
}

fn counting(stops: &[StopTime]) -> Option<Duration> {
    history(stops).counting(&cluster()).get(&"k8s-1".into()).copied()
}

#[test]
fn the_largest_of_the_last_five_counts() {
    let stops = [stop(1, 90), stop(2, 20), stop(3, 30), stop(4, 10), stop(5, 10)];
    assert_eq!(counting(&stops), Some(Duration::from_secs(90)));
}

#[test]
fn the_sixth_pushes_the_oldest_out_whatever_came_first() {
    let stops = [stop(2, 20), stop(3, 30), stop(6, 10), stop(4, 10), stop(5, 10), stop(1, 90)];
    assert_eq!(counting(&stops), Some(Duration::from_secs(30)));
}

#[test]
fn a_stop_time_counts_for_at_most_twice_the_timeout() {
    assert_eq!(counting(&[stop(1, 5000)]), Some(Duration::from_mins(6)));
}

#[test]
fn a_host_without_any_is_absent_and_so_is_a_stranger() {
    let mut history = history(&[]);
    history.record("stranger".into(), stop(1, 10));
    assert_eq!(history.counting(&cluster()), BTreeMap::new());
}

#[test]
fn it_survives_the_journal_and_never_grows_there() {
    let mut told = history(&[stop(1, 10), stop(2, 20)]).told().clone();
    let text = serde_json::to_string(&StopHistory::from(told.clone())).unwrap();
    assert_eq!(*serde_json::from_str::<StopHistory>(&text).unwrap().told(), told);
    told.insert("nfs".into(), (0..9).map(|date| stop(date, 1)).collect());
    let text = serde_json::to_string(&told).unwrap();
    let kept = serde_json::from_str::<StopHistory>(&text).unwrap().told().clone();
    assert_eq!(kept[&HostName::from("nfs")], (4..9).map(|date| stop(date, 1)).collect::<Vec<_>>());
}

fn any_told() -> impl Strategy<Value = Told> {
    let stops = vec((0..8_u64, 0..3_u64).prop_map(|(date, took)| stop(date, took)), 0..8);
    btree_map("[a-c]".prop_map(HostName::from), stops, 0..3)
}

fn merged(parts: &[&Told]) -> StopHistory {
    let mut history = StopHistory::default();
    for part in parts {
        history.merge(part);
    }
    history
}

proptest! {
    #[test]
    fn merging_knows_no_order(a in any_told(), b in any_told(), c in any_told()) {
        prop_assert_eq!(merged(&[&a, &b]), merged(&[&b, &a]));
        let b_and_c = merged(&[&b, &c]).told().clone();
        prop_assert_eq!(merged(&[&a, &b, &c]), merged(&[&a, &b_and_c]));
    }

    #[test]
    fn only_news_changes_it(a in any_told(), b in any_told()) {
        let before = merged(&[&a]);
        let mut after = before.clone();
        let is_news = after.merge(&b);
        prop_assert_eq!(is_news, after != before);
        prop_assert!(!after.merge(&b));
        prop_assert!(!after.merge(after.clone().told()));
    }
}
