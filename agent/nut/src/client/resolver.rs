//! Names to addresses, without blocking the runtime and without piling up threads.
//!
//! `getaddrinfo` runs on a blocking thread and cannot be cancelled. So at most one lookup runs at a
//! time: who comes while it hangs waits for the same one, and after the deadline goes on with the
//! addresses that were known last. Who owns the runtime ends it with `shutdown_timeout`, since a
//! plain drop would wait for that thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// NUT's port.
pub const PORT: u16 = 3493;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// A server as configured: `host`, `host:port`, `[address]:port` or an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A text does not name a server.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ServerError {
    /// The host is empty or has characters that no host has.
    #[error("the host must be a name or an address, as in nfs:3493 or [fd00::1]:3493")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: address.to_string(), port: PORT });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let port = nonzero(address.port())?;
            return Ok(Self { host: address.ip().to_string(), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => {
                (host, nonzero(port.parse().map_err(|_refused| ServerError::Port)?)?)
            }
            None => (text, PORT),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(is_name) {
            return Err(ServerError::Host);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

fn nonzero(port: u16) -> Result<u16, ServerError> {
    if port == 0 { Err(ServerError::Port) } else { Ok(port) }
}

/// Looks one server up; its clones share the lookup that runs and the addresses known last.
#[derive(Clone, Debug)]
pub struct Resolver {
    server: Server,
    shared: Arc<Mutex<Lookups>>,
}

#[derive(Debug, Default)]
struct Lookups {
    running: JoinSet<io::Result<Vec<SocketAddr>>>,
    known: Vec<SocketAddr>,
}

impl Resolver {
    /// Resolves this server.
    pub fn new(server: Server) -> Self {
        Self { server, shared: Arc::default() }
    }

    /// Returns the server as configured.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the addresses to try, at least one, at the deadline at the latest.
    ///
    /// Cancel safe: a lookup that still runs is found by the next call.
    pub async fn resolve(&self, limit: Duration) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.server.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.server.port)]);
        }
        let deadline = Instant::now() + limit;
        let Ok(mut lookups) = timeout_at(deadline, self.shared.lock()).await else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        // What a late lookup found is old news; only its place is needed.
        while let Some(late) = lookups.running.try_join_next() {
            lookups.remember(late.map_err(io::Error::other).flatten());
        }
        if lookups.running.is_empty() {
            let target = (self.server.host.clone(), self.server.port);
            lookups.running.spawn(async move {
                let found = tokio::net::lookup_host(target).await?;
                Ok(found.take(MAX_ADDRESSES).collect())
            });
        }
        // The mutex stays locked at most until the deadline; another caller has the same one.
        let outcome = match timeout_at(deadline, lookups.running.join_next()).await {
            Ok(Some(found)) => found.map_err(io::Error::other).flatten(),
            Ok(None) | Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let failure = lookups.remember(outcome);
        if lookups.known.is_empty() {
            return Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()));
        }
        Ok(lookups.known.clone())
    }
}

impl Lookups {
    /// Keeps what was found; returns the failure if nothing was.
    fn remember(&mut self, outcome: io::Result<Vec<SocketAddr>>) -> Option<io::Error> {
        match outcome {
            Ok(found) if found.is_empty() => Some(io::ErrorKind::NotFound.into()),
            Ok(found) => {
                self.known = found;
                None
            }
            Err(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_names_or_addresses_with_a_port() {
        let cases = [
            ("10.0.0.13:3493", Ok(("10.0.0.13", 3493))),
            ("10.0.0.13", Ok(("10.0.0.13", PORT))),
            ("nfs", Ok(("nfs", PORT))),
            ("nfs.home.lan:34930", Ok(("nfs.home.lan", 34930))),
            ("[fd00::1]:99", Ok(("fd00::1", 99))),
            ("fd00::1", Ok(("fd00::1", PORT))),
            ("", Err(ServerError::Host)),
            (":3493", Err(ServerError::Host)),
            ("eaton@nfs", Err(ServerError::Host)),
            ("nfs:", Err(ServerError::Port)),
            ("nfs:0", Err(ServerError::Port)),
            ("nfs:99999", Err(ServerError::Port)),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(host, port)| Server { host: host.to_owned(), port });
            assert_eq!(text.parse::<Server>(), expected, "{text}");
        }
    }

    #[test]
    fn a_server_is_shown_as_it_is_read() {
        for text in ["[fd00::1]:99", "nfs:3493", "10.0.0.13:1"] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), text);
        }
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        let resolver = Resolver::new("127.0.0.1:9".parse().unwrap());
        let found = resolver.resolve(Duration::ZERO).await.unwrap();
        assert_eq!(found, ["127.0.0.1:9".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_hanging_lookup_is_not_started_twice_and_known_addresses_serve_meanwhile() {
        let resolver = Resolver::new("some-host".parse().unwrap());
        let known: SocketAddr = "127.0.0.1:9".parse().unwrap();
        {
            let mut lookups = resolver.shared.lock().await;
            lookups.running.spawn(std::future::pending());
            lookups.known = vec![known];
        }
        for _ in 0..3 {
            let found = resolver.resolve(Duration::from_millis(1)).await.unwrap();
            assert_eq!(found, [known]);
            assert_eq!(resolver.shared.lock().await.running.len(), 1);
        }
    }
}
