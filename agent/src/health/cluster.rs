//! Checks of the cluster: peers, the file, clocks, an open shutdown and what is left of one.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{
    Absence, Cause, Debt, Gate, HostName, HostStatus, Phase, Presence, Standing, Status,
};

use super::{Check, State, place, seconds};
use crate::cluster_file::System;
use crate::snapshot::{Place, Snapshot};

pub(super) const FILE: &str = "cluster-file";
const PLANNED_STOP: &str = "planned-stop";
pub(super) const PEER: &str = "peer-";

pub(super) fn shutdown(status: &Status) -> Check {
    let Some(open) = &status.shutdown else {
        let reason = match status.ended {
            0 => "none is open".to_owned(),
            ended => format!("none is open, the last was {ended}"),
        };
        return Check::pass(SHUTDOWN, reason);
    };
    let why: Vec<_> = open
        .reasons
        .iter()
        .map(|reason| format!("{} by {}: {}", reason.trigger, reason.by, reason.evidence))
        .collect();
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
    let remedy = match open.standing {
        Standing::Recorded => "nothing, it is being recovered".to_owned(),
        Standing::Returning => "nothing, the hosts are being brought back".to_owned(),
        Standing::Declared if open.reasons.iter().any(|reason| reason.cause == Cause::Order) => {
            "`curfew call-off` ends it".to_owned()
        }
        Standing::Declared => "nothing, it turns when the mains are back".to_owned(),
    };
    let standing = open.standing.as_str();
    Check::warn(SHUTDOWN, format!("shutdown {} is {standing}{why}", open.number), remedy)
}

pub(super) fn recovery(status: &Status) -> Check {
    let with = |debt: Debt| -> BTreeSet<HostName> {
        let owed = status.owed.iter().filter(|(_, owed)| owed.debt == debt);
        // Who runs without its agent needs no waking: its own check says what it needs.
        let is_away = |host: &&HostName| {
            let absence = status.hosts.get(*host).and_then(|host| host.absence);
            absence != Some(Absence::WithoutAgent)
        };
        owed.map(|(host, _)| host).filter(is_away).cloned().collect()
    };
    let (given_up, due) = (with(Debt::GivenUp), with(Debt::Due));
    if !given_up.is_empty() {
        let reason = format!("{} did not come back when woken", names(&given_up));
        let remedy = "switch it on by hand and check that wake-on-LAN is on in its firmware";
        return Check::fail(RECOVERY, reason, remedy);
    }
    // The debt of a host that has come stands until it is ready, and its own check says so.
    let is_there = |host: &HostName| {
        let presence = status.hosts.get(host).map(|host| host.presence);
        *host == status.host || (presence == Some(Presence::Connected) && !is_declared(status))
    };
    let due: BTreeSet<HostName> = due.into_iter().filter(|host| !is_there(host)).collect();
    if due.is_empty() {
        return Check::pass(RECOVERY, "no host is waited for");
    }
    let (reason, remedy) = expected(status, &due);
    Check::warn(RECOVERY, reason, remedy)
}

/// Returns what is to come for the hosts that are to be woken, and what to do meanwhile.
fn expected(status: &Status, due: &BTreeSet<HostName>) -> (String, String) {
    let hosts = names(due);
    if is_declared(status) {
        let reason = format!("to be woken when the shutdown is over: {hosts}");
        return (reason, "nothing, it begins when the mains are back".to_owned());
    }
    let Some(recovery) = &status.recovery else {
        let owner = &status.owner;
        let remedy = format!(
            "nothing while {owner} does it, whose health says what it waits for; else `curfew wake`"
        );
        return (format!("to be woken by {owner}: {hosts}"), remedy);
    };
    let limited = "nothing, each wait has a limit, after which it goes on and says so".to_owned();
    if let Some(gate) = recovery.gate {
        let when = match gate {
            Gate::Mains => "the mains have been stable for a while",
            Gate::Charge => "the battery has charge again",
            Gate::Exports => "the exports of this host answer",
        };
        // On battery that has no end, and an order to wake waits for it too.
        let remedy = match gate {
            Gate::Mains => {
                "nothing until the mains hold for `mains-stable`: on battery nobody is woken"
                    .to_owned()
            }
            Gate::Charge | Gate::Exports => limited,
        };
        return (format!("to be woken when {when}: {hosts}"), remedy);
    }
    let (now, later): (BTreeSet<HostName>, BTreeSet<HostName>) =
        due.iter().cloned().partition(|host| recovery.turned_to.contains(host));
    let reason = match (now.is_empty(), later.is_empty()) {
        (false, true) => format!("being woken: {hosts}"),
        (false, false) => format!("being woken: {}; then {}", names(&now), names(&later)),
        (true, _) => format!("to be woken when what they need serves: {hosts}"),
    };
    (reason, limited)
}

