//! Words and quoting: the state machine of NUT's `parseconf`, for requests and for answers.
//!
//! ```text
//!            blank            other                blank, LF
//!   Between ───────► Between ───────► Bare ──────────────────► Between
//!      │  "                             │ \                         ▲ "
//!      ├──────────► Quoted ◄──┐         ▼                           │
//!      │              │ \     │ any   BareEscape ──any──► Bare      │
//!      │              ▼       │                                     │
//!      │          QuotedEscape┘      Quoted ────────────────────────┘
//!      └─ # (requests only) ──► Comment ──LF──► Between
//! ```

use thiserror::Error;

/// The longest word, in bytes; `upsd` cuts longer ones silently.
pub const MAX_WORD: usize = 512;

/// The longest argument that is sent: `upsd` keeps one byte of [`MAX_WORD`] for itself.
pub const MAX_ARGUMENT: usize = 511;

/// The most words in a line; `upsd` drops the rest silently.
pub const MAX_WORDS: usize = 32;

/// Why bytes are not a line of words.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum WordError {
    /// The line ends inside of quotes or behind a backslash.
    #[error("a quoted word is not closed")]
    OpenQuote,
    /// A request has a bare `#` inside of quotes: `upsd` gives no answer at all to that.
    #[error("an unescaped # stands inside of quotes")]
    BareHash,
    /// An answer has more than [`MAX_WORDS`] words.
    #[error("the line has more than {MAX_WORDS} words")]
    TooManyWords,
    /// An answer has a word of more than [`MAX_WORD`] bytes.
    #[error("the line has a word of more than {MAX_WORD} bytes")]
    TooLongWord,
}

/// Why an argument cannot be sent. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ArgumentError {
    /// `upsd` would drop the byte silently and work with another word.
    #[error("the argument contains byte {0:#04x}; NUT takes printable ASCII only")]
    Unprintable(u8),
    /// `upsd` would cut the word silently.
    #[error("the argument has {0} bytes; NUT takes {MAX_ARGUMENT}")]
    TooLong(usize),
}

/// In which direction a line goes; the rules differ in what they forgive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// As `upsd` reads: comments, `=` as a word, lines that join, silent cuts.
    Request,
    /// As a client reads: `#` and `=` are ordinary, a line is a line, nothing is cut.
    Answer,
}

/// What a byte led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The line goes on.
    More,
    /// The line is complete; it may have no words.
    Line(Vec<String>),
}

/// Splits a stream of bytes into lines of words. Holds at most [`MAX_WORDS`] words of
/// [`MAX_WORD`] bytes.
#[derive(Debug)]
pub struct Tokenizer {
    dialect: Dialect,
    state: State,
    word: String,
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Between,
    Bare,
    BareEscape,
    Quoted,
    QuotedEscape,
    Comment,
}

