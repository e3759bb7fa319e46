//! The eyes of an NFS server at work: what they see goes to the coordinator, and to those who look.
//!
//! Two tasks: one looks at files, every five seconds and every second while a shutdown is open; the
//! other asks the services and measures the room, which may take longer, and never holds up the
//! first. Neither runs on a host without `nfs-exports`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{ClientSight, Event, HostName, HostStatus, Phase, Presence};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use super::keeper::Input;
use crate::nfsd::compare::{Agreement, Comparison};
use crate::nfsd::grace::{Grace, GraceWatch};
use crate::nfsd::sight::{self, Lasting};
use crate::nfsd::space::{Gauge, Space};
use crate::nfsd::{Answer, Answers, Late, Mountd, Report, Roots, Server};
use crate::peer::ADDRESSES_MAX;
use crate::ready::{MountService, ReadyProbe, nfs_endpoint};
use crate::snapshot::Snapshot;
use crate::task::Supervisor;

/// How often the files are read on a quiet day: clients come and go with pods.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The same while a shutdown is open: a look counts for three seconds.
const LOOK_EVERY_IN_SHUTDOWN: Duration = Duration::from_secs(1);

/// How often the services are asked; each may take three seconds.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What the second task finds out for the first.
#[derive(Clone, Debug, Default)]
struct Asked {
    answers: Answers,
    space: BTreeMap<String, Space>,
}

/// Spawns the eyes, if this host serves files; returns where their reports can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
    shown: &watch::Receiver<Arc<Snapshot>>,
) -> watch::Receiver<Option<Arc<Report>>> {
    let (reports, latest) = watch::channel(None);
    if agent.me.nfs_exports.is_empty() {
        return latest;
    }
    let paths = &agent.me.paths;
    let roots = Roots { proc: paths.proc.clone(), root: paths.root.clone() };
    let (found, asked) = watch::channel(Asked::default());
    let eyes = Eyes {
        me: HostName::from(agent.me.name.as_str()),
        server: Server::new(roots.clone()),
        exports: agent.me.nfs_exports.clone(),
        hosts: addresses(agent),
        speed: agent.file.time_factor.max(1),
        inputs: inputs.clone(),
        asked,
        shown: shown.clone(),
        reports: Arc::new(reports),
    };
    let own = agent.me.network.address;
    let asker = Asker {
        probe: ReadyProbe::default(),
        own,
        gauges: gauges(&agent.me.nfs_exports, &roots),
        reports: latest.clone(),
        found: Arc::new(found),
    };
    supervisor.driver("nfs-eyes", move |cancel| Watching::new(eyes.clone()).run(cancel));
    supervisor.driver("nfs-answers", move |cancel| asker.clone().run(cancel));
    latest
}

fn addresses(agent: &Agent) -> BTreeMap<HostName, BTreeSet<IpAddr>> {
    let others = agent.file.hosts.iter().filter(|host| host.name != agent.me.name);
    let address = |host: &crate::cluster_file::Host| host.network.address.to_canonical();
    others
        .map(|host| (HostName::from(host.name.as_str()), BTreeSet::from([address(host)])))
        .collect()
}

fn gauges(exports: &[PathBuf], roots: &Roots) -> BTreeMap<String, Gauge> {
    let gauge = |path: &PathBuf| Gauge::new(roots.in_root(path));
    exports.iter().map(|path| (path.display().to_string(), gauge(path))).collect()
}

/// What the eyes are made of.
#[derive(Clone)]
struct Eyes {
    me: HostName,
    server: Server,
    exports: Vec<PathBuf>,
    /// The other hosts by the file.
    hosts: BTreeMap<HostName, BTreeSet<IpAddr>>,
    speed: u32,
    inputs: mpsc::Sender<Input>,
    asked: watch::Receiver<Asked>,
    shown: watch::Receiver<Arc<Snapshot>>,
    reports: Arc<watch::Sender<Option<Arc<Report>>>>,
}

/// One run of the eyes, with what they remember from look to look.
struct Watching {
    eyes: Eyes,
    /// All addresses that a host was known by, also those that it no longer reports.
    hosts: BTreeMap<HostName, BTreeSet<IpAddr>>,
    lasting: Lasting,
    comparison: Comparison,
    grace: GraceWatch,
    /// The last trouble that was logged.
    told: Option<String>,
}

