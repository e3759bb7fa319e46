//! The daemon: builds the drivers around the coordinator, runs them, and ends them.
//!
//! Building may fail and says why; running may not: whatever a driver meets leaves the agent
//! running, degraded, and saying so. Only the keeper, which owns the coordinator, is essential.
//!
//! ```text
//!   ups ─┐                                       ┌─► power      (calls to the OS, one at a time)
//!   peers ┤ Input   ┌────────┐  Step: saved ─► journal, then actions
//!   network ├──────► │ keeper │ ────────────────┼─► wake, watch (whom to look at)
//!   probes ┤         └────────┘                 ├─► peers      (the state to tell)
//!   signals┘                                    └─► snapshot   (HTTP, health, metrics)
//! ```

mod account;
mod battery;
mod describe;
mod eyes;
mod farewell;
mod filesystems;
mod foreign;
mod hand;
mod holding;
mod host;
mod keeper;
mod login;
mod nfs_server;
mod os;
mod outlet;
mod past;
mod peering;
mod reboot;
mod show;
mod site;
mod smart;
mod standby;
mod translate;
mod units;
mod ups;
mod vitals;
mod watched_ups;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use curfew_coordinator::{BootId, BuiltIn, Cluster, Coordinator, HostName, Session, Start, Time};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::keeper::{Input, Keeper};
use self::outlet::{Calling, Outlets};
use self::vitals::Vitals;
use crate::cluster_file::finding::Severity;
use crate::cluster_file::{ClusterFile, Host, System};
use crate::end::End;
use crate::journal::{Journal, Opened};
use crate::metrics::Counters;
use crate::past::Past;
use crate::power::Power;
use crate::snapshot::{Holding, Place, Snapshot};
use crate::task::Supervisor;
use crate::{clock, notify};

/// What `curfew run` is told.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The cluster file.
    pub cluster: PathBuf,
    /// The name of this host; none takes the machine's own.
    pub host: Option<String>,
    /// The state directory.
    pub state: PathBuf,
    /// The directory with the certificates.
    pub pki: PathBuf,
    /// What keeps the agent from starting is shown until the end, instead of being its end.
    pub stays_up: bool,
}

/// How many facts wait for the keeper before their drivers wait, too: a second of everything that
/// a hundred hosts say, since a journal write may take that long.
const INPUT_QUEUE_LEN: usize = 256;

/// How long the disk may take for the boot id of a simulated host.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// How long drivers get to end: systemd and Talos kill at 10 s, and nothing here needs one.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Runs the agent until it is told to end.
///
/// # Errors
///
/// The cluster file cannot be used, the state directory belongs to another agent, or the keeper
/// failed; a bad cluster file can be told by [`crate::cluster_file::ClusterFileError`]. With
/// [`RunOptions::stays_up`] only the last of these.
pub async fn run(options: RunOptions, mut end: End) -> anyhow::Result<()> {
    loop {
        let built = tokio::select! {
            built = Built::new(&options) => built,
            signal = end.told() => {
                info!(signal, "told to end before it had started");
                return Ok(());
            }
        };
        match built {
            Ok(built) => return built.run(end).await,
            Err(failed) if options.stays_up => {
                match standby::stand_by(&options, &failed, &mut end).await {
                    standby::Then::TryAgain => {}
                    standby::Then::End => return Ok(()),
                }
            }
            Err(failed) => return Err(failed),
        }
    }
}

/// All that may fail at the start, done.
struct Built {
    agent: Agent,
    power: Power,
    journal: Journal,
    opened: Opened,
    cluster: Cluster,
}

impl Built {
    async fn new(options: &RunOptions) -> anyhow::Result<Self> {
        let (file, findings) = ClusterFile::load(&options.cluster)?;
        for finding in &findings {
            match finding.severity {
                Severity::Note => info!("{}: {finding}", options.cluster.display()),
                Severity::Warning | Severity::Error => {
                    warn!("{}: {finding}", options.cluster.display());
                }
            }
        }
        let name = host_name(options.host.as_deref())?;
        let me = file.host(&name)?.clone();
        let cluster = translate::cluster(&file)?;
        let (journal, opened) = Journal::open(&options.state).await?;
        report_opened(&opened);
        let boot = boot_id(&me, &options.state).await?;
        let power = translate::power(&file, &me, &boot)?;
        let session = Session { boot: BootId::from(boot), start: opened.start };
        info!(host = %me.name, %session, file = %file.hash, "curfew {}", VERSION);
        let agent = Agent { file, me, options: options.clone(), session };
        Ok(Self { agent, power, journal, opened, cluster })
    }