impl Tokenizer {
    /// Starts at the beginning of a line.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, state: State::Between, word: String::new(), words: Vec::new() }
    }

    /// Takes the next byte. After a complete line and after an error a new line begins.
    pub fn push(&mut self, byte: u8) -> Result<Step, WordError> {
        match self.advance(byte) {
            Ok(false) => Ok(Step::More),
            Ok(true) => {
                self.state = State::Between;
                Ok(Step::Line(std::mem::take(&mut self.words)))
            }
            Err(error) => {
                self.state = State::Between;
                self.word.clear();
                self.words.clear();
                Err(error)
            }
        }
    }

    /// Returns whether the line is complete.
    fn advance(&mut self, byte: u8) -> Result<bool, WordError> {
        match self.state {
            State::Between => self.between(byte),
            State::Bare => self.bare(byte),
            State::Quoted => self.quoted(byte),
            State::BareEscape => self.escaped(byte, State::Between, State::Bare),
            State::QuotedEscape => self.escaped(byte, State::Quoted, State::Quoted),
            State::Comment => Ok(byte == b'\n'),
        }
    }

    fn between(&mut self, byte: u8) -> Result<bool, WordError> {
        let is_request = self.dialect == Dialect::Request;
        match byte {
            b'\n' => return Ok(true),
            b'#' if is_request => self.state = State::Comment,
            b'\\' => self.state = State::BareEscape,
            b'"' => self.state = State::Quoted,
            b'=' if is_request => {
                self.keep(byte)?;
                self.end_word()?;
            }
            _ if is_blank(byte) => {}
            _ => {
                self.keep(byte)?;
                self.state = State::Bare;
            }
        }
        Ok(false)
    }

    fn bare(&mut self, byte: u8) -> Result<bool, WordError> {
        let is_request = self.dialect == Dialect::Request;
        match byte {
            b'\n' => {
                self.end_word()?;
                return Ok(true);
            }
            b'#' if is_request => {
                self.end_word()?;
                self.state = State::Comment;
            }
            b'=' if is_request => {
                self.end_word()?;
                self.keep(byte)?;
                self.end_word()?;
                self.state = State::Between;
            }
            b'\\' => self.state = State::BareEscape,
            _ if is_blank(byte) => {
                self.end_word()?;
                self.state = State::Between;
            }
            _ => self.keep(byte)?,
        }
        Ok(false)
    }

    fn quoted(&mut self, byte: u8) -> Result<bool, WordError> {
        match (byte, self.dialect) {
            (b'#', Dialect::Request) => return Err(WordError::BareHash),
            (b'\n', Dialect::Answer) => return Err(WordError::OpenQuote),
            (b'"', _) => {
                self.end_word()?;
                self.state = State::Between;
            }
            (b'\\', _) => self.state = State::QuotedEscape,
            _ => self.keep(byte)?,
        }
        Ok(false)
    }

    fn escaped(&mut self, byte: u8, joined: State, next: State) -> Result<bool, WordError> {
        match (byte, self.dialect) {
            (b'\n', Dialect::Answer) => return Err(WordError::OpenQuote),
            (b'\n', Dialect::Request) => self.state = joined,
            _ => {
                self.keep(byte)?;
                self.state = next;
            }
        }
        Ok(false)
    }

    /// Keeps a byte of a word. Requests lose silently what NUT does not take.
    fn keep(&mut self, byte: u8) -> Result<(), WordError> {
        if !(0x20..=0x7f).contains(&byte) {
            return Ok(());
        }
        if self.word.len() < MAX_WORD {
            self.word.push(char::from(byte));
            return Ok(());
        }
        match self.dialect {
            Dialect::Request => Ok(()),
            Dialect::Answer => Err(WordError::TooLongWord),
        }
    }

    fn end_word(&mut self) -> Result<(), WordError> {
        let word = std::mem::take(&mut self.word);
        if self.words.len() < MAX_WORDS {
            self.words.push(word);
            return Ok(());
        }
        match self.dialect {
            Dialect::Request => Ok(()),
            Dialect::Answer => Err(WordError::TooManyWords),
        }
    }
}

/// Splits one answer line (without its LF) into words, undoing all three escapes.
pub fn split_answer(line: &str) -> Result<Vec<String>, WordError> {
    let mut tokenizer = Tokenizer::new(Dialect::Answer);
    for byte in line.bytes() {
        tokenizer.push(byte)?;
    }
    match tokenizer.push(b'\n')? {
        Step::Line(words) => Ok(words),
        Step::More => Err(WordError::OpenQuote),
    }
}

/// Appends an argument in quotes, with a backslash before `"`, `\` and `#`.
pub fn quote_into(line: &mut String, argument: &str) -> Result<(), ArgumentError> {
    if let Some(byte) = argument.bytes().find(|byte| !(0x20..=0x7e).contains(byte)) {
        return Err(ArgumentError::Unprintable(byte));
    }
    if argument.len() > MAX_ARGUMENT {
        return Err(ArgumentError::TooLong(argument.len()));
    }
    line.push('"');
    for character in argument.chars() {
        if matches!(character, '"' | '\\' | '#') {
            line.push('\\');
        }
        line.push(character);
    }
    line.push('"');
    Ok(())
}

/// The blanks of C's `isspace`, without LF.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}
