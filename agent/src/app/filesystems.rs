//! Has the local file systems measured, apart from everything else: nobody waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Agent;
use crate::cluster_file::System;
use crate::filesystem::{Filesystems, Report, Tables};
use crate::task::Supervisor;

/// A disk fills in minutes at the quickest, and Prometheus asks every 15 s or more.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Spawns the task; returns where its reports can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
) -> watch::Receiver<Option<Arc<Report>>> {
    let (reports, latest) = watch::channel(None);
    let reports = Arc::new(reports);
    let tables = tables(agent);
    supervisor.driver("filesystems", move |cancel| {
        run(Filesystems::new(tables.clone()), Arc::clone(&reports), cancel)
    });
    latest
}

/// The first process has the host's mounts. Where a sandbox hides it, our own are those of the host
/// and some more; on Talos they are not.
fn tables(agent: &Agent) -> Tables {
    let of = |process: &str| agent.me.paths.proc.join(process).join("mountinfo");
    let host = match agent.me.system {
        System::Talos(_) => vec![of("1")],
        System::Systemd(_) | System::Command(_) | System::DryRun => vec![of("1"), of("self")],
    };
    // By which way a path leads is a matter of the namespace that this process is in, whatever
    // `[host.paths]` says.
    Tables { host, own: "/proc/self/mountinfo".into() }
}

async fn run(
    mut filesystems: Filesystems,
    reports: Arc<watch::Sender<Option<Arc<Report>>>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let mut beats = interval(LOOK_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_blind = false;
    while cancel.run_until_cancelled(beats.tick()).await.is_some() {
        let Some(report) = cancel.run_until_cancelled(filesystems.look()).await else { break };
        let failed = report.filesystems.as_ref().err();
        if let Some(why) = failed.filter(|_| !is_blind) {
            warn!(why, "the file systems of this host are unknown");
        }
        is_blind = failed.is_some();
        reports.send_replace(Some(Arc::new(report)));
    }
    Ok(())
}
