//! What the operating system says of itself: that somebody takes it down.
//!
//! ```text
//!          connected, level read          PrepareForShutdown
//! unknown ──────────────────────► up ───────────────────────► down ─► lock let go ─► which way
//!    ▲                            ▲     called off, lock taken │
//!    └── bus or logind gone ──────┴────────────────────────────┘
//! ```
//!
//! A signal only says that it is time to look: the level is read from logind itself, at each
//! connection, at each signal and once a minute. So a signal that was missed costs a minute, and
//! one that somebody else sent costs nothing.
//!
//! The lock is a *delay* inhibitor: logind waits a moment for it before it takes the machine down.
//! It is held until the others have been told, and never when it is this agent that stops the
//! machine. Without it the signal comes all the same, and the others are told if there is time.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use curfew_nut::error::Chain;
use futures_core::Stream as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use zbus::zvariant::OwnedFd;
use zbus::{MatchRule, MessageStream};

use crate::power::systemd::logind::{self, Logind, LogindError, Way};

/// Whether somebody takes the machine down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Level {
    /// Nobody can be asked.
    #[default]
    Unknown,
    /// Nobody does.
    Up,
    /// Somebody does; which way, if that is known.
    Down(Option<Way>),
}

/// A change of the level.
#[derive(Debug)]
pub struct News {
    /// The new one.
    pub level: Level,
    /// Answered, or dropped, when all have been told who are to be told.
    pub told: oneshot::Sender<()>,
}

/// Listens to logind.
#[derive(Debug)]
pub struct OsWatch {
    logind: Logind,
    news: mpsc::Sender<News>,
    /// True while it is this agent that stops the machine.
    is_ours: watch::Receiver<bool>,
    level: watch::Sender<Level>,
    lock: Option<OwnedFd>,
    /// That there is no lock was said.
    is_lack_told: bool,
    /// Until when the way is asked for.
    way_until: Option<Instant>,
    hold_up_most: Duration,
}

