//! The session that polls one UPS: connects, asks once per interval, reconnects, never blocks.
//!
//! ```text
//!             connected              probed (LIST CMD, LIST RW)
//!   Away ───────────────► Connected ───────────────────────────► Polling ─┐ LIST VAR
//!    ▲  at once the first time,  │ driver away, stale, WAIT         ▲     │ each interval
//!    │  then with backoff        ▼                                  └─────┘
//!    └──────────────── connection spent (any state)
//! ```
//!
//! One task, one connection, no login: who gives orders does so through [`crate::door`].

pub mod backoff;
mod outbox;
pub mod update;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::resolver::Resolver;
use crate::client::{Client, Limits};
use crate::error::{Chain, ClientError, ErrorClass, ErrorCode};
use crate::monitor::backoff::Backoff;
use crate::monitor::outbox::Outbox;
use crate::monitor::update::{Connection, Update, Why};
use crate::probe::Capabilities;
use crate::snapshot::Snapshot;
use crate::status::Token;

/// How often a UPS is asked by default. A LIST VAR is cheap, and a reading is fresh for 3 s.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often `upsd` is asked again after a refusal that only a person can cure. Its own limit for
/// silent clients is 60 s, so the connection stays.
const REFUSED_INTERVAL: Duration = Duration::from_secs(10);

/// How often what the UPS can do is asked again on the same connection: `upsd` hands a driver's
/// first words on as they come, and a verdict on half of them should not last.
const PROBE_AGAIN: Duration = Duration::from_mins(1);

/// How many looks in a row must find no command at all: a driver shows its status about a second
/// after its start, and its commands by then.
const EMPTY_LOOKS: u32 = 5;

/// How many updates wait for a slow consumer; beyond that only the newest of each kind waits.
pub const UPDATE_QUEUE_LEN: usize = 16;

/// Which UPS to poll, and how.
#[derive(Clone, Debug)]
pub struct MonitorConfig {
    /// The name of the UPS in `upsd`.
    pub ups: String,
    /// Where `upsd` is; may be shared with a [`crate::door::Door`].
    pub resolver: Resolver,
    /// The time from one poll to the next.
    pub poll_interval: Duration,
    /// The deadlines of the connection.
    pub limits: Limits,
}

impl MonitorConfig {
    /// Polls this UPS with the defaults.
    pub fn new(ups: impl Into<String>, resolver: Resolver) -> Self {
        let limits = Limits::default();
        Self { ups: ups.into(), resolver, poll_interval: POLL_INTERVAL, limits }
    }
}

/// The task that polls one UPS.
#[derive(Debug)]
pub struct Monitor {
    config: MonitorConfig,
    outbox: Outbox,
    backoff: Backoff,
    session: u64,
    /// Since when there is no reading, and why not.
    away: Option<(Instant, Why)>,
}

/// The consumer's ends of a monitor.
#[derive(Debug)]
pub struct MonitorHandle {
    /// All updates in order; when the consumer lags, the newest state replaces older ones.
    pub updates: mpsc::Receiver<Update>,
    /// The newest state alone, for who only looks now and then; `None` until there is one.
    pub latest: watch::Receiver<Option<Update>>,
}

impl Monitor {
    /// Prepares to poll; nothing happens before [`Monitor::run`].
    pub fn new(config: MonitorConfig) -> (Self, MonitorHandle) {
        let (sender, updates) = mpsc::channel(UPDATE_QUEUE_LEN);
        let (newest, latest) = watch::channel(None);
        let monitor = Self {
            config,
            outbox: Outbox::new(sender, newest),
            backoff: Backoff::default(),
            session: 0,
            away: None,
        };
        (monitor, MonitorHandle { updates, latest })
    }

