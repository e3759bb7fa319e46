//! The server over real sockets, by clients that speak raw HTTP: good, careless and hostile ones.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use curfew_coordinator::Presence;
use serde_json::Value;
use tokio::time::Instant;

use super::*;
use crate::health::tests::snapshot;
use crate::health::{Check, Health};
use crate::metrics::Sources;

/// A server on a port of its own, and the means to change what it shows.
struct Running {
    address: SocketAddr,
    shown: watch::Sender<Arc<Snapshot>>,
    cancel: CancellationToken,
    tasks: JoinSet<Result<(), HttpError>>,
}

/// An answer, taken apart.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn host() -> Arc<HostMetrics> {
    Arc::new(HostMetrics::new(Sources::default()))
}

impl Running {
    async fn new(limits: Limits) -> Self {
        Self::with_host(limits, host()).await
    }

    async fn with_host(limits: Limits, host: Arc<HostMetrics>) -> Self {
        let (shown, snapshots) = watch::channel(Arc::new(snapshot()));
        let names = BTreeSet::from(["nfs".to_owned()]);
        let site = Site { snapshots, counters: Arc::new(Counters::new()), host, names };
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(any_port, site, limits).await.unwrap();
        let address = server.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(cancel.clone()));
        Self { address, shown, cancel, tasks }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request and reads the answer to its end.
    async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: nfs\r\nconnection: close\r\n\r\n")).await
    }

    fn show(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = snapshot();
        change(&mut snapshot);
        self.shown.send_replace(Arc::new(snapshot));
    }
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
        read.expect("the server closes in time").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }
}

#[tokio::test]
async fn every_route_answers_with_its_type() {
    let server = Running::new(Limits::default()).await;
    for (path, media_type, start) in [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP curfew_"),
        ("/health", "text/plain; charset=utf-8", "ok    nfs: all 19 checks pass\n\nok    agent "),
        ("/livez", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "text/plain; charset=utf-8", "ready\n"),
        ("/api/v1/status", "application/json", "{\"version\":\"0.1.0\","),
        ("/api/v1/history", "application/json", "{\"version\":\"0.1.0\",\"host\":\"nfs\","),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, media_type));
        assert!(answer.body.starts_with(start), "{path}: {}", answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}

/// Asks for metrics with these headers until the host is on the page, which a machine that is very
/// busy leaves out; returns the head and the bytes behind it.
async fn metrics(server: &Running, headers: &str) -> (String, Vec<u8>) {
    let without_host = b"node_scrape_collector_success{collector=\"cpu\"} 0";
    let whole = async {
        loop {
            let (head, body) = ask_for_metrics(server, headers).await;
            if !body.windows(without_host.len()).any(|window| window == without_host) {
                return (head, body);
            }
        }
    };
    timeout(Duration::from_secs(20), whole).await.unwrap()
}

