//! Power by Talos: machined is called over its socket.
//!
//! A call is *queued*, no more: whether the sequence starts is seen in the events. And it is not
//! idempotent: each `Shutdown` cancels the one that runs and starts over, and once the pods are
//! being stopped the second run kills them. So a call goes out once, is watched until its sequence
//! has started, and is repeated only where it is certain, by the events and by the stage, that none
//! runs.
//!
//! ```text
//! stop ─► Shutdown(force) ── refused, or no answer ─► failed: the coordinator asks and calls again
//!               │ answered
//!               ▼
//!         START with our actor, or of any other power-off ─► watched to the end of the node
//!               │ not within 5 s (70 s where it has to take another sequence over)
//!               ▼
//!         told as a problem; called once more as soon as it is certain that nothing runs
//! ```
//!
//! `force` leaves out cordon and drain alone. Those fail without an API server, and what fails
//! there has all pods killed: a declared stop goes without, and takes over a drain that somebody
//! else began. Talos can neither hold nor cut: the owner of a UPS is never such a host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

use super::{Cause, Goal, Outcome, Reason, Stopping};
use crate::talos::client::{CALL_LIMIT, CallError};
use crate::talos::{Lost, Missed, Node, Stage, Talos, View};

/// Calls machined.
#[derive(Debug)]
pub struct TalosPower {
    talos: Talos,
    /// Held while a call is made, so that two never cross; has what was called last.
    calling: tokio::sync::Mutex<Called>,
    /// What is waited for.
    awaited: Mutex<Option<Awaited>>,
    /// How often somebody has begun to look after a stop: the last of them does.
    seen_to: Sender<u64>,
    /// The cluster has a shutdown open.
    is_open: AtomicBool,
}

#[derive(Debug, Default)]
struct Called {
    /// The draining sequence that a call has already taken over.
    passed_over: Option<String>,
}

/// A call whose sequence has not been seen.
#[derive(Clone, Debug)]
struct Awaited {
    /// What its sequence is known by; none where the answer was lost, or an earlier run of this
    /// agent may have called.
    actor: Option<String>,
    force: bool,
    since: Instant,
    /// How long it may take to start if no other sequence turns out to run.
    patience: Duration,
}

impl Awaited {
    fn new(actor: Option<String>, force: bool, patience: Duration) -> Self {
        Self { actor, force, since: Instant::now(), patience }
    }

    fn has_started(&self, node: &Node) -> bool {
        match &self.actor {
            Some(actor) => node.run.as_ref().is_some_and(|run| run.actor == *actor),
            None => node.way().is_some(),
        }
    }

    /// What runs beside it has to be taken over first.
    fn patience(&self, node: &Node) -> Duration {
        if node.is_busy() { TAKEOVER_LIMIT } else { self.patience }
    }
}

impl TalosPower {
    /// Takes what is known of Talos; calls nobody.
    pub fn new(talos: Talos) -> Self {
        Self {
            talos,
            calling: tokio::sync::Mutex::default(),
            awaited: Mutex::default(),
            seen_to: Sender::default(),
            is_open: AtomicBool::default(),
        }
    }

    /// Returns what is known of Talos.
    pub fn talos(&self) -> &Talos {
        &self.talos
    }

    /// Takes whether the cluster has a shutdown open: then no call is made that drains first.
    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Takes note that an earlier run of this agent may have called. What it called may wait for
    /// another sequence to give way, and no event tells of it before it starts.
    pub(super) fn resume(&self) {
        if self.pending(&self.talos.view().node).is_none() {
            self.await_start(Some(Awaited::new(None, true, START_LIMIT)));
        }
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

    /// Takes over a sequence that moves the pods away first, where that is what runs: it may fail,
    /// and takes longer than a battery has. Returns whether it was called.
    pub async fn force_drain(&self) -> bool {
        let mut called = self.calling.lock().await;
        if !called.has_drain_ahead(&self.talos.view().node) {
            return false;
        }
        warn!("a sequence with a drain runs on battery: it is taken over by one without");
        self.call(&mut called, true).await == Outcome::Accepted
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
            Goal::Off => self.is_powering_off(cause).await,
        }
    }

    /// Looks after a stop that was taken, or that runs: that it starts, and is not canceled. Who
    /// began to do so last does it, and all others leave it to them.
    pub(crate) async fn see_to(&self, reason: &Reason) {
        let shutdown = reason.shutdown;
        self.seen_to.send_modify(|times| *times = times.wrapping_add(1));
        let mut others = self.seen_to.subscribe();
        let mut views = self.talos.subscribe();
        let mut may_repeat = true;
        let mut force = true;
        loop {
            // A call that goes out is waited for: nobody may drop that.
            let waited = tokio::select! {
                waited = self.until_nothing_runs(&mut views) => waited,
                _newer = others.changed() => return,
            };
            let Some(awaited) = waited else { return };
            let is_first = awaited.as_ref().is_some_and(|awaited| awaited.actor.is_none());
            force = awaited.map_or(force, |awaited| awaited.force);
            if !may_repeat {
                error!(
                    shutdown,
                    "the node does not go down: look at `talosctl dmesg`, and power it off by its \
                     button"
                );
                return;
            }
            may_repeat = is_first;
            warn!(shutdown, "the stop was taken and no sequence runs: machined is called again");
            match self.shut_down(force || self.is_open.load(Ordering::Relaxed)).await {
                Outcome::Accepted | Outcome::GoesDown => {}
                outcome @ (Outcome::Failed(_) | Outcome::TimedOut(_) | Outcome::Unanswered(_)) => {
                    error!(shutdown, ?outcome, "machined does not take the call again");
                    return;
                }
            }
        }
    }

