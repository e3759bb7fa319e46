//! MOUNT, by which clients of NFS 3 ask for an export: where it is, and whether it answers.
//!
//! Its port is told by `rpcbind`. A server of version 4 alone has neither, and a firewall may hide
//! either: then there is nothing to ask, which is no fault.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;

use super::rpc::{self, Procedure};
use super::{Place, ProbeError, Readiness, connect, no, yes};

/// What is known of the server of MOUNT.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MountService {
    /// There is none that could be asked.
    None,
    /// It was asked.
    Asked(Readiness),
}

/// Asks the `rpcbind` at one address for the port, and MOUNT at the other.
pub(super) async fn ask(rpcbind: SocketAddr, server: IpAddr) -> MountService {
    let Ok(Ok(Some(port))) = timeout(STEP_LIMIT, port(&Place::from(rpcbind))).await else {
        return MountService::None;
    };
    let at = Place::from(SocketAddr::new(server, port));
    let mut stream = match timeout(STEP_LIMIT, connect(&at)).await {
        // A call that nothing comes back from is swallowed by a firewall.
        Err(_late) => return MountService::None,
        Ok(Err(refused)) => return MountService::Asked(no(super::sentence(&refused))),
        Ok(Ok(stream)) => stream,
    };
    let null = Procedure { program: MOUNT, version: MOUNT_VERSION, number: 0 };
    MountService::Asked(match timeout(STEP_LIMIT, rpc::ask(&mut stream, &at, null, &[])).await {
        Ok(Ok(reply)) if reply.result.is_some() => yes(format!("{at} answers MOUNT 3")),
        Ok(Ok(_refused)) => no(format!("{at} refuses MOUNT 3")),
        Ok(Err(failed)) => no(super::sentence(&failed)),
        Err(_late) => no(format!("{at} has not answered MOUNT 3 within {STEP_LIMIT:?}")),
    })
}

/// Returns the port at which MOUNT is registered, if it is.
async fn port(at: &Place) -> Result<Option<u16>, ProbeError> {
    let mut stream = connect(at).await?;
    let get_port = Procedure { program: PORTMAP, version: 2, number: 3 };
    let reply = rpc::ask(&mut stream, at, get_port, &[MOUNT, MOUNT_VERSION, TCP, 0]).await?;
    let port = reply.result.and_then(|words| words.first().copied());
    Ok(port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0))
}

/// Where `rpcbind` listens.
pub(super) const RPCBIND_PORT: u16 = 111;
const PORTMAP: u32 = 100_000;
const MOUNT: u32 = 100_005;
const MOUNT_VERSION: u32 = 3;
const TCP: u32 = 6;
/// Three of these fit a probe.
const STEP_LIMIT: Duration = Duration::from_secs(1);
