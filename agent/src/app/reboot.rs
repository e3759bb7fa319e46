//! `curfew reboot HOST`: one host boots again, outside of any shutdown, and hurts nobody by it.
//!
//! On Talos its pods are moved away first. Its own reboot never does that: so the node is drained
//! and powered off, and who gave the order has another agent wake it. Everywhere else, and where
//! the order is forced, the operating system reboots by itself.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{Event, HostName, Line, OsStop, Presence, Status};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::Agent;
use super::keeper::Input;
use super::outlet::{Calling, FAREWELL, PowerCall};
use crate::clock;
use crate::cluster_file::{ClusterFile, Host, System};
use crate::peer::{CommandAnswer, Rebooting};
use crate::power::{Outcome, Power, Reason};
use crate::ready::{ReadyProbe, Target};
use crate::snapshot::Snapshot;

/// Where an API server listens, unless the file says otherwise.
const API_PORT: u16 = 6443;

/// How long all API servers together get to answer: what the call itself takes must fit into the
/// operator's patience, too.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What is left where pods cannot be moved away.
const REST: &str = "--force reboots it without moving its pods away";

/// Takes orders to reboot this host.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    file: Arc<ClusterFile>,
    me: Arc<Host>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    calls: mpsc::Sender<PowerCall>,
}

impl Desk {
    pub(super) fn new(
        agent: &Agent,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        calls: mpsc::Sender<PowerCall>,
    ) -> Self {
        let (file, me) = (Arc::new(agent.file.clone()), Arc::new(agent.me.clone()));
        Self { file, me, snapshots, calls }
    }

    /// Refuses an order, or has it carried out. Never waits.
    pub(super) fn take(&self, host: &HostName, force: bool, reply: oneshot::Sender<CommandAnswer>) {
        let plan = match self.judge(host, force) {
            Ok(plan) => plan,
            Err(Refusal { why, agent }) => {
                return answer(reply, CommandAnswer { agent, ..refused(why) });
            }
        };
        let (desk, host) = (self.clone(), host.clone());
        let restart = Restart { desk, host, force, plan, reply };
        let busy = match self.calls.try_send(PowerCall::Restart(restart)) {
            Ok(()) => return,
            Err(
                mpsc::error::TrySendError::Full(call) | mpsc::error::TrySendError::Closed(call),
            ) => call,
        };
        if let PowerCall::Restart(Restart { reply, .. }) = busy {
            answer(reply, refused("earlier calls to the operating system have not been answered"));
        }
    }

    /// Returns how this host boots again, or why not, as things stand now.
    fn judge(&self, host: &HostName, force: bool) -> Result<Plan, Refusal> {
        let order = Order { host, force, file: &self.file, me: &self.me };
        order.judge(&self.snapshots.borrow().status)
    }
}

/// What was ordered, and of whom.
struct Order<'a> {
    host: &'a HostName,
    force: bool,
    file: &'a ClusterFile,
    me: &'a Host,
}

/// How an order is carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Plan {
    /// The pods are moved away first: one of these API servers must answer. None: no drain.
    drain: Option<BTreeSet<Target>>,
    /// What the operator needs to know.
    rebooting: Rebooting,
}

/// Why an order is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Refusal {
    why: String,
    /// It is for another host, whose agent is there.
    agent: Option<String>,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, agent: None }
    }
}

