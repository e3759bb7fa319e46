//! Checks of how the owner ends: by a hold or by a cut, and whether the delays of a cut fit.

use std::time::Duration;

use curfew_coordinator::Status;

use super::{Check, seconds};
use crate::snapshot::Snapshot;

const END: &str = "ups-end";
const DELAYS: &str = "ups-delays";

/// How long an output must stay open for power supplies to notice: their capacitors carry a machine
/// that is off for some seconds, and it would not start by itself.
const LEAST_OFF: Duration = Duration::from_secs(10);

/// The longest delay that the late-shutdown hook can wait out: systemd gives such hooks 90 s, of
/// which reading the UPS takes up to 20 s.
const MOST_DELAY: Duration = Duration::from_mins(1);

/// Says which of the two ends this cluster has, and why.
pub(crate) fn end(snapshot: &Snapshot) -> Check {
    let Status { ups, owner, .. } = &snapshot.status;
    let name = &ups.name;
    let holds = format!("{owner} will hold until the mains return or the battery is empty");
    let cuts = format!("{owner} will power off and have it cut, and it comes back with the mains");
    let method = snapshot.owned.as_ref().and_then(|owned| owned.cut_method);
    let offers = ups.abilities.is_some_and(|abilities| abilities.returns);
    let command = method.unwrap_or("a command for that");
    if ups.is_return_promised {
        return match (snapshot.returns, ups.abilities) {
            (Some(true), Some(_)) if method.is_none() => Check::warn(
                END,
                format!(
                    "`returns = true`, but {name} offers no command that cuts after a delay: \
                     {owner} will power off, and whether it is cut is open"
                ),
                format!(
                    "compare `upscmd -l {name}`; without shutdown.return or load.off.delay take \
                     `returns` out, and {owner} holds"
                ),
            ),
            (Some(true), _) => {
                Check::pass(END, format!("{name} is proven to return (`returns = true`): {cuts}"))
            }
            (Some(false) | None, _) => Check::pass(END, format!("{name} offers {command}: {cuts}")),
        };
    }
    let why = match (snapshot.returns, ups.abilities) {
        (Some(false), _) => format!("{name} is said not to return (`returns = false`)"),
        (Some(true), _) => format!("{owner} has no `cut` command to use"),
        (None, Some(_)) if offers => {
            format!("{name} offers {command}, but {owner} has no `cut` command to use it")
        }
        (None, Some(_)) => format!("{name} does not promise to come back after a cut"),
        (None, None) if snapshot.owned.is_some() => {
            format!("whether {name} comes back after a cut is not known until it has been asked")
        }
        (None, None) => {
            let reason = format!("{owner} asks {name} whether it comes back after a cut");
            return Check::pass(END, reason);
        }
    };
    Check::pass(END, format!("{why}: {holds}"))
}

/// The owner's: whether the delays of its UPS fit a cut.
pub(super) fn delays(snapshot: &Snapshot) -> Option<Check> {
    let delays = snapshot.owned.as_ref()?.delays;
    let Status { ups, owner, .. } = &snapshot.status;
    if !ups.is_return_promised {
        return Some(Check::pass(DELAYS, format!("of no matter, {owner} holds")));
    }
    let shown = |delay: Option<Duration>| delay.map_or_else(|| "not shown".to_owned(), seconds);
    let unit = if delays.is_in_minutes { ", and it counts in minutes" } else { "" };
    let values = format!(
        "ups.delay.shutdown is {}, ups.delay.start {}{unit}",
        shown(delays.shutdown),
        shown(delays.start)
    );
    let remedy = if delays.is_in_minutes {
        "set offdelay = 60 and ondelay = 120 in ups.conf and restart the driver"
    } else {
        "set offdelay = 20 and ondelay = 30 in ups.conf and restart the driver"
    };
    let fault = if delays.is_in_minutes && delays.shutdown == Some(Duration::ZERO) {
        Some("it would cut at once, under a machine that still runs".to_owned())
    } else if delays.longest_shutdown().is_some_and(|longest| longest > MOST_DELAY) {
        Some(format!("the late-shutdown hook cannot wait longer than {}", seconds(MOST_DELAY)))
    } else {
        delays.off_time().and_then(too_short)
    };
    Some(match fault {
        None => Check::pass(DELAYS, values),
        Some(fault) => Check::warn(DELAYS, format!("{values}: {fault}"), remedy),
    })
}

fn too_short(off: Duration) -> Option<String> {
    if off.is_zero() {
        return Some("the start must be the longer one, or the load stays off".to_owned());
    }
    (off < LEAST_OFF)
        .then(|| format!("off for {} only, which power supplies may ride through", seconds(off)))
}
