//! Answers, compared with what was asked: another variable's value is never taken for ours.

use thiserror::Error;

use crate::codec::request::Request;
use crate::codec::word::{WordError, split_answer};
use crate::error::ErrorCode;

/// The most rows of one list. The largest devices known show some hundred variables; with lines of
/// 512 bytes a list takes at most 1 MiB.
pub const MAX_ROWS: usize = 2048;

/// Why a line does not answer the request. The stream cannot be trusted from there on.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum AnswerError {
    /// The line is not made of words.
    #[error("the line cannot be split into words")]
    Split(#[source] WordError),
    /// The line names something else than was asked for, or has another shape.
    #[error("the line answers another question")]
    Foreign,
    /// A row has too few or too many words.
    #[error("the line has a wrong number of words")]
    Count,
    /// The list is longer than [`MAX_ROWS`].
    #[error("the list has more than {MAX_ROWS} rows")]
    TooManyRows,
}

/// A complete answer that belongs to its request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// `ERR code …`.
    Refused(ErrorCode),
    /// A line of free text.
    Text(String),
    /// `OK …`, with the words behind it.
    Done(Vec<String>),
    /// The words behind the names that were asked for.
    Values(Vec<String>),
    /// The rows of a list, each without the names that were asked for.
    Rows(Vec<Vec<String>>),
}

/// Collects the lines that answer one request.
#[derive(Debug)]
pub struct Collector {
    shape: Shape,
    rows: Vec<Vec<String>>,
    has_begun: bool,
}

#[derive(Debug)]
enum Shape {
    Text,
    Done,
    /// `OK Goodbye`, or `Goodbye...` of old servers.
    Farewell,
    OneOf(&'static [&'static str]),
    Values {
        echo: Vec<String>,
        exactly: Option<usize>,
    },
    List {
        query: Vec<String>,
        echo: Vec<String>,
        columns: usize,
    },
}

impl Collector {
    /// Starts to collect the answer to a request.
    pub fn new(request: &Request) -> Self {
        Self { shape: Shape::of(request), rows: Vec::new(), has_begun: false }
    }

    /// Takes the next line; returns the answer when it is complete.
    pub fn on_line(&mut self, line: &str) -> Result<Option<Answer>, AnswerError> {
        if let Shape::Text = self.shape {
            return Ok(Some(text_answer(line)?));
        }
        let words = split_answer(line).map_err(AnswerError::Split)?;
        if !self.has_begun
            && let Some(code) = refusal(&words)
        {
            return Ok(Some(Answer::Refused(code)));
        }
        match &self.shape {
            Shape::Text => Err(AnswerError::Foreign),
            Shape::Done => match words.split_first() {
                Some((first, rest)) if first.eq_ignore_ascii_case("OK") => {
                    Ok(Some(Answer::Done(rest.to_vec())))
                }
                _ => Err(AnswerError::Foreign),
            },
            Shape::Farewell => match words.first().map(String::as_str) {
                Some("OK" | "Goodbye...") => Ok(Some(Answer::Done(Vec::new()))),
                _ => Err(AnswerError::Foreign),
            },
            Shape::OneOf(expected) => match words.as_slice() {
                [word] if expected.iter().any(|one| word.eq_ignore_ascii_case(one)) => {
                    Ok(Some(Answer::Values(words)))
                }
                _ => Err(AnswerError::Foreign),
            },
            Shape::Values { echo, exactly } => {
                let values = strip(&words, echo).ok_or(AnswerError::Foreign)?;
                if exactly.is_some_and(|exactly| exactly != values.len()) {
                    return Err(AnswerError::Count);
                }
                Ok(Some(Answer::Values(values)))
            }
            Shape::List { query, echo, columns } => {
                let step = list_step(&words, self.has_begun, (query, echo, *columns))?;
                self.on_list_step(step)
            }
        }
    }

    fn on_list_step(&mut self, step: ListStep) -> Result<Option<Answer>, AnswerError> {
        match step {
            ListStep::Begun => self.has_begun = true,
            ListStep::Ended => return Ok(Some(Answer::Rows(std::mem::take(&mut self.rows)))),
            ListStep::Row(_) if self.rows.len() >= MAX_ROWS => {
                return Err(AnswerError::TooManyRows);
            }
            ListStep::Row(row) => self.rows.push(row),
        }
        Ok(None)
    }
}

