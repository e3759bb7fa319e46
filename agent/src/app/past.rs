//! Tells of the past: reads the history once and follows it, apart from everything else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::HostName;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use crate::blocking::Asker;
use crate::journal::{Entry, Feed, Recorded};
use crate::past::Past;
use crate::task::Supervisor;

/// Two MiB, of a hard disk that spins up, on a machine that is busy with its start.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// What happens at once is folded at once.
const BATCH_LEN: usize = 64;

/// Spawns the task; returns where the past can be read.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    feed: Feed,
) -> watch::Receiver<Option<Arc<Past>>> {
    let (pasts, latest) = watch::channel(None);
    let Feed { recorded, entries } = feed;
    let mut recorded = Some(recorded);
    // A task that is started anew goes on where the one before it was.
    let follower = Arc::new(Mutex::new(Follower { entries, pasts }));
    let me = HostName::from(agent.me.name.as_str());
    supervisor.driver("past", move |cancel| {
        let (me, recorded, follower) = (me.clone(), recorded.take(), Arc::clone(&follower));
        async move {
            let mut follower = follower.lock().await;
            if let Some(recorded) = recorded {
                let past = cancel.run_until_cancelled(read(me, recorded)).await;
                follower.pasts.send_replace(past.map(Arc::new));
            }
            follower.run(cancel).await
        }
    });
    latest
}

struct Follower {
    entries: mpsc::Receiver<Entry>,
    pasts: watch::Sender<Option<Arc<Past>>>,
}

impl Follower {
    async fn run(&mut self, cancel: CancellationToken) -> Result<(), Infallible> {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let next = self.entries.recv_many(&mut batch, BATCH_LEN);
            match cancel.run_until_cancelled(next).await {
                None => return Ok(()),
                // The keeper has ended, and the agent does.
                Some(0) => {
                    cancel.cancelled().await;
                    return Ok(());
                }
                Some(_) => self.pasts.send_modify(|past| {
                    let Some(past) = past.as_mut() else { return };
                    let past = Arc::make_mut(past);
                    for entry in &batch {
                        past.take(entry);
                    }
                }),
            }
        }
    }
}

/// Reads what the files held at the start. What cannot be read is said, and what comes is told.
async fn read(me: HostName, recorded: Option<Recorded>) -> Past {
    let empty = Past::new(me.clone());
    let Some(recorded) = recorded else {
        return failed(empty, "the disk did not answer when the agent started".to_owned());
    };
    let fold = move || {
        let mut past = Past::new(me);
        let outcome = recorded.read(|line| past.read(line));
        (past, outcome)
    };
    match Asker::new(READ_LIMIT).ask(fold).await {
        Ok((past, Ok(()))) => {
            let lines = past.lines();
            info!(lines.known, lines.unknown, lines.unreadable, "the history was read");
            past
        }
        Ok((past, Err(why))) => failed(past, why),
        Err(why) => failed(empty, why.to_string()),
    }
}

fn failed(mut past: Past, why: String) -> Past {
    warn!(why, "the history cannot be read to its end");
    past.fail(why);
    past
}
