//! What is known of a node whose machined is asked, lost and found again.

use std::sync::Arc;

use curfew_proto::talos::common::Code;
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::interval;
use tonic::Status;

use super::*;
use crate::talos::node::{Action, Stage, Way};
use crate::talos::stand_in::{Asked, FakeMachined};
use crate::talos::{Talos, View};

struct Story {
    machined: FakeMachined,
    views: watch::Receiver<Arc<View>>,
    _watching: JoinSet<()>,
}

fn follow(machined: FakeMachined) -> Story {
    let watch = Watch::new(Talos::new(machined.socket()));
    follow_by(watch, machined)
}

fn follow_by(watch: Watch, machined: FakeMachined) -> Story {
    let views = watch.talos.subscribe();
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let Ok(()) = watch.run(CancellationToken::new()).await;
    });
    Story { machined, views, _watching: watching }
}

impl Story {
    async fn until(&mut self, what: impl FnMut(&Arc<View>) -> bool) -> Arc<View> {
        let seen = timeout(Duration::from_secs(20), self.views.wait_for(what)).await;
        Arc::clone(&seen.expect("it comes to that").expect("the watch lives"))
    }

    /// Waits until the events are asked for.
    async fn until_asked(&self) {
        while self.tails().is_empty() {
            yield_now().await;
        }
    }

    /// Has something said that means nothing, at this pace.
    async fn chatter(&self, every: Duration, times: usize) {
        let mut pace = interval(every);
        for _ in 0..times {
            pace.tick().await;
            self.machined.phase("noise");
        }
    }

    fn tails(&self) -> Vec<(i32, String)> {
        let asked = self.machined.asked().into_iter();
        let tail = |asked| match asked {
            Asked::Events(asked) => Some((asked.tail_events, asked.tail_id)),
            Asked::Shutdown { .. } | Asked::Reboot => None,
        };
        asked.filter_map(tail).collect()
    }
}

#[tokio::test]
async fn what_happened_before_the_agent_started_is_known_at_once() {
    let machined = FakeMachined::start();
    machined.sequence("boot", Action::Start, "");
    machined.sequence("boot", Action::Stop, "");
    machined.stage(Stage::Running);
    machined.sequence("shutdown", Action::Start, "somebody");
    machined.phase("storeShutdown");
    machined.phase("cleanup");
    machined.set_stage(Stage::ShuttingDown);
    let mut story = follow(machined);
    // The first view with contact has all of it, and no half.
    let view = story.until(|view| view.contact.is_kept).await;
    assert_eq!(view.node.way(), Some(Way::Off));
    assert_eq!(view.node.stage, Some(Stage::ShuttingDown));
    assert!(!view.node.has_stopped_pods() && !view.is_ours());
    assert_eq!(story.tails(), [(-1, String::new())]);
    let view = story.until(|view| view.version.is_some()).await;
    assert_eq!(view.version.as_deref(), Some("v1.11.6"));
}

/// Who waits for it has little time.
#[tokio::test]
async fn what_is_known_does_not_wait_for_the_version() {
    let machined = FakeMachined::start();
    machined.keep_version(true);
    let start = Instant::now();
    let mut story = follow(machined);
    let view = story.until(|view| view.contact.is_kept).await;
    assert!(view.version.is_none() && start.elapsed() < ASK_LIMIT, "{:?}", start.elapsed());
    story.machined.keep_version(false);
    story.until(|view| view.version.is_some()).await;
}

/// Its stream would say nothing for hours, as that of a node does where nothing happens.
#[tokio::test]
async fn a_machined_that_answers_no_more_is_lost_though_its_stream_is_open() {
    let machined = FakeMachined::start();
    let ask_every = Duration::from_millis(20);
    let watch = Watch { ask_every, ..Watch::new(Talos::new(machined.socket())) };
    let mut story = follow_by(watch, machined);
    story.until(|view| view.contact.is_kept && view.version.is_some()).await;
    story.machined.keep_version(true);
    let view = story.until(|view| !view.contact.is_kept).await;
    let problem = view.problem().expect("there is one");
    assert!(problem.is_grave && problem.reason.contains("`Version`"), "{problem:?}");
    story.machined.keep_version(false);
    story.until(|view| view.contact.is_kept).await;
}

/// The one before may have ended without a word.
#[tokio::test]
async fn a_watch_begins_without_contact() {
    let machined = FakeMachined::start();
    machined.refuse(Some(Status::permission_denied("not authorized")));
    let talos = Talos::new(machined.socket());
    talos.modify(|view| (view.contact.is_kept, view.contact.was_kept) = (true, true));
    let mut story = follow_by(Watch::new(talos), machined);
    let view = story.until(|view| !view.contact.is_kept).await;
    assert_eq!(view.contact.failure, None, "nobody has asked yet");
    assert!(view.contact.was_kept);
}

/// It is refused after the greeting.
#[tokio::test]
async fn a_place_that_machined_does_not_know_is_given_up() {
    let machined = FakeMachined::start();
    machined.sequence("reboot", Action::Start, "somebody");
    let tail = Tail::After("no id".to_owned());
    let watch = Watch { tail, ..Watch::new(Talos::new(machined.socket())) };
    let mut story = follow_by(watch, machined);
    let view = story.until(|view| view.contact.is_kept).await;
    assert_eq!(view.node.way(), Some(Way::Reboot));
    assert_eq!(story.tails(), [(0, "no id".to_owned()), (-1, String::new())]);
}

