//! What the protocols have counted: `/proc/net/snmp`, `snmp6` and `netstat`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Kind, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    for file in ["net/netstat", "net/snmp"] {
        reader.file(&roots.proc, file)?.parsed(|text| pairs(text, samples))?;
    }
    match reader.file(&roots.proc, "net/snmp6") {
        Ok(text) => text.parsed(|text| version_6(text, samples)),
        // IPv6 is off.
        Err(failure) if failure.is_missing() => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Reads pairs of lines, `Tcp: InSegs OutSegs` and `Tcp: 12 34`.
fn pairs(text: &str, samples: &mut Samples) -> Result<(), usize> {
    let mut lines = lines(text);
    while let Some((line_number, names)) = lines.next() {
        let (_, values) = lines.next().ok_or(line_number)?;
        let (protocol, names) = names.split_once(':').ok_or(line_number)?;
        let (_, values) = values.split_once(':').ok_or(line_number + 1)?;
        let mut values = words(values);
        for name in words(names) {
            let value = values.next().ok_or(line_number + 1)?;
            if is_wanted(protocol, name) {
                add(samples, protocol, name, number(value).ok_or(line_number + 1)?);
            }
        }
    }
    Ok(())
}

/// Reads the lines `Udp6InErrors   0`.
fn version_6(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let mut words = words(line);
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        let Some((before, name)) = name.split_once('6') else { continue };
        let protocol = format!("{before}6");
        if is_wanted(&protocol, name) {
            add(samples, &protocol, name, number(value).ok_or(line_number)?);
        }
    }
    Ok(())
}

fn add(samples: &mut Samples, protocol: &str, name: &str, value: f64) {
    let family = format!("node_netstat_{protocol}_{name}");
    let help = format!("The statistic {protocol}{name}.");
    samples.named(&family, Kind::Untyped, &help, &[], value);
}

/// What `node_exporter` chooses unless told otherwise.
fn is_wanted(protocol: &str, name: &str) -> bool {
    if matches!(name, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => name == "Forwarding",
        "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
        "Tcp" => TCP.contains(&name),
        "TcpExt" => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || TCP_EXTENDED.contains(&name)
        }
        "Udp" | "Udp6" => UDP.contains(&name),
        _ => false,
    }
}

const TCP: [&str; 7] =
    ["ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab"];
const TCP_EXTENDED: [&str; 4] = ["TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"];
const UDP: [&str; 5] = ["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn statistics_are_named_by_protocol() {
        let tree = Tree::new(&[
            ("proc/net/netstat", "TcpExt: SyncookiesSent Foo ListenDrops\nTcpExt: 4 5 6\n"),
            (
                "proc/net/snmp",
                "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn InErrs\nTcp: -1 5\n",
            ),
            ("proc/net/snmp6", "Ip6InOctets   460\nIcmp6InMsgs  \nUdpLite6InErrors   7\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_netstat_TcpExt_SyncookiesSent", 4.0),
            ("node_netstat_TcpExt_ListenDrops", 6.0),
            ("node_netstat_Ip_Forwarding", 1.0),
            ("node_netstat_Tcp_InErrs", 5.0),
            ("node_netstat_Ip6_InOctets", 460.0),
            ("node_netstat_UdpLite6_InErrors", 7.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.len(), 6);
    }

    #[test]
    fn a_line_without_its_other_half_is_an_error() {
        let tree = Tree::new(&[("proc/net/netstat", "TcpExt: A B\nTcpExt: 1\n")]);
        let (result, _) = tree.collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 2, .. })), "{result:?}");
    }
}
