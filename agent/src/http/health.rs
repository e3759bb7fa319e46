//! The health as a page for a person and as `application/health+json` for a monitor.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::health::{Check, Health, State};

/// Returns the page for a person: one line for all, then one for each check.
pub(super) fn page(host: &str, health: &Health) -> String {
    let total = health.checks.len();
    let [fail, warn, unknown] =
        [State::Fail, State::Warn, State::Unknown].map(|state| health.count(state));
    let summary = match (fail + warn, unknown) {
        (0, 0) => format!("all {total} checks pass"),
        (0, _) => format!("of {total} checks none fails, {unknown} unknown"),
        (_, 0) => format!("of {total} checks {fail} fail and {warn} warn"),
        (_, _) => format!("of {total} checks {fail} fail, {warn} warn, {unknown} unknown"),
    };
    let width = health.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let width = width.max(host.len());
    let mut page = String::new();
    line(&mut page, health.state, host, width, &summary);
    for check in &health.checks {
        line(&mut page, check.state, &check.name, width, &check.sentence());
    }
    page
}

fn line(page: &mut String, state: State, name: &str, width: usize, text: &str) {
    let word = match state {
        State::Pass => "ok",
        State::Unknown => "?",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    // A line break in somebody's error message must not look like another check.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    writeln!(page, "{word:<5} {name:<width$}   {text}").expect("a string takes everything");
}

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
