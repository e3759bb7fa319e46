//! Lines of histories, and what is told of them.

use serde_json::{Value, json};

use super::*;
use crate::journal::parse;

const OWNER: &str = include_str!("tests/owner.jsonl");

const OTHER: &str = include_str!("tests/other.jsonl");

/// Folds the lines of a history.
pub(crate) fn past(lines: &str) -> Past {
    let mut past = Past::new("nfs".into());
    for line in lines.lines().filter(|line| !line.is_empty()) {
        past.read(parse(line.as_bytes()));
    }
    past
}

/// The history of an owner with an outage, a shutdown and a recovery.
pub(crate) fn example() -> Past {
    past(OWNER)
}

fn told(past: &Past) -> Value {
    serde_json::to_value(past.document(usize::MAX)).unwrap()
}

fn by_boot(seconds: f64) -> Value {
    json!({"seconds": seconds, "measured_by": "boot"})
}

fn by_date(seconds: f64) -> Value {
    json!({"seconds": seconds, "measured_by": "date"})
}

#[test]
fn the_owner_tells_the_outage_the_shutdown_and_the_recovery() {
    let document = told(&example());
    assert_eq!(document["outages"].as_array().unwrap().len(), 1);
    assert_eq!(
        document["outages"][0],
        json!({
            "began": "1970-01-01T00:03:44Z", "begin": "seen",
            "ended": "1970-01-01T00:03:57Z", "end": "seen",
            "duration": by_boot(13.25), "on_battery_seconds": 13.25, "boots": 1,
            "charge_percent": {"at_begin": 98, "lowest": 40},
            "runtime_left_seconds": {"at_begin": 30.0, "lowest": 18.0},
            "shutdown": 1,
        })
    );
    let shutdown = &document["shutdowns"][0];
    assert_eq!(document["shutdowns"].as_array().unwrap().len(), 1);
    for (key, value) in [
        ("number", json!(1)),
        ("state", json!("ended")),
        ("cause", json!("battery")),
        ("declared", json!("1970-01-01T00:03:51Z")),
        ("declared_by", json!("nfs")),
        ("participants", json!(["k8s-1", "k8s-2", "nfs"])),
        ("time_left_seconds", json!(20.0)),
        ("time_needed_seconds", json!(19.0)),
        ("duration", by_boot(2.75)),
        ("margin_seconds", json!(17.25)),
        ("turn_reason", json!("owner-booted")),
        ("missing", json!(["k8s-2"])),
    ] {
        assert_eq!(shutdown[key], value, "{key}");
    }
    assert_eq!(shutdown["reasons"].as_array().unwrap().len(), 1);
    assert_eq!(shutdown["hosts"]["k8s-2"]["released_after"], by_boot(1.25));
    assert_eq!(shutdown["hosts"]["k8s-1"]["off_after"], by_boot(3.8));
    assert_eq!(shutdown["this_host"]["end"], "hold");
    assert_eq!(shutdown["this_host"]["reached"], "holding");
    let recovery = &document["recoveries"][0];
    assert_eq!(recovery["state"], "ended");
    assert_eq!(recovery["is_conducted_here"], true);
    assert_eq!(recovery["duration"], by_boot(15.5));
    assert_eq!(recovery["gates"]["charge"]["by_limit"], true);
    assert_eq!(recovery["gates"]["mains"]["passed_after"], by_boot(3.0));
    assert_eq!(recovery["hosts"]["k8s-1"]["took"], by_boot(1.5));
    assert_eq!(recovery["hosts"]["k8s-1"]["packets"], 2);
    assert_eq!(recovery["hosts"]["k8s-2"]["passed_by"], "not-ready");
    assert_eq!(recovery["hosts"]["k8s-2"]["ready"], Value::Null);
    assert_eq!(recovery["this_host"]["away"], by_date(5.0));
}

#[test]
fn another_host_tells_what_it_saw_and_measures_by_dates_where_it_was_off() {
    let document = told(&past(OTHER));
    let outage = &document["outages"][0];
    assert_eq!(outage["end"], "found");
    assert_eq!(outage["duration"], by_date(23.0));
    assert_eq!(outage["on_battery_seconds"], 9.5);
    assert_eq!(outage["charge_percent"]["lowest"], Value::Null);
    let shutdown = &document["shutdowns"][0];
    assert_eq!(shutdown["declared_by"], "nfs");
    assert_eq!(shutdown["reasons"][0]["evidence"], "20 s left");
    assert_eq!(shutdown["duration"], by_boot(2.5));
    assert_eq!(shutdown["margin_seconds"], 17.4);
    assert_eq!(shutdown["this_host"]["reached"], "halting");
    let recovery = &document["recoveries"][0];
    assert_eq!(recovery["is_conducted_here"], false);
    assert_eq!(recovery["this_host"]["away"], by_date(14.0));
    assert_eq!(recovery["duration"], by_boot(1.0));
}

