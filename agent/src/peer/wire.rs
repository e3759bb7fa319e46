//! States as bytes: what a message between agents holds, without the framing around it.

use curfew_coordinator::StateMessage;
use curfew_proto::v1;
use prost::Message as _;

use super::convert::{self, DecodeError};

/// Why bytes are no state.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// They are no message of the protocol.
    #[error("this is no state message")]
    Parse(#[source] prost::DecodeError),
    /// A part of the message is not what it can be.
    #[error("the state message is refused")]
    Refuse(#[source] DecodeError),
}

/// Returns the bytes of a state.
pub fn encode(message: &StateMessage) -> Vec<u8> {
    convert::encode(message).encode_to_vec()
}

/// Reads a state from its bytes, as strictly as from a peer.
pub fn decode(bytes: &[u8]) -> Result<StateMessage, WireError> {
    let state = v1::State::decode(bytes).map_err(WireError::Parse)?;
    convert::decode(state).map_err(WireError::Refuse)
}
