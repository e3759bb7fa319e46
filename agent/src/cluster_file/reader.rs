//! The walk over one table of the file: takes keys by type and reports what is wrong with them.
//!
//! A [`Section`] knows the keys that it was asked for; [`Section::finish`] refuses all others. A
//! mistake is reported where it stands, and the walk goes on with what the caller puts instead.

use std::cell::RefCell;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Place, Severity};
use super::has_errors;
use super::value::ValueError;

/// A value as it stands in the file.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// What can be read from a value of the file.
pub(super) trait Value: Sized {
    /// A value as one would type it.
    const EXAMPLE: &'static str;

    /// Reads the value, or says why not.
    fn read(value: &DeValue<'_>) -> Result<Self, ValueError>;

    /// Writes the value as one would type it.
    fn show(&self) -> String {
        Self::EXAMPLE.to_owned()
    }
}

/// A key with a default and bounds, both included.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    pub(super) name: &'static str,
    pub(super) default: T,
    pub(super) min: T,
    pub(super) max: T,
}

/// All that was found, and all keys that were asked for.
#[derive(Debug)]
pub(super) struct Report<'a> {
    text: &'a str,
    /// Whether the text was TOML; if not, what is missing may only have been lost.
    is_whole: bool,
    findings: RefCell<Vec<Finding>>,
    known: RefCell<BTreeMap<(&'static str, &'static str), String>>,
}

/// Where a table stands in the file, and its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    offset: usize,
    table: Option<&'a DeTable<'a>>,
}

/// One table of the file while it is read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    title: &'static str,
    spot: Spot<'a>,
    asked: Vec<&'static str>,
    report: &'a Report<'a>,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str, is_whole: bool) -> Self {
        Self { text, is_whole, findings: RefCell::default(), known: RefCell::default() }
    }

    pub(super) fn error(&self, at: usize, message: String, remedy: String) {
        self.add(Severity::Error, at, message, remedy);
    }

    pub(super) fn warning(&self, at: usize, message: String, remedy: String) {
        self.add(Severity::Warning, at, message, remedy);
    }

    pub(super) fn note(&self, at: usize, message: String, remedy: String) {
        self.add(Severity::Note, at, message, remedy);
    }

    pub(super) fn has_errors(&self) -> bool {
        has_errors(&self.findings.borrow())
    }

    /// Returns the findings in the order of the file.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|finding| (finding.place, finding.severity));
        findings
    }

    /// Returns each key that was asked for, by section, with its bounds and default if it has them.
    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeMap<(&'static str, &'static str), String> {
        self.known.borrow().clone()
    }

    fn add(&self, severity: Severity, at: usize, message: String, remedy: String) {
        let place = Some(Place::of(self.text, at));
        let mut findings = self.findings.borrow_mut();
        let line = |place: Option<Place>| place.map(|place| place.line);
        // What is read from a line that is not TOML is a guess of the parser.
        if !self.is_whole && findings.iter().any(|known| line(known.place) == line(place)) {
            return;
        }
        findings.push(Finding { severity, place, message, remedy });
    }
}

impl<'a> Spot<'a> {
    /// Returns the spot of the whole file.
    pub(super) fn root(table: &'a DeTable<'a>) -> Self {
        Self { offset: 0, table: Some(table) }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Returns where the table begins.
    pub(super) fn at(&self) -> usize {
        self.offset
    }

    /// Returns where a value stands, or the table if it lacks the key.
    pub(super) fn at_key(&self, key: &str) -> usize {
        self.node(key).map_or(self.offset, |node| node.span().start)
    }

    /// Returns where an element of an array stands.
    pub(super) fn at_item(&self, key: &str, index: usize) -> usize {
        let items = self.node(key).and_then(|node| node.get_ref().as_array());
        let item = items.and_then(|items| items.get(index));
        item.map_or_else(|| self.at_key(key), |item| item.span().start)
    }

    /// Returns the string that a key holds.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.node(key).and_then(|node| node.get_ref().as_str())
    }

    /// Returns the place of a table in this one, or this one's if it lacks it.
    pub(super) fn table(&self, key: &str) -> Self {
        let table = self.node(key).and_then(|node| node.get_ref().as_table());
        Self { offset: self.at_key(key), table }
    }

    pub(super) fn is_empty_array(&self, key: &str) -> bool {
        let items = self.node(key).and_then(|node| node.get_ref().as_array());
        items.is_some_and(|items| items.is_empty())
    }

    fn node(&self, key: &str) -> Option<&'a Node<'a>> {
        self.table.and_then(|table| table.get(key))
    }
}

impl<'a> Section<'a> {
    pub(super) fn new(title: &'static str, spot: Spot<'a>, report: &'a Report<'a>) -> Self {
        Self { title, spot, asked: Vec::new(), report }
    }

