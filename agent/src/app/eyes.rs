//! What this host sees by itself: whether others live and serve, and its own mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use curfew_coordinator::{self as core, Event, HostName, ReadyBy, Watch};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Agent;
use super::keeper::Input;
use crate::mounts::Mounts;
use crate::network::{Answer, Network, NetworkEvent, Paths, Watched};
use crate::peer::ADDRESSES_MAX;
use crate::ready::{ReadyProbe, Target};
use crate::task::Supervisor;

/// How often own mounts are read: they change when pods start and stop.
const MOUNTS_EVERY: Duration = Duration::from_secs(5);

/// How often probes of readiness are repeated; each may take three seconds.
const READY_EVERY: Duration = Duration::from_secs(2);

/// Looks waiting to be taken by the pump.
const QUEUE_LEN: usize = 64;

/// Where the keeper says whom to look at.
#[derive(Debug)]
pub(super) struct Gaze {
    addresses: BTreeMap<HostName, std::net::SocketAddr>,
    alive: watch::Sender<Watched>,
    ready: watch::Sender<BTreeSet<(HostName, ReadyBy)>>,
}

impl Gaze {
    /// From now on these hosts are looked at, and no others.
    pub(super) fn turn_to(&self, watch: Watch) {
        let alive = watch
            .alive
            .iter()
            .filter_map(|host| Some((host.to_string(), *self.addresses.get(host)?)));
        self.alive.send_replace(alive.collect());
        self.ready.send_replace(watch.ready);
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
    let (ready, asked) = watch::channel(BTreeSet::new());
    let peers: BTreeSet<IpAddr> = addresses.values().map(std::net::SocketAddr::ip).collect();
    let paths = Paths { proc: agent.me.paths.proc.clone(), sys: agent.me.paths.sys.clone() };
    let network = Network::new(paths, peers).sped_up(agent.file.time_factor);
    let to = inputs.clone();
    supervisor.driver("network", move |cancel| {
        look_at_hosts(network.clone(), watched.clone(), to.clone(), cancel)
    });
    let to = inputs.clone();
    supervisor
        .driver("ready-probe", move |cancel| look_at_readiness(asked.clone(), to.clone(), cancel));
    let own = OwnEyes::new(agent, inputs.clone());
    supervisor.driver("mounts", move |cancel| own.clone().run(cancel));
    Gaze { addresses, alive, ready }
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

fn fact(look: NetworkEvent) -> Event {
    match look {
        NetworkEvent::HostProbed { host, answer } => Event::HostProbed {
            host: HostName::from(host),
            answer: match answer {
                Answer::Tcp | Answer::Ping => core::Answer::Alive,
                Answer::Arp => core::Answer::ArpOnly,
                Answer::Silent => core::Answer::Silent,
                Answer::Unknown => core::Answer::Unknown,
            },
        },
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

/// Reads this host's own NFS mounts.
#[derive(Clone)]
struct OwnEyes {
    inputs: mpsc::Sender<Input>,
    mounts: Mounts,
    /// The mounts could not be read, and that was logged.
    is_blind: Arc<AtomicBool>,
    /// By address, and by name as a mount may have it.
    servers: BTreeMap<String, HostName>,
}

impl OwnEyes {
    fn new(agent: &Agent, inputs: mpsc::Sender<Input>) -> Self {
        let servers = agent.file.hosts.iter().flat_map(|host| {
            let name = HostName::from(host.name.as_str());
            [(host.network.address.to_string(), name.clone()), (host.name.clone(), name)]
        });
        Self {
            inputs,
            is_blind: Arc::default(),
            mounts: Mounts::new(agent.me.paths.proc.join("self/mountinfo")),
            servers: servers.collect(),
        }
    }

    async fn run(self, cancel: CancellationToken) -> Result<(), Infallible> {
        let mut beats = interval(MOUNTS_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(beats.tick()).await.is_some() {
            for fact in self.look().await {
                if self.inputs.send(Input::Fact(fact)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns the hosts of which this one has mounts, none if that cannot be read, and the
    /// addresses under which those know it.
    async fn look(&self) -> Vec<Event> {
        let mounts = match self.mounts.look().await {
            Ok(mounts) => mounts,
            Err(failed) => {
                if !self.is_blind.swap(true, Ordering::Relaxed) {
                    warn!(
                        error = %failed,
                        "the NFS mounts of this host are unknown: the servers of the cluster wait \
                         until it is off, not only until it halts"
                    );
                }
                return vec![Event::MountsRead(None)];
            }
        };
        self.is_blind.store(false, Ordering::Relaxed);
        let by_address = |address: IpAddr| self.servers.get(&address.to_string());
        let of_cluster = mounts.iter().filter_map(|mount| {
            let address = mount.server_address.and_then(by_address);
            let server = address.or_else(|| self.servers.get(&mount.server)).cloned()?;
            Some((server, mount.client_address))
        });
        let (servers, own): (BTreeSet<_>, BTreeSet<_>) = of_cluster.unzip();
        let own = own.into_iter().flatten().take(ADDRESSES_MAX).collect();
        vec![Event::MountsRead(Some(servers)), Event::ClientAddressesRead(own)]
    }
}
