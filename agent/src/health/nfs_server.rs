//! Checks of this host's own NFS server: the service, its exports, and the eyes on its clients.

use curfew_coordinator::ClientSight;

use super::{Check, State, seconds};
use crate::nfsd::compare::Agreement;
use crate::nfsd::grace::Grace;
use crate::nfsd::space::Space;
use crate::nfsd::{Disk, Export, Look, Mountd, Report, Unread};
use crate::snapshot::Snapshot;

pub(super) const EYES: &str = "nfs-eyes";

/// Makes the checks; none on a host without exports, and before the first look.
pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let Some(report) = &snapshot.nfs_server else { return Vec::new() };
    if report.is_stale() {
        let reason = format!("nobody has looked for {}", seconds(report.looked.elapsed()));
        return vec![Check::fail(EYES, reason, "restart curfew and report this with its log")];
    }
    match &report.look {
        Err(late) => {
            let remedy = "see what hangs: `cat /proc/fs/nfsd/threads`, `dmesg`";
            vec![Check::fail(EYES, late.to_string(), remedy)]
        }
        Ok(look) => {
            vec![server(report, look), grace(report), exports(report, look), eyes(report, look)]
        }
    }
}

fn server(report: &Report, look: &Look) -> Check {
    let fail = |reason: &str, remedy: &str| Check::fail(SERVER, reason, remedy);
    if look.threads == Ok(0) {
        let remedy =
            "`systemctl start nfs-server`; `systemctl status nfs-server` says why it ended";
        return fail("no thread of the NFS server runs", remedy);
    }
    match &report.answers.nfs {
        None => return Check::pass(SERVER, "not asked yet"),
        Some(answer) if !answer.is_good => {
            return fail(&answer.reason, "`systemctl restart nfs-server`, and see `dmesg`");
        }
        Some(_answers) => {}
    }
    let mountd = match &report.answers.mountd {
        Some(Mountd::Asked(answer)) if !answer.is_good => {
            let remedy = "`systemctl restart nfs-mountd`: until then nobody can mount anew";
            return fail(&answer.reason, remedy);
        }
        Some(Mountd::Asked(answer)) => answer.reason.clone(),
        Some(Mountd::None) | None => "there is no MOUNT service to ask (NFS 4 alone)".to_owned(),
    };
    let nfs = report.answers.nfs.as_ref().map(|answer| answer.reason.as_str()).unwrap_or_default();
    match &look.threads {
        Ok(threads) => Check::pass(SERVER, format!("{threads} threads; {nfs}; {mountd}")),
        Err(unread) => {
            Check::warn(SERVER, format!("{nfs}; {}", unread.sentence()), right_to_read(unread))
        }
    }
}

fn grace(report: &Report) -> Check {
    match report.grace {
        Grace::Running { left } => Check::warn(
            GRACE,
            format!(
                "the grace period of NFS 4 runs, for {} at most: clients get back what they had, \
                 and nothing new",
                seconds(left)
            ),
            "nothing, it ends by itself",
        ),
        Grace::Over => Check::pass(GRACE, "it is over"),
        Grace::Unknown => Check::pass(GRACE, "nothing is served"),
    }
}

fn exports(report: &Report, look: &Look) -> Check {
    if let Some(unread) = look.etab.as_ref().err().filter(|_| look.exports.is_err()) {
        return Check::warn(EXPORTS, unread.sentence(), right_to_read(unread));
    }
    let found = report.exports.iter().flat_map(|export| {
        let space = report.space.get(&export.label()).copied();
        export_findings(export).into_iter().chain(space.and_then(|it| room(export, it)))
    });
    let mut found: Vec<(State, String, &str)> = found.collect();
    // The gravest first; they stay in their order otherwise.
    found.sort_by_key(|(state, ..)| std::cmp::Reverse(*state));
    let Some((state, _, remedy)) = found.first().cloned() else {
        let reason = match look.mounts.as_ref().err() {
            Some(unread) => format!("all are exported; {}", unread.sentence()),
            None => format!("all {} are exported, mounted and have room", report.exports.len()),
        };
        return Check::pass(EXPORTS, reason);
    };
    let reasons: Vec<_> = found.into_iter().map(|(_, reason, _)| reason).collect();
    Check { state, ..Check::fail(EXPORTS, reasons.join("; "), remedy) }
}

