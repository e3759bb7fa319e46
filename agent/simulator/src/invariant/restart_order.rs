//! Nobody is woken before what it needs.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{Coordinator, Debt, Gate, HostName, Note, Phase, ReadyBy};

use super::{Scene, Verdict};
use crate::Fact;
use crate::world::Power;

/// How old the mains of a reading may be: the driver's pace, a poll, and until it is stale.
const POLL: u64 = 6_000;
/// From the boot of a machine until its agent is heard.
const HEARD_AFTER: u64 = 5_000;
/// What was seen to serve may have stopped since the last look.
const BLUR: u64 = 2_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// When each host last served.
    served_at: BTreeMap<usize, u64>,
    /// When each host began to conduct.
    conducts_since: BTreeMap<usize, u64>,
    /// When recovery last went on without a host.
    passed_at: BTreeMap<usize, u64>,
    /// When each host last latched each number.
    latched_at: BTreeMap<(usize, u64), u64>,
    /// Whom each conductor has woken since it began: recovery has turned to them.
    woken: BTreeSet<(usize, usize)>,
    /// When a gate of a conductor was last passed by its limit.
    limit_at: BTreeMap<(usize, Gate), u64>,
}

/// No packet is sent to H before each need of H truly served once since this recovery began, or its
/// limit passed; no packet while truly on battery for longer than a poll.
///
/// To serve is what the file says: a probe or the exports answer, else the agent says `up`.
/// An agent's word counts where it cannot know better: while a person stops its machine, and after
/// it lost its journal behind the call. Who lost its journal wakes every host of the file, off by
/// intent or not: to wake one too many is the smaller harm.
///
/// Who was woken goes on being woken, though a need of it joins the recovery later.
///
/// A limit of an earlier recovery counts as long as the host has not served since. A conductor that
/// cannot read the UPS sends packets on battery after `charge-wait`, and says so.
pub(super) fn restart_order(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    let now = scene.now();
    if scene.is_beat {
        for host in scene.world.hosts().filter(|host| serves(scene, *host)) {
            memory.served_at.insert(host, now);
        }
    }
    // An agent may say `up` between two beats, and live no longer.
    for host in scene.news.iter().filter(|it| is_word(&it.fact)).map(|it| it.host) {
        if serves(scene, host) {
            memory.served_at.insert(host, now);
        }
    }
    for happened in scene.news {
        let host = happened.host;
        match &happened.fact {
            Fact::Note(Note::Conducting { .. }) => {
                memory.conducts_since.insert(host, now);
                memory.woken.retain(|(by, _)| *by != host);
            }
            Fact::Note(Note::Declared { number, .. } | Note::Latched { number, .. }) => {
                memory.latched_at.insert((host, *number), now);
            }
            Fact::Note(Note::PassedBy { host, .. }) => {
                if let Some(place) = scene.world.find(host) {
                    memory.passed_at.insert(place, now);
                }
            }
            Fact::Note(Note::GatePassed { gate, by_limit: true }) => {
                memory.limit_at.insert((host, *gate), now);
            }
            Fact::PacketSent { to, .. } => {
                memory.may_wake(scene, host, to)?;
                memory.woken.extend(scene.world.find(to).map(|place| (host, place)));
            }
            Fact::Booted => memory.woken.retain(|(_, woken)| *woken != host),
            _ => {}
        }
    }
    Ok(())
}

fn is_word(fact: &Fact) -> bool {
    matches!(fact, Fact::AgentStarted | Fact::Note(Note::PhaseChanged { phase: Phase::Up }))
}

fn serves(scene: &Scene<'_>, host: usize) -> bool {
    let (world, history) = (scene.world, scene.history);
    let by = world.cluster().hosts.get(host).map(|host| &host.ready);
    match by {
        Some(ReadyBy::Agent) => {
            let machine = world.machine(host);
            let knows_no_better = history.stopped_by_person.contains(&host)
                || history.witness.has_forgotten(world, host);
            (machine.stop.is_none() || knows_no_better)
                && machine.agent().is_some_and(|it| it.phase() == Phase::Up)
        }
        _ => world.serves(host),
    }
}

impl Memory {
    fn may_wake(&self, scene: &Scene<'_>, by: usize, to: &HostName) -> Verdict {
        let world = scene.world;
        let began = self.conducts_since.get(&by).copied().unwrap_or_default();
        let by_limit = |gate| self.limit_at.get(&(by, gate)).is_some_and(|at| *at >= began);
        let name = scene.name(by);
        let is_dark = !world.ups().has_mains && world.line_for() > POLL;
        if is_dark && !by_limit(Gate::Mains) {
            return Err(format!("{name} wakes {to} on battery"));
        }
        let place = world.find(to);
        let order = place.and_then(|place| scene.history.order_of(place));
        let forgot_at = scene.history.witness.forgot_at(by);
        let knows = |number| {
            let latched_at = self.latched_at.get(&(by, number)).copied();
            scene.history.boots_latched(by, number).is_some()
                && forgot_at.is_none_or(|at| latched_at > Some(at))
        };
        if order.is_some_and(knows) {
            return Err(format!("{name} wakes {to}, which is off by intent"));
        }
        if place.is_some_and(|place| self.woken.contains(&(by, place))) {
            return Ok(());
        }
        for need in place.map(|place| &world.machine(place).needs).into_iter().flatten() {
            let Some(place) = world.find(need) else { continue };
            let served_at = self.served_at.get(&place).copied();
            let has_served = serves(scene, place) || served_at.is_some_and(|at| at + BLUR >= began);
            let passed_at = self.passed_at.get(&place).copied();
            let is_passed = passed_at.is_some_and(|at| Some(at) >= served_at);
            let is_own = place == by && by_limit(Gate::Exports);
            let is_doubled = scene.history.is_doubled(scene.now(), place);
            // Nobody waits for a need that no recovery is about and that is off, or that a person
            // has started and that nobody can have heard yet.
            let is_new = scene.history.has_booted_within(scene.now(), place, HEARD_AFTER);
            let is_gone = (world.machine(place).power != Power::Running || is_new)
                && world.agent(by).map(Coordinator::status).is_some_and(|status| {
                    let debt = status.owed.get(need).map(|entry| entry.debt);
                    status.is_conducting && debt.is_none_or(|debt| debt == Debt::Intended)
                });
            if !has_served && !is_passed && !is_own && !is_doubled && !is_gone {
                return Err(format!("{name} wakes {to} before {need} serves"));
            }
        }
        Ok(())
    }
}
