//! What this host holds that others wait for: its NFS mounts, and whether its pods still run.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use curfew_coordinator::{Event, HostName};
use curfew_nut::error::Chain;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Agent;
use super::keeper::Input;
use crate::blocking::Asker;
use crate::cluster_file::System;
use crate::mounts::{Mounts, MountsError, NfsMount};
use crate::peer::ADDRESSES_MAX;
use crate::pods;
use crate::snapshot::Holding;
use crate::task::Supervisor;

/// How often the mounts are read: they change when pods start and stop.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long the last look may take, after which the mounts are unknown: the kernel reads its own
/// memory, and what takes longer hangs.
pub(super) const LAST_LIMIT: Duration = Duration::from_millis(500);

/// How long the question for pods may take, of the kernel's memory too.
const PODS_LIMIT: Duration = Duration::from_secs(1);

/// The way to the eye that looks at what this host holds.
#[derive(Clone, Debug)]
pub(super) struct Eye {
    latest: watch::Receiver<Option<Arc<Holding>>>,
    /// How many looks were asked for.
    asked: Arc<watch::Sender<u64>>,
    /// Up to which of these there was one since.
    answered: watch::Receiver<u64>,
}

impl Eye {
    /// Returns what was last seen.
    pub(super) fn latest(&self) -> watch::Receiver<Option<Arc<Holding>>> {
        self.latest.clone()
    }

    /// Has it look now, and the keeper know what it sees; what cannot be seen in time is unknown.
    pub(super) async fn look_again(&self, inputs: &mpsc::Sender<Input>) {
        let mut wanted = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            wanted = *asked;
        });
        let mut answered = self.answered.clone();
        let looked = timeout(LAST_LIMIT, answered.wait_for(|answered| *answered >= wanted)).await;
        if !matches!(looked, Ok(Ok(_))) {
            warn!("the NFS mounts of this host are unknown at its end: their servers wait for it");
            // A keeper that is gone tells nothing at all.
            inputs.send(Input::Fact(Event::MountsRead(None))).await.unwrap_or_default();
        }
    }
}

/// Spawns the eye.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
) -> Eye {
    let (shown, latest) = watch::channel(None);
    let (asked, asking) = watch::channel(0);
    let (answers, answered) = watch::channel(0);
    let eyes = OwnEyes {
        inputs: inputs.clone(),
        mounts: Mounts::new(table(agent)),
        servers: servers(agent),
        is_blind: Arc::default(),
        sys: agent.me.paths.sys.clone(),
        pods: Asker::new(PODS_LIMIT),
        has_pods: matches!(agent.me.system, System::Talos(_)),
        shown: Arc::new(shown),
        asking,
        answers: Arc::new(answers),
    };
    supervisor.driver("mounts", move |cancel| eyes.clone().run(cancel));
    Eye { latest, asked: Arc::new(asked), answered }
}

/// Returns the mount table of the host. On Talos the agent lives in a namespace of its own, where
/// nothing of the pods is to be seen.
fn table(agent: &Agent) -> PathBuf {
    let of = |process: &str| agent.me.paths.proc.join(process).join("mountinfo");
    match agent.me.system {
        System::Talos(_) => of("1"),
        System::Systemd(_) | System::Command(_) | System::DryRun => of("self"),
    }
}

fn servers(agent: &Agent) -> BTreeMap<String, HostName> {
    let servers = agent.file.hosts.iter().flat_map(|host| {
        let name = HostName::from(host.name.as_str());
        [(host.network.address.to_string(), name.clone()), (host.name.clone(), name)]
    });
    servers.collect()
}

/// Reads this host's own NFS mounts and its pods' cgroup.
#[derive(Clone)]
struct OwnEyes {
    inputs: mpsc::Sender<Input>,
    mounts: Mounts,
    /// By address, and by name as a mount may have it.
    servers: BTreeMap<String, HostName>,
    /// The mounts could not be read, and that was logged.
    is_blind: Arc<AtomicBool>,
    sys: PathBuf,
    pods: Asker,
    /// There must be pods.
    has_pods: bool,
    shown: Arc<watch::Sender<Option<Arc<Holding>>>>,
    asking: watch::Receiver<u64>,
    answers: Arc<watch::Sender<u64>>,
}

impl OwnEyes {
    async fn run(mut self, cancel: CancellationToken) -> Result<(), Infallible> {
        let mut beats = interval(LOOK_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                _beat = beats.tick() => {}
                Ok(()) = self.asking.changed() => {}
            }
            let asked = *self.asking.borrow_and_update();
            let mounts = self.mounts.look().await;
            for fact in self.facts(&mounts) {
                if self.inputs.send(Input::Fact(fact)).await.is_err() {
                    return Ok(());
                }
            }
            self.answers.send_replace(asked);
            let mounts = mounts.map_err(|failed| Chain(&failed).to_string());
            let holding = Holding { mounts, pods: self.look_at_pods().await };
            self.shown.send_replace(Some(Arc::new(holding)));
        }
    }

    /// Returns the hosts of which this one has mounts, none if that cannot be read, and the
    /// addresses under which those know it.
    fn facts(&self, mounts: &Result<BTreeSet<NfsMount>, MountsError>) -> Vec<Event> {
        match mounts {
            Ok(mounts) => {
                self.is_blind.store(false, Ordering::Relaxed);
                self.facts_of(mounts)
            }
            Err(failed) => {
                if !self.is_blind.swap(true, Ordering::Relaxed) {
                    warn!(
                        error = %Chain(failed),
                        "the NFS mounts of this host are unknown: the servers of the cluster wait \
                         until it is off, not only until it halts"
                    );
                }
                vec![Event::MountsRead(None)]
            }
        }
    }

    fn facts_of(&self, mounts: &BTreeSet<NfsMount>) -> Vec<Event> {
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

    async fn look_at_pods(&self) -> Result<Option<bool>, String> {
        let sys = self.sys.clone();
        let asked = self.pods.ask(move || pods::populated(&sys)).await;
        let found = match asked {
            Ok(found) => found.map_err(|failed| Chain(&failed).to_string()),
            Err(unanswered) => Err(Chain(&unanswered).to_string()),
        };
        // Elsewhere nothing hangs on it, and an old hierarchy of cgroups is no fault.
        if self.has_pods { found } else { found.or(Ok(None)) }
    }
}

#[cfg(test)]
mod tests;
