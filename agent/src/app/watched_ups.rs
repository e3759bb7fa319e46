//! UPSes after the first: read and shown, never acted on.

use std::convert::Infallible;
use std::sync::Arc;

use curfew_nut::client::resolver::{Resolver, Server};
use curfew_nut::monitor::update::Update;
use curfew_nut::monitor::{Monitor, MonitorConfig};
use curfew_nut::snapshot::Snapshot;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Agent;
use crate::snapshot::WatchedUps;
use crate::task::Supervisor;

/// What is known of one of them.
#[derive(Clone, Debug)]
struct Seen {
    name: String,
    reading: Option<Arc<Snapshot>>,
    missed: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Others(Vec<watch::Receiver<Seen>>);

impl Others {
    /// Spawns a task for each.
    pub(super) fn spawn(agent: &Agent, supervisor: &mut Supervisor) -> Self {
        let others = agent.file.ups.iter().skip(1);
        Self(
            others
                .map(|ups| {
                    let server = Server { host: ups.upsd.host.clone(), port: ups.upsd.port };
                    let mut config = MonitorConfig::new(ups.name.clone(), Resolver::new(server));
                    config.poll_interval = ups.poll / agent.file.time_factor.max(1);
                    let first = Seen { name: ups.name.clone(), reading: None, missed: None };
                    let (told, seen) = watch::channel(first);
                    let told = Arc::new(told);
                    supervisor.driver("watched-ups", move |cancel| {
                        run(config.clone(), Arc::clone(&told), cancel)
                    });
                    seen
                })
                .collect(),
        )
    }

    /// Returns how they are now.
    pub(super) fn now(&self) -> Vec<WatchedUps> {
        self.0.iter().map(|seen| shown(&seen.borrow())).collect()
    }
}

async fn run(
    config: MonitorConfig,
    told: Arc<watch::Sender<Seen>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let (monitor, mut handle) = Monitor::new(config);
    let polling = monitor.run(cancel);
    let taking = async {
        while let Some(update) = handle.updates.recv().await {
            told.send_modify(|seen| match update {
                Update::Polled(reading) => {
                    seen.reading = Some(reading);
                    seen.missed = None;
                }
                Update::Unavailable { why, .. } => seen.missed = Some(why.to_string()),
                Update::Connected(_) | Update::Probed { .. } => {}
            });
        }
    };
    tokio::select! {
        () = polling => {}
        () = taking => {}
    }
    Ok(())
}

fn shown(seen: &Seen) -> WatchedUps {
    let Seen { name, reading, missed } = seen;
    WatchedUps {
        name: name.clone(),
        variables: reading.as_ref().map(|it| it.variables.clone()).unwrap_or_default(),
        read_at: reading.as_ref().map(|it| it.asked_at),
        missed: missed.clone(),
    }
}