    /// Polls until cancelled. A consumer that is slow or gone never holds it up.
    pub async fn run(mut self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.poll_forever()).await;
    }

    async fn poll_forever(&mut self) {
        loop {
            let started = Instant::now();
            let Err(error) = self.session().await;
            self.report_absence(Why::ContactLost { reason: Chain(&error).to_string() });
            let pause = self.backoff.after_session(started.elapsed());
            sleep(pause).await;
        }
    }

    /// Connects and polls until the connection is spent.
    async fn session(&mut self) -> Result<Infallible, ClientError> {
        let mut client = Client::connect(&self.config.resolver, self.config.limits).await?;
        let version = tolerate(client.version().await)?;
        let network_version = tolerate(client.network_version().await)?;
        self.session += 1;
        let connection =
            Connection { session: self.session, address: client.peer(), version, network_version };
        let (ups, version) = (&self.config.ups, &connection.version);
        tracing::info!(%ups, session = self.session, version, "connected to upsd");
        self.outbox.connected(connection);
        let mut ticks = interval(self.config.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Until when what was probed is believed; none while it is to be asked.
        let mut probed_until: Option<Instant> = None;
        let mut looks = 0;
        loop {
            ticks.tick().await;
            match self.poll(&mut client).await {
                Ok(()) if probed_until.is_some_and(|until| Instant::now() < until) => {}
                Ok(()) => {
                    looks += 1;
                    if self.probe(&mut client, looks).await? {
                        probed_until = Some(Instant::now() + PROBE_AGAIN);
                    }
                }
                Err(error) if error.class() == ErrorClass::Spent => return Err(error),
                Err(error) => {
                    // The driver may be another one when it is back.
                    probed_until = None;
                    if self.on_refusal(&error) {
                        ticks.reset_after(REFUSED_INTERVAL);
                    }
                }
            }
            if self.away.is_some() {
                probed_until = None;
            }
            if probed_until.is_some() || self.away.is_some() {
                looks = 0;
            }
        }
    }

    /// Asks once and tells what came.
    async fn poll(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let asked_at = Instant::now();
        let rows = client.list_variables(&self.config.ups).await?;
        let snapshot = Snapshot::new(&self.config.ups, self.session, asked_at, rows);
        if snapshot.status.has(&Token::Wait) {
            self.report_absence(Why::DriverStarting);
        } else if snapshot.status.tokens().is_empty() {
            self.report_absence(Why::NoStatus);
        } else {
            if let Some((since, why)) = self.away.take() {
                let seconds = since.elapsed().as_secs();
                tracing::info!(ups = %self.config.ups, %why, seconds, "the UPS is readable again");
            }
            self.outbox.newest(Update::Polled(Arc::new(snapshot)));
        }
        Ok(())
    }

    /// Asks what the UPS can do; returns whether that is known now. A driver that offers nothing
    /// may only not have said yet, so that this is believed after some looks in a row.
    async fn probe(&mut self, client: &mut Client, looks: u32) -> Result<bool, ClientError> {
        if self.away.is_some() {
            return Ok(false);
        }
        let Some(commands) = list(client.list_commands(&self.config.ups).await)? else {
            return Ok(false);
        };
        if commands.is_empty() && looks < EMPTY_LOOKS {
            return Ok(false);
        }
        let Some(writables) = list(client.list_writables(&self.config.ups).await)? else {
            return Ok(false);
        };
        let capabilities = Arc::new(Capabilities::new(commands, writables));
        self.outbox.probed(self.session, capabilities);
        Ok(true)
    }

    /// Tells of a refusal; returns whether it makes sense to ask again only slowly.
    fn on_refusal(&mut self, error: &ClientError) -> bool {
        let why = match error.code() {
            Some(ErrorCode::DriverNotConnected) => Why::DriverNotConnected,
            Some(ErrorCode::DataStale) => Why::DataStale,
            Some(code) => Why::Refused { code: code.clone() },
            // The name of the UPS cannot be sent; only a person can change it.
            None => Why::Misconfigured { reason: Chain(error).to_string() },
        };
        let is_slow = why.is_configuration();
        self.report_absence(why);
        is_slow
    }

    fn report_absence(&mut self, why: Why) {
        let since = match &self.away {
            Some((since, known)) if *known == why => *since,
            known => {
                let since = known.as_ref().map_or_else(Instant::now, |(since, _why)| *since);
                tracing::warn!(ups = %self.config.ups, %why, "the UPS is not readable");
                self.away = Some((since, why.clone()));
                since
            }
        };
        let ups = self.config.ups.clone();
        self.outbox.newest(Update::Unavailable { ups, session: self.session, why, since });
    }
}

/// A refusal is no reason to leave: some servers do not know every request.
fn tolerate<T>(outcome: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class() == ErrorClass::Spent => Err(error),
        Err(_) => Ok(None),
    }
}

/// Nothing yet if the driver just went; an empty list where the server does not know the request.
fn list<T>(outcome: Result<Vec<T>, ClientError>) -> Result<Option<Vec<T>>, ClientError> {
    match outcome {
        Err(error) if error.class() != ErrorClass::Spent && !error.is_transient() => {
            Ok(Some(Vec::new()))
        }
        other => tolerate(other),
    }
}
