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

/// Returns what to type when `ups` of the host `owner` is not read.
pub(crate) fn ups(owner_at: Option<&Place>, owner: &str, ups: &str) -> String {
    let server = match owner_at.map(|place| (&place.system, place.address)) {
        Some((System::Talos(_), address)) => format!(
            "see `talosctl -n {address} services` and the logs of its NUT, and the USB cable"
        ),
        Some((System::Systemd(_), _)) => format!(
            "on {owner} see `systemctl status nut-server nut-driver@{ups}`, `upsc {ups}` and the \
             USB cable"
        ),
        Some((System::Command(_) | System::DryRun, _)) | None => {
            format!(
                "on {owner} see whether upsd and its driver run, `upsc {ups}` and the USB cable"
            )
        }
    };
    format!("{server}; if all is well there, LISTEN in its upsd.conf and TCP port 3493")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_file::{SystemdSystem, TalosSystem};

    #[test]
    fn what_to_type_when_no_ups_is_read_is_of_the_system_of_its_owner() {
        let at = |system| Place { system, address: [10, 0, 0, 13].into() };
        let systemd = at(System::Systemd(SystemdSystem { run: "/run/curfew".into() }));
        let talos = at(System::Talos(TalosSystem { socket: "/run/machined.sock".into() }));
        let said = ups(Some(&systemd), "nfs", "eaton");
        assert!(
            said.contains("on nfs see `systemctl status nut-server nut-driver@eaton`"),
            "{said}"
        );
        let said = ups(Some(&talos), "nfs", "eaton");
        assert!(said.contains("`talosctl -n 10.0.0.13 services`"), "{said}");
        assert!(!said.contains("systemctl"), "{said}");
        for place in [None, Some(&systemd), Some(&talos)] {
            let said = ups(place, "nfs", "eaton");
            assert!(said.contains("USB cable") && said.contains("LISTEN"), "{said}");
        }
    }
}
