//! Watches how the battery of the first UPS fares, by the readings of this host.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use super::ups::Latest;
use crate::battery::file::{self, FileError};
use crate::battery::trend::Trend;
use crate::battery::{Battery, Report, reading};
use crate::blocking::Asker;
use crate::clock;
use crate::cluster_file::seeing::BatteryLimits;
use crate::task::Supervisor;

/// Charges and loads change over minutes.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A disk that spins up; once a day.
const FILE_LIMIT: Duration = Duration::from_secs(10);

/// A disk that hangs may come back.
const READ_AGAIN: Duration = Duration::from_mins(10);

/// Spawns the task; returns where its reports can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    readings: &watch::Receiver<Latest>,
) -> watch::Receiver<Option<Arc<Report>>> {
    let (reports, latest) = watch::channel(None);
    let Some(ups) = agent.file.ups.first() else { return latest };
    let keeping = Keeping {
        asker: Asker::new(FILE_LIMIT),
        directory: agent.options.state.clone(),
        ups: ups.name.clone(),
        problem: None,
        failing_since: None,
        is_kept: true,
        read_again: None,
    };
    let limits = agent.me.seeing.health.battery;
    let (readings, reports) = (readings.clone(), Arc::new(reports));
    supervisor.driver("battery", move |cancel| {
        run(keeping.clone(), limits, readings.clone(), Arc::clone(&reports), cancel)
    });
    latest
}

async fn run(
    mut keeping: Keeping,
    limits: BatteryLimits,
    readings: watch::Receiver<Latest>,
    reports: Arc<watch::Sender<Option<Arc<Report>>>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let Some(trend) = cancel.run_until_cancelled(keeping.read()).await else { return Ok(()) };
    let mut battery = Battery::new(limits, trend.unwrap_or_default());
    let mut beats = interval(LOOK_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(beats.tick()).await.is_some() {
        if keeping.read_again.is_some_and(|at| Instant::now() >= at) {
            let Some(trend) = cancel.run_until_cancelled(keeping.read()).await else { break };
            if let Some(trend) = trend {
                battery.take_up(trend);
            }
        }
        let reading = reading(&readings.borrow().variables);
        let date = u64::try_from(clock::wall_seconds()).unwrap_or_default();
        let (mut report, is_new) = battery.look(Instant::now(), date, reading);
        if is_new {
            let write = keeping.write(battery.trend().clone());
            if cancel.run_until_cancelled(write).await.is_none() {
                break;
            }
        }
        report.problem.clone_from(&keeping.problem);
        report.problem_for = keeping.failing_since.map_or(Duration::ZERO, |since| since.elapsed());
        reports.send_replace(Some(Arc::new(report)));
    }
    Ok(())
}

/// The way to the records on disk.
#[derive(Clone, Debug)]
struct Keeping {
    asker: Asker,
    directory: PathBuf,
    ups: String,
    problem: Option<String>,
    /// Since when there is a problem.
    failing_since: Option<Instant>,
    /// What a newer agent wrote is not overwritten, nor what could not be read this time.
    is_kept: bool,
    /// When to try anew what could not be read this time.
    read_again: Option<Instant>,
}

impl Keeping {
    /// Returns the records of earlier days; none if they cannot be read.
    async fn read(&mut self) -> Option<Trend> {
        self.read_again = None;
        let (directory, ups) = (self.directory.clone(), self.ups.clone());
        let failed = match self.asker.ask(move || file::read(&directory, &ups)).await {
            Ok(Ok(trend)) => {
                self.is_kept = true;
                self.note(None);
                return Some(trend);
            }
            Ok(Err(failed)) => {
                self.is_kept = matches!(failed, FileError::Damaged { .. });
                if matches!(failed, FileError::Read { .. }) {
                    self.read_again = Some(Instant::now() + READ_AGAIN);
                }
                Chain(&failed).to_string()
            }
            Err(late) => {
                self.is_kept = false;
                self.read_again = Some(Instant::now() + READ_AGAIN);
                late.to_string()
            }
        };
        warn!(failure = failed, "the battery cannot be compared with earlier months");
        self.note(Some(failed));
        None
    }

    fn note(&mut self, problem: Option<String>) {
        let since = self.failing_since.unwrap_or_else(Instant::now);
        self.failing_since = problem.is_some().then_some(since);
        self.problem = problem;
    }

    async fn write(&mut self, trend: Trend) {
        if !self.is_kept {
            return;
        }
        let (directory, ups) = (self.directory.clone(), self.ups.clone());
        let written = self.asker.ask(move || file::write(&directory, &ups, &trend)).await;
        let problem = match written {
            Ok(Ok(())) => {
                info!("the runtime at full charge was recorded");
                None
            }
            Ok(Err(failed)) => Some(Chain(&failed).to_string()),
            Err(late) => Some(late.to_string()),
        };
        if let Some(failure) = &problem {
            warn!(failure, "the runtime at full charge is not recorded");
        }
        self.note(problem);
    }
}
