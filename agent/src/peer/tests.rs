//! Real TLS over loopback, between agents, operators and strangers.

mod credentials;
mod refusals;
mod sessions;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use curfew_coordinator::HostName;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::convert::tests::full;
use super::*;
use crate::clock;
use crate::pki::{self, Subject};
use crate::test_directory::TestDirectory;

/// An authority in a directory of its own.
struct Authority {
    directory: TestDirectory,
    now: SystemTime,
}

impl Authority {
    fn new() -> Self {
        Self::of("home", SystemTime::now())
    }

    fn of(cluster: &str, now: SystemTime) -> Self {
        let directory = TestDirectory::new();
        pki::init(directory.path(), cluster, now).unwrap();
        Self { directory, now }
    }

    fn host(&self, name: &str) -> PathBuf {
        self.issue(Subject::Host(name.to_owned()))
    }

    fn operator(&self, name: &str) -> PathBuf {
        self.issue(Subject::Operator(name.to_owned()))
    }

    fn issue(&self, subject: Subject) -> PathBuf {
        pki::issue(self.directory.path(), subject, self.now).unwrap().directory
    }
}

/// A running agent's peers module; dropping it ends it.
struct Agent {
    address: SocketAddr,
    events: mpsc::Receiver<PeerEvent>,
    state: watch::Sender<Option<Arc<Outgoing>>>,
    status: watch::Receiver<PeersStatus>,
    counters: Arc<Counters>,
    _tasks: JoinSet<()>,
}

/// A port that an agent will listen on.
struct Place {
    name: &'static str,
    listener: TcpListener,
}

impl Place {
    async fn new(name: &'static str) -> Self {
        Self { name, listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn address(&self) -> PeerAddress {
        let address = self.listener.local_addr().unwrap();
        PeerAddress { name: HostName::from(self.name), address }
    }

    fn start(self, pki: &Path, peers: Vec<PeerAddress>) -> Agent {
        self.start_in("home", pki, peers)
    }

    fn start_in(self, cluster: &str, pki: &Path, peers: Vec<PeerAddress>) -> Agent {
        let address = self.address().address;
        let host = HostName::from(self.name);
        let config = PeersConfig {
            cluster: cluster.to_owned(),
            host,
            listen: address,
            peers,
            pki: pki.to_owned(),
        };
        let counters = Arc::new(Counters::new());
        let (state, outgoing) = watch::channel(Some(Arc::new(outgoing(self.name))));
        let (events_in, events) = mpsc::channel(64);
        let (peers, status) = Peers::new(config, outgoing, events_in, Arc::clone(&counters));
        let mut tasks = JoinSet::new();
        let listener = self.listener;
        tasks.spawn(async move {
            peers.run_on(server::Door::Open(listener), CancellationToken::new()).await.unwrap();
        });
        Agent { address, events, state, status, counters, _tasks: tasks }
    }
}

impl Agent {
    /// Waits for an event of which `pick` makes something.
    async fn event<T>(&mut self, pick: impl Fn(PeerEvent) -> Option<T>) -> T {
        let seen = async {
            loop {
                let event = self.events.recv().await.expect("the module runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        within(seen).await
    }

    async fn refusal(&mut self) -> Refusal {
        self.event(|event| {
            if let PeerEvent::Refused { refusal, .. } = event { Some(refusal) } else { None }
        })
        .await
    }

    async fn refusal_labelled(&mut self, label: &str) -> Refusal {
        loop {
            let refusal = self.refusal().await;
            if refusal.label() == label {
                return refusal;
            }
        }
    }

    async fn opened(&mut self, peer: &str) {
        self.event(|event| {
            matches!(event, PeerEvent::SessionOpened(opened) if opened.as_str() == peer)
                .then_some(())
        })
        .await;
    }

    async fn closed(&mut self, peer: &str) {
        self.event(|event| {
            matches!(event, PeerEvent::SessionClosed(closed) if closed.as_str() == peer)
                .then_some(())
        })
        .await;
    }

    async fn heard(&mut self, pick: impl Fn(&StateMessage) -> bool) -> StateMessage {
        self.event(|event| {
            let PeerEvent::Heard(message) = event else { return None };
            pick(&message).then(|| StateMessage::clone(&message))
        })
        .await
    }
}

fn outgoing(host: &str) -> Outgoing {
    Outgoing { message: full(host), composed_ms: clock::boot_ms() }
}

/// Waits, with a limit that only a failing test reaches.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it happens within 20 s")
}

/// Two agents that trust each other, with their PKI directories.
async fn pair(authority: &Authority) -> (Agent, Agent) {
    let (a, b) = (Place::new("k8s-1").await, Place::new("nfs").await);
    let (to_a, to_b) = (a.address(), b.address());
    let a = a.start(&authority.host("k8s-1"), vec![to_b]);
    let b = b.start(&authority.host("nfs"), vec![to_a]);
    (a, b)
}

#[expect(clippy::disallowed_methods, reason = "a test's own file needs no fsync")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
