//! What a full mesh costs: 3, 10, 30 and 100 agents, each of which tells all others its state once
//! a second. `--svg FILE` draws it; the table goes to standard output.
//!
//! Coordinators, composing, encoding and decoding are the real ones; the network is not: what gRPC,
//! TLS and TCP add is not in the numbers, and neither are the journal's fsyncs.
#![expect(clippy::disallowed_methods, reason = "it measures real time, and writes a drawing")]
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a table for people")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use curfew::peer::wire;
use curfew_coordinator::{
    BootId, Cluster, Command, Coordinator, Event, Host, HostName, Line, Reading, ReadyBy, Session,
    Settings, Standing, Start, StateMessage, Step, Time, Ups,
};

/// Hosts of the clusters.
const COUNTS: [usize; 4] = [3, 10, 30, 100];
/// Seconds that are measured, after others in which all get to know each other.
const MEASURED: u64 = 10;
const SETTLING: u64 = 45;

/// What one cluster cost; times are of one thing each.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    hosts: usize,
    bytes: usize,
    declared_bytes: usize,
    encode: Duration,
    decode: Duration,
    hear: Duration,
    beat: Duration,
    /// From the order until the last host has latched it, besides the network.
    latch: Duration,
    /// What the burst after a declaration keeps one host busy.
    burst: Duration,
}

fn main() {
    let costs = COUNTS.map(measure);
    println!(
        "| hosts | messages/s | state | sent | encode | decode | hear | \
         beat | CPU | latched | busy |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for cost in &costs {
        println!("{}", cost.row());
    }
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--svg") {
        let path = args.next().unwrap_or_else(|| "docs/scale.svg".to_owned());
        std::fs::write(&path, svg(&costs)).expect("the drawing can be written");
    }
}

impl Cost {
    /// Messages that one host sends each second, and as many that it hears.
    fn messages(&self) -> f64 {
        self.hosts as f64 - 1.0
    }

    fn sent(&self) -> f64 {
        self.messages() * self.bytes as f64 / 1000.0
    }

    /// Percent of a core.
    fn cpu(&self) -> f64 {
        let each = self.encode + self.decode + self.hear;
        (each.as_secs_f64() * self.messages() + self.beat.as_secs_f64()) * 100.0
    }

    fn row(&self) -> String {
        let us = |span: Duration| format!("{:.1} µs", span.as_secs_f64() * 1e6);
        let ms = |span: Duration| format!("{:.2} ms", span.as_secs_f64() * 1e3);
        format!(
            "| {} | {} | {} B, open {} B | {:.1} kB/s | {} | {} | {} | {} | {:.2} % | {} | {} |",
            self.hosts,
            self.messages(),
            self.bytes,
            self.declared_bytes,
            self.sent(),
            us(self.encode),
            us(self.decode),
            us(self.hear),
            us(self.beat),
            self.cpu(),
            ms(self.latch),
            ms(self.burst)
        )
    }
}

struct Mesh {
    agents: Vec<Coordinator>,
    now: u64,
    cost: Cost,
    told: u32,
    beats: u32,
}

fn measure(hosts: usize) -> Cost {
    let cluster = cluster(hosts);
    let agents = cluster.hosts.iter().map(|host| start(&cluster, &host.name)).collect();
    let cost = Cost { hosts, ..Cost::default() };
    let mut mesh = Mesh { agents, now: 1_000_000, cost, told: 0, beats: 0 };
    for _ in 0..SETTLING {
        mesh.second();
    }
    let Cost { encode, decode, hear, beat, .. } = mesh.cost;
    (mesh.told, mesh.beats) = (0, 0);
    let before = [encode, decode, hear, beat];
    for _ in 0..MEASURED {
        mesh.second();
    }
    let cost = mesh.cost;
    let mean = |now: Duration, then: Duration, count: u32| now.saturating_sub(then) / count.max(1);
    let [encode, decode, hear, beat] = before;
    let mut cost = Cost {
        encode: mean(cost.encode, encode, mesh.told),
        decode: mean(cost.decode, decode, mesh.told),
        hear: mean(cost.hear, hear, mesh.told),
        beat: mean(cost.beat, beat, mesh.beats),
        ..cost
    };
    mesh.declare(&mut cost);
    cost
}

impl Mesh {
    /// Every host reads the UPS and tells all others once.
    fn second(&mut self) {
        self.now += 1_000;
        for from in 0..self.agents.len() {
            let at = Instant::now();
            let now = Time::from_millis(self.now);
            let message = self.agents.get_mut(from).map(|agent| {
                let _step: Step = agent.handle(now, Event::ReadingTaken(reading()));
                let _step: Step = agent.handle(now, Event::TimePassed);
                agent.message(now)
            });
            self.cost.beat += at.elapsed();
            self.beats += 1;
            if let Some(message) = message {
                self.tell(from, &message);
            }
        }
    }

    /// Encodes for each peer, as the client does.
    fn tell(&mut self, from: usize, message: &StateMessage) {
        for to in (0..self.agents.len()).filter(|to| *to != from) {
            let at = Instant::now();
            let bytes = wire::encode(message);
            self.cost.encode += at.elapsed();
            self.cost.bytes = bytes.len();
            let at = Instant::now();
            let heard = wire::decode(&bytes).expect("what was encoded can be decoded");
            self.cost.decode += at.elapsed();
            let at = Instant::now();
            if let Some(agent) = self.agents.get_mut(to) {
                let event = Event::PeerHeard(Arc::new(heard));
                let _step: Step = agent.handle(Time::from_millis(self.now), event);
            }
            self.cost.hear += at.elapsed();
            self.told += 1;
        }
    }

