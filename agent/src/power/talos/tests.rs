//! Stops by a machined that does as it is told, or does not.

use tokio::task::JoinSet;
use tokio::time::interval;
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
    story.until(|view| view.version.is_some()).await;
    story.machined.count_anew();
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Idle);
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    // Between the declaration and the call nothing else is asked.
    assert_eq!(story.machined.count(), 1);
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

impl Story {
    /// Waits until machined has answered others, so that what would have been called was.
    async fn later(&self) {
        for _later in 0..3 {
            self.power.talos().machined().version().await.expect("machined answers");
        }
    }

    async fn until_called(&self, times: usize) {
        let mut looks = interval(Duration::from_millis(5));
        let called = async {
            while self.machined.shutdowns().len() < times {
                looks.tick().await;
            }
        };
        timeout(Duration::from_secs(20), called).await.expect("it is called");
    }
}

/// Each of these would start a stop over, and the pods would lose their grace.
#[tokio::test]
async fn nothing_goes_over_a_call_that_has_not_started_or_that_runs() {
    let mut story = contact(FakeMachined::start()).await;
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(story.power.stop_drained().await, Outcome::GoesDown);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    story.machined.sequence("shutdown", Action::Start, "call-2");
    story.until(|view| view.is_ours()).await;
    assert_eq!(story.power.stop_drained().await, Outcome::GoesDown);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    assert!(!story.power.force_drain().await);
    assert_eq!(story.machined.shutdowns(), [true]);
}

#[tokio::test]
async fn two_orders_to_drain_make_one_call() {
    let story = contact(FakeMachined::start()).await;
    let (first, second) = tokio::join!(story.power.stop_drained(), story.power.stop_drained());
    assert_eq!((first, second), (Outcome::Accepted, Outcome::GoesDown));
    assert_eq!(story.machined.shutdowns(), [false]);
}

/// The drain of this agent's own order is one to take over like any other.
#[tokio::test]
async fn a_drain_that_was_ordered_here_is_taken_over_when_it_has_started() {
    let mut story = contact(FakeMachined::start()).await;
    assert_eq!(story.power.stop_drained().await, Outcome::Accepted);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    story.machined.sequence("shutdown", Action::Start, "call-2");
    story.machined.phase("drain");
    story.until(|view| view.node.draining().is_some()).await;
    assert!(story.power.force_drain().await);
    assert_eq!(story.machined.shutdowns(), [false, true]);
}

#[tokio::test]
async fn a_drain_is_asked_for_only_where_nothing_runs_for_certain() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("boot", Action::Start, "");
    story.until(|view| view.node.is_busy()).await;
    let outcome = story.power.stop_drained().await;
    assert!(matches!(&outcome, Outcome::Failed(why) if why.contains("boot")), "{outcome:?}");
    story.machined.sequence("boot", Action::Stop, "");
    story.until(|view| !view.node.is_busy()).await;
    // The stream stands still, and the stage knows better.
    story.machined.stand_still();
    story.machined.set_stage(Stage::ShuttingDown);
    assert_eq!(story.power.stop_drained().await, Outcome::GoesDown);
    assert!(story.machined.shutdowns().is_empty());
}

#[tokio::test]
async fn a_stream_that_stands_still_is_no_reason_to_call_again() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.stand_still();
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    story.machined.set_stage(Stage::ShuttingDown);
    story.see_to();
    story.until(|view| view.missed.is_some()).await;
    story.later().await;
    assert_eq!(story.machined.shutdowns(), [true]);
    story.machined.set_stage(Stage::Running);
    story.until_called(2).await;
}

