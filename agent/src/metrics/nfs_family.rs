//! The metrics of this host's own NFS server; those of `node_nfsd` are named and labelled as the
//! collector of `node_exporter` does it.

use super::{Family, Kind};

/// All of them.
pub(super) const FAMILIES: [&Family; 28] = [
    &NFS_SERVER_ANSWERS,
    &NFS_GRACE,
    &NFS_EXPORT_ACTIVE,
    &NFS_EXPORT_MOUNTED,
    &NFS_EXPORT_WRITABLE,
    &NFS_EXPORT_FREE,
    &NFS_EXPORT_INODES_FREE,
    &NFS_CLIENT_SIGHT,
    &NFS_CLIENT_STATES,
    &NFS_CLIENT_RENEWAL_AGE,
    &NFS_CLIENT_V3_MOUNTS,
    &NFS_CLIENT_CONNECTIONS,
    &NFS_CLIENT_UNSEEN,
    &NFS_CLIENTS_FOREIGN,
    &NFSD_REPLY_CACHE_HITS,
    &NFSD_REPLY_CACHE_MISSES,
    &NFSD_REPLY_CACHE_NOCACHE,
    &NFSD_HANDLES_STALE,
    &NFSD_DISK_READ,
    &NFSD_DISK_WRITTEN,
    &NFSD_THREADS,
    &NFSD_READ_AHEAD_SIZE,
    &NFSD_READ_AHEAD_NOT_FOUND,
    &NFSD_PACKETS,
    &NFSD_CONNECTIONS,
    &NFSD_RPC_ERRORS,
    &NFSD_RPCS,
    &NFSD_REQUESTS,
];

