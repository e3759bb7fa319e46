//! What the page has of systemd.

use std::sync::Arc;
use std::time::Duration;

use curfew_host::systemd::{State, Unit, Units};
use tokio::time::Instant;

use super::*;
use crate::health::tests::snapshot;
use crate::units::{Blind, Found};

fn report(found: Result<Found, Blind>) -> Report {
    Report { looked: Instant::now(), took: Duration::from_millis(3), found }
}

fn found() -> Found {
    let unit = Unit { name: "ssh.service".to_owned(), state: State::Active, ..Unit::default() };
    Found { units: Units { units: vec![unit], ..Units::default() }, ..Found::default() }
}

/// Returns the value of a series of the page.
fn value(snapshot: &Snapshot, series: &str) -> Option<f64> {
    let collected = collect_units(snapshot).expect("there is systemd");
    collected.samples().find_map(|samples| samples.value(series))
}

#[tokio::test(start_paused = true)]
async fn what_is_known_has_series_until_it_is_too_old() {
    let units = Some(Arc::new(report(Ok(found()))));
    let snapshot = Snapshot { units, ..snapshot() };
    assert_eq!(value(&snapshot, STATE), Some(1.0));
    assert_eq!(value(&snapshot, SUCCESS), Some(1.0));
    assert_eq!(value(&snapshot, DURATION), Some(0.003));
    tokio::time::advance(Duration::from_mins(2)).await;
    assert_eq!((value(&snapshot, STATE), value(&snapshot, SUCCESS)), (None, Some(0.0)));
}

#[test]
fn what_is_unknown_has_none() {
    let blind = Blind { why: "the system bus cannot be reached".to_owned(), remedy: "" };
    let units = Some(Arc::new(report(Err(blind))));
    let snapshot = Snapshot { units, ..snapshot() };
    assert_eq!((value(&snapshot, STATE), value(&snapshot, SUCCESS)), (None, Some(0.0)));
}

#[test]
fn a_host_without_systemd_has_no_such_collector() {
    assert!(collect_units(&snapshot()).is_none());
}

const STATE: &str = "node_systemd_unit_state{name=\"ssh.service\",state=\"active\",type=\"\"}";
const SUCCESS: &str = "node_scrape_collector_success{collector=\"systemd\"}";
const DURATION: &str = "node_scrape_collector_duration_seconds{collector=\"systemd\"}";
