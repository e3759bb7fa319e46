//! Evidence of life of other hosts, and of the link that the evidence comes by.
//!
//! Once a second every watched host is asked by TCP and ping, and the interfaces that lead to the
//! peers are looked at. This driver tells what it saw; what silence proves is decided elsewhere.
//! One probe is a task of less than a second, at most one per host at a time, so that a slow one
//! delays no other; an event queue that is full delays the next probes and loses none.
//!
//! Everything works unprivileged but ping, which needs a group in `net.ipv4.ping_group_range` or
//! `CAP_NET_RAW`. Without both the kernel's neighbour table stands in for it, which remembers a
//! dead host for up to a minute. Hosts with IPv6 addresses are asked by TCP only.
//!
//! ```text
//! watched ──► run ──► probes (one task per host) ──┐
//!              └────► look at the link (one task) ─┴──► events
//! ```

mod link;
mod ping;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::link::LinkWatch;

/// The hosts to watch by name, each with the address of its peer port.
pub type Watched = BTreeMap<String, SocketAddr>;

/// What was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NetworkEvent {
    /// One look at a watched host is done.
    HostProbed {
        /// The host.
        host: String,
        /// What answered.
        answer: Answer,
    },
    /// One look at the link to the peers is done.
    LinkSeen(Link),
}

/// What answered a look at a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Its TCP stack: it accepted or refused.
    Tcp,
    /// Ping.
    Ping,
    /// Only the neighbour table knows it, and ping cannot be sent.
    Arp,
    /// Nothing.
    Silent,
    /// The look could not be taken, such as without a route.
    Unknown,
}

/// The interfaces that lead to the peers: with several of them the worst counts, and absent is
/// unknown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// Whether there is carrier.
    pub carrier: Option<bool>,
    /// Whether a frame was received since the last look, which only another sender can have sent;
    /// absent on the loopback, which hears itself.
    pub frame_heard: Option<bool>,
    /// Whether the default gateway on this link answered; absent if there is none.
    pub gateway_answered: Option<bool>,
}

/// Where the kernel's files stand.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Usually `/proc`.
    pub proc: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
}

/// Watches hosts and the link to them.
#[derive(Clone, Debug)]
pub struct Network {
    paths: Paths,
    peers: BTreeSet<IpAddr>,
    every: Duration,
}

/// What a task of the driver has brought.
enum Done {
    Host(String, Answer),
    Link(LinkWatch, Link),
}

impl Network {
    /// Takes the addresses of all peers: the link is the one that leads to them.
    pub fn new(paths: Paths, peers: BTreeSet<IpAddr>) -> Self {
        Self { paths, peers, every: PROBE_EVERY }
    }

    /// Looks `factor` times as often, as a rehearsal does whose limits are that much shorter.
    #[must_use]
    pub fn sped_up(self, factor: u32) -> Self {
        Self { every: PROBE_EVERY / factor.max(1), ..self }
    }

    /// Takes one look at one host, in less than a second.
    pub async fn look(&self, address: SocketAddr) -> Answer {
        probe::host(&self.paths.proc, address).await
    }

    /// Probes until cancelled, or until nobody listens. The set of hosts may change at any time;
    /// while it is empty nobody asks for the link either.
    pub async fn run(
        self,
        watched: watch::Receiver<Watched>,
        events: mpsc::Sender<NetworkEvent>,
        cancel: CancellationToken,
    ) -> Result<(), Infallible> {
        report_ping();
        let mut probes = Probes {
            link: Some(LinkWatch::new(self.paths.clone(), self.peers)),
            is_link_late: false,
            paths: self.paths,
            busy: BTreeSet::new(),
            tasks: JoinSet::new(),
        };
        let mut beats = interval(self.every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                _ = beats.tick() => probes.begin(&watched.borrow().clone()),
                Some(done) = probes.tasks.join_next() => {
                    probes.finish(joined(done), &watched.borrow())
                }
            };
            let Some(event) = event else { continue };
            let sent = cancel.run_until_cancelled(events.send(event)).await;
            if !matches!(sent, Some(Ok(()))) {
                return Ok(());
            }
        }
    }
}

/// The tasks that are under way.
struct Probes {
    paths: Paths,
    /// Absent while a task looks at the link.
    link: Option<LinkWatch>,
    /// The look at the link was not over at the last beat.
    is_link_late: bool,
    busy: BTreeSet<String>,
    tasks: JoinSet<Done>,
}

impl Probes {
    /// Begins the looks of one beat. A look at the link that takes all of a beat is an unknown
    /// link; one that ends just behind a beat, as it may when the gateway is dead, is not.
    fn begin(&mut self, watched: &Watched) -> Option<NetworkEvent> {
        if watched.is_empty() {
            // The silence of nobody is judged, so nobody asks whether the link would carry it.
            return None;
        }
        for (host, &address) in watched {
            if self.busy.insert(host.clone()) {
                let (host, proc) = (host.clone(), self.paths.proc.clone());
                self.tasks.spawn(async move {
                    let answer = probe::host(&proc, address).await;
                    Done::Host(host, answer)
                });
            }
        }
        let Some(link) = self.link.take() else {
            let is_unknown = std::mem::replace(&mut self.is_link_late, true);
            return is_unknown.then(|| NetworkEvent::LinkSeen(Link::default()));
        };
        self.tasks.spawn(async move {
            let (link, seen) = link.look().await;
            Done::Link(link, seen)
        });
        None
    }

    fn finish(&mut self, done: Done, watched: &Watched) -> Option<NetworkEvent> {
        match done {
            Done::Host(host, answer) => {
                self.busy.remove(&host);
                let is_watched = watched.contains_key(&host);
                is_watched.then_some(NetworkEvent::HostProbed { host, answer })
            }
            Done::Link(link, seen) => {
                self.link = Some(link);
                self.is_link_late = false;
                Some(NetworkEvent::LinkSeen(seen))
            }
        }
    }
}

/// A probe that panics is a bug of this driver and ends it; the supervisor restarts it.
fn joined<T>(done: Result<T, JoinError>) -> T {
    done.unwrap_or_else(|lost| resume_unwind(lost.into_panic()))
}

fn report_ping() {
    match ping::Socket::open() {
        Ok(socket) => info!(socket = socket.kind(), "hosts are pinged"),
        Err(denied) => warn!(
            %denied,
            "hosts cannot be pinged, so ARP stands in: allow the group of the agent in \
             net.ipv4.ping_group_range, or give it CAP_NET_RAW"
        ),
    }
}

/// "Off" takes 5 s of silence: five probes.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A probe is over before the next begins.
const PROBE_LIMIT: Duration = Duration::from_millis(900);
