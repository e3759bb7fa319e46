//! This host's own NFS server: what the kernel counts, as `node_exporter` names it, and what the
//! eyes see.

use curfew_coordinator::ClientSight;

use super::nfs_family::{
    NFS_CLIENT_CONNECTIONS, NFS_CLIENT_RENEWAL_AGE, NFS_CLIENT_SIGHT, NFS_CLIENT_STATES,
    NFS_CLIENT_UNSEEN, NFS_CLIENT_V3_MOUNTS, NFS_CLIENTS_FOREIGN, NFS_EXPORT_ACTIVE,
    NFS_EXPORT_FREE, NFS_EXPORT_INODES_FREE, NFS_EXPORT_MOUNTED, NFS_EXPORT_WRITABLE, NFS_GRACE,
    NFS_SERVER_ANSWERS, NFSD_CONNECTIONS, NFSD_DISK_READ, NFSD_DISK_WRITTEN, NFSD_HANDLES_STALE,
    NFSD_PACKETS, NFSD_READ_AHEAD_NOT_FOUND, NFSD_READ_AHEAD_SIZE, NFSD_REPLY_CACHE_HITS,
    NFSD_REPLY_CACHE_MISSES, NFSD_REPLY_CACHE_NOCACHE, NFSD_REQUESTS, NFSD_RPC_ERRORS, NFSD_RPCS,
    NFSD_THREADS,
};
use super::page::{Page, one_if};
use crate::nfsd::compare::Agreement;
use crate::nfsd::grace::Grace;
use crate::nfsd::{Counters, Disk, Mountd, Report};

/// Records a report; one that is too old leaves nothing on the page.
pub(super) fn record(page: &mut Page, report: &Report) {
    if report.is_stale() {
        return;
    }
    if let Some(answer) = &report.answers.nfs {
        page.set(&NFS_SERVER_ANSWERS, ["nfs"], one_if(answer.is_good));
    }
    if let Some(Mountd::Asked(answer)) = &report.answers.mountd {
        page.set(&NFS_SERVER_ANSWERS, ["mountd"], one_if(answer.is_good));
    }
    if report.grace != Grace::Unknown {
        page.set(&NFS_GRACE, [], one_if(report.grace.is_running()));
    }
    exports(page, report);
    clients(page, report);
    if let Ok(look) = &report.look
        && let Ok(counters) = &look.counters
    {
        count(page, counters);
    }
}

fn exports(page: &mut Page, report: &Report) {
    for export in &report.exports {
        let label = export.label();
        let label = [label.as_str()];
        if let Some(is_exported) = export.is_exported {
            page.set(&NFS_EXPORT_ACTIVE, label, one_if(is_exported));
        }
        match &export.disk {
            Disk::Unknown => {}
            Disk::Missing { .. } => page.set(&NFS_EXPORT_MOUNTED, label, 0.0),
            Disk::Mounted { is_writable, .. } => {
                page.set(&NFS_EXPORT_MOUNTED, label, 1.0);
                page.set(&NFS_EXPORT_WRITABLE, label, one_if(*is_writable));
            }
        }
        if let Some(space) = report.space.get(label[0]) {
            page.set(&NFS_EXPORT_FREE, label, space.free);
            if let Some(free) = space.inodes_free {
                page.set(&NFS_EXPORT_INODES_FREE, label, free);
            }
        }
    }
}

fn clients(page: &mut Page, report: &Report) {
    for (host, seen) in &report.seen {
        let host = [host.as_str()];
        if let Some(current) = seen.sight {
            for sight in ClientSight::ALL {
                let value = one_if(sight == current);
                page.set(&NFS_CLIENT_SIGHT, [host[0], sight.as_str()], value);
            }
        }
        for (family, value) in [
            (&NFS_CLIENT_STATES, seen.states),
            (&NFS_CLIENT_V3_MOUNTS, seen.remotes),
            (&NFS_CLIENT_CONNECTIONS, seen.connections),
        ] {
            if let Some(value) = value {
                page.set(family, host, float(value as u64));
            }
        }
        if let Some(renewed) = seen.renewed {
            page.set(&NFS_CLIENT_RENEWAL_AGE, host, renewed.as_secs_f64());
        }
    }
    for (host, agreement) in &report.agreement {
        let is_failing = matches!(agreement, Agreement::Unseen { is_failing: true, .. });
        page.set(&NFS_CLIENT_UNSEEN, [host.as_str()], one_if(is_failing));
    }
    if let Some(strangers) = report.strangers {
        page.set(&NFS_CLIENTS_FOREIGN, [], float(strangers as u64));
    }
}

/// The names, labels and words are those of the collector `nfsd` of `node_exporter`.
fn count(page: &mut Page, counters: &Counters) {
    if let Some([hits, misses, nocache]) = counters.reply_cache {
        page.count(&NFSD_REPLY_CACHE_HITS, [], hits);
        page.count(&NFSD_REPLY_CACHE_MISSES, [], misses);
        page.count(&NFSD_REPLY_CACHE_NOCACHE, [], nocache);
    }
    if let Some(stale) = counters.stale_handles {
        page.count(&NFSD_HANDLES_STALE, [], stale);
    }
    if let Some([read, written]) = counters.bytes {
        page.count(&NFSD_DISK_READ, [], read);
        page.count(&NFSD_DISK_WRITTEN, [], written);
    }
    if let Some(threads) = counters.threads {
        page.set(&NFSD_THREADS, [], float(threads));
    }
    if let Some([size, not_found]) = counters.read_ahead {
        page.set(&NFSD_READ_AHEAD_SIZE, [], float(size));
        page.count(&NFSD_READ_AHEAD_NOT_FOUND, [], not_found);
    }
    if let Some([udp, tcp, connections]) = counters.network {
        page.count(&NFSD_PACKETS, ["udp"], udp);
        page.count(&NFSD_PACKETS, ["tcp"], tcp);
        page.count(&NFSD_CONNECTIONS, [], connections);
    }
    if let Some([calls, format, credentials, client]) = counters.calls {
        page.count(&NFSD_RPCS, [], calls);
        for (error, value) in [("fmt", format), ("auth", credentials), ("cInt", client)] {
            page.count(&NFSD_RPC_ERRORS, [error], value);
        }
    }
    requests(page, "2", counters.v2.as_deref(), &V2);
    requests(page, "3", counters.v3.as_deref(), &V3);
    requests(page, "4", counters.v4.as_deref(), &V4);
    if let Some(value) = counters.v4_delegated_attributes {
        page.count(&NFSD_REQUESTS, ["4", "WdelegGetattr"], value);
    }
}

fn requests(page: &mut Page, proto: &str, values: Option<&[u64]>, methods: &[&str]) {
    for (method, value) in methods.iter().zip(values.unwrap_or_default()) {
        if !method.is_empty() {
            page.count(&NFSD_REQUESTS, [proto, method], *value);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, more than there is of anything")]
fn float(value: u64) -> f64 {
    value as f64
}

/// By number of the procedure; what the collector leaves out has no name.
const V2: [&str; 18] = [
    "", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create",
    "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
const V3: [&str; 22] = [
    "",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];
const V4: [&str; 40] = [
    "",
    "",
    "",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "",
    "",
    "Verify",
    "Write",
    "RelLockOwner",
];
