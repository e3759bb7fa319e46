//! Laws of the cluster file, and what the shipped examples amount to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::finding::Severity;
use super::{ClusterFile, OffProof, System, section};

const HOME: &str = include_str!("../../../docs/examples/home.toml");
const REHEARSAL: &str = include_str!("../../../docs/examples/rehearsal.toml");
const COMMANDS: &str = include_str!("../../../docs/examples/commands.toml");

/// Returns the file as read, also when a rule refuses it.
fn readable(text: &str) -> ClusterFile {
    let parsed = ClusterFile::parse(text);
    parsed.file.unwrap_or_else(|| panic!("cannot be read: {:#?}", parsed.findings))
}

#[test]
fn home_is_refused_only_for_systems_that_are_not_supported_yet() {
    let parsed = ClusterFile::parse(HOME);
    let found: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    let file = readable(HOME);
    let unsupported = file.hosts.iter().filter(|host| !host.system.is_supported()).count();
    assert_eq!(found.len(), unsupported, "{found:#?}");
    for finding in &found {
        assert!(finding.contains("which this version cannot stop yet"), "{finding}");
    }
}

#[test]
fn home_shows_every_default() {
    let file = readable(HOME);
    let start = HOME.find("[shutdown]").expect("the example shows the defaults");
    let without = readable(HOME.split_at(start).0);
    assert_eq!(without, file);
    assert_eq!(file.shutdown.reserve, Duration::from_mins(1));
    assert_eq!(file.shutdown.on_battery_for, None);
    assert_eq!(file.shutdown.off_proof, OffProof::Network);
    let stop_times: Vec<u64> = file.hosts.iter().map(|host| host.stop_timeout.as_secs()).collect();
    assert_eq!(stop_times, [60, 180, 180], "the systemd host takes less");
    let nfs = file.host("NFS").expect("names are compared as DNS does");
    assert_eq!(nfs.network.peer_endpoint(), SocketAddr::from(([10, 0, 0, 13], 9101)));
    assert_eq!(nfs.network.http_listen(), SocketAddr::from(([10, 0, 0, 13], 9100)));
    assert_eq!(nfs.waking.packets_to, SocketAddr::from((Ipv4Addr::BROADCAST, 9)));
    assert_eq!(file.ups.first().map(|ups| ups.poll), Some(Duration::from_secs(1)));
}

#[test]
fn examples_for_every_machine_are_valid() {
    for text in [REHEARSAL, COMMANDS] {
        let parsed = ClusterFile::parse(text);
        assert!(parsed.file().is_some(), "{:#?}", parsed.findings);
        assert!(parsed.findings.iter().all(|finding| finding.severity == Severity::Note));
    }
    let storage = readable(COMMANDS).hosts.remove(0);
    let System::Command(commands) = storage.system else { panic!("a command host") };
    let hold = commands.hold.expect("the owner has one");
    assert_eq!(hold.program, Path::new("/usr/local/sbin/hold"));
    assert_eq!(hold.arguments, ["--read-only"]);
    assert_eq!(commands.timeout, Duration::from_secs(45));
}

#[test]
fn the_effective_file_parses_to_the_same_hash() {
    for text in [HOME, REHEARSAL, COMMANDS] {
        let file = readable(text);
        let effective = file.to_toml();
        let again = readable(&effective);
        assert_eq!(again, file, "{effective}");
        assert_eq!(again.to_toml(), effective);
    }
}

#[test]
fn the_hash_follows_what_the_file_says_and_not_its_layout() {
    let home = readable(HOME);
    let bare: Vec<&str> = HOME.lines().map(|line| line.split(" #").next().unwrap_or("")).collect();
    assert_eq!(readable(&bare.join("\n\n")).hash, home.hash);
    let other = HOME.replace("reserve          = \"60s\"", "reserve = \"61s\"");
    assert_ne!(readable(&other).hash, home.hash);
    assert_eq!(home.hash.to_string().len(), 16);
}

#[test]
fn a_missing_password_file_is_a_warning_where_the_check_runs() {
    let parsed = section::parse(COMMANDS, &|_| false);
    let warnings = parsed.findings.iter().filter(|f| f.severity == Severity::Warning);
    let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("12:17: warning: /etc/curfew/upsd.password"), "{warnings:?}");
    assert!(parsed.file().is_some(), "a warning refuses nothing");
}
