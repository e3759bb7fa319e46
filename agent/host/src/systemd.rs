//! What systemd says of its units, as `node_exporter` shows it.
//!
//! This crate does not speak D-Bus: whoever does hands in what it has heard.

use std::collections::BTreeMap;

use crate::sample::{Family, Samples};
use crate::text::{float, number, one_if};

/// The name by which `node_exporter` has what is shown here, beside those of the
/// [collectors](crate::collector::COLLECTORS).
pub const COLLECTOR: &str = "systemd";

/// What the manager and its units are up to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Units {
    /// The manager's property `Version`.
    pub version: String,
    /// The manager's property `Virtualization`: empty on bare metal.
    pub virtualization: String,
    /// The manager's property `SystemState`: `running` if nothing is wrong.
    pub system_state: String,
    /// How many units are in each state, of all that it knows.
    pub counts: BTreeMap<State, u64>,
    /// The units that have series of their own: see [`is_shown`].
    pub units: Vec<Unit>,
}

/// What a unit is up to: systemd's `ActiveState`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// It runs, or has done what it is there for.
    Active,
    /// It is on its way there.
    Activating,
    /// It is on its way to an end.
    Deactivating,
    /// It does not run.
    Inactive,
    /// It ended, and not as it should have.
    Failed,
    /// It reads its configuration anew.
    Reloading,
    /// What belongs to it is being cleaned up.
    Maintenance,
    /// What it has mounted is being made anew.
    Refreshing,
    /// A word that this version does not know.
    #[default]
    Other,
}

impl State {
    /// Returns the state of systemd's word for it.
    pub fn of(word: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|state| state.as_str() == word);
        known.unwrap_or_default()
    }

    /// Returns systemd's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Reloading => "reloading",
            Self::Maintenance => "maintenance",
            Self::Refreshing => "refreshing",
            Self::Other => "other",
        }
    }

    const KNOWN: [Self; 8] = [
        Self::Active,
        Self::Activating,
        Self::Deactivating,
        Self::Inactive,
        Self::Failed,
        Self::Reloading,
        Self::Maintenance,
        Self::Refreshing,
    ];
}

/// One unit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unit {
    /// Its name, with its end: `ssh.service`.
    pub name: String,
    /// What it is up to.
    pub state: State,
    /// The property `Type` of a service, otherwise empty.
    pub kind: &'static str,
    /// The property `LastTriggerUSec` of a timer.
    pub last_trigger_microseconds: Option<u64>,
    /// The property `NRestarts` of a service that is started again when it ends.
    pub restarts: Option<u32>,
    /// Of a socket.
    pub socket: Option<Socket>,
}

/// The connections of a socket unit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Socket {
    /// The property `NAccepted`.
    pub accepted: u32,
    /// The property `NConnections`.
    pub current: u32,
    /// The property `NRefused`, which old versions have not.
    pub refused: Option<u32>,
}

/// Returns whether a unit has series of its own, by what `node_exporter` leaves out unless told
/// otherwise.
pub fn is_shown(name: &str, load_state: &str) -> bool {
    let has_end = |end: &&str| name.strip_suffix(*end).is_some_and(|rest| !rest.is_empty());
    load_state == "loaded" && !HIDDEN.iter().any(has_end)
}

impl Units {
    /// Adds the series.
    pub fn show(&self, samples: &mut Samples) {
        if let Some(version) = leading_number(&self.version) {
            samples.set(&VERSION, &[&self.version], version);
        }
        let virtualization =
            if self.virtualization.is_empty() { "none" } else { &self.virtualization };
        samples.set(&VIRTUALIZATION, &[virtualization], 1.0);
        samples.set(&RUNNING, &[], one_if(self.system_state == "running"));
        for state in STATES {
            let count = self.counts.get(&state).copied().unwrap_or_default();
            samples.set(&COUNT, &[state.as_str()], float(count));
        }
        for (state, count) in &self.counts {
            if !STATES.contains(state) && *state != State::Other {
                samples.set(&COUNT, &[state.as_str()], float(*count));
            }
        }
        for unit in &self.units {
            unit.show(samples);
        }
    }
}

impl Unit {
    fn show(&self, samples: &mut Samples) {
        for state in STATES {
            let value = one_if(self.state == state);
            samples.set(&STATE, &[&self.name, state.as_str(), self.kind], value);
        }
        let name = [self.name.as_str()];
        if let Some(restarts) = self.restarts {
            samples.set(&RESTARTS, &name, restarts.into());
        }
        if let Some(microseconds) = self.last_trigger_microseconds {
            samples.set(&LAST_TRIGGER, &name, float(microseconds) / 1e6);
        }
        if let Some(socket) = self.socket {
            samples.set(&ACCEPTED, &name, socket.accepted.into());
            samples.set(&CONNECTIONS, &name, socket.current.into());
            if let Some(refused) = socket.refused {
                samples.set(&REFUSED, &name, refused.into());
            }
        }
    }
}