impl Shape {
    fn of(request: &Request) -> Self {
        match request {
            Request::Version | Request::NetworkVersion => Self::Text,
            Request::ListUps
            | Request::ListVariables(_)
            | Request::ListWritables(_)
            | Request::ListRange(..) => Self::list(request, 2),
            Request::ListCommands(_) | Request::ListClients(_) | Request::ListEnum(..) => {
                Self::list(request, 1)
            }
            Request::GetVariable(..)
            | Request::GetDescription(..)
            | Request::GetCommandDescription(..)
            | Request::GetUpsDescription(_)
            | Request::GetLogins(_) => Self::Values { echo: echo(request), exactly: Some(1) },
            Request::GetType(..) => Self::Values { echo: echo(request), exactly: None },
            Request::GetTracking => Self::OneOf(&["ON", "OFF"]),
            Request::GetVerdict(_) => Self::OneOf(&["PENDING", "SUCCESS"]),
            Request::Logout => Self::Farewell,
            Request::Username(_)
            | Request::Password(_)
            | Request::Login(_)
            | Request::Primary(_)
            | Request::Master(_)
            | Request::ForceShutdown(_)
            | Request::SetVariable(..)
            | Request::SetTracking(_)
            | Request::RunCommand(..) => Self::Done,
        }
    }

    fn list(request: &Request, columns: usize) -> Self {
        let mut query = vec!["LIST".to_owned()];
        query.extend(echo(request));
        Self::List { query, echo: echo(request), columns }
    }
}

enum ListStep {
    Begun,
    Row(Vec<String>),
    Ended,
}

/// Judges one line of a list with this query, row beginning and number of columns.
fn list_step(
    words: &[String],
    has_begun: bool,
    (query, echo, columns): (&[String], &[String], usize),
) -> Result<ListStep, AnswerError> {
    let (first, rest) = words.split_first().ok_or(AnswerError::Foreign)?;
    let is_query = strip(rest, query).is_some_and(|more| more.is_empty());
    if !has_begun {
        let is_begin = first.eq_ignore_ascii_case("BEGIN") && is_query;
        return if is_begin { Ok(ListStep::Begun) } else { Err(AnswerError::Foreign) };
    }
    if first.eq_ignore_ascii_case("END") {
        return if is_query { Ok(ListStep::Ended) } else { Err(AnswerError::Foreign) };
    }
    let row = strip(words, echo).ok_or(AnswerError::Foreign)?;
    if row.len() == columns { Ok(ListStep::Row(row)) } else { Err(AnswerError::Count) }
}

/// What the server repeats of a request: the last keyword and the arguments.
fn echo(request: &Request) -> Vec<String> {
    let keyword = request.keywords().split(' ').next_back().unwrap_or_default();
    std::iter::once(keyword).chain(request.arguments()).map(str::to_owned).collect()
}

/// Returns what follows the expected words; names are compared without regard to case.
fn strip(words: &[String], expected: &[String]) -> Option<Vec<String>> {
    let (head, rest) = words.split_at_checked(expected.len())?;
    let is_same = head.iter().zip(expected).all(|(word, name)| word.eq_ignore_ascii_case(name));
    is_same.then(|| rest.to_vec())
}

fn refusal(words: &[String]) -> Option<ErrorCode> {
    match words {
        [first, code, ..] if first == "ERR" => Some(ErrorCode::from_word(code)),
        _ => None,
    }
}

/// Free text is not quoted and not split; only a refusal and an empty line are recognised.
fn text_answer(line: &str) -> Result<Answer, AnswerError> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (None | Some("VAR" | "BEGIN" | "END" | "OK"), _) => Err(AnswerError::Foreign),
        (Some("ERR"), Some(code)) => Ok(Answer::Refused(ErrorCode::from_word(code))),
        (Some(_), _) => Ok(Answer::Text(line.to_owned())),
    }
}
