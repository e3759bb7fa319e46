//! Keeps the stream of machined's events, and publishes what they amount to.
//!
//! ```text
//!          events, from the first kept          quiet: published
//! sought ───────────────────────────► replayed ─────────────────► kept
//!    ▲                                                             │ the stream ends, or breaks
//!    └────────────── pause ◄───────────── lost ◄───────────────────┘
//!              (next time from the last one that was seen)
//! ```
//!
//! Nothing says where the past ends and the present begins, so what is replayed is published when
//! nothing has come for a moment. The stage is read at each connection, too: the past is a ring,
//! and what lies too far back is not told.
//!
//! A stream on which nothing comes may be that of a machined that does nothing any more: the
//! version is asked for now and then, over a connection of its own.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::client::{CallError, Events, Tail};
use super::node::{Event, Happening, Node};
use super::{Contact, Lost, Problem, Talos};

/// Follows machined.
#[derive(Debug)]
pub struct Watch {
    talos: Talos,
    node: Node,
    tail: Tail,
    /// How often a machined that says nothing is asked.
    ask_every: Duration,
    /// What the last try failed of was said.
    is_loss_told: bool,
}

/// Why nothing is heard of machined any more.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("machined has ended the stream of its events")]
    End,
}

impl Watch {
    /// Connects to nobody yet.
    pub fn new(talos: Talos) -> Self {
        let ask_every = ASK_AGAIN;
        Self { talos, node: Node::default(), tail: Tail::All, ask_every, is_loss_told: false }
    }

