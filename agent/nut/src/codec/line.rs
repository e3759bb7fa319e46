//! Lines from bytes, with a cap: what is longer than `upsd` can send ends the connection.

use thiserror::Error;

/// The longest answer line with its LF: `upsd` builds each in a buffer of this size and cuts what
/// is longer, its LF included, so that the next answer is glued to it.
pub const MAX_LINE: usize = 512;

/// Why bytes are not a line. The stream cannot be trusted from there on.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LineError {
    /// No LF within [`MAX_LINE`] bytes.
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    /// `upsd` sends printable ASCII only.
    #[error("the line contains byte {0:#04x}")]
    Unprintable(u8),
}

/// Assembles one line at a time. Holds less than [`MAX_LINE`] bytes.
#[derive(Debug, Default)]
pub struct LineAssembler {
    partial: Vec<u8>,
}

/// What [`LineAssembler::feed`] made of its input.
#[derive(Debug, Eq, PartialEq)]
pub struct Fed {
    /// How many bytes of the input were used up.
    pub used: usize,
    /// A complete line without CR and LF.
    pub line: Option<String>,
}

impl LineAssembler {
    /// Takes bytes up to and including the first LF.
    pub fn feed(&mut self, input: &[u8]) -> Result<Fed, LineError> {
        let mut parts = input.splitn(2, |byte| *byte == b'\n');
        let part = parts.next().unwrap_or_default();
        let is_complete = parts.next().is_some();
        if self.partial.len() + part.len() >= MAX_LINE {
            return Err(LineError::TooLong);
        }
        self.partial.extend_from_slice(part);
        if !is_complete {
            return Ok(Fed { used: part.len(), line: None });
        }
        let bytes = std::mem::take(&mut self.partial);
        Ok(Fed { used: part.len() + 1, line: Some(to_text(bytes)?) })
    }

    /// Returns whether no line has begun.
    pub fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }
}

fn to_text(mut bytes: Vec<u8>) -> Result<String, LineError> {
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    if let Some(byte) = bytes.iter().find(|byte| !(0x20..=0x7f).contains(*byte)) {
        return Err(LineError::Unprintable(*byte));
    }
    // All bytes are ASCII, so nothing is replaced.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