    async fn run(self, end: End) -> anyhow::Result<()> {
        let Self { agent, power, mut journal, opened, cluster } = self;
        let start = Start {
            cluster,
            me: HostName::from(agent.me.name.as_str()),
            session: agent.session.clone(),
            version: VERSION.to_owned(),
            saved: opened.saved,
            is_journal_lost: opened.is_lost,
        };
        let (coordinator, first) = Coordinator::recover(start, boot_time());
        let mut supervisor = Supervisor::new(CancellationToken::new());
        let (inputs, queue) = mpsc::channel(INPUT_QUEUE_LEN);
        let eye = holding::spawn(&agent, &mut supervisor, &inputs);
        let showing = Showing {
            snapshot: show::first(&coordinator, boot_time(), agent.fresh()),
            counters: Arc::new(Counters::new()),
            journal: journal.reports(),
            past: past::spawn(&agent, &mut supervisor, journal.follow()),
            holding: eye.latest(),
        };
        let (calling, called) = watch::channel(Calling::Not);
        let os = os::spawn(&agent, &mut supervisor, &inputs, called, &power);
        let outlets = agent.spawn_drivers(&mut supervisor, &inputs, showing, (power, calling));
        let vitals = Vitals::new(&notify::Environment::read());
        let keeper = Keeper::new(coordinator, journal, queue, outlets, vitals);
        supervisor.essential("keeper", |cancel| keeper.run(first, opened.failure, cancel));

        let (ended, limit) = tokio::select! {
            ended = supervisor.ended() => (Some(ended), STOP_LIMIT),
            until = farewell::say(&inputs, &os, &eye, end) => {
                (None, until.saturating_duration_since(Instant::now()).min(STOP_LIMIT))
            }
        };
        let stuck = supervisor.stop(limit).await;
        if !stuck.is_empty() {
            warn!(tasks = ?stuck, "tasks did not end in time and were aborted");
        }
        match ended {
            None => Ok(()),
            Some(ended) if matches!(ended.how, crate::task::Ending::Finished) => Ok(()),
            Some(ended) => anyhow::bail!("the task {} ended: {:?}", ended.task, ended.how),
        }
    }
}

/// What all drivers are built from.
struct Agent {
    file: ClusterFile,
    me: Host,
    options: RunOptions,
    session: Session,
}

impl Agent {
    fn spawn_drivers(
        &self,
        supervisor: &mut Supervisor,
        inputs: &mpsc::Sender<Input>,
        showing: Showing,
        (power, calling): (Power, watch::Sender<Calling>),
    ) -> Outlets {
        let Showing { snapshot, counters, journal, past, holding } = showing;
        let (snapshots, shown) = watch::channel(Arc::new(snapshot));
        let (variables, latest) = watch::channel(ups::Latest::default());
        let clients = foreign::spawn(self, supervisor, shown.clone());
        let seen = clients.as_ref().map(|roster| roster.seen().clone());
        ups::spawn(self, supervisor, inputs, variables, seen);
        let gaze = eyes::spawn(self, supervisor, inputs);
        let (hurry, hurried) = watch::channel(false);
        let tier = foreign::Tier::new(self, latest.clone(), hurried);
        let talos = power.as_talos().cloned();
        if let Some(power) = &talos {
            os::spawn_hurry(self, supervisor, power, &shown);
        }
        let power = (power, tier);
        let calls = outlet::spawn_power(self, supervisor, inputs, latest.clone(), power, calling);
        let desk = reboot::Desk::new(self, shown.clone(), calls.clone());
        let peers = peering::spawn(self, supervisor, (inputs, desk), &counters);
        let nfs_server = nfs_server::spawn(self, supervisor, inputs, &shown);
        let filesystems = filesystems::spawn(self, supervisor);
        let http_tried = site::spawn(self, supervisor, shown, &counters);
        Outlets {
            file: self.file.clone(),
            me: self.me.clone(),
            places: Arc::new(self.places()),
            boot: self.session.boot.clone(),
            told: peers.state,
            peers: peers.status,
            gaze,
            calls,
            hurry,
            battery: battery::spawn(self, supervisor, &latest),
            ups: latest,
            clients,
            verdict: show::Verdict::default(),
            login: login::spawn(self, supervisor),
            hand: hand::spawn(self, supervisor),
            talos: talos.map(|power| power.talos().subscribe()),
            nfs_server,
            holding,
            units: units::spawn(self, supervisor),
            host: host::spawn(self, supervisor, filesystems.clone()),
            filesystems,
            smart: smart::spawn(self, supervisor),
            others: watched_ups::Others::spawn(self, supervisor),
            snapshots,
            restarts: supervisor.restarts(),
            counters,
            journal,
            past,
            started_at: Instant::now(),
            fresh: self.fresh(),
            published_at: None,
            http_tried,
            are_terminals_told: false,
        }
    }
}

