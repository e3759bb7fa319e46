//! Who may run: one sequence at a time, and when another may take over
//! (`runtime/v1alpha1/v1alpha1_priority_lock.go`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::sequence::Sequence;

/// The lock.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Held by what runs.
    running: Arc<Semaphore>,
    /// Held by who waits to run next; the others queue for it.
    next: Semaphore,
    current: Mutex<Option<(Sequence, CancellationToken)>>,
}

/// The right to run.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Cancelled when another takes over.
    pub(crate) canceled: CancellationToken,
    lock: Arc<Lock>,
    _running: OwnedSemaphorePermit,
}

/// Why something may not run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Denial {
    /// What runs is not taken over.
    Locked,
    /// What ran, or who waited before, did not end in time. Talos tells that to nobody.
    TimedOut,
}

impl Lock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            running: Arc::new(Semaphore::new(1)),
            next: Semaphore::new(1),
            current: Mutex::new(None),
        })
    }

    /// Waits for the turn of `sequence`. One that takes over cancels what runs, which gets `limit`
    /// to end (facts §2.4).
    pub(crate) async fn turn(
        self: &Arc<Self>,
        sequence: Sequence,
        is_takeover: bool,
        limit: Duration,
    ) -> Result<Turn, Denial> {
        let end = Instant::now() + limit;
        let next = timeout_at(end, self.next.acquire()).await;
        let _next = next.ok().and_then(Result::ok).ok_or(Denial::TimedOut)?;
        if let Some((running, canceled)) = self.current() {
            if !is_takeover && !sequence.takes_over(running) {
                return Err(Denial::Locked);
            }
            canceled.cancel();
        }
        let running = timeout_at(end, Arc::clone(&self.running).acquire_owned()).await;
        let running = running.ok().and_then(Result::ok).ok_or(Denial::TimedOut)?;
        let canceled = CancellationToken::new();
        self.set(Some((sequence, canceled.clone())));
        Ok(Turn { canceled, lock: Arc::clone(self), _running: running })
    }

    fn current(&self) -> Option<(Sequence, CancellationToken)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, current: Option<(Sequence, CancellationToken)>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

/// The next may run: first nothing is current any more, then the right to run is free.
impl Drop for Turn {
    fn drop(&mut self) {
        self.lock.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);
    const SHUTDOWN: Sequence = Sequence::Shutdown { force: true };

    #[tokio::test(start_paused = true)]
    async fn who_takes_over_waits_until_the_other_has_ended() {
        let lock = Lock::new();
        let first = lock.turn(SHUTDOWN, true, LIMIT).await.unwrap();
        let second = lock.turn(SHUTDOWN, true, LIMIT);
        let end_first = async {
            first.canceled.cancelled().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, end_first);
        assert!(!second.unwrap().canceled.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_over_from_what_hangs_is_dropped() {
        let lock = Lock::new();
        let first = lock.turn(SHUTDOWN, true, LIMIT).await.unwrap();
        let start = Instant::now();
        let second = lock.turn(SHUTDOWN, true, LIMIT).await;
        assert_eq!(second.map(drop), Err(Denial::TimedOut));
        assert_eq!(start.elapsed(), LIMIT);
        assert!(first.canceled.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reboot_finds_a_shutdown_locked() {
        let lock = Lock::new();
        let first = lock.turn(SHUTDOWN, true, LIMIT).await.unwrap();
        let reboot = lock.turn(Sequence::Reboot { force: false }, false, LIMIT).await;
        assert_eq!(reboot.map(drop), Err(Denial::Locked));
        assert!(!first.canceled.is_cancelled());
    }
}
