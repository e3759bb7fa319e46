//! What is wrong, doubtful or worth knowing in a cluster file: each with its place and remedy.

use std::fmt;

/// One thing that the check of a cluster file found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// Where it stands; none if it concerns no line, such as a missing file.
    pub place: Option<Place>,
    /// The thing and the reason, in one clause.
    pub message: String,
    /// What to type.
    pub remedy: String,
}

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, but something will go worse than the author may expect.
    Warning,
    /// The file is taken; the author should know.
    Note,
}

/// A position in the file as editors count it: from 1, columns in characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl Place {
    /// Returns the position of a byte offset; one beyond the end is the end.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let mut place = Self { line: 1, column: 1 };
        for (_, character) in text.char_indices().take_while(|(at, _)| *at < offset) {
            if character == '\n' {
                place = Self { line: place.line + 1, column: 1 };
            } else {
                place.column += 1;
            }
        }
        place
    }
}

impl Severity {
    /// Returns the word that stands before a message.
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        let Self { severity, message, remedy, place: _ } = self;
        write!(f, "{}: {message}; {remedy}", severity.label())
    }
}
