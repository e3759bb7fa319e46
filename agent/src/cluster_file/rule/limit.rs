//! Rules between durations and charges, each within its own bounds already.

use std::time::Duration;

use super::super::reader::{Report, Spot};
use super::super::section::Draft;
use super::super::value::format_duration;

/// Reports every such rule that the file breaks.
pub(super) fn check(draft: &Draft<'_>, report: &Report<'_>) {
    let (shutdown, restart) = (&draft.file.shutdown, &draft.file.restart);
    let (below, above) = (shutdown.charge_below_percent, restart.charge_above_percent);
    if below > 0 && above <= below {
        let message = format!(
            "hosts are woken above {above} % of charge, where the next outage stops them at once: \
             charge-below is {below}"
        );
        let remedy = format!("write charge-above = {} or more", below.saturating_add(10));
        report.error(draft.restart.at_key("charge-above"), message, remedy);
    }
    let assumed = ("low-battery-left", shutdown.low_battery_left);
    let reason = "a low battery would end before anything began";
    check_below(draft.shutdown, ("debounce", shutdown.debounce), assumed, reason, report);
    check_below(draft.shutdown, ("cut-margin", shutdown.cut_margin), assumed, reason, report);
    let timeout = ("wake-timeout", restart.wake_timeout);
    let reason = "a lost packet would never be repeated";
    check_below(draft.restart, ("wake-every", restart.wake_every), timeout, reason, report);
}

fn check_below(
    spot: Spot<'_>,
    (key, value): (&str, Duration),
    (limit_key, limit): (&str, Duration),
    reason: &str,
    report: &Report<'_>,
) {
    if value < limit {
        return;
    }
    let at = if spot.has(key) { spot.at_key(key) } else { spot.at_key(limit_key) };
    let (value, limit) = (format_duration(value), format_duration(limit));
    let message = format!("{key} is {value} and {limit_key} {limit}: {reason}");
    report.error(at, message, format!("write {key} less than {limit_key}"));
}
