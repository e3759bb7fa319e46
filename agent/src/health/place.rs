//! Where to look and what to type, in the words of the system that a host runs.

use crate::cluster_file::System;
use crate::snapshot::Place;

/// Returns where the log of the agent there is.
pub(crate) fn log(place: Option<&Place>) -> String {
    match place.map(|place| (&place.system, place.address)) {
        Some((System::Talos(_), address)) => format!("`talosctl -n {address} logs ext-curfew`"),
        Some((System::Systemd(_), _)) => "`journalctl -u curfew`".to_owned(),
        Some((System::Command(_) | System::DryRun, _)) | None => "its log".to_owned(),
    }
}

/// Returns what shows whether the agent there runs.
pub(crate) fn service(place: Option<&Place>) -> String {
    match place.map(|place| (&place.system, place.address)) {
        Some((System::Talos(_), address)) => format!("`talosctl -n {address} service ext-curfew`"),
        Some((System::Systemd(_), _)) => "`systemctl status curfew`".to_owned(),
        Some((System::Command(_) | System::DryRun, _)) | None => "whether curfew runs".to_owned(),
    }
}

/// Returns what shows which process has a port there.
pub(crate) fn ports(place: Option<&Place>) -> String {
    match place {
        Some(Place { system: System::Talos(_), address }) => {
            format!("`talosctl -n {address} netstat -tlp`")
        }
        Some(_) | None => "`ss -ltnp`".to_owned(),
    }
}

/// Returns how `host` is given a certificate.
pub(crate) fn certificate(place: Option<&Place>, host: &str) -> String {
    let issue = format!("issue it with `curfew pki issue {host}`");
    match place {
        Some(Place { system: System::Talos(_), .. }) => {
            format!("{issue} and apply the node's document anew (docs/talos.md)")
        }
        Some(_) | None => format!("{issue} and copy the three files to its --pki directory"),
    }
}

/// Returns what gives `host` another cluster file.
pub(crate) fn cluster_file(place: Option<&Place>, host: &str) -> String {
    match place.map(|place| &place.system) {
        Some(System::Talos(_)) => format!("apply the document of {host} anew"),
        Some(System::Systemd(_)) => format!("`systemctl restart curfew` on {host}"),
        Some(System::Command(_) | System::DryRun) | None => format!("restart curfew on {host}"),
    }
}
