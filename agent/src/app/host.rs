//! Has the machine itself looked at, apart from everything else: nobody waits for it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_host::{Collected, Host, Roots, Selection, Settings};
use curfew_nut::error::Chain;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Agent;
use crate::blocking::{AskError, Asker};
use crate::cluster_file::Paths;
use crate::faults::{self, Faults};
use crate::filesystem;
use crate::health::host::{Report, Sight, Watch, Watched};
use crate::task::Supervisor;

/// Nothing that is watched here gets worse within less; a look costs a millisecond or two.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Each collector has a limit of its own, and all together less than this.
const LIMIT: Duration = Duration::from_secs(2);

/// Its temperatures are the drives' own: who asks them every half minute keeps them from sleeping.
/// The check `smart` judges them, and asks none that sleeps.
const DRIVES: &str = "drivetemp";

type Reports<T> = watch::Receiver<Option<Arc<T>>>;

/// Spawns the task; returns where its reports can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    filesystems: Reports<filesystem::Report>,
) -> Reports<Report> {
    let watched = Watched::new(&agent.me);
    let (reports, latest) = watch::channel(Some(Arc::new(watched.unseen())));
    let reports = Arc::new(reports);
    let paths = agent.me.paths.clone();
    supervisor.driver("host-checks", move |cancel| {
        let eyes = Eyes::new(paths.clone(), &watched.collectors(), filesystems.clone());
        run(Watch::new(watched.clone()), eyes, Arc::clone(&reports), cancel)
    });
    latest
}

/// All that is asked. What hangs is given up, and costs a thread until it answers.
struct Eyes {
    host: Arc<Host>,
    collectors: Asker,
    faults: Asker,
    sys: PathBuf,
    root: PathBuf,
    filesystems: Reports<filesystem::Report>,
}

impl Eyes {
    fn new(paths: Paths, asked: &Selection, filesystems: Reports<filesystem::Report>) -> Self {
        let Paths { proc, sys, root } = paths;
        let udev = root.join("run/udev/data");
        let roots = Roots { proc, sys: sys.clone(), root: root.clone(), udev };
        let settings = Settings { chips_left_out: vec![DRIVES], ..Settings::default() };
        let host = Arc::new(Host::new(roots, settings, asked));
        let (collectors, faults) = (Asker::new(LIMIT), Asker::new(LIMIT));
        Self { host, collectors, faults, sys, root, filesystems }
    }

    async fn look(&mut self) -> Sight {
        // Their own look begins together with the first one here.
        drop(timeout(LIMIT, self.filesystems.wait_for(Option::is_some)).await);
        let (collected, faults) = tokio::join!(self.collect(), self.faults());
        let filesystems = self.filesystems.borrow().clone();
        Sight { collected, faults, filesystems }
    }

    async fn collect(&self) -> Result<Collected, String> {
        let host = Arc::clone(&self.host);
        self.collectors.ask(move || host.collect()).await.map_err(|failed| said(&failed))
    }

    async fn faults(&self) -> Result<Faults, String> {
        let (sys, root) = (self.sys.clone(), self.root.clone());
        let read = self.faults.ask(move || faults::read(&sys, &root)).await;
        match read {
            Ok(Ok(faults)) => Ok(faults),
            Ok(Err(failed)) => Err(Chain(&failed).to_string()),
            Err(failed) => Err(said(&failed)),
        }
    }
}

fn said(failed: &AskError) -> String {
    Chain(failed).to_string()
}

async fn run(
    mut watch: Watch,
    mut eyes: Eyes,
    reports: Arc<watch::Sender<Option<Arc<Report>>>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let mut beats = interval(LOOK_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(beats.tick()).await.is_some() {
        let Some(sight) = cancel.run_until_cancelled(eyes.look()).await else { break };
        let report = watch.judge(sight, Instant::now());
        reports.send_replace(Some(Arc::new(report)));
    }
    Ok(())
}