/// On some nodes something is said each second, and the agent is to know all the same.
#[tokio::test]
async fn a_canceled_sequence_is_published_in_time_whatever_else_is_said() {
    let mut story = follow(FakeMachined::start());
    story.until(|view| view.contact.is_kept).await;
    story.machined.sequence("shutdown", Action::Start, "first");
    story.until(|view| view.node.way() == Some(Way::Off)).await;
    story.machined.sequence("shutdown", Action::Stop, "first");
    story.machined.failed("shutdown", Code::Canceled, "sequence failed: context canceled");
    let mut views = story.views.clone();
    let seen = views.wait_for(|view| view.node.way().is_none());
    tokio::select! {
        seen = timeout(SETTLE * 5, seen) => drop(seen.expect("it is seen").expect("it lives")),
        () = story.chatter(SETTLE / 4, usize::MAX) => {}
    }
}

/// Nor is the gap seen by an agent that comes to it, whatever is said in it.
#[tokio::test]
async fn nobody_sees_the_gap_who_comes_in_the_middle_of_it() {
    let machined = FakeMachined::start();
    machined.sequence("shutdown", Action::Start, "first");
    machined.sequence("shutdown", Action::Stop, "first");
    machined.failed("shutdown", Code::Canceled, "sequence failed: context canceled");
    let mut story = follow(machined);
    story.until_asked().await;
    // Beyond the past, and not as long as until the gap is taken for the end.
    story.chatter(QUIET * 2, 3).await;
    story.machined.sequence("shutdown", Action::Start, "second");
    let view = story.until(|view| view.contact.is_kept).await;
    assert_eq!(view.node.way(), Some(Way::Off));
}

#[tokio::test]
async fn a_stream_that_broke_goes_on_after_the_last_event() {
    let machined = FakeMachined::start();
    machined.sequence("boot", Action::Start, "");
    machined.sequence("boot", Action::Stop, "");
    let mut story = follow(machined);
    story.until(|view| view.contact.is_kept).await;
    story.machined.end().await;
    let view = story.until(|view| !view.contact.is_kept).await;
    assert!(view.problem().is_some_and(|problem| problem.is_grave), "{view:?}");
    story.machined.sequence("shutdown", Action::Start, "somebody");
    story.machined.listen();
    let view = story.until(|view| view.contact.is_kept).await;
    assert_eq!(view.node.way(), Some(Way::Off), "it happened in between");
    assert_eq!(story.tails(), [(-1, String::new()), (0, format!("{:020}", 2))]);
    assert_eq!(view.problem(), None);
}

#[tokio::test]
async fn the_stage_tells_what_no_event_is_left_of() {
    let machined = FakeMachined::start();
    machined.set_stage(Stage::Upgrading);
    let mut story = follow(machined);
    let view = story.until(|view| view.contact.is_kept).await;
    assert_eq!(view.node.way(), Some(Way::Reboot));
}

/// The moment between the two is not a node that stays up.
#[tokio::test]
async fn nobody_sees_the_gap_between_a_canceled_sequence_and_what_takes_it_over() {
    let mut story = follow(FakeMachined::start());
    story.until(|view| view.contact.is_kept).await;
    story.machined.sequence("shutdown", Action::Start, "first");
    story.until(|view| view.node.way() == Some(Way::Off)).await;
    story.machined.sequence("shutdown", Action::Stop, "first");
    story.machined.failed("shutdown", Code::Canceled, "sequence failed: context canceled");
    let gap = story.views.wait_for(|view| view.node.way().is_none());
    assert!(timeout(Duration::from_millis(200), gap).await.is_err(), "it was seen");
    story.machined.sequence("shutdown", Action::Start, "second");
    let view = story.until(|view| view.node.run.as_ref().is_some_and(|it| it.actor == "second"));
    assert_eq!(view.await.node.way(), Some(Way::Off));
    // Without one that follows the node stays up, and somebody must look at it.
    story.machined.sequence("shutdown", Action::Stop, "second");
    story.machined.failed("shutdown", Code::Canceled, "sequence failed: context canceled");
    let view = story.until(|view| view.node.way().is_none()).await;
    assert!(view.problem().unwrap().reason.contains("canceled"), "{view:?}");
}

#[tokio::test]
async fn an_agent_that_is_refused_says_so_until_it_is_let_in() {
    let machined = FakeMachined::start();
    machined.refuse(Some(Status::permission_denied("not authorized")));
    let mut story = follow(machined);
    let view = story.until(|view| view.contact.failure.is_some()).await;
    let problem = view.problem().expect("there is one");
    assert!(problem.is_grave && problem.reason.contains("not authorized"), "{problem:?}");
    assert!(problem.remedy.contains("os:operator"), "{problem:?}");
    story.machined.refuse(None);
    let view = story.until(|view| view.contact.is_kept).await;
    assert_eq!(view.problem(), None);
}
