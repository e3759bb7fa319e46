//! The health of this host and of the cluster as seen from here: checks with a reason and a remedy.
//!
//! All of it is computed from a [`Snapshot`] at the moment when somebody looks; nothing here waits.
//! What flaps by its nature (a reading, a peer) must have been wrong for a while before it fails.

mod agent;
mod battery;
mod cluster;
mod ending;
pub(crate) mod holding;
pub mod host;
pub(crate) mod nfs_server;
mod now;
mod past;
pub(crate) mod place;
pub(crate) mod reach;
mod smart;
mod steady;
pub(crate) mod talos;
#[cfg(test)]
pub(crate) mod tests;
mod units;
mod ups;

use std::fmt::Display;
use std::time::Duration;

use curfew_coordinator::{HostName, Phase, Presence};
use serde::Serialize;

pub(crate) use self::ending::end;
pub(crate) use self::now::under_way;

use crate::snapshot::Snapshot;

/// How a check stands, in rising gravity.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All is well.
    Pass,
    /// It could not be looked at, which makes nothing else worse.
    Unknown,
    /// Worth knowing.
    Warn,
    /// Somebody must act.
    Fail,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Unknown, Self::Warn, Self::Fail];

    /// Returns the word of the wire and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Its name, in kebab-case: a label of a metric, so from a set that does not grow.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub reason: String,
    /// What to do about it; none if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    /// Returns a check that passes.
    pub fn pass(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Pass, reason: reason.into(), remedy: None }
    }

    /// Returns a check that could not be made, with one clause that says why: what follows
    /// "unknown: ".
    pub fn unknown(name: impl Into<String>, why: impl Display, remedy: Option<&str>) -> Self {
        let reason = format!("{UNKNOWN}{why}");
        let remedy = remedy.map(str::to_owned);
        Self { name: name.into(), state: State::Unknown, reason, remedy }
    }

    /// Returns a check that warns.
    pub fn warn(
        name: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { name: name.into(), state: State::Warn, reason: reason.into(), remedy }
    }

    /// Returns a check that fails.
    pub fn fail(
        name: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { state: State::Fail, ..Self::warn(name, reason, remedy) }
    }

    /// Returns the reason and the remedy in one line.
    pub fn sentence(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}: {remedy}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// All checks of one moment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Health {
    /// The gravest of what is known: a check that could not be made counts as one that passes.
    pub state: State,
    /// The checks, in the order in which a person reads them; no two have one name.
    pub checks: Vec<Check>,
    /// Why the plan could not be carried out now; empty if it could.
    pub obstacles: Vec<String>,
}

impl Health {
    /// Makes all checks.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut checks = vec![
            agent::coordinator_answers(snapshot),
            ups::contact(snapshot),
            ups::supply(snapshot),
            end(snapshot),
            ups::plan_margin(&snapshot.status),
            battery::battery(snapshot),
            cluster::shutdown(&snapshot.status),
            cluster::recovery(&snapshot.status),
            cluster::planned_stop(&snapshot.status),
            cluster::file(snapshot),
            cluster::versions(&snapshot.status),
            cluster::clock(&snapshot.status),
        ];
        checks.extend(ending::delays(snapshot));
        checks.push(ups::force(&snapshot.status));
        checks.extend(ups::watched(snapshot));
        checks.extend(cluster::peers(snapshot));
        checks.extend(nfs_server::checks(snapshot));
        checks.extend(holding::checks(snapshot));
        checks.extend(host::checks(snapshot));
        checks.extend(talos::check(snapshot));
        checks.extend(units::check(snapshot));
        checks.extend(smart::check(snapshot));
        checks.push(agent::journal(snapshot));
        checks.push(past::history(snapshot));
        checks.push(agent::warnings(&snapshot.status));
        for check in &snapshot.extra {
            // Two series with one name would make the whole page of metrics invalid.
            if checks.iter().all(|known| known.name != check.name) {
                checks.push(check.clone());
            }
        }
        let known = checks.iter().map(|check| check.state).filter(|it| *it != State::Unknown);
        let state = known.max().unwrap_or(State::Pass);
        let obstacles = obstacles(snapshot, &checks);
        Self { state, checks, obstacles }
    }

    /// Returns the number of checks in `state`.
    pub fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }
}

