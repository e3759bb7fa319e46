//! What must hold between the values of a file: one function for each rule of the design.
//!
//! A rule sees the whole file, also when some of its values could not be read: those were reported
//! and hold what no file can (an empty name), which a rule passes by.

use std::path::Path;

use super::reader::{Report, Spot, nearest};
use super::section::Draft;
use super::{Host, Ups};

mod limit;
mod network;
mod order;
mod system;
mod ups;

/// Reports every rule that the file breaks.
pub(super) fn check(draft: &Draft<'_>, report: &Report<'_>, exists: &dyn Fn(&Path) -> bool) {
    check_not_empty(draft, report);
    check_names_differ(draft, report);
    check_references(draft, report);
    network::check(draft, report);
    system::check(draft, report);
    ups::check(draft, report, exists);
    order::check(draft, report);
    limit::check(draft, report);
}

fn check_not_empty(draft: &Draft<'_>, report: &Report<'_>) {
    if draft.hosts.is_empty() {
        let remedy = "write [[host]] with name, address, system and ups for each machine";
        report.error(0, "the cluster has no host".to_owned(), remedy.to_owned());
    }
    if draft.ups.is_empty() {
        let remedy = "write [[ups]] with name, owner and upsd";
        report.error(0, "the cluster has no UPS".to_owned(), remedy.to_owned());
    }
}

fn check_names_differ(draft: &Draft<'_>, report: &Report<'_>) {
    let hosts = draft.hosts().map(|(host, spot)| (host.name.clone(), spot.at_key("name")));
    check_differ("hosts", "name", hosts, report);
    let ups = draft.ups().map(|(ups, spot)| (ups.name.clone(), spot.at_key("name")));
    check_differ("UPSes", "name", ups, report);
}

/// Refuses each value that an earlier one equals; empty ones were reported already.
fn check_differ(
    owners: &str,
    key: &str,
    values: impl Iterator<Item = (String, usize)>,
    report: &Report<'_>,
) {
    let mut seen = Vec::new();
    for (value, at) in values.filter(|(value, _)| !value.is_empty()) {
        if seen.contains(&value) {
            let message = format!("two {owners} have the {key} `{value}`");
            report.error(at, message, format!("give one of them another {key}"));
        } else {
            seen.push(value);
        }
    }
}

fn check_references(draft: &Draft<'_>, report: &Report<'_>) {
    let hosts: Vec<&str> = draft.hosts().map(|(host, _)| host.name.as_str()).collect();
    let ups: Vec<&str> = draft.ups().map(|(ups, _)| ups.name.as_str()).collect();
    for (unit, spot) in draft.ups() {
        let whose = format!("the owner of UPS `{}`", unit.name);
        check_known(&unit.owner, ("[[host]]", &hosts), &whose, spot.at_key("owner"), report);
    }
    for (host, spot) in draft.hosts() {
        let whose = format!("what host `{}` needs", host.name);
        for (index, name) in host.needs.iter().enumerate() {
            check_known(name, ("[[host]]", &hosts), &whose, spot.at_item("needs", index), report);
        }
        let whose = format!("what feeds host `{}`", host.name);
        for (index, name) in host.ups.iter().enumerate() {
            check_known(name, ("[[ups]]", &ups), &whose, spot.at_item("ups", index), report);
        }
    }
}

/// Refuses a name that nothing of its table has; with an unreadable name nothing is certain.
fn check_known(
    name: &str,
    (table, known): (&str, &[&str]),
    whose: &str,
    at: usize,
    report: &Report<'_>,
) {
    if name.is_empty() || known.contains(&name) || known.contains(&"") {
        return;
    }
    let remedy = match nearest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("add {table} name = \"{name}\" or write one of: {}", known.join(", ")),
    };
    report.error(at, format!("`{name}`, {whose}, is no {table} of the file"), remedy);
}

impl<'a> Draft<'a> {
    /// Returns each host with its place.
    fn hosts(&self) -> impl Iterator<Item = (&Host, &Spot<'a>)> {
        self.file.hosts.iter().zip(&self.hosts)
    }

    /// Returns each UPS with its place.
    fn ups(&self) -> impl Iterator<Item = (&Ups, &Spot<'a>)> {
        self.file.ups.iter().zip(&self.ups)
    }

    /// Returns whether the host owns a UPS.
    fn is_owner(&self, host: &Host) -> bool {
        !host.name.is_empty() && self.file.ups.iter().any(|ups| ups.owner == host.name)
    }
}
