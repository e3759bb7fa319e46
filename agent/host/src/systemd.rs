//! What systemd says of its units, as `node_exporter` shows it.
//!
//! This crate does not speak D-Bus: whoever does hands in what it has heard.

use crate::sample::{Family, Samples};
use crate::text::{float, number, one_if};

/// What the manager and its units are up to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Units {
    /// The manager's property `Version`.
    pub version: String,
    /// The manager's property `Virtualization`: empty on bare metal.
    pub virtualization: String,
    /// The manager's property `SystemState`: `running` if nothing is wrong.
    pub system_state: String,
    /// All units that it has loaded.
    pub units: Vec<Unit>,
}

/// One unit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unit {
    /// Its name, with its end: `ssh.service`.
    pub name: String,
    /// `loaded`, `not-found` …
    pub load_state: String,
    /// `active`, `failed` …
    pub active_state: String,
    /// The property `Type` of a service or a mount, otherwise empty.
    pub kind: String,
    /// The property `LastTriggerUSec` of a timer.
    pub last_trigger_microseconds: Option<u64>,
    /// The property `NRestarts` of a service.
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
            let count = self.units.iter().filter(|unit| unit.active_state == state).count();
            samples.set(&COUNT, &[state], float(u64::try_from(count).unwrap_or(u64::MAX)));
        }
        for unit in self.units.iter().filter(|unit| unit.is_shown()) {
            unit.show(samples);
        }
    }
}

impl Unit {
    /// Returns whether it has series of its own, by what `node_exporter` leaves out unless told
    /// otherwise.
    pub fn is_shown(&self) -> bool {
        self.load_state == "loaded"
            && !HIDDEN
                .iter()
                .any(|end| self.name.strip_suffix(end).is_some_and(|rest| !rest.is_empty()))
    }

    fn show(&self, samples: &mut Samples) {
        for state in STATES {
            let value = one_if(self.active_state == state);
            samples.set(&STATE, &[&self.name, state, &self.kind], value);
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

const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];
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

    fn unit(name: &str, active_state: &str) -> Unit {
        Unit {
            name: name.to_owned(),
            load_state: "loaded".to_owned(),
            active_state: active_state.to_owned(),
            ..Unit::default()
        }
    }

    #[test]
    fn units_have_their_states() {
        let mut ssh = unit("ssh.service", "failed");
        ssh.kind = "notify".to_owned();
        let mut timer = unit("apt.timer", "active");
        timer.last_trigger_microseconds = Some(1_500_000);
        let mut socket = unit("docker.socket", "active");
        socket.socket = Some(Socket { accepted: 3, current: 1, refused: None });
        let mut gone = unit("gone.service", "inactive");
        gone.load_state = "not-found".to_owned();
        let units = Units {
            version: "252.39-1~deb12u1".to_owned(),
            system_state: "degraded".to_owned(),
            units: vec![ssh, timer, socket, gone, unit("-.mount", "active")],
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
        assert_eq!(state("gone.service", "inactive", ""), None);
        assert_eq!(state("-.mount", "active", ""), None);
        for (series, value) in [
            ("node_systemd_units{state=\"active\"}", 3.0),
            ("node_systemd_system_running", 0.0),
            ("node_systemd_version{version=\"252.39-1~deb12u1\"}", 252.39),
            ("node_systemd_virtualization_info{virtualization_type=\"none\"}", 1.0),
            ("node_systemd_timer_last_trigger_seconds{name=\"apt.timer\"}", 1.5),
            ("node_systemd_socket_current_connections{name=\"docker.socket\"}", 1.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.value("node_systemd_service_restart_total{name=\"ssh.service\"}"), None);
    }
}
