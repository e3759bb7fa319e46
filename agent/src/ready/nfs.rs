//! The NULL call of NFS over TCP: the one question that a hung server cannot answer.
//!
//! Versions 4 and 3 are asked at once on one connection; the first that is accepted is enough.

use tokio::io::AsyncWriteExt;

use super::rpc::{self, Procedure};
use super::{Place, ProbeError, connect};

/// Returns the version of NFS that the server answers.
pub(super) async fn null(at: &Place) -> Result<u32, ProbeError> {
    let mut stream = connect(at).await?;
    let calls: Vec<u8> = VERSIONS.into_iter().flat_map(null_call).collect();
    let failed = |source| ProbeError::Exchange(at.clone(), source);
    stream.write_all(&calls).await.map_err(failed)?;
    for _ in VERSIONS {
        let reply = rpc::parse_reply(&rpc::read_record(&mut stream, at).await?);
        let reply = reply.filter(|reply| VERSIONS.contains(&reply.xid));
        let reply = reply.ok_or_else(|| ProbeError::NoNfs(at.clone()))?;
        if reply.result.is_some() {
            return Ok(reply.xid);
        }
    }
    Err(ProbeError::Refused(at.clone()))
}

/// The version serves as transaction number too.
fn null_call(version: u32) -> Vec<u8> {
    rpc::call(version, Procedure { program: NFS, version, number: 0 }, &[])
}

/// Where NFS is served; version 4 knows no other place.
pub(super) const PORT: u16 = 2049;
const VERSIONS: [u32; 2] = [4, 3];
const NFS: u32 = 100_003;
