//! `docs/configuration.md` knows the same keys, bounds and defaults as the parser.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::super::reader::Report;
use super::super::section;

const MANUAL: &str = include_str!("../../../../docs/configuration.md");

/// One table of each kind, so that the parser asks for every key that it knows.
const EVERY_TABLE: &str = "[[ups]]\n[[host]]\n";

/// The keys of the manual with the rest of their rows, by the title of their section.
fn rows() -> BTreeMap<(String, String), String> {
    let mut section = String::new();
    let mut rows = BTreeMap::new();
    for line in MANUAL.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches('`').to_owned();
        } else if let Some((key, rest)) = line.strip_prefix("| `").and_then(|l| l.split_once("` |"))
        {
            let again = rows.insert((section.clone(), key.to_owned()), rest.to_owned());
            assert_eq!(again, None, "`{key}` stands twice in {section}");
        }
    }
    rows
}

#[test]
fn the_manual_has_the_keys_of_the_parser_with_their_bounds_and_defaults() {
    let (table, errors) = DeTable::parse_recoverable(EVERY_TABLE);
    assert!(errors.is_empty());
    let report = Report::new(EVERY_TABLE, true);
    let _draft = section::read(table.get_ref(), &report);
    let known = report.known();
    let rows = rows();
    let documented: Vec<(&str, &str)> =
        rows.keys().map(|(title, key)| (title.as_str(), key.as_str())).collect();
    let parsed: Vec<(&str, &str)> = known.keys().copied().collect();
    assert_eq!(documented, parsed);
    for ((title, key), facts) in known {
        let row = rows.get(&(title.to_owned(), key.to_owned())).expect("compared above");
        assert!(row.contains(&facts), "{title} {key}: no `{facts}` in {row}");
    }
}
