//! Notes and commands as a person reads them.

use std::collections::BTreeSet;

use curfew_coordinator::{Command, HostName, Note, Status};
use tracing::{error, info, warn};

/// Logs what happened: one constant message, the data as fields. `is_urgent` is what the terminals
/// hear of now; when more becomes known of it later, that is not cried out once more.
pub(super) fn log(note: &Note, is_urgent: bool) {
    let data = serde_json::to_string(note).unwrap_or_default();
    match note {
        Note::Warned { text } => warn!("{text}"),
        Note::PhaseChanged { phase } => info!(%phase, "phase changed"),
        Note::JournalLost => {
            warn!("the journal was lost: every host of the file is taken for one to be woken");
        }
        Note::StopFailed { why, attempt } => warn!(attempt, "the stop call failed: {why}"),
        Note::ForeignSent { clients } => {
            warn!(clients, "FSD is set: NUT clients that are not ours go down");
        }
        Note::Lost { host } => warn!(%host, "the host fell silent without a word"),
        Note::AskedAbout { host } => warn!(
            %host,
            "it is not released and no battery sets a limit: power it off by hand, or call off"
        ),
        Note::PassedBy { host, why } => warn!(%host, ?why, "recovery goes on without the host"),
        Note::BlindHeard { number, by } => warn!(
            number,
            %by,
            "a host that sees no UPS declared alone; this host sees it and does not follow"
        ),
        Note::Declared { number, trigger, evidence, time_left, .. } => {
            warn!(number, %trigger, ?time_left, "shutdown declared: {evidence}");
        }
        Note::PlannedStopSeen { stop, live_dependents } if is_urgent => error!(
            stop = stop.as_str(),
            "this host {} by somebody's hand while {} use its files and will hang: start it again \
             soon, or stop them now; next time `curfew shutdown` stops all in order",
            stop.in_words(),
            names(live_dependents)
        ),
        Note::OwnerLeaves { is_cut } => error!(is_cut, "{}", leaving("this host", *is_cut)),
        Note::PlannedStopOverdue { host } => {
            warn!(%host, "the host went down to boot again and has not come: look at its console");
        }
        Note::WithoutAgent { host } => warn!(
            %host,
            "the machine answers and its agent does not: in an outage nobody stops it in order"
        ),
        Note::PlannedStopSeen { .. }
        | Note::AgentBack { .. }
        | Note::PlannedStopTakenBack
        | Note::PlannedStopHeard { .. }
        | Note::PlannedStopOver { .. }
        | Note::Recovered { .. }
        | Note::MainsLost
        | Note::MainsBack
        | Note::Latched { .. }
        | Note::EndedHeard { .. }
        | Note::Paused
        | Note::Resumed
        | Note::Began { .. }
        | Note::StopAccepted
        | Note::Released { .. }
        | Note::Off { .. }
        | Note::Turned { .. }
        | Note::Conducting { .. }
        | Note::GatePassed { .. }
        | Note::Woken { .. }
        | Note::Ready { .. }
        | Note::Ended { .. } => info!(target: "curfew::note", "{data}"),
    }
}

/// Returns what the people at the terminals of this host must hear of at once.
pub(super) fn to_terminals(note: &Note, host: &str) -> Option<String> {
    if let Note::OwnerLeaves { is_cut } = note {
        return Some(format!("curfew: {}", leaving(host, *is_cut)));
    }
    let Note::PlannedStopSeen { stop, live_dependents } = note else { return None };
    if live_dependents.is_empty() {
        return None;
    }
    Some(format!(
        "curfew: {host} {} while {} have its files mounted: they will hang. Start it again soon, \
         or stop them now. `shutdown -c` calls off a stop that is only scheduled; \
         `curfew shutdown` stops all in order.",
        stop.in_words(),
        names(live_dependents)
    ))
}

fn leaving(host: &str, is_cut: bool) -> String {
    if is_cut {
        return format!(
            "the mains have failed and {host} powers off before its turn: at its end it has the \
             UPS cut, or boots again while the battery carries others. Use `systemctl reboot`, or \
             leave it to curfew"
        );
    }
    format!(
        "the mains have failed; a power-off of {host} now leaves the cluster off until somebody \
         presses this machine's button: use `systemctl reboot`, or leave it to curfew"
    )
}

fn names(hosts: &BTreeSet<HostName>) -> String {
    let names: Vec<_> = hosts.iter().map(HostName::as_str).collect();
    names.join(", ")
}

/// Says what a command will set going, or why it cannot.
pub(super) fn command(command: &Command, status: &Status) -> Result<String, String> {
    let said = match command {
        Command::Shutdown { then_wake: false, .. } => {
            "the cluster goes down by order and stays down until it is woken"
        }
        Command::Shutdown { then_wake: true, .. } => {
            "the cluster goes down by order and is woken when the owner is back"
        }
        Command::CallOff { .. } if status.shutdown.is_none() => {
            return Err("no shutdown is open: there is nothing to call off".to_owned());
        }
        Command::CallOff { .. } => {
            "no host begins any more; those that have begun are brought back"
        }
        Command::Wake { hosts, .. } => {
            if let Some(unknown) = hosts.iter().find(|host| !status.hosts.contains_key(*host)) {
                let known: Vec<_> = status.hosts.keys().map(HostName::as_str).collect();
                return Err(format!("no host is called {unknown}: use {}", known.join(", ")));
            }
            if hosts.is_empty() && status.owed.is_empty() {
                return Err("no host is known to be off: name those to wake".to_owned());
            }
            "the hosts that are off are woken in order, when the mains and the charge allow it"
        }
    };
    Ok(said.to_owned())
}

#[cfg(test)]
mod tests {
    use curfew_coordinator::OsStop;

    use super::*;

    #[test]
    fn the_terminals_of_an_owner_hear_what_a_power_off_in_an_outage_means() {
        for (is_cut, means) in [(true, "it has the UPS cut"), (false, "presses this machine's")] {
            let text = to_terminals(&Note::OwnerLeaves { is_cut }, "nfs").expect("always");
            assert!(text.contains(means) && text.contains("`systemctl reboot`"), "{text}");
            assert!(text.is_ascii() && text.len() <= 400, "the hand takes no more");
        }
    }

    #[test]
    fn the_terminals_hear_of_a_stop_only_where_it_hurts_somebody() {
        let seen = |hosts: &[&str]| Note::PlannedStopSeen {
            stop: OsStop::Off,
            live_dependents: hosts.iter().map(|host| HostName::from(*host)).collect(),
        };
        assert_eq!(to_terminals(&seen(&[]), "nfs"), None);
        assert_eq!(to_terminals(&Note::PlannedStopTakenBack, "nfs"), None);
        let text = to_terminals(&seen(&["k8s-1", "k8s-2"]), "nfs").expect("it hurts two");
        let expected = "curfew: nfs powers off while k8s-1, k8s-2 have its files mounted";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.is_ascii() && text.len() <= 400, "the hand takes no more");
    }
}