/// What holds up the takeover would have the second call dropped as well.
#[tokio::test]
async fn a_call_behind_another_sequence_is_repeated_when_that_has_ended() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("boot", Action::Start, "");
    story.until(|view| view.node.is_busy()).await;
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    story.power.age(TAKEOVER_LIMIT);
    story.see_to();
    let view = story.until(|view| view.missed.is_some()).await;
    assert_eq!(view.missed, Some(Missed::NotStarted(TAKEOVER_LIMIT)));
    story.later().await;
    assert_eq!(story.machined.shutdowns(), [true]);
    let canceled = curfew_proto::talos::common::Code::Canceled;
    story.machined.failed("boot", canceled, "sequence failed: context canceled");
    story.until_called(2).await;
}

/// It had begun before the call, and was not read yet.
#[tokio::test]
async fn a_sequence_that_shows_only_after_the_call_is_waited_for() {
    let mut story = contact(FakeMachined::start()).await;
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    story.machined.sequence("boot", Action::Start, "");
    story.until(|view| view.node.is_busy()).await;
    story.power.age(START_LIMIT);
    story.see_to();
    story.later().await;
    assert_eq!(story.power.talos().view().missed, None, "a takeover has its minute");
    assert_eq!(story.machined.shutdowns(), [true]);
}

#[tokio::test]
async fn one_looks_after_a_stop_at_a_time() {
    let mut story = contact(FakeMachined::start()).await;
    assert_eq!(story.power.stop_drained().await, Outcome::Accepted);
    for _each in 0..3 {
        story.see_to();
    }
    // A shutdown has been declared since: what is repeated does not drain.
    story.power.set_open(true);
    story.until_called(2).await;
    story.later().await;
    assert_eq!(story.machined.shutdowns(), [false, true]);
}

#[tokio::test]
async fn without_a_stream_the_stage_tells_who_was_just_started() {
    let machined = FakeMachined::start();
    machined.set_stage(Stage::ShuttingDown);
    let power = TalosPower::new(Talos::new(machined.socket()));
    assert_eq!(power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert!(machined.shutdowns().is_empty());
}

/// The coordinator takes the reboot of somebody else for its stop, and so does who was restarted.
#[tokio::test]
async fn a_reboot_or_upgrade_past_its_drain_is_left_alone() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("upgrade", Action::Start, "talosctl");
    story.machined.phase("drain");
    story.until(|view| view.node.draining().is_some()).await;
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Order).await, Stopping::Running);
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Idle);
    story.machined.phase("cleanup");
    story.until(|view| view.node.draining().is_none()).await;
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    assert!(story.machined.shutdowns().is_empty());
}

/// No event tells of a call that waits for the boot to give way.
#[tokio::test]
async fn what_an_earlier_run_may_have_called_is_waited_for() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("boot", Action::Start, "");
    story.until(|view| view.node.is_busy()).await;
    story.power.resume();
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Running);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    story.see_to();
    story.later().await;
    assert!(story.machined.shutdowns().is_empty());
    story.power.age(TAKEOVER_LIMIT);
    story.see_to();
    // Nothing was on its way, so this is the first call, and one that may be repeated.
    story.until_called(1).await;
    assert_eq!(story.power.talos().view().missed, None);
}

#[tokio::test]
async fn an_earlier_run_that_called_nothing_costs_no_time_where_nothing_runs() {
    let story = contact(FakeMachined::start()).await;
    story.power.resume();
    assert_eq!(story.power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Idle);
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(story.machined.shutdowns(), [true]);
}

/// It may have been taken, and its START not be read.
#[tokio::test]
async fn after_a_call_without_an_answer_the_stage_is_asked() {
    let story = contact(FakeMachined::start()).await;
    story.machined.refuse(Some(tonic::Status::unavailable("gone")));
    assert!(matches!(story.power.stop(&REASON).await, Outcome::Unanswered(_)));
    assert!(matches!(story.power.stop(&REASON).await, Outcome::Unanswered(_)));
    story.machined.refuse(None);
    story.machined.set_stage(Stage::ShuttingDown);
    assert_eq!(story.power.stop(&REASON).await, Outcome::GoesDown);
    story.machined.set_stage(Stage::Running);
    assert_eq!(story.power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(story.machined.shutdowns(), [true]);
}
