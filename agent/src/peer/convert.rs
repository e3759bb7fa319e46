//! Between the coordinator's messages and the wire.
//!
//! What comes in is refused with a named error unless every part of it can be: known enum values,
//! names that a cluster file may have, texts, sets and numbers within bounds. Nothing here panics
//! on foreign input, and nothing that passed can overflow the coordinator's counters.

mod decode;
mod encode;
#[cfg(test)]
pub(super) mod tests;

pub(super) use self::decode::{decode, decode_command};
pub(super) use self::encode::{encode, encode_command};

/// Why a message is refused. The field is named as in the `.proto` file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A part is missing that every message has.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An enum has a value that this version does not know, or none.
    #[error("{0} has a value that is not known here")]
    Unknown(&'static str),
    /// A name is empty, too long, or has characters that no name has.
    #[error("{0} is not a name")]
    Name(&'static str),
    /// A text, set or list is too long.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// A number is beyond what it can be.
    #[error("{0} is out of range")]
    Range(&'static str),
}

/// A cluster has at most this many hosts; so no set or map of hosts is larger.
pub const HOSTS_MAX: usize = 128;
/// A host has an address or two for each of its networks.
pub const ADDRESSES_MAX: usize = 64;
/// One reason for each trigger and host is the most that can be.
const REASONS_MAX: usize = 7 * HOSTS_MAX;
/// The last five stop times of a host count; some room for other versions.
const STOP_TIMES_MAX: usize = 16;
/// Longer than any evidence, hash or probe URL.
const TEXT_LEN: usize = 1024;
/// Numbers, sequences and starts count by one: beyond this somebody lies, and adding to it must
/// not overflow.
const COUNT_MAX: u64 = 1 << 53;
/// No age, runtime or stop time is longer than a century.
const SPAN_MAX_MS: u64 = 100 * 366 * 24 * 3600 * 1000;