async fn ask_for_metrics(server: &Running, headers: &str) -> (String, Vec<u8>) {
    let mut stream = server.connect().await;
    let head = "GET /metrics HTTP/1.1\r\nhost: nfs\r\nconnection: close\r\n";
    stream.write_all(format!("{head}{headers}\r\n").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let body = bytes.split_off(end);
    (String::from_utf8(bytes).unwrap().to_ascii_lowercase(), body)
}

#[tokio::test]
async fn metrics_come_in_the_form_that_is_asked_for() {
    let server = Running::new(Limits::default()).await;
    let text = "content-type: text/plain; version=0.0.4; charset=utf-8";
    let open = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    let prometheus = "accept: application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
        */*;q=0.1\r\naccept-encoding: gzip\r\n";
    for (headers, media_type, is_packed, is_open) in [
        ("", text, false, false),
        ("accept-encoding: br\r\naccept-encoding: gzip\r\n", text, true, false),
        ("accept-encoding: gzip;q=0, *\r\n", text, false, false),
        ("accept: application/openmetrics-text\r\n", open, false, true),
        (prometheus, open, true, true),
    ] {
        let (head, body) = metrics(&server, headers).await;
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        assert!(head.contains(media_type), "{headers}: {head}");
        assert!(head.contains("vary: accept\r\nvary: accept-encoding\r\n"), "{headers}: {head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert_eq!(head.contains("content-encoding: gzip"), is_packed, "{headers}: {head}");
        let mut room = vec![0; 1 << 20];
        let config = zlib_rs::InflateConfig { window_bits: 15 + 16 };
        let page = if is_packed {
            let (plain, code) = zlib_rs::decompress_slice(&mut room, &body, config);
            assert_eq!(code, zlib_rs::ReturnCode::Ok);
            &*plain
        } else {
            body.as_slice()
        };
        let page = std::str::from_utf8(page).unwrap();
        assert_eq!(page.ends_with("\n# EOF\n"), is_open, "{page}");
        for (in_text, in_open) in [
            ("# TYPE node_cpu_seconds_total counter\n", "# TYPE node_cpu_seconds counter\n"),
            ("# TYPE node_vmstat_pgfault untyped\n", "# TYPE node_vmstat_pgfault unknown\n"),
        ] {
            assert!(page.contains(if is_open { in_open } else { in_text }), "{page}");
        }
        for both in ["\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} ", "\ncurfew_peer_up{"] {
            assert!(page.contains(both), "{both} in {page}");
        }
        let names: Vec<_> = page.lines().filter(|line| line.starts_with("# HELP ")).collect();
        let names: Vec<_> = names.iter().filter_map(|line| line.split(' ').nth(2)).collect();
        assert!(is_open || names.is_sorted(), "{names:?}");
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "a family is there twice: {names:?}");
    }
}

#[tokio::test]
async fn the_history_is_told_with_as_many_of_each_as_are_wanted() {
    let server = Running::new(Limits::default()).await;
    server.show(|snapshot| snapshot.past = Some(Arc::new(crate::past::tests::example())));
    for (query, count) in [("", 1), ("?", 1), ("?limit=1", 1), ("?limit=0", 0)] {
        let answer = server.get(&format!("/api/v1/history{query}")).await;
        let document: Value = serde_json::from_str(&answer.body).unwrap();
        for kind in ["outages", "shutdowns", "recoveries"] {
            assert_eq!(document[kind].as_array().unwrap().len(), count, "{kind} {query}");
        }
        assert_eq!(document["totals"]["outages"], 1);
    }
    for query in ["?limit=x", "?limit=-1", "?limit", "?order=up", "?limit=1&a=b"] {
        let answer = server.get(&format!("/api/v1/history{query}")).await;
        assert_eq!((answer.status, answer.body.contains("?limit=N")), (400, true), "{query}");
    }
    server.show(|snapshot| snapshot.past = None);
    let answer = server.get("/api/v1/history").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("still being read"));
}

#[tokio::test]
async fn health_has_a_line_for_each_check() {
    let server = Running::new(Limits::default()).await;
    let body = server.get("/health").await.body;
    let line = body.lines().find(|line| line.contains("ups-contact")).unwrap();
    assert!(line.starts_with("ok    ups-contact    reading 0."), "{line}");
    assert!(line.ends_with(" s old"), "{line}");
    let names = Health::of(&snapshot()).checks;
    let is_there = |name: &str| body.lines().any(|it| it.split(' ').nth(4) == Some(name));
    assert!(names.iter().all(|check| is_there(&check.name)), "{body}");
    assert!(body.lines().all(|line| line.len() <= 80), "{body}");
}

#[tokio::test]
async fn health_that_warns_is_200_and_that_fails_is_503() {
    let server = Running::new(Limits::default()).await;
    server.show(|snapshot| {
        snapshot.status.warnings.insert("restart upsd\nFAIL  fake   x".to_owned());
    });
    let warned = server.get("/health").await;
    assert_eq!(warned.status, 200);
    assert!(warned.body.starts_with("warn  nfs: of 19 checks 1 warns\n"), "{}", warned.body);
    assert!(warned.body.contains("\nwarn  coordinator: restart upsd FAIL fake x\n"));
    server.show(|snapshot| snapshot.status.journal_failure = Some("disk full".to_owned()));
    let failed = server.get("/health").await;
    assert_eq!(failed.status, 503);
    assert!(failed.body.starts_with("FAIL  nfs"), "{}", failed.body);
    assert!(failed.body.contains("\nFAIL  journal: "), "{}", failed.body);
}

#[tokio::test]
async fn health_is_json_for_who_asks_for_it() {
    let server = Running::new(Limits::default()).await;
    server.show(|snapshot| snapshot.status.journal_failure = Some("disk full".to_owned()));
    let accepting = |accept: &str| {
        format!(
            "GET /health HTTP/1.1\r\nhost: nfs\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
        )
    };
    let answer = server.ask(&accepting("application/health+json;q=0.9, */*;q=0.1")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["content-type"], "application/health+json");
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document["status"], "fail");
    assert_eq!(document["serviceId"], "nfs");
    assert_eq!(document["checks"]["journal"][0]["status"], "fail");
    assert!(document["checks"]["journal"][0]["output"].as_str().unwrap().contains("disk full"));
    assert!(document["checks"]["clock"][0].get("output").is_none());
    for text in ["*/*", "text/html,application/xhtml+xml", "application/json;q=0"] {
        let answer = server.ask(&accepting(text)).await;
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8", "{text}");
    }
}

