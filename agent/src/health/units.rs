//! The check of systemd's units; a host without systemd has none.

use super::{Check, State, is_ending, seconds, unseen_for};
use crate::snapshot::Snapshot;
use crate::units::{Found, Plight, Report, Trouble};

const UNITS: &str = "units";

/// Returns it once they were looked at.
pub(super) fn check(snapshot: &Snapshot) -> Option<Check> {
    let report = snapshot.units.as_deref()?;
    if is_ending(snapshot) {
        return Some(Check::pass(UNITS, "this host stops, and its services with it"));
    }
    Some(units(report))
}

fn units(report: &Report) -> Check {
    let check = of(report);
    if !report.is_stale() {
        return check;
    }
    let age = report.looked.elapsed();
    if check.state >= State::Warn {
        return unseen_for(&check, age);
    }
    let reason = format!("not looked at for {}", seconds(age));
    Check::unknown(UNITS, reason, Some("see the check drivers, and the log"))
}

fn of(report: &Report) -> Check {
    let found = match &report.found {
        Ok(found) => found,
        Err(blind) => return Check::unknown(UNITS, &blind.why, Some(blind.remedy)),
    };
    if found.units.system_state == "maintenance" {
        let remedy =
            "`journalctl -b -p err` says what was the cause, `systemctl default` leaves it";
        return Check::fail(UNITS, "this machine is in its rescue mode", remedy);
    }
    match found.trouble.split_first() {
        Some((worst, others)) => Check::warn(UNITS, reason(worst, others), remedy(worst)),
        None => Check::pass(UNITS, in_words(found)),
    }
}

/// `nfs-server.service has failed, and so has ssh.service`.
fn reason(worst: &Trouble, others: &[Trouble]) -> String {
    let plight = match worst.plight {
        Plight::Failed => "has failed".to_owned(),
        Plight::Restarts(count) => format!("was restarted {count} times in five minutes"),
    };
    let named: Vec<_> = others.iter().take(NAMED).map(|other| other.unit.as_str()).collect();
    let rest = match others.len().saturating_sub(named.len()) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    let others = if named.is_empty() {
        String::new()
    } else {
        format!("; in trouble, too: {}{rest}", named.join(", "))
    };
    format!("{} {plight}{others}", worst.unit)
}

fn remedy(worst: &Trouble) -> String {
    let unit = shell_word(&worst.unit);
    match worst.plight {
        Plight::Failed => format!(
            "`systemctl status {unit}` says why; `systemctl restart {unit}` when it is mended, \
             `systemctl reset-failed {unit}` if it is not needed"
        ),
        Plight::Restarts(_) => {
            format!("`journalctl -u {unit}` says why it ends; `systemctl stop {unit}` leaves it so")
        }
    }
}

/// Names of devices have a backslash in them.
fn shell_word(unit: &str) -> String {
    if unit.contains('\\') { format!("'{unit}'") } else { unit.to_owned() }
}

fn in_words(found: &Found) -> String {
    let count: u64 = found.units.counts.values().sum();
    let ignored = match found.ignored {
        0 => String::new(),
        ignored => format!(", but for {ignored} that units-ignored names"),
    };
    let left_out = match found.left_out {
        0 => String::new(),
        left_out => format!("; {left_out} have no series of their own"),
    };
    format!("none of {count} has failed{ignored}{left_out}")
}

/// Besides the worst; a line has its end.
const NAMED: usize = 2;

#[cfg(test)]
mod tests;