#[test]
fn a_file_and_a_restart_in_the_middle_come_to_the_same() {
    let whole = example();
    let lines: Vec<_> = OWNER.lines().collect();
    for cut in 0..lines.len() {
        let mut folded = past(&lines[..cut].join("\n"));
        for line in &lines[cut..] {
            if let Line::Entry(entry) = parse(line.as_bytes()) {
                folded.take(&entry);
            }
        }
        assert_eq!(told(&folded), told(&whole));
        assert_eq!(folded.latest(), whole.latest());
    }
}

#[test]
fn an_agent_that_starts_anew_on_battery_goes_on_in_the_same_outage() {
    let document = told(&past(
        r#"
{"date":100,"boot_ms":1000,"boot":"a","event":"mains-lost"}
{"date":110,"boot_ms":11000,"boot":"a","event":"recovered","number":null}
{"date":110,"boot_ms":11500,"boot":"a","event":"line-seen","supply":"battery"}
{"date":120,"boot_ms":21000,"boot":"a","event":"mains-back"}
"#,
    ));
    assert_eq!(document["outages"].as_array().unwrap().len(), 1);
    assert_eq!(document["outages"][0]["duration"], by_boot(20.0));
    assert_eq!(document["outages"][0]["boots"], 1);
}

#[test]
fn a_boot_that_finds_itself_on_battery_is_in_the_same_outage_and_one_without_word_is_not() {
    let before = r#"{"date":100,"boot_ms":1000,"boot":"a","event":"mains-lost"}
{"date":105,"boot_ms":6000,"boot":"a","event":"warned","text":"x"}
"#;
    let found = r#"{"date":130,"boot_ms":50,"boot":"b","event":"line-seen","supply":"battery"}
{"date":130,"boot_ms":50,"boot":"b","event":"mains-lost"}
{"date":140,"boot_ms":10050,"boot":"b","event":"mains-back"}"#;
    let document = told(&past(&format!("{before}{found}")));
    assert_eq!(document["outages"].as_array().unwrap().len(), 1);
    assert_eq!(document["outages"][0]["boots"], 2);
    assert_eq!(document["outages"][0]["duration"], by_date(40.0));
    assert_eq!(document["outages"][0]["on_battery_seconds"], 15.0);

    // An older agent noted nothing of the mains between the two.
    let older: Vec<_> = found.lines().skip(1).collect();
    let document = told(&past(&format!("{before}{}", older.join("\n"))));
    assert_eq!(document["outages"].as_array().unwrap().len(), 2);
    assert_eq!(document["outages"][1]["end"], "unknown");
    assert_eq!(document["outages"][1]["duration"], Value::Null);
    assert_eq!(document["totals"]["on_battery_seconds"], 15.0);
}

#[test]
fn clocks_that_jump_never_make_a_span_negative() {
    // Within a boot the date does not matter; across boots dates may contradict each other.
    let back = OTHER.replace("\"date\":247", "\"date\":9").replace("\"date\":233", "\"date\":999");
    let document = told(&past(&back));
    assert_eq!(document["outages"][0]["on_battery_seconds"], 9.5);
    assert_eq!(document["outages"][0]["duration"], Value::Null);
    assert_eq!(document["shutdowns"][0]["duration"], by_boot(2.5));
    assert_eq!(document["recoveries"][0]["this_host"]["away"], Value::Null);
    let zero = OTHER.replace("\"date\":224", "\"date\":0");
    let document = told(&past(&zero));
    assert_eq!(document["outages"][0]["began"], Value::Null);
    assert_eq!(document["outages"][0]["duration"], Value::Null);
}

