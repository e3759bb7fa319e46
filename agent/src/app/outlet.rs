//! Where the coordinator's actions go: the OS, the network, the peers, those who look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{
    Action, BootId, Call, Cause, Coordinator, End, Event, HostName, Note, WakeTarget,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Agent;
use super::eyes::Gaze;
use super::foreign::{Roster, Tier};
use super::keeper::Input;
use super::reboot::{Ground, Restart};
use super::show::Verdict;
use super::ups::Latest;
use super::watched_ups::Others;
use crate::battery;
use crate::clock;
use crate::cluster_file::{ClusterFile, Host};
use crate::filesystem;
use crate::health::{self, Check};
use crate::journal;
use crate::metrics::Counters;
use crate::nfsd;
use crate::past::Past;
use crate::peer::{Outgoing, PeersStatus};
use crate::power::{self, Cut, Goal, Outcome, Power, Stopping};
use crate::smart;
use crate::snapshot::{Holding, Place, Snapshot};
use crate::talos;
use crate::task::{Restarts, Supervisor};
use crate::units;
use crate::wake::{Target, Waker};

/// Between two state messages.
const BEAT: Duration = Duration::from_secs(1);

/// How long a state gets to leave: a round trip of a network that is not dead, many times.
pub(super) const FAREWELL: Duration = Duration::from_millis(300);

/// Calls waiting for the OS: one of each kind is the most that can be due at once.
const CALL_QUEUE_LEN: usize = 4;

/// All outlets.
#[derive(Debug)]
pub(super) struct Outlets {
    pub(super) file: ClusterFile,
    pub(super) me: Host,
    pub(super) places: Arc<BTreeMap<HostName, Place>>,
    pub(super) boot: BootId,
    pub(super) told: watch::Sender<Option<Arc<Outgoing>>>,
    pub(super) peers: watch::Receiver<PeersStatus>,
    pub(super) gaze: Gaze,
    pub(super) calls: mpsc::Sender<PowerCall>,
    /// Ends the waiting for foreign clients.
    pub(super) hurry: watch::Sender<bool>,
    pub(super) ups: watch::Receiver<Latest>,
    pub(super) clients: Option<Roster>,
    pub(super) verdict: Verdict,
    pub(super) login: watch::Receiver<Check>,
    /// None on a host without one.
    pub(super) hand: Option<watch::Receiver<Check>>,
    /// None on a host without Talos.
    pub(super) talos: Option<watch::Receiver<Arc<talos::View>>>,
    pub(super) battery: watch::Receiver<Option<Arc<battery::Report>>>,
    pub(super) nfs_server: watch::Receiver<Option<Arc<nfsd::Report>>>,
    pub(super) holding: watch::Receiver<Option<Arc<Holding>>>,
    pub(super) filesystems: watch::Receiver<Option<Arc<filesystem::Report>>>,
    /// Of systemd; none on a host without it.
    pub(super) units: Option<watch::Receiver<Option<Arc<units::Report>>>>,
    pub(super) host: watch::Receiver<Option<Arc<health::host::Report>>>,
    pub(super) smart: watch::Receiver<Option<Arc<smart::Report>>>,
    pub(super) others: Others,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) restarts: watch::Receiver<Restarts>,
    pub(super) counters: Arc<Counters>,
    pub(super) journal: watch::Receiver<journal::Report>,
    pub(super) past: watch::Receiver<Option<Arc<Past>>>,
    pub(super) started_at: Instant,
    /// The age below which a reading is fresh.
    pub(super) fresh: Duration,
    pub(super) published_at: Option<Instant>,
    /// Whether the port of HTTP is open, or was found to be taken.
    pub(super) http_tried: watch::Receiver<bool>,
    /// Whether the terminals have heard of the planned stop that is under way.
    pub(super) are_terminals_told: bool,
}

/// What the power task is asked for.
#[derive(Debug)]
pub(super) enum PowerCall {
    /// To stop, in one of its ways.
    Stop(Call),
    /// To reboot out of the hold.
    Reboot,
    /// To boot again, as an operator wants it.
    Restart(Restart),
    /// To have the UPS cut after a power-off that somebody else has called.
    RaiseCut {
        /// The shutdown that it belongs to.
        number: u64,
        /// The earliest time for the cut, from now.
        after: Duration,
    },
    /// To leave the UPS alone after all.
    LowerCut,
    /// To flush the disks.
    Sync,
    /// To write to all terminals.
    Warn(String),
}

