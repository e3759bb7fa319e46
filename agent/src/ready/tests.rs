//! Probes against servers that serve, refuse, hang or talk nonsense.

use std::future::pending;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Ends with the test that made it.
struct FakeServer {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// Serves one connection.
async fn fake<Serve, Serving>(serve: Serve) -> FakeServer
where
    Serve: FnOnce(TcpStream) -> Serving + Send + 'static,
    Serving: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { serve(listener.accept().await.unwrap().0).await });
    FakeServer { address, _tasks: tasks }
}

async fn answering(answer: &'static [u8]) -> FakeServer {
    fake(move |mut stream| async move {
        let mut request = [0; 1024];
        let len = stream.read(&mut request).await.unwrap();
        assert!(len > 0);
        stream.write_all(answer).await.unwrap();
    })
    .await
}

async fn ask(url: String) -> Readiness {
    ReadyProbe::default().ask(&url.parse().unwrap()).await
}

#[tokio::test]
async fn any_http_answer_below_500_is_ready() {
    let cases: [(&[u8], bool); 5] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", true),
        (b"HTTP/1.0 401 Unauthorized\r\n\r\n", true),
        (b"HTTP/1.1 500 etcd failed\r\n\r\n", false),
        (b"SSH-2.0-OpenSSH_9.2\r\n", false),
        (b"HTTP/1.1", false),
    ];
    for (answer, is_ready) in cases {
        let server = answering(answer).await;
        let seen = ask(format!("http://{}/readyz", server.address)).await;
        assert_eq!(seen.is_ready, is_ready, "{}", seen.reason);
    }
}

#[tokio::test]
async fn the_request_names_the_host_and_the_path() {
    let (requests, mut seen) = tokio::sync::mpsc::channel(1);
    let server = fake(move |mut stream| async move {
        let mut request = vec![0; 1024];
        let len = stream.read(&mut request).await.unwrap();
        request.truncate(len);
        requests.send(String::from_utf8(request).unwrap()).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    })
    .await;
    let answer = ask(format!("http://{}/readyz?verbose", server.address)).await;
    assert_eq!(answer.reason, format!("{} answers with HTTP status 204", server.address));
    let request = seen.recv().await.unwrap();
    let expected = format!("GET /readyz?verbose HTTP/1.1\r\nHost: {}\r\n", server.address);
    assert!(request.starts_with(&expected), "{request}");
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn key_of(own: &rcgen::CertifiedKey<rcgen::KeyPair>) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into())
}