/// Returns the number of `252.39-1~deb12u1`, that is 252.39.
fn leading_number(version: &str) -> Option<f64> {
    let from = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut has_point = false;
    let end = from.find(|c: char| {
        let is_first_point = c == '.' && !has_point;
        has_point |= c == '.';
        !c.is_ascii_digit() && !is_first_point
    });
    let (number_text, _) = from.split_at_checked(end.unwrap_or(from.len()))?;
    number(number_text)
}

/// Those of which every unit has a series, as `node_exporter` has it.
const STATES: [State; 5] =
    [State::Active, State::Activating, State::Deactivating, State::Inactive, State::Failed];
const HIDDEN: [&str; 5] = [".automount", ".device", ".mount", ".scope", ".slice"];

const STATE: Family = Family::gauge(
    "node_systemd_unit_state",
    &["name", "state", "type"],
    "1 for the state of the unit, 0 for the others.",
);
const COUNT: Family =
    Family::gauge("node_systemd_units", &["state"], "How many units are in the state.");
const RUNNING: Family = Family::gauge(
    "node_systemd_system_running",
    &[],
    "1 if the system is up and no unit has failed, else 0.",
);
const VERSION: Family =
    Family::gauge("node_systemd_version", &["version"], "The version of systemd.");
const VIRTUALIZATION: Family = Family::gauge(
    "node_systemd_virtualization_info",
    &["virtualization_type"],
    "Always 1; on what the system runs is a label.",
);
const LAST_TRIGGER: Family = Family::gauge(
    "node_systemd_timer_last_trigger_seconds",
    &["name"],
    "When the timer last went off.",
);
const RESTARTS: Family = Family::counter(
    "node_systemd_service_restart_total",
    &["name"],
    "How often the service was restarted by itself.",
);
const ACCEPTED: Family = Family::counter(
    "node_systemd_socket_accepted_connections_total",
    &["name"],
    "Connections that the socket has accepted.",
);
const CONNECTIONS: Family = Family::gauge(
    "node_systemd_socket_current_connections",
    &["name"],
    "Connections that the socket has.",
);
const REFUSED: Family = Family::gauge(
    "node_systemd_socket_refused_connections_total",
    &["name"],
    "Connections that the socket has refused.",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, state: State) -> Unit {
        Unit { name: name.to_owned(), state, ..Unit::default() }
    }

    #[test]
    fn units_have_their_states() {
        let mut ssh = unit("ssh.service", State::Failed);
        ssh.kind = "notify";
        let mut timer = unit("apt.timer", State::Active);
        timer.last_trigger_microseconds = Some(1_500_000);
        let mut socket = unit("docker.socket", State::Active);
        socket.socket = Some(Socket { accepted: 3, current: 1, refused: None });
        let units = Units {
            version: "252.39-1~deb12u1".to_owned(),
            system_state: "degraded".to_owned(),
            counts: BTreeMap::from([(State::Active, 3), (State::Reloading, 1), (State::Other, 9)]),
            units: vec![ssh, timer, socket],
            ..Units::default()
        };
        let mut samples = Samples::default();
        units.show(&mut samples);
        let state = |name, state, kind| {
            let labels = format!("name=\"{name}\",state=\"{state}\",type=\"{kind}\"");
            samples.value(&format!("node_systemd_unit_state{{{labels}}}"))
        };
        assert_eq!(state("ssh.service", "failed", "notify"), Some(1.0));
        assert_eq!(state("ssh.service", "active", "notify"), Some(0.0));
        for (series, value) in [
            ("node_systemd_units{state=\"active\"}", Some(3.0)),
            ("node_systemd_units{state=\"failed\"}", Some(0.0)),
            ("node_systemd_units{state=\"reloading\"}", Some(1.0)),
            ("node_systemd_units{state=\"refreshing\"}", None),
            ("node_systemd_units{state=\"other\"}", None),
            ("node_systemd_system_running", Some(0.0)),
            ("node_systemd_version{version=\"252.39-1~deb12u1\"}", Some(252.39)),
            ("node_systemd_virtualization_info{virtualization_type=\"none\"}", Some(1.0)),
            ("node_systemd_timer_last_trigger_seconds{name=\"apt.timer\"}", Some(1.5)),
            ("node_systemd_socket_current_connections{name=\"docker.socket\"}", Some(1.0)),
            ("node_systemd_service_restart_total{name=\"ssh.service\"}", None),
        ] {
            assert_eq!(samples.value(series), value, "{series}");
        }
    }

    #[test]
    fn mounts_and_what_is_not_loaded_have_no_series_of_their_own() {
        assert!(is_shown("ssh.service", "loaded"));
        assert!(!is_shown("gone.service", "not-found"));
        assert!(!is_shown("-.mount", "loaded"));
        assert!(is_shown(".mount", "loaded"), "nothing stands before the end");
    }

    #[test]
    fn every_word_of_a_state_is_its_own() {
        for state in State::KNOWN {
            assert_eq!(State::of(state.as_str()), state);
        }
        assert_eq!(State::of("a\nnonsense"), State::Other);
    }
}