impl Order<'_> {
    /// Returns how this host boots again, or why not now.
    fn judge(&self, status: &Status) -> Result<Plan, Refusal> {
        let Self { host, force, file, me } = *self;
        let Some(named) = file.hosts.iter().find(|it| it.name == host.as_str()) else {
            let known: Vec<_> = file.hosts.iter().map(|it| it.name.as_str()).collect();
            return Err(format!("no host is called {host}: use {}", known.join(", ")).into());
        };
        if named.name != me.name {
            let agent = named.network.peer_endpoint().to_string();
            let why = format!("{host} is another host, its agent is at {agent}");
            return Err(Refusal { why, agent: Some(agent) });
        }
        self.may_leave(status)?;
        if !force {
            self.hurts_nobody(status)?;
        }
        let status_at = std::net::SocketAddr::new(me.network.address, me.network.http_port);
        let mut rebooting = Rebooting { status_at: status_at.to_string(), wakers: Vec::new() };
        if force || !matches!(me.system, System::Talos(_)) {
            return Ok(Plan { drain: None, rebooting });
        }
        rebooting.wakers = self.wakers(status)?;
        let drain = Some(self.api_servers()?);
        Ok(Plan { drain, rebooting })
    }

    fn may_leave(&self, status: &Status) -> Result<(), String> {
        let host = self.host;
        if let Some(open) = &status.shutdown {
            let number = open.number;
            return Err(format!(
                "shutdown {number} is open: wait for its end, or `curfew call-off`"
            ));
        }
        if let Some(stop) = status.planned_stop {
            return Err(format!("{host} {} already, by somebody's hand", stop.in_words()));
        }
        if status.ups.line == Line::Battery {
            return Err("the mains are away: wait until they are back".to_owned());
        }
        let leaving = self.needs().into_iter().find_map(|need| {
            let stop = status.hosts.get(&need)?.planned_stop?;
            Some(format!("{need}, which {host} needs, {}: wait until it is back", stop.in_words()))
        });
        leaving.map_or(Ok(()), Err)
    }

    /// Returns the hosts that this one needs, directly or through others.
    fn needs(&self) -> BTreeSet<HostName> {
        let mut all = BTreeSet::new();
        let mut next: Vec<&str> = self.me.needs.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            let found = self.file.hosts.iter().find(|host| host.name == name);
            if let Some(host) = found.filter(|_| all.insert(HostName::from(name))) {
                next.extend(host.needs.iter().map(String::as_str));
            }
        }
        all
    }

    fn hurts_nobody(&self, status: &Status) -> Result<(), String> {
        if status.live_dependents.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = status.live_dependents.iter().map(HostName::as_str).collect();
        Err(format!(
            "{} use its files and would hang until {} is back: `curfew shutdown --then-wake` stops \
             all in order, --force reboots it all the same",
            names.join(", "),
            self.host
        ))
    }

    /// Returns the agents that could wake this host once it has powered off.
    fn wakers(&self, status: &Status) -> Result<Vec<String>, String> {
        let host = self.host;
        if self.me.waking.mac.is_none() {
            return Err(format!(
                "to move its pods away {host} is powered off, and without a `mac` in the cluster \
                 file nobody can wake it: write it there, or {REST}"
            ));
        }
        let is_there = |it: &&Host| {
            let other = status.hosts.get(&HostName::from(it.name.as_str()));
            it.name != self.me.name
                && other.is_some_and(|other| {
                    other.presence == Presence::Connected && other.planned_stop.is_none()
                })
        };
        let wakers = self.file.hosts.iter().filter(is_there);
        let wakers: Vec<_> = wakers.map(|it| it.network.peer_endpoint().to_string()).collect();
        if wakers.is_empty() {
            return Err(format!(
                "to move its pods away {host} is powered off, and no other agent is there to wake \
                 it: start one, or {REST}"
            ));
        }
        Ok(wakers)
    }

    fn api_servers(&self) -> Result<BTreeSet<Target>, String> {
        let control = self.file.hosts.iter().filter(|host| host.control_plane);
        let targets: BTreeSet<Target> = control
            .filter_map(|host| {
                let (ready, address) = (&host.waking.ready, host.network.address);
                let usual = std::net::SocketAddr::new(address, API_PORT);
                let url = ready.as_ref().map(ToString::to_string);
                url.unwrap_or_else(|| format!("https://{usual}/readyz")).parse().ok()
            })
            .collect();
        if targets.is_empty() {
            return Err("no host of the file has `control-plane = true`, so that nobody can be \
                        asked whether pods can be moved away: write it there, or use --force"
                .to_owned());
        }
        Ok(targets)
    }
}

/// An order that was found good.
#[derive(Debug)]
pub(super) struct Restart {
    desk: Desk,
    host: HostName,
    force: bool,
    plan: Plan,
    reply: oneshot::Sender<CommandAnswer>,
}

/// What carrying it out needs besides.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) inputs: mpsc::Sender<Input>,
    /// The state directory.
    pub(super) state: PathBuf,
    /// How long the stop of this host may take.
    pub(super) most: Duration,
    /// How far this agent's own call to take the machine down has come.
    pub(super) calling: watch::Receiver<Calling>,
}

impl Restart {
    /// Calls the operating system, and says what came of it.
    pub(super) async fn carry_out(
        self,
        power: Arc<Power>,
        reason: Reason,
        Ground { inputs, state, most, calling }: Ground,
    ) {
        let (mut plan, drain) = (Ok(self.plan.clone()), self.plan.drain.as_ref());
        if drain.is_some() {
            plan = match no_api_server(drain).await {
                Some(why) => Err(why),
                None => self.judge_again(&power, *calling.borrow()),
            };
        }
        let Self { reply, .. } = self;
        let Plan { drain, rebooting } = match plan {
            Ok(plan) => plan,
            Err(why) => return answer(reply, refused(why)),
        };
        // Who powers off has to be woken, and only the operator has that done.
        if reply.is_closed() {
            return warn!("the operator has gone: the reboot that was ordered is not begun");
        }
        // An operating system that says nothing of itself is spoken for.
        let is_mute = matches!(&*power, Power::Command(_) | Power::DryRun(_));
        if is_mute {
            tell(&inputs, Some(OsStop::Reboot)).await;
            sleep(FAREWELL).await;
        }
        let outcome = match (power.as_talos(), &drain) {
            (Some(talos), Some(_)) => talos.stop_drained().await,
            (Some(_) | None, _) => power.reboot(&reason).await,
        };
        if let Some(why) = failure(&outcome, drain.is_some()) {
            error!("the reboot that was ordered failed: {why}");
            if is_mute {
                tell(&inputs, None).await;
            }
            return answer(reply, refused(why));
        }
        let sentence = match drain {
            Some(_) => "its pods are moved away, then it powers off and has to be woken",
            None => "it reboots",
        };
        answer(
            reply,
            CommandAnswer {
                is_accepted: true,
                sentence: sentence.to_owned(),
                rebooting: Some(rebooting),
                ..CommandAnswer::default()
            },
        );
        if let (Some(talos), Some(_)) = (power.as_talos(), drain) {
            talos.see_to(&reason).await;
        } else if power.is_dry_run() {
            act_out(&state).await;
        } else if is_mute {
            // By then it has gone down, or it never will.
            sleep(most * 2).await;
            warn!("the reboot was taken, and this host still runs");
            tell(&inputs, None).await;
        }
    }
}

