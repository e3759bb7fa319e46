//! The polling session against a server that is played by the test, one request at a time.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use curfew_nut::client::resolver::Resolver;
use curfew_nut::monitor::update::{Update, Why};
use curfew_nut::monitor::{Monitor, MonitorConfig, MonitorHandle};
use curfew_nut::status::Line;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(10);

struct Story {
    listener: TcpListener,
    handle: MonitorHandle,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

async fn story() -> Story {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(listener.local_addr().unwrap().to_string().parse().unwrap());
    let mut config = MonitorConfig::new("u", resolver);
    config.poll_interval = Duration::from_millis(20);
    config.limits.answer = Duration::from_secs(1);
    let (monitor, handle) = Monitor::new(config);
    let cancel = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(monitor.run(cancel.clone()));
    Story { listener, handle, cancel, tasks }
}

impl Story {
    async fn accept(&self) -> Server {
        let (stream, _peer) = timeout(LIMIT, self.listener.accept()).await.unwrap().unwrap();
        Server(BufReader::new(stream))
    }

    /// Accepts a connection and plays its beginning.
    async fn greet(&self) -> Server {
        let mut server = self.accept().await;
        server.expect("VER", "Network UPS Tools upsd 2.8.0\n").await;
        server.expect("NETVER", "1.3\n").await;
        server
    }

    async fn next(&mut self) -> Update {
        timeout(LIMIT, self.handle.updates.recv()).await.unwrap().unwrap()
    }

    /// Waits for an update that fits; the server is silent meanwhile.
    async fn until(&mut self, fits: impl Fn(&Update) -> bool) -> Update {
        loop {
            let update = self.next().await;
            if fits(&update) {
                return update;
            }
        }
    }
}

struct Server(BufReader<TcpStream>);

impl Server {
    async fn expect(&mut self, request: &str, answer: &str) {
        let mut line = String::new();
        timeout(LIMIT, self.0.read_line(&mut line)).await.unwrap().unwrap();
        assert_eq!(line.trim_end(), request);
        self.0.get_mut().write_all(answer.as_bytes()).await.unwrap();
    }

    async fn poll(&mut self, status: &str) {
        let list = format!("BEGIN LIST VAR u\nVAR u ups.status \"{status}\"\nEND LIST VAR u\n");
        self.expect("LIST VAR \"u\"", &list).await;
    }

