//! A shutdown is acted on once, and only in the boot in which it was latched.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{Note, Standing};

use super::{Scene, Verdict};
use crate::{Change, Fact};

/// A message may be under way for this long, and its sender reboot meanwhile.
const UNDER_WAY: u64 = 15_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// What each host in this boot has shown that it follows: the number, and whether it has begun.
    follows: BTreeMap<usize, Followed>,
    /// Hosts whose journal failed or was torn in this boot.
    forgetful: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Followed {
    boot: u32,
    open: Option<(u64, Standing)>,
    has_begun: bool,
}

/// No second accepted stop while one runs in that boot; no stop in a boot for a shutdown latched in
/// an earlier one, unless a peer that latched it in its present boot declares it; with a working
/// disk no crash changes the set of shutdowns that a host acts on.
///
/// The last: who is killed anywhere between a record, what it tells and what it does, follows what
/// it was seen to follow, or what its record knew further, when it starts again.
pub(super) fn latch(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    for happened in scene.news {
        let host = happened.host;
        match &happened.fact {
            Fact::StopRepeated if !scene.history.stopped_by_person.contains(&host) => {
                return Err(format!("{} stops its OS while that stops", scene.name(host)));
            }
            Fact::StopCalled(call) => is_of_this_boot(scene, host, call.number)?,
            Fact::Note(Note::Latched { number, from }) => {
                is_declared_anew(scene, host, *number, from)?;
            }
            Fact::Changed(Change::DiskFails { .. } | Change::RecordTorn { .. }) => {
                memory.forgetful.insert(host);
            }
            Fact::Booted => {
                memory.follows.remove(&host);
                if !scene.world.machine(host).has_bad_disk() {
                    memory.forgetful.remove(&host);
                }
            }
            Fact::AgentStarted => follows_still(memory, scene, host)?,
            _ => {}
        }
    }
    for (host, _) in scene.notes() {
        memory.see(scene, host);
    }
    Ok(())
}

fn is_of_this_boot(scene: &Scene<'_>, host: usize, number: u64) -> Verdict {
    let boot = scene.world.machine(host).boots;
    let boots = scene.history.boots_latched(host, number);
    if boots.is_some_and(|boots| boots.contains(&boot)) {
        return Ok(());
    }
    let name = scene.name(host);
    Err(format!("{name} stops for {number}, and did not latch that in this boot"))
}

/// A host that has latched a number in an earlier boot does so again only for a peer that has
/// latched it in its present one.
fn is_declared_anew(
    scene: &Scene<'_>,
    host: usize,
    number: u64,
    from: &curfew_coordinator::HostName,
) -> Verdict {
    let boot = scene.world.machine(host).boots;
    let boots = scene.history.boots_latched(host, number);
    let is_again = boots.is_some_and(|boots| boots.iter().any(|known| *known < boot));
    let Some(peer) = scene.world.find(from).filter(|_| is_again) else { return Ok(()) };
    if scene.history.has_latched(scene.world, peer, number, UNDER_WAY) {
        return Ok(());
    }
    let name = scene.name(host);
    Err(format!("{name} latches {number} again from {from}, which knows it of an earlier boot"))
}

fn follows_still(memory: &Memory, scene: &Scene<'_>, host: usize) -> Verdict {
    let machine = scene.world.machine(host);
    let Some(agent) = machine.agent() else { return Ok(()) };
    let known = memory.follows.get(&host).filter(|known| known.boot == machine.boots);
    let Some(known) = known.filter(|_| !memory.forgetful.contains(&host)) else { return Ok(()) };
    let name = scene.name(host);
    if known.has_begun && !agent.phase().has_begun() {
        return Err(format!("{name} had begun, and does not know it any more"));
    }
    let Some((number, standing)) = known.open else { return Ok(()) };
    let follows = match agent.open() {
        Some((open, now)) => open > number || (open == number && now >= standing),
        None => agent.ended() >= number,
    };
    if follows {
        return Ok(());
    }
    Err(format!("{name} had {number} {}, and has {:?}", standing.as_str(), agent.open()))
}

impl Memory {
    fn see(&mut self, scene: &Scene<'_>, host: usize) {
        let machine = scene.world.machine(host);
        let Some(agent) = machine.agent() else { return };
        let boot = machine.boots;
        let open = agent.open();
        let has_begun = agent.phase().has_begun();
        self.follows.insert(host, Followed { boot, open, has_begun });
    }
}
