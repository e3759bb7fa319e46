//! The way from machined to the coordinator: that this node is taken down, by whomever.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{Cause, Standing, Status};
use curfew_nut::error::Chain;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Input, pump};
use crate::app::Agent;
use crate::app::keeper::Farewell;
use crate::blocking::Asker;
use crate::os::{Level, News};
use crate::pods;
use crate::power::systemd::logind;
use crate::power::{self, TalosPower};
use crate::snapshot::Snapshot;
use crate::talos::node::Way;
use crate::talos::{Talos, View, Watch};
use crate::task::Supervisor;

/// What is known of the node when the agent is told to end.
pub(in crate::app) struct Node {
    talos: Talos,
    sys: PathBuf,
    /// Asks the kernel whether pods run: what hangs there must hang nobody else.
    pods: Asker,
}

/// Spawns the tasks that listen to machined.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
    power: &TalosPower,
) -> Node {
    let talos = power.talos().clone();
    let followed = talos.clone();
    supervisor.driver("talos", move |cancel| Watch::new(followed.clone()).run(cancel));
    let (views, inputs) = (talos.subscribe(), inputs.clone());
    supervisor.driver("os", move |cancel| {
        let (news, heard) = mpsc::channel(super::NEWS_QUEUE_LEN);
        let (views, inputs) = (views.clone(), inputs.clone());
        async move {
            tokio::select! {
                () = cancel.cancelled() => Ok::<_, Infallible>(()),
                () = feed(views, news) => Ok(()),
                () = pump(heard, inputs) => Ok(()),
            }
        }
    });
    Node::new(talos, agent.me.paths.sys.clone())
}

/// Spawns the task that takes over a drain of somebody else's, where the battery has no time for
/// it.
pub(in crate::app) fn spawn_hurry(
    agent: &Agent,
    supervisor: &mut Supervisor,
    power: &Arc<TalosPower>,
    shown: &watch::Receiver<Arc<Snapshot>>,
) {
    let me = agent.me.name.clone();
    let (power, shown) = (Arc::clone(power), shown.clone());
    supervisor.driver("talos-drain", move |cancel| {
        hurry(me.clone(), Arc::clone(&power), shown.clone(), cancel)
    });
}