/// Returns whether hosts stop, or are to stop, at this moment.
pub(super) fn is_declared(status: &Status) -> bool {
    status.shutdown.as_ref().is_some_and(|open| open.standing == Standing::Declared)
}

pub(super) fn planned_stop(status: &Status) -> Check {
    if let Some(stop) = status.planned_stop {
        let words = stop.in_words();
        let hurt = names(&status.live_dependents);
        if hurt.is_empty() {
            let reason = format!("this host {words}, and nobody uses its files");
            return Check::warn(PLANNED_STOP, reason, "nothing, it was somebody's will");
        }
        let reason = format!("this host {words} while {hurt} use its files and will hang");
        let remedy = "start it again soon, or stop them now; `curfew shutdown` stops all in order";
        return Check::fail(PLANNED_STOP, reason, remedy);
    }
    let stopped = status
        .hosts
        .iter()
        .filter_map(|(host, it)| Some(format!("{host} {}", it.planned_stop?.in_words())));
    let stopped: Vec<_> = stopped.collect();
    if stopped.is_empty() {
        return Check::pass(PLANNED_STOP, "nobody stops a host by hand");
    }
    let remedy = "nothing if it was you; `curfew wake` brings a host back";
    Check::warn(PLANNED_STOP, format!("by hand: {}", stopped.join(", ")), remedy)
}

pub(super) fn file(snapshot: &Snapshot) -> Check {
    let status = &snapshot.status;
    let others: BTreeSet<_> = status
        .hosts
        .iter()
        .filter(|(_, host)| host.has_other_file)
        .map(|(name, _)| name.clone())
        .collect();
    if others.is_empty() {
        return Check::pass(FILE, "the same wherever it is known");
    }
    let reason = format!("not the same here and on {}", names(&others));
    let own = std::iter::once(&status.host);
    let anew: Vec<_> = own
        .chain(&others)
        .map(|host| place::cluster_file(snapshot.places.get(host), host.as_str()))
        .collect();
    let remedy = format!("give each the same file, then {}", anew.join(" and "));
    Check::fail(FILE, reason, remedy)
}

pub(super) fn versions(status: &Status) -> Check {
    let own = status.hosts.get(&status.host).and_then(|own| own.version.as_deref());
    let own = own.unwrap_or(VERSION);
    let others: Vec<_> = status
        .hosts
        .iter()
        .filter(|(_, host)| host.presence == Presence::Connected)
        .filter_map(|(name, host)| Some((name, host.version.as_deref()?)))
        .filter(|(_, version)| *version != own)
        .map(|(name, version)| format!("{name} runs {version}"))
        .collect();
    if others.is_empty() {
        return Check::pass(VERSIONS, format!("{own} wherever it is known"));
    }
    let reason = format!("{}, this host {own}", others.join(", "));
    Check::warn(VERSIONS, reason, "nothing in an upgrade, else install the same version on all")
}

pub(super) fn clock(status: &Status) -> Check {
    let worst = status
        .hosts
        .iter()
        .filter_map(|(name, host)| host.clock_skew_seconds.map(|skew| (skew, name)))
        .max_by_key(|(skew, _)| skew.unsigned_abs());
    match worst {
        Some((skew, host)) if skew.unsigned_abs() >= SKEW_WORTH_KNOWING => Check::warn(
            CLOCK,
            format!("the clock of {host} differs from this host's by {skew} s"),
            "check the time synchronisation of both",
        ),
        Some(_) => Check::pass(CLOCK, "as on the other hosts"),
        None => Check::pass(CLOCK, "not compared with another host yet"),
    }
}

