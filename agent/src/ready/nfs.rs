//! The NULL call of NFS over TCP: the one question that a hung server cannot answer.
//!
//! ```text
//! call:   mark xid 0 rpc=2 program version procedure=0 credentials(0 0) verifier(0 0)
//! reply:  mark xid 1 stat=0 verifier(flavour length bytes) accept_stat ...
//! ```
//!
//! Versions 4 and 3 are asked at once on one connection; the first that is accepted is enough.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Place, ProbeError, connect};

/// Returns the version of NFS that the server answers.
pub(super) async fn null(at: &Place) -> Result<u32, ProbeError> {
    let mut stream = connect(at).await?;
    let calls: Vec<u8> = VERSIONS.into_iter().flat_map(null_call).collect();
    let failed = |source| ProbeError::Exchange(at.clone(), source);
    stream.write_all(&calls).await.map_err(failed)?;
    for _ in VERSIONS {
        let reply = read_record(&mut stream, at).await?;
        match parse_reply(&reply) {
            Some((version, true)) => return Ok(version),
            Some((_, false)) => {}
            None => return Err(ProbeError::NoNfs(at.clone())),
        }
    }
    Err(ProbeError::Refused(at.clone()))
}

/// The version serves as transaction number too.
fn null_call(version: u32) -> Vec<u8> {
    const LEN: u32 = 40;
    let words = [LAST_FRAGMENT | LEN, version, CALL, RPC_VERSION, NFS, version, 0, 0, 0, 0, 0];
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// Reads one record, which may come in fragments.
async fn read_record(stream: &mut TcpStream, at: &Place) -> Result<Vec<u8>, ProbeError> {
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

/// Returns the version that a reply belongs to and whether the call was accepted.
fn parse_reply(record: &[u8]) -> Option<(u32, bool)> {
    let mut rest = record;
    let mut word = || {
        let (word, tail) = rest.split_first_chunk()?;
        rest = tail;
        Some(u32::from_be_bytes(*word))
    };
    let version = word().filter(|xid| VERSIONS.contains(xid))?;
    word().filter(|kind| *kind == REPLY)?;
    if word()? != MSG_ACCEPTED {
        return Some((version, false));
    }
    let _flavour = word()?;
    let verifier_words = word().filter(|len| *len <= VERIFIER_MAX)?.div_ceil(4);
    for _ in 0..verifier_words {
        word()?;
    }
    Some((version, word()? == SUCCESS))
}

/// Where NFS is served; version 4 knows no other place.
pub(super) const PORT: u16 = 2049;
const VERSIONS: [u32; 2] = [4, 3];
const NFS: u32 = 100_003;
const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const SUCCESS: u32 = 0;
const LAST_FRAGMENT: u32 = 1 << 31;
/// RFC 5531 allows no longer verifier.
const VERIFIER_MAX: u32 = 400;
/// A reply has 24 bytes, with the longest verifier 424.
const RECORD_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_a_reply_never_panics() {
        proptest::proptest!(|(record: Vec<u8>)| {
            let _: Option<(u32, bool)> = parse_reply(&record);
        });
    }

    #[test]
    fn a_reply_with_a_verifier_is_understood() {
        let words = [4, REPLY, MSG_ACCEPTED, 1, 5, 0xffff_ffff, 0xff00_0000, SUCCESS];
        let record: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        assert_eq!(parse_reply(&record), Some((4, true)));
        assert_eq!(parse_reply(&record[..28]), None, "cut in the middle");
        let mut foreign = record;
        foreign[3] = 9;
        assert_eq!(parse_reply(&foreign), None, "not an answer to us");
    }
}
