//! What `curfew pki` makes, read back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::test_directory::TestDirectory;

fn now() -> SystemTime {
    // 2026-11-22 08:00 UTC
    SystemTime::UNIX_EPOCH + Duration::from_hours(498_704)
}

fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

fn host(name: &str) -> Subject {
    Subject::Host(name.to_owned())
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_authority_issues_hosts_and_operators_that_can_be_told_apart() {
    let directory = TestDirectory::new();
    let made = init(directory.path(), "home", now()).unwrap();
    assert_eq!(made.validity.until(), "2046-11-22");
    assert_eq!(mode(&directory.path().join("ca.crt")), 0o644);
    assert_eq!(mode(&directory.path().join("ca.key")), 0o600);

    let host = issue(directory.path(), host("k8s-1"), now()).unwrap();
    assert_eq!(host.certificate.identity.to_string(), "curfew://home/host/k8s-1");
    assert_eq!(host.certificate.validity.until(), "2036-11-21");
    assert_eq!(host.directory, directory.path().join("k8s-1"));
    assert_eq!(mode(&host.directory.join("host.key")), 0o600);
    assert_eq!(
        fs::read(host.directory.join("ca.crt")).unwrap(),
        fs::read(directory.path().join("ca.crt")).unwrap()
    );
    let on_disk = CertificateDer::from_pem_file(host.directory.join("host.crt")).unwrap();
    assert_eq!(Certificate::from_der(&on_disk).unwrap(), host.certificate);
    assert!(host.to_string().contains("the --pki directory of k8s-1"), "{host}");

    let ann = Subject::Operator("ann".to_owned());
    let operator = issue(directory.path(), ann, now()).unwrap();
    assert_eq!(operator.certificate.identity.to_string(), "curfew://home/operator/ann");
    assert_eq!(operator.certificate.validity.until(), "2027-11-22");
    assert!(operator.directory.join("operator.key").exists());

    let log = fs::read_to_string(directory.path().join("issued")).unwrap();
    assert_eq!(log.lines().count(), 2);
    assert!(log.contains(&format!("serial={}", host.certificate.serial)), "{log}");
}

#[test]
fn nothing_existing_is_overwritten() {
    let directory = TestDirectory::new();
    init(directory.path(), "home", now()).unwrap();
    let key = fs::read(directory.path().join("ca.key")).unwrap();
    let error = init(directory.path(), "home", now()).unwrap_err();
    assert!(matches!(error, PkiError::AuthorityExists { .. }), "{error}");
    assert_eq!(fs::read(directory.path().join("ca.key")).unwrap(), key);

    issue(directory.path(), host("nfs"), now()).unwrap();
    let error = issue(directory.path(), host("nfs"), now()).unwrap_err();
    assert!(matches!(error, PkiError::IssuedBefore { .. }), "{error}");
}

#[test]
fn an_issue_that_was_cut_short_can_be_repeated() {
    let directory = TestDirectory::new();
    init(directory.path(), "home", now()).unwrap();
    fs::create_dir(directory.path().join(".nfs.partial")).unwrap();
    issue(directory.path(), host("nfs"), now()).unwrap();
    assert!(!directory.path().join(".nfs.partial").exists());
}

#[test]
fn names_that_a_path_or_uri_cannot_carry_are_refused() {
    let directory = TestDirectory::new();
    init(directory.path(), "home", now()).unwrap();
    for name in ["", "../up", "a/b", ".hidden", "-x", "k8s 1", "k\u{f6}8s", &"x".repeat(64)] {
        let error = issue(directory.path(), host(name), now()).unwrap_err();
        assert!(matches!(error, PkiError::Name(_)), "{name:?}: {error}");
    }
}

#[test]
fn without_an_authority_the_error_names_the_file_and_the_command() {
    let directory = TestDirectory::new();
    let error = issue(directory.path(), host("nfs"), now()).unwrap_err().to_string();
    assert!(error.contains("ca.crt") && error.contains("curfew pki init"), "{error}");
}

#[test]
fn no_certificate_outlives_its_authority() {
    let directory = TestDirectory::new();
    init(directory.path(), "home", now()).unwrap();
    let years_15 = now() + days(15 * 365);
    let late = issue(directory.path(), host("nfs"), years_15).unwrap();
    assert_eq!(late.certificate.validity.until(), "2046-11-22");
    let years_21 = now() + days(21 * 365);
    let error = issue(directory.path(), host("k8s-1"), years_21).unwrap_err();
    assert!(matches!(error, PkiError::AuthorityExpired { .. }), "{error}");
}

#[test]
fn days_are_counted_as_calendars_do() {
    assert_eq!(certificate::day(0), "1970-01-01");
    assert_eq!(certificate::day(951_782_400), "2000-02-29");
    assert_eq!(certificate::day(4_107_542_399), "2100-02-28");
    assert_eq!(certificate::day(4_107_542_400), "2100-03-01");
    let validity = Validity { not_before: 0, not_after: 10 * 86_400 };
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(validity.days_left(at(0)), 10);
    assert_eq!(validity.days_left(at(10 * 86_400 + 1)), -1);
    assert_eq!(validity.nearest(at(99 * 86_400)), days(10));
}

proptest! {
    #[test]
    fn an_identity_is_read_as_it_was_written(
        cluster in "[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        name in "[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        operator in any::<bool>(),
    ) {
        let subject = if operator { Subject::Operator(name) } else { Subject::Host(name) };
        let identity = Identity::new(&cluster, subject).unwrap();
        prop_assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
    }

    #[test]
    fn foreign_text_is_no_identity_and_no_panic(text in "\\PC{0,120}") {
        if let Ok(identity) = text.parse::<Identity>() {
            prop_assert_eq!(identity.to_string(), text);
        }
    }

    #[test]
    fn foreign_bytes_are_no_certificate_and_no_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        prop_assert!(Certificate::from_der(&bytes).is_err());
    }
}
