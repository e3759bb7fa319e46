//! Power by systemd: logind is asked over D-Bus, and where that leads nowhere, the hand.
//!
//! ```text
//!            PowerOff, Reboot                    poweroff, reboot
//! attempt 1 ─► logind ── refused, not there, ────► hand ── neither ─► failed, with both reasons
//!         2              or no answer in 2 s
//! attempt 3 ─► hand: poweroff-now (no unit is asked any more) ─► then as above
//! accepted  ─► looked after: if systemd does not begin to stop, or is not done in the time that
//!              the stop may take, the hand is asked once more, at last with poweroff-now
//! ```
//!
//! The hold is entered by the hand alone. A cut is a flag for the late hook and then a stop. Every
//! question and every call has a limit; none is kept open between two.

mod cut;
pub mod hand;
pub mod logind;
#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use self::cut::{Flag, HOOK_WAITS};
use self::hand::{Hand, Request};
use self::logind::{Logind, Way};
use super::{Cut, Goal, Outcome, Reason, Stopping};

/// What a host that is stopped by systemd knows of itself.
#[derive(Clone, Debug)]
pub struct SystemdSettings {
    /// Where the hand and the flag for the cut are, usually `/run/curfew`.
    pub run: PathBuf,
    /// The address of the system bus; none is the environment's, else the system's own.
    pub bus: Option<String>,
    /// The UPS that this host owns.
    pub ups: Option<OwnedUps>,
    /// How long mains must be back before a held machine reboots.
    pub mains_stable: Duration,
    /// How long the stop of this host may take.
    pub stop_timeout: Duration,
    /// The kernel's name for this boot.
    pub boot: String,
}

/// The UPS with its cable in this host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedUps {
    /// As in `upsd`.
    pub name: String,
    /// Its `upsd`, as `host:port`.
    pub upsd: String,
}

/// Calls logind, and the hand.
#[derive(Debug)]
pub struct SystemdPower {
    logind: Logind,
    hand: Hand,
    flag: Option<Flag>,
    /// As `name@host:port`.
    ups: Option<String>,
    mains_stable: Duration,
    hold_state: PathBuf,
    /// Who took the last stop: the hand goes around logind, so that more is known of it.
    is_by_hand: AtomicBool,
}

/// How far an accepted stop has come.
#[derive(Debug)]
enum Progress {
    /// systemd stops the machine.
    Stopping,
    /// logind waits for those who asked it to, at most for this long.
    Delayed(Duration),
    /// Nothing goes down.
    Idle,
    /// Nobody says.
    Unknown(String),
}

impl SystemdPower {
    /// Takes the settings; calls nobody.
    pub fn new(settings: SystemdSettings) -> Self {
        let SystemdSettings { run, bus, ups, mains_stable, stop_timeout, boot } = settings;
        Self {
            logind: Logind::new(bus),
            hand: Hand::new(&run),
            flag: ups.as_ref().map(|ups| Flag::new(&run, ups.name.clone(), boot, stop_timeout)),
            ups: ups.map(|OwnedUps { name, upsd }| format!("{name}@{upsd}")),
            mains_stable,
            hold_state: hold_directory(&run).join("state"),
            is_by_hand: AtomicBool::new(false),
        }
    }

    pub(super) async fn stop(&self, reason: &Reason) -> Outcome {
        // What was once to be cut must not be cut by a stop that an operator orders now.
        self.lower_flag();
        self.take_down(Way::Off, reason).await
    }

    pub(super) async fn cut(&self, reason: &Reason, cut: &Cut) -> Outcome {
        let Some(flag) = &self.flag else {
            return Outcome::Failed("this host owns no UPS that it could have cut".to_owned());
        };
        let due = Cut { earliest: cut.earliest.min(HOOK_WAITS), ..cut.clone() };
        if let Err(failed) = flag.raise(reason.shutdown, &due) {
            return Outcome::Failed(Chain(&failed).to_string());
        }
        let outcome = self.take_down(Way::Off, reason).await;
        match &outcome {
            Outcome::Failed(_) => self.lower_flag(),
            // It may still go down, and then it is to be cut: the hook reads the UPS itself.
            Outcome::Accepted
            | Outcome::GoesDown
            | Outcome::TimedOut(_)
            | Outcome::Unanswered(_) => {}
        }
        outcome
    }

    /// For a power-off before its turn: while the battery carries others there is no cut, and where
    /// the late hook cannot wait for its end the machine boots again.
    pub(super) fn raise_cut(&self, shutdown: u64, cut: &Cut) {
        if let Some(flag) = &self.flag
            && let Err(failed) = flag.raise(shutdown, cut)
        {
            error!(shutdown, failure = %Chain(&failed), "the UPS will not be cut");
        }
    }

