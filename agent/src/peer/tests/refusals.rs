//! Each way to be refused, with the reason that is given for it.

use curfew_coordinator::HostName;
use curfew_proto::{PROTOCOL, v1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::super::link::Link;
use super::super::tls::{self, Expect};
use super::*;

/// A host that knows one peer, `nfs`, which is nowhere.
async fn lonely(authority: &Authority) -> Agent {
    let place = Place::new("k8s-1").await;
    let gone = Place::new("nfs").await.address();
    let agent = place.start(&authority.host("k8s-1"), vec![gone]);
    let mut status = agent.status.clone();
    let is_ready = |status: &PeersStatus| status.credentials.current.is_some();
    within(status.wait_for(is_ready)).await.unwrap();
    agent
}

async fn link(to: &Agent, pki: &Path, holder: &Holder) -> Link {
    let credentials = Credentials::load(pki, holder).unwrap();
    within(Link::open(to.address, &credentials, &Expect::AnyHost)).await.unwrap()
}

async fn link_as_nfs(authority: &Authority, to: &Agent) -> Link {
    let holder = Holder::Host { cluster: "home".to_owned(), host: "nfs".to_owned() };
    link(to, &authority.host("nfs"), &holder).await
}

async fn tell(link: &mut Link, change: impl FnOnce(&mut v1::TellRequest)) -> Status {
    let mut request = v1::TellRequest {
        protocol: PROTOCOL,
        cluster: "home".to_owned(),
        state: Some(convert::encode(&full("nfs"))),
    };
    change(&mut request);
    within(link.grpc.tell(request)).await.unwrap_err()
}

#[tokio::test]
async fn a_host_of_another_authority_is_refused_and_counted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (a, b) = (Place::new("k8s-1").await, Place::new("nfs").await);
    let (to_a, to_b) = (a.address(), b.address());
    let mut a = a.start(&ours.host("k8s-1"), vec![to_b]);
    let mut b = b.start(&theirs.host("nfs"), vec![to_a]);
    let refusal = a.refusal_labelled("foreign-authority").await;
    assert!(refusal.to_string().contains("host nfs"), "{refusal}");
    b.refusal_labelled("foreign-authority").await;
    let text = crate::metrics::render(&crate::health::tests::snapshot(), &a.counters);
    assert!(text.contains("curfew_peer_refused_total{reason=\"foreign-authority\"}"), "{text}");
    let is_shown = |status: &PeersStatus| !status.refused.is_empty() && status.open.is_empty();
    within(a.status.wait_for(is_shown)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused_from_both_sides() {
    let authority = Authority::new();
    // At the address of nfs answers k8s-9, which our file does not know.
    let (a, b) = (Place::new("k8s-1").await, Place::new("k8s-9").await);
    let (to_a, mut to_b) = (a.address(), b.address());
    to_b.name = HostName::from("nfs");
    let mut a = a.start(&authority.host("k8s-1"), vec![to_b]);
    let _b = b.start(&authority.host("k8s-9"), vec![to_a]);
    let (mut called, mut calls) = (false, false);
    let other_host = Refusal::OtherHost { found: "host k8s-9".into(), expected: "host nfs".into() };
    while !(called && calls) {
        let refusal = a.refusal().await;
        called |= refusal == other_host;
        calls |= refusal == Refusal::UnknownHost("k8s-9".into());
    }
}

#[tokio::test]
async fn a_host_of_another_cluster_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::of("work", SystemTime::now()));
    // One list of authorities for two clusters: the signature alone would let them in.
    let pki = ours.host("k8s-1");
    let both = [ours.directory.path(), theirs.directory.path()]
        .map(|directory| std::fs::read_to_string(directory.join("ca.crt")).unwrap());
    put(&pki.join("ca.crt"), &both.concat());
    let (a, b) = (Place::new("k8s-1").await, Place::new("nfs").await);
    let (to_a, to_b) = (a.address(), b.address());
    let mut a = a.start(&pki, vec![to_b]);
    let _b = b.start_in("work", &theirs.host("nfs"), vec![to_a]);
    let refusal = a.refusal_labelled("other-cluster").await;
    assert_eq!(refusal, Refusal::OtherCluster { theirs: "work".into(), ours: "home".into() });
}

#[tokio::test]
async fn a_message_of_another_cluster_is_refused() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut link = link_as_nfs(&authority, &a).await;
    let status = tell(&mut link, |request| request.cluster = "work".to_owned()).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    a.refusal_labelled("other-cluster").await;
}

