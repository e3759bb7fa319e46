//! Rules for how machines are stopped, and for what a rehearsal may do that a machine must not.

use super::super::reader::{Report, Spot};
use super::super::section::Draft;
use super::super::{Host, OffProof, System};

/// Reports every such rule that the file breaks.
pub(super) fn check(draft: &Draft<'_>, report: &Report<'_>) {
    check_tables_match(draft, report);
    check_owner(draft, report);
    check_rehearsal(draft, report);
}

fn check_tables_match(draft: &Draft<'_>, report: &Report<'_>) {
    // Without a readable word it is not known which table belongs to it.
    let is_read = |host: &Host, spot: &Spot<'_>| spot.text("system") == Some(host.system.label());
    for (host, spot) in draft.hosts().filter(|(host, spot)| is_read(host, spot)) {
        let system = host.system.label();
        for table in ["command", "systemd", "talos"] {
            if table != system && spot.has(table) {
                let message = format!(
                    "[host.{table}] means nothing to host `{}` with system = \"{system}\"",
                    host.name
                );
                let remedy = format!("remove it, or write system = \"{table}\"");
                report.error(spot.at_key(table), message, remedy);
            }
        }
    }
}

/// The owner stops last and holds or cuts, which needs a system that can.
fn check_owner(draft: &Draft<'_>, report: &Report<'_>) {
    for (host, spot) in draft.hosts().filter(|(host, _)| draft.is_owner(host)) {
        let name = &host.name;
        match &host.system {
            System::Talos(_) => {
                let message =
                    format!("host `{name}` owns a UPS, and Talos can neither hold nor cut");
                let remedy = "give the UPS to a host with system = \"systemd\"".to_owned();
                report.error(spot.at_key("system"), message, remedy);
            }
            System::Command(commands) => {
                let ways = [("hold", &commands.hold), ("reboot", &commands.reboot)];
                for (key, _) in ways.into_iter().filter(|(_, argv)| argv.is_none()) {
                    if spot.table("command").has(key) {
                        continue;
                    }
                    let message = format!("host `{name}` owns a UPS and has no `{key}` command");
                    let remedy = format!("write {key} = [\"/path/of/program\"] in [host.command]");
                    report.error(spot.at_key("command"), message, remedy);
                }
                if commands.cut.is_none() {
                    let message = format!(
                        "host `{name}` has no `cut` command: it holds also on a UPS that promises \
                         to come back"
                    );
                    let remedy = "write cut = [\"/path/of/program\"] to have the UPS cut";
                    report.note(spot.at_key("command"), message, remedy.to_owned());
                }
            }
            System::Systemd(_) | System::DryRun => {}
        }
    }
}

fn check_rehearsal(draft: &Draft<'_>, report: &Report<'_>) {
    let Some((machine, _)) = draft.hosts().find(|(host, _)| host.system.is_machine()) else {
        return;
    };
    let (name, system) = (&machine.name, machine.system.label());
    if draft.file.time_factor != 1 {
        let message =
            format!("time-factor is for rehearsals, and host `{name}` is a {system} machine");
        let remedy = "remove it, or write system = \"dry-run\" for every host".to_owned();
        report.error(draft.cluster.at_key("time-factor"), message, remedy);
    }
    if draft.file.shutdown.off_proof == OffProof::Session {
        let message = format!(
            "with off-proof = \"session\" a pulled cable proves that host `{name}` is off, and it \
             is a {system} machine"
        );
        let remedy = "write off-proof = \"network\"".to_owned();
        report.warning(draft.shutdown.at_key("off-proof"), message, remedy);
    }
}
