//! What the NFS client of the kernel has called: `/proc/net/rpc/nfs`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let text = reader.file(&roots.proc, "net/rpc/nfs");
    let text = text.map_err(|failure| failure.or_absent("NFS client"))?;
    text.parsed(|text| parse(text, samples))
}

/// Lines of a name that is not known here are skipped.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let mut words = words(line);
        let name = words.next().ok_or(line_number)?;
        let values: Option<Vec<_>> = words.map(number).collect();
        take(samples, name, &values.ok_or(line_number)?).ok_or(line_number)?;
    }
    Ok(())
}

fn take(samples: &mut Samples, name: &str, values: &[f64]) -> Option<()> {
    match name {
        "net" => {
            let [_all, udp, tcp, connections] = *values.first_chunk()?;
            samples.set(&PACKETS, &["udp"], udp);
            samples.set(&PACKETS, &["tcp"], tcp);
            samples.set(&CONNECTIONS, &[], connections);
        }
        "rpc" => {
            let [calls, retransmissions, refreshes] = *values.first_chunk()?;
            samples.set(&CALLS, &[], calls);
            samples.set(&RETRANSMISSIONS, &[], retransmissions);
            samples.set(&REFRESHES, &[], refreshes);
        }
        "proc2" => requests(samples, "2", &VERSION_2, values)?,
        "proc3" => requests(samples, "3", &VERSION_3, values)?,
        "proc4" => requests(samples, "4", &VERSION_4, values)?,
        _ => {}
    }
    Some(())
}

/// The first number says how many follow; newer kernels have more than have names here.
fn requests(samples: &mut Samples, version: &str, methods: &[&str], values: &[f64]) -> Option<()> {
    let (count, values) = values.split_first()?;
    let is_whole = values.len().to_string() == count.to_string();
    for (method, value) in methods.iter().zip(values).filter(|_| is_whole) {
        samples.set(&REQUESTS, &[version, method], *value);
    }
    is_whole.then_some(())
}

const PACKETS: Family =
    Family::counter("node_nfs_packets_total", &["protocol"], "Packets of the NFS client.");
const CONNECTIONS: Family =
    Family::counter("node_nfs_connections_total", &[], "TCP connections of the NFS client.");
const CALLS: Family = Family::counter("node_nfs_rpcs_total", &[], "Calls of the NFS client.");
const RETRANSMISSIONS: Family =
    Family::counter("node_nfs_rpc_retransmissions_total", &[], "Calls that were sent again.");
const REFRESHES: Family = Family::counter(
    "node_nfs_rpc_authentication_refreshes_total",
    &[],
    "How often credentials were renewed.",
);
const REQUESTS: Family = Family::counter(
    "node_nfs_requests_total",
    &["proto", "method"],
    "Calls of the NFS client by version and method.",
);

/// By number, as `node_exporter` spells them.
const VERSION_2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write",
    "Create", "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
const VERSION_3: [&str; 22] = [
    "Null",
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
const VERSION_4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "LayoutGet",
    "GetDeviceInfo",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn calls_are_told_by_version_and_method() {
        let text = "net 70 1 69 45\nrpc 1218785755 374636 1218815394\n\
                    proc3 22 1 4084749 29200 94754 32580 186 47747 7981 8639 0 6356 0 6962 0 \
                    7958 0 0 241 4 4 2 39\nproc4 3 98 51 54\nfuture 1 2\n";
        let (result, samples) = Tree::new(&[("proc/net/rpc/nfs", text)]).collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_nfs_packets_total{protocol=\"tcp\"}", 69.0),
            ("node_nfs_connections_total", 45.0),
            ("node_nfs_rpc_authentication_refreshes_total", 1_218_815_394.0),
            ("node_nfs_requests_total{proto=\"3\",method=\"Commit\"}", 39.0),
            ("node_nfs_requests_total{proto=\"4\",method=\"Write\"}", 54.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }

    #[test]
    fn a_line_that_lies_about_its_length_is_refused() {
        let (result, _) =
            Tree::new(&[("proc/net/rpc/nfs", "net 1 2 3 4\nproc3 3 1 2\n")]).collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 2, .. })), "{result:?}");
    }
}
