//! What anyone may read: `/metrics`, `/health`, `/livez`, `/readyz`, `/api/v1/status` and
//! `/api/v1/history`.
//!
//! Read-only and without secrets, so it asks for no certificate; but it is open to the network, so
//! everything is bounded: connections, the time and size of a request, the life of a connection.
//! A handler answers from the last [`Snapshot`] and waits for nothing; only `/metrics` asks the
//! kernel how the host is doing, on another thread and for at most a second.
//!
//! ```text
//! accept ── more than 64? ──▶ 503 and closed
//!   └──▶ connection (10 s for a request's head, 60 s in all)
//!          └──▶ guard (method, Host, size) ──▶ routes ──▶ the latest snapshot
//! ```

mod guard;
mod health;
mod metrics;
mod offer;
mod route;
mod standby;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, error, warn};

use self::guard::Guard;
pub use self::standby::Standby;
use crate::metrics::{Counters, HostMetrics};
use crate::snapshot::Snapshot;

/// Why there is nothing to be seen at the port.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The port cannot be had.
    #[error("cannot listen on {address} for HTTP")]
    Bind {
        /// The address and the port.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl HttpError {
    /// Returns whether this machine does not have the address.
    pub fn is_address_missing(&self) -> bool {
        let Self::Bind { source, .. } = self;
        source.kind() == io::ErrorKind::AddrNotAvailable
    }
}

/// Returns the same port at all addresses of this machine.
pub const fn everywhere(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, address.port())
}

/// What the server shows, and to whom.
#[derive(Clone, Debug)]
pub struct Site {
    /// The latest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The counters of the agent.
    pub counters: Arc<Counters>,
    /// What this host is doing.
    pub host: Arc<HostMetrics>,
    /// The names by which a `Host` header may call this host, besides `localhost` and addresses.
    pub names: BTreeSet<String>,
}

/// What one client may use up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections open at once: some scrapers, dashboards and people, with room to spare.
    pub connections: usize,
    /// Time for the head of a request, and between two: longer than any client on a LAN needs.
    pub head: Duration,
    /// Life of a connection, which so bounds a client that does not read its answer.
    pub life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, head: Duration::from_secs(10), life: Duration::from_mins(1) }
    }
}

/// The HTTP server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    guard: Guard,
    limits: Limits,
}

impl Server {
    /// Opens the port.
    pub async fn bind(address: SocketAddr, site: Site, limits: Limits) -> Result<Self, HttpError> {
        let guard = Guard::new(&site.names);
        Self::open(address, route::router(site), guard, limits).await
    }

    /// Opens the port for an agent that cannot start.
    pub async fn bind_standby(address: SocketAddr, standby: Standby) -> Result<Self, HttpError> {
        let guard = Guard::new(&BTreeSet::from([standby.host.clone()]));
        Self::open(address, standby::router(standby), guard, Limits::default()).await
    }

    async fn open(
        address: SocketAddr,
        router: Router,
        guard: Guard,
        limits: Limits,
    ) -> Result<Self, HttpError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| HttpError::Bind { address, source })?;
        Ok(Self { listener, router, guard, limits })
    }

    /// Returns where it listens: the port that the system chose, if 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `cancel`; connections that are open then get a moment to finish.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), HttpError> {
        let Self { listener, router, guard, limits } = self;
        let guard = Arc::new(guard);
        let (places, refusals) =
            (Arc::new(Semaphore::new(limits.connections)), Arc::new(Semaphore::new(REFUSALS)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(failure) => {
                    // The client went away at once, or this process has no file left for it.
                    warn!(%failure, "cannot accept an HTTP connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                let client = Client { peer, limits, cancel: cancel.clone() };
                let (router, guard) = (router.clone(), Arc::clone(&guard));
                connections.spawn(async move {
                    client.serve(stream, router, guard).await;
                    drop(place);
                });
            } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                debug!(%peer, "too many HTTP connections");
                connections.spawn(async move {
                    refuse(stream).await;
                    drop(place);
                });
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(LAST_WORDS, all).await.is_err() {
            debug!("HTTP clients were cut off");
        }
        Ok(())
    }
}

/// One connection.
struct Client {
    peer: SocketAddr,
    limits: Limits,
    cancel: CancellationToken,
}

impl Client {
    async fn serve(self, stream: TcpStream, router: Router, guard: Arc<Guard>) {
        let own = stream.local_addr().map(|address| address.ip()).ok();
        let service =
            service_fn(move |request| answer(router.clone(), Arc::clone(&guard), own, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = either(sleep(self.limits.life), self.cancel.cancelled()) => {
                connection.as_mut().graceful_shutdown();
                timeout(LAST_WORDS, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(failure) = ended {
            debug!(peer = %self.peer, %failure, "an HTTP connection failed");
        }
    }
}

/// Answers one request.
async fn answer(
    router: Router,
    guard: Arc<Guard>,
    own: Option<IpAddr>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    // Requests that come in one piece are answered in one go otherwise, and a client that sends
    // thousands of them would keep the agent's other tasks and timers waiting.
    yield_now().await;
    let response = match guard.refusal(&request, own) {
        Some(refusal) => refusal,
        None => router.oneshot(request.map(Body::new)).await?,
    };
    Ok(route::harden(response))
}

async fn either(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    tokio::select! {
        () = first => {}
        () = second => {}
    }
}

/// Says why a connection is closed at once; who does not even read that is left alone.
async fn refuse(mut stream: TcpStream) {
    let farewell = async {
        stream.write_all(TOO_MANY.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread data would reset the connection before the client has read this.
        let mut request = [0; 1024];
        while stream.read(&mut request).await? > 0 {}
        io::Result::Ok(())
    };
    if let Ok(Err(failure)) = timeout(LAST_WORDS, farewell).await {
        debug!(%failure, "a refused HTTP client went away");
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(failure) = ended {
        error!(failure = &failure as &dyn Error, "an HTTP connection panicked");
    }
}

const TOO_MANY: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    connection: close\r\n\
    retry-after: 10\r\n\
    content-length: 60\r\n\r\n\
    too many connections are open: close some, or wait a minute\n";
/// The head of a request: a browser's is some 2 KiB; hyper wants at least 8.
const HEAD_MAX: usize = 16 << 10;
/// A browser sends some 20.
const HEADERS_MAX: usize = 64;
/// Connections that are being told that there are too many; beyond, they are just closed.
const REFUSALS: usize = 16;
/// To finish an answer that is under way: a page is written in milliseconds.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Keeps a lack of file descriptors from becoming a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
