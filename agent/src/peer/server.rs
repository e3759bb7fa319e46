//! Listens to peers and operators: accepts, shakes hands, checks, and passes on what they say.

mod service;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::HostName;
use curfew_proto::v1::peer_server::PeerServer;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service as _;
use tonic::{Code, Status};
use tracing::{debug, error, warn};

use self::service::{Caller, PeerService};
use super::believed::Believed;
use super::credentials::CredentialsState;
use super::refusal::Refusal;
use super::session::{Connection, Deaf, Direction, Fact};
use super::tls::{Expect, Usage};
use super::{HANDSHAKE_DEADLINE, KEEPALIVE_DEADLINE, KEEPALIVE_EVERY, MESSAGE_MAX, Me};

/// What every connection needs.
#[derive(Debug)]
struct Shared {
    me: Arc<Me>,
    hosts: Arc<BTreeSet<String>>,
    credentials: watch::Receiver<CredentialsState>,
    facts: mpsc::Sender<Fact>,
}

/// Where callers come in.
#[derive(Debug)]
pub(super) enum Door {
    /// It is open already.
    #[cfg(test)]
    Open(TcpListener),
    /// It is to be opened.
    At(SocketAddr),
}

/// Accepts connections.
#[derive(Debug)]
pub(super) struct Server {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
}

impl Server {
    /// Serves those of `hosts` and operators.
    pub(super) fn new(
        me: &Arc<Me>,
        hosts: BTreeSet<String>,
        credentials: watch::Receiver<CredentialsState>,
        facts: mpsc::Sender<Fact>,
    ) -> Self {
        let places = CONNECTIONS_PER_HOST * hosts.len() + CONNECTIONS_BESIDES;
        let (me, hosts) = (Arc::clone(me), Arc::new(hosts));
        let shared = Arc::new(Shared { me, hosts, credentials, facts });
        Self { shared, places: Arc::new(Semaphore::new(places)) }
    }

    /// Listens and accepts until cancelled.
    pub(super) async fn run(self, door: Door, cancel: CancellationToken) {
        let listener = match door {
            #[cfg(test)]
            Door::Open(listener) => Some(listener),
            Door::At(address) => cancel.run_until_cancelled(self.open(address)).await,
        };
        if let Some(listener) = listener {
            self.accept(listener, cancel).await;
        }
    }

    /// Tries until the port is ours.
    async fn open(&self, address: SocketAddr) -> TcpListener {
        let mut told = None;
        loop {
            let failed = match TcpListener::bind(address).await {
                Ok(listener) => {
                    self.shared.listened(Ok(())).await;
                    return listener;
                }
                Err(failed) => failed,
            };
            if told.replace(failed.kind()) != Some(failed.kind()) {
                error!(%address, %failed, "cannot listen for peers");
                let (kind, why) = (failed.kind(), failed.to_string());
                self.shared.listened(Err(Deaf { at: address, kind, why })).await;
            }
            sleep(BIND_PAUSE).await;
        }
    }

    async fn accept(self, listener: TcpListener, cancel: CancellationToken) {
        let mut connections = JoinSet::new();
        let mut numbers = 0..;
        loop {
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = listener.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        warn!(%error, "a connection's task failed");
                    }
                    continue;
                }
            };
            let (stream, address) = match accepted {
                Ok((stream, address)) => (stream, address.ip()),
                Err(error) => {
                    // Out of descriptors, most likely: it passes, and must not spin until then.
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                self.shared.refuse(address, None, Refusal::TooManyConnections).await;
                continue;
            };
            let visit = Visit {
                shared: Arc::clone(&self.shared),
                address,
                number: numbers.next().unwrap_or(u64::MAX),
                _place: place,
            };
            let cancel = cancel.clone();
            connections.spawn(async move {
                cancel.run_until_cancelled(visit.run(stream)).await;
            });
        }
    }
}

impl Shared {
    async fn listened(&self, outcome: Result<(), Deaf>) {
        // The owner of the sessions ends only when all of us do.
        drop(self.facts.send(Fact::Listened(outcome)).await);
    }

    async fn refuse(&self, address: IpAddr, peer: Option<HostName>, refusal: Refusal) {
        // The owner of the sessions ends only when all of us do.
        drop(self.facts.send(Fact::Refused { address, peer, refusal }).await);
    }
}