    pub(super) fn spot(&self) -> Spot<'a> {
        self.spot
    }

    /// Reads a key that may be absent.
    pub(super) fn optional<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let node = self.ask(key, String::new())?;
        self.value(key, node)
    }

    /// Reads a key that must not be absent.
    pub(super) fn required<T: Value>(&mut self, key: &'static str) -> Option<T> {
        if !self.spot.has(key) {
            self.missing(key, &format!("write {key} = {}", T::EXAMPLE));
        }
        self.optional(key)
    }

    /// Reads a key with bounds whose absence means something: none if it is absent or wrong.
    pub(super) fn within<T: Copy + PartialOrd + Value>(&mut self, key: &Bounded<T>) -> Option<T> {
        if self.spot.has(key.name) {
            return Some(self.bounded(key));
        }
        self.ask(key.name, format!("{} to {} | –", key.min.show(), key.max.show()));
        None
    }

    /// Reads a key with bounds; its default stands for it where it is absent or wrong.
    pub(super) fn bounded<T: Copy + PartialOrd + Value>(&mut self, key: &Bounded<T>) -> T {
        let (min, max, default) = (key.min.show(), key.max.show(), key.default.show());
        let facts = format!("{min} to {max} | {default}");
        let Some(node) = self.ask(key.name, facts) else { return key.default };
        let Some(value) = self.value::<T>(key.name, node) else { return key.default };
        if value < key.min || value > key.max {
            let (min, max) = (key.min.show(), key.max.show());
            let remedy = format!("write {} to {}, such as {}", min, max, key.default.show());
            let message = format!("`{}` in {} is out of bounds", key.name, self.title);
            self.report.error(node.span().start, message, remedy);
            return key.default;
        }
        value
    }

    /// Reads an array; elements that are wrong are reported and left out.
    pub(super) fn list<T: Value>(&mut self, key: &'static str) -> Vec<T> {
        let Some(node) = self.ask(key, String::new()) else { return Vec::new() };
        let Some(items) = node.get_ref().as_array() else {
            let problem = format!("it is {}, not an array", kind(node.get_ref()));
            self.wrong(key, node, &problem, &format!("[{}]", T::EXAMPLE));
            return Vec::new();
        };
        let read = |item: &Node<'_>| {
            let read = T::read(item.get_ref());
            let example = format!("[{}]", T::EXAMPLE);
            read.map_err(|error| self.wrong(key, item, &error.to_string(), &example)).ok()
        };
        items.iter().filter_map(read).collect()
    }

    /// Opens a table inside this one; an absent one is empty.
    pub(super) fn table(&mut self, key: &'static str, title: &'static str) -> Self {
        let spot = match self.ask(key, String::new()) {
            Some(node) => self.spot_of(key, node, title),
            None => Spot { offset: self.spot.offset, table: None },
        };
        Self::new(title, spot, self.report)
    }

    /// Opens each table of an array of tables.
    pub(super) fn tables(&mut self, key: &'static str, title: &'static str) -> Vec<Self> {
        let Some(node) = self.ask(key, String::new()) else { return Vec::new() };
        let Some(items) = node.get_ref().as_array() else {
            self.wrong_header(key, node, title);
            return Vec::new();
        };
        let spots = items.iter().map(|item| self.spot_of(key, item, title));
        spots.map(|spot| Self::new(title, spot, self.report)).collect()
    }

    /// Reports that a key is missing, unless it may have been lost in what is no TOML.
    pub(super) fn missing(&self, key: &str, remedy: &str) {
        if self.report.is_whole {
            let message = format!("`{key}` is missing in {}", self.title);
            self.report.error(self.spot.offset, message, remedy.to_owned());
        }
    }

    /// Refuses the keys that were not asked for, unless a broken header may have put them here.
    pub(super) fn finish(self) {
        let Some(table) = self.spot.table.filter(|_| self.report.is_whole) else { return };
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let message = format!("`{}` is no key of {}", name.escape_debug(), self.title);
            let remedy = match nearest(name, &self.asked) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("remove it; known here: {}", self.asked.join(", ")),
            };
            self.report.error(key.span().start, message, remedy);
        }
    }

    /// Reads a value that was found; reports it if it is wrong.
    fn value<T: Value>(&self, key: &str, node: &Node<'_>) -> Option<T> {
        let read = T::read(node.get_ref());
        read.map_err(|error| self.wrong(key, node, &error.to_string(), T::EXAMPLE)).ok()
    }

    /// Looks a key up and remembers that it is known.
    fn ask(&mut self, key: &'static str, facts: String) -> Option<&'a Node<'a>> {
        self.asked.push(key);
        self.report.known.borrow_mut().insert((self.title, key), facts);
        self.spot.node(key)
    }

    fn wrong(&self, key: &str, node: &Node<'_>, problem: &str, example: &str) {
        let message = format!("`{key}` in {} is wrong: {problem}", self.title);
        self.report.error(node.span().start, message, format!("write {key} = {example}"));
    }

    fn wrong_header(&self, key: &str, node: &Node<'_>, title: &str) {
        let message = format!("`{key}` is {}, not a table", kind(node.get_ref()));
        self.report.error(
            node.span().start,
            message,
            format!("write {title} on a line of its own"),
        );
    }

    fn spot_of(&self, key: &str, node: &'a Node<'a>, title: &str) -> Spot<'a> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.wrong_header(key, node, title);
        }
        Spot { offset: node.span().start, table }
    }
}

/// Returns what kind of value it is, for messages.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Returns the known word that was probably meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    let (distance, candidate) = distances.min()?;
    (distance <= 1 + candidate.len() / 4).then_some(candidate)
}

/// Counts the letters to insert, delete or replace to make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (count, letter) in from.chars().enumerate() {
        let mut diagonal = count;
        let mut left = count + 1;
        let mut next = vec![left];
        for (other, above) in to.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(letter != other);
            left = replaced.min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