    /// Waits until what was called has had its time and it is certain that nothing takes the node
    /// down. Returns what was waited for; none at the agent's end.
    async fn until_nothing_runs(&self, views: &mut Receiver<Arc<View>>) -> Option<Option<Awaited>> {
        let awaited = self.awaited();
        if let Some(awaited) = &awaited {
            self.wait_for_start(awaited, views).await;
        }
        // A call of which nobody knows whether it was made may still have to take something over;
        // one that was made and dropped would be dropped again.
        let may_take_over = awaited.as_ref().is_some_and(|awaited| awaited.actor.is_none());
        let is_free = |node: &Node| node.way().is_none() && (may_take_over || !node.is_busy());
        loop {
            // On the way down the agent is ended while it waits here.
            let seen = views.wait_for(|view| view.contact.is_kept && is_free(&view.node)).await;
            drop(seen.ok()?);
            // A stream that stands still looks like a node that stays up.
            if self.with_stage().await.is_ok_and(|node| is_free(&node)) {
                return Some(awaited);
            }
            sleep(STAGE_AGAIN).await;
        }
    }

    /// Says what came of it where nothing did.
    async fn wait_for_start(&self, awaited: &Awaited, views: &mut Receiver<Arc<View>>) {
        let actor = &awaited.actor;
        let mut patience = awaited.patience;
        loop {
            let node = views.borrow_and_update().node.clone();
            if awaited.has_started(&node) {
                info!(actor, "the node shuts down");
                break;
            }
            patience = patience.max(awaited.patience(&node));
            match timeout_at(awaited.since + patience, views.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_ended)) => break,
                Err(_late) if node.way().is_some() => {
                    info!(actor, "the node goes down by another call");
                    break;
                }
                Err(_late) => {
                    self.tell_missed(awaited, patience);
                    break;
                }
            }
        }
        let mut latest = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        drop(latest.take_if(|latest| latest.since == awaited.since));
    }

    fn tell_missed(&self, Awaited { actor, .. }: &Awaited, patience: Duration) {
        if actor.is_none() {
            info!("nothing came of a call that may have been made before");
            return;
        }
        self.talos.modify(|view| view.missed = Some(Missed::NotStarted(patience)));
        let problem = self.talos.view().problem();
        error!(actor, ?problem, "machined took the call and has not begun to shut down");
    }

    async fn shut_down(&self, force: bool) -> Outcome {
        let mut called = self.calling.lock().await;
        self.call(&mut called, force).await
    }

    async fn call(&self, called: &mut Called, force: bool) -> Outcome {
        if let Some(instead) = self.without_a_call(called, force).await {
            info!(?instead, force, "machined is not called");
            return instead;
        }
        let view = self.talos.view();
        let draining = view.node.draining().map(|run| run.actor.clone());
        let is_free = view.contact.is_kept && !view.node.is_busy();
        let patience = if is_free { START_LIMIT } else { TAKEOVER_LIMIT };
        match self.talos.machined().shutdown(force).await {
            Ok(actor) => {
                info!(actor, force, "machined has queued the shutdown");
                called.passed_over = draining;
                self.await_start(Some(Awaited::new(Some(actor.clone()), force, patience)));
                self.talos.modify(|view| {
                    view.missed = None;
                    view.ours.insert(actor);
                });
                Outcome::Accepted
            }
            Err(failed) => {
                let why = Chain(&failed).to_string();
                warn!(failure = why, "machined has not taken the call");
                let open = failed.is_open().then(|| Awaited::new(None, force, patience));
                self.await_start(open);
                // Who asks for a drain is a person, who hears of it.
                if force {
                    let lost = Lost { why, is_refusal: failed.is_refusal() };
                    self.talos.modify(|view| view.missed = Some(Missed::NotTaken(lost)));
                }
                refused(&failed)
            }
        }
    }

    /// Returns what there is to say instead of a call; none where it starts nothing over. This is
    /// the one place that keeps a second call off what runs.
    async fn without_a_call(&self, called: &Called, force: bool) -> Option<Outcome> {
        let view = self.talos.view();
        let pending = self.pending(&view.node);
        if pending.as_ref().is_some_and(|awaited| awaited.actor.is_some()) {
            return Some(Outcome::GoesDown);
        }
        if force && view.contact.is_kept && called.has_drain_ahead(&view.node) {
            return None;
        }
        if view.node.way().is_some() {
            return Some(Outcome::GoesDown);
        }
        if force && pending.is_none() {
            return None;
        }
        // It must be certain that nothing runs: a call may be on its way, or what runs would be
        // taken over by one that moves the pods away first.
        match self.with_stage().await {
            Ok(node) if node.way().is_some() => Some(Outcome::GoesDown),
            Ok(node) if node.is_busy() && force => Some(Outcome::GoesDown),
            Ok(node) if node.is_busy() => {
                let name = node.run.map(|run| run.name).unwrap_or_default();
                Some(Outcome::Failed(format!("the sequence {name} of Talos runs")))
            }
            Ok(node) if force || view.contact.is_kept || node.stage == Some(Stage::Running) => None,
            Ok(_) => Some(Outcome::Failed(NO_EVENTS.to_owned())),
            Err(why) if force => Some(Outcome::Unanswered(why)),
            Err(why) => Some(Outcome::Failed(why)),
        }
    }

    fn await_start(&self, awaited: Option<Awaited>) {
        *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) = awaited;
    }

    fn awaited(&self) -> Option<Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the call whose sequence may still start.
    fn pending(&self, node: &Node) -> Option<Awaited> {
        self.awaited().filter(|awaited| {
            awaited.since.elapsed() < TAKEOVER_LIMIT && !awaited.has_started(node)
        })
    }

    /// Returns what the events amount to with the stage that machined says when it is asked; why it
    /// does not where it does not.
    async fn with_stage(&self) -> Result<Node, String> {
        match timeout(STAGE_LIMIT, self.talos.machined().stage()).await {
            Ok(Ok(stage)) => Ok(Node { stage: Some(stage), ..self.talos.view().node.clone() }),
            Ok(Err(failed)) => Err(Chain(&failed).to_string()),
            Err(_late) => Err("machined does not tell its stage".to_owned()),
        }
    }

    /// Has what is waited for be called `by` earlier.
    #[cfg(test)]
    fn age(&self, by: Duration) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(awaited) = awaited.as_mut() {
            awaited.since -= by;
        }
    }

    async fn is_powering_off(&self, cause: Cause) -> Stopping {
        let view = self.talos.view();
        if view.contact.is_kept {
            return self.judge(&view, cause).await;
        }
        if view.node.way().is_some() {
            // On the way down the stream goes as everything does.
            return Stopping::Running;
        }
        let was_kept = view.contact.was_kept;
        let limit = if was_kept { STAGE_LIMIT } else { FIRST_LIMIT };
        let mut views = self.talos.subscribe();
        let mut stage = None;
        let kept = {
            let asking = async {
                stage = Some(self.talos.machined().stage().await);
                // The events say more, if they only come.
                if !was_kept {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                Ok(view) = views.wait_for(|view| view.contact.is_kept) => Some(Arc::clone(&view)),
                () = asking => None,
                () = sleep(limit) => None,
            }
        };
        if let Some(view) = kept {
            return self.judge(&view, cause).await;
        }
        match stage {
            Some(Ok(stage)) if (Node { stage: Some(stage), ..Node::default() }).way().is_some() => {
                Stopping::Running
            }
            Some(Ok(_)) => Stopping::Idle,
            Some(Err(failed)) => Stopping::Unknown(format!("{NO_EVENTS}, and {}", Chain(&failed))),
            None => Stopping::Unknown(NO_EVENTS.to_owned()),
        }
    }

    async fn judge(&self, view: &View, cause: Cause) -> Stopping {
        let node = &view.node;
        if node.way().is_some() {
            let has_drain_ahead = self.calling.lock().await.has_drain_ahead(node);
            return match cause {
                Cause::Battery if has_drain_ahead => Stopping::Idle,
                Cause::Battery | Cause::Order => Stopping::Running,
            };
        }
        match self.pending(node) {
            Some(awaited) if awaited.actor.is_some() || node.is_busy() => Stopping::Running,
            Some(_) | None => Stopping::Idle,
        }
    }
}

impl Called {
    /// Returns whether a drain runs that no call has taken over.
    fn has_drain_ahead(&self, node: &Node) -> bool {
        node.draining().is_some_and(|run| self.passed_over.as_ref() != Some(&run.actor))
    }
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
/// machined answers in milliseconds.
const STAGE_LIMIT: Duration = Duration::from_millis(500);
/// A stage that does not agree with the events is asked for again.
const STAGE_AGAIN: Duration = Duration::from_secs(2);
const NO_EVENTS: &str = "machined does not tell its events";
const _: () = assert!(
    FIRST_LIMIT.as_millis() + STAGE_LIMIT.as_millis() + CALL_LIMIT.as_millis() <= 9500,
    "a stop that is called late misses the end of the battery"
);

#[cfg(test)]
mod tests;