    /// An order: the owner tells all others one after the other, and each is told on its own.
    fn declare(&mut self, cost: &mut Cost) {
        let now = Time::from_millis(self.now);
        let at = Instant::now();
        let order = Command::Shutdown { operator: "anna".to_owned(), then_wake: false };
        let owner = self.agents.first_mut().expect("there is an owner");
        let _step: Step = owner.handle(now, Event::Commanded(order));
        let message = owner.message(now);
        let mut told = at.elapsed();
        for agent in self.agents.iter_mut().skip(1) {
            let at = Instant::now();
            let bytes = wire::encode(&message);
            told += at.elapsed();
            let at = Instant::now();
            let heard = wire::decode(&bytes).expect("what was encoded can be decoded");
            let _step: Step = agent.handle(now, Event::PeerHeard(Arc::new(heard)));
            cost.latch = told + at.elapsed();
            cost.declared_bytes = bytes.len();
            let latched = agent.message(now).shutdown.map(|open| open.standing);
            assert_eq!(latched, Some(Standing::Declared), "it latched");
        }
        // Now everybody has news for everybody.
        let messages: Vec<_> = self.agents.iter_mut().map(|agent| agent.message(now)).collect();
        let Some((mine, others)) = messages.split_last() else { return };
        let Some(last) = self.agents.last_mut() else { return };
        let at = Instant::now();
        for message in others {
            let heard = wire::decode(&wire::encode(mine)).map(|_| message.clone());
            let heard = heard.expect("what was encoded can be decoded");
            let _step: Step = last.handle(now, Event::PeerHeard(Arc::new(heard)));
        }
        cost.burst = at.elapsed();
    }
}

fn start(cluster: &Cluster, me: &HostName) -> Coordinator {
    let start = Start {
        cluster: cluster.clone(),
        me: me.clone(),
        session: Session { boot: BootId::from(format!("3f2b9c1e-{me}")), start: 1 },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        saved: None,
        is_journal_lost: false,
    };
    Coordinator::recover(start, Time::from_millis(1_000_000)).0
}

/// A server, and hosts that need it; of each ten one that the others need, too.
fn cluster(count: usize) -> Cluster {
    let name = |place: usize| HostName::from(format!("host-{place}"));
    let host = |place: usize| {
        let leader = place / 10 * 10;
        let needs = [0, leader].into_iter().filter(|need| *need < place).map(name);
        Host {
            name: name(place),
            needs: needs.collect::<BTreeSet<_>>(),
            is_fed: true,
            stop_timeout: Duration::from_mins(3),
            touches_power: true,
            ready: if place == 0 {
                ReadyBy::Exports("10.0.0.1".to_owned())
            } else {
                ReadyBy::Agent
            },
            wake: None,
        }
    };
    Cluster {
        name: "scale".to_owned(),
        hash: "0123456789abcdef".to_owned(),
        hosts: (0..count).map(host).collect(),
        ups: Ups { name: "eaton".to_owned(), owner: name(0), returns: None },
        settings: Settings::default(),
    }
}

fn reading() -> Reading {
    Reading {
        line: Line::Mains,
        is_low: false,
        is_forced: false,
        is_calibrating: false,
        charge: Some(100),
        runtime: Some(Duration::from_mins(30)),
        load: Some(30),
        connection: 1,
        foreign_clients: Some(0),
    }
}

fn push(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("a string takes all that is written to it");
}

/// What a line shows.
type Curve = (&'static str, &'static str, fn(&Cost) -> f64);

/// Draws bytes and CPU over hosts; both axes are logarithmic.
fn svg(costs: &[Cost]) -> String {
    let mut page = String::from(
        "<svg xmlns=\"SVGNS\" viewBox=\"0 0 640 360\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"640\" height=\"360\" fill=\"white\"/>\n",
    )
    .replace("SVGNS", &["http:", "//www.w3.org/2000/svg"].concat());
    let x = |hosts: usize| 70.0 + 500.0 * (hosts as f64 / 3.0).log10() / (100.0_f64 / 3.0).log10();
    let y = |value: f64| 300.0 - 45.0 * (value.max(0.01).log10() + 2.0);
    for power in -2..=3 {
        let at = y(10.0_f64.powi(power));
        let label = 10.0_f64.powi(power);
        push(
            &mut page,
            format_args!(
                "<path d=\"M70 {at:.0}H570\" stroke=\"#ddd\"/><text x=\"62\" y=\"{:.0}\" \
             text-anchor=\"end\">{label}</text>",
                at + 4.0
            ),
        );
    }
    for cost in costs {
        push(
            &mut page,
            format_args!(
                "<text x=\"{:.0}\" y=\"320\" text-anchor=\"middle\">{}</text>",
                x(cost.hosts),
                cost.hosts
            ),
        );
    }
    let lines: [Curve; 3] = [
        ("sent by each host, kB/s", "#1b6ca8", Cost::sent),
        ("CPU of each host, % of a core", "#c0392b", Cost::cpu),
        ("state, kB", "#2e8b57", |cost| cost.bytes as f64 / 1000.0),
    ];
    for (place, (name, colour, value)) in lines.into_iter().enumerate() {
        let points: Vec<String> = costs
            .iter()
            .map(|cost| format!("{:.1},{:.1}", x(cost.hosts), y(value(cost))))
            .collect();
        push(
            &mut page,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"20\" fill=\"{colour}\">{name}</text>",
                points.join(" "),
                70 + place * 190
            ),
        );
    }
    page.push_str("<text x=\"320\" y=\"345\" text-anchor=\"middle\">hosts</text>\n</svg>\n");
    page
}
