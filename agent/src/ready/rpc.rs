//! Calls of ONC RPC over TCP, as far as a probe needs them.
//!
//! ```text
//! call:   mark xid 0 rpc=2 program version procedure credentials(0 0) verifier(0 0) arguments
//! reply:  mark xid 1 stat=0 verifier(flavour length bytes) accept_stat results
//! ```

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Place, ProbeError};

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Procedure {
    pub(super) program: u32,
    pub(super) version: u32,
    /// 0 is NULL, which every program has.
    pub(super) number: u32,
}

/// What came back.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Reply {
    /// The transaction that it belongs to.
    pub(super) xid: u32,
    /// The words of the result; none if the call was refused.
    pub(super) result: Option<Vec<u32>>,
}

/// Returns a call as it goes over the wire.
pub(super) fn call(xid: u32, procedure: Procedure, arguments: &[u32]) -> Vec<u8> {
    let Procedure { program, version, number } = procedure;
    let words = [xid, CALL, RPC_VERSION, program, version, number, 0, 0, 0, 0];
    let words: Vec<u32> = words.into_iter().chain(arguments.iter().copied()).collect();
    let len = u32::try_from(words.len() * 4).unwrap_or(u32::MAX);
    let mark = LAST_FRAGMENT | len;
    std::iter::once(mark).chain(words).flat_map(u32::to_be_bytes).collect()
}

/// Makes one call on a connection of its own.
pub(super) async fn ask(
    stream: &mut TcpStream,
    at: &Place,
    procedure: Procedure,
    arguments: &[u32],
) -> Result<Reply, ProbeError> {
    let call = call(XID, procedure, arguments);
    stream.write_all(&call).await.map_err(|source| ProbeError::Exchange(at.clone(), source))?;
    let reply = parse_reply(&read_record(stream, at).await?);
    reply.filter(|reply| reply.xid == XID).ok_or_else(|| ProbeError::NoNfs(at.clone()))
}

/// Reads one record, which may come in fragments.
pub(super) async fn read_record(stream: &mut TcpStream, at: &Place) -> Result<Vec<u8>, ProbeError> {
    let failed = |source| ProbeError::Exchange(at.clone(), source);
    let mut record = Vec::new();
    // An endless row of empty fragments ends with the deadline of the probe.
    loop {
        let mark = stream.read_u32().await.map_err(failed)?;
        let len = (mark & !LAST_FRAGMENT) as usize;
        let begin = record.len();
        if begin + len > RECORD_MAX {
            return Err(ProbeError::NoNfs(at.clone()));
        }
        record.resize(begin + len, 0);
        let fragment = record.get_mut(begin..).unwrap_or_default();
        stream.read_exact(fragment).await.map_err(failed)?;
        if mark & LAST_FRAGMENT != 0 {
            return Ok(record);
        }
    }
}

/// Returns what a record says, if it is a reply.
pub(super) fn parse_reply(record: &[u8]) -> Option<Reply> {
    let mut rest = record;
    let mut word = || {
        let (word, tail) = rest.split_first_chunk()?;
        rest = tail;
        Some(u32::from_be_bytes(*word))
    };
    let xid = word()?;
    word().filter(|kind| *kind == REPLY)?;
    if word()? != MSG_ACCEPTED {
        return Some(Reply { xid, result: None });
    }
    let _flavour = word()?;
    let verifier_words = word().filter(|len| *len <= VERIFIER_MAX)?.div_ceil(4);
    for _ in 0..verifier_words {
        word()?;
    }
    if word()? != SUCCESS {
        return Some(Reply { xid, result: None });
    }
    let result = std::iter::from_fn(word).collect();
    Some(Reply { xid, result: Some(result) })
}

/// One call for each connection needs no other.
const XID: u32 = 1;
const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const SUCCESS: u32 = 0;
const LAST_FRAGMENT: u32 = 1 << 31;
/// RFC 5531 allows no longer verifier.
const VERIFIER_MAX: u32 = 400;
/// A reply has 28 bytes at most, with the longest verifier 428.
const RECORD_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_a_reply_never_panics() {
        proptest::proptest!(|(record: Vec<u8>)| {
            drop(parse_reply(&record));
        });
    }

    #[test]
    fn a_reply_with_a_verifier_and_a_result_is_understood() {
        let words = [4, REPLY, MSG_ACCEPTED, 1, 5, 0xffff_ffff, 0xff00_0000, SUCCESS, 2049];
        let record: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        assert_eq!(parse_reply(&record), Some(Reply { xid: 4, result: Some(vec![2049]) }));
        assert_eq!(parse_reply(&record[..28]), None, "cut in the middle");
        let mut refused = record;
        refused[11] = 1;
        assert_eq!(parse_reply(&refused), Some(Reply { xid: 4, result: None }));
    }
}