pub(super) fn peers(snapshot: &Snapshot) -> Vec<Check> {
    let status = &snapshot.status;
    let others = status.hosts.iter().filter(|(name, _)| **name != status.host);
    others.map(|(name, host)| peer(snapshot, name, host)).collect()
}

fn peer(snapshot: &Snapshot, name: &HostName, host: &HostStatus) -> Check {
    let status = &snapshot.status;
    let check = format!("{PEER}{name}");
    let heard = host.heard.map(|heard| heard.saturating_add(snapshot.age()));
    let ago = heard
        .map_or_else(|| "never heard".to_owned(), |heard| format!("heard {} ago", seconds(heard)));
    let is_intended = status.owed.get(name).is_some_and(|owed| owed.debt == Debt::Intended);
    let place = snapshot.places.get(name);
    let (service, log) = (place::service(place), place::log(place));
    let restart = format!("see {service} on {name}, and {log} if it runs");
    if host.absence == Some(Absence::WithoutAgent) {
        let reason =
            format!("its machine runs without its agent ({ago}): no outage stops it in order");
        return Check::fail(check, reason, agent_of(name, place));
    }
    if let Some(expected) = awaited(&check, snapshot, name, host, &ago) {
        return expected;
    }
    match host.presence {
        Presence::Connected => connected(check, status, host, &ago),
        _ if is_intended => {
            Check::pass(check, format!("off by intent, until `curfew wake {name}`"))
        }
        Presence::Off if is_declared(status) && is_stopped_by(status, name) => {
            Check::pass(check, "off, as the shutdown wants it")
        }
        Presence::Off => Check::fail(
            check,
            match status.shutdown {
                None => format!("off, though no shutdown is open ({ago})"),
                Some(_) => format!("off, and the recovery does not bring it up ({ago})"),
            },
            format!("switch it on, or `curfew wake {name}`"),
        ),
        Presence::Silent | Presence::Lost | Presence::Unknown
            if host.absence == Some(Absence::NoMachine) =>
        {
            Check::fail(
                check,
                format!("its machine does not answer ({ago}): it is off, or cut off"),
                format!("switch it on, or `curfew wake {name}`; if it is on, look at its cable"),
            )
        }
        Presence::Silent => {
            let is_brief = heard.is_some_and(|heard| heard < PEER_LOST);
            let state = if is_brief { State::Warn } else { State::Fail };
            Check { state, ..Check::fail(check, format!("no session with it, {ago}"), restart) }
        }
        Presence::Lost => Check::fail(check, format!("fell silent without a word, {ago}"), restart),
        Presence::Unknown => {
            let is_early = snapshot.running_for.saturating_add(snapshot.age()) < PEER_LOST;
            let state = if is_early { State::Warn } else { State::Fail };
            let reason = "not heard since this agent started";
            let remedy =
                format!("see {service} on {name}; if it runs, its peer port and its certificate");
            Check { state, ..Check::fail(check, reason, remedy) }
        }
    }
}

/// Says what is to come of a host that is away because of a shutdown, and not by itself.
fn awaited(
    check: &str,
    snapshot: &Snapshot,
    name: &HostName,
    host: &HostStatus,
    ago: &str,
) -> Option<Check> {
    let status = &snapshot.status;
    if host.presence == Presence::Connected {
        return None;
    }
    if is_declared(status) {
        let phase = host.phase.filter(|it| matches!(it, Phase::Stopping | Phase::Halting))?;
        let is_going = host.presence != Presence::Off && is_stopped_by(status, name);
        return is_going.then(|| stopping(check, snapshot, name, phase, ago));
    }
    is_awaited(status, name).then(|| {
        // `recovery` warns in its place, until it gives it up.
        Check::pass(check, format!("not back yet: the recovery brings it up ({ago})"))
    })
}

