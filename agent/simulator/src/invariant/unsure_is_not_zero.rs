//! Knowing less makes nothing happen earlier.
//!
//! Two ways to see it: by what an agent concludes while it truly sees nothing, after every event;
//! and by a twin of the story in which readings are unknown for a while, held against the original.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{BeginReason, Note, ReleaseProof, Trigger};

use super::{Invariant, Scene, Verdict, Violation};
use crate::Fact;
use crate::story::{Change, Dated, Story};
use crate::world::World;

/// What was seen before the eyes were closed counts for this long.
const MEMORY: u64 = 7_000;
/// Numbers are rounded, and each update of the driver is up to 10 % off in a direction of its own.
const BLUR: u64 = 10_000;
/// A gap shorter than this is no gap: readings stay fresh.
const LEAST_GAP: u64 = 6_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// When each host last had a link.
    linked_at: BTreeMap<usize, u64>,
}

/// Replacing any input by unknown never makes a stop, cut or wake earlier than the deadline rule
/// alone would.
///
/// Per event: whoever has had no link concludes nothing from the silence of others, and whoever has
/// had no reading declares by nothing but the countdown. By twins, for a part of the stories: see
/// [`twin`].
pub(super) fn unsure_is_not_zero(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    let now = scene.now();
    for (host, note) in scene.notes() {
        let linked_at = memory.linked_at.get(&host).copied().unwrap_or_default();
        let (_, read_at) = scene.history.reads(host);
        let name = scene.name(host);
        match note {
            Note::Off { host: other }
            | Note::Released { host: other, how: ReleaseProof::Absent }
                if !scene.world.has_carrier(host) && linked_at + MEMORY < now =>
            {
                return Err(format!("{name} takes {other} for gone, and has no link"));
            }
            Note::Declared { trigger, .. } if is_number(*trigger) && read_at + MEMORY < now => {
                return Err(format!("{name} declares for {trigger}, and reads nothing"));
            }
            _ => {}
        }
    }
    if scene.is_beat {
        for host in scene.world.hosts() {
            if scene.world.has_carrier(host) {
                memory.linked_at.insert(host, now);
            }
        }
    }
    Ok(())
}

fn is_number(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Computed | Trigger::LowBattery | Trigger::Charge | Trigger::Time => true,
        Trigger::Blind | Trigger::Forced | Trigger::Operator => false,
    }
}

/// Returns the story with the readings of all hosts unknown for the middle third of its first
/// outage; none if that is too short to matter.
///
/// What is hidden is battery alone: hiding mains ends a pause, which the design wants so.
pub fn twin(story: &Story) -> Option<Story> {
    let (from, to) = first_outage(story)?;
    let third = (to - from) / 3;
    if third < LEAST_GAP {
        return None;
    }
    let mut twin = story.clone();
    twin.changes.push(Dated { at: from + third, change: Change::DriverGone { span: third } });
    twin.changes.sort_by_key(|dated| dated.at);
    Some(twin)
}

/// Holds the end of a story's [`twin`] against that of the story: no host begins in it earlier, and
/// no output opens earlier, but by the countdown or a latest start.
///
/// Judged until the mains return: from then on the two are two stories. Of a host that had not
/// begun by then nobody knows when it would have: not before, and that is all that counts.
pub fn compare(story: &Story, original: &World, twin: &World) -> Result<(), Violation> {
    let Some((_, until)) = first_outage(story) else { return Ok(()) };
    let usual = begins(original, until);
    let countdown: BTreeSet<u64> = blind(twin);
    for (host, begin) in begins(twin, until) {
        let usual_at = usual.get(&host).map_or(until, |usual| usual.at);
        let is_by_deadline = begin.why == BeginReason::LatestStart || !countdown.is_empty();
        if begin.at + BLUR < usual_at && !is_by_deadline {
            let name = &twin.machine(host).name;
            return Err(Violation {
                invariant: Invariant::UnsureIsNotZero,
                at: begin.at,
                what: format!("{name} begins earlier where less is known ({usual_at} else)"),
            });
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Begin {
    at: u64,
    why: BeginReason,
}

fn begins(world: &World, until: u64) -> BTreeMap<usize, Begin> {
    let mut begins = BTreeMap::new();
    for happened in world.facts().iter().filter(|it| it.at < until) {
        if let Fact::Note(Note::Began { why, .. }) = &happened.fact {
            let begin = Begin { at: happened.at, why: *why };
            begins.entry(happened.host).or_insert(begin);
        }
    }
    begins
}

/// Returns the numbers that were declared by countdown.
fn blind(world: &World) -> BTreeSet<u64> {
    let declared = world.facts().iter().filter_map(|it| match &it.fact {
        Fact::Note(Note::Declared { number, trigger: Trigger::Blind, .. }) => Some(*number),
        _ => None,
    });
    declared.collect()
}

fn first_outage(story: &Story) -> Option<(u64, u64)> {
    let from = story.changes.iter().find(|it| it.change == Change::MainsFail)?.at;
    let after = story.changes.iter().filter(|it| it.at > from);
    let to = after.filter(|it| it.change == Change::MainsReturn).map(|it| it.at).min();
    Some((from, to.unwrap_or(story.heals_at)))
}