/// How far this agent's own call to take the machine down has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Calling {
    /// There is none, or it failed.
    #[default]
    Not,
    /// It is being made.
    Asking,
    /// It was taken.
    Taken,
}

impl Outlets {
    /// Carries one action out. Never waits.
    ///
    /// Returns the outcome where it is known at once.
    pub(super) fn carry_out(
        &mut self,
        coordinator: &mut Coordinator,
        action: Action,
    ) -> Option<Event> {
        match action {
            Action::Tell => self.publish(coordinator, true),
            Action::Stop(call) => {
                self.hurry.send_replace(false);
                let refused = self.call(PowerCall::Stop(call))?;
                return Some(Event::StopUnanswered(refused));
            }
            Action::Hurry => drop(self.hurry.send_replace(true)),
            // Both are asked for again, or for good measure only.
            Action::Reboot => drop(self.call(PowerCall::Reboot)),
            Action::Sync => drop(self.call(PowerCall::Sync)),
            Action::RaiseCut { number, after } => {
                drop(self.call(PowerCall::RaiseCut { number, after }));
            }
            Action::LowerCut => drop(self.call(PowerCall::LowerCut)),
            Action::Wake { host, target } => self.wake(&host, &target),
            Action::Watch(watch) => self.gaze.turn_to(watch),
        }
        None
    }