async fn hurry(
    me: String,
    power: Arc<TalosPower>,
    mut shown: watch::Receiver<Arc<Snapshot>>,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let mut views = power.talos().subscribe();
    let mut seen = JoinSet::new();
    loop {
        let number = {
            let status = &shown.borrow_and_update().status;
            power.set_open(status.shutdown.is_some());
            status.on_battery(&me)
        };
        let is_draining = views.borrow_and_update().node.draining().is_some();
        if let Some(shutdown) = number.filter(|_| is_draining) {
            let reason = power::Reason { shutdown, cause: power::Cause::Battery, attempt: 1 };
            if power.force_drain().await {
                let power = Arc::clone(&power);
                seen.spawn(async move { power.see_to(&reason).await });
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            Ok(()) = shown.changed() => {}
            Ok(()) = views.changed() => {}
            Some(_over) = seen.join_next() => {}
            else => return Ok(()),
        }
    }
}

/// Whether the battery sets this host a time.
trait OnBattery {
    /// Returns the number of the shutdown by which `host` must be down before the battery is empty.
    fn on_battery(&self, host: &str) -> Option<u64>;
}

impl OnBattery for Status {
    fn on_battery(&self, host: &str) -> Option<u64> {
        let open = self.shutdown.as_ref()?;
        let takes_part = open.participants.iter().any(|name| name.as_str() == host);
        // Who was leaving before takes no part, and loses its power with the others.
        let is_part = takes_part || self.planned_stop.is_some();
        let counts = open.standing == Standing::Declared
            && open.reasons.iter().any(|reason| reason.cause == Cause::Battery);
        (is_part && counts).then_some(open.number)
    }
}

/// Tells each change of what machined's events mean for this host.
async fn feed(mut views: watch::Receiver<Arc<View>>, news: mpsc::Sender<News>) {
    let mut last = Level::Unknown;
    loop {
        let level = level_of(&views.borrow_and_update(), last);
        if level != last {
            if let Level::Down(way) = level {
                info!(?way, "somebody takes the node down");
            } else if matches!(last, Level::Down(_)) {
                info!("the node is not taken down any more");
            }
            last = level;
            let (told, heard) = oneshot::channel();
            if news.send(News { level, told }).await.is_err() {
                return;
            }
            // Nothing waits for it: machined goes on in any case.
            heard.await.unwrap_or_default();
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}

/// On the way down the socket goes as everything does, and what was known stays true; before that
/// nothing is known without it.
fn level_of(view: &View, last: Level) -> Level {
    match view.node.way() {
        _ if !view.contact.was_kept => Level::Unknown,
        Some(way) => Level::Down(os_way(way)),
        None if view.contact.is_kept => Level::Up,
        None => match last {
            Level::Up | Level::Unknown => Level::Unknown,
            Level::Down(_) => last,
        },
    }
}

fn os_way(way: Way) -> Option<logind::Way> {
    match way {
        Way::Off => Some(logind::Way::Off),
        Way::Reboot => Some(logind::Way::Reboot),
        Way::Unknown => None,
    }
}

impl Node {
    fn new(talos: Talos, sys: PathBuf) -> Self {
        Self { talos, sys, pods: Asker::new(PODS_LIMIT) }
    }

    /// Returns what there is to say on SIGTERM. It comes with a change of the configuration, too,
    /// and on the way down it may come while pods still run: for these there is time until `end`.
    pub(super) async fn farewell(&self, inputs: &mpsc::Sender<Input>, end: Instant) -> Farewell {
        let view = self.talos.view();
        if view.node.way().is_none() && !self.goes_down_unseen(&view, inputs).await {
            info!("the agent is ended and the node stays up: nothing is told");
            return Farewell::Silent;
        }
        if timeout_at(end, self.until_pods_stopped()).await.is_ok() {
            return Farewell::Halting;
        }
        warn!("pods still run: this host is not said to be halting");
        Farewell::Last
    }

    /// Where the stream has broken off and nobody could tell.
    async fn goes_down_unseen(&self, view: &View, inputs: &mpsc::Sender<Input>) -> bool {
        if view.contact.is_kept {
            return false;
        }
        let stage = timeout(super::STOPPING_LIMIT, self.talos.machined().stage()).await;
        let Ok(Ok(stage)) = stage else { return false };
        let seen = crate::talos::Node { stage: Some(stage), ..view.node.clone() };
        let Some(way) = seen.way() else { return false };
        let stop = super::event_of(Level::Down(os_way(way)));
        if let Some(stop) = stop
            && inputs.send(Input::Fact(stop)).await.is_err()
        {
            info!("the keeper has ended before it could be told that the node goes down");
        }
        true
    }

    /// The kernel's word counts: machined goes on also when it could not stop all of them.
    async fn until_pods_stopped(&self) {
        let mut looks = interval(LOOK_EVERY);
        let mut is_told = false;
        loop {
            looks.tick().await;
            let has_stopped = match self.pods_run().await {
                Ok(run) => !run,
                Err(why) => {
                    if !is_told {
                        warn!(failure = why, "whether pods run is unknown: the phases say it");
                        is_told = true;
                    }
                    self.talos.view().node.has_stopped_pods()
                }
            };
            if has_stopped {
                return;
            }
        }
    }

    async fn pods_run(&self) -> Result<bool, String> {
        let sys = self.sys.clone();
        match self.pods.ask(move || pods::populated(&sys)).await {
            Ok(Ok(populated)) => Ok(populated.unwrap_or(false)),
            Ok(Err(failed)) => Err(Chain(&failed).to_string()),
            Err(unanswered) => Err(Chain(&unanswered).to_string()),
        }
    }
}

/// The kernel reads its own memory; what takes longer hangs.
const PODS_LIMIT: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
