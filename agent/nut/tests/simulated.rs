//! The simulated UPS, seen by our own client through its protocol, and by its handle.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use curfew_nut::client::resolver::Resolver;
use curfew_nut::client::{Client, Credentials, Limits, Verdict};
use curfew_nut::codec::request::Secret;
use curfew_nut::door::Door;
use curfew_nut::error::{ClientError, ErrorCode};
use curfew_nut::monitor::update::{Update, Why};
use curfew_nut::monitor::{Monitor, MonitorConfig};
use curfew_nut::probe::{Capabilities, PowerOff};
use curfew_nut::simulated::{Account, Driver, SimulatedConfig, SimulatedHandle, SimulatedUps};
use curfew_nut::status::Line;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(20);

struct Bench {
    handle: SimulatedHandle,
    tasks: JoinSet<()>,
}

fn owner() -> Credentials {
    Credentials { username: "curfew".to_owned(), password: Secret::new("pw # \"q\" \\") }
}

fn watcher() -> Credentials {
    Credentials { username: "watcher".to_owned(), password: Secret::new("w") }
}

impl Bench {
    async fn start(mut config: SimulatedConfig) -> Self {
        config.accounts = vec![
            Account { credentials: owner(), is_primary: true, gives_orders: true },
            Account { credentials: watcher(), is_primary: false, gives_orders: false },
        ];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (ups, handle) = SimulatedUps::bind(address, config).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(ups.run(CancellationToken::new()));
        Self { handle, tasks }
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(self.handle.address.to_string().parse().unwrap())
    }

    async fn client(&self) -> Client {
        Client::connect(&self.resolver(), Limits::default()).await.unwrap()
    }

    fn door(&self) -> Door {
        Door::new(self.resolver(), Limits::default())
    }

