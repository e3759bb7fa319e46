//! The network driver and the magic packets over real links: each test makes network namespaces of
//! its own, which needs root, `iproute2`, `nftables` and `util-linux`; without root it says so and
//! does nothing.

#![expect(clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]
#![expect(clippy::panic, reason = "a test that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use curfew::network::{Answer, Link, Network, NetworkEvent, Paths, Watched};
use curfew::wake::{Mac, Target, Waker};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(10);

/// Runs a test on a thread in a new network namespace with a `/sys` of its own.
fn in_a_namespace(test: fn(&Path)) {
    let thread = thread::spawn(move || {
        if let Err(denied) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            println!("skipped: cannot make a network namespace: {denied}");
            return;
        }
        let nothing = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(nothing, "/", nothing, private, nothing).unwrap();
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), nothing).unwrap();
        run("ip link set lo up");
        test(Path::new("/sys"));
    });
    thread.join().unwrap();
}

fn run(command: &str) {
    let status = Command::new("/bin/sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}

/// Another machine: a namespace at the other end of a link.
struct Far {
    holder: Child,
}

impl Far {
    /// `near` gets `NET.1/24` here, and `far` `NET.2/24` there.
    fn new(near: &str, net: &str) -> Self {
        let holder = Command::new("/usr/bin/unshare").args(["-n", "sleep", "600"]).spawn().unwrap();
        let far = Self { holder };
        let link = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
        while link(&far.holder.id().to_string()) == link("thread-self") {
            thread::yield_now();
        }
        let id = far.holder.id();
        run(&format!("ip link add {near} type veth peer name far netns {id}"));
        run(&format!("ip addr add {net}.1/24 dev {near}; ip link set {near} up"));
        far.run(&format!("ip addr add {net}.2/24 dev far; ip link set far up; ip link set lo up"));
        far
    }

    fn run(&self, command: &str) {
        run(&format!("nsenter -t {} -n sh -ec '{command}'", self.holder.id()));
    }

    /// Returns the magic packets that arrive there, each with its source.
    fn packets(&self) -> std::sync::mpsc::Receiver<(SocketAddr, Vec<u8>)> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        let (bound, is_bound) = sync_channel(8);
        let (packets, received) = sync_channel(8);
        // It ends with its first failure: when nothing came for a while or nobody listens.
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let socket = UdpSocket::bind("0.0.0.0:9").unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            bound.send(()).unwrap();
            let mut packet = [0; 200];
            while let Ok((len, from)) = socket.recv_from(&mut packet)
                && packets.send((from, packet[..len].to_vec())).is_ok()
            {}
        });
        is_bound.recv().unwrap();
        received
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.holder.kill().unwrap_or_default();
        self.holder.wait().map(drop).unwrap_or_default();
    }
}

struct Events(mpsc::Receiver<NetworkEvent>);

impl Events {
    async fn next(&mut self) -> NetworkEvent {
        timeout(LIMIT, self.0.recv()).await.expect("events go on").expect("the driver runs")
    }

    /// Waits until exactly this is seen.
    async fn until(&mut self, expected: NetworkEvent) {
        let mut seen = Vec::new();
        let found = timeout(LIMIT, async {
            loop {
                let event = self.next().await;
                if event == expected {
                    return;
                }
                seen.push(event);
            }
        });
        found.await.unwrap_or_else(|_late| panic!("never {expected:?}, but {seen:?}"));
    }

    async fn until_host(&mut self, host: &str, answer: Answer) {
        self.until(NetworkEvent::HostProbed { host: host.into(), answer }).await;
    }

    async fn until_link(&mut self, carrier: bool, frame_heard: bool, gateway: bool) {
        self.until(NetworkEvent::LinkSeen(Link {
            carrier: Some(carrier),
            frame_heard: Some(frame_heard),
            gateway_answered: Some(gateway),
        }))
        .await;
    }
}

#[test]
fn life_and_silence_are_seen_over_a_real_link() {
    in_a_namespace(|sys| {
        let far = Far::new("near", "10.98.0");
        run("ip route add default via 10.98.0.2");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(watch_hosts(&far, sys.to_owned()));
    });
}

