//! A page of metrics, taken apart.

use std::collections::{BTreeMap, BTreeSet};

/// The families and series of a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The types of the families.
    pub(crate) kinds: BTreeMap<String, String>,
    /// The values, by name and sorted labels.
    pub(crate) values: BTreeMap<Series, f64>,
}

/// A name, and labels in the order of their names.
pub(crate) type Series = (String, Vec<(String, String)>);

impl Page {
    pub(crate) fn new(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                let twice = page.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(twice, None, "{name} is there twice");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').expect(line);
                let value = value.parse().expect(line);
                let twice = page.values.insert(taken_apart(series), value);
                assert_eq!(twice, None, "{series} is there twice");
            }
        }
        page
    }

    /// Returns the sets of labels that a family has.
    pub(crate) fn labels(&self, family: &str) -> BTreeSet<Vec<&str>> {
        let series = self.values.keys().filter(|(name, _)| name == family);
        series.map(|(_, labels)| labels.iter().map(|(name, _)| name.as_str()).collect()).collect()
    }
}

fn taken_apart(series: &str) -> Series {
    let Some((name, rest)) = series.split_once('{') else { return (series.to_owned(), Vec::new()) };
    let mut labels = Vec::new();
    let mut rest = rest;
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut is_escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (value, after) = after.split_at(end.expect(series));
        labels.push((label.to_owned(), value.to_owned()));
        rest = after.trim_start_matches(['"', ',']);
    }
    labels.sort();
    (name.to_owned(), labels)
}