pub(crate) const NFS_SERVER_ANSWERS: Family = Family {
    name: "curfew_nfs_server_answers",
    kind: Kind::Gauge,
    labels: &["program"],
    help: "1 if the service (nfs or mountd) of this host answers a NULL call, else 0; absent if \
           there is none to ask.",
};
pub(crate) const NFS_GRACE: Family = Family {
    name: "curfew_nfs_grace",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while the grace period of NFS 4 runs, or may run, on this host, else 0.",
};
pub(crate) const NFS_EXPORT_ACTIVE: Family = Family {
    name: "curfew_nfs_export_active",
    kind: Kind::Gauge,
    labels: &["export"],
    help: "1 if the configured export is exported, else 0.",
};
pub(crate) const NFS_EXPORT_MOUNTED: Family = Family {
    name: "curfew_nfs_export_mounted",
    kind: Kind::Gauge,
    labels: &["export"],
    help: "1 if the file system of the export is mounted, 0 if /etc/fstab mounts one there and \
           it is not.",
};
pub(crate) const NFS_EXPORT_WRITABLE: Family = Family {
    name: "curfew_nfs_export_writable",
    kind: Kind::Gauge,
    labels: &["export"],
    help: "1 if the file system of the export takes writes, else 0.",
};
pub(crate) const NFS_EXPORT_FREE: Family = Family {
    name: "curfew_nfs_export_free_ratio",
    kind: Kind::Gauge,
    labels: &["export"],
    help: "The part of the file system of the export that others than root can still fill; local \
           ones only.",
};
pub(crate) const NFS_EXPORT_INODES_FREE: Family = Family {
    name: "curfew_nfs_export_inodes_free_ratio",
    kind: Kind::Gauge,
    labels: &["export"],
    help: "The part of the inodes of the file system of the export that is free; absent where \
           they are made as needed.",
};
pub(crate) const NFS_CLIENT_SIGHT: Family = Family {
    name: "curfew_nfs_client_sight",
    kind: Kind::Gauge,
    labels: &["host", "sight"],
    help: "1 for what this NFS server sees of the host as a client, 0 for the rest; absent if it \
           cannot tell.",
};
pub(crate) const NFS_CLIENT_STATES: Family = Family {
    name: "curfew_nfs_client_states",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "Opens, locks and delegations that the clients of the host hold by NFS 4.",
};
pub(crate) const NFS_CLIENT_RENEWAL_AGE: Family = Family {
    name: "curfew_nfs_client_renewal_age_seconds",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "Time since a client of the host last renewed by NFS 4; absent without one.",
};
pub(crate) const NFS_CLIENT_V3_MOUNTS: Family = Family {
    name: "curfew_nfs_client_v3_mounts",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "Mounts of the host by NFS 3, as rmtab has them.",
};
pub(crate) const NFS_CLIENT_CONNECTIONS: Family = Family {
    name: "curfew_nfs_client_connections",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "TCP connections of the host to port 2049.",
};
pub(crate) const NFS_CLIENT_UNSEEN: Family = Family {
    name: "curfew_nfs_client_unseen",
    kind: Kind::Gauge,
    labels: &["host"],
    help: "1 if the host has reported a mount of this server for 30 s that is not seen here, \
           else 0.",
};
pub(crate) const NFS_CLIENTS_FOREIGN: Family = Family {
    name: "curfew_nfs_clients_foreign",
    kind: Kind::Gauge,
    labels: &[],
    help: "Clients of this NFS server that are of no host of the cluster.",
};
pub(crate) const NFSD_REPLY_CACHE_HITS: Family = Family {
    name: "node_nfsd_reply_cache_hits_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Calls of the NFS server answered from its reply cache: the client had lost the \
           answer.",
};
pub(crate) const NFSD_REPLY_CACHE_MISSES: Family = Family {
    name: "node_nfsd_reply_cache_misses_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Calls whose answer went into the reply cache.",
};
pub(crate) const NFSD_REPLY_CACHE_NOCACHE: Family = Family {
    name: "node_nfsd_reply_cache_nocache_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Calls whose answer need not be kept.",
};
pub(crate) const NFSD_HANDLES_STALE: Family = Family {
    name: "node_nfsd_file_handles_stale_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Calls with a file handle that is stale.",
};
pub(crate) const NFSD_DISK_READ: Family = Family {
    name: "node_nfsd_disk_bytes_read_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Bytes that NFS clients have read.",
};
pub(crate) const NFSD_DISK_WRITTEN: Family = Family {
    name: "node_nfsd_disk_bytes_written_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Bytes that NFS clients have written.",
};
pub(crate) const NFSD_THREADS: Family = Family {
    name: "node_nfsd_server_threads",
    kind: Kind::Gauge,
    labels: &[],
    help: "Threads of the kernel that serve NFS.",
};
pub(crate) const NFSD_READ_AHEAD_SIZE: Family = Family {
    name: "node_nfsd_read_ahead_cache_size_blocks",
    kind: Kind::Gauge,
    labels: &[],
    help: "Size of the read-ahead cache in blocks.",
};
pub(crate) const NFSD_READ_AHEAD_NOT_FOUND: Family = Family {
    name: "node_nfsd_read_ahead_cache_not_found_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Reads that were not found in the read-ahead cache.",
};
pub(crate) const NFSD_PACKETS: Family = Family {
    name: "node_nfsd_packets_total",
    kind: Kind::Counter,
    labels: &["proto"],
    help: "Packets of the NFS server by protocol.",
};
pub(crate) const NFSD_CONNECTIONS: Family = Family {
    name: "node_nfsd_connections_total",
    kind: Kind::Counter,
    labels: &[],
    help: "TCP connections that the NFS server has accepted.",
};
pub(crate) const NFSD_RPC_ERRORS: Family = Family {
    name: "node_nfsd_rpc_errors_total",
    kind: Kind::Counter,
    labels: &["error"],
    help: "Calls that the NFS server could not take, by what was wrong.",
};
pub(crate) const NFSD_RPCS: Family = Family {
    name: "node_nfsd_server_rpcs_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Calls that the NFS server has taken.",
};
pub(crate) const NFSD_REQUESTS: Family = Family {
    name: "node_nfsd_requests_total",
    kind: Kind::Counter,
    labels: &["proto", "method"],
    help: "Calls of the NFS server by version and method.",
};
