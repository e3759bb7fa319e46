//! One connection to `upsd`: every wait bounded, every answer compared with its request.
//!
//! ```text
//!            call: marked before the first byte
//!   Usable ───────────────────────────────────► Spent ──► (drop the client, connect anew)
//!      ▲                                          │
//!      └────────── the answer is complete ────────┘
//! ```
//!
//! A call that failed half-way, passed its deadline or was cancelled leaves the connection spent:
//! the next call fails with [`ClientError::Spent`] instead of reading somebody else's answer.

mod call;
pub mod resolver;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::resolver::Resolver;
use crate::client::wire::Wire;
use crate::codec::answer::Answer;
use crate::codec::request::{Request, Secret};
use crate::error::ClientError;

pub use crate::client::call::{Acceptance, TrackingId, Verdict};

/// How long a connection may take, over all addresses, name lookup included: upsd on the local
/// network connects within milliseconds, a lost SYN is repeated after 1 s and 3 s.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long one answer may take, request and all rows: the measured worst case is 0.1 s, and a
/// reading is no longer fresh after 3 s.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How a client treats its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Name lookup, all addresses, and TLS when it comes.
    pub connect: Duration,
    /// One request with its complete answer.
    pub answer: Duration,
    /// Whether to acknowledge at once (Linux). Off only to measure what it saves.
    pub quick_acknowledge: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: CONNECT_LIMIT, answer: ANSWER_LIMIT, quick_acknowledge: true }
    }
}

/// Who gives orders to `upsd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// The name in `upsd.users`.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// One connection to `upsd`.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    limits: Limits,
    is_spent: bool,
}

impl Client {
    /// Looks the server up and connects to the first address that takes it.
    pub async fn connect(resolver: &Resolver, limits: Limits) -> Result<Self, ClientError> {
        let deadline = Instant::now() + limits.connect;
        // A hung lookup must leave time to use the addresses that were known last.
        let addresses = resolver.resolve(limits.connect / 2).await.map_err(|source| {
            ClientError::Lookup { server: resolver.server().to_string(), source }
        })?;
        let stream =
            connect_any(&addresses, deadline).await.map_err(|(address, source)| match address {
                Some(address) => ClientError::Connect { address, source },
                None => ClientError::Lookup { server: resolver.server().to_string(), source },
            })?;
        // STARTTLS comes here, before anything else is sent and under the same deadline: ask, wait
        // for OK, drop the connection unless the wire is drained, then the handshake; on any
        // failure close, because a silent client freezes some servers for everybody.
        let wire = Wire::new(stream, limits.quick_acknowledge);
        Ok(Self { wire, limits, is_spent: false })
    }

    /// Sends a request and returns its answer. After an `Err` other than `Refused` and `Encode`,
    /// and after being cancelled, the connection is spent.
    pub async fn call(&mut self, request: &Request) -> Result<Answer, ClientError> {
        if self.is_spent {
            return Err(ClientError::Spent);
        }
        let keywords = request.keywords();
        let encoded = request.encode();
        let line = encoded.map_err(|source| ClientError::Encode { request: keywords, source })?;
        self.is_spent = true;
        if !self.wire.is_drained() {
            return Err(ClientError::Unasked { request: keywords });
        }
        let limit = self.limits.answer;
        let Ok(outcome) = timeout(limit, self.wire.exchange(request, &line)).await else {
            return Err(ClientError::Deadline { request: keywords, limit });
        };
        let answer = outcome?;
        self.is_spent = false;
        match answer {
            Answer::Refused(code) => Err(ClientError::Refused { request: keywords, code }),
            Answer::Text(_) | Answer::Done(_) | Answer::Values(_) | Answer::Rows(_) => Ok(answer),
        }
    }

    /// Returns whether the connection cannot be used any more.
    pub fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Returns the address of the server.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.wire.peer()
    }
}

/// Tries all addresses; each gets an equal share of the time that is left, so that one that
/// swallows everything does not starve the others.
async fn connect_any(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, (Option<SocketAddr>, io::Error)> {
    let mut failure = (None, io::ErrorKind::NotFound.into());
    let mut remaining = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.duration_since(Instant::now()) / remaining.max(1);
        remaining = remaining.saturating_sub(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = (Some(*address), error),
            Err(_) => failure = (Some(*address), io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failure)
}