/// Shows the certificate of `shown` and signs with the key of `signing`.
async fn tls_server(
    shown: &rcgen::CertifiedKey<rcgen::KeyPair>,
    signing: &rcgen::CertifiedKey<rcgen::KeyPair>,
) -> FakeServer {
    let provider = ring::default_provider();
    let key = provider.key_provider.load_private_key(key_of(signing)).unwrap();
    let pair = CertifiedKey::new(vec![shown.cert.der().clone()], key);
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(Arc::new(pair))));
    fake(move |stream| async move {
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else {
            return;
        };
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_certificate_of_any_authority_will_do_but_its_key_must_be_proven() {
    let own = rcgen::generate_simple_self_signed(vec!["somebody-else".into()]).unwrap();
    let server = tls_server(&own, &own).await;
    let seen = ask(format!("https://{}/readyz", server.address)).await;
    assert!(seen.is_ready, "{}", seen.reason);
    assert!(seen.reason.ends_with("HTTP status 403"), "{}", seen.reason);

    let other = rcgen::generate_simple_self_signed(vec!["somebody-else".into()]).unwrap();
    let server = tls_server(&own, &other).await;
    let seen = ask(format!("https://{}/readyz", server.address)).await;
    assert!(!seen.is_ready);
    assert!(seen.reason.contains("does not speak TLS: "), "{}", seen.reason);
}

#[tokio::test]
async fn a_closed_port_is_not_ready_and_an_open_one_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let open = ask(format!("tcp://{address}")).await;
    assert_eq!(open, yes(format!("{address} accepts connections")));
    drop(listener);
    for scheme in ["tcp", "http", "https"] {
        let closed = ask(format!("{scheme}://{address}")).await;
        assert!(!closed.is_ready);
        let expected = format!("{address} does not accept connections: Connection refused");
        assert!(closed.reason.starts_with(&expected), "{}", closed.reason);
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_hangs_is_not_ready() {
    let hangs = || {
        fake(|stream| async move {
            pending::<()>().await;
            drop(stream);
        })
    };
    let (http, https, nfs) = tokio::join!(hangs(), hangs(), hangs());
    let before = tokio::time::Instant::now();
    let probe = ReadyProbe::default();
    let targets = [
        format!("http://{}", http.address).parse().unwrap(),
        format!("https://{}", https.address).parse().unwrap(),
        Target::Nfs(nfs.address),
    ];
    let [http, https, nfs] = &targets;
    let (a, b, c) = tokio::join!(probe.ask(http), probe.ask(https), probe.ask(nfs));
    for seen in [a, b, c] {
        assert!(!seen.is_ready);
        assert!(seen.reason.ends_with("has not answered within 3s"), "{}", seen.reason);
    }
    assert!(before.elapsed() < ASK_LIMIT * 2);
}

/// Answers each call with this accept state, in two fragments.
async fn fake_nfs(states: [u32; 2]) -> FakeServer {
    fake(move |mut stream| async move {
        for state in states {
            let mut call = [0; 44];
            stream.read_exact(&mut call).await.unwrap();
            assert_eq!(call[..4], [0x80, 0, 0, 40], "one fragment of forty bytes");
            assert_eq!(call[8..20], [0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa3], "a call of NFS");
            assert_eq!(call[4..8], call[20..24], "the transaction is the version");
            let mut reply = vec![0, 0, 0, 8];
            reply.extend(&call[4..8]);
            reply.extend([0, 0, 0, 1, 0x80, 0, 0, 16]);
            reply.extend([0; 12]);
            reply.extend(state.to_be_bytes());
            stream.write_all(&reply).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn nfs_is_ready_when_one_version_is_accepted() {
    const SUCCESS: u32 = 0;
    const UNAVAILABLE: u32 = 1;
    const MISMATCH: u32 = 2;
    let cases = [
        ([SUCCESS, SUCCESS], Some("NFS 4")),
        ([MISMATCH, SUCCESS], Some("NFS 3")),
        ([UNAVAILABLE, UNAVAILABLE], None),
    ];
    for (states, version) in cases {
        let server = fake_nfs(states).await;
        let seen = ReadyProbe::default().ask(&Target::Nfs(server.address)).await;
        assert_eq!(seen.is_ready, version.is_some(), "{}", seen.reason);
        assert!(seen.reason.ends_with(version.unwrap_or("refuses NFS 3 and 4")), "{}", seen.reason);
    }
    let web = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let seen = ReadyProbe::default().ask(&Target::Nfs(web.address)).await;
    assert!(seen.reason.ends_with("answers something else than NFS"), "{}", seen.reason);
}

/// Answers one call of `program` with these words after `SUCCESS`.
async fn fake_rpc(program: u32, words: &'static [u32]) -> FakeServer {
    fake(move |mut stream| async move {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark).await.unwrap();
        let len = u32::from_be_bytes(mark) & 0x7fff_ffff;
        let mut call = vec![0; len as usize];
        stream.read_exact(&mut call).await.unwrap();
        assert_eq!(call[12..16], program.to_be_bytes(), "the program that was asked");
        let len = 0x8000_0000_u32 | (24 + 4 * u32::try_from(words.len()).unwrap());
        let mut reply = len.to_be_bytes().to_vec();
        reply.extend(&call[..4]);
        reply.extend([0, 0, 0, 1]);
        reply.extend([0; 16]);
        reply.extend(words.iter().copied().flat_map(u32::to_be_bytes));
        stream.write_all(&reply).await.unwrap();
        pending::<()>().await;
    })
    .await
}

/// An `rpcbind` that names the port of `service`.
async fn fake_rpcbind(service: &FakeServer) -> FakeServer {
    let port = Box::leak(Box::new([u32::from(service.address.port())]));
    fake_rpc(100_000, port).await
}

#[tokio::test]
async fn mount_is_asked_at_the_port_that_rpcbind_names() {
    let mountd = fake_rpc(100_005, &[]).await;
    let rpcbind = fake_rpcbind(&mountd).await;
    let answer = mount::ask(rpcbind.address, mountd.address.ip()).await;
    assert_eq!(answer, MountService::Asked(yes(format!("{} answers MOUNT 3", mountd.address))));
}

#[tokio::test]
async fn without_a_registration_there_is_no_mount_to_ask() {
    let unregistered = fake_rpc(100_000, &[0]).await;
    let local = unregistered.address.ip();
    assert_eq!(mount::ask(unregistered.address, local).await, MountService::None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(mount::ask(closed, local).await, MountService::None);
}

#[tokio::test]
async fn a_mountd_that_is_registered_and_hangs_or_is_gone_is_not_ready() {
    let hung = fake(|stream| async move {
        pending::<()>().await;
        drop(stream);
    })
    .await;
    let rpcbind = fake_rpcbind(&hung).await;
    let answer = mount::ask(rpcbind.address, hung.address.ip()).await;
    let late = format!("{} has not answered MOUNT 3 within 1s", hung.address);
    assert_eq!(answer, MountService::Asked(no(late)));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = FakeServer { address: listener.local_addr().unwrap(), _tasks: JoinSet::new() };
    drop(listener);
    let rpcbind = fake_rpcbind(&gone).await;
    let answer = mount::ask(rpcbind.address, gone.address.ip()).await;
    let refused = |answer: &Readiness| !answer.is_ready && answer.reason.contains("refused");
    assert!(matches!(&answer, MountService::Asked(it) if refused(it)), "{answer:?}");
}

/// The real thing: `CURFEW_TEST_NFS=127.0.0.1:2049` with any NFS server behind it.
#[tokio::test]
async fn a_real_nfs_server_is_ready() {
    let Ok(address) = std::env::var("CURFEW_TEST_NFS") else {
        println!("skipped: CURFEW_TEST_NFS names no server");
        return;
    };
    let seen = ReadyProbe::default().ask(&Target::Nfs(address.parse().unwrap())).await;
    assert!(seen.is_ready, "{}", seen.reason);
    println!("{}", seen.reason);
}

#[test]
fn a_url_names_what_must_answer() {
    let http = |is_secure, host: &str, port, path: &str| {
        let at = Place { host: host.into(), port };
        Ok(Target::Http { is_secure, at, path: path.into() })
    };
    let parsed = str::parse::<Target>;
    assert_eq!(parsed("https://10.0.0.11:6443/readyz"), http(true, "10.0.0.11", 6443, "/readyz"));
    assert_eq!(parsed("https://[fd00::1]"), http(true, "fd00::1", 443, "/"));
    assert_eq!(parsed("http://nas?x=1#top"), http(false, "nas", 80, "/?x=1"));
    let tcp = Target::Tcp(Place { host: "::1".into(), port: 22 });
    assert_eq!(parsed("tcp://[::1]:22/"), Ok(tcp));
    for wrong in ["ftp://a", "10.0.0.11:6443", "", "//a"] {
        assert_eq!(parsed(wrong), Err(TargetError::Scheme(wrong.into())));
    }
    let places = [
        "tcp://a",
        "tcp://a:1/x",
        "http://",
        "http://:80",
        "http://a:",
        "http://a:0",
        "http://a:b",
        "http://u@a",
        "http://[::1",
        "http://[a]",
        "http://a:99999",
        "http://::1",
    ];
    for wrong in places {
        assert_eq!(parsed(wrong), Err(TargetError::Place(wrong.into())));
    }
    assert!(matches!(parsed("http://a/\r\nX: y"), Err(TargetError::Letter(_))));
}

#[test]
fn reading_a_url_never_panics() {
    proptest::proptest!(|(rest in "[a-z0-9:@/?#\\[\\].]{0,30}")| {
        for scheme in ["http", "https", "tcp"] {
            if let Ok(Target::Http { at, path, .. }) = format!("{scheme}://{rest}").parse() {
                proptest::prop_assert!(!at.host.is_empty() && at.port > 0 && path.starts_with('/'));
            }
        }
    });
}
