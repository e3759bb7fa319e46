//! Has the units of systemd looked at, apart from everything else: nobody waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use crate::cluster_file::System;
use crate::task::Supervisor;
use crate::units::{Looker, Report};

/// Spawns the task, on a host that has systemd; returns where its reports can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
) -> Option<watch::Receiver<Option<Arc<Report>>>> {
    let System::Systemd(_) = &agent.me.system else { return None };
    let (reports, latest) = watch::channel(None);
    let reports = Arc::new(reports);
    let ignored = agent.me.seeing.health.units_ignored.clone();
    supervisor.driver("units", move |cancel| {
        run(Looker::new(None, ignored.clone()), Arc::clone(&reports), cancel)
    });
    Some(latest)
}

async fn run(
    mut looker: Looker,
    reports: Arc<watch::Sender<Option<Arc<Report>>>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let mut is_blind = false;
    let mut pause = Duration::ZERO;
    while cancel.run_until_cancelled(sleep(pause)).await.is_some() {
        let Some(report) = cancel.run_until_cancelled(looker.look()).await else { break };
        match &report.found {
            Err(blind) if !is_blind => {
                warn!(why = blind.why, "the units of systemd are unknown: {}", blind.remedy);
            }
            Ok(_) if is_blind => info!("the units of systemd are known again"),
            Ok(_) | Err(_) => {}
        }
        is_blind = report.found.is_err();
        pause = report.next_in();
        reports.send_replace(Some(Arc::new(report)));
    }
    Ok(())
}
