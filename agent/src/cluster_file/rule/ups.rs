//! Rules for the UPSes: which of them counts, and how the owner logs in.

use std::path::Path;

use super::super::reader::Report;
use super::super::section::Draft;

/// Reports every such rule that the file breaks.
pub(super) fn check(draft: &Draft<'_>, report: &Report<'_>, exists: &dyn Fn(&Path) -> bool) {
    check_first_counts(draft, report);
    check_login(draft, report, exists);
    check_fed(draft, report);
}

fn check_first_counts(draft: &Draft<'_>, report: &Report<'_>) {
    let Some(first) = draft.file.ups.first() else { return };
    for (ups, spot) in draft.ups().skip(1) {
        let message = format!(
            "UPS `{}` is watched and not acted on: only the first, `{}`, triggers a shutdown",
            ups.name, first.name
        );
        report.note(spot.at(), message, "put the UPS that counts first".to_owned());
    }
}

fn check_login(draft: &Draft<'_>, report: &Report<'_>, exists: &dyn Fn(&Path) -> bool) {
    for (ups, spot) in draft.ups() {
        let Some(login) = &ups.login else {
            if !spot.has("username") && !spot.has("password-file") {
                let message = format!(
                    "without a login the owner of UPS `{}` can neither warn other NUT clients nor \
                     have it cut",
                    ups.name
                );
                let remedy = "write username and password-file of a user in upsd.users".to_owned();
                report.note(spot.at(), message, remedy);
            }
            continue;
        };
        if !exists(&login.password_file) {
            let path = login.password_file.display();
            let message = format!("{path} is not on this machine; on `{}` it must be", ups.owner);
            let remedy = format!("on `{}` put the password of the user there", ups.owner);
            report.warning(spot.at_key("password-file"), message, remedy);
        }
    }
}

/// A host without battery falls in the first second, and takes with it what it serves.
fn check_fed(draft: &Draft<'_>, report: &Report<'_>) {
    let Some(first) = draft.file.ups.first() else { return };
    for (host, spot) in draft.hosts() {
        let known = |name: &String| draft.file.ups.iter().any(|ups| ups.name == *name);
        if !spot.has("ups") || spot.is_empty_array("ups") {
            let message = format!("host `{}` is fed by no UPS", host.name);
            let remedy = format!("write ups = [\"{}\"]", first.name);
            report.error(spot.at_key("ups"), message, remedy);
        } else if !host.ups.contains(&first.name)
            && !first.name.is_empty()
            && host.ups.iter().any(known)
        {
            let message = format!(
                "host `{}` is fed only by a UPS that is not acted on: nothing stops it in time",
                host.name
            );
            let remedy = format!("feed it by `{}`, or put its UPS first", first.name);
            report.warning(spot.at_key("ups"), message, remedy);
        }
    }
}
