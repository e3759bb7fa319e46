//! The one owner of what is known of the connections: who can be heard, and who is refused.
//!
//! A session with a peer is open while one of two connections is: the one over which it tells us
//! (each message counts) or the one over which we tell it (each acknowledgement counts). It closes
//! at once when the last of them ends, or when both have been silent for [`SILENCE`].

mod reach;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{HostName, StateMessage};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::reach::Way;
pub use self::reach::{Reach, Unreached};
use super::credentials::CredentialsState;
use super::refusal::Refusal;
use super::{CommandAnswer, OperatorCommand, PeerEvent};
use crate::metrics::Counters;
use crate::pki::Validity;

/// What the connections report.
#[derive(Debug)]
pub(super) enum Fact {
    /// A peer told its state, from this address.
    Heard { connection: Connection, from: IpAddr, message: Arc<StateMessage>, validity: Validity },
    /// A peer acknowledged ours.
    Acked { connection: Connection, validity: Validity },
    /// A connection ended.
    Ended(Connection),
    /// Nobody could be called where a peer should be, for this reason.
    Unreached { peer: HostName, why: String },
    /// Somebody was refused, or refused us.
    Refused { address: IpAddr, peer: Option<HostName>, refusal: Refusal },
    /// We listen, or cannot, for this reason.
    Listened(Result<(), Deaf>),
    /// An operator gave a command.
    Commanded {
        operator: String,
        command: OperatorCommand,
        reply: tokio::sync::oneshot::Sender<CommandAnswer>,
    },
}

/// One connection with a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Connection {
    pub(super) peer: HostName,
    pub(super) direction: Direction,
    /// Rises with each connection of this direction.
    pub(super) number: u64,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Direction {
    /// The peer called us.
    In,
    /// We called the peer.
    Out,
}

/// How things stand with the peers, for the health checks.
#[derive(Clone, Debug, Default)]
pub struct PeersStatus {
    /// Our own certificates.
    pub credentials: CredentialsState,
    /// The peers with an open session, and how long their certificates are valid.
    pub open: BTreeMap<HostName, Validity>,
    /// Who is refused at present, or refuses us.
    pub refused: Vec<ActiveRefusal>,
    /// By which ways the peers that are heard are reached.
    pub reaches: BTreeMap<HostName, Reach>,
    /// Why nobody can call us, if so.
    pub deaf: Option<Deaf>,
    /// Whether the port is open, or was found to be taken.
    pub has_tried_port: bool,
}

/// Why nobody can call this host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deaf {
    /// Where it should listen.
    pub at: SocketAddr,
    /// What the system said.
    pub kind: ErrorKind,
    /// The same in its words.
    pub why: String,
}

/// A refusal that was repeated in the last 30 s.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveRefusal {
    /// Where.
    pub address: IpAddr,
    /// Who, where that is known.
    pub peer: Option<HostName>,
    /// Why.
    pub refusal: Refusal,
}

/// Owns all sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    facts: mpsc::Receiver<Fact>,
    events: mpsc::Sender<PeerEvent>,
    credentials: watch::Receiver<CredentialsState>,
    status: watch::Sender<PeersStatus>,
    counters: Arc<Counters>,
    peers: BTreeMap<HostName, Peer>,
    refused: BTreeMap<(IpAddr, Option<HostName>, &'static str), (Refusal, Instant)>,
    deaf: Option<Deaf>,
    has_tried_port: bool,
}

#[derive(Debug, Default)]
struct Peer {
    alive: BTreeMap<Direction, Alive>,
    validity: Option<Validity>,
    is_open: bool,
    /// The newest connection in each direction: what an older one still says is out of date.
    newest: BTreeMap<Direction, u64>,
    way: Way,
}

#[derive(Clone, Copy, Debug)]
struct Alive {
    number: u64,
    last: Instant,
}

impl Sessions {
    pub(super) fn new(
        facts: mpsc::Receiver<Fact>,
        events: mpsc::Sender<PeerEvent>,
        credentials: watch::Receiver<CredentialsState>,
        status: watch::Sender<PeersStatus>,
        counters: Arc<Counters>,
    ) -> Self {
        let (peers, refused) = (BTreeMap::new(), BTreeMap::new());
        Self {
            facts,
            events,
            credentials,
            status,
            counters,
            peers,
            refused,
            deaf: None,
            has_tried_port: false,
        }
    }