#[tokio::test]
async fn a_check_that_cannot_be_made_is_shown_and_fails_nothing() {
    let server = Running::new(Limits::default()).await;
    server.show(|snapshot| {
        let check = Check::unknown("smart", "smartctl is not installed", None);
        snapshot.extra.push(check);
    });
    let page = server.get("/health").await;
    assert_eq!(page.status, 200);
    let body = page.body;
    assert!(body.starts_with("ok    nfs: of 20 checks 1 is unknown\n"), "{body}");
    assert!(body.contains("\n?     smart: smartctl is not installed\n"), "{body}");
    let json = "GET /health HTTP/1.1\r\nhost: nfs\r\naccept: application/json\r\n\
                connection: close\r\n\r\n";
    let document: Value = serde_json::from_str(&server.ask(json).await.body).unwrap();
    assert_eq!(
        (&document["status"], &document["checks"]["smart"][0]["status"]),
        (&Value::from("pass"), &Value::from("unknown"))
    );
    assert_eq!(document["checks"]["smart"][0]["output"], "unknown: smartctl is not installed");
    let metrics = server.get("/metrics").await.body;
    for (status, value) in [("pass", 0), ("unknown", 1), ("warn", 0), ("fail", 0)] {
        let series =
            format!("curfew_health_status{{check=\"smart\",status=\"{status}\"}} {value}\n");
        assert!(metrics.contains(&series), "{series}");
    }
}