/// Why nothing is heard of the operating system.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("logind cannot be asked")]
    Ask(#[from] LogindError),
    #[error("the system bus does not say when logind says something")]
    Subscribe(#[source] Box<zbus::Error>),
    #[error("the system bus does not answer")]
    Answer,
    #[error("the system bus has gone")]
    Lose,
}

impl ListenError {
    fn subscribe(failed: zbus::Error) -> Self {
        Self::Subscribe(Box::new(failed))
    }
}

impl OsWatch {
    /// Connects to nobody yet. `is_ours` says while it is this agent that stops the machine.
    pub fn new(
        logind: Logind,
        news: mpsc::Sender<News>,
        is_ours: watch::Receiver<bool>,
        level: watch::Sender<Level>,
    ) -> Self {
        Self {
            logind,
            news,
            is_ours,
            level,
            lock: None,
            is_lack_told: false,
            way_until: None,
            hold_up_most: HOLD_UP_MOST,
        }
    }

    /// Listens until cancelled, over as many connections as it takes.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), Infallible> {
        let mut backoff = BACKOFF_FIRST;
        let mut is_told = false;
        loop {
            let started = Instant::now();
            let Some(failed) = cancel.run_until_cancelled(self.listen()).await else {
                return Ok(());
            };
            // On the way down the bus goes as everything does, and what was known stays true.
            if *self.level.borrow() == Level::Up {
                self.level.send_replace(Level::Unknown);
            }
            if started.elapsed() > BACKOFF_MOST {
                (backoff, is_told) = (BACKOFF_FIRST, false);
            }
            report(&failed, is_told);
            is_told = true;
            if cancel.run_until_cancelled(sleep(backoff)).await.is_none() {
                return Ok(());
            }
            backoff = (backoff * 2).min(BACKOFF_MOST);
        }
    }

    /// Listens over one connection until that ends.
    async fn listen(&mut self) -> ListenError {
        match self.try_listen().await {
            Ok(never) => match never {},
            Err(failed) => failed,
        }
    }

    async fn try_listen(&mut self) -> Result<Infallible, ListenError> {
        let connecting = async {
            let bus = self.logind.connect().await?;
            let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal);
            let rule = rule.interface("org.freedesktop.login1.Manager");
            let rule =
                rule.map(zbus::match_rule::Builder::build).map_err(ListenError::subscribe)?;
            let signals = MessageStream::for_match_rule(rule, &bus, None).await;
            Ok::<_, ListenError>((signals.map_err(ListenError::subscribe)?, bus))
        };
        let connected = timeout(CONNECT_LIMIT, connecting).await;
        let (mut signals, bus) = connected.map_err(|_late| ListenError::Answer)??;
        if let Ok(most) = self.logind.delay_most().await {
            self.hold_up_most = HOLD_UP_MOST.min(most.saturating_sub(HOLD_UP_MARGIN));
        }
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                signal = poll_fn(|context| pin!(&mut signals).poll_next(context)) => {
                    match signal {
                        Some(Ok(_signal)) => look_at = Instant::now(),
                        Some(Err(failed)) => debug!(%failed, "a signal is passed over"),
                        None => return Err(ListenError::Lose),
                    }
                }
                Ok(()) = self.is_ours.changed() => self.mind_lock(&bus).await,
                () = sleep_until(look_at) => {
                    look_at = Instant::now() + self.look(&bus).await?;
                }
            }
        }
    }

    /// Reads the level and does what follows from it; returns when to do so again.
    async fn look(&mut self, bus: &zbus::Connection) -> Result<Duration, ListenError> {
        let is_down = logind::is_preparing(bus).await?;
        let known = *self.level.borrow();
        match (known, is_down) {
            (Level::Down(_), false) => {
                info!("the machine is not taken down any more");
                self.way_until = None;
                self.tell(Level::Up).await;
                self.mind_lock(bus).await;
            }
            (Level::Unknown, false) => {
                self.tell(Level::Up).await;
                self.mind_lock(bus).await;
            }
            (Level::Up, false) => self.mind_lock(bus).await,
            (Level::Down(Some(_)), true) => self.lock = None,
            (Level::Unknown | Level::Up, true) => {
                info!("somebody takes the machine down");
                self.way_until = Some(Instant::now() + WAY_LIMIT);
                self.tell(Level::Down(None)).await;
                // From here on logind waits for others alone, and gives systemd its job.
                self.lock = None;
                return Ok(WAY_PAUSE);
            }
            (Level::Down(None), true) => return Ok(self.ask_way().await),
        }
        Ok(LOOK_EVERY)
    }

    /// Which way it goes logind does not say (systemd 252); the job that it gives systemd does.
    async fn ask_way(&mut self) -> Duration {
        match self.logind.way().await {
            Ok(Some(way)) => {
                info!(?way, "it is known how the machine goes down");
                self.tell(Level::Down(Some(way))).await;
                LOOK_EVERY
            }
            Ok(None) | Err(_) if self.way_until.is_some_and(|until| Instant::now() < until) => {
                WAY_PAUSE
            }
            Ok(None) | Err(_) => LOOK_EVERY,
        }
    }

    /// Tells a level, and waits until all have heard of it or the time for that is over.
    async fn tell(&mut self, level: Level) {
        self.level.send_replace(level);
        let (told, heard) = oneshot::channel();
        let telling = async {
            if self.news.send(News { level, told }).await.is_ok() {
                heard.await.unwrap_or_default();
            }
        };
        if timeout(self.hold_up_most, telling).await.is_err() {
            warn!(?level, "not all could be told in time");
        }
    }

    /// Has the lock while nobody takes the machine down, and not while this agent is about to.
    async fn mind_lock(&mut self, bus: &zbus::Connection) {
        let is_ours = *self.is_ours.borrow_and_update();
        let is_up = *self.level.borrow() == Level::Up;
        if is_ours || !is_up {
            self.lock = None;
            return;
        }
        if self.lock.is_some() {
            return;
        }
        match logind::inhibit(bus).await {
            Ok(lock) => {
                self.lock = Some(lock);
                self.is_lack_told = false;
                debug!("logind waits for this agent before it takes the machine down");
            }
            Err(failed) if self.is_lack_told => {
                debug!(failure = %Chain(&failed), "there is still no delay lock");
            }
            Err(failed) => {
                self.is_lack_told = true;
                info!(
                    failure = %Chain(&failed),
                    "logind does not wait for this agent: after a `systemctl poweroff` by hand the \
                     other hosts are told if there is time; `apt install polkitd` gives it the time"
                );
            }
        }
    }
}

/// Once aloud, and again when it had been better in between.
fn report(failed: &ListenError, is_told: bool) {
    let failure = Chain(failed);
    if is_told {
        debug!(%failure, "nothing is heard of logind");
    } else {
        warn!(
            %failure,
            "nothing is heard of logind: a stop by hand is not seen in time; look at \
             `systemctl status dbus systemd-logind`"
        );
    }
}

/// As the other questions to logind; what is connected then has none of its own.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// A restart of the bus takes a moment, a broken one is looked for in no hurry.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MOST: Duration = Duration::from_secs(30);
/// For the signal that was missed, and the lock that became possible.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How long logind is held up at most: telling the others takes a third of a second.
const HOLD_UP_MOST: Duration = Duration::from_secs(3);
/// How much earlier than logind's own limit, which it would note as ours.
const HOLD_UP_MARGIN: Duration = Duration::from_millis(500);
/// logind gives systemd the job when the last lock is let go, after `InhibitDelayMaxSec` at the
/// latest, which may be half a minute where somebody needs it.
const WAY_LIMIT: Duration = Duration::from_secs(40);
const WAY_PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
