//! One outgoing connection: TCP, TLS and HTTP/2, each with its deadline.

mod witness;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use curfew_proto::v1::peer_client::PeerClient;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::witness::{Remembered, Witness};
use super::credentials::{Credentials, CredentialsError};
use super::refusal::Refusal;
use super::tls::{Expect, Usage};
use super::{HANDSHAKE_DEADLINE, KEEPALIVE_DEADLINE, KEEPALIVE_EVERY, MESSAGE_MAX};
use crate::grpc::Sender;
use crate::pki::Certificate;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody answers at that address.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// It did not become a connection in time.
    #[error("{address} does not answer in time")]
    Deadline {
        /// The address.
        address: SocketAddr,
    },
    /// One side does not believe the other.
    #[error("no session with {address}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: Refusal,
    },
    /// The TLS handshake broke off.
    #[error("the TLS handshake with {address} broke off")]
    Handshake {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// HTTP/2 did not begin.
    #[error("{address} does not speak HTTP/2")]
    Http {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: hyper::Error,
    },
    /// Our own certificates cannot be used.
    #[error("cannot call {address}")]
    Configure {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: CredentialsError,
    },
}

/// An open connection; dropping it ends it.
#[derive(Debug)]
pub(super) struct Link {
    /// To call the other side.
    pub(super) grpc: PeerClient<Sender>,
    /// What its certificate says.
    pub(super) certificate: Certificate,
    chain: Vec<CertificateDer<'static>>,
    sender: http2::SendRequest<tonic::body::Body>,
    remembered: Remembered,
    /// The task that moves the bytes; it ends with the connection.
    pump: JoinSet<Result<(), hyper::Error>>,
}

impl Link {
    /// Connects to `address`, where `expect` should be.
    pub(super) async fn open(
        address: SocketAddr,
        credentials: &Credentials,
        expect: &Expect,
    ) -> Result<Self, LinkError> {
        let late = |_| LinkError::Deadline { address };
        let config = credentials
            .client(expect.clone())
            .map_err(|source| LinkError::Configure { address, source })?;
        let tcp = timeout(CONNECT_DEADLINE, TcpStream::connect(address))
            .await
            .map_err(late)?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| LinkError::Connect { address, source })?;
        // The name is an address, so none is sent; who answers is checked by the certificate.
        let name = ServerName::IpAddress(address.ip().into());
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        let stream =
            timeout(HANDSHAKE_DEADLINE, handshake).await.map_err(late)?.map_err(|source| {
                match Refusal::among_causes(&source) {
                    Some(source) => LinkError::Refused { address, source },
                    None => LinkError::Handshake { address, source },
                }
            })?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let certificate = credentials
            .verify(Some(&chain), Usage::Server, expect)
            .map_err(|source| LinkError::Refused { address, source })?;
        let (stream, remembered) = Witness::new(stream);
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_DEADLINE)
            .keep_alive_while_idle(true)
            .max_send_buf_size(MESSAGE_MAX)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = timeout(HANDSHAKE_DEADLINE, handshake)
            .await
            .map_err(late)?
            .map_err(|source| LinkError::Http { address, source })?;
        let mut pump = JoinSet::new();
        pump.spawn(connection);
        let grpc = PeerClient::with_origin(Sender(sender.clone()), hyper::Uri::from_static(ORIGIN))
            .max_decoding_message_size(MESSAGE_MAX);
        Ok(Self { grpc, certificate, chain, sender, remembered, pump })
    }

    /// Checks the certificate of the other side anew, as by `credentials` now.
    pub(super) fn check(&self, credentials: &Credentials, expect: &Expect) -> Result<(), Refusal> {
        credentials.verify(Some(&self.chain), Usage::Server, expect).map(|_| ())
    }

    /// Says whether the connection can be used.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until the connection has ended. Cancel safe.
    pub(super) async fn ended(&mut self) {
        // How it ended is in `refusal`, or is that it ended.
        drop(self.pump.join_next().await);
    }

    /// Returns why the other side refused us, if it has.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.remembered.get().cloned()
    }
}

/// HTTP/2 wants an authority; whom we talk to is settled by the certificate.
const ORIGIN: &str = "https://curfew";
/// Enough for a lost SYN, which is repeated after a second.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