#[tokio::test]
async fn readiness_names_each_obstacle() {
    let server = Running::new(Limits::default()).await;
    server.show(|snapshot| {
        for name in ["k8s-1", "k8s-2"] {
            let host = snapshot.status.hosts.get_mut(&name.into()).unwrap();
            host.presence = Presence::Lost;
        }
    });
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let obstacles = answer.body.lines().filter(|line| line.starts_with("not ready: "));
    assert_eq!(obstacles.filter(|line| line.contains("fell silent")).count(), 2);
    assert!(answer.body.lines().all(|line| line.len() <= 80), "{}", answer.body);
    let request = "GET /readyz HTTP/1.1\r\nhost: nfs\r\naccept: application/json\r\n\
                   connection: close\r\n\r\n";
    let document: Value = serde_json::from_str(&server.ask(request).await.body).unwrap();
    assert_eq!(document["ready"], false);
    assert_eq!(document["obstacles"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_loop_that_hangs_is_not_alive() {
    let server = Running::new(Limits::default()).await;
    server.show(|snapshot| {
        snapshot.taken = snapshot.taken.checked_sub(Duration::from_secs(11)).unwrap();
    });
    assert_eq!(server.get("/livez").await.status, 503);
    assert_eq!(server.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn the_status_can_be_read_back() {
    let server = Running::new(Limits::default()).await;
    let document: Value = serde_json::from_str(&server.get("/api/v1/status").await.body).unwrap();
    let status: curfew_coordinator::Status =
        serde_json::from_value(document["status"].clone()).unwrap();
    assert_eq!(status, snapshot().status);
    assert_eq!(document["health"]["state"], "pass");
    assert_eq!(document["at_ms"], 3_600_000);
}

#[tokio::test]
async fn a_foreign_name_is_refused_everywhere() {
    let server = Running::new(Limits::default()).await;
    for path in ["/metrics", "/livez", "/health", "/api/v1/status", "/nothing"] {
        for (host, status) in [("evil.example:9100", 403), ("nfs.evil.example", 403)] {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer = server.ask(&request).await;
            assert_eq!(answer.status, status, "{path} {host}");
            assert!(answer.body.starts_with("this host does not go by that name: use its address"));
            assert!(answer.body.contains("(127.0.0.1)"));
        }
    }
    for host in ["nfs:9100", "127.0.0.1", "localhost:9100", "[::1]:9100"] {
        let request = format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(server.ask(&request).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn no_trick_gets_around_the_host_check() {
    let server = Running::new(Limits::default()).await;
    for (head, status) in [
        ("GET /livez HTTP/1.1", 400),
        ("GET /livez HTTP/1.0", 400),
        ("GET /livez HTTP/1.1\r\nhost: nfs\r\nhost: evil.example", 400),
        ("GET http://evil.example/livez HTTP/1.1\r\nhost: nfs", 403),
        ("GET http://nfs/livez HTTP/1.1\r\nhost: evil.example", 403),
    ] {
        let answer = server.ask(&format!("{head}\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{head}");
    }
}

#[tokio::test]
async fn other_methods_paths_and_bodies_are_refused_with_a_sentence() {
    let server = Running::new(Limits::default()).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"] {
        let request =
            format!("{method} /health HTTP/1.1\r\nhost: nfs\r\nconnection: close\r\n\r\n");
        let answer = server.ask(&request).await;
        assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "GET, HEAD"));
        assert!(answer.body.starts_with("this is read-only: use GET or HEAD"));
    }
    let lost = server.get("/nothing").await;
    assert_eq!(lost.status, 404);
    assert!(lost.body.contains("see /health, /metrics"), "{}", lost.body);
    for body in ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let request = format!("GET /health HTTP/1.1\r\nhost: nfs\r\nconnection: close\r\n{body}");
        assert_eq!(server.ask(&request).await.status, 413);
    }
}

#[tokio::test]
async fn head_has_the_head_and_no_body() {
    let server = Running::new(Limits::default()).await;
    for (path, status) in [("/health", 200), ("/metrics", 200), ("/nothing", 404)] {
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: nfs\r\nconnection: close\r\n\r\n");
        let answer = server.ask(&request).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""));
        assert!(answer.headers["content-length"].parse::<u64>().unwrap() > 0, "{path}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Running::new(Limits::default()).await;
    let large = "a".repeat(HEAD_MAX);
    let request = format!("GET /health HTTP/1.1\r\nhost: nfs\r\nx: {large}\r\n\r\n");
    assert_eq!(server.ask(&request).await.status, 431);
    let many = "x: 1\r\n".repeat(100);
    let request = format!("GET /health HTTP/1.1\r\nhost: nfs\r\n{many}\r\n");
    assert_eq!(server.ask(&request).await.status, 431);
}

#[tokio::test]
async fn a_slow_client_is_cut_off_and_holds_nobody_up() {
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let server = Running::new(limits).await;
    let mut slow = server.connect().await;
    let started = Instant::now();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: n").await.unwrap();
    assert_eq!(server.get("/livez").await.status, 200);
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(10), slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection was closed");
    assert!(started.elapsed() >= limits.head);
    // One that says nothing at all fares no better.
    let mut silent = server.connect().await;
    let ended = timeout(Duration::from_secs(10), silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the silent connection was closed");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let limits = Limits { life: Duration::from_millis(300), ..Limits::default() };
    let server = Running::new(limits).await;
    let mut greedy = server.connect().await;
    let request = "GET /metrics HTTP/1.1\r\nhost: nfs\r\n\r\n".repeat(64);
    let flood = async {
        loop {
            if greedy.write_all(request.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    let started = Instant::now();
    timeout(Duration::from_secs(20), flood).await.expect("the server closed the connection");
    // Its requests come as one stream that never ends: timers must run all the same.
    let elapsed = started.elapsed();
    assert!(elapsed < limits.life + LAST_WORDS * 3, "cut off only after {elapsed:?}");
    assert_eq!(server.get("/livez").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_place_comes_back() {
    let server = Running::new(Limits { connections: 2, ..Limits::default() }).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: nfs\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        open.push(stream);
    }
    let refused = server.get("/livez").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["content-length"], refused.body.len().to_string());
    assert!(refused.body.starts_with("too many connections are open"));
    drop(open);
    let freed = async { while server.get("/livez").await.status != 200 {} };
    timeout(Duration::from_secs(10), freed).await.expect("the places are free again");
}

#[tokio::test]
async fn the_page_has_the_units_of_systemd_where_there_are_any() {
    const SUCCESS: &str = "node_scrape_collector_success{collector=\"systemd\"}";
    const FAMILY: &str = "# TYPE node_scrape_collector_success gauge\n";
    let server = Running::new(Limits::default()).await;
    let page = server.get("/metrics").await.body;
    assert!(!page.contains("systemd"), "{page}");
    server.show(|snapshot| snapshot.units = Some(Arc::new(crate::units::Report::calm())));
    let page = server.get("/metrics").await.body;
    assert!(page.contains(&format!("\n{SUCCESS} 1\n")), "{page}");
    assert!(page.contains("\nnode_systemd_units{state=\"failed\"} 0\n"), "{page}");
    assert_eq!(page.matches(FAMILY).count(), 1, "beside those of the other collectors: {page}");
}

#[tokio::test]
async fn a_host_that_hangs_is_said_to_and_costs_no_more_than_its_own_series() {
    let host = host();
    let server = Running::with_host(Limits::default(), Arc::clone(&host)).await;
    server.show(|snapshot| snapshot.units = Some(Arc::new(crate::units::Report::calm())));
    let (_gate, hung) = std::sync::mpsc::channel::<()>();
    assert!(host.look(move |_| hung.recv().unwrap_or_default()).await.is_none());
    let ask = "GET /metrics HTTP/1.1\r\nhost: nfs\r\naccept-encoding: gzip\r\n\
               connection: close\r\n\r\n";
    let answer = server.ask(ask).await;
    assert!(!answer.headers.contains_key("content-encoding"), "{:?}", answer.headers);
    let page = answer.body;
    for collector in ["cpu", "hwmon", "textfile", "systemd"] {
        let line = format!("\nnode_scrape_collector_success{{collector=\"{collector}\"}} 0\n");
        assert!(page.contains(&line), "{collector}: {page}");
    }
    assert!(page.contains("\ncurfew_peer_up{"), "{page}");
    assert!(!page.contains("node_cpu_") && !page.contains("node_systemd_"), "{page}");
}

#[tokio::test]
async fn the_server_ends_when_it_is_told_to() {
    let mut server = Running::new(Limits::default()).await;
    let _idle = server.connect().await;
    server.cancel.cancel();
    let ended = timeout(LAST_WORDS * 3, server.tasks.join_next()).await;
    assert!(matches!(ended, Ok(Some(Ok(Ok(()))))), "{ended:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = Running::new(Limits::default()).await;
    let site = Site {
        snapshots: server.shown.subscribe(),
        counters: Arc::new(Counters::new()),
        host: host(),
        names: BTreeSet::new(),
    };
    let failure = Server::bind(server.address, site, Limits::default()).await.unwrap_err();
    assert_eq!(failure.to_string(), format!("cannot listen on {} for HTTP", server.address));
}
