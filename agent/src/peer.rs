//! What the agents say to each other, over gRPC and mutual TLS.
//!
//! Reading order: [`PeerEvent`] and [`Outgoing`] are the seam to the app; `refusal` has every
//! reason for which somebody is not listened to; `tls` decides who is believed, `credentials`
//! keeps the certificates fresh; `server` listens, `client` tells (one task per peer, over a
//! `link`), `session` is the one owner of what both find out; `convert` guards the coordinator
//! against foreign input; `operator` is the other end of a command.
//!
//! ```text
//!   state (watch) ──► client ──── Tell, 1/s and on change ────► server of the peer
//!                        │ Acked, Ended, Refused                       │
//!                        ▼                                             │
//!   app ◄─ PeerEvent ─ session ◄── Heard, Ended, Refused, Commanded ───┘ (our own server)
//! ```
//!
//! Each direction is a connection of its own, and either keeps the session open. A state is never
//! queued: a client sends the newest and forgets the others. Times left are made true at the
//! moment of sending: [`Outgoing`] carries the boot clock at which its message was composed, and
//! each sending takes off what has passed since. That keeps the app's state immutable and shared
//! by all clients, where a closure would be called by each of them while the owner of the state
//! is busy.
//!
//! Everything has a limit: connections, handshakes, message sizes, queues, deadlines.

mod believed;
mod client;
mod convert;
mod credentials;
mod link;
mod operator;
mod refusal;
mod revoked;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod tls;
pub mod wire;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{Command, HostName, StateMessage};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::metrics::Counters;

pub use self::convert::{ADDRESSES_MAX, DecodeError, HOSTS_MAX};
pub use self::credentials::{Credentials, CredentialsError, CredentialsState, Holder};
pub use self::link::LinkError;
pub use self::operator::{OperatorError, command};
pub use self::refusal::Refusal;
pub use self::revoked::{Revoked, RevokedError};
pub use self::session::{ActiveRefusal, Deaf, PeersStatus, Reach, Unreached};

/// What the peers module finds out.
#[derive(Debug)]
pub enum PeerEvent {
    /// A peer was heard for the first time over an authenticated connection.
    SessionOpened(HostName),
    /// A peer's state arrived; its certificate is that of the host in it.
    Heard(Arc<StateMessage>),
    /// All connections with a peer ended, or it was silent on them.
    SessionClosed(HostName),
    /// Somebody was refused, or refused us.
    Refused {
        /// Where.
        address: IpAddr,
        /// Who, where that is known.
        peer: Option<HostName>,
        /// Why.
        refusal: Refusal,
    },
    /// An operator gave a command; dropping `reply` answers that the agent is busy.
    CommandReceived {
        /// Who, by their certificate.
        operator: String,
        /// What.
        command: OperatorCommand,
        /// Where the answer goes, within [`COMMAND_DEADLINE`].
        reply: oneshot::Sender<CommandAnswer>,
    },
}

/// What an operator can ask of an agent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OperatorCommand {
    /// Something for the coordinator.
    Coordinator(Command),
    /// The status.
    GetStatus,
    /// To boot a host again, outside of any shutdown.
    Reboot {
        /// The host.
        host: HostName,
        /// Without moving its pods away, and though others use its files.
        force: bool,
    },
}

/// The answer to an operator.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CommandAnswer {
    /// Whether the command was accepted.
    pub is_accepted: bool,
    /// What happens now, or why not.
    pub sentence: String,
    /// To [`OperatorCommand::GetStatus`]: the document of `/api/v1/status`.
    pub status_json: String,
    /// To [`OperatorCommand::Reboot`] for another host than the one that answers: where its agent
    /// is.
    pub agent: Option<String>,
    /// To [`OperatorCommand::Reboot`], if it was accepted.
    pub rebooting: Option<Rebooting>,
}

/// How a host boots again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rebooting {
    /// Where its status can be seen over HTTP.
    pub status_at: String,
    /// It powers off: one of these agents has to wake it. None if it boots by itself.
    pub wakers: Vec<String>,
}

/// The state to tell, and when it was composed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The state, with ages and times left as of `composed_ms`.
    pub message: StateMessage,
    /// When, on the boot clock in milliseconds ([`crate::clock::boot_ms`]).
    pub composed_ms: u64,
}

