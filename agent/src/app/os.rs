//! The way from the operating system to the coordinator: that somebody takes the machine down.

mod talos;

use std::time::Duration;

use curfew_coordinator::{Event, OsStop};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::Agent;
use super::keeper::{Farewell, Input};
use super::outlet::{Calling, FAREWELL};
use crate::os::{Level, News, OsWatch};
use crate::power::Power;
use crate::power::systemd::logind::{Logind, Way};
use crate::task::Supervisor;

pub(super) use self::talos::spawn_hurry;

/// What is known of the machine going down when the agent is told to end.
pub(super) enum Os {
    /// The operating system says nothing of itself.
    Mute,
    /// logind says it.
    Logind(Seen),
    /// machined says it.
    Talos(talos::Node),
}

pub(super) struct Seen {
    logind: Logind,
    level: watch::Receiver<Level>,
    calling: watch::Receiver<Calling>,
}

/// Spawns the task that listens to the operating system, where it says something.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    inputs: &mpsc::Sender<Input>,
    calling: watch::Receiver<Calling>,
    power: &Power,
) -> Os {
    match power {
        Power::Systemd(_) => {}
        Power::Talos(power) => return Os::Talos(talos::spawn(agent, supervisor, inputs, power)),
        Power::Command(_) | Power::DryRun(_) => return Os::Mute,
    }
    let logind = Logind::default();
    let (shown, level) = watch::channel(Level::Unknown);
    let seen = Seen { logind: logind.clone(), level, calling: calling.clone() };
    let inputs = inputs.clone();
    supervisor.driver("os", move |cancel| {
        let (news, heard) = mpsc::channel(NEWS_QUEUE_LEN);
        let (ours, is_ours) = watch::channel(false);
        let watch = OsWatch::new(logind.clone(), news, is_ours, shown.clone());
        let (inputs, calling) = (inputs.clone(), calling.clone());
        async move {
            tokio::select! {
                ended = watch.run(cancel) => ended,
                () = pump(heard, inputs) => Ok(()),
                () = follow(calling, ours) => Ok(()),
            }
        }
    });
    Os::Logind(seen)
}

/// Has the keeper take each change, and answers when the peers have been told.
async fn pump(mut heard: mpsc::Receiver<News>, inputs: mpsc::Sender<Input>) {
    while let Some(News { level, told }) = heard.recv().await {
        if let Some(event) = event_of(level)
            && inputs.send(Input::Fact(event)).await.is_err()
        {
            return;
        }
        let (done, carried_out) = oneshot::channel();
        if inputs.send(Input::Barrier(done)).await.is_err() || carried_out.await.is_err() {
            return;
        }
        sleep(FAREWELL).await;
        if told.send(()).is_err() {
            info!("the others were told, but nobody waited for that any more");
        }
    }
}

/// While this agent takes the machine down itself nobody needs to wait for it.
async fn follow(mut calling: watch::Receiver<Calling>, ours: watch::Sender<bool>) {
    loop {
        ours.send_replace(*calling.borrow_and_update() != Calling::Not);
        if calling.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

impl Os {
    /// Returns what there is to say when the agent is told to end: that the machine goes down, or
    /// soon will, if it does. Has the keeper know what was not known before. What is waited for is
    /// waited for until `end`.
    pub(super) async fn farewell(&self, inputs: &mpsc::Sender<Input>, end: Instant) -> Farewell {
        let goes_down = match self {
            Self::Mute => true,
            Self::Logind(seen) => seen.goes_down(inputs).await,
            Self::Talos(node) => return node.farewell(inputs, end).await,
        };
        if goes_down { Farewell::Halting } else { Farewell::Silent }
    }
}

impl Seen {
    async fn goes_down(&self, inputs: &mpsc::Sender<Input>) -> bool {
        let Self { logind, level, calling } = self;
        if matches!(*level.borrow(), Level::Down(_)) || *calling.borrow() == Calling::Taken {
            return true;
        }
        let question = logind.is_system_stopping();
        let is_stopping = matches!(timeout(STOPPING_LIMIT, question).await, Ok(Ok(true)));
        if is_stopping {
            let stop = Event::OsStopSeen(Some(OsStop::Unknown));
            if inputs.send(Input::Fact(stop)).await.is_err() {
                info!("the keeper has ended before it could be told that the machine goes down");
            }
        }
        is_stopping
    }
}

/// Returns what there is to tell the coordinator; what is unknown is not told.
fn event_of(level: Level) -> Option<Event> {
    let stop = match level {
        Level::Unknown => return None,
        Level::Up => None,
        Level::Down(None) => Some(OsStop::Unknown),
        Level::Down(Some(Way::Off)) => Some(OsStop::Off),
        Level::Down(Some(Way::Reboot)) => Some(OsStop::Reboot),
    };
    Some(Event::OsStopSeen(stop))
}

/// One for each change; they come seconds apart.
const NEWS_QUEUE_LEN: usize = 4;
/// The farewell has two seconds in all.
const STOPPING_LIMIT: Duration = Duration::from_millis(700);