    async fn probe(&mut self) {
        let commands = "BEGIN LIST CMD u\nCMD u shutdown.return\nEND LIST CMD u\n";
        self.expect("LIST CMD \"u\"", commands).await;
        self.expect("LIST RW \"u\"", "BEGIN LIST RW u\nEND LIST RW u\n").await;
    }
}

fn is_absence(update: &Update) -> bool {
    matches!(update, Update::Unavailable { .. })
}

fn why(update: &Update) -> Why {
    let Update::Unavailable { why, .. } = update else {
        unreachable!("not an absence: {update:?}")
    };
    why.clone()
}

#[tokio::test]
async fn a_session_connects_polls_and_probes_in_this_order() {
    let mut story = story().await;
    let mut server = story.greet().await;
    server.poll("OL CHRG").await;
    server.probe().await;
    let Update::Connected(connection) = story.next().await else { panic!("not connected first") };
    assert_eq!(connection.session, 1);
    assert_eq!(connection.network_version.as_deref(), Some("1.3"));
    let Update::Polled(snapshot) = story.next().await else { panic!("not polled second") };
    assert_eq!((snapshot.session, snapshot.line()), (1, Line::Mains));
    let Update::Probed { capabilities, .. } = story.next().await else { panic!("not probed") };
    assert!(capabilities.is_return_promised());
    story.cancel.cancel();
    timeout(LIMIT, story.tasks.join_next()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn wait_stale_and_absent_drivers_are_neither_mains_nor_battery() {
    let mut story = story().await;
    let mut server = story.greet().await;
    server.expect("LIST VAR \"u\"", "ERR DRIVER-NOT-CONNECTED\n").await;
    server.poll("WAIT").await;
    server.poll("OB").await;
    server.probe().await;
    server.expect("LIST VAR \"u\"", "ERR DATA-STALE since now\n").await;
    server.poll("OB LB").await;
    // The driver was away: what it can do is asked again.
    server.probe().await;
    server.poll("WAIT").await;
    server.poll("OL").await;
    server.probe().await;
    assert!(matches!(story.next().await, Update::Connected(_)));
    assert_eq!(why(&story.next().await), Why::DriverNotConnected);
    assert_eq!(why(&story.next().await), Why::DriverStarting);
    let Update::Polled(snapshot) = story.next().await else { panic!("not polled") };
    assert_eq!(snapshot.line(), Line::Battery);
    assert!(matches!(story.next().await, Update::Probed { .. }));
    assert_eq!(why(&story.next().await), Why::DataStale);
    assert!(matches!(story.next().await, Update::Polled(_)));
}

#[tokio::test]
async fn a_driver_that_offers_nothing_yet_is_asked_again_before_that_is_believed() {
    let mut story = story().await;
    let mut server = story.greet().await;
    for _ in 0..2 {
        server.poll("OL").await;
        server.expect("LIST CMD \"u\"", "BEGIN LIST CMD u\nEND LIST CMD u\n").await;
    }
    server.poll("OL").await;
    server.probe().await;
    let update = story.until(|update| matches!(update, Update::Probed { .. })).await;
    let Update::Probed { capabilities, .. } = update else { panic!("not probed") };
    assert!(capabilities.is_return_promised(), "what came later counts");
}

#[tokio::test]
async fn a_driver_that_goes_on_offering_nothing_is_believed() {
    let mut story = story().await;
    let mut server = story.greet().await;
    for _ in 0..5 {
        server.poll("OL").await;
        server.expect("LIST CMD \"u\"", "BEGIN LIST CMD u\nEND LIST CMD u\n").await;
    }
    server.expect("LIST RW \"u\"", "BEGIN LIST RW u\nEND LIST RW u\n").await;
    let update = story.until(|update| matches!(update, Update::Probed { .. })).await;
    let Update::Probed { capabilities, .. } = update else { panic!("not probed") };
    assert!(capabilities.commands.is_empty());
}

#[tokio::test]
async fn a_silent_server_is_left_and_the_next_connection_has_another_number() {
    let mut story = story().await;
    let mut server = story.greet().await;
    server.poll("OB").await;
    server.probe().await;
    // Silence from here on: the answer's limit passes.
    let lost = story.until(is_absence).await;
    assert!(matches!(why(&lost), Why::ContactLost { .. }));
    let mut server = story.greet().await;
    server.poll("OL").await;
    let polled = story.until(|update| matches!(update, Update::Polled(_))).await;
    let Update::Polled(snapshot) = polled else { panic!("not polled") };
    assert_eq!(snapshot.session, 2);
}

#[tokio::test]
async fn an_unknown_ups_is_told_in_a_sentence_and_keeps_the_connection() {
    let mut story = story().await;
    let mut server = story.greet().await;
    server.expect("LIST VAR \"u\"", "ERR UNKNOWN-UPS\n").await;
    let why = why(&story.until(is_absence).await);
    assert!(why.is_configuration());
    assert!(why.to_string().contains("ups.conf"), "{why}");
    // Asked again only after ten seconds: nothing comes within one.
    let mut line = String::new();
    let early = timeout(Duration::from_secs(1), server.0.read_line(&mut line)).await;
    assert!(early.is_err(), "{line}");
}

#[tokio::test]
async fn garbage_ends_the_session_and_not_the_monitor() {
    let mut story = story().await;
    for garbage in ["\u{0}\u{ff}\n", "VAR u a \"1\"\n", "BEGIN LIST VAR v\n", "\n"] {
        let mut server = story.greet().await;
        server.expect("LIST VAR \"u\"", garbage).await;
        assert!(matches!(why(&story.until(is_absence).await), Why::ContactLost { .. }));
    }
}

#[tokio::test]
async fn a_consumer_that_sleeps_holds_up_nothing_and_wakes_to_the_newest_state() {
    let mut story = story().await;
    let mut server = story.greet().await;
    server.poll("OL").await;
    server.probe().await;
    for _ in 0..100 {
        server.poll("OL").await;
    }
    server.poll("OB").await;
    let on_battery = |update: &Option<Update>| {
        let Some(Update::Polled(snapshot)) = update else { return false };
        snapshot.line() == Line::Battery
    };
    timeout(LIMIT, story.handle.latest.wait_for(on_battery)).await.unwrap().unwrap();
    while story.handle.updates.try_recv().is_ok() {}
    server.poll("OB LB").await;
    let newest = story.next().await;
    let Update::Polled(snapshot) = newest else { panic!("not polled: {newest:?}") };
    assert!(snapshot.status.is_critical());
}
