//! Dates, revocation, and certificates that change while agents run.

use std::fs;

use super::*;

const YEAR: Duration = Duration::from_hours(365 * 24);

fn years_ago(years: u32) -> SystemTime {
    SystemTime::now() - YEAR * years
}

#[tokio::test]
async fn an_expired_host_is_heard_and_reported() {
    let authority = Authority::of("home", years_ago(11));
    let (mut a, _b) = pair(&authority).await;
    a.opened("nfs").await;
    a.heard(|_| true).await;
    let status = a.status.borrow().clone();
    let days = |validity: pki::Validity| validity.days_left(SystemTime::now());
    assert!(days(status.open[&HostName::from("nfs")]) < 0);
    assert!(days(status.credentials.current.unwrap().own.validity) < 0);
}

#[tokio::test]
async fn a_host_whose_clock_is_before_its_certificate_is_heard() {
    // The certificates begin a year from now: as seen by a clock that lost a year.
    let authority = Authority::of("home", SystemTime::now() + YEAR);
    let (mut a, _b) = pair(&authority).await;
    a.opened("nfs").await;
}

#[tokio::test]
async fn an_expired_operator_is_refused() {
    let authority = Authority::of("home", years_ago(2));
    let (mut a, _b) = pair(&authority).await;
    a.opened("nfs").await;
    let pki = authority.operator("ann");
    let answer = within(command(a.address, None, &pki, &OperatorCommand::GetStatus)).await;
    assert!(matches!(answer, Err(OperatorError::Link(LinkError::Refused { .. }))), "{answer:?}");
    let refusal = a.refusal_labelled("expired").await;
    let text = refusal.to_string();
    assert!(text.contains("operator ann") && text.contains("set the clock"), "{text}");
}

#[tokio::test]
async fn a_revoked_host_is_cut_off_without_a_restart_and_let_in_again() {
    let authority = Authority::new();
    let (mut a, _b) = pair(&authority).await;
    a.opened("nfs").await;
    let directory = authority.directory.path();
    let holder = Holder::Host { cluster: "home".to_owned(), host: "nfs".to_owned() };
    let nfs = Credentials::load(&directory.join("nfs"), &holder).unwrap();
    let list = directory.join("k8s-1").join("revoked");
    put(&list, &format!("# stolen\n{}\n", nfs.own.serial.to_uppercase()));
    a.refusal_labelled("revoked").await;
    a.closed("nfs").await;
    fs::remove_file(&list).unwrap();
    a.opened("nfs").await;
}

#[tokio::test]
async fn certificates_that_break_keep_the_old_ones_in_force_and_are_reported() {
    let authority = Authority::new();
    let (mut a, _b) = pair(&authority).await;
    a.opened("nfs").await;
    let host_certificate = authority.directory.path().join("k8s-1").join("host.crt");
    let good = fs::read_to_string(&host_certificate).unwrap();
    put(&host_certificate, "-----BEGIN CERTIFICATE-----\nnonsense");
    let has_problem = |status: &PeersStatus| status.credentials.problem.is_some();
    let status = within(a.status.wait_for(has_problem)).await.unwrap().clone();
    assert!(status.credentials.problem.unwrap().contains("host.crt"));
    assert!(status.open.contains_key(&HostName::from("nfs")), "the session was closed");
    assert!(status.credentials.current.is_some());
    put(&host_certificate, &good);
    within(a.status.wait_for(|status| status.credentials.problem.is_none())).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let authority = Authority::of("home", years_ago(9));
    let (mut a, _b) = pair(&authority).await;
    a.opened("nfs").await;
    let nfs = HostName::from("nfs");
    let old = a.status.borrow().open[&nfs];
    let directory = authority.directory.path();
    fs::rename(directory.join("nfs"), directory.join("nfs-old")).unwrap();
    let subject = Subject::Host("nfs".to_owned());
    pki::issue(directory, subject, SystemTime::now()).unwrap();
    let is_renewed = |status: &PeersStatus| {
        status.open.get(&nfs).is_some_and(|validity| validity.not_after > old.not_after)
    };
    within(a.status.wait_for(is_renewed)).await.unwrap();
}

#[tokio::test]
async fn a_host_without_certificates_joins_when_it_gets_them() {
    let authority = Authority::new();
    let (a, b) = (Place::new("k8s-1").await, Place::new("nfs").await);
    let (to_a, to_b) = (a.address(), b.address());
    let empty = TestDirectory::new();
    let pki = empty.path().join("pki");
    let mut a = a.start(&pki, vec![to_b]);
    let _b = b.start(&authority.host("nfs"), vec![to_a]);
    let has_problem = |status: &PeersStatus| status.credentials.problem.is_some();
    let status = within(a.status.wait_for(has_problem)).await.unwrap().clone();
    assert!(status.credentials.problem.unwrap().contains("curfew pki issue"));
    fs::rename(authority.host("k8s-1"), &pki).unwrap();
    a.opened("nfs").await;
}

#[test]
fn a_directory_of_somebody_else_is_named_as_such() {
    let authority = Authority::new();
    let holder = |host: &str| Holder::Host { cluster: "home".to_owned(), host: host.to_owned() };
    let pki = authority.host("nfs");
    let error = Credentials::load(&pki, &holder("k8s-1")).unwrap_err().to_string();
    assert!(error.contains("curfew://home/host/nfs, but curfew://home/host/k8s-1"), "{error}");

    let foreign = Authority::new();
    fs::copy(foreign.directory.path().join("ca.crt"), pki.join("ca.crt")).unwrap();
    let error = Credentials::load(&pki, &holder("nfs")).unwrap_err();
    assert!(matches!(error, CredentialsError::Own { .. }), "{error}");

    let pki = authority.host("k8s-1");
    fs::copy(authority.host("k8s-2").join("host.key"), pki.join("host.key")).unwrap();
    let error = Credentials::load(&pki, &holder("k8s-1")).unwrap_err();
    assert!(matches!(error, CredentialsError::Key { .. }), "{error}");
}

#[test]
fn revocation_lists_are_read_as_tools_print_them() {
    let authority = Authority::new();
    let holder = Holder::Host { cluster: "home".to_owned(), host: "nfs".to_owned() };
    let own = Credentials::load(&authority.host("nfs"), &holder).unwrap().own;
    let colons: Vec<_> = own
        .fingerprint
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
        .collect();
    for list in
        [format!("00{}", own.serial), format!("  {} # nfs, stolen", own.serial), colons.join(":")]
    {
        assert!(Revoked::parse(&list).unwrap().contains(&own), "{list}");
    }
    assert!(!Revoked::parse("# nobody\n\nab12\n").unwrap().contains(&own));
    assert_eq!(Revoked::parse("ab12\nnfs\n"), Err(RevokedError { line: 2 }));
    assert_eq!(Revoked::parse("0"), Err(RevokedError { line: 1 }));
}
