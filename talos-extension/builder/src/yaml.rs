//! YAML documents with the line of each node, as strict as Talos' own reader.
//!
//! Scalars stay text, since Talos reads them by the type of the field that they are for. Anchors,
//! aliases and tags are refused: nothing that ships an extension needs them.

use saphyr_parser::{Event, Parser, ScanError, Span, StrInput};

/// How deep collections may be in one another.
const DEPTH_MAX: usize = 32;

/// A node of a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Its line, counted from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// A text, number, truth value, or nothing at all (`""`).
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in their order; no key is there twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Returns the value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(pairs) = &self.value else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Returns the text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the items of a list; none if it is no list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar(_) | Value::Map(_) => &[],
        }
    }
}

/// Why a text is no YAML that Talos would take.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// It is not well-formed.
    #[error("line {}: {}", .0.marker().line(), .0.info())]
    Scan(#[from] ScanError),
    /// A key is there twice.
    #[error("line {line}: the key {key:?} is there twice")]
    Duplicate {
        /// The line of the second.
        line: usize,
        /// The key.
        key: String,
    },
    /// It uses what an extension has no use for.
    #[error("line {line}: {what} is not for this file")]
    Refuse {
        /// Where.
        line: usize,
        /// What.
        what: &'static str,
    },
}

/// Parses all documents of a text; an empty one has none.
pub fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut loader = Loader { events: Parser::new_from_str(text) };
    let mut documents = Vec::new();
    while let Some((event, _)) = loader.next()? {
        if matches!(event, Event::DocumentStart(_))
            && let Some(first) = loader.next()?
        {
            documents.push(loader.node(first, DEPTH_MAX)?);
        }
    }
    Ok(documents)
}

struct Loader<'a> {
    events: Parser<'a, StrInput<'a>>,
}

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, ScanError> {
        self.events.next().transpose()
    }

    /// Reads the node that begins with an event.
    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, YamlError> {
        let line = span.start.line();
        let refuse = |what| Err(YamlError::Refuse { line, what });
        let value = match event {
            Event::Scalar(_, _, anchor, ref tag)
            | Event::SequenceStart(anchor, ref tag)
            | Event::MappingStart(anchor, ref tag)
                if anchor != 0 || tag.is_some() =>
            {
                return refuse("an anchor or a tag");
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if depth == 0 => {
                return refuse("so deep a nesting");
            }
            Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(..) => Value::List(self.items(depth - 1)?),
            Event::MappingStart(..) => Value::Map(self.pairs(depth - 1)?),
            Event::Alias(_) => return refuse("an alias"),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Value::Scalar(String::new()),
        };
        Ok(Node { line, value })
    }

    /// Reads the rest of a list.
    fn items(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        while let Some(next) = self.next()? {
            if matches!(next.0, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(next, depth)?);
        }
        Ok(items)
    }

    /// Reads the rest of a map.
    fn pairs(&mut self, depth: usize) -> Result<Vec<(String, Node)>, YamlError> {
        let mut pairs: Vec<(String, Node)> = Vec::new();
        while let Some(next) = self.next()? {
            if matches!(next.0, Event::MappingEnd) {
                break;
            }
            let key = self.node(next, depth)?;
            let line = key.line;
            let Value::Scalar(key) = key.value else {
                return Err(YamlError::Refuse { line, what: "a key that is no text" });
            };
            if pairs.iter().any(|(name, _)| *name == key) {
                return Err(YamlError::Duplicate { line, key });
            }
            let Some(next) = self.next()? else { break };
            pairs.push((key, self.node(next, depth)?));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_lines_and_keep_their_texts() {
        let documents = parse("# first\na: 1.10\nb:\n  - yes\n  - 'x'\n---\nc: |\n  l1\n  l2\n");
        let documents = documents.expect("it is well-formed");
        let [first, second] = documents.as_slice() else { panic!("{documents:?}") };
        let version = first.get("a").expect("there is a");
        assert_eq!((version.text(), version.line), (Some("1.10"), 2));
        let items: Vec<_> = first.get("b").expect("there is b").items().iter().collect();
        assert_eq!(items.iter().map(|it| it.line).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(second.get("c").and_then(Node::text), Some("l1\nl2\n"));
        assert_eq!(parse("").expect("nothing is well-formed"), []);
    }

    #[test]
    fn what_talos_would_not_take_is_refused_with_its_line() {
        let refused = |text: &str| parse(text).expect_err(text).to_string();
        assert_eq!(refused("a: 1\na: 2\n"), "line 2: the key \"a\" is there twice");
        assert!(refused("a: [1\nb: 2\n").starts_with("line "), "{}", refused("a: [1\nb: 2\n"));
        assert_eq!(refused("a: &x 1\n"), "line 1: an anchor or a tag is not for this file");
        assert!(refused("a: *x\n").starts_with("line 1: "));
        assert!(refused(&"[".repeat(100)).contains("so deep a nesting"));
    }
}
