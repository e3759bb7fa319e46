//! The text of a story: parts in the order in which they are read, one host and one change a line.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The parts in their order.
const PARTS: [&str; 10] = [
    "version", "about", "seed", "cluster", "settings", "ups", "network", "hosts", "changes",
    "heals-at",
];
/// What stands first in a line; the rest is in the order of the alphabet.
const FIRST: [&str; 4] = ["at", "change", "host", "name"];

pub(super) fn of(parts: &Map<String, Value>) -> String {
    let parts: Vec<String> = PARTS
        .into_iter()
        .filter_map(|key| Some(format!("  \"{key}\": {}", part(parts.get(key)?))))
        .collect();
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

fn part(value: &Value) -> String {
    let Value::Array(list) = value else { return line(value) };
    let lines: Vec<String> = list.iter().map(|it| format!("    {}", line(it))).collect();
    format!("[\n{}\n  ]", lines.join(",\n"))
}

fn line(value: &Value) -> String {
    match value {
        Value::Object(keys) => {
            let first = FIRST.into_iter().filter_map(|key| keys.get_key_value(key));
            let rest = keys.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
            let mut text = String::new();
            for (key, value) in first.chain(rest) {
                let comma = if text.is_empty() { "" } else { ", " };
                write!(text, "{comma}\"{key}\": {}", line(value)).expect("a text takes any text");
            }
            format!("{{{text}}}")
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(line).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