    pub(super) async fn hold(&self, reason: &Reason, runtime_left: Option<Duration>) -> Outcome {
        let Reason { shutdown, .. } = *reason;
        // A power-off that nobody answered may have come through since. Without its flag nothing
        // would start the machine again, so the flag goes only where no such stop can come.
        match self.is_stopping(Goal::Off).await {
            Stopping::Running => {
                warn!(shutdown, "an earlier power-off came through: it is no hold any more");
                return Outcome::GoesDown;
            }
            Stopping::Idle => self.lower_flag(),
            Stopping::Unknown(why) => {
                warn!(shutdown, why, "whether a stop runs is unknown: the cut stays until held");
            }
        }
        let Some(ups) = self.ups.clone() else {
            return Outcome::Failed("this host owns no UPS that it could hold for".to_owned());
        };
        let mains_stable = self.mains_stable;
        let request = Request::Hold { shutdown, mains_stable, runtime_left, ups };
        match self.hand.ask(&request).await {
            Ok(()) => {
                self.lower_flag();
                info!(shutdown, "the hold is entered");
                Outcome::Accepted
            }
            Err(failed) => {
                warn!(shutdown, failure = %Chain(&failed), "the hold is not entered");
                Outcome::Failed(Chain(&failed).to_string())
            }
        }
    }

    pub(super) async fn reboot(&self, reason: &Reason) -> Outcome {
        self.lower_flag();
        if matches!(self.is_stopping(Goal::Off).await, Stopping::Running) {
            info!("the machine goes down already");
            return Outcome::Accepted;
        }
        self.take_down(Way::Reboot, reason).await
    }

    pub(super) async fn is_stopping(&self, goal: Goal) -> Stopping {
        match goal {
            Goal::Held => self.is_held(),
            Goal::Off => match timeout(ASK_LIMIT, self.progress()).await {
                Ok(Progress::Stopping | Progress::Delayed(_)) => Stopping::Running,
                Ok(Progress::Idle) => Stopping::Idle,
                Ok(Progress::Unknown(why)) => Stopping::Unknown(why),
                Err(_late) => Stopping::Unknown(format!(
                    "neither logind nor systemd has said so within {} s",
                    ASK_LIMIT.as_secs()
                )),
            },
        }
    }

    /// Looks after an accepted stop for as long as the agent lives. If systemd does not begin to
    /// stop, or is not done when the stop has taken `most`, asks the hand, at last without any
    /// unit being asked, and says what came of it.
    pub(super) async fn see_to(&self, reason: &Reason, most: Duration) {
        let shutdown = reason.shutdown;
        let mut end = Instant::now() + most.max(PATIENCE);
        let (mut is_asked, mut is_forced) = (false, false);
        loop {
            let last = self.wait_until_it_hangs(end).await;
            if is_forced {
                return self.give_up(shutdown, &last);
            }
            // Politely where logind may only be stuck: the hand goes around it.
            let is_now = is_asked
                || Instant::now() >= end
                || matches!(last, Progress::Stopping | Progress::Idle);
            warn!(shutdown, ?last, is_now, "the stop was taken and hangs: the hand is asked");
            let request = Request::Stop { shutdown, way: Way::Off, is_now };
            match self.hand.ask(&request).await {
                Ok(()) => info!(shutdown, "the hand has taken the stop"),
                Err(failed) => {
                    warn!(shutdown, failure = %Chain(&failed), "the hand does not help");
                    if !failed.is_open() {
                        return self.give_up(shutdown, &last);
                    }
                }
            }
            self.is_by_hand.store(true, Ordering::Relaxed);
            is_asked = true;
            if is_now {
                (is_forced, end) = (true, Instant::now() + PATIENCE);
            }
        }
    }