    /// Tells the peers and shows the state: at once where `must`, else once a beat.
    pub(super) fn publish(&mut self, coordinator: &mut Coordinator, must: bool) {
        let beat = BEAT / self.file.time_factor.max(1);
        // A timer may come a little early.
        let is_due = self.published_at.is_none_or(|at| at.elapsed() + beat / 10 >= beat);
        if !must && !is_due {
            return;
        }
        self.published_at = Some(Instant::now());
        let now = super::boot_time();
        let message = coordinator.message(now);
        let outgoing = Outgoing { message, composed_ms: now.as_millis() };
        self.told.send_replace(Some(Arc::new(outgoing)));
        let snapshot = super::show::snapshot(self, coordinator, now);
        self.verdict.tell(&snapshot);
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    /// Returns whether each port is open, or was found to be taken.
    pub(super) fn has_tried_ports(&self) -> bool {
        *self.http_tried.borrow() && self.peers.borrow().has_tried_port
    }

    /// Has written to all terminals what the people there must hear of at once, and only once: that
    /// it is known which way the machine goes is no news to them. Returns whether they heard it.
    pub(super) fn tell_terminals(&mut self, note: &Note) -> bool {
        if *note == Note::PlannedStopTakenBack {
            self.are_terminals_told = false;
        }
        let Some(text) = super::describe::to_terminals(note, &self.me.name) else { return false };
        // It comes once, and is graver than what they may have heard before.
        if !matches!(note, Note::OwnerLeaves { .. }) {
            if self.are_terminals_told {
                return false;
            }
            self.are_terminals_told = true;
        }
        // What is refused was logged, and this is, too.
        drop(self.call(PowerCall::Warn(text)));
        true
    }

    /// Gives the last state the time to leave.
    pub(super) async fn say_farewell(&self) {
        tokio::time::sleep(FAREWELL).await;
    }

    /// Hands a call to the power task; returns why it does not take it: it hangs in earlier calls,
    /// each of which has a limit of its own.
    fn call(&self, call: PowerCall) -> Option<String> {
        let refused = self.calls.try_send(call).err()?;
        error!(error = %refused, "the call to the operating system has to wait");
        Some("earlier calls have not been answered yet".to_owned())
    }

    fn wake(&self, host: &HostName, target: &WakeTarget) {
        let Ok(address) = target.address.parse() else {
            warn!(%host, address = target.address, "no magic packet: the address is none");
            return;
        };
        let target = Target {
            mac: target.mac.into(),
            address,
            only_to: target.to.as_deref().and_then(|to| to.parse().ok()),
        };
        match Waker::new(self.me.network.listen).send(&target) {
            Ok(sent) => {
                self.counters.wake_packet(host.as_str());
                info!(%host, mac = %target.mac, to = ?sent.to, "magic packet sent");
            }
            Err(failed) => warn!(%host, error = %failed, "no magic packet left"),
        }
    }
}

/// Spawns the task that calls the OS, one call after the other.
pub(super) fn spawn_power(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
    latest: watch::Receiver<Latest>,
    (power, foreign): (Power, Option<Tier>),
    calling: watch::Sender<Calling>,
) -> mpsc::Sender<PowerCall> {
    let (calls, queue) = mpsc::channel(CALL_QUEUE_LEN);
    let caller = Caller {
        power: Arc::new(power),
        foreign,
        inputs: inputs.clone(),
        latest,
        cut_margin: agent.file.shutdown.cut_margin,
        stop_timeout: agent.me.stop_timeout,
        acting: (agent.me.stop_timeout / 4).min(ACTED_MOST),
        state: agent.options.state.clone(),
        last: power::Reason { shutdown: 0, cause: power::Cause::Battery, attempt: 0 },
        reboots: 0,
        calling,
        aside: JoinSet::new(),
    };
    // Not restarted: with it the queue of calls would be gone, and the agent is better off being
    // restarted as a whole.
    supervisor.essential("power", |cancel| caller.run(queue, cancel));
    calls
}

/// The longest that a dry run acts a stop out.
const ACTED_MOST: Duration = Duration::from_secs(5);

/// Calls the OS.
struct Caller {
    power: Arc<Power>,
    /// Of the owner: goes down before its OS is called.
    foreign: Option<Tier>,
    inputs: mpsc::Sender<Input>,
    latest: watch::Receiver<Latest>,
    cut_margin: Duration,
    /// How long the stop of this host may take.
    stop_timeout: Duration,
    /// How long a dry run acts a stop out.
    acting: Duration,
    state: std::path::PathBuf,
    last: power::Reason,
    /// How often a reboot was asked for.
    reboots: u32,
    calling: watch::Sender<Calling>,
    /// Nobody waits for these: a disk may hang, a machine takes its time to go down.
    aside: JoinSet<()>,
}

impl Caller {
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<PowerCall>,
        cancel: CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        loop {
            let call = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(_done) = self.aside.join_next() => continue,
                call = queue.recv() => call,
            };
            match call {
                Some(PowerCall::Stop(call)) => self.stop(&call).await,
                Some(PowerCall::Reboot) => self.reboot().await,
                Some(PowerCall::Restart(restart)) => {
                    let power = Arc::clone(&self.power);
                    let reason = power::Reason { cause: power::Cause::Order, ..self.last };
                    let (state, most) = (self.state.clone(), self.stop_timeout);
                    let (inputs, calling) = (self.inputs.clone(), self.calling.subscribe());
                    let ground = Ground { inputs, state, most, calling };
                    self.aside.spawn(restart.carry_out(power, reason, ground));
                }
                Some(PowerCall::Warn(text)) => {
                    let power = Arc::clone(&self.power);
                    self.aside.spawn(async move { power.warn_terminals(text).await });
                }
                Some(PowerCall::RaiseCut { number, after }) => {
                    self.power.raise_cut(number, &self.cut(after));
                }
                Some(PowerCall::LowerCut) => self.power.lower_cut(),
                Some(PowerCall::Sync) => {
                    self.aside.spawn_blocking(nix::unistd::sync);
                }
                None => return Ok(()),
            }
        }
    }

    async fn stop(&mut self, call: &Call) {
        self.last = power::Reason {
            shutdown: call.number,
            cause: match call.cause {
                Cause::Battery => power::Cause::Battery,
                Cause::Order => power::Cause::Order,
            },
            attempt: call.attempt,
        };
        if call.is_resumed {
            self.power.resume();
        }
        if call.ask_first {
            let goal = match call.end {
                End::Hold => Goal::Held,
                End::Off | End::Cut => Goal::Off,
            };
            match self.power.is_stopping(goal, self.last.cause).await {
                Stopping::Running => {
                    info!("a stop runs already: it is not called again");
                    let outcome = match call.end {
                        End::Hold => Event::HoldEntered(None),
                        End::Off | End::Cut => {
                            self.calling.send_replace(Calling::Taken);
                            self.see_to();
                            Event::StopAccepted
                        }
                    };
                    return self.tell(outcome).await;
                }
                Stopping::Idle => {}
                Stopping::Unknown(why) => info!("whether a stop runs is unknown: {why}"),
            }
        }
        if let Some(foreign) = &mut self.foreign {
            foreign.pass(call.foreign, &self.inputs).await;
        }
        let started = Instant::now();
        if call.end != End::Hold {
            self.calling.send_replace(Calling::Asking);
        }
        let outcome = match call.end {
            End::Off => self.power.stop(&self.last).await,
            End::Hold => {
                let runtime_left = self.latest.borrow().runtime;
                self.power.hold(&self.last, runtime_left).await
            }
            End::Cut => self.power.cut(&self.last, &self.cut(call.cut_after)).await,
        };
        if call.end != End::Hold {
            let is_taken = outcome == Outcome::Accepted;
            self.calling.send_replace(if is_taken { Calling::Taken } else { Calling::Not });
        }
        match outcome {
            Outcome::Accepted => self.accepted(call.end, started.elapsed()).await,
            Outcome::GoesDown => {
                self.calling.send_replace(Calling::Taken);
                self.accepted(End::Off, started.elapsed()).await;
            }
            Outcome::Failed(why) => self.tell(Event::StopFailed(why)).await,
            Outcome::Unanswered(why) => self.tell(Event::StopUnanswered(why)).await,
            // Who was called is killed at its limit.
            Outcome::TimedOut(limit) => {
                let why = format!("it did not answer within {} s", limit.as_secs());
                self.tell(Event::StopFailed(why)).await;
            }
        }
    }

    fn cut(&self, earliest: Duration) -> Cut {
        let method = self.latest.borrow().cut_method.unwrap_or("shutdown.return");
        Cut { method: method.to_owned(), earliest }
    }

    async fn accepted(&mut self, end: End, took: Duration) {
        match end {
            End::Hold => self.tell(Event::HoldEntered(Some(took))).await,
            End::Off | End::Cut => {
                self.tell(Event::StopAccepted).await;
                if self.power.is_dry_run() {
                    self.act_out().await;
                }
                self.see_to();
            }
        }
    }

    /// Has the stop looked after that was taken, or that an earlier run of this agent called.
    fn see_to(&mut self) {
        let (power, reason) = (Arc::clone(&self.power), self.last);
        let left = match reason.cause {
            power::Cause::Battery => self.latest.borrow().runtime,
            power::Cause::Order => None,
        };
        let left = left.map(|left| left.saturating_sub(self.cut_margin));
        let most = left.map_or(self.stop_timeout, |left| left.min(self.stop_timeout));
        self.aside.spawn(async move { power.see_to(&reason, most).await });
    }

    /// A dry run ends the agent as an operating system would.
    async fn act_out(&self) {
        tokio::time::sleep(self.acting).await;
        self.end_agent();
    }

    async fn reboot(&mut self) {
        self.reboots += 1;
        let reason = power::Reason { attempt: self.reboots, ..self.last };
        self.calling.send_replace(Calling::Asking);
        let outcome = self.power.reboot(&reason).await;
        let is_taken = outcome == Outcome::Accepted;
        self.calling.send_replace(if is_taken { Calling::Taken } else { Calling::Not });
        match outcome {
            Outcome::Accepted if self.power.is_dry_run() => {
                if let Err(failed) = clock::renew(&self.state) {
                    error!(error = %failed, "the simulated boot id cannot be renewed");
                }
                self.end_agent();
            }
            Outcome::Accepted | Outcome::GoesDown => info!("the machine reboots"),
            Outcome::Failed(why) | Outcome::Unanswered(why) => {
                error!("the reboot failed: {why}");
            }
            Outcome::TimedOut(limit) => error!(?limit, "the reboot did not answer"),
        }
    }

    /// Tells the agent to end, by the way on which a real OS tells it.
    fn end_agent(&self) {
        debug_assert!(self.power.is_dry_run(), "a real system ends the agent itself");
        let told = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM);
        if let Err(failed) = told {
            error!(error = %failed, "the dry run cannot end the agent");
        }
    }

    async fn tell(&self, event: Event) {
        if self.inputs.send(Input::Fact(event)).await.is_err() {
            info!("the keeper has ended before the outcome of a call");
        }
    }
}
