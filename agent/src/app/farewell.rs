//! What happens between the signal and the end: the last state is told, then the tasks end.
//!
//! ```text
//! 0 s      ≤ 2.4 s: are the pods gone?   ≤ 0.5 s: mounts   the last state    tasks end     4.8 s
//! SIGTERM ──────────────────────────────► read anew ──────► told ───────────► ≤ 4.4 s ──► leave
//! ```
//!
//! All limits count from the signal, so that what one step takes too long the pods lose.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::holding::{Eye, LAST_LIMIT};
use super::keeper::Input;
use super::os::Os;
use super::outlet::FAREWELL;
use crate::end::{END_LIMIT, End};

/// Waits for SIGTERM or SIGINT; has the keeper say `halting` if the machine goes down, and waits
/// until it has told that. An agent that is merely restarted says nothing.
///
/// Returns until when the tasks should have ended.
pub(super) async fn say(inputs: &mpsc::Sender<Input>, os: &Os, eye: &Eye, mut end: End) -> Instant {
    let signal = end.told().await;
    let told_at = Instant::now();
    info!(signal, "told to end");
    let farewell = async {
        let farewell = os.farewell(inputs, told_at + PODS_LIMIT).await;
        // What this host holds at the very end is what its servers go by.
        eye.look_again(inputs).await;
        let (told, heard) = oneshot::channel();
        if inputs.send(Input::Ending { farewell, told }).await.is_ok() {
            heard.await.unwrap_or_default();
        }
    };
    if timeout_at(told_at + FAREWELL_LIMIT, farewell).await.is_err() {
        warn!("the last state could not be told in time");
    }
    told_at + END_LIMIT - LEAVING
}

/// Two seconds and a half for what runs, half a one for the mounts, one for the record on a disk
/// that is busy with the end, the rest for the network.
const FAREWELL_LIMIT: Duration = Duration::from_millis(4200);
const PODS_LIMIT: Duration = Duration::from_millis(2400);
const RECORD_MOST: Duration = Duration::from_secs(1);
const _: () = assert!(
    PODS_LIMIT.as_millis()
        + LAST_LIMIT.as_millis()
        + RECORD_MOST.as_millis()
        + FAREWELL.as_millis()
        <= FAREWELL_LIMIT.as_millis(),
    "a last state that is found too late is told to nobody"
);
/// To abort the tasks that have not ended by then, and to give up threads that hang.
const LEAVING: Duration = Duration::from_millis(400);
