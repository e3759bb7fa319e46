//! What this host sees of the others: whether they live and serve.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use curfew_coordinator::{self as core, Event, HostName, ReadyBy, Watch};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Agent;
use super::keeper::Input;
use crate::network::{Answer, Network, NetworkEvent, Paths, Watched};
use crate::ready::{ReadyProbe, Target};
use crate::task::Supervisor;

/// How often probes of readiness are repeated; each may take three seconds.
const READY_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether the machine of an absent agent answers.
const ABSENT_EVERY: Duration = Duration::from_mins(1);

/// Looks waiting to be taken by the pump.
const QUEUE_LEN: usize = 64;

/// Where the keeper says whom to look at.
#[derive(Debug)]
pub(super) struct Gaze {
    addresses: BTreeMap<HostName, std::net::SocketAddr>,
    alive: watch::Sender<Watched>,
    absent: watch::Sender<Watched>,
    ready: watch::Sender<BTreeSet<(HostName, ReadyBy)>>,
}

impl Gaze {
    /// From now on these hosts are looked at, and no others.
    pub(super) fn turn_to(&self, watch: Watch) {
        self.alive.send_replace(self.addressed(&watch.alive));
        self.absent.send_replace(self.addressed(&watch.absent));
        self.ready.send_replace(watch.ready);
    }

    fn addressed(&self, hosts: &BTreeSet<HostName>) -> Watched {
        let addressed = |host| Some((HostName::to_string(host), *self.addresses.get(host)?));
        hosts.iter().filter_map(addressed).collect()
    }
}

/// Spawns all eyes.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
) -> Gaze {
    let others = agent.file.hosts.iter().filter(|host| host.name != agent.me.name);
    let addresses: BTreeMap<_, _> = others
        .map(|host| (HostName::from(host.name.as_str()), host.network.peer_endpoint()))
        .collect();
    let (alive, watched) = watch::channel(Watched::default());
    let (absent, missed) = watch::channel(Watched::default());
    let (ready, asked) = watch::channel(BTreeSet::new());
    let peers: BTreeSet<IpAddr> = addresses.values().map(std::net::SocketAddr::ip).collect();
    let paths = Paths { proc: agent.me.paths.proc.clone(), sys: agent.me.paths.sys.clone() };
    let network = Network::new(paths, peers).sped_up(agent.file.time_factor);
    let (to, eye) = (inputs.clone(), network.clone());
    let every = ABSENT_EVERY / agent.file.time_factor.max(1);
    supervisor.driver("absence", move |cancel| {
        look_at_absent(eye.clone(), every, missed.clone(), to.clone(), cancel)
    });
    let to = inputs.clone();
    supervisor.driver("network", move |cancel| {
        look_at_hosts(network.clone(), watched.clone(), to.clone(), cancel)
    });
    let to = inputs.clone();
    supervisor
        .driver("ready-probe", move |cancel| look_at_readiness(asked.clone(), to.clone(), cancel));
    Gaze { addresses, alive, absent, ready }
}

async fn look_at_hosts(
    network: Network,
    watched: watch::Receiver<Watched>,
    inputs: mpsc::Sender<Input>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let (seen, mut looks) = mpsc::channel(QUEUE_LEN);
    let looking = network.run(watched, seen, cancel);
    let pumping = async {
        while let Some(look) = looks.recv().await {
            if inputs.send(Input::Fact(fact(look))).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        ended = looking => ended,
        () = pumping => Ok(()),
    }
}

/// Asks, now and then, whether the machines of the set answer though their agents do not.
async fn look_at_absent(
    network: Network,
    every: Duration,
    missed: watch::Receiver<Watched>,
    inputs: mpsc::Sender<Input>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(beats.tick()).await.is_some() {
        let missed = missed.borrow().clone();
        let mut looking = JoinSet::new();
        for (host, address) in missed {
            let network = network.clone();
            looking.spawn(async move { (host, network.look(address).await) });
        }
        while let Some(Ok((host, answer))) = looking.join_next().await {
            let (host, answer) = (HostName::from(host), answer_of(answer));
            if inputs.send(Input::Fact(Event::AbsentProbed { host, answer })).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn answer_of(answer: Answer) -> core::Answer {
    match answer {
        Answer::Tcp | Answer::Ping => core::Answer::Alive,
        Answer::Arp => core::Answer::ArpOnly,
        Answer::Silent => core::Answer::Silent,
        Answer::Unknown => core::Answer::Unknown,
    }
}

fn fact(look: NetworkEvent) -> Event {
    match look {
        NetworkEvent::HostProbed { host, answer } => {
            Event::HostProbed { host: HostName::from(host), answer: answer_of(answer) }
        }
        NetworkEvent::LinkSeen(link) => Event::LinkSeen(core::Link {
            has_carrier: link.carrier,
            heard_frame: link.frame_heard,
            heard_gateway: link.gateway_answered,
        }),
    }
}

/// Asks, over and over, whether the hosts of the set serve.
async fn look_at_readiness(
    asked: watch::Receiver<BTreeSet<(HostName, ReadyBy)>>,
    inputs: mpsc::Sender<Input>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let probe = ReadyProbe::default();
    let mut beats = interval(READY_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(beats.tick()).await.is_some() {
        let asked = asked.borrow().clone();
        let mut asking = JoinSet::new();
        for (host, by) in asked {
            let Some(target) = target(&by) else { continue };
            let probe = probe.clone();
            asking.spawn(async move { (host, probe.ask(&target).await) });
        }
        while let Some(Ok((host, readiness))) = asking.join_next().await {
            let event = Event::ReadyProbed { host, is_ready: readiness.is_ready };
            if inputs.send(Input::Fact(event)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Returns what to ask; a text that cannot be asked is reported and never ready.
fn target(by: &ReadyBy) -> Option<Target> {
    match by {
        ReadyBy::Agent => None,
        ReadyBy::Probe(url) => match url.parse() {
            Ok(target) => Some(target),
            Err(refused) => {
                warn!(error = %refused, "a ready probe cannot be asked");
                None
            }
        },
        ReadyBy::Exports(address) => address.parse().ok().map(Target::nfs),
    }
}