impl Outgoing {
    /// Returns the message as it reads now, by the boot clock.
    fn at(&self, now_ms: u64) -> StateMessage {
        let by = Duration::from_millis(now_ms.saturating_sub(self.composed_ms));
        self.message.clone().aged(by)
    }
}

/// A peer to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerAddress {
    /// Its name in the cluster file, and so in its certificate.
    pub name: HostName,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What the peers module must know.
#[derive(Clone, Debug)]
pub struct PeersConfig {
    /// The cluster.
    pub cluster: String,
    /// This host.
    pub host: HostName,
    /// Where to listen.
    pub listen: SocketAddr,
    /// All other hosts of the cluster file.
    pub peers: Vec<PeerAddress>,
    /// The directory with the certificates.
    pub pki: PathBuf,
}

/// Why the peers module cannot go on; it can be started again.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// A part ended that should not.
    #[error("a task of the peers module ended")]
    Task(#[source] JoinError),
}

/// The peers module, ready to run.
#[derive(Debug)]
pub struct Peers {
    config: PeersConfig,
    state: watch::Receiver<Option<Arc<Outgoing>>>,
    events: mpsc::Sender<PeerEvent>,
    status: watch::Sender<PeersStatus>,
    counters: Arc<Counters>,
}

impl Peers {
    /// Tells `state` to all peers and reports to `events`, which should be read within a second;
    /// counts refusals in `counters`.
    pub fn new(
        config: PeersConfig,
        state: watch::Receiver<Option<Arc<Outgoing>>>,
        events: mpsc::Sender<PeerEvent>,
        counters: Arc<Counters>,
    ) -> (Self, watch::Receiver<PeersStatus>) {
        let (status, receiver) = watch::channel(PeersStatus::default());
        (Self { config, state, events, status, counters }, receiver)
    }

    /// Listens and tells until cancelled.
    ///
    /// A port that is taken keeps nobody from being told: it is tried again and again.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), PeersError> {
        let door = server::Door::At(self.config.listen);
        self.run_on(door, cancel).await
    }

    async fn run_on(self, door: server::Door, cancel: CancellationToken) -> Result<(), PeersError> {
        let Self { config, state, events, status, counters } = self;
        // Ended here, too, if this future is dropped or a part fails.
        let cancel = cancel.child_token();
        let _end_all = cancel.clone().drop_guard();
        let holder =
            Holder::Host { cluster: config.cluster.clone(), host: config.host.to_string() };
        let (reloader, credentials) = credentials::Reloader::new(config.pki.clone(), holder);
        let (facts, fact_queue) = mpsc::channel(FACT_QUEUE_LEN);
        let me = Arc::new(Me { cluster: config.cluster.clone(), host: config.host.clone() });

        let mut tasks = JoinSet::new();
        tasks.spawn(reloader.run(cancel.clone()));
        let sessions =
            session::Sessions::new(fact_queue, events, credentials.clone(), status, counters);
        tasks.spawn(sessions.run(cancel.clone()));
        let hosts: BTreeSet<_> = config.peers.iter().map(|peer| peer.name.to_string()).collect();
        let server = server::Server::new(&me, hosts, credentials.clone(), facts.clone());
        tasks.spawn(server.run(door, cancel.clone()));
        for peer in config.peers {
            let client = client::Client::new(
                peer,
                Arc::clone(&me),
                state.clone(),
                credentials.clone(),
                facts.clone(),
            );
            tasks.spawn(client.run(cancel.clone()));
        }
        drop(facts);

        // The first that ends, by cancellation or by a bug, ends all.
        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            cancel.cancel();
            if let Err(error) = ended {
                outcome = Err(PeersError::Task(error));
            }
        }
        outcome
    }
}

/// Who we are.
#[derive(Debug)]
struct Me {
    cluster: String,
    host: HostName,
}

/// Writes an error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing into a String cannot fail.
        write!(text, ": {error}").unwrap_or_default();
        cause = error.source();
    }
    text
}

/// How long the app may take to answer an operator.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(5);
/// Largest message, either way: a cluster of three needs 2 KiB, one of the largest size less than
/// this unless every host mounts from every other.
const MESSAGE_MAX: usize = 256 * 1024;
/// Facts waiting for the owner of the sessions: a beat of a large cluster.
const FACT_QUEUE_LEN: usize = 64;
/// How long a TLS handshake may take, over a home network and on a busy machine.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);
/// Silence on a connection after which the other end is asked whether it is there.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer that.
const KEEPALIVE_DEADLINE: Duration = Duration::from_secs(3);