#[test]
fn torn_lines_and_events_of_newer_versions_are_counted_and_passed() {
    let newer = r#"{"date":225,"boot_ms":1500,"boot":"a","event":"sang","song":7}"#;
    let mut lines: Vec<_> = OWNER.trim().lines().collect();
    lines.insert(1, newer);
    lines.insert(5, "{\"date\":23");
    let past = past(&lines.join("\n"));
    assert_eq!(told(&past)["outages"], told(&example())["outages"]);
    assert_eq!((past.lines().unknown, past.lines().unreadable), (1, 1));
    assert_eq!(told(&past)["history"]["since"], "1970-01-01T00:03:44Z");
}

#[test]
fn every_history_without_some_of_its_lines_can_be_told() {
    for lines in [OWNER, OTHER] {
        let lines: Vec<_> = lines.trim().lines().collect();
        for from in 0..lines.len() {
            for to in from..=lines.len() {
                let rest = [&lines[..from], &lines[to..]].concat();
                let past = past(&rest.join("\n"));
                let latest = past.latest();
                let spans =
                    [latest.outage_seconds, latest.shutdown_seconds, latest.recovery_seconds];
                assert!(spans.into_iter().flatten().all(|span| (0.0..100.0).contains(&span)));
                told(&past);
            }
        }
    }
}

#[test]
fn a_shutdown_that_was_lost_with_the_journal_is_not_open_for_ever() {
    let begin: Vec<_> = OWNER.trim().lines().take(4).collect();
    let lost = r#"{"date":240,"boot_ms":9,"boot":"b","event":"journal-lost"}"#;
    let document = told(&past(&format!("{}\n{lost}", begin.join("\n"))));
    assert_eq!(document["shutdowns"][0]["state"], "unknown");
    let again = OWNER.trim().lines().nth(1).unwrap();
    let document = told(&past(&format!("{}\n{lost}\n{again}", begin.join("\n"))));
    assert_eq!(document["shutdowns"].as_array().unwrap().len(), 2, "its number was given anew");
}

#[test]
fn a_second_declaration_takes_the_place_of_the_first_and_of_its_recovery() {
    let until_woken: Vec<_> = OWNER.trim().lines().take(18).collect();
    let second = r#"{"date":250,"boot_ms":6500,"boot":"b","event":"declared","number":2,
        "trigger":"low-battery","cause":"battery","evidence":"OB LB","time_left_seconds":9.0}"#;
    let second = second.replace('\n', "");
    let document = told(&past(&format!("{}\n{second}", until_woken.join("\n"))));
    assert_eq!(document["shutdowns"][0]["number"], 2);
    assert_eq!(document["shutdowns"][1]["state"], "superseded");
    assert_eq!(document["recoveries"][0]["state"], "interrupted");
}

#[test]
fn what_is_kept_is_bounded_and_the_totals_go_on() {
    let mut past = Past::new("nfs".into());
    for number in 0..250_u64 {
        let (lost, back) = (number * 10_000, number * 10_000 + 2000);
        for (at, event) in [(lost, "mains-lost"), (back, "mains-back")] {
            let line = format!(r#"{{"date":1,"boot_ms":{at},"boot":"a","event":"{event}"}}"#);
            past.read(parse(line.as_bytes()));
        }
    }
    let document = told(&past);
    assert_eq!(document["outages"].as_array().unwrap().len(), KEPT);
    assert_eq!(document["totals"]["outages"], 250);
    assert_eq!(document["totals"]["on_battery_seconds"], 500.0);
    let three = serde_json::to_value(past.document(3)).unwrap();
    assert_eq!(three["outages"].as_array().unwrap().len(), 3);
}

#[test]
fn a_host_that_was_owed_outside_of_any_shutdown_is_woken_and_it_is_over() {
    let lines = r#"
{"date":1,"boot_ms":1000,"boot":"a","event":"conducting","number":null}
{"date":2,"boot_ms":2000,"boot":"a","event":"conducting","number":null}
{"date":3,"boot_ms":3000,"boot":"a","event":"woken","host":"k8s-1"}
{"date":4,"boot_ms":4000,"boot":"a","event":"ready","host":"k8s-1"}
{"date":5,"boot_ms":5000,"boot":"a","event":"conducting","number":null}"#;
    let document = told(&past(lines));
    assert_eq!(document["recoveries"].as_array().unwrap().len(), 1, "who finds nobody did nothing");
    assert_eq!(document["recoveries"][0]["state"], "ended");
    assert_eq!(document["recoveries"][0]["duration"], by_boot(3.0));
    assert_eq!(document["totals"]["recoveries"], 1);
}
