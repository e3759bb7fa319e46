//! Has what the disks say of themselves read, apart from everything else: nobody waits for it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Agent;
use crate::cluster_file::System;
use crate::smart::{Report, Sight, Smart};
use crate::task::Supervisor;

/// The disks are asked every hour, or by a person, who then looks here.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Spawns the task, where the disks are asked; returns where its reports can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
) -> watch::Receiver<Option<Arc<Report>>> {
    let (reports, latest) = watch::channel(None);
    let health = &agent.me.seeing.health;
    if !health.smart {
        return latest;
    }
    let hot_above = health.temperature_above_celsius;
    match &agent.me.system {
        System::Systemd(system) => {
            let folder = folder(&system.run);
            let reports = Arc::new(reports);
            supervisor.driver("smart", move |cancel| {
                run(Smart::new(folder.clone(), hot_above), Arc::clone(&reports), cancel)
            });
        }
        System::Talos(_) => {
            let report = Report { looked: Instant::now(), hot_above, sight: Sight::Impossible };
            reports.send_replace(Some(Arc::new(report)));
        }
        // Of what such a host is nothing is known, and nobody asks its disks.
        System::Command(_) | System::DryRun => {}
    }
    latest
}

/// Beside the agent's own folder, which it could write: `/run/curfew-smart`.
fn folder(run: &Path) -> PathBuf {
    let mut folder = run.as_os_str().to_owned();
    folder.push("-smart");
    folder.into()
}

async fn run(
    mut smart: Smart,
    reports: Arc<watch::Sender<Option<Arc<Report>>>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let mut beats = interval(LOOK_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(beats.tick()).await.is_some() {
        let Some(report) = cancel.run_until_cancelled(smart.look()).await else { break };
        reports.send_replace(Some(Arc::new(report)));
    }
    Ok(())
}
