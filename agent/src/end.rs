//! The end of the process: SIGTERM and SIGINT are heard on a thread of its own, which also sees to
//! it that the process ends in time, whatever hangs.
//!
//! Talos kills an extension service 10 s after SIGTERM, and only then goes on to take the machine
//! down; a process of a container is the first one there, for which the kernel ignores every signal
//! that is not listened for. So this starts before anything else does.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::error;

/// Tells those who wait for it that the process is told to end.
#[derive(Clone, Debug)]
pub struct End(watch::Receiver<Option<&'static str>>);

impl End {
    /// Starts to listen. From the signal on, the process has [`END_LIMIT`].
    pub fn listen() -> io::Result<Self> {
        // Not the agent's own runtime: that may be what hangs.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(entered);
        let (told, heard) = watch::channel(None);
        thread::Builder::new()
            .name("end".to_owned())
            .stack_size(STACK_LEN)
            .spawn(move || runtime.block_on(see_to_the_end(signals, told)))?;
        Ok(Self(heard))
    }

    /// Waits until the process is told to end, and returns by which signal.
    pub async fn told(&mut self) -> &'static str {
        match self.0.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or_default(),
            // The thread is gone, which only its panic could do.
            Err(_lost) => std::future::pending().await,
        }
    }
}

async fn see_to_the_end(
    (mut terminated, mut interrupted): (Signal, Signal),
    told: watch::Sender<Option<&'static str>>,
) {
    let name = tokio::select! {
        _ = terminated.recv() => "SIGTERM",
        _ = interrupted.recv() => "SIGINT",
    };
    told.send_replace(Some(name));
    sleep(END_LIMIT).await;
    // What hangs may be the log: a thread of its own says so, and nobody waits for that.
    drop(thread::Builder::new().spawn(|| {
        error!(limit = ?END_LIMIT, "something hangs: the process ends without it");
    }));
    sleep(LAST_WORD).await;
    leave();
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "main hangs and cannot return")]
fn leave() -> ! {
    std::process::exit(1)
}

/// The promise is five seconds from the signal; what remains is for the kernel, which takes the
/// process apart.
pub const END_LIMIT: Duration = Duration::from_millis(4800);
/// What a log that does not hang needs many times over.
const LAST_WORD: Duration = Duration::from_millis(50);
/// A runtime without tasks.
const STACK_LEN: usize = 256 << 10;