impl Restart {
    /// The probe took its time: an outage may have begun since, or a stop by somebody's hand. A
    /// call on top of either starts it over, with a drain that then may fail.
    fn judge_again(&self, power: &Power, calling: Calling) -> Result<Plan, String> {
        let plan = self.desk.judge(&self.host, self.force).map_err(|refusal| refusal.why)?;
        // Newer than what is shown.
        let talos = power.as_talos();
        let goes_down = talos.is_some_and(|it| it.talos().view().node.way().is_some());
        if goes_down || calling == Calling::Asking {
            return Err(format!("{} goes down already, by another call", self.host));
        }
        Ok(plan)
    }
}

/// A drain without an API server ends with all pods killed. All are asked at once.
async fn no_api_server(drain: Option<&BTreeSet<Target>>) -> Option<String> {
    let (probe, mut asked) = (ReadyProbe::default(), JoinSet::new());
    for target in drain? {
        let (probe, target) = (probe.clone(), target.clone());
        asked.spawn(async move {
            let answer = timeout(PROBE_LIMIT, probe.ask(&target)).await;
            answer.map_err(|_late| {
                let at = match &target {
                    Target::Http { at, .. } | Target::Tcp(at) => at.to_string(),
                    Target::Nfs(at) => at.to_string(),
                };
                format!("{at} has not answered within {} s", PROBE_LIMIT.as_secs())
            })
        });
    }
    let mut reasons = Vec::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(answer)) if answer.is_ready => return None,
            Ok(Ok(answer)) => reasons.push(answer.reason),
            Ok(Err(late)) => reasons.push(late),
            Err(failed) => reasons.push(failed.to_string()),
        }
    }
    reasons.sort_unstable();
    Some(format!(
        "its pods cannot be moved away, no API server answers ({}): wait for it, or --force \
         reboots without moving them",
        reasons.join("; ")
    ))
}

/// A power-off by somebody else is not begun by this order, which would end it with a wake.
fn failure(outcome: &Outcome, is_drained: bool) -> Option<String> {
    match outcome {
        Outcome::GoesDown if is_drained => {
            Some("it goes down already, by another call: see `curfew status`".to_owned())
        }
        Outcome::Accepted | Outcome::GoesDown => None,
        Outcome::Failed(why) | Outcome::Unanswered(why) => {
            Some(format!("its operating system did not take it: {why}"))
        }
        Outcome::TimedOut(limit) => {
            Some(format!("its operating system did not answer within {} s", limit.as_secs()))
        }
    }
}

async fn tell(inputs: &mpsc::Sender<Input>, stop: Option<OsStop>) {
    let (done, carried_out) = oneshot::channel();
    let fact = inputs.send(Input::Fact(Event::OsStopSeen(stop))).await;
    let barrier = inputs.send(Input::Barrier(done)).await;
    if fact.is_err() || barrier.is_err() || carried_out.await.is_err() {
        info!("the keeper has ended before a reboot that was ordered");
    }
}

/// A dry run boots again as another boot of a simulated host, once the answer has left.
async fn act_out(state: &std::path::Path) {
    sleep(FAREWELL).await;
    if let Err(failed) = clock::renew(state) {
        error!(error = %failed, "the simulated boot id cannot be renewed");
    }
    if let Err(failed) = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM) {
        error!(error = %failed, "the dry run cannot end the agent");
    }
}

fn refused(why: impl Into<String>) -> CommandAnswer {
    CommandAnswer { sentence: why.into(), ..CommandAnswer::default() }
}

fn answer(reply: oneshot::Sender<CommandAnswer>, answer: CommandAnswer) {
    if reply.send(answer).is_err() {
        info!("the operator has gone before the answer");
    }
}
