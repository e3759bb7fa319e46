//! Talos: what machined says of this node, and how it is called.
//!
//! [`Watch`] keeps the stream of events and publishes a [`View`]; whoever calls, or looks, goes by
//! the latest one and asks nobody. [`node`] has the rules by which events become a state,
//! [`client`] the calls. What follows from it for the shutdown of this host is decided elsewhere.

pub mod client;
pub mod node;
mod shown;
#[cfg(test)]
pub(crate) mod stand_in;
pub mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};
use tokio::time::Instant;

pub use self::client::{CallError, Machined};
pub use self::node::{Node, Stage};
pub use self::shown::{Shown, ShownProblem, ShownSequence};
pub use self::watch::Watch;

/// What is known of Talos on this node.
#[derive(Clone, Debug)]
pub struct View {
    /// Its version, such as `v1.11.6`; none until it was asked.
    pub version: Option<String>,
    /// What its events amount to.
    pub node: Node,
    /// Whether machined tells them.
    pub contact: Contact,
    /// What this agent's calls will be, or were, known by in the events.
    pub ours: BTreeSet<String>,
    /// Why nothing came of the last call of this agent.
    pub missed: Option<Missed>,
}

/// Whether machined can be asked, and since when.
#[derive(Clone, Debug)]
pub struct Contact {
    /// It tells its events.
    pub is_kept: bool,
    /// Since when that is so.
    pub since: Instant,
    /// It was kept before, in this run of the agent.
    pub was_kept: bool,
    /// Why there is none, if somebody has tried.
    pub failure: Option<Lost>,
}

/// Why machined cannot be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lost {
    /// One clause.
    pub why: String,
    /// It does not let this agent ask.
    pub is_refusal: bool,
}

/// A call that was answered, and then nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Missed {
    /// The sequence has not started within this time.
    NotStarted(Duration),
    /// The call itself failed.
    NotTaken(Lost),
}

/// What was found that somebody should know of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Nothing stops this node in order until it is mended.
    pub is_grave: bool,
    /// What was found.
    pub reason: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// machined, and what is known of it: shared by those who call and those who look.
#[derive(Clone, Debug)]
pub struct Talos {
    machined: Machined,
    view: Arc<Sender<Arc<View>>>,
}

impl Talos {
    /// Takes the path of machined's socket; calls nobody.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let view = Sender::new(Arc::new(View::new()));
        Self { machined: Machined::new(socket), view: Arc::new(view) }
    }

    /// Returns machined.
    pub fn machined(&self) -> &Machined {
        &self.machined
    }

    /// Returns what is known now.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Returns what is known from now on.
    pub fn subscribe(&self) -> Receiver<Arc<View>> {
        self.view.subscribe()
    }

    pub(crate) fn modify(&self, modify: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| modify(Arc::make_mut(view)));
    }
}

impl View {
    fn new() -> Self {
        let since = Instant::now();
        Self {
            version: None,
            node: Node::default(),
            contact: Contact { is_kept: false, since, was_kept: false, failure: None },
            ours: BTreeSet::new(),
            missed: None,
        }
    }

    /// Returns whether it was this agent that called the sequence that started last. It does not
    /// know of calls of an earlier run.
    pub fn is_ours(&self) -> bool {
        self.node.run.as_ref().is_some_and(|run| self.ours.contains(&run.actor))
    }

    /// Returns the stage that the node is in; none when it is not known, or not any more.
    pub fn stage(&self) -> Option<Stage> {
        let is_lost = !self.contact.is_kept && self.contact.since.elapsed() >= PATIENCE;
        self.node.stage.filter(|_| !is_lost)
    }

    /// Returns what somebody should know of, the gravest first.
    pub fn problem(&self) -> Option<Problem> {
        // After a failure machined ends, and contact with it.
        if self.node.run.as_ref().is_some_and(|run| run.failure().is_some()) {
            return self.node.problem();
        }
        self.contact.problem().or_else(|| self.missed()).or_else(|| self.node.problem())
    }

    fn missed(&self) -> Option<Problem> {
        let (reason, remedy) = match self.missed.as_ref()? {
            Missed::NotStarted(limit) => (
                format!(
                    "machined took the call to shut down and has not begun within {} s",
                    limit.as_secs()
                ),
                "look at `talosctl dmesg` for what holds up the sequence before, and power the \
                 node off by its button if it must be off",
            ),
            Missed::NotTaken(lost) => {
                (format!("the call to shut down failed: {}", lost.why), lost.remedy())
            }
        };
        Some(Problem { is_grave: true, reason, remedy })
    }
}

impl Contact {
    fn problem(&self) -> Option<Problem> {
        let failure = self.failure.as_ref().filter(|_| !self.is_kept)?;
        Some(Problem { is_grave: true, reason: failure.why.clone(), remedy: failure.remedy() })
    }
}

impl Lost {
    const fn remedy(&self) -> &'static str {
        if self.is_refusal {
            "run curfew as the extension service `ext-curfew`, whose processes machined knows, or \
             update it: the role os:operator is sent with every call"
        } else {
            "let the service spec mount /system/run/machined/machine.sock and depend on its path, \
             and look at `talosctl service machined`"
        }
    }
}

impl Node {
    fn problem(&self) -> Option<Problem> {
        let run = self.run.as_ref();
        if let Some((run, why)) = run.and_then(|run| Some((run, run.failure()?))) {
            let name = &run.name;
            if run.has_failed_drain() {
                return Some(Problem {
                    is_grave: true,
                    reason: format!(
                        "the drain of the sequence {name} failed, and all pods are killed: {why}"
                    ),
                    remedy: "leave the drain out when the API server may not answer: \
                             `talosctl shutdown --force`, `curfew reboot HOST --force`",
                });
            }
            let phase = run.phase.as_deref().unwrap_or("before its first phase");
            return Some(Problem {
                is_grave: true,
                reason: format!("the sequence {name} failed ({phase}): {why}"),
                remedy: "machined ends everything at once: look at the node when it is back, \
                         `talosctl dmesg` says more",
            });
        }
        if self.is_canceled() {
            let name = run.map_or("", |run| run.name.as_str());
            return Some(Problem {
                is_grave: true,
                reason: format!("the sequence {name} was canceled, and no other has followed"),
                remedy: "services and pods may be stopped: reboot the node (`talosctl reboot`), \
                         or shut it down again",
            });
        }
        let locked = self.locked.as_ref()?;
        Some(Problem {
            is_grave: false,
            reason: format!("the sequence {locked} was asked for and refused: another one runs"),
            remedy: "wait for the other one to end, and ask again",
        })
    }
}

/// How long contact may be away before that says something: longer than a connection takes that
/// machined has to look up first, and its pauses.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
