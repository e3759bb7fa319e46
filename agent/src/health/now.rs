//! What is going on at this moment, in one line for whoever looks in the middle of an outage.

use curfew_coordinator::{Debt, Gate, Line, Presence, Status};

use super::{cluster, seconds};
use crate::snapshot::Snapshot;

/// Returns what is under way; none while all is calm.
pub(crate) fn under_way(snapshot: &Snapshot) -> Option<String> {
    let status = &snapshot.status;
    let supply = snapshot.has_fresh_reading().then(|| supply(status)).flatten();
    let shutdown = status.shutdown.as_ref();
    let shutdown =
        shutdown.map(|open| format!("shutdown {} {}", open.number, open.standing.as_str()));
    let stop = status.planned_stop.map(|stop| format!("this host {}", stop.in_words()));
    let parts = [supply, shutdown, recovery(status), stop];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn supply(status: &Status) -> Option<String> {
    let ups = &status.ups;
    if ups.line != Line::Battery {
        return None;
    }
    let since = ups.on_battery_for.map_or(String::new(), |span| format!(" for {}", seconds(span)));
    let left = ups.runtime_left.map_or(String::new(), |left| format!(", {} left", seconds(left)));
    Some(format!("on battery{since}{left}"))
}

/// Whoever conducts nobody's return has nothing to say of it.
fn recovery(status: &Status) -> Option<String> {
    let recovery = status.recovery.as_ref().filter(|_| !cluster::is_declared(status))?;
    let is_away = |host| {
        let presence = status.hosts.get(host).map(|host| host.presence);
        *host != status.host && presence != Some(Presence::Connected)
    };
    let due = status.owed.iter().filter(|(host, owed)| owed.debt == Debt::Due && is_away(host));
    if due.count() == 0 {
        return None;
    }
    Some(match recovery.gate {
        Some(Gate::Mains) => "recovery: waits for stable mains".to_owned(),
        Some(Gate::Charge) => "recovery: waits for charge".to_owned(),
        Some(Gate::Exports) => "recovery: waits for the exports of this host".to_owned(),
        None if recovery.turned_to.is_empty() => {
            "recovery: waits for what the next host needs".to_owned()
        }
        None => format!("recovery: wakes {}", cluster::names(&recovery.turned_to)),
    })
}
