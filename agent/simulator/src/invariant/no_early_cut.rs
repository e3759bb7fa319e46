//! The UPS is cut when nobody is hurt by it.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{BeginReason, End, Note};

use super::history::Trouble;
use super::{Scene, Verdict, millis};
use crate::Fact;

/// What a turn needs to get to the owner.
const TELLS_IN: u64 = 3_000;
/// From one reading to the next, and from the sample of the truth to the moment.
const BLUR: u64 = 4_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    /// The begin that leads to a cut.
    begin: Option<Begin>,
    /// Who has turned each number, and when.
    turned: BTreeMap<u64, BTreeSet<(u64, usize)>>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Begin {
    number: u64,
    at: u64,
    why: BeginReason,
    /// When the battery would have ended, at the earliest.
    ends_at: u64,
    left: u64,
    is_reckoned: bool,
}

/// When the output opens by command, each fed host is truly powered down or the battery truly has
/// less than `cut-margin` left, and return is promised, and the shutdown has not turned.
///
/// Powered down is also who has nothing mounted for writing any more. What the battery has is
/// reckoned with the load as of when the owner begins: from then on it reads nothing; and judged
/// where its numbers are within 10 %. Turned has a shutdown if anybody has turned it who could tell
/// the owner before it began.
pub(super) fn no_early_cut(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    let owner = scene.world.owner();
    for (at, happened) in scene.news.iter().enumerate() {
        match &happened.fact {
            Fact::Note(Note::Began { end: End::Cut, why }) if happened.host == owner => {
                memory.begin = begin_of(scene, *why);
            }
            Fact::Note(Note::Turned { number, .. }) => {
                let known = memory.turned.entry(*number).or_default();
                known.insert((happened.at, happened.host));
            }
            Fact::OutputOpened { by_command: true } => {
                let rest = scene.news.get(at..).unwrap_or_default();
                let hurt = rest.iter().find(|it| it.fact == Fact::Off { is_clean: false });
                may_open(memory, scene, hurt.map(|it| it.host))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn begin_of(scene: &Scene<'_>, why: BeginReason) -> Option<Begin> {
    let world = scene.world;
    let (number, _) = world.agent(world.owner())?.open()?;
    let left = scene.history.least_left(world);
    let is_reckoned = scene.history.is_runtime_true(world)
        && !scene.history.has(Trouble::Status)
        && !scene.history.has(Trouble::Eyes)
        && !world.ups().is_low()
        && world.can_read(world.owner());
    Some(Begin { number, at: scene.now(), why, ends_at: scene.now() + left, left, is_reckoned })
}

fn may_open(memory: &Memory, scene: &Scene<'_>, hurt: Option<usize>) -> Verdict {
    let world = scene.world;
    let cluster = world.cluster();
    if !cluster.ups.returns.unwrap_or_else(|| world.ups().truth.offers_return) {
        return Err("the UPS is cut, and does not promise to come back".to_owned());
    }
    let Some(begin) = &memory.begin else { return Ok(()) };
    let turned = memory.turned.get(&begin.number).into_iter().flatten();
    for (at, host) in turned {
        let is_told = *host == world.owner()
            || (scene.history.apart_for(scene.now(), *host, world.owner()).is_none()
                && !scene.history.has(Trouble::Network)
                && !scene.history.has(Trouble::Machines)
                && !scene.history.has(Trouble::Agents));
        if is_told && at + TELLS_IN < begin.at {
            let host = scene.name(*host);
            return Err(format!("the UPS is cut for {}, which {host} had turned", begin.number));
        }
    }
    let Some(hurt) = hurt else { return Ok(()) };
    is_empty_enough(begin, scene, hurt)
}

/// The output opens under a host that runs.
fn is_empty_enough(begin: &Begin, scene: &Scene<'_>, hurt: usize) -> Verdict {
    let name = scene.name(hurt);
    let since_begin = scene.now() - begin.at;
    let is_new = scene.history.has_booted_within(scene.now(), hurt, since_begin + 10_000);
    if begin.why != BeginReason::LatestStart {
        if is_new {
            return Ok(());
        }
        return Err(format!("the UPS is cut under {name}, and all were taken for off"));
    }
    let margin = millis(scene.world.cluster().settings.cut_margin);
    let error = begin.left / 10 + BLUR;
    let left = begin.ends_at.saturating_sub(scene.now());
    if begin.is_reckoned && left > margin + error {
        return Err(format!("the UPS is cut under {name} with {left} ms of battery left"));
    }
    Ok(())
}
