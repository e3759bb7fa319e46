//! When sessions open and close, on virtual time.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::peer::convert::tests::full;

const VALIDITY: Validity = Validity { not_before: 0, not_after: 1 };
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 13));

struct Bench {
    facts: mpsc::Sender<Fact>,
    events: mpsc::Receiver<PeerEvent>,
    status: watch::Receiver<PeersStatus>,
    _credentials: watch::Sender<CredentialsState>,
    _task: tokio::task::JoinSet<()>,
}

impl Bench {
    fn new() -> Self {
        let (facts, queue) = mpsc::channel(64);
        let (events_in, events) = mpsc::channel(64);
        let (credentials_in, credentials) = watch::channel(CredentialsState::default());
        let (status_in, status) = watch::channel(PeersStatus::default());
        let sessions =
            Sessions::new(queue, events_in, credentials, status_in, Arc::new(Counters::new()));
        let mut task = tokio::task::JoinSet::new();
        task.spawn(sessions.run(CancellationToken::new()));
        Self { facts, events, status, _credentials: credentials_in, _task: task }
    }

    async fn heard(&self, number: u64, sequence: u64) {
        let message = Arc::new(StateMessage { sequence, ..full("nfs") });
        let connection = connection(Direction::In, number);
        let fact = Fact::Heard { connection, from: ADDRESS, message, validity: VALIDITY };
        self.facts.send(fact).await.unwrap();
    }

    async fn acked(&self, number: u64) {
        let connection = connection(Direction::Out, number);
        self.facts.send(Fact::Acked { connection, validity: VALIDITY }).await.unwrap();
    }

    async fn ended(&self, direction: Direction, number: u64) {
        self.facts.send(Fact::Ended(connection(direction, number))).await.unwrap();
    }

    async fn refused(&self, refusal: Refusal) {
        let peer = Some(HostName::from("nfs"));
        self.facts.send(Fact::Refused { address: ADDRESS, peer, refusal }).await.unwrap();
    }

    /// Returns the next event, in a word.
    async fn next(&mut self) -> String {
        match self.events.recv().await.expect("the owner runs") {
            PeerEvent::SessionOpened(peer) => format!("opened {peer}"),
            PeerEvent::Heard(message) => format!("heard {}", message.sequence),
            PeerEvent::SessionClosed(peer) => format!("closed {peer}"),
            PeerEvent::Refused { refusal, .. } => format!("refused {}", refusal.label()),
            PeerEvent::CommandReceived { .. } => "command".to_owned(),
        }
    }
}

fn connection(direction: Direction, number: u64) -> Connection {
    Connection { peer: HostName::from("nfs"), direction, number }
}

#[tokio::test(start_paused = true)]
async fn either_direction_keeps_a_session_open() {
    let mut bench = Bench::new();
    bench.heard(1, 1).await;
    bench.acked(1).await;
    bench.ended(Direction::In, 1).await;
    bench.heard(2, 2).await;
    bench.ended(Direction::Out, 1).await;
    bench.ended(Direction::In, 2).await;
    for expected in ["opened nfs", "heard 1", "heard 2", "closed nfs"] {
        assert_eq!(bench.next().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_closes_a_session_whose_connections_never_end() {
    let mut bench = Bench::new();
    let begin = Instant::now();
    bench.heard(1, 1).await;
    bench.acked(1).await;
    for expected in ["opened nfs", "heard 1", "closed nfs"] {
        assert_eq!(bench.next().await, expected);
    }
    let silent = begin.elapsed();
    assert!(silent >= SILENCE && silent <= SILENCE + BEAT, "{silent:?}");
    bench.heard(1, 2).await;
    assert_eq!(bench.next().await, "opened nfs");
}

#[tokio::test(start_paused = true)]
async fn an_older_connection_is_not_believed_once_a_newer_one_has_spoken() {
    let mut bench = Bench::new();
    bench.heard(2, 20).await;
    bench.heard(1, 10).await;
    bench.ended(Direction::In, 1).await;
    bench.heard(2, 21).await;
    for expected in ["opened nfs", "heard 20", "heard 21"] {
        assert_eq!(bench.next().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_once_until_it_changes_or_is_over() {
    let mut bench = Bench::new();
    let newer = |theirs| Refusal::NewerProtocol { theirs, ours: 1 };
    bench.refused(newer(2)).await;
    bench.refused(newer(2)).await;
    bench.refused(newer(3)).await;
    assert_eq!(bench.next().await, "refused newer-protocol");
    assert_eq!(bench.next().await, "refused newer-protocol");
    assert_eq!(bench.status.borrow().refused.len(), 1);

    bench.heard(1, 1).await;
    assert_eq!(bench.next().await, "opened nfs");
    assert_eq!(bench.status.borrow().refused, []);
    assert_eq!(bench.next().await, "heard 1");

    bench.refused(newer(3)).await;
    assert_eq!(bench.next().await, "refused newer-protocol");
    let begin = Instant::now();
    let is_over = |status: &PeersStatus| status.refused.is_empty();
    bench.status.wait_for(is_over).await.unwrap();
    assert!(begin.elapsed() >= REFUSAL_LIFE);
}

#[tokio::test(start_paused = true)]
async fn a_scan_of_the_port_fills_no_memory() {
    let mut bench = Bench::new();
    for host in 0..=u8::MAX {
        let address = IpAddr::V4(Ipv4Addr::new(10, 9, 9, host));
        let refusal = Refusal::HandshakeTimeout;
        bench.facts.send(Fact::Refused { address, peer: None, refusal }).await.unwrap();
        assert_eq!(bench.next().await, "refused handshake-timeout");
    }
    assert_eq!(bench.status.borrow().refused.len(), REFUSALS_MAX);
}
