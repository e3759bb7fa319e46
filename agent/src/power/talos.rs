//! Power by Talos: machined is called over its socket.
//!
//! A call is *queued*, no more: whether the sequence starts is seen in the events. And it is not
//! idempotent: each `Shutdown` cancels the one that runs and starts over, and once the pods are
//! being stopped the second run kills them. So a call goes out once, is watched until its sequence
//! has started, and is repeated only where it is certain that none runs.
//!
//! ```text
//! stop ─► Shutdown(force) ── refused, or no answer ─► failed: the coordinator asks and calls again
//!               │ answered
//!               ▼
//!         START with our actor, or of any other power-off ─► watched to the end of the node
//!               │ not within 5 s (70 s where it has to take another sequence over)
//!               ▼
//!         told as a problem; called once more if nothing runs
//! ```
//!
//! `force` leaves out cordon and drain alone. Those fail without an API server, and what fails
//! there has all pods killed: a declared stop goes without, and takes over a drain that somebody
//! else began. Talos can neither hold nor cut: the owner of a UPS is never such a host.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, info, warn};

use super::{Cause, Goal, Outcome, Reason, Stopping};
use crate::talos::client::{CALL_LIMIT, CallError};
use crate::talos::{Lost, Missed, Stage, Talos, View};

/// Calls machined.
#[derive(Debug)]
pub struct TalosPower {
    talos: Talos,
    /// Held while a call is made, so that two never cross; has what was called last.
    calling: tokio::sync::Mutex<Called>,
    /// What is waited for.
    awaited: Mutex<Option<Awaited>>,
}

#[derive(Debug, Default)]
struct Called {
    /// The draining power-off that a call has already taken over.
    passed_over: Option<String>,
}

/// A call whose sequence has not been seen.
#[derive(Clone, Debug)]
struct Awaited {
    actor: String,
    force: bool,
    /// Until when it must have started, and how long that is from the call on.
    until: Instant,
    patience: Duration,
}

impl TalosPower {
    /// Takes what is known of Talos; calls nobody.
    pub fn new(talos: Talos) -> Self {
        let calling = tokio::sync::Mutex::new(Called::default());
        Self { talos, calling, awaited: Mutex::new(None) }
    }

    /// Returns what is known of Talos.
    pub fn talos(&self) -> &Talos {
        &self.talos
    }

    pub(super) async fn stop(&self, reason: &Reason) -> Outcome {
        info!(shutdown = reason.shutdown, "machined is called to shut down, without a drain");
        self.shut_down(true).await
    }

    /// Asks for a power-off with cordon and drain, outside of any shutdown: the pods go to other
    /// nodes first, which takes six minutes at most and fails without an API server.
    pub async fn stop_drained(&self) -> Outcome {
        info!("machined is called to drain and shut down");
        self.shut_down(false).await
    }

    /// Takes over a power-off that moves the pods away first, where that is what runs: it may fail,
    /// and takes longer than a battery has. Returns whether it was called.
    pub async fn force_drain(&self) -> bool {
        if self.talos.view().node.draining().is_none() {
            return false;
        }
        warn!("a shutdown with a drain runs on battery: it is taken over by one without");
        self.shut_down(true).await == Outcome::Accepted
    }

    #[expect(clippy::unused_self, reason = "each kind of power answers alike")]
    pub(super) fn hold(&self) -> Outcome {
        Outcome::Failed("Talos cannot be held".to_owned())
    }

    #[expect(clippy::unused_self, reason = "each kind of power answers alike")]
    pub(super) fn cut(&self) -> Outcome {
        Outcome::Failed("Talos cannot have a UPS cut".to_owned())
    }

    pub(super) async fn reboot(&self) -> Outcome {
        let _one = self.calling.lock().await;
        match self.talos.machined().reboot().await {
            Ok(actor) => {
                info!(actor, "machined has queued the reboot");
                self.talos.modify(|view| {
                    view.ours.insert(actor);
                });
                Outcome::Accepted
            }
            Err(failed) => refused(&failed),
        }
    }

    /// Whether a power-off runs that must not be called again. One that drains is not: it is taken
    /// over where the battery counts.
    pub(super) async fn is_stopping(&self, goal: Goal, cause: Cause) -> Stopping {
        match goal {
            Goal::Held => Stopping::Idle,
            Goal::Off => match self.known().await {
                Ok(view) => self.judge(&view, cause).await,
                Err(why) => self.ask_stage(why).await,
            },
        }
    }

    /// Looks after a stop that was taken, or that runs: that it starts, and is not canceled.
    pub(crate) async fn see_to(&self, reason: &Reason) {
        let shutdown = reason.shutdown;
        let mut views = self.talos.subscribe();
        let mut may_repeat = true;
        let mut force = true;
        loop {
            let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(awaited) = awaited {
                force = awaited.force;
                self.wait_for_start(&awaited, &mut views).await;
            }
            // On the way down the agent is ended while it waits here.
            if views.wait_for(|view| is_surely_idle(view)).await.is_err() {
                return;
            }
            if !may_repeat {
                error!(
                    shutdown,
                    "the node does not go down: look at `talosctl dmesg`, and power it off by its \
                     button"
                );
                return;
            }
            may_repeat = false;
            warn!(shutdown, "the stop was taken and no sequence runs: machined is called again");
            let outcome = self.shut_down(force).await;
            if outcome != Outcome::Accepted {
                error!(shutdown, ?outcome, "machined does not take the call again");
                return;
            }
        }
    }

