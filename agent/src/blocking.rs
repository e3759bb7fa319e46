//! One blocking question at a time, on a thread, with a deadline.
//!
//! The kernel may let a thread wait for as long as a disk, a lock or another machine does, and
//! nothing takes it back. So a question that hangs is given up, and no second one is begun beside
//! it: at most one thread is ever lost to each asker.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// An earlier question still waits for its answer.
    #[error("an earlier question has not been answered yet")]
    Wait,
    /// It took longer than the asker waits.
    #[error("no answer within {0:?}")]
    TimeOut(Duration),
    /// The question panicked, or the runtime ends.
    #[error("the thread that asked was lost")]
    Lost(#[source] JoinError),
}

/// Asks one question after another; its clones take turns.
#[derive(Clone, Debug)]
pub struct Asker {
    limit: Duration,
    turn: Arc<Semaphore>,
}

impl Asker {
    /// Takes how long to wait for each answer.
    pub fn new(limit: Duration) -> Self {
        Self { limit, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Asks, unless an earlier question hangs.
    ///
    /// A question that was given up goes on by itself, and so does one whose asking is dropped.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AskError> {
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_held| AskError::Wait)?;
        let asking = spawn_blocking(move || {
            let answer = question();
            drop(turn);
            answer
        });
        let answer = timeout(self.limit, asking).await;
        answer.map_err(|_late| AskError::TimeOut(self.limit))?.map_err(AskError::Lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    #[tokio::test]
    async fn an_answer_comes_back_and_the_next_may_ask() {
        let asker = Asker::new(LIMIT);
        assert_eq!(asker.ask(|| 1).await.unwrap(), 1);
        assert_eq!(asker.clone().ask(|| 2).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_hangs_is_given_up_and_joined_by_no_other() {
        let asker = Asker::new(LIMIT);
        let (answer, hung) = mpsc::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel::<()>();
        // Paused time stands still while a blocking task runs, so the limit is passed by hand.
        let second = async {
            let busy = asker.clone().ask(|| ()).await;
            tokio::time::advance(LIMIT).await;
            busy
        };
        let first = asker.ask(move || {
            hung.recv().unwrap_err();
            drop(done);
        });
        let (first, second) = tokio::join!(biased; first, second);
        assert!(matches!(first, Err(AskError::TimeOut(LIMIT))), "{first:?}");
        assert!(matches!(second, Err(AskError::Wait)), "{second:?}");
        drop(answer);
        is_done.await.unwrap_err();
        while asker.ask(|| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_question_that_panics_leaves_the_turn_to_the_next() {
        let asker = Asker::new(LIMIT);
        let lost = asker.ask(|| panic!("on purpose")).await;
        assert!(matches!(lost, Err(AskError::Lost(_))), "{lost:?}");
        assert_eq!(asker.ask(|| 3).await.unwrap(), 3);
    }
}