impl Watching {
    fn new(eyes: Eyes) -> Self {
        Self {
            hosts: eyes.hosts.clone(),
            eyes,
            lasting: Lasting::default(),
            comparison: Comparison::default(),
            grace: GraceWatch::default(),
            told: None,
        }
    }

    async fn run(mut self, cancel: CancellationToken) -> Result<(), Infallible> {
        // Until the first look has come to an end, everybody counts as there.
        if !self.tell(vec![Event::ClientsSeen(self.clients(&BTreeMap::new(), None))]).await {
            return Ok(());
        }
        loop {
            let started = Instant::now();
            let report = self.look().await;
            self.tell_trouble(&report);
            let mut facts = vec![Event::ClientsSeen(self.clients(&report.seen, report.strangers))];
            if report.answers.nfs.is_some() {
                facts.push(Event::ExportsProbed(report.is_serving()));
            }
            self.eyes.reports.send_replace(Some(Arc::new(report)));
            let is_heard = self.tell(facts).await;
            if !is_heard || cancel.run_until_cancelled(self.until_due(started)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Returns whether there is still somebody to tell.
    async fn tell(&self, facts: Vec<Event>) -> bool {
        for fact in facts {
            if self.eyes.inputs.send(Input::Fact(fact)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits for the next look, which comes sooner when a shutdown opens meanwhile.
    async fn until_due(&mut self, started: Instant) {
        loop {
            let due = started + self.pace();
            tokio::select! {
                () = sleep_until(due) => return,
                changed = self.eyes.shown.changed() => if changed.is_err() {
                    return sleep_until(due).await;
                },
            }
        }
    }

    fn pace(&mut self) -> Duration {
        let snapshot = self.eyes.shown.borrow_and_update();
        let status = &snapshot.status;
        let is_open = status.shutdown.is_some() || status.phase != Phase::Up;
        let every = if is_open { LOOK_EVERY_IN_SHUTDOWN } else { LOOK_EVERY };
        every / self.eyes.speed
    }

    async fn look(&mut self) -> Report {
        let look = self.eyes.server.look().await.map(Arc::new);
        let now = Instant::now();
        let asked = self.eyes.asked.borrow().clone();
        let reports = self.hear();
        let Ok(look) = look else {
            return Report {
                looked: now,
                look,
                answers: asked.answers,
                exports: Vec::new(),
                space: BTreeMap::new(),
                grace: Grace::Unknown,
                seen: BTreeMap::new(),
                strangers: None,
                agreement: BTreeMap::new(),
            };
        };
        self.lasting.update(now, &look);
        let seen = sight::judge(now, &look, &self.lasting, &self.hosts);
        Report {
            looked: now,
            answers: asked.answers,
            exports: look.exports_of(&self.eyes.exports),
            space: asked.space,
            grace: self.grace.update(now, &look),
            strangers: sight::strangers(&look, &self.hosts),
            agreement: self.comparison.update(now, &seen, &reports),
            seen,
            look: Ok(look),
        }
    }

    /// Takes what the hosts say of themselves: returns, of those that are up, whether they have
    /// mounts of this server, and remembers the addresses under which it may know them.
    fn hear(&mut self) -> BTreeMap<HostName, bool> {
        let snapshot = Arc::clone(&self.eyes.shown.borrow());
        let mut reports = BTreeMap::new();
        for (host, addresses) in &mut self.hosts {
            let Some(status) = snapshot.status.hosts.get(host) else { continue };
            let room = ADDRESSES_MAX.saturating_sub(addresses.len());
            addresses.extend(status.client_addresses.iter().map(IpAddr::to_canonical).take(room));
            if let Some(mounts) = status.mounts.as_ref().filter(|_| is_up(status)) {
                reports.insert(host.clone(), mounts.contains(&self.eyes.me));
            }
        }
        reports
    }

    /// Returns what the coordinator gets to know: who could not be judged, or may not be, counts
    /// as there.
    fn clients(
        &self,
        seen: &BTreeMap<HostName, sight::Seen>,
        strangers: Option<usize>,
    ) -> BTreeMap<HostName, ClientSight> {
        let sight = |host: &HostName| {
            let sight = seen.get(host).and_then(|seen| seen.sight);
            let is_trusted = self.comparison.trusts(host, strangers);
            sight.filter(|_| is_trusted).unwrap_or(ClientSight::Present)
        };
        self.hosts.keys().map(|host| (host.clone(), sight(host))).collect()
    }

    /// Logs what the eyes cannot see, once.
    fn tell_trouble(&mut self, report: &Report) {
        let trouble = match &report.look {
            Err(Late::NotYet) => None,
            Err(late @ Late::Waits) => Some(late.to_string()),
            Ok(look) => {
                let blind: Vec<_> = look.blind_spots().iter().map(|it| it.sentence()).collect();
                let unseen = report.agreement.iter().filter(|(_, agreement)| {
                    matches!(agreement, Agreement::Unseen { is_failing: true, .. })
                });
                let unseen = unseen.map(|(host, _)| format!("{host} has a mount that is not seen"));
                let all: Vec<_> = blind.into_iter().chain(unseen).collect();
                (!all.is_empty()).then(|| all.join("; "))
            }
        };
        if trouble != self.told {
            if let Some(trouble) = &trouble {
                warn!(
                    trouble,
                    "clients of this NFS server cannot be seen: they count as there until their \
                     host is off"
                );
            } else {
                info!("all clients of this NFS server can be seen");
            }
            self.told = trouble;
        }
    }
}

/// Returns whether a host is heard and goes about its work: one that stops unmounts without
/// telling each step.
fn is_up(status: &HostStatus) -> bool {
    status.presence == Presence::Connected
        && matches!(status.phase, Some(Phase::Up | Phase::Waiting))
}

/// Asks the services, and measures the room of the exports.
#[derive(Clone)]
struct Asker {
    probe: ReadyProbe,
    own: IpAddr,
    gauges: BTreeMap<String, Gauge>,
    reports: watch::Receiver<Option<Arc<Report>>>,
    found: Arc<watch::Sender<Asked>>,
}

impl Asker {
    async fn run(self, cancel: CancellationToken) -> Result<(), Infallible> {
        let mut beats = interval(ASK_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(beats.tick()).await.is_some() {
            let Some(asked) = cancel.run_until_cancelled(self.ask()).await else { break };
            self.found.send_replace(asked);
        }
        Ok(())
    }

    async fn ask(&self) -> Asked {
        let endpoint = nfs_endpoint(self.own);
        let (nfs, mountd) = tokio::join!(self.probe.ask_nfs(endpoint), self.ask_mountd());
        let mut space = BTreeMap::new();
        for label in self.local_exports() {
            let Some(gauge) = self.gauges.get(&label) else { continue };
            if let Some(room) = gauge.ask().await {
                space.insert(label, room);
            }
        }
        let nfs = Answer { is_good: nfs.is_ready, reason: nfs.reason };
        Asked { answers: Answers { nfs: Some(nfs), mountd: Some(mountd) }, space }
    }

    /// Our own `rpcbind` always answers on the loopback, whatever else it is bound to.
    async fn ask_mountd(&self) -> Mountd {
        if self.latest_versions().is_some_and(|versions| !versions.has_v3) {
            return Mountd::None;
        }
        match self.probe.ask_mount(IpAddr::V4(Ipv4Addr::LOCALHOST), self.own).await {
            MountService::None => Mountd::None,
            MountService::Asked(answer) => {
                Mountd::Asked(Answer { is_good: answer.is_ready, reason: answer.reason })
            }
        }
    }

    fn latest_versions(&self) -> Option<crate::nfsd::Versions> {
        let report = self.reports.borrow().clone()?;
        report.look.as_ref().ok()?.versions.as_ref().ok().copied()
    }

    /// Returns the exports whose room can be asked for without asking another machine.
    fn local_exports(&self) -> Vec<String> {
        let report = self.reports.borrow().clone();
        let exports = report.iter().flat_map(|report| &report.exports);
        exports.filter(|export| export.is_local()).map(crate::nfsd::Export::label).collect()
    }
}
