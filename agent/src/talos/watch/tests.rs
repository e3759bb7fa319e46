//! What is known of a node whose machined is asked, lost and found again.

use std::sync::Arc;

use curfew_proto::talos::common::Code;
use tokio::sync::watch;
use tokio::task::JoinSet;
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
    let talos = Talos::new(machined.socket());
    let views = talos.subscribe();
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let Ok(()) = Watch::new(talos).run(CancellationToken::new()).await;
    });
    Story { machined, views, _watching: watching }
}

impl Story {
    async fn until(&mut self, what: impl FnMut(&Arc<View>) -> bool) -> Arc<View> {
        let seen = timeout(Duration::from_secs(20), self.views.wait_for(what)).await;
        Arc::clone(&seen.expect("it comes to that").expect("the watch lives"))
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
    assert_eq!(view.version.as_deref(), Some("v1.11.6"));
    assert!(!view.node.has_stopped_pods() && !view.is_ours());
    assert_eq!(story.tails(), [(-1, String::new())]);
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
