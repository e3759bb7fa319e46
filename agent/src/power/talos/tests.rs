//! Stops by a machined that does as it is told, or does not.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::talos::Watch;
use crate::talos::node::Action;
use crate::talos::stand_in::FakeMachined;

const REASON: Reason = Reason { shutdown: 7, cause: Cause::Battery, attempt: 1 };

struct Story {
    machined: FakeMachined,
    power: Arc<TalosPower>,
    tasks: JoinSet<()>,
}

/// Returns a host whose agent has contact with machined.
async fn contact(machined: FakeMachined) -> Story {
    let talos = Talos::new(machined.socket());
    let power = Arc::new(TalosPower::new(talos.clone()));
    let mut tasks = JoinSet::new();
    let watched = talos.clone();
    tasks.spawn(async move {
        let Ok(()) = Watch::new(watched).run(CancellationToken::new()).await;
    });
    let mut story = Story { machined, power, tasks };
    story.until(|view| view.contact.is_kept).await;
    story
}

impl Story {
    async fn until(&mut self, what: impl FnMut(&Arc<View>) -> bool) -> Arc<View> {
        let mut views = self.power.talos().subscribe();
        let seen = timeout(Duration::from_secs(100), views.wait_for(what)).await;
        Arc::clone(&seen.expect("it comes to that").expect("the watch lives"))
    }

    fn see_to(&mut self) {
        let power = Arc::clone(&self.power);
        self.tasks.spawn(async move { power.see_to(&REASON).await });
    }
}

#[tokio::test]
async fn a_stop_is_called_once_by_force_and_at_once() {
    let mut story = contact(FakeMachined::start()).await;
    let started = Instant::now();
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Idle);
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    assert!(started.elapsed() < Duration::from_millis(50), "{:?}", started.elapsed());
    story.see_to();
    story.machined.sequence("shutdown", Action::Start, "call-2");
    let view = story.until(|view| view.node.is_shutting_down()).await;
    assert!(view.is_ours(), "{view:?}");
    assert_eq!(view.problem(), None);
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert_eq!(story.machined.shutdowns(), [true]);
}

#[tokio::test]
async fn a_stop_that_runs_since_before_the_agent_started_is_not_called_again() {
    let machined = FakeMachined::start();
    machined.sequence("shutdown", Action::Start, "an earlier run of this agent");
    machined.phase("cleanup");
    // Nobody has been asked yet when the coordinator wants to know.
    let talos = Talos::new(machined.socket());
    let power = TalosPower::new(talos.clone());
    let watch = Watch::new(talos);
    let cancel = CancellationToken::new();
    tokio::select! {
        answer = power.is_stopping(Goal::Off, Cause::Battery) => {
            assert_eq!(answer, Stopping::Running);
        }
        _ended = watch.run(cancel) => panic!("the watch has ended"),
    }
    assert!(machined.shutdowns().is_empty());
}

#[tokio::test]
async fn a_drain_of_somebody_else_is_taken_over_once_where_the_battery_counts() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.machined.phase("drain");
    story.until(|view| view.node.draining().is_some()).await;
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Order).await, Stopping::Running);
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Idle);
    assert!(story.power.force_drain().await);
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert!(!story.power.force_drain().await);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    assert_eq!(story.machined.shutdowns(), [true]);
}

#[tokio::test]
async fn a_shutdown_past_its_drain_is_left_alone() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.machined.phase("drain");
    story.machined.phase("cleanup");
    story
        .until(|view| {
            view.node.run.as_ref().is_some_and(|run| run.phase.as_deref() == Some("cleanup"))
        })
        .await;
    assert!(!story.power.force_drain().await);
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert!(story.machined.shutdowns().is_empty());
}

#[tokio::test]
async fn a_call_of_which_nothing_comes_is_told_and_made_once_more() {
    let mut story = contact(FakeMachined::start()).await;
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    story.see_to();
    let view = story.until(|view| view.missed.is_some()).await;
    let problem = view.problem().expect("there is one");
    assert!(problem.is_grave && problem.reason.contains("within 5 s"), "{problem:?}");
    let called_again = async {
        while story.machined.shutdowns().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), called_again).await.expect("nothing runs, so it is called");
    story.machined.sequence("shutdown", Action::Start, "late");
    let view = story.until(|view| view.node.is_shutting_down()).await;
    assert_eq!(view.problem(), None, "it goes down after all");
    assert_eq!(story.machined.shutdowns(), [true, true]);
}

/// A second call on top of the shutdown of somebody else would start that over.
#[tokio::test]
async fn a_call_that_another_shutdown_has_taken_over_is_not_made_again() {
    let mut story = contact(FakeMachined::start()).await;
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    story.see_to();
    story.machined.sequence("shutdown", Action::Start, "call-2");
    story.until(|view| view.is_ours()).await;
    story.machined.sequence("shutdown", Action::Stop, "call-2");
    let canceled = curfew_proto::talos::common::Code::Canceled;
    story.machined.failed("shutdown", canceled, "sequence failed: context canceled");
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.until(|view| view.node.is_shutting_down() && !view.is_ours()).await;
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert_eq!(story.machined.shutdowns(), [true]);
}

#[tokio::test]
async fn a_refused_call_has_failed_and_is_told() {
    let story = contact(FakeMachined::start()).await;
    story.machined.refuse(Some(tonic::Status::permission_denied("not authorized")));
    let outcome = story.power.stop(&REASON).await;
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.contains("not authorized")),
        "{outcome:?}"
    );
    let problem = story.power.talos().view().problem().expect("there is one");
    assert!(problem.reason.contains("not authorized"), "{problem:?}");
}

#[tokio::test]
async fn a_call_that_broke_off_may_have_been_taken() {
    let story = contact(FakeMachined::start()).await;
    story.machined.refuse(Some(tonic::Status::unavailable("gone")));
    let outcome = story.power.stop(&REASON).await;
    assert!(matches!(outcome, Outcome::Unanswered(_)), "{outcome:?}");
}

#[tokio::test]
async fn without_its_stream_the_stage_says_whether_a_stop_runs() {
    let mut story = contact(FakeMachined::start()).await;
    story.tasks.shutdown().await;
    story.power.talos().modify(|view| view.contact.is_kept = false);
    let ask = async |story: &Story| story.power.is_stopping(Goal::Off, Cause::Battery).await;
    assert_eq!(ask(&story).await, Stopping::Idle);
    story.machined.set_stage(Stage::ShuttingDown);
    assert_eq!(ask(&story).await, Stopping::Running);
    story.machined.end().await;
    let answer = ask(&story).await;
    assert!(
        matches!(&answer, Stopping::Unknown(why) if why.contains("machine.sock")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn talos_neither_holds_nor_cuts() {
    let story = contact(FakeMachined::start()).await;
    assert!(matches!(story.power.hold(), Outcome::Failed(_)));
    assert!(matches!(story.power.cut(), Outcome::Failed(_)));
    assert_eq!(story.power.reboot().await, Outcome::Accepted);
    assert_eq!(story.power.stop_drained().await, Outcome::Accepted);
    assert_eq!(story.machined.shutdowns(), [false]);
}
