//! The life of tasks, on paused time.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("the world has gone")]
struct GoneError;

fn supervisor() -> Supervisor {
    Supervisor::new(CancellationToken::new())
}

async fn until_cancelled(cancel: CancellationToken) -> Result<(), Infallible> {
    cancel.cancelled().await;
    Ok(())
}

#[expect(clippy::unused_async, reason = "a task that panics when it is polled")]
async fn impossible(what: &str) -> Result<(), Infallible> {
    panic!("impossible {what}");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_is_restarted_and_touches_nobody_else() {
    let mut supervisor = supervisor();
    let restarts = supervisor.restarts();
    let (lives, mut births) = mpsc::channel(8);
    supervisor.essential("event-loop", until_cancelled);
    supervisor.driver("nut-monitor", move |_cancel| {
        let lives = lives.clone();
        async move {
            lives.send(Instant::now()).await.unwrap();
            impossible("line").await
        }
    });
    let mut pauses = Vec::new();
    let mut last = births.recv().await.unwrap();
    for _ in 0..7 {
        let birth = births.recv().await.unwrap();
        pauses.push((birth - last).as_secs());
        last = birth;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    // The eighth life may have ended too by now.
    let restarted = restarts.borrow().get("nut-monitor").cloned().unwrap_or_default();
    assert!(restarted.count >= 7);
    assert_eq!(restarted.why, "it panicked, which is a bug: impossible line");
    assert_eq!(supervisor.stop(Duration::from_secs(1)).await, Vec::<TaskName>::new());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_ran_long_starts_with_the_shortest_backoff_again() {
    let mut supervisor = supervisor();
    let (lives, mut births) = mpsc::channel(8);
    let count = Arc::new(AtomicU64::new(0));
    supervisor.driver("nut-monitor", move |_cancel| {
        let lives = lives.clone();
        let life = count.fetch_add(1, Ordering::Relaxed);
        async move {
            lives.send(Instant::now()).await.unwrap();
            if life == 2 {
                sleep(BACKOFF_FORGET).await;
            }
            Err(GoneError)
        }
    });
    let mut pauses = Vec::new();
    let mut last = births.recv().await.unwrap();
    for _ in 0..4 {
        let birth = births.recv().await.unwrap();
        pauses.push((birth - last).as_secs());
        last = birth;
    }
    assert_eq!(pauses, [1, 2, 61, 2]);
}

#[tokio::test]
async fn the_end_of_an_essential_task_is_told_with_its_name_and_reason() {
    let mut supervisor = supervisor();
    supervisor.essential("event-loop", |_cancel| impossible("state"));
    let ended = supervisor.ended().await;
    assert_eq!(ended.task, "event-loop");
    assert!(matches!(ended.how, Ending::Panicked(message) if message == "impossible state"));

    supervisor.essential("http", |_cancel| async { Err(GoneError) });
    let ended = supervisor.ended().await;
    assert!(matches!(ended.how, Ending::Failed(why) if why.to_string() == "the world has gone"));

    supervisor.essential("journal", |_cancel| async { Ok::<(), Infallible>(()) });
    assert!(matches!(supervisor.ended().await.how, Ending::Finished));
}

#[tokio::test(start_paused = true)]
async fn stopping_joins_the_willing_and_names_the_others() {
    let mut supervisor = supervisor();
    let (held, mut released) = mpsc::channel::<()>(1);
    supervisor.driver("peers", until_cancelled);
    supervisor.driver("wedged", move |_cancel| {
        let held = held.clone();
        async move {
            let _held = held;
            std::future::pending::<Result<(), Infallible>>().await
        }
    });
    let before = Instant::now();
    assert_eq!(supervisor.stop(Duration::from_secs(3)).await, ["wedged"]);
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    assert_eq!(released.recv().await, None, "an aborted driver is dropped, not left behind");
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_a_backoff() {
    let mut supervisor = supervisor();
    let mut restarts = supervisor.restarts();
    supervisor.driver("nut-monitor", |_cancel| async { Err(GoneError) });
    let has_five = |all: &Restarts| all.get("nut-monitor").is_some_and(|it| it.count == 5);
    restarts.wait_for(has_five).await.unwrap();
    let before = Instant::now();
    assert_eq!(supervisor.stop(Duration::from_secs(10)).await, Vec::<TaskName>::new());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_supervisor_ends_its_tasks() {
    let mut supervisor = supervisor();
    let (held, mut released) = mpsc::channel::<()>(1);
    supervisor.driver("wedged", move |_cancel| {
        let held = held.clone();
        async move {
            let _held = held;
            std::future::pending::<Result<(), Infallible>>().await
        }
    });
    tokio::task::yield_now().await;
    drop(supervisor);
    assert_eq!(released.recv().await, None);
}