    /// Waits for as long as a stop that has come this far may take; returns how far that is.
    async fn wait_until_it_hangs(&self, end: Instant) -> Progress {
        let started = Instant::now();
        loop {
            let progress = self.progress().await;
            let until = match &progress {
                Progress::Stopping => end,
                // systemd has the job, and takes the bus down with the rest.
                Progress::Unknown(_) if self.is_by_hand.load(Ordering::Relaxed) => end,
                Progress::Delayed(most) => end.min(started + *most + PATIENCE_MARGIN),
                Progress::Idle | Progress::Unknown(_) => end.min(started + PATIENCE),
            };
            if Instant::now() >= until {
                return progress;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn give_up(&self, shutdown: u64, last: &Progress) {
        error!(
            shutdown,
            ?last,
            "the machine does not go down: power it off at its console (`systemctl poweroff`)"
        );
        // A stop that may still come through must find its flag.
        if matches!(last, Progress::Idle) {
            self.lower_flag();
        }
    }

    pub(super) async fn warn_terminals(&self, text: String) {
        if let Err(failed) = self.hand.ask(&Request::Wall(text)).await {
            warn!(failure = %Chain(&failed), "the terminals cannot be written to");
        }
    }

    /// Goes from one way to the next until one takes it.
    async fn take_down(&self, way: Way, reason: &Reason) -> Outcome {
        let Reason { shutdown, attempt, .. } = *reason;
        let mut failures = Vec::new();
        let mut is_open = false;
        let mut by_hand = async |is_now: bool, failures: &mut Vec<String>| {
            let request = Request::Stop { shutdown, way, is_now };
            match self.hand.ask(&request).await {
                Ok(()) => {
                    info!(shutdown, %request, "the hand has taken the call");
                    self.is_by_hand.store(true, Ordering::Relaxed);
                    true
                }
                Err(failed) => {
                    is_open |= failed.is_open();
                    failures.push(Chain(&failed).to_string());
                    false
                }
            }
        };
        if attempt >= FORCED_FROM && by_hand(true, &mut failures).await {
            return Outcome::Accepted;
        }
        match self.logind.stop(way).await {
            Ok(()) => {
                info!(shutdown, ?way, "logind has taken the call");
                self.is_by_hand.store(false, Ordering::Relaxed);
                return Outcome::Accepted;
            }
            Err(failed) => {
                warn!(
                    shutdown,
                    failure = %Chain(&failed),
                    "logind leads nowhere: the hand is asked"
                );
                failures.push(Chain(&failed).to_string());
                if failed.is_open() {
                    self.is_by_hand.store(false, Ordering::Relaxed);
                }
            }
        }
        if attempt < FORCED_FROM && by_hand(false, &mut failures).await {
            return Outcome::Accepted;
        }
        let why = failures.join("; ");
        warn!(shutdown, ?way, attempt, why, "no way takes the machine down");
        if is_open { Outcome::Unanswered(why) } else { Outcome::Failed(why) }
    }

    /// logind knows of a stop that it delays, systemd of one that logind was not asked for.
    async fn progress(&self) -> Progress {
        let (system, logind) =
            tokio::join!(self.logind.is_system_stopping(), self.logind.is_preparing());
        match (system, logind) {
            (Ok(true), _) => Progress::Stopping,
            (_, Ok(true)) => {
                Progress::Delayed(self.logind.delay_most().await.unwrap_or(DELAY_DEFAULT))
            }
            (Ok(false), Ok(false)) => Progress::Idle,
            (Err(failed), _) | (_, Err(failed)) => Progress::Unknown(Chain(&failed).to_string()),
        }
    }

    /// While it is entered the answer is no: asked again the hand waits for the same entering.
    fn is_held(&self) -> Stopping {
        match fs::read_to_string(&self.hold_state) {
            Ok(word) if word.trim() == "held" => Stopping::Running,
            Ok(_) => Stopping::Idle,
            Err(failed) if failed.kind() == io::ErrorKind::NotFound => Stopping::Idle,
            Err(failed) => {
                Stopping::Unknown(format!("{} cannot be read: {failed}", self.hold_state.display()))
            }
        }
    }

    pub(super) fn lower_flag(&self) {
        if let Some(flag) = &self.flag
            && let Err(failed) = flag.lower()
        {
            error!(failure = %Chain(&failed), "the UPS may be cut although it must not");
        }
    }
}

/// Returns where the hold's scripts, which are root's, write how it stands.
pub fn hold_directory(run: &Path) -> PathBuf {
    let mut name = run.as_os_str().to_owned();
    name.push("-hold");
    PathBuf::from(name)
}

/// Two calls cover a passing fault; who asks a third time has no time left to be polite.
const FORCED_FROM: u32 = 3;
/// From the moment a call is due until it is taken ten seconds may pass. These are nine: this
/// question, then logind and the hand, in either order.
const ASK_LIMIT: Duration = Duration::from_secs(1);
const _: () = assert!(
    ASK_LIMIT.as_secs() + logind::LIMIT.as_secs() + hand::CALL_LIMIT.as_secs() <= 9,
    "a stop that is called late misses the end of the battery"
);
/// systemd takes a job in milliseconds, on a machine that swaps in seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How late logind's own timer may be.
const PATIENCE_MARGIN: Duration = Duration::from_secs(2);
/// `InhibitDelayMaxSec` of logind, where nobody has changed it.
const DELAY_DEFAULT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(500);