/// Without these there is no ordered stop: a disk that is too warm is no obstacle.
fn obstacles(snapshot: &Snapshot, checks: &[Check]) -> Vec<String> {
    let status = &snapshot.status;
    let own = status.hosts.get(&status.host);
    // What this host needs goes after it, and is not to come.
    let own = own.filter(|_| !cluster::is_declared(status));
    let waits_for = own.map(|own| cluster::names(&own.waiting_for)).unwrap_or_default();
    let waiting = (!waits_for.is_empty()).then(|| format!("waiting for {waits_for}"));
    let open = status.shutdown.as_ref();
    let open = open.map(|open| format!("shutdown {} is {}", open.number, open.standing.as_str()));
    let hindering = checks.iter().filter(|check| is_obstacle(snapshot, check));
    let hindering = hindering.map(|check| format!("{}: {}", check.name, check.sentence()));
    waiting.into_iter().chain(open).chain(hindering).collect()
}

/// A check that fails, or that is forgiven only because the agent has just started.
fn is_obstacle(snapshot: &Snapshot, check: &Check) -> bool {
    let peer = check.name.strip_prefix(cluster::PEER).map(HostName::from);
    let is_unknown = |peer: &HostName| {
        snapshot.status.hosts.get(peer).is_some_and(|host| host.presence == Presence::Unknown)
    };
    match check.state {
        State::Pass | State::Unknown => false,
        State::Warn if check.name == ups::CONTACT => snapshot.reading_age().is_none(),
        State::Warn if check.name == cluster::RECOVERY => !cluster::is_declared(&snapshot.status),
        State::Warn => peer.as_ref().is_some_and(is_unknown),
        State::Fail => peer.is_some() || OBSTACLES.contains(&check.name.as_str()),
    }
}

/// Returns whether this host stops, holds or halts: what ends then is meant to.
fn is_ending(snapshot: &Snapshot) -> bool {
    matches!(snapshot.status.phase, Phase::Stopping | Phase::Holding | Phase::Halting)
}

/// Returns what is said of a check that was ill when it was last looked at: it is not known to be
/// well, and its alert must not end.
fn unseen_for(last: &Check, age: Duration) -> Check {
    let was = last.reason.split(UNSEEN).next().unwrap_or_default();
    let was = was.strip_prefix(WAS).unwrap_or(was);
    let reason = format!("{WAS}{was}{UNSEEN} {}", seconds(age));
    Check::warn(&last.name, reason, last.remedy.clone().unwrap_or_default())
}

const WAS: &str = "was: ";
const UNSEEN: &str = "; not looked at for";

/// Returns a span as a person says it.
fn seconds(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

/// How the reason of a check begins that could not be made.
pub(crate) const UNKNOWN: &str = "unknown: ";
/// Checks whose failure is an obstacle to the plan, with those of the peers.
const OBSTACLES: [&str; 12] = [
    agent::AGENT,
    agent::JOURNAL,
    CERTIFICATES,
    cluster::FILE,
    HAND,
    nfs_server::EYES,
    reach::ADDRESSES,
    reach::PORT,
    REFUSALS,
    talos::TALOS,
    ups::CONTACT,
    ups::PLAN_MARGIN,
];

/// The check that the root script is there by which this host holds and, without polkit, stops.
pub(crate) const HAND: &str = "hand";
/// The check that no host of the cluster is refused, or refuses this one.
pub(crate) const REFUSALS: &str = "peers-refusals";
/// The check that this host has a certificate that it can use.
pub(crate) const CERTIFICATES: &str = "certificates";
