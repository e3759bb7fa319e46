//! The form of the state file: one JSON object with a version and a checksum around the state.
//!
//! ```json
//! {"format":"curfew-state","version":1,"sha256":"…","body":{"start":7,"saved":{…}}}
//! ```
//!
//! The checksum covers the version and the bytes of the body as they stand.

use std::fmt::Write as _;

use curfew_coordinator::Saved;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// What the state file holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Body {
    /// The start number of the agent that wrote it.
    pub(super) start: u64,
    /// The coordinator's state; none before it saved any.
    pub(super) saved: Option<Saved>,
}

/// Why bytes are not a state that this agent can use; reads on from "the state file …".
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum DecodeError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is none of ours, or torn.
    #[error("is not a whole state file")]
    Foreign,
    /// A newer agent wrote it.
    #[error("was written by a newer curfew (format {0}, this one knows {VERSION})")]
    Future(u64),
    /// The checksum does not fit.
    #[error("does not match its checksum")]
    Checksum,
    /// The checksum fits, but the state does not mean anything to this agent.
    #[error("matches its checksum, but its content is not known to this curfew")]
    Content,
}

/// Returns the bytes of the file.
pub(super) fn encode(body: &Body) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::value::to_raw_value(body)?;
    let sha256 = checksum(VERSION, &body);
    let envelope = Envelope { format: FORMAT.to_owned(), version: VERSION, sha256, body };
    let mut bytes = serde_json::to_vec(&envelope)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the bytes of the file, whatever they are.
pub(super) fn decode(bytes: &[u8]) -> Result<Body, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|_torn| DecodeError::Foreign)?;
    if head.format != FORMAT || head.version == 0 {
        return Err(DecodeError::Foreign);
    }
    if head.version > VERSION {
        return Err(DecodeError::Future(head.version));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_torn| DecodeError::Foreign)?;
    if envelope.sha256 != checksum(envelope.version, &envelope.body) {
        return Err(DecodeError::Checksum);
    }
    serde_json::from_str(envelope.body.get()).map_err(|_unknown| DecodeError::Content)
}

/// The part that every version has, so that a newer file is known for one.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Deserialize, Serialize)]
struct Envelope {
    format: String,
    version: u64,
    sha256: String,
    body: Box<RawValue>,
}

fn checksum(version: u64, body: &RawValue) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{FORMAT} {version}\n"));
    hash.update(body.get());
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

const FORMAT: &str = "curfew-state";
/// Raised when an older agent could not read the body any more.
const VERSION: u64 = 1;
