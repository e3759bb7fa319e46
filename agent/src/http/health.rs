//! The health as a page for a person and as `application/health+json` for a monitor.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::health::{Check, Health, State, UNKNOWN};
use crate::wrap::put;

/// Returns the page for a person, in 80 columns: what it comes to and what is under way, then what
/// is wrong with what to do about it, the gravest first, then what is well.
pub(super) fn page(host: &str, under_way: Option<&str>, health: &Health) -> String {
    let mut page = String::new();
    put(&mut page, word(health.state), REASON, &format!("{host}: {}", summary(health)));
    if let Some(under_way) = under_way {
        put(&mut page, &format!("{:REASON$}", ""), REASON, under_way);
    }
    page.push('\n');
    for state in [State::Fail, State::Warn, State::Unknown] {
        for check in health.checks.iter().filter(|check| check.state == state) {
            finding(&mut page, check);
        }
    }
    let well = || health.checks.iter().filter(|check| check.state == State::Pass);
    if well().count() < health.checks.len() && well().count() > 0 {
        page.push('\n');
    }
    let names = well().map(|check| check.name.chars().count());
    let width = names.filter(|width| *width <= NAME_MAX).max().unwrap_or_default();
    for check in well() {
        let name = shown(&check.name);
        let head = format!("{}{name:<width$}   ", word(State::Pass));
        put(&mut page, &head, REASON + width + 3, &check.reason);
    }
    page
}

/// Adds something that is wrong to a page.
pub(super) fn finding(page: &mut String, check: &Check) {
    let Check { name, state, reason, remedy } = check;
    // The word for its state says that already.
    let reason =
        reason.strip_prefix(UNKNOWN).filter(|_| *state == State::Unknown).unwrap_or(reason);
    put(page, word(*state), REASON, &format!("{name}: {reason}"));
    if let Some(remedy) = remedy {
        what_to_do(page, remedy);
    }
}

/// Adds a remedy to a page, below what it is for.
pub(super) fn what_to_do(page: &mut String, remedy: &str) {
    put(page, &format!("{:REASON$}What to do: ", ""), REASON, remedy);
}

/// Returns why the plan could not be carried out now, one obstacle below the other.
pub(super) fn not_ready(obstacles: &[String]) -> String {
    let mut page = String::new();
    for obstacle in obstacles {
        put(&mut page, NOT_READY, NOT_READY.len(), obstacle);
    }
    page
}

/// Returns the beginning of a line, as wide as the lines below begin.
pub(super) const fn word(state: State) -> &'static str {
    match state {
        State::Pass => "ok    ",
        State::Unknown => "?     ",
        State::Warn => "warn  ",
        State::Fail => "FAIL  ",
    }
}

fn summary(health: &Health) -> String {
    let total = health.checks.len();
    let found = |state: State, one: &str, more: &str| match health.count(state) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {more}")),
    };
    let found = [
        found(State::Fail, "fails", "fail"),
        found(State::Warn, "warns", "warn"),
        found(State::Unknown, "is unknown", "are unknown"),
    ];
    let found: Vec<_> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return format!("all {total} checks pass");
    }
    format!("of {total} checks {}", found.join(", "))
}

/// Returns a name that fits its column; none that this program gives is longer.
fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Where reasons and remedies begin.
pub(super) const REASON: usize = 6;
const NOT_READY: &str = "not ready: ";
/// The widest column of names; the name of a host may be longer than a line.
const NAME_MAX: usize = 24;

/// The health in the form of draft-inadarei-api-health-check.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    status: State,
    #[serde(rename = "releaseId")]
    release_id: &'a str,
    #[serde(rename = "serviceId")]
    service_id: &'a str,
    description: &'a str,
    /// One list for each check, as the draft has it.
    checks: BTreeMap<&'a str, [Detail<'a>; 1]>,
}

/// One check. The draft leaves `output` out where all is well; what was seen is then the value.
#[derive(Debug, Serialize)]
struct Detail<'a> {
    status: State,
    #[serde(rename = "observedValue", skip_serializing_if = "Option::is_none")]
    observed_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

impl<'a> Document<'a> {
    pub(super) fn new(host: &'a str, version: &'a str, health: &'a Health) -> Self {
        let checks = health.checks.iter().map(|check| (check.name.as_str(), [Detail::new(check)]));
        Self {
            status: health.state,
            release_id: version,
            service_id: host,
            description: "health of a host and of its cluster, as seen by its curfew agent",
            checks: checks.collect(),
        }
    }
}

impl<'a> Detail<'a> {
    fn new(check: &'a Check) -> Self {
        let reason = Some(check.reason.as_str());
        let is_well = check.state == State::Pass;
        Self {
            status: check.state,
            observed_value: reason.filter(|_| is_well),
            output: reason.filter(|_| !is_well),
            remedy: check.remedy.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::WIDTH;

    fn health() -> Health {
        let checks = vec![
            Check::pass("agent", "the coordinator spoke 0.2 s ago"),
            Check::unknown("smart", "smartctl is not installed", Some("install smartmontools")),
            Check::warn("shutdown", "shutdown 3 is declared", "nothing, it turns with the mains"),
            Check::fail(
                "plan-margin",
                "an outage now could not be finished: needed 412 s, battery gives 300 s",
                "wait for the charge, lower the load, shorten the stops, or renew the battery",
            ),
            Check::pass(
                "ups-end",
                "eaton does not promise to come back after a cut: nfs holds \
                                    until the mains return or the battery is empty",
            ),
        ];
        Health { state: State::Fail, checks, obstacles: Vec::new() }
    }

    #[test]
    fn what_is_wrong_comes_first_with_what_to_do_and_all_fits_a_terminal() {
        let page =
            page("nfs", Some("on battery for 10 s, 300 s left, shutdown 3 declared"), &health());
        let expected = "\
FAIL  nfs: of 5 checks 1 fails, 1 warns, 1 is unknown
      on battery for 10 s, 300 s left, shutdown 3 declared

FAIL  plan-margin: an outage now could not be finished: needed 412 s, battery
      gives 300 s
      What to do: wait for the charge, lower the load, shorten the stops, or
      renew the battery
warn  shutdown: shutdown 3 is declared
      What to do: nothing, it turns with the mains
?     smart: smartctl is not installed
      What to do: install smartmontools

ok    agent     the coordinator spoke 0.2 s ago
ok    ups-end   eaton does not promise to come back after a cut: nfs holds until
                the mains return or the battery is empty
";
        assert_eq!(page, expected);
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn a_page_without_findings_has_one_line_to_read() {
        let mut health = health();
        health.checks.retain(|check| check.state == State::Pass);
        health.state = State::Pass;
        assert!(
            page("nfs", None, &health).starts_with("ok    nfs: all 2 checks pass\n\nok    agent")
        );
    }

    #[test]
    fn a_reason_cannot_look_like_another_check() {
        let forged = "a disk\n\nok    journal   fine\r\u{1b}[2K\u{85}ok    fine";
        let mut health = health();
        health.checks = vec![Check::warn("disks", forged, forged), Check::pass("clock", forged)];
        let page = page("nfs", None, &health);
        let starts = page.lines().filter(|line| !line.starts_with(' ') && !line.is_empty());
        assert_eq!(starts.count(), 3, "{page}");
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{page:?}");
    }
}