/// Judges a host that went silent in its stop by the time that the plan gives it.
fn stopping(check: &str, snapshot: &Snapshot, name: &HostName, phase: Phase, ago: &str) -> Check {
    let status = &snapshot.status;
    let host = status.hosts.get(name);
    let heard = host.and_then(|host| host.heard).unwrap_or(snapshot.running_for);
    let takes = status.plan.stop_times.get(name).map_or(Duration::ZERO, |stop| stop.takes);
    let phase = phase.as_str();
    if heard.saturating_add(snapshot.age()) < takes {
        return Check::pass(check, format!("{phase}, as the shutdown wants it, {ago}"));
    }
    // On the way down what a host needs is what goes after it.
    let needs = host.map(|host| host.waiting_for.clone()).unwrap_or_default();
    let is_there = |need: &HostName| {
        let presence = status.hosts.get(need).map(|host| host.presence);
        presence == Some(Presence::Connected)
    };
    let waiting = names(&needs.into_iter().filter(is_there).collect());
    let takes = seconds(takes);
    let (held_up, goes_on) = match waiting.as_str() {
        "" => (String::new(), "the shutdown goes on at the latest start".to_owned()),
        waiting => (
            format!("; {waiting} waits for it"),
            format!("{waiting} goes on at its latest start, or as soon as {name} is off"),
        ),
    };
    let reason = format!("{phase}, and takes longer than its {takes} ({ago}){held_up}");
    let remedy =
        format!("see on the screen of {name} what hangs, and switch it off by hand; {goes_on}");
    let overdue = Check::warn(check, reason, remedy);
    let is_lost = host.is_some_and(|host| host.presence == Presence::Lost);
    if is_lost { Check { state: State::Fail, ..overdue } } else { overdue }
}

/// Returns whether the recovery is to bring a host back.
fn is_awaited(status: &Status, name: &HostName) -> bool {
    match status.owed.get(name).map(|owed| owed.debt) {
        _ if is_declared(status) => false,
        Some(Debt::Due) => true,
        Some(Debt::GivenUp | Debt::Intended) => false,
        // Who conducts knows all debts; to others they may not have come yet. Whoever has been
        // heard up since the turn has been brought back, and is away for another reason.
        None => {
            let phase = status.hosts.get(name).and_then(|host| host.phase);
            let is_back = phase.is_some_and(|phase| !phase.has_begun());
            status.recovery.is_none() && is_stopped_by(status, name) && !is_back
        }
    }
}

/// Returns where to look for an agent that is not there.
fn agent_of(name: &HostName, place: Option<&Place>) -> String {
    match place.map(|place| (&place.system, place.address)) {
        Some((System::Talos(_), address)) => format!(
            "`talosctl -n {address} get extensions` must list curfew: an upgrade with the stock \
             installer removes it (docs/talos.md); if it does, see `talosctl -n {address} service \
             ext-curfew`"
        ),
        Some((System::Systemd(_), _)) => format!(
            "on {name}: `systemctl status curfew`; if it runs, its log says whom it cannot reach"
        ),
        Some((System::Command(_) | System::DryRun, _)) | None => {
            format!("start curfew on {name}; if it runs, its log says whom it cannot reach")
        }
    }
}

fn connected(check: String, status: &Status, host: &HostStatus, ago: &str) -> Check {
    let phase = host.phase.map_or("connected", |phase| phase.as_str());
    // What it needs goes after it.
    if host.waiting_for.is_empty() || is_declared(status) {
        return Check::pass(check, format!("{phase}, {ago}"));
    }
    let needs = names(&host.waiting_for);
    let reason = format!("{phase}, but not ready: waiting for {needs}");
    Check::warn(check, reason, format!("nothing if {needs} is about to come, else look there"))
}

fn is_stopped_by(status: &Status, name: &HostName) -> bool {
    status.shutdown.as_ref().is_some_and(|open| open.participants.contains(name))
}

/// Returns the names as a person lists them.
pub(super) fn names(hosts: &BTreeSet<HostName>) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

const SHUTDOWN: &str = "shutdown";
pub(super) const RECOVERY: &str = "recovery";
const CLOCK: &str = "clock";
const VERSIONS: &str = "versions";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Enough for a restart of an agent on a machine that is busy.
const PEER_LOST: Duration = Duration::from_secs(30);
/// What makes the histories of two hosts hard to read side by side.
const SKEW_WORTH_KNOWING: u64 = 5;
