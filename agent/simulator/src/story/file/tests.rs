//! What stands in a story file, and what is refused.

use std::error::Error;

use super::*;
use crate::Change;

const SMALL: &str = r#"{
  "version": 1,
  "seed": 7,
  "settings": {"built-in": {"confirm": "5s"}, "reserve": "10s"},
  "ups": {"offers-return": true, "runtime": "3m20s"},
  "hosts": [
    {"name": "nfs", "ready": "exports", "truth": {"stops-in": "12.5s"}},
    {"name": "k8s-1", "measured": ["19s", "21.5s"], "needs": ["nfs"], "wake": "none"}
  ],
  "changes": [
    {"at": "40s", "change": "mains-fail"},
    {"at": "1m2s", "change": "agent-killed", "host": "k8s-1", "at-line": "now", "back-after": "3s"}
  ],
  "heals-at": "5m"
}
"#;

fn refused(from: &str, to: &str) -> String {
    let text = SMALL.replacen(from, to, 1);
    assert_ne!(text, SMALL, "the story has no `{from}`");
    let error = Story::from_text(&text).expect_err(to);
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn any_story_is_read_as_it_was_written() {
    for seed in 0..1_000 {
        let story = Story::random(seed);
        let text = story.to_text();
        let read = Story::from_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read, story, "seed {seed}:\n{text}");
        assert_eq!(read.to_text(), text);
    }
}

#[test]
fn a_story_tells_only_what_is_not_the_usual() {
    let story = Story::from_text(SMALL).expect("it is one");
    assert_eq!(story.to_text(), SMALL);
    assert_eq!(story.ups.runtime, 200_000);
    assert_eq!(story.cluster.settings.mains_stable.as_secs(), 60);
    assert_eq!(story.cluster.ups.owner, "nfs".into());
    assert_eq!(story.changes.last().map(|dated| dated.at), Some(62_000));
    assert!(matches!(
        story.changes.last().map(|dated| &dated.change),
        Some(Change::AgentKilled { back_after: Some(3_000), .. })
    ));
}

#[test]
fn a_key_that_no_story_has_is_named_with_its_place() {
    let error = refused("stops-in", "stop-in");
    assert!(error.starts_with("hosts[0].truth has the key `stop-in`"), "{error}");
    assert!(error.contains("`stops-in`"), "{error}");
    let error =
        refused("\"change\": \"mains-fail\"", "\"change\": \"mains-fail\", \"host\": \"nfs\"");
    assert!(error.starts_with("changes[0] has the key `host`"), "{error}");
    let error = refused("\"seed\": 7", "\"sed\": 7");
    assert!(error.starts_with("the story has the key `sed`"), "{error}");
    let error = refused("\"confirm\"", "\"confirms\"");
    assert!(error.starts_with("settings.built-in has the key `confirms`"), "{error}");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let cases = [
        ("\"version\": 1", "\"version\": 2", "the story has version 2, and this program reads"),
        ("\"version\": 1,", "", "the story has version none, and this program reads version 1"),
        ("\"40s\"", "40", "changes[0] cannot be read: correct what is said of it: invalid type"),
        ("\"40s\"", "\"soon\"", "changes[0] cannot be read: correct what is said of it: `soon` is"),
        ("mains-fail", "rain-of-frogs", "changes[0] cannot be read: correct what is said of it"),
        (
            ", \"host\": \"k8s-1\"",
            "",
            "changes[1] cannot be read: correct what is said of it: miss",
        ),
        ("\"host\": \"k8s-1\"", "\"host\": \"k8s-9\"", "changes[1] is about `k8s-9`, which is"),
        ("[\"nfs\"]", "[\"nas\"]", "`k8s-1` needs `nas`, which is none of the hosts"),
        ("\"nfs\",", "\"nfs\", \"needs\": [\"k8s-1\"],", "k8s-1, nfs need each other in a circle"),
        ("\"name\": \"nfs\"", "\"name\": \"k8s-1\"", "two hosts have one name"),
        ("\"exports\"", "\"magic\"", "hosts[0]: `ready` is `magic`, which proves nothing"),
        ("\"none\"", "\"aa:bb\"", "hosts[1]: `wake` is `aa:bb`, which reaches nobody"),
        (",\n  \"heals-at\": \"5m\"", "", "`heals-at` is missing: write when the weather ends"),
        ("\"5m\"", "\"5\"", "heals-at: `5` is no span of time"),
        ("\"3m20s\"", "\"3m20s\", \"low-percent\": 100000000001", "`low-percent` is 100000000001"),
        ("\"seed\": 7", "\"cluster\": {\"owner\": \"nas\"}", "`nas` owns the UPS and is none of"),
        ("\"version\"", "version", "the story is no JSON: correct it at line 2, column 3"),
    ];
    for (from, to, expected) in cases {
        let error = refused(from, to);
        assert!(error.starts_with(expected), "{to}: {error}");
    }
    let error = Story::from_text("[]").expect_err("a list is none").to_string();
    assert!(error.starts_with("the story is no object"), "{error}");
}