async fn watch_hosts(far: &Far, sys: PathBuf) {
    let there: SocketAddr = "10.98.0.2:9101".parse().unwrap();
    let nobody: SocketAddr = "10.98.0.3:9101".parse().unwrap();
    // Below /proc the files of the network are those of the reading thread's namespace.
    let paths = Paths { proc: "/proc/thread-self".into(), sys };
    let network = Network::new(paths, [there.ip(), nobody.ip()].into());
    let hosts: Watched = BTreeMap::from([("there".into(), there), ("nobody".into(), nobody)]);
    let watched = watch::Sender::new(hosts);
    let (sender, receiver) = mpsc::channel(8);
    let cancel = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(network.run(watched.subscribe(), sender, cancel.clone()));
    let mut events = Events(receiver);

    // The far kernel refuses, which is an answer; nobody says nothing.
    events.until_host("there", Answer::Tcp).await;
    events.until_host("nobody", Answer::Silent).await;
    events.until_link(true, true, true).await;

    // A firewall eats TCP: ping answers, by the raw socket and by the datagram one.
    far.run(
        "nft add table inet t; nft add chain inet t i { type filter hook input priority 0\\; }",
    );
    far.run("nft add rule inet t i tcp dport 9101 drop");
    events.until_host("there", Answer::Ping).await;
    run("echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range");
    events.until_host("there", Answer::Ping).await;
    events.until_host("there", Answer::Ping).await;

    // Ping cannot be sent: ARP stands in, and the gateway is asked by TCP.
    run("nft add table inet t; nft add chain inet t o { type filter hook output priority 0\\; }");
    run("nft add rule inet t o icmp type echo-request drop");
    events.until_host("there", Answer::Arp).await;
    events.until_host("nobody", Answer::Silent).await;
    events.until_link(true, true, true).await;
    run("nft delete table inet t");

    // The switch dies and comes back.
    events.until_host("there", Answer::Ping).await;
    far.run("ip link set far down");
    events.until_link(false, false, false).await;
    events.until_host("there", Answer::Silent).await;
    far.run("ip link set far up");
    events.until_host("there", Answer::Ping).await;
    events.until_link(true, true, true).await;

    // Our own interface is switched off: nothing can be asked, which is not silence.
    run("ip link set near down");
    events.until_host("there", Answer::Unknown).await;

    // A changed set holds from the next beat on: one host less is asked for.
    watched.send_replace(BTreeMap::from([("nobody".into(), nobody)]));
    let mut looks_at_another = 0;
    while looks_at_another < 3 {
        looks_at_another = match events.next().await {
            NetworkEvent::HostProbed { host, .. } if host == "nobody" => looks_at_another + 1,
            NetworkEvent::HostProbed { .. } => 0,
            NetworkEvent::LinkSeen(link) => {
                assert_eq!(link.carrier, Some(false));
                looks_at_another
            }
        };
    }
    cancel.cancel();
    timeout(LIMIT, tasks.join_next()).await.unwrap().unwrap().unwrap().unwrap();
}

#[test]
fn a_silent_host_delays_no_other() {
    in_a_namespace(|sys| {
        let _far = Far::new("near", "10.98.0");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let paths = Paths { proc: "/proc/thread-self".into(), sys: sys.to_owned() };
            let network = Network::new(paths, ["10.98.0.2".parse().unwrap()].into());
            let silent = (10..40).map(|host| (format!("silent-{host}"), peer(host)));
            let hosts = silent.chain([("there".into(), peer(2))]).collect();
            let watched = watch::Sender::new(hosts);
            let (sender, receiver) = mpsc::channel(8);
            let mut tasks = JoinSet::new();
            tasks.spawn(network.run(watched.subscribe(), sender, CancellationToken::new()));
            let mut events = Events(receiver);
            let before = Instant::now();
            let (mut answers, mut silences) = (0, 0);
            while answers < 4 {
                match events.next().await {
                    NetworkEvent::HostProbed { answer: Answer::Tcp, .. } => answers += 1,
                    NetworkEvent::HostProbed { .. } => silences += 1,
                    NetworkEvent::LinkSeen(_) => {}
                }
            }
            // The fourth beat is three seconds after the first, on a busy machine some more. If the
            // silent hosts held it up, each beat would take half a minute.
            assert!(before.elapsed() < Duration::from_secs(15), "{:?}", before.elapsed());
            assert!(silences >= 60, "{silences} looks at thirty silent hosts in three seconds");
        });
    });
}

fn peer(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 98, 0, host], 9101))
}

#[test]
fn a_magic_packet_leaves_by_the_link_of_the_agent() {
    in_a_namespace(|_sys| {
        let first = Far::new("first", "10.98.0");
        let second = Far::new("second", "10.99.0");
        run("ip route add default via 10.98.0.2");
        let (at_first, at_second) = (first.packets(), second.packets());

        // The default route leads to the first link; the agent listens on the second.
        let wake = |own: &str, host: &str, mac: u8| {
            let own: IpAddr = own.parse().unwrap();
            let mac = Mac::from([2, 0, 0, 0, 0, mac]);
            let target = Target { mac, address: host.parse().unwrap(), only_to: None };
            Waker::new(own).send(&target).unwrap()
        };
        let sent = wake("10.99.0.1", "10.99.0.12", 2);
        assert!(sent.failed.is_empty(), "{:?}", sent.failed);
        let directed: SocketAddr = "10.99.0.255:9".parse().unwrap();
        assert_eq!(sent.to, ["255.255.255.255:9".parse().unwrap(), directed]);
        for _ in 0..2 {
            let (from, packet) = at_second.recv_timeout(LIMIT).unwrap();
            assert_eq!(from.ip().to_string(), "10.99.0.1");
            assert_eq!(packet.len(), 102);
            assert!(packet.ends_with(&[2, 0, 0, 0, 0, 2]));
        }
        // What the first link hears first is its own packet: the other did not come by it.
        wake("10.98.0.1", "10.98.0.12", 1);
        let (from, packet) = at_first.recv_timeout(LIMIT).unwrap();
        assert_eq!(from.ip().to_string(), "10.98.0.1");
        assert!(packet.ends_with(&[2, 0, 0, 0, 0, 1]));
    });
}
