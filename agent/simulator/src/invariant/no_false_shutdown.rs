//! Nobody stops without evidence.

use curfew_coordinator::{BeginReason, Cause, Coordinator, HostName, Note, Standing, Trigger};

use super::history::Trouble;
use super::{Scene, Verdict, millis};
use crate::Fact;

/// How much longer than it was an outage may look: the driver's pace, and a poll.
const BLUR: u64 = 3_000;
/// Who has read the UPS for this long has seen what the mains do.
const LONG_READ: u64 = 6_000;

/// Each declaration names its evidence. If mains were never away longer than `debounce` and nobody
/// ordered, no host stops. While the true time left exceeds twice (time needed + reserve) and at
/// most one driver update lies, nothing is declared.
///
/// An `FSD` is an order, however late it is seen. `charge-below` and `LB` are floors: a battery
/// that truly is below them is reason enough, whatever time it leaves. A blind declaration rests on
/// a countdown and no reading: it is judged by the second sentence where somebody could have seen
/// the mains return.
pub(super) fn no_false_shutdown(scene: &Scene<'_>) -> Verdict {
    for happened in scene.news {
        match &happened.fact {
            Fact::Note(note @ Note::Declared { .. }) => has_evidence(scene, happened.host, note)?,
            Fact::Note(Note::Latched { number, from }) => {
                sees_nothing(scene, happened.host, *number, from)?;
            }
            Fact::Note(Note::Began { why: BeginReason::StoppedByOther, .. }) => {}
            Fact::Note(Note::Began { .. }) => is_declared(scene, happened.host)?,
            Fact::StopBegan => has_cause(scene, happened.host)?,
            _ => {}
        }
    }
    Ok(())
}

fn has_evidence(scene: &Scene<'_>, host: usize, note: &Note) -> Verdict {
    let Note::Declared { number, trigger, cause, evidence, .. } = note else { return Ok(()) };
    let name = scene.name(host);
    if evidence.is_empty() {
        return Err(format!("{name} declares {number} and does not say why"));
    }
    let is_possible = match trigger {
        Trigger::Operator => scene.history.has(Trouble::Orders),
        // One that was there on mains when the agent started is a leftover.
        Trigger::Forced if *cause == Cause::Order => scene.history.saw_force(host),
        Trigger::Forced => scene.history.forced_at.is_some(),
        Trigger::Computed | Trigger::LowBattery | Trigger::Charge | Trigger::Time => {
            scene.history.longest_dark(scene.now()) > 0
        }
        Trigger::Blind => {
            let last = scene.history.has_read_at(scene.now(), host);
            let world = scene.world;
            let dark_since = if world.ups().has_mains { world.line_for() } else { 0 };
            scene.history.longest_dark(scene.now()) > 0
                && scene.now().saturating_sub(dark_since) + LONG_READ > last
        }
    };
    if !is_possible {
        return Err(format!("{name} declares {number} for {trigger}, and there is nothing of it"));
    }
    let is_judged = *cause == Cause::Battery
        && !matches!(trigger, Trigger::Blind | Trigger::Forced | Trigger::Time)
        && !is_floor(scene, *trigger)
        && !scene.history.has(Trouble::Numbers)
        && !scene.history.has(Trouble::Status)
        && (90..=110).contains(&scene.world.ups().truth.runtime_percent);
    let Some(agent) = scene.world.agent(host).filter(|_| is_judged) else { return Ok(()) };
    let needed = millis(agent.status().plan.time_needed);
    let reserve = millis(scene.world.cluster().settings.reserve);
    let left = scene.history.least_left(scene.world);
    if left > (needed + reserve) * 2 {
        return Err(format!(
            "{name} declares {number} for {trigger} with {left} ms left and {needed} ms needed"
        ));
    }
    Ok(())
}

/// Returns whether the battery truly is below what was configured, or as low as `LB` says: there
/// the time left is not asked. A battery that charges again may have gained a percent since.
fn is_floor(scene: &Scene<'_>, trigger: Trigger) -> bool {
    let ups = scene.world.ups();
    let gained = u64::from(ups.has_mains);
    match trigger {
        Trigger::Charge => {
            ups.charge() < u64::from(scene.world.cluster().settings.charge_below) + gained
        }
        Trigger::LowBattery => ups.charge() < ups.truth.low_percent + gained,
        Trigger::Computed
        | Trigger::Time
        | Trigger::Blind
        | Trigger::Forced
        | Trigger::Operator => false,
    }
}

/// A blind declaration is latched only by hosts that are blind themselves. A second agent that
/// speaks as the declarer may see, and have its own reasons.
fn sees_nothing(scene: &Scene<'_>, host: usize, number: u64, from: &HostName) -> Verdict {
    let is_doubled =
        scene.world.find(from).is_some_and(|from| scene.history.is_doubled(scene.now(), from));
    let (since, last) = scene.history.reads(host);
    let reads = last + BLUR > scene.now() && since + LONG_READ < scene.now();
    if scene.history.is_blind(number) && reads && scene.world.can_read(host) && !is_doubled {
        let name = scene.name(host);
        return Err(format!("{name} follows {number}, which nobody saw, and reads the UPS"));
    }
    Ok(())
}

/// Nobody begins for a shutdown that has turned, nor, for a reason that the battery gave, while it
/// reads mains: it pauses.
fn is_declared(scene: &Scene<'_>, host: usize) -> Verdict {
    let world = scene.world;
    let Some(agent) = world.agent(host) else { return Ok(()) };
    let name = scene.name(host);
    let Some((number, Standing::Declared)) = agent.open() else {
        return Err(format!("{name} begins, and {:?} is all that it knows", agent.open()));
    };
    let (since, last) = scene.history.reads(host);
    let reads = last + BLUR > scene.now() && since + LONG_READ < scene.now();
    let has_mains = world.ups().has_mains && world.line_for() > LONG_READ;
    let is_calibrating = scene.history.has(Trouble::Status);
    let is_order = scene.history.has(Trouble::Orders) || scene.history.is_order(number);
    if reads && has_mains && world.can_read(host) && !is_order && !is_calibrating {
        return Err(format!("{name} begins for {number}, and reads mains"));
    }
    Ok(())
}

fn has_cause(scene: &Scene<'_>, host: usize) -> Verdict {
    let history = scene.history;
    let open = scene.world.agent(host).and_then(Coordinator::open);
    if history.stopped_by_person.contains(&host)
        || history.has(Trouble::Orders)
        || history.has(Trouble::Status)
        || open.is_some_and(|(number, _)| history.is_blind(number) || history.is_order(number))
    {
        return Ok(());
    }
    let debounce = millis(scene.world.cluster().settings.debounce);
    let dark = history.longest_dark(scene.now());
    if dark + BLUR < debounce {
        let host = scene.name(host);
        return Err(format!("{host} stops, and the mains were away for {dark} ms at most"));
    }
    Ok(())
}