fn export_findings(export: &Export) -> Vec<(State, String, &'static str)> {
    let path = export.label();
    let mut found = Vec::new();
    if export.is_exported == Some(false) {
        let remedy = "add it to /etc/exports and run `exportfs -ra`, or take it out of nfs-exports";
        found.push((State::Fail, format!("{path} is not exported"), remedy));
    }
    match &export.disk {
        Disk::Missing { point } => {
            let point = point.display();
            let what = format!("{path} is served from below {point}, which is not mounted");
            found.push((State::Fail, what, "mount it (`mount -a`), then `exportfs -ra`"));
        }
        Disk::Mounted { point, is_writable: false, .. } if export.is_for_writing => {
            let what =
                format!("{path} is exported for writing, and {} takes no writes", point.display());
            let remedy = "see `dmesg` for errors of the disk; check it, then mount it read-write";
            found.push((State::Fail, what, remedy));
        }
        Disk::Mounted { .. } | Disk::Unknown => {}
    }
    found
}

fn room(export: &Export, space: Space) -> Option<(State, String, &'static str)> {
    let path = export.label();
    let least = space.inodes_free.unwrap_or(1.0);
    let (free, what) = if least < space.free { (least, "inodes") } else { (space.free, "room") };
    let state = if free < FREE_FAIL {
        State::Fail
    } else if free < FREE_WARN {
        State::Warn
    } else {
        return None;
    };
    let reason = format!("{path} has {:.1} % of its {what} left", free * 100.0);
    Some((state, reason, "delete what is not needed, or enlarge the file system"))
}

/// Whether the eyes see, and whether they see what the hosts report. That a client is seen whose
/// host reports no mount is told and no fault: a container may have one of its own.
fn eyes(report: &Report, look: &Look) -> Check {
    let unseen = report.agreement.iter().filter_map(|(host, agreement)| match agreement {
        Agreement::Unseen { since, is_failing: true } => Some((host, *since)),
        Agreement::Unseen { .. }
        | Agreement::Agrees
        | Agreement::Unknown
        | Agreement::Unreported => None,
    });
    let unseen: Vec<_> = unseen
        .map(|(host, since)| {
            format!(
                "{host} has a mount of this server that is not seen here, for {}",
                seconds(since)
            )
        })
        .collect();
    if !unseen.is_empty() {
        let remedy = "see under which address it mounts (`findmnt -t nfs,nfs4` there, `ss -tn \
                      sport = :2049` here): its `address` in the cluster file is another; until \
                      then this host waits until it is off";
        return Check::fail(EYES, unseen.join("; "), remedy);
    }
    if let Some(unread) = look.blind_spots().first() {
        let reason = format!("clients cannot be seen and count as there: {}", unread.sentence());
        return Check::fail(EYES, reason, right_to_read(unread));
    }
    Check::pass(EYES, whom(report))
}

fn whom(report: &Report) -> String {
    let mut words: Vec<String> = Vec::new();
    for (host, seen) in &report.seen {
        let is_odd = report.agreement.get(host) == Some(&Agreement::Unreported);
        let word = match seen.sight {
            Some(ClientSight::Present) if is_odd => "is here and reports no mount",
            Some(ClientSight::Present) => "is here",
            Some(ClientSight::Stale) => "has left a client behind",
            Some(ClientSight::Nothing) | None => continue,
        };
        words.push(format!("{host} {word}"));
    }
    match report.strangers {
        None | Some(0) => {}
        Some(1) => words.push("1 client is of no host of the cluster".to_owned()),
        Some(more) => words.push(format!("{more} clients are of no host of the cluster")),
    }
    if words.is_empty() { "no clients".to_owned() } else { words.join(", ") }
}

fn right_to_read(unread: &Unread) -> &'static str {
    if unread.is_forbidden() {
        "give the agent CAP_DAC_READ_SEARCH, as the unit that comes with it does"
    } else if unread.is_missing() {
        "start the server (`systemctl start nfs-server`), and see `paths` in the cluster file"
    } else {
        "report this with the file and the version of the kernel"
    }
}

const SERVER: &str = "nfs-server";
const GRACE: &str = "nfs-grace";
const EXPORTS: &str = "nfs-exports";
/// Below, a file system slows down and a day of backups no longer fits.
const FREE_WARN: f64 = 0.10;
/// Below, the next large file fails, and databases over NFS with it.
const FREE_FAIL: f64 = 0.03;

#[cfg(test)]
pub(crate) mod tests;