    /// Takes facts until cancelled or until the app no longer listens.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let events = tokio::select! {
                () = cancel.cancelled() => return,
                fact = self.facts.recv() => match fact {
                    Some(fact) => self.on_fact(fact),
                    None => return,
                },
                changed = self.credentials.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    Vec::new()
                }
                _ = beats.tick() => self.on_beat(),
            };
            self.publish();
            for event in events {
                let sent = cancel.run_until_cancelled(self.events.send(event)).await;
                if !matches!(sent, Some(Ok(()))) {
                    return;
                }
            }
        }
    }

    fn on_fact(&mut self, fact: Fact) -> Vec<PeerEvent> {
        match fact {
            Fact::Heard { connection, from, message, validity } => {
                let peer = self.peers.entry(connection.peer.clone()).or_default();
                peer.way.on_heard(from, Instant::now());
                let Some(mut events) = self.on_alive(&connection, validity) else {
                    return Vec::new();
                };
                events.push(PeerEvent::Heard(message));
                events
            }
            Fact::Acked { connection, validity } => {
                let peer = self.peers.entry(connection.peer.clone()).or_default();
                peer.way.on_reached();
                self.on_alive(&connection, validity).unwrap_or_default()
            }
            Fact::Ended(connection) => self.on_ended(&connection),
            Fact::Unreached { peer, why } => {
                let peer = self.peers.entry(peer).or_default();
                peer.way.on_unreached(why, Instant::now());
                Vec::new()
            }
            Fact::Refused { address, peer, refusal } => self.on_refused(address, peer, refusal),
            Fact::Listened(outcome) => {
                self.deaf = outcome.err();
                self.has_tried_port = true;
                Vec::new()
            }
            Fact::Commanded { operator, command, reply } => {
                vec![PeerEvent::CommandReceived { operator, command, reply }]
            }
        }
    }

    /// Notes a sign of life; none if it came over a connection that a newer one has replaced.
    fn on_alive(&mut self, connection: &Connection, validity: Validity) -> Option<Vec<PeerEvent>> {
        let Connection { peer: name, direction, number } = connection;
        let peer = self.peers.entry(name.clone()).or_default();
        let newest = peer.newest.entry(*direction).or_default();
        if *number < *newest {
            return None;
        }
        *newest = *number;
        peer.alive.insert(*direction, Alive { number: *number, last: Instant::now() });
        peer.validity = Some(validity);
        if *direction == Direction::In {
            // It is heard well, so whatever it was refused for is over.
            self.refused.retain(|(_, refused, _), (refusal, _)| {
                refused.as_ref() != Some(name) || matches!(refusal, Refusal::RefusedUs(_))
            });
        } else {
            self.refused.retain(|(_, refused, _), (refusal, _)| {
                refused.as_ref() != Some(name) || !matches!(refusal, Refusal::RefusedUs(_))
            });
        }
        if peer.is_open {
            return Some(Vec::new());
        }
        peer.is_open = true;
        info!(peer = %name, "session opened");
        Some(vec![PeerEvent::SessionOpened(name.clone())])
    }

    fn on_ended(&mut self, connection: &Connection) -> Vec<PeerEvent> {
        let Some(peer) = self.peers.get_mut(&connection.peer) else { return Vec::new() };
        let is_current = peer
            .alive
            .get(&connection.direction)
            .is_some_and(|alive| alive.number == connection.number);
        if is_current {
            peer.alive.remove(&connection.direction);
        }
        peer.close_if_dead(&connection.peer, "its connections ended").into_iter().collect()
    }

    fn on_beat(&mut self) -> Vec<PeerEvent> {
        let now = Instant::now();
        self.refused.retain(|_, (_, last)| now.duration_since(*last) < REFUSAL_LIFE);
        let close = |(name, peer): (&HostName, &mut Peer)| {
            peer.alive.retain(|_, alive| now.duration_since(alive.last) < SILENCE);
            peer.way.on_beat(now);
            peer.close_if_dead(name, "it is silent")
        };
        self.peers.iter_mut().filter_map(close).collect()
    }

    fn on_refused(
        &mut self,
        address: IpAddr,
        peer: Option<HostName>,
        refusal: Refusal,
    ) -> Vec<PeerEvent> {
        let reason = refusal.label();
        self.counters.peer_refused(reason);
        let key = (address, peer.clone(), reason);
        let known = self.refused.insert(key, (refusal.clone(), Instant::now()));
        if known.is_some_and(|(known, _)| known == refusal) {
            return Vec::new();
        }
        let name = peer.as_ref().map_or("", HostName::as_str);
        warn!(%address, peer = name, reason, why = %refusal, "peer refused");
        while self.refused.len() > REFUSALS_MAX {
            let oldest = self.refused.iter().min_by_key(|(_, (_, last))| *last);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            self.refused.remove(&oldest);
        }
        vec![PeerEvent::Refused { address, peer, refusal }]
    }

    fn publish(&self) {
        let credentials = self.credentials.borrow().clone();
        let open: BTreeMap<_, _> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_open)
            .filter_map(|(name, peer)| Some((name.clone(), peer.validity?)))
            .collect();
        let is_heard = |peer: &Peer| peer.alive.contains_key(&Direction::In);
        let heard = self.peers.iter().filter(|(_, peer)| is_heard(peer));
        let reaches = heard.map(|(name, peer)| (name.clone(), peer.way.reach())).collect();
        let refused = self
            .refused
            .iter()
            .map(|((address, peer, _), (refusal, _))| ActiveRefusal {
                address: *address,
                peer: peer.clone(),
                refusal: refusal.clone(),
            })
            .collect();
        let (deaf, has_tried_port) = (self.deaf.clone(), self.has_tried_port);
        let status = PeersStatus { credentials, open, refused, reaches, deaf, has_tried_port };
        self.status.send_replace(status);
    }
}

impl Peer {
    fn close_if_dead(&mut self, name: &HostName, why: &'static str) -> Option<PeerEvent> {
        if !self.is_open || !self.alive.is_empty() {
            return None;
        }
        self.is_open = false;
        info!(peer = %name, why, "session closed");
        Some(PeerEvent::SessionClosed(name.clone()))
    }
}

/// How often silence is looked for.
const BEAT: Duration = Duration::from_secs(1);
/// Five beats unheard: as long as a received reading counts as fresh.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a refusal stands in the status after its last repetition: clients try again after 3 s.
const REFUSAL_LIFE: Duration = Duration::from_secs(30);
/// Refusals remembered, so that a scan of the port fills no memory.
const REFUSALS_MAX: usize = 64;
