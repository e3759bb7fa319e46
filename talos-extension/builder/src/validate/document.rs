//! Looking at a YAML document field by field, and saying where something is wrong.

use crate::finding::Finding;
use crate::tree::Tree;
use crate::yaml::{self, Node, Value};

/// A document that is being looked at, and what was found in it.
pub(super) struct Document {
    place: String,
    pub(super) findings: Vec<Finding>,
}

impl Document {
    /// Parses the first document of the file at a path; without one there is a finding.
    pub(super) fn open(tree: &Tree, path: &str) -> (Self, Option<Node>) {
        let mut document = Self { place: path.to_owned(), findings: Vec::new() };
        let text = tree.file(path).map(String::from_utf8_lossy).unwrap_or_default();
        let first = match yaml::parse(&text) {
            Ok(documents) => {
                let mut documents = documents.into_iter();
                let first = documents.next();
                if let Some(second) = documents.next() {
                    document.find(second.line, "a second document", "Talos reads the first alone");
                }
                first
            }
            Err(failed) => {
                document.findings.push(Finding::new(
                    path,
                    format!("it is no YAML that Talos takes ({failed})"),
                    "correct that line",
                ));
                return (document, None);
            }
        };
        if !matches!(first, Some(Node { value: Value::Map(_), .. })) {
            document.find(1, "it has no fields", "write it as docs/talos.md says");
            return (document, None);
        }
        (document, first)
    }

    /// Adds a finding.
    pub(super) fn find(&mut self, line: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding::new(format!("{}:{line}", self.place), what, remedy));
    }

    /// Looks for keys that Talos does not know, and returns whether the node has keys at all.
    pub(super) fn fields(&mut self, node: &Node, known: &[&str]) -> bool {
        let Value::Map(pairs) = &node.value else {
            let what = "this is no set of fields";
            self.find(node.line, what, format!("write {}", known.join(", ")));
            return false;
        };
        for (key, value) in pairs {
            if !known.contains(&key.as_str()) {
                let what = format!("Talos knows no field {key}, and ignores it");
                let remedy = format!("remove it, or write one of {}", known.join(", "));
                self.find(value.line, what, remedy);
            }
        }
        true
    }

    /// Returns the text of a field that must be there and not be empty.
    pub(super) fn required<'a>(&mut self, node: &'a Node, key: &str) -> Option<&'a str> {
        let text = node.get(key).and_then(Node::text).filter(|text| !text.trim().is_empty());
        if text.is_none() {
            let line = node.get(key).map_or(node.line, |it| it.line);
            self.find(line, format!("{key} is missing or empty"), "give it a text");
        }
        text
    }

    /// Returns the items of a list of texts that may be missing, each with its line.
    pub(super) fn texts<'a>(&mut self, node: &'a Node, key: &str) -> Vec<(usize, &'a str)> {
        let Some(list) = node.get(key) else { return Vec::new() };
        let texts: Option<Vec<_>> =
            list.items().iter().map(|it| it.text().map(|text| (it.line, text))).collect();
        let is_list = matches!(list.value, Value::List(_));
        texts.filter(|_| is_list).unwrap_or_else(|| {
            self.find(list.line, format!("{key} is no list of texts"), "write one text an item");
            Vec::new()
        })
    }

    /// Returns a truth value that may be missing; Talos takes no other words.
    pub(super) fn flag(&mut self, node: &Node, key: &str) -> Option<bool> {
        let value = node.get(key)?;
        match value.text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                self.find(value.line, format!("{key} is no truth value"), "write true or false");
                None
            }
        }
    }
}