    async fn output(&mut self, closed: bool) {
        let changed = self.handle.output.wait_for(|output| *output == closed);
        timeout(LIMIT, changed).await.unwrap().unwrap();
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ErrorCode {
    outcome.unwrap_err().code().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn an_empty_battery_opens_the_output_to_the_second_of_virtual_time() {
    let mut bench = Bench::start(SimulatedConfig::default()).await;
    let started = Instant::now();
    bench.handle.fail_mains().await.unwrap();
    bench.handle.output.wait_for(|closed| !closed).await.unwrap();
    let lasted = started.elapsed();
    assert!(lasted >= Duration::from_secs(599) && lasted <= Duration::from_secs(601), "{lasted:?}");
    bench.handle.return_mains().await.unwrap();
    bench.handle.output.wait_for(|closed| *closed).await.unwrap();
    assert!(started.elapsed() <= lasted + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_time_factor_makes_ten_minutes_last_six_seconds() {
    let config = SimulatedConfig { time_factor: 100.0, ..SimulatedConfig::default() };
    let mut bench = Bench::start(config).await;
    let started = Instant::now();
    bench.handle.fail_mains().await.unwrap();
    bench.handle.output.wait_for(|closed| !closed).await.unwrap();
    let lasted = started.elapsed();
    assert!(lasted >= Duration::from_millis(5900) && lasted <= Duration::from_millis(6100));
}

#[tokio::test]
async fn all_requests_are_answered_in_the_protocol() {
    let bench = Bench::start(SimulatedConfig::default()).await;
    let mut client = bench.client().await;
    assert!(client.version().await.unwrap().contains("simulated"));
    assert_eq!(client.network_version().await.unwrap(), "1.3");
    assert_eq!(client.list_ups().await.unwrap().len(), 1);
    assert!(client.list_variables("EATON").await.unwrap().len() > 10);
    assert_eq!(client.variable("eaton", "Ups.Status").await.unwrap(), "OL");
    let types = client.variable_type("eaton", "ups.delay.start").await.unwrap();
    assert_eq!(types, ["RW", "STRING:32"]);
    let commands = client.list_commands("eaton").await.unwrap();
    let writables = client.list_writables("eaton").await.unwrap();
    let capabilities = Capabilities::new(commands, writables);
    assert!(capabilities.is_return_promised());
    assert_eq!(capabilities.power_off(), PowerOff::ShutdownReturn);
    assert!(capabilities.can_set("ups.delay.shutdown"));
    assert_eq!(client.list_enum("eaton", "ups.status").await.unwrap(), Vec::<String>::new());
    assert_eq!(client.list_range("eaton", "ups.status").await.unwrap(), Vec::new());
    assert_eq!(client.ups_description("eaton").await.unwrap(), "Simulated UPS");
    client.description("eaton", "ups.status").await.unwrap();
    client.command_description("eaton", "load.off").await.unwrap();
    assert_eq!(client.logins("eaton").await.unwrap(), 0);
    assert!(!client.is_tracking().await.unwrap());
    assert_eq!(code(client.list_variables("nosuch").await), ErrorCode::UnknownUps);
    assert_eq!(code(client.variable("eaton", "no.such").await), ErrorCode::VarNotSupported);
    assert_eq!(code(client.log_in("eaton").await), ErrorCode::UsernameRequired);
    client.log_out().await.unwrap();
}

#[tokio::test]
async fn only_who_may_gives_orders() {
    let bench = Bench::start(SimulatedConfig::default()).await;
    let door = bench.door();
    let denied = door.run_command(&watcher(), "eaton", "shutdown.return", None).await;
    assert_eq!(code(denied), ErrorCode::AccessDenied);
    let unknown = door.run_command(&owner(), "eaton", "shutdown.reboot", None).await;
    assert_eq!(code(unknown), ErrorCode::CmdNotSupported);
    let set = door.set_variable(&owner(), "eaton", "ups.delay.shutdown", "60").await.unwrap();
    assert_eq!(set, Verdict::Succeeded);
    let wrong = door.set_variable(&owner(), "eaton", "ups.delay.shutdown", "soon").await.unwrap();
    assert_eq!(wrong, Verdict::Failed(ErrorCode::InvalidArgument));
    let read_only = door.set_variable(&owner(), "eaton", "ups.status", "OB").await;
    assert_eq!(code(read_only), ErrorCode::Readonly);
    assert_eq!(bench.client().await.variable("eaton", "ups.delay.shutdown").await.unwrap(), "60");
}

#[tokio::test]
async fn fsd_is_a_latch_until_upsd_restarts() {
    let bench = Bench::start(SimulatedConfig::default()).await;
    let mut secondary = bench.client().await;
    secondary.authenticate(&watcher()).await.unwrap();
    secondary.log_in("eaton").await.unwrap();
    assert_eq!(code(secondary.force_shutdown("eaton").await), ErrorCode::AccessDenied);
    let mut primary = bench.door().log_in_as_primary(&owner(), "eaton").await.unwrap();
    assert_eq!(primary.clients().await.unwrap().len(), 2);
    primary.force_shutdown().await.unwrap();
    assert_eq!(secondary.variable("eaton", "ups.status").await.unwrap(), "FSD OL");
    primary.log_out().await.unwrap();
    bench.handle.restart_upsd().await.unwrap();
    assert!(secondary.variable("eaton", "ups.status").await.is_err(), "the connection is gone");
    assert_eq!(bench.client().await.variable("eaton", "ups.status").await.unwrap(), "OL");
}

#[tokio::test]
async fn a_whole_outage_with_a_cut_and_the_return_is_seen_by_the_monitor() {
    let config = SimulatedConfig { time_factor: 50.0, ..SimulatedConfig::default() };
    let mut bench = Bench::start(config).await;
    let mut monitored = MonitorConfig::new("eaton", bench.resolver());
    monitored.poll_interval = Duration::from_millis(20);
    let (monitor, handle) = Monitor::new(monitored);
    bench.tasks.spawn(monitor.run(CancellationToken::new()));
    let mut latest = handle.latest;
    let has_status = |update: &Option<Update>, status: &str| {
        let Some(Update::Polled(snapshot)) = update else { return false };
        snapshot.status.to_string() == status
    };
    let sees = |line: Line| {
        move |update: &Option<Update>| {
            let Some(Update::Polled(snapshot)) = update else { return false };
            snapshot.line() == line
        }
    };
    timeout(LIMIT, latest.wait_for(sees(Line::Mains))).await.unwrap().unwrap();

    // From another process, an outage is a command.
    let door = bench.door();
    let fail = door.run_command(&owner(), "eaton", "simulate.mains.fail", None).await.unwrap();
    assert_eq!(fail, Verdict::Succeeded);
    timeout(LIMIT, latest.wait_for(sees(Line::Battery))).await.unwrap().unwrap();
    door.run_command(&owner(), "eaton", "shutdown.return", None).await.unwrap();
    bench.output(false).await;
    timeout(LIMIT, latest.wait_for(|update| has_status(update, "OB OFF"))).await.unwrap().unwrap();
    door.run_command(&owner(), "eaton", "simulate.mains.return", None).await.unwrap();
    bench.output(true).await;
    timeout(LIMIT, latest.wait_for(sees(Line::Mains))).await.unwrap().unwrap();

    bench.handle.set_driver(Driver::Stale).await.unwrap();
    let is_stale = |update: &Option<Update>| {
        matches!(update, Some(Update::Unavailable { why: Why::DataStale, .. }))
    };
    timeout(LIMIT, latest.wait_for(is_stale)).await.unwrap().unwrap();
}

#[tokio::test]
async fn rubbish_gets_the_answers_that_upsd_gives() {
    let bench = Bench::start(SimulatedConfig::default()).await;
    let cases: [(&[u8], &str); 6] = [
        (b"\n", "ERR UNKNOWN-COMMAND\n"),
        (b"# comment\n", "ERR UNKNOWN-COMMAND\n"),
        (b"GET / HTTP/1.0\r\n\r\n", "ERR INVALID-ARGUMENT\nERR UNKNOWN-COMMAND\n"),
        (b"VER extra\n", "ERR INVALID-ARGUMENT\n"),
        (b"N\0E\x01TV\xffER\n", "1.3\n"),
        (b"USERNAME \"a#b\"\nNETVER\n", ""),
    ];
    for (sent, expected) in cases {
        let mut stream = TcpStream::connect(bench.handle.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer, expected, "{}", sent.escape_ascii());
    }
}