    /// Follows until cancelled, over as many connections as it takes.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), Infallible> {
        self.forget_contact();
        let mut pause = PAUSE_FIRST;
        loop {
            let Some(failed) = cancel.run_until_cancelled(self.follow()).await else {
                return Ok(());
            };
            if self.talos.view().contact.is_kept {
                pause = PAUSE_FIRST;
            }
            self.lose(&failed);
            if cancel.run_until_cancelled(sleep(pause)).await.is_none() {
                return Ok(());
            }
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    /// Follows one stream until that ends.
    async fn follow(&mut self) -> FollowError {
        match self.try_follow().await {
            Ok(never) => match never {},
            Err(failed) => failed,
        }
    }

    async fn try_follow(&mut self) -> Result<Infallible, FollowError> {
        let caught_up = self.catch_up().await;
        if let Err(FollowError::Call(CallError::Answer { .. })) = caught_up {
            // It may be the place that machined does not know: next time all is told.
            self.tail = Tail::All;
        }
        let mut events = caught_up?;
        self.ask_stage().await;
        self.keep();
        let mut silence = pin!(listen_for_silence(self.talos.clone(), self.ask_every));
        let mut publish_at = None;
        loop {
            tokio::select! {
                event = events.next() => {
                    self.take(&event?.ok_or(FollowError::End)?);
                    if self.node.is_settled() {
                        publish_at = None;
                        self.publish();
                    } else {
                        publish_at.get_or_insert_with(|| Instant::now() + SETTLE);
                    }
                }
                () = at(publish_at) => {
                    publish_at = None;
                    self.publish();
                }
                failed = silence.as_mut() => return Err(failed.into()),
            }
        }
    }

    /// Opens the stream, and takes the past and what comes while it is told.
    async fn catch_up(&mut self) -> Result<Events, FollowError> {
        let mut events = self.talos.machined().events(&self.tail).await?;
        if self.tail == Tail::All {
            self.node = Node::default();
        }
        let end = Instant::now() + REPLAY_LIMIT;
        while Instant::now() < end {
            match timeout(QUIET, events.next()).await {
                Ok(event) => self.take(&event?.ok_or(FollowError::End)?),
                Err(_quiet) => break,
            }
        }
        // What takes over what was canceled is about to start.
        let end = Instant::now() + SETTLE;
        while !self.node.is_settled() {
            match timeout_at(end, events.next()).await {
                Ok(event) => self.take(&event?.ok_or(FollowError::End)?),
                Err(_settled) => break,
            }
        }
        Ok(events)
    }

    fn take(&mut self, event: &Event) {
        self.node.take(event);
        if !event.id.is_empty() {
            self.tail = Tail::After(event.id.clone());
        }
        match &event.what {
            Happening::Sequence { name, action, error } => {
                info!(sequence = name, ?action, ?error, actor = event.actor, "machined says");
            }
            Happening::PhaseStarted(phase) => debug!(phase, "machined enters a phase"),
            Happening::Staged(stage) => debug!(?stage, "machined has come to a stage"),
            Happening::Other => {}
        }
    }

    /// Where no event is left that tells it.
    async fn ask_stage(&mut self) {
        match timeout(ASK_LIMIT, self.talos.machined().stage()).await {
            Ok(Ok(stage)) => self.node.stage = Some(stage),
            Ok(Err(failed)) => {
                debug!(failure = %Chain(&failed), "machined does not tell the stage");
            }
            Err(_late) => debug!("machined does not tell the stage in time"),
        }
    }

    fn keep(&mut self) {
        self.is_loss_told = false;
        let contact =
            Contact { is_kept: true, since: Instant::now(), was_kept: true, failure: None };
        let node = self.node.clone();
        info!(stage = ?node.stage, way = ?node.way(), "machined tells its events");
        let known = self.talos.view().node.problem();
        self.talos.modify(|view| (view.contact, view.node) = (contact, node));
        self.report(known);
    }

    /// Most events change nothing, and nobody hears of those.
    fn publish(&self) {
        let before = self.talos.view();
        if before.node == self.node {
            return;
        }
        let node = self.node.clone();
        self.talos.modify(|view| {
            view.missed = view.missed.take().filter(|_| !node.is_shutting_down());
            view.node = node;
        });
        self.report(before.problem());
    }

    /// Each problem aloud, and once.
    fn report(&self, known: Option<Problem>) {
        let problem =
            self.talos.view().problem().filter(|it| known.is_none_or(|known| known != *it));
        match problem {
            Some(Problem { is_grave: true, reason, remedy }) => error!("{reason}: {remedy}"),
            Some(Problem { is_grave: false, reason, remedy }) => warn!("{reason}: {remedy}"),
            None => {}
        }
    }

    /// An earlier watch may have ended without a word, and its stream with it.
    fn forget_contact(&self) {
        self.talos.modify(|view| {
            if view.contact.is_kept {
                (view.contact.is_kept, view.contact.since) = (false, Instant::now());
            }
        });
    }

    /// What was known stays: on the way down the socket goes as everything does.
    fn lose(&mut self, failed: &FollowError) {
        let failure = Chain(failed);
        if self.is_loss_told {
            debug!(%failure, "nothing is heard of machined");
        } else {
            warn!(
                %failure,
                "nothing is heard of machined: a stop by somebody else is not seen, and a call may \
                 fail"
            );
        }
        self.is_loss_told = true;
        let is_refusal = match failed {
            FollowError::Call(failed) => failed.is_refusal(),
            FollowError::End => false,
        };
        let lost = Lost { why: failure.to_string(), is_refusal };
        self.talos.modify(|view| {
            let contact = &mut view.contact;
            if contact.is_kept {
                (contact.is_kept, contact.since) = (false, Instant::now());
            }
            contact.failure = Some(lost);
        });
    }
}

/// Returns when machined does not answer any more, with what it did instead.
async fn listen_for_silence(talos: Talos, ask_every: Duration) -> CallError {
    loop {
        match talos.machined().version().await {
            Ok(version) => {
                let version = Some(version);
                if talos.view().version != version {
                    info!(version, "Talos is there");
                    talos.modify(|view| view.version = version);
                }
            }
            // It is there, and has a version that nobody can read.
            Err(failed @ CallError::Lack { .. }) => {
                debug!(failure = %Chain(&failed), "machined does not tell the version of Talos");
            }
            Err(failed) => return failed,
        }
        sleep(ask_every).await;
    }
}

/// Waits until then; for ever without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// machined tells a thousand events in some milliseconds.
const QUIET: Duration = Duration::from_millis(50);
/// On a node where something is told all the time.
const REPLAY_LIMIT: Duration = Duration::from_secs(1);
/// From the end of a sequence to the start of the one that takes it over: machined does nothing in
/// between.
const SETTLE: Duration = Duration::from_secs(1);
/// machined lives as long as the node, so that a stream that ends is soon another.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_mins(1);
/// What is told waits for the answer meanwhile.
const ASK_LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