impl Agent {
    fn places(&self) -> BTreeMap<HostName, Place> {
        let places = self.file.hosts.iter().map(|host| {
            let (system, address) = (host.system.clone(), host.network.address);
            (host.name.as_str().into(), Place { system, address })
        });
        places.collect()
    }

    /// Returns the age below which a reading is fresh.
    fn fresh(&self) -> Duration {
        BuiltIn::scaled(self.file.time_factor).fresh
    }
}

/// What those who look are shown.
struct Showing {
    snapshot: Snapshot,
    counters: Arc<Counters>,
    journal: watch::Receiver<crate::journal::Report>,
    past: watch::Receiver<Option<Arc<Past>>>,
    holding: watch::Receiver<Option<Arc<Holding>>>,
}

/// The version of this agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the present moment of the boot clock.
fn boot_time() -> Time {
    Time::from_millis(clock::boot_ms())
}

/// Returns the cluster of a file as coordinators know it.
pub(crate) fn cluster(file: &ClusterFile) -> anyhow::Result<Cluster> {
    translate::cluster(file)
}

/// Returns the name that was given, else the machine's own.
pub(crate) fn host_name(given: Option<&str>) -> anyhow::Result<String> {
    if let Some(name) = given {
        return Ok(name.to_owned());
    }
    let name = nix::unistd::gethostname()
        .context("this machine does not know its name: start with --host NAME")?;
    let name = name.to_string_lossy().into_owned();
    // Debian's installer may write the whole domain name where the file has the short one.
    Ok(name.split('.').next().unwrap_or_default().to_owned())
}

async fn boot_id(me: &Host, state: &std::path::Path) -> anyhow::Result<String> {
    let id = match me.system {
        System::Systemd(_) | System::Talos(_) => {
            clock::BootId::Kernel { proc: me.paths.proc.clone() }
        }
        System::Command(_) | System::DryRun => clock::BootId::Simulated { state: state.to_owned() },
    };
    if me.system.is_machine() {
        return Ok(id.read()?);
    }
    // A simulated boot is one of this boot of the machine: its clock starts anew with the
    // machine's, and a host of commands may be a real one.
    let machine = clock::BootId::Kernel { proc: me.paths.proc.clone() }.read()?;
    // The state directory may be on a disk that hangs, and the agent starts all the same.
    let reading = tokio::time::timeout(
        READ_LIMIT,
        tokio::task::spawn_blocking(move || id.read().map_err(anyhow::Error::from)),
    );
    let read = match reading.await {
        Ok(Ok(read)) => read,
        Ok(Err(lost)) => Err(lost.into()),
        Err(late) => Err(late.into()),
    };
    match read {
        Ok(id) => Ok(format!("{id}-{}", machine.split('-').next().unwrap_or_default())),
        Err(failed) => {
            warn!(error = %failed, "the simulated boot id cannot be kept, the machine's is used");
            Ok(machine)
        }
    }
}

fn report_opened(opened: &Opened) {
    if let Some(damaged) = &opened.damaged {
        error!(set_aside = %damaged.path.display(), "{}", damaged.sentence);
    }
    if let Some(failure) = &opened.failure {
        error!("the journal cannot be written, the agent goes on from memory: {failure}");
    }
}
