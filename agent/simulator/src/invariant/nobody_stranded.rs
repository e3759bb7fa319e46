//! Everybody gets back up.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{BeginReason, Cause, Coordinator, Note, Plan, StopTimes};

use super::{Scene, Verdict, millis};
use crate::world::Power;
use crate::{Change, Fact};

/// What a recovery takes besides its limits: looks, messages, an agent that starts.
const BLUR: u64 = 60_000;

/// From the failure until everybody has read it.
const READS_IN: u64 = 6_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// The first and the last packet to each host since it was last off.
    packets: BTreeMap<usize, (u64, u64)>,
    /// Hosts whose missing was reported since they were last up.
    reported: BTreeSet<usize>,
    /// Hosts that are off by a person's will, until they boot.
    by_will: BTreeSet<usize>,
    /// Hosts of which nobody can know that they are off, until they boot.
    unknown: BTreeSet<usize>,
    is_judged: bool,
}

/// Of all hosts that were up when the mains first failed since the cluster was last whole: within
/// the limits of the longest chain after the last return of the mains, each is running, or was sent
/// packets for a full `wake-timeout` while truly off, or is truly unable to start and is reported.
///
/// The limits are twice `mains-stable` (an owner that is silent is waited for), `charge-wait`, and
/// the `wake-timeout`s and boots along the chain, and the longest stop that runs yet. By then no
/// shutdown is open either, but for an order. Who is off by an order or a person's will is not
/// stranded, and where no agent lives nobody can send packets. An order is about all its
/// participants: who never heard of it and went off before it was taken back is off by it, too.
///
/// Nobody can know of a host that it is off where no agent that lives has ever heard of it, where
/// it went, or was off, while a second agent spoke as it (its debt ends with that one's `up`), or
/// where its journal was lost behind the call, so that it says `up` while its OS stops. Packets to
/// a host that cannot be heard are all that there is to send, though it may yet run; that is
/// reported.
pub(super) fn nobody_stranded(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    for happened in scene.news {
        let host = happened.host;
        match &happened.fact {
            Fact::Note(Note::PassedBy { host, .. } | Note::Lost { host }) => {
                memory.reported.extend(scene.world.find(host));
            }
            Fact::Changed(Change::Doubled { .. })
                if scene.world.machine(host).power == Power::Off =>
            {
                memory.unknown.insert(host);
            }
            Fact::Note(Note::Declared { cause: Cause::Order, .. }) => {
                let world = scene.world;
                let is_off = |host: &usize| world.machine(*host).power == Power::Off;
                memory.by_will.extend(world.hosts().filter(is_off));
            }
            // Packets over a cable that is out, either way, are all that there is to send.
            Fact::PacketSent { to, is_off, arrives } => {
                let Some(place) = scene.world.find(to) else { continue };
                if !is_off && *arrives && scene.world.is_linked(host, place) {
                    continue;
                }
                let span = memory.packets.entry(place).or_insert((happened.at, happened.at));
                span.1 = happened.at;
            }
            Fact::Changed(Change::HostStopped { .. } | Change::HostRebooted { .. }) => {
                memory.by_will.insert(host);
            }
            // In a shutdown that it takes part in it is woken with the others.
            Fact::Note(Note::Began { why: BeginReason::StoppedByOther, .. }) => {
                memory.by_will.remove(&host);
            }
            // A host that falls silent before anybody has read battery leaves on mains, as far as
            // anybody can know: by somebody's will.
            Fact::Changed(Change::HostCrashed { .. })
                if !scene.history.is_dark_known(scene.world, host, READS_IN) =>
            {
                memory.by_will.insert(host);
            }
            Fact::Off { .. } => memory.on_off(scene, host),
            Fact::Booted => {
                memory.by_will.remove(&host);
                memory.unknown.remove(&host);
                memory.packets.remove(&host);
                memory.reported.remove(&host);
            }
            _ => {}
        }
    }
    let Some(healed_at) = scene.history.healed_at.filter(|_| scene.is_beat) else { return Ok(()) };
    if !memory.is_judged && scene.now() > healed_at + limit(scene) {
        memory.is_judged = true;
        return nobody_stranded_at_the_end(memory, scene);
    }
    Ok(())
}

impl Memory {
    fn on_off(&mut self, scene: &Scene<'_>, host: usize) {
        if scene.history.has_standing_order() {
            self.by_will.insert(host);
        }
        let witness = &scene.history.witness;
        if witness.has_forgotten(scene.world, host) || scene.history.is_doubled(scene.now(), host) {
            self.unknown.insert(host);
        }
    }
}

/// The same, held against the world as it is now.
pub(super) fn nobody_stranded_at_the_end(memory: &Memory, scene: &Scene<'_>) -> Verdict {
    let world = scene.world;
    if world.is_whole() {
        return Ok(());
    }
    let Some(up) = &scene.history.up_at_failure else { return Ok(()) };
    let has_living = world.hosts().any(|host| world.agent(host).is_some());
    // While an order stands nobody is woken, and only an operator ends it.
    let is_order = |number: u64| {
        let triggers = scene.history.triggers.get(&number);
        triggers.is_some_and(|all| all.contains(&curfew_coordinator::Trigger::Operator))
    };
    let open = world.hosts().filter_map(|host| world.agent(host)?.open());
    let has_order = open.into_iter().any(|(number, _)| is_order(number));
    let timeout = millis(world.cluster().settings.wake_timeout);
    let every = millis(world.cluster().settings.wake_every);
    for host in up.iter().copied() {
        let machine = world.machine(host);
        let got_packets = memory
            .packets
            .get(&host)
            .is_some_and(|(first, last)| last - first + every + BLUR / 10 >= timeout);
        let has_target = world.cluster().host(&machine.name).is_some_and(|it| it.wake.is_some());
        let is_excused = memory.by_will.contains(&host)
            || memory.unknown.contains(&host)
            || !scene.history.witness.is_known(world, host)
            || scene.history.order_of(host).is_some()
            || machine.power == Power::Booting
            || (machine.runs() && machine.stop.is_none())
            || got_packets
            || (machine.is_broken && memory.reported.contains(&host))
            || !has_target
            || has_order
            || !has_living;
        if !is_excused {
            let (name, stop) = (scene.name(host), machine.stop);
            return Err(format!("{name} is stranded: {:?}, {stop:?}", machine.power));
        }
    }
    for host in world.hosts() {
        let Some((number, standing)) = world.agent(host).and_then(Coordinator::open) else {
            continue;
        };
        if !scene.history.is_order(number) {
            let (name, standing) = (scene.name(host), standing.as_str());
            return Err(format!("{number} is still open on {name}: {standing}"));
        }
    }
    Ok(())
}

fn limit(scene: &Scene<'_>) -> u64 {
    let world = scene.world;
    let settings = &world.cluster().settings;
    let plan = Plan::new(world.cluster(), &StopTimes::new());
    let mut longest = 0;
    for host in &world.cluster().hosts {
        longest = longest.max(plan.needs_all(&host.name).len() + 1);
    }
    let stop = world.hosts().map(|host| world.machine(host).truth.stops_in).max();
    let boot = world.hosts().map(|host| world.machine(host).truth.boots_in).max();
    let each = millis(settings.wake_timeout) + boot.unwrap_or_default();
    millis(settings.mains_stable) * 2
        + millis(settings.charge_wait)
        + each * longest as u64
        + stop.unwrap_or_default() * 2
        + BLUR
}