    /// Says what came of it where nothing did.
    async fn wait_for_start(&self, awaited: &Awaited, views: &mut Receiver<Arc<View>>) {
        let Awaited { actor, until, patience, .. } = awaited;
        let has_started =
            |view: &Arc<View>| view.node.run.as_ref().is_some_and(|run| run.actor == *actor);
        match timeout_at(*until, views.wait_for(has_started)).await {
            Ok(Ok(_started)) => info!(actor, "the node shuts down"),
            Ok(Err(_ended)) => {}
            Err(_late) if self.talos.view().node.is_shutting_down() => {
                info!(actor, "the node shuts down by another call");
            }
            Err(_late) => {
                let missed = Missed::NotStarted(*patience);
                self.talos.modify(|view| view.missed = Some(missed));
                let problem = self.talos.view().problem();
                error!(actor, ?problem, "machined took the call and has not begun to shut down");
            }
        }
    }

    async fn shut_down(&self, force: bool) -> Outcome {
        let mut called = self.calling.lock().await;
        let view = self.talos.view();
        let draining = view.node.draining().map(|run| run.actor.clone());
        if draining.is_some() && draining == called.passed_over {
            info!("the drain has been taken over already");
            return Outcome::GoesDown;
        }
        let is_free = view.contact.is_kept && !view.node.is_busy();
        let patience = if is_free { START_LIMIT } else { TAKEOVER_LIMIT };
        match self.talos.machined().shutdown(force).await {
            Ok(actor) => {
                info!(actor, force, "machined has queued the shutdown");
                called.passed_over = draining;
                let until = Instant::now() + patience;
                let awaited = Awaited { actor: actor.clone(), force, until, patience };
                *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) = Some(awaited);
                self.talos.modify(|view| {
                    view.missed = None;
                    view.ours.insert(actor);
                });
                Outcome::Accepted
            }
            Err(failed) => {
                let why = Chain(&failed).to_string();
                warn!(failure = why, "machined has not taken the call");
                // Who asks for a drain is a person, who hears of it.
                if force {
                    let lost = Lost { why, is_refusal: failed.is_refusal() };
                    self.talos.modify(|view| view.missed = Some(Missed::NotTaken(lost)));
                }
                refused(&failed)
            }
        }
    }

    /// Returns what is known, as soon as anything is; why nothing is if that takes too long.
    async fn known(&self) -> Result<Arc<View>, String> {
        let view = self.talos.view();
        if view.contact.is_kept {
            return Ok(view);
        }
        let limit = if view.contact.was_kept { Duration::ZERO } else { FIRST_LIMIT };
        let mut views = self.talos.subscribe();
        let kept = timeout(limit, views.wait_for(|view| view.contact.is_kept)).await;
        match kept {
            Ok(Ok(view)) => Ok(Arc::clone(&view)),
            Ok(Err(_)) | Err(_) => Err("machined does not tell its events".to_owned()),
        }
    }

    async fn judge(&self, view: &View, cause: Cause) -> Stopping {
        if !view.node.is_shutting_down() {
            return Stopping::Idle;
        }
        let Some(run) = view.node.draining() else { return Stopping::Running };
        let is_passed_over = self.calling.lock().await.passed_over.as_ref() == Some(&run.actor);
        match cause {
            Cause::Battery if !is_passed_over => Stopping::Idle,
            Cause::Battery | Cause::Order => Stopping::Running,
        }
    }

    /// Where the stream has just broken off.
    async fn ask_stage(&self, why: String) -> Stopping {
        let known = self.talos.view();
        if !known.contact.was_kept {
            return Stopping::Unknown(why);
        }
        if known.node.is_shutting_down() {
            // On the way down the stream goes as everything does.
            return Stopping::Running;
        }
        match timeout(STAGE_LIMIT, self.talos.machined().stage()).await {
            Ok(Ok(Stage::ShuttingDown)) => Stopping::Running,
            Ok(Ok(_)) => Stopping::Idle,
            Ok(Err(failed)) => Stopping::Unknown(format!("{why}, and {}", Chain(&failed))),
            Err(_late) => Stopping::Unknown(why),
        }
    }
}

/// Returns whether no power-off runs, nor has failed, and machined is there to be called.
fn is_surely_idle(view: &View) -> bool {
    view.contact.is_kept && !view.node.is_shutting_down()
}

fn refused(failed: &CallError) -> Outcome {
    let why = Chain(failed).to_string();
    if failed.is_open() { Outcome::Unanswered(why) } else { Outcome::Failed(why) }
}

/// From a call that nothing stands in the way of to the start of its sequence.
const START_LIMIT: Duration = Duration::from_secs(5);
/// The sequence that is taken over gets a minute to stop.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(70);
/// machined takes up to five seconds to find out who a process is that was just started.
const FIRST_LIMIT: Duration = Duration::from_millis(5500);
const STAGE_LIMIT: Duration = Duration::from_secs(1);
const _: () = assert!(
    FIRST_LIMIT.as_millis() + CALL_LIMIT.as_millis() <= 9000
        && STAGE_LIMIT.as_millis() + CALL_LIMIT.as_millis() <= 9000,
    "a stop that is called late misses the end of the battery"
);

#[cfg(test)]
mod tests;
