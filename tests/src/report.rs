//! What a person needs to see when a story fails: one timeline, then the end of each log.

use std::path::Path;

use curfew_coordinator::Time;
use serde_json::Value;

use crate::directory::tail;
use crate::http::get;
use crate::machine::Machine;
use crate::timeline::{Timeline, line};

/// Prints the facts of the world and the agents' histories in one order, what agents say now, then
/// all logs.
#[expect(clippy::print_stderr, reason = "the report of a failed test")]
pub fn print(timeline: &Timeline, machines: &[Machine], folder: &Path) {
    let start = timeline.start();
    let mut rows: Vec<(Time, String)> = Vec::new();
    for entry in timeline.entries() {
        rows.push((entry.at, line(start, entry.at, entry.host, &format!("{:?}", entry.fact))));
    }
    for machine in machines {
        for (at, text) in history(machine) {
            rows.push((at, line(start, at, Some(machine.host), &format!("  · {text}"))));
        }
    }
    rows.sort_by_key(|(at, _)| *at);
    eprintln!("\nwhat happened (· is what agents noted), all files in {}:", folder.display());
    for (_, row) in rows {
        eprintln!("{row}");
    }
    for machine in machines.iter().filter(|machine| machine.agent().is_some()) {
        for path in ["/api/v1/status", "/health"] {
            let answer = get(machine.host, path).map_or_else(|it| format!("{it:#}"), |it| it.body);
            eprintln!("\n{} {path}:\n{}", machine.host, answer.trim());
        }
    }
    for machine in machines {
        eprintln!("\n{} agent's log:\n{}", machine.host, tail(machine.log(), LOG_LINES));
    }
    for name in ["upsd.log", "driver.log"] {
        eprintln!("\n{name}:\n{}", tail(&folder.join("nut").join(name), LOG_LINES / 4));
    }
}

/// Returns the notes of an agent with their times.
pub fn history(machine: &Machine) -> Vec<(Time, String)> {
    let text = std::fs::read_to_string(machine.state().join("history.jsonl")).unwrap_or_default();
    let note = |line: &str| {
        let value: Value = serde_json::from_str(line).ok()?;
        let at = value.get("boot_ms")?.as_u64()?;
        Some((Time::from_millis(at), line.to_owned()))
    };
    text.lines().filter_map(note).collect()
}

/// Returns the notes of the kind `event` that an agent has made, in order.
pub fn notes(machine: &Machine, event: &str) -> Vec<Value> {
    let parsed = |(_, text): (Time, String)| serde_json::from_str(&text).ok();
    let is_meant = |note: &Value| note.get("event").and_then(Value::as_str) == Some(event);
    history(machine).into_iter().filter_map(parsed).filter(is_meant).collect()
}

/// Enough to see the last phase of a story.
const LOG_LINES: usize = 60;