/// One connection, from accept to end.
struct Visit {
    shared: Arc<Shared>,
    address: IpAddr,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Visit {
    async fn run(self, stream: TcpStream) {
        let (stream, caller) = match self.shake_hands(stream).await {
            Ok(Some(accepted)) => accepted,
            Ok(None) => return,
            Err(refusal) => return self.shared.refuse(self.address, None, refusal).await,
        };
        let caller = Arc::new(caller);
        let connection = caller.host().map(|peer| Connection {
            peer,
            direction: Direction::In,
            number: self.number,
        });
        if let Err(error) = serve(stream, &self.shared, &caller).await {
            debug!(address = %self.address, error = super::chain(&error), "connection ended");
        }
        if let Some(connection) = connection {
            drop(self.shared.facts.send(Fact::Ended(connection)).await);
        }
    }

    /// Shakes hands; none if the other side just left, as a probe of the port does, or if this
    /// host has no certificates yet.
    async fn shake_hands(
        &self,
        stream: TcpStream,
    ) -> Result<Option<(TlsStream<TcpStream>, Caller)>, Refusal> {
        let Some(credentials) = self.shared.credentials.borrow().current.clone() else {
            return Ok(None);
        };
        let hosts = Arc::clone(&self.shared.hosts);
        let config = match credentials.server(Arc::clone(&hosts)) {
            Ok(config) => config,
            Err(error) => {
                warn!(error = super::chain(&error), "cannot answer a peer");
                return Ok(None);
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
        let stream = match timeout(HANDSHAKE_DEADLINE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return match Refusal::among_causes(&error) {
                    Some(refusal) => Err(refusal),
                    None => Ok(None),
                };
            }
            Err(_) => return Err(Refusal::HandshakeTimeout),
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let certificate =
            credentials.verify(Some(&chain), Usage::Client, &Expect::Caller(hosts))?;
        let believed = Believed::default();
        let caller =
            Caller { address: self.address, number: self.number, chain, certificate, believed };
        Ok(Some((stream, caller)))
    }
}

async fn serve(
    stream: TlsStream<TcpStream>,
    shared: &Arc<Shared>,
    caller: &Arc<Caller>,
) -> Result<(), hyper::Error> {
    let service = PeerService { shared: Arc::clone(shared), caller: Arc::clone(caller) };
    let grpc = PeerServer::new(service).max_decoding_message_size(MESSAGE_MAX);
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let mut grpc = grpc.clone();
        let (shared, caller) = (Arc::clone(shared), Arc::clone(caller));
        async move {
            let response = grpc.call(request).await?;
            if let Some(refusal) = unreadable(response.headers()) {
                shared.refuse(caller.address, caller.host(), refusal).await;
            }
            Ok::<_, Infallible>(response)
        }
    });
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_DEADLINE)
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .max_header_list_size(HEADERS_MAX)
        .max_send_buf_size(MESSAGE_MAX)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

/// Recognises the answers that tonic gives by itself to a message that is too large or that it
/// cannot decode: our own service uses other codes.
fn unreadable(headers: &hyper::HeaderMap) -> Option<Refusal> {
    let status = Status::from_header_map(headers)?;
    let is_unreadable = [Code::OutOfRange, Code::Internal, Code::ResourceExhausted];
    is_unreadable
        .contains(&status.code())
        .then(|| Refusal::Unreadable(status.message().chars().take(REASON_SHOWN_LEN).collect()))
}

/// A port is taken by another agent, which ends within seconds, or for good.
const BIND_PAUSE: Duration = Duration::from_secs(2);

/// A peer's connection, and a new one of it before the old one is noticed to be dead.
const CONNECTIONS_PER_HOST: usize = 2;
/// Operators, probes, and strangers in their handshake.
const CONNECTIONS_BESIDES: usize = 16;
/// A peer needs one, an operator too.
const CALLS_PER_CONNECTION: u32 = 4;
/// gRPC sends a few hundred bytes.
const HEADERS_MAX: u32 = 8 * 1024;
/// So that a message of the largest size passes without waiting for the receiver.
const WINDOW: u32 = 256 * 1024;
/// How much of a reason is repeated.
const REASON_SHOWN_LEN: usize = 200;
/// Until the next try to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
