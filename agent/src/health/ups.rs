//! Checks of the UPS and of what its battery allows.

use std::time::Duration;

use curfew_coordinator::{Line, Status, UpsStatus};

use super::{Check, place, seconds};
use crate::snapshot::Snapshot;

pub(super) const CONTACT: &str = "ups-contact";
const WATCHED: &str = "ups-watched";
pub(super) const PLAN_MARGIN: &str = "plan-margin";

pub(super) fn contact(snapshot: &Snapshot) -> Check {
    let Status { ups, owner, .. } = &snapshot.status;
    let why = ups.missed.as_deref().map_or(String::new(), |missed| format!(" ({missed})"));
    let remedy = place::ups(snapshot.places.get(owner), owner.as_str(), &ups.name);
    let Some(age) = snapshot.reading_age() else {
        let reason = format!("no reading of {} since the agent started{why}", ups.name);
        return if snapshot.running_for.saturating_add(snapshot.age()) < CONTACT_LOST {
            Check::warn(CONTACT, reason, remedy)
        } else {
            Check::fail(CONTACT, reason, remedy)
        };
    };
    let old = seconds(age);
    if age < snapshot.fresh {
        return Check::pass(CONTACT, format!("reading {old} old"));
    }
    let reason = format!("the last reading of {} is {old} old{why}", ups.name);
    if age < CONTACT_LOST {
        Check::warn(CONTACT, reason, remedy)
    } else {
        Check::fail(CONTACT, reason, remedy)
    }
}

/// The UPSes that are watched and not acted on: their silence is worth knowing, no more.
pub(super) fn watched(snapshot: &Snapshot) -> Option<Check> {
    if snapshot.watched.is_empty() {
        return None;
    }
    let silent = snapshot
        .watched
        .iter()
        .find(|ups| ups.read_at.is_none_or(|at| at.elapsed() >= snapshot.fresh));
    Some(match silent {
        None => Check::pass(WATCHED, "all answer; only the first UPS of the file is acted on"),
        Some(ups) => Check::warn(
            WATCHED,
            format!(
                "no fresh reading of {}, which is watched and not acted on{}",
                ups.name,
                ups.missed.as_deref().map_or(String::new(), |why| format!(" ({why})"))
            ),
            "check its upsd; only the first [[ups]] of the file decides",
        ),
    })
}

pub(super) fn supply(snapshot: &Snapshot) -> Check {
    let ups = &snapshot.status.ups;
    let numbers = numbers(ups);
    if !snapshot.has_fresh_reading() {
        return Check::warn(SUPPLY, "not known without a fresh reading", "see ups-contact");
    }
    match ups.line {
        Line::Mains => Check::pass(SUPPLY, format!("on mains{numbers}")),
        Line::Unknown => Check::warn(
            SUPPLY,
            format!("the UPS says neither mains nor battery{numbers}"),
            format!("look at `upsc {} ups.status`; a calibration ends by itself", ups.name),
        ),
        Line::Battery => {
            let since =
                ups.on_battery_for.map_or(String::new(), |span| format!(" for {}", seconds(span)));
            let remedy = "nothing, the hosts stop in order when it runs down";
            if ups.is_low {
                Check::fail(SUPPLY, format!("on battery{since}, which is low{numbers}"), remedy)
            } else {
                Check::warn(SUPPLY, format!("on battery{since}{numbers}"), remedy)
            }
        }
    }
}

/// A latch that nothing stands behind: only the end of `upsd`'s process takes it back.
pub(super) fn force(status: &Status) -> Check {
    const NAME: &str = "ups-fsd";
    let Status { ups, owner, .. } = status;
    if !ups.is_force_left_over {
        return Check::pass(NAME, "no FSD is left over in upsd");
    }
    Check::fail(
        NAME,
        format!(
            "FSD is latched in upsd for {} on mains and no shutdown is open: every upsmon that \
             starts now goes down at once",
            ups.name
        ),
        format!("on {owner} run `systemctl restart nut-server`: nothing else takes it back"),
    )
}

pub(super) fn plan_margin(status: &Status) -> Check {
    let plan = &status.plan;
    let needed = seconds(plan.time_needed);
    let (Some(left), Some(margin)) = (plan.runtime_left, plan.margin_millis) else {
        let reason = format!("not known without a credible runtime (needed {needed})");
        let remedy = "it takes up to 35 s after the start; else see `upsc` for battery.runtime";
        return Check::warn(PLAN_MARGIN, reason, remedy);
    };
    let numbers = format!("needed {needed}, battery gives {}", seconds(left));
    let size = seconds(Duration::from_millis(margin.unsigned_abs()));
    if margin >= 0 {
        return Check::pass(PLAN_MARGIN, format!("{size} to spare: {numbers}"));
    }
    if status.shutdown.is_some() {
        // The plan is that of the whole cluster, some of which is down by now.
        let gives = seconds(left);
        let reason = format!("all stops together take {needed}, and the battery gives {gives} now");
        let remedy = "nothing, see `shutdown`: the hosts stop in order";
        return Check::warn(PLAN_MARGIN, reason, remedy);
    }
    if status.ups.line == Line::Battery {
        let reason = format!("the reserve is being used, {size} of it: {numbers}");
        return Check::warn(PLAN_MARGIN, reason, "nothing, this is what it is for");
    }
    let reason = if left < plan.time_needed {
        format!("an outage now could not be finished: {numbers}")
    } else {
        format!("an outage now would use {size} of the reserve from the start: {numbers}")
    };
    let remedy = "wait for the charge, lower the load, shorten the stops, or renew the battery";
    Check::fail(PLAN_MARGIN, reason, remedy)
}

fn numbers(ups: &UpsStatus) -> String {
    let charge = ups.charge.map_or(String::new(), |charge| format!(", charge {charge} %"));
    let left = ups.runtime_left.map(|left| format!(", {} left", seconds(left)));
    charge + &left.unwrap_or_default()
}

const SUPPLY: &str = "ups-supply";
/// The others count the owner as blind after this time, too.
const CONTACT_LOST: Duration = Duration::from_secs(15);
