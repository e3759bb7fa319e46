//! Laws of the cluster file, and what the shipped examples amount to.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::finding::Severity;
use super::value::{format_duration, parse_duration};
use super::{ClusterFile, ClusterFileError, OffProof, System, section};

mod manual;
mod refusal;
mod report;

const HOME: &str = include_str!("../../../docs/examples/home.toml");
const REHEARSAL: &str = include_str!("../../../docs/examples/rehearsal.toml");
const COMMANDS: &str = include_str!("../../../docs/examples/commands.toml");
const DEBIAN: &str = include_str!("../../../docs/examples/debian.toml");

/// Returns the file as read, also when a rule refuses it.
fn readable(text: &str) -> ClusterFile {
    let parsed = ClusterFile::parse(text);
    parsed.file.unwrap_or_else(|| panic!("cannot be read: {:#?}", parsed.findings))
}

#[test]
fn there_is_nothing_to_find_in_home() {
    let found: Vec<String> =
        ClusterFile::parse(HOME).findings.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// What the Debian package ships needs no change but of names and addresses.
#[test]
fn the_example_of_the_package_is_the_reference_cluster() {
    let uncommented: String = DEBIAN
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // The hosts that cannot be stopped yet, and no sentence.
            Some(key) if key.starts_with("[[") || key.contains(" = ") => format!("{key}\n"),
            Some(_) => "\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let uncommented = uncommented.replace("returns = true", "");
    assert_eq!(readable(&uncommented), readable(HOME));
    let shipped = readable(DEBIAN);
    assert_eq!(shipped.hosts, readable(HOME).hosts.get(..1).expect("the box comes first"));
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
    assert_eq!(nfs.waking.packets_to, None);
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

#[test]
fn an_unknown_host_is_told_which_there_are() {
    let error = readable(HOME).host("k8s-3").expect_err("there is none");
    assert!(matches!(error, ClusterFileError::FindHost { .. }));
    let sentence = error.to_string();
    assert!(sentence.contains("--host and one of nfs, k8s-1, k8s-2"), "{sentence}");
    assert!(sentence.contains("[[host]] name = \"k8s-3\""), "{sentence}");
}

#[test]
fn durations_need_units_in_falling_order() {
    let good =
        [("0s", 0), ("500ms", 500), ("60s", 60_000), ("1h30m", 5_400_000), ("1m1ms", 60_001)];
    for (text, millis) in good {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "0", "60", "s", "-5s", "1.5h", "1s1m", "1s1s", "1d", "1 s", "5s ", "1h30"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert!(parse_duration("18446744073709551615h").is_err());
}

proptest! {
    #[test]
    fn every_duration_reads_back(millis: u64) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        // A file that says nothing is no cluster.
        prop_assert!(ClusterFile::parse(&text).file().is_none());
    }

    /// Damage in a file that is otherwise good gets past the first lines.
    #[test]
    fn a_damaged_file_never_panics_and_what_is_valid_reads_back(
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        patch in r#"[\[\]{}="'#.,0-9a-z\n\\ é-]{0,12}"#,
    ) {
        let start = at.index(COMMANDS.len());
        let kept = COMMANDS.get(start + length..).unwrap_or_default();
        let text = format!("{}{patch}{kept}", COMMANDS.get(..start).unwrap_or_default());
        let parsed = ClusterFile::parse(&text);
        let lines = text.lines().count() + 1;
        for finding in &parsed.findings {
            prop_assert!(finding.place.is_some_and(|place| (1..=lines).contains(&place.line)));
        }
        match parsed.file() {
            Some(file) => {
                let again = ClusterFile::parse(&file.to_toml());
                prop_assert_eq!(again.file(), Some(file));
            }
            None => prop_assert!(!parsed.findings.is_empty()),
        }
    }
}
