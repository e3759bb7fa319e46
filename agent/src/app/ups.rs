//! The way from `upsd` to the coordinator: readings, absences, and what the UPS can do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{Abilities, Event, Line, Reading};
use curfew_nut::client::resolver::{Resolver, Server};
use curfew_nut::delay::Delays;
use curfew_nut::monitor::update::Update;
use curfew_nut::monitor::{Monitor, MonitorConfig};
use curfew_nut::probe::{Capabilities, PowerOff};
use curfew_nut::snapshot::Snapshot;
use curfew_nut::status::{Line as NutLine, Token};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Agent;
use super::foreign::Seen;
use super::keeper::Input;
use crate::task::Supervisor;

/// What others than the coordinator want to know of the UPS.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest {
    /// Its variables, as they came; empty without a reading.
    pub(super) variables: BTreeMap<String, String>,
    /// The last runtime left that was read, however long ago.
    pub(super) runtime: Option<Duration>,
    /// The command that opens its output, if it knows one.
    pub(super) cut_method: Option<&'static str>,
    /// Its delays, by the last reading.
    pub(super) delays: Delays,
    /// What only a person can put right, such as an unknown name.
    pub(super) problem: Option<String>,
}

/// Spawns the task that polls the UPS. Only the owner tells what it can do.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
    latest: watch::Sender<Latest>,
    clients: Option<watch::Receiver<Seen>>,
) {
    let Some(ups) = agent.file.ups.first() else { return };
    let server = Server { host: ups.upsd.host.clone(), port: ups.upsd.port };
    let resolver = Resolver::new(server);
    let mut config = MonitorConfig::new(ups.name.clone(), resolver);
    config.poll_interval = ups.poll / agent.file.time_factor.max(1);
    let is_owner = ups.owner == agent.me.name;
    let (inputs, latest) = (inputs.clone(), Arc::new(latest));
    supervisor.driver("nut-monitor", move |cancel| {
        let pump = Pump {
            inputs: inputs.clone(),
            latest: Arc::clone(&latest),
            clients: clients.clone(),
            is_owner,
            abilities: None,
        };
        run(config.clone(), pump, cancel)
    });
}

async fn run(
    config: MonitorConfig,
    mut pump: Pump,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let (monitor, mut handle) = Monitor::new(config);
    let polling = monitor.run(cancel.child_token());
    let pumping = async {
        while let Some(update) = handle.updates.recv().await {
            if !pump.take(update).await {
                return;
            }
        }
    };
    tokio::select! {
        () = polling => {}
        () = pumping => {}
    }
    Ok(())
}

/// Turns the monitor's updates into events.
struct Pump {
    inputs: mpsc::Sender<Input>,
    latest: Arc<watch::Sender<Latest>>,
    /// Who else is logged in; the owner looks.
    clients: Option<watch::Receiver<Seen>>,
    is_owner: bool,
    /// What was told of the UPS.
    abilities: Option<Abilities>,
}

impl Pump {
    /// Returns whether there is still somebody to tell.
    async fn take(&mut self, update: Update) -> bool {
        let event = match update {
            // Logged by the monitor.
            Update::Connected(_) => return true,
            Update::Probed { capabilities, .. } => return self.on_probed(&capabilities).await,
            Update::Polled(snapshot) => {
                let delays = Delays::of(&snapshot);
                if !self.tell_delay(&delays).await {
                    return false;
                }
                self.on_polled(&snapshot, delays)
            }
            Update::Unavailable { why, .. } => {
                // Logged by the monitor.
                let text = why.to_string();
                let problem = why.is_configuration().then(|| text.clone());
                self.latest.send_modify(|latest| {
                    latest.variables.clear();
                    latest.problem = problem;
                });
                Event::ReadingMissed(text)
            }
        };
        self.inputs.send(Input::Fact(event)).await.is_ok()
    }

    fn on_polled(&mut self, snapshot: &Snapshot, delays: Delays) -> Event {
        self.latest.send_modify(|latest| {
            latest.variables.clone_from(&snapshot.variables);
            latest.runtime = snapshot.runtime().or(latest.runtime);
            latest.delays = delays;
            latest.problem = None;
        });
        let foreign_clients = self.clients.as_ref().and_then(|seen| seen.borrow().count());
        Event::ReadingTaken(Reading { foreign_clients, ..reading(snapshot) })
    }

    async fn on_probed(&mut self, capabilities: &Capabilities) -> bool {
        let cut_method = match capabilities.power_off() {
            PowerOff::ShutdownReturn => Some("shutdown.return"),
            PowerOff::LoadOffDelay => Some("load.off.delay"),
            PowerOff::Impossible => None,
        };
        self.latest.send_modify(|latest| latest.cut_method = cut_method);
        if !self.is_owner {
            return true;
        }
        let returns = capabilities.is_return_promised() && cut_method.is_some();
        let known = self.abilities.and_then(|known| known.shutdown_delay);
        let abilities = Abilities { returns, shutdown_delay: known };
        // The same is found again and again, and changes nothing.
        self.abilities == Some(abilities) || self.tell_abilities(abilities).await
    }

    /// The delay is a variable like others, writable or not, and may be set at any time.
    async fn tell_delay(&mut self, delays: &Delays) -> bool {
        let shutdown_delay = delays.longest_shutdown();
        match self.abilities {
            Some(known) if known.shutdown_delay != shutdown_delay => {
                self.tell_abilities(Abilities { shutdown_delay, ..known }).await
            }
            Some(_) | None => true,
        }
    }

    async fn tell_abilities(&mut self, abilities: Abilities) -> bool {
        self.abilities = Some(abilities);
        self.inputs.send(Input::Fact(Event::UpsProbed(abilities))).await.is_ok()
    }
}

/// Reduces a snapshot to what decisions rest on.
fn reading(snapshot: &Snapshot) -> Reading {
    let status = &snapshot.status;
    let is_calibrating = status.has(&Token::Calibrating);
    Reading {
        line: match status.line() {
            NutLine::Mains => Line::Mains,
            // A calibration runs the battery down on purpose: no outage, and no mains either.
            NutLine::Battery if is_calibrating => Line::Unknown,
            NutLine::Battery => Line::Battery,
            NutLine::Unknown => Line::Unknown,
        },
        is_low: status.has(&Token::LowBattery),
        is_forced: status.is_forced(),
        is_calibrating,
        charge: snapshot.charge_percent().map(whole_percent),
        runtime: snapshot.runtime(),
        load: snapshot.load_percent().map(whole_percent),
        connection: snapshot.session,
        foreign_clients: None,
    }
}

/// Rounds down: 20.9 % is not yet 21 %.
fn whole_percent(percent: f64) -> u8 {
    (0..=100).rev().find(|whole| f64::from(*whole) <= percent).unwrap_or(0)
}