#[tokio::test]
async fn a_newer_protocol_is_refused_with_the_remedy() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut link = link_as_nfs(&authority, &a).await;
    let status = tell(&mut link, |request| request.protocol = 2).await;
    assert_eq!(
        status.message(),
        "k8s-1 says: it speaks protocol 2, this agent speaks 1: upgrade this host"
    );
    let refusal = a.refusal_labelled("newer-protocol").await;
    assert_eq!(refusal, Refusal::NewerProtocol { theirs: 2, ours: 1 });
}

#[tokio::test]
async fn a_host_speaks_only_for_itself() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut link = link_as_nfs(&authority, &a).await;
    let lie = |request: &mut v1::TellRequest| {
        request.state = Some(convert::encode(&full("k8s-2")));
    };
    assert_eq!(tell(&mut link, lie).await.code(), Code::PermissionDenied);
    let refusal = a.refusal_labelled("speaks-for-another").await;
    assert_eq!(refusal, Refusal::SpeaksForAnother { host: "nfs".into(), claimed: "k8s-2".into() });
}

#[tokio::test]
async fn an_invalid_message_is_refused_and_the_connection_lives_on() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut link = link_as_nfs(&authority, &a).await;
    let status = tell(&mut link, |request| {
        request.state.as_mut().unwrap().phase = 0;
    })
    .await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let refusal = a.refusal_labelled("invalid-message").await;
    assert_eq!(refusal, Refusal::Invalid(DecodeError::Unknown("phase")));
    let request = v1::TellRequest {
        protocol: PROTOCOL,
        cluster: "home".to_owned(),
        state: Some(convert::encode(&full("nfs"))),
    };
    within(link.grpc.tell(request)).await.unwrap();
    a.opened("nfs").await;
    assert!(a.status.borrow().refused.is_empty(), "what is over is no longer shown");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut link = link_as_nfs(&authority, &a).await;
    let status = tell(&mut link, |request| {
        let shutdown = request.state.as_mut().unwrap().shutdown.as_mut().unwrap();
        let reason = v1::Reason {
            by: "nfs".to_owned(),
            trigger: v1::Trigger::Time.into(),
            cause: v1::Cause::Battery.into(),
            evidence: "x".repeat(MESSAGE_MAX),
            then_wake: false,
        };
        shutdown.reasons.push(reason);
    })
    .await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    a.refusal_labelled("unreadable-message").await;
}

#[tokio::test]
async fn an_operator_may_not_tell_and_a_host_may_not_command() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut operator = link(&a, &authority.operator("ann"), &Holder::Operator).await;
    assert_eq!(tell(&mut operator, |_| ()).await.code(), Code::PermissionDenied);
    let refusal = a.refusal_labelled("not-allowed").await;
    assert!(refusal.to_string().contains("operator ann may not tell"), "{refusal}");

    let mut host = link_as_nfs(&authority, &a).await;
    let order = convert::encode_command(&OperatorCommand::GetStatus);
    let status = within(host.grpc.command(order)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let refusal = a.refusal_labelled("not-allowed").await;
    assert!(refusal.to_string().contains("host nfs may not give commands"), "{refusal}");
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_refused() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let ca = std::fs::read(authority.directory.path().join("ca.crt")).unwrap();
    call_without_certificate(a.address, &ca).await;
    assert_eq!(a.refusal().await, Refusal::NoCertificate);
}

async fn call_without_certificate(address: SocketAddr, ca: &[u8]) {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let trust = tls::Trust::new("home", roots, Revoked::default()).unwrap();
    let config = tls::anonymous_client_config(&Arc::new(trust));
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = within(connector.connect(name, tcp)).await.unwrap();
    // The refusal comes after the handshake, as TLS 1.3 has it.
    let error = within(stream.read_u8()).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

#[tokio::test]
async fn garbage_on_the_port_is_refused_and_a_probe_of_it_is_not() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    drop(TcpStream::connect(a.address).await.unwrap());
    let mut stream = TcpStream::connect(a.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: curfew\r\n\r\n").await.unwrap();
    assert_eq!(a.refusal().await.label(), "not-tls");
    assert_eq!(a.status.borrow().refused.len(), 1, "the probe was counted");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_off() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut stream = TcpStream::connect(a.address).await.unwrap();
    // The head of a TLS record, and never its body.
    stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    assert_eq!(a.refusal().await, Refusal::HandshakeTimeout);
    assert_eq!(within(stream.read(&mut [0; 64])).await.unwrap_or(0), 0, "it was not closed");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let authority = Authority::new();
    let mut a = lonely(&authority).await;
    let mut streams = Vec::new();
    for _ in 0..=18 {
        streams.push(TcpStream::connect(a.address).await.unwrap());
    }
    assert_eq!(a.refusal().await, Refusal::TooManyConnections);
}
