//! Whether a host serves, asked from outside: the `ready` probe of the cluster file, and NFS.
//!
//! A probe asks one thing within three seconds and answers yes or no with a sentence; anything
//! that goes wrong is a no. It is not a health check: an API server that answers 401 serves.

mod http;
mod mount;
mod nfs;
mod rpc;
mod tls;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use self::mount::MountService;

/// What must answer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// `http://` or `https://`: any answer below 500.
    Http {
        /// Over TLS, whoever signed the certificate.
        is_secure: bool,
        /// Where.
        at: Place,
        /// The path and the query, from the first slash on.
        path: String,
    },
    /// `tcp://`: a connection is accepted.
    Tcp(Place),
    /// An NFS server: it answers a call, which a hung one does not; so does its server of MOUNT,
    /// where there is one that can be asked.
    Nfs(SocketAddr),
}

/// A host and a port; a name is resolved anew at each probe.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    host: String,
    port: u16,
}

/// Why a `ready` URL cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// It begins with none of the known schemes.
    #[error("{0:?} begins with none of https://, http:// and tcp://")]
    Scheme(String),
    /// It names no host, or no port where there is no usual one.
    #[error("{0:?} has no host:port after its scheme")]
    Place(String),
    /// It holds what cannot be sent in a request.
    #[error("{0:?} holds a blank, a control character or a letter outside ASCII")]
    Letter(String),
}

/// The answer of a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Readiness {
    /// Whether it serves.
    pub is_ready: bool,
    /// One clause that says what was seen.
    pub reason: String,
}

/// Why a probe was not answered as it should be.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("the name {0} cannot be resolved")]
    Resolve(String, #[source] io::Error),
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("{0} does not accept connections")]
    Connect(Place, #[source] io::Error),
    #[error("{0} does not speak TLS")]
    Handshake(Place, #[source] io::Error),
    #[error("{0} closed the connection without an answer")]
    Exchange(Place, #[source] io::Error),
    #[error("{0} answers something else than HTTP")]
    NoHttp(Place),
    #[error("{0} answers something else than NFS")]
    NoNfs(Place),
    #[error("{0} refuses NFS 3 and 4")]
    Refused(Place),
}

/// Asks whether hosts serve.
#[derive(Clone)]
pub struct ReadyProbe {
    tls: TlsConnector,
}

impl fmt::Debug for ReadyProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyProbe").finish_non_exhaustive()
    }
}

impl Default for ReadyProbe {
    fn default() -> Self {
        Self { tls: TlsConnector::from(Arc::new(tls::trusting_config())) }
    }
}

impl ReadyProbe {
    /// Asks once, for three seconds at most. Cancel safe.
    pub async fn ask(&self, target: &Target) -> Readiness {
        match target {
            Target::Http { is_secure, at, path } => {
                let tls = is_secure.then_some(&self.tls);
                let status = limited(at, http::status(tls, at, path)).await;
                status.map_or_else(no, |status| Readiness {
                    is_ready: status < SERVER_ERROR,
                    reason: format!("{at} answers with HTTP status {status}"),
                })
            }
            Target::Tcp(at) => limited(at, connect(at))
                .await
                .map_or_else(no, |_stream| yes(format!("{at} accepts connections"))),
            Target::Nfs(address) => {
                let answer = self.ask_nfs(*address).await;
                // What is served elsewhere is not registered.
                if !answer.is_ready || address.port() != nfs::PORT {
                    return answer;
                }
                match self.ask_mount(address.ip(), address.ip()).await {
                    MountService::Asked(refused) if !refused.is_ready => refused,
                    MountService::Asked(_) | MountService::None => answer,
                }
            }
        }
    }
}

impl ReadyProbe {
    /// Makes the NULL call of NFS once, for three seconds at most. Cancel safe.
    pub async fn ask_nfs(&self, address: SocketAddr) -> Readiness {
        let at = Place::from(address);
        let version = limited(&at, nfs::null(&at)).await;
        version.map_or_else(no, |version| yes(format!("{at} answers NFS {version}")))
    }

    /// Makes the NULL call of MOUNT to `server` once, at the port that `rpcbind` names, for three
    /// seconds at most. Cancel safe.
    pub async fn ask_mount(&self, rpcbind: IpAddr, server: IpAddr) -> MountService {
        mount::ask(SocketAddr::new(rpcbind, mount::RPCBIND_PORT), server).await
    }
}

/// Returns the clause that says what went wrong.
async fn limited<T>(
    at: &Place,
    asking: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, String> {
    match timeout(ASK_LIMIT, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failed)) => Err(sentence(&failed)),
        Err(_late) => Err(format!("{at} has not answered within {ASK_LIMIT:?}")),
    }
}

fn sentence(failed: &ProbeError) -> String {
    match std::error::Error::source(failed) {
        Some(source) => format!("{failed}: {source}"),
        None => failed.to_string(),
    }
}

fn yes(reason: String) -> Readiness {
    Readiness { is_ready: true, reason }
}

fn no(reason: String) -> Readiness {
    Readiness { is_ready: false, reason }
}

/// Connects to the first address that accepts; an address that is written out is not looked up.
async fn connect(at: &Place) -> Result<TcpStream, ProbeError> {
    let resolved = lookup_host((at.host.as_str(), at.port)).await;
    let addresses = resolved.map_err(|source| ProbeError::Resolve(at.host.clone(), source))?;
    let mut refused = ProbeError::NoAddress(at.host.clone());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(source) => refused = ProbeError::Connect(at.clone(), source),
        }
    }
    Err(refused)
}

impl Target {
    /// Returns the target that asks the NFS server of a host.
    pub fn nfs(address: IpAddr) -> Self {
        Self::Nfs(nfs_endpoint(address))
    }
}

/// Returns where the NFS server of a host listens.
pub fn nfs_endpoint(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, nfs::PORT)
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Letter(url.to_owned()));
        }
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| TargetError::Scheme(url.to_owned()))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let usual_port = match scheme {
            "https" => Some(443),
            "http" => Some(80),
            "tcp" => None,
            _ => return Err(TargetError::Scheme(url.to_owned())),
        };
        let at = Place::parse(authority, usual_port)
            .ok_or_else(|| TargetError::Place(url.to_owned()))?;
        if scheme == "tcp" {
            let is_bare = path.is_empty() || path == "/";
            return is_bare
                .then_some(Self::Tcp(at))
                .ok_or_else(|| TargetError::Place(url.to_owned()));
        }
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}");
        Ok(Self::Http { is_secure: scheme == "https", at, path })
    }
}

impl Place {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn parse(authority: &str, usual_port: Option<u16>) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port =
            port.map_or(usual_port, |digits| digits.parse().ok().filter(|port| *port > 0))?;
        let is_bad = host.is_empty() || host.contains(['@', '[', ']']);
        (!is_bad).then(|| Self { host: host.to_owned(), port })
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Longer than a busy API server needs, short enough to be asked again every few seconds.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// From here on the server says itself that it cannot serve.
const SERVER_ERROR: u16 = 500;

#[cfg(test)]
mod tests;
