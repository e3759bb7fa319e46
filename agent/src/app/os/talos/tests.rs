//! What the coordinator hears of a Talos node, and what is said at its end.

use std::path::Path;

use curfew_coordinator::Trigger;
use tokio::task::JoinSet;

use super::*;
use crate::talos::node::{Action, Stage};
use crate::talos::stand_in::FakeMachined;
use crate::test_directory::TestDirectory;

/// A node whose agent listens to machined.
struct Story {
    machined: FakeMachined,
    node: Node,
    sys: TestDirectory,
    tasks: JoinSet<()>,
}

async fn contact(machined: FakeMachined) -> Story {
    let talos = Talos::new(machined.socket());
    let sys = TestDirectory::in_memory();
    let node = Node::new(talos.clone(), sys.path().to_owned());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let Ok(()) = Watch::new(talos).run(CancellationToken::new()).await;
    });
    let mut story = Story { machined, node, sys, tasks };
    story.until(|view| view.contact.is_kept).await;
    story
}

impl Story {
    async fn until(&mut self, what: impl FnMut(&Arc<View>) -> bool) {
        let mut views = self.node.talos.subscribe();
        let seen = timeout(Duration::from_secs(20), views.wait_for(what)).await;
        drop(seen.expect("it comes to that").expect("the watch lives"));
    }

    /// Has the kernel say whether pods run.
    fn populate(&self, is_populated: bool) {
        let cgroup = self.sys.path().join("fs/cgroup/kubepods");
        std::fs::create_dir_all(&cgroup).expect("the directory is ours");
        let text = format!("populated {}\nfrozen 0\n", u8::from(is_populated));
        write(&cgroup.join("cgroup.events"), &text);
    }

    async fn farewell(&self) -> (Farewell, Vec<Input>) {
        let (inputs, mut queue) = mpsc::channel(4);
        let end = Instant::now() + Duration::from_secs(1);
        let farewell = self.node.farewell(&inputs, end).await;
        drop(inputs);
        let mut told = Vec::new();
        while let Some(input) = queue.recv().await {
            told.push(input);
        }
        (farewell, told)
    }

    async fn say(&self) -> Farewell {
        self.farewell().await.0
    }
}

#[expect(clippy::disallowed_methods, reason = "a stand-in for the kernel needs no fsync")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the directory is ours");
}

#[tokio::test]
async fn a_change_of_the_configuration_is_no_farewell() {
    let story = contact(FakeMachined::start()).await;
    story.populate(true);
    let started = Instant::now();
    assert_eq!(story.say().await, Farewell::Silent);
    assert!(started.elapsed() < Duration::from_millis(500), "it waits for nothing");
}

#[tokio::test]
async fn a_host_halts_when_its_pods_are_stopped_and_not_before() {
    let mut story = contact(FakeMachined::start()).await;
    story.populate(true);
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.machined.phase("cleanup");
    story.machined.phase("dbus");
    story.machined.phase("stopServices");
    story.until(|view| view.node.has_stopped_pods()).await;
    // machined went on although it could not stop them all.
    assert_eq!(story.say().await, Farewell::Last);
    story.populate(false);
    assert_eq!(story.say().await, Farewell::Halting);
}

/// Without the kernel's word the phases count.
#[tokio::test]
async fn where_the_cgroup_cannot_be_read_the_phase_says_it() {
    let mut story = contact(FakeMachined::start()).await;
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.machined.phase("cleanup");
    story.until(|view| view.node.is_shutting_down()).await;
    assert_eq!(story.say().await, Farewell::Last);
    story.machined.phase("dbus");
    story.until(|view| view.node.has_stopped_pods()).await;
    assert_eq!(story.say().await, Farewell::Halting);
}

#[tokio::test]
async fn pods_that_stop_in_the_last_moment_are_waited_for() {
    let mut story = contact(FakeMachined::start()).await;
    story.populate(true);
    story.machined.sequence("reboot", Action::Start, "talosctl");
    story.until(|view| view.node.way() == Some(Way::Reboot)).await;
    let stopped = async {
        tokio::task::yield_now().await;
        story.populate(false);
    };
    let (farewell, ()) = tokio::join!(story.say(), stopped);
    assert_eq!(farewell, Farewell::Halting);
}

#[tokio::test]
async fn who_has_lost_the_stream_asks_and_has_it_told() {
    let mut story = contact(FakeMachined::start()).await;
    story.populate(false);
    story.tasks.shutdown().await;
    story.node.talos.modify(|view| view.contact.is_kept = false);
    assert_eq!(story.say().await, Farewell::Silent);
    story.machined.set_stage(Stage::ShuttingDown);
    let (farewell, told) = story.farewell().await;
    assert_eq!(farewell, Farewell::Halting);
    let off = curfew_coordinator::Event::OsStopSeen(Some(curfew_coordinator::OsStop::Off));
    assert!(matches!(told.as_slice(), [Input::Fact(fact)] if *fact == off), "{told:?}");
}

#[tokio::test]
async fn each_change_is_told_and_what_was_known_outlives_the_socket() {
    let mut story = contact(FakeMachined::start()).await;
    let (news, mut heard) = mpsc::channel(1);
    let views = story.node.talos.subscribe();
    story.tasks.spawn(async move { feed(views, news).await });
    let mut next = async || {
        let News { level, told } = heard.recv().await.expect("the feed lives");
        told.send(()).expect("the feed waits");
        level
    };
    assert_eq!(next().await, Level::Up);
    story.machined.sequence("upgrade", Action::Start, "talosctl");
    assert_eq!(next().await, Level::Down(Some(logind::Way::Reboot)));
    story.machined.sequence("upgrade", Action::Stop, "talosctl");
    let canceled = curfew_proto::talos::common::Code::Canceled;
    story.machined.failed("upgrade", canceled, "sequence failed: context canceled");
    assert_eq!(next().await, Level::Up);
    story.machined.sequence("reset", Action::Start, "talosctl");
    assert_eq!(next().await, Level::Down(None));
    story.machined.sequence("shutdown", Action::Start, "");
    assert_eq!(next().await, Level::Down(Some(logind::Way::Off)));
    story.machined.end().await;
    story.until(|view| !view.contact.is_kept).await;
    let view = story.node.talos.view();
    let off = Level::Down(Some(logind::Way::Off));
    assert_eq!(level_of(&view, off), off);
}

#[tokio::test]
async fn without_machined_nothing_is_known_of_a_node_that_was_up() {
    let story = contact(FakeMachined::start()).await;
    let mut view = (*story.node.talos.view()).clone();
    assert_eq!(level_of(&view, Level::Unknown), Level::Up);
    view.contact.is_kept = false;
    assert_eq!(level_of(&view, Level::Up), Level::Unknown);
    view.contact.was_kept = false;
    assert_eq!(level_of(&view, Level::Unknown), Level::Unknown);
}

/// Returns what is shown while `cause` has a shutdown declared.
fn declared(cause: Cause) -> Snapshot {
    let mut snapshot = crate::health::tests::snapshot();
    let trigger = match cause {
        Cause::Battery => Trigger::LowBattery,
        Cause::Order => Trigger::Operator,
    };
    crate::health::tests::declare(&mut snapshot, trigger, cause);
    snapshot
}

#[tokio::test]
async fn a_drain_is_taken_over_when_the_battery_sets_a_time_and_not_before() {
    let mut story = contact(FakeMachined::start()).await;
    let power = Arc::new(TalosPower::new(story.node.talos.clone()));
    let (show, shown) = watch::channel(Arc::new(crate::health::tests::snapshot()));
    story.tasks.spawn(async move {
        let Ok(()) = hurry("k8s-1".to_owned(), power, shown, CancellationToken::new()).await;
    });
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.machined.phase("drain");
    story.until(|view| view.node.draining().is_some()).await;
    show.send_replace(Arc::new(declared(Cause::Order)));
    // By the time that machined has said something later, and answered others, it would have been
    // called.
    story.machined.stage(Stage::ShuttingDown);
    story.until(|view| view.node.stage == Some(Stage::ShuttingDown)).await;
    for _later in 0..3 {
        story.node.talos.machined().version().await.expect("machined answers");
    }
    assert!(story.machined.shutdowns().is_empty(), "an order has time for the drain");
    show.send_replace(Arc::new(declared(Cause::Battery)));
    story.until(|view| !view.ours.is_empty()).await;
    assert_eq!(story.machined.shutdowns(), [true]);
}

/// An upgrade moves the pods away, too, then writes the boot partition on a battery that ends.
#[tokio::test]
async fn the_drain_of_an_upgrade_is_taken_over_on_battery() {
    let mut story = contact(FakeMachined::start()).await;
    let power = Arc::new(TalosPower::new(story.node.talos.clone()));
    let (_show, shown) = watch::channel(Arc::new(declared(Cause::Battery)));
    story.tasks.spawn(async move {
        let Ok(()) = hurry("k8s-1".to_owned(), power, shown, CancellationToken::new()).await;
    });
    story.machined.sequence("upgrade", Action::Start, "talosctl");
    story.machined.phase("drain");
    story.until(|view| !view.ours.is_empty()).await;
    assert_eq!(story.machined.shutdowns(), [true]);
}

/// A read of the kernel's that hangs takes neither the agent's thread nor its time.
#[tokio::test]
async fn a_question_for_pods_that_hangs_is_given_up_and_the_phase_says_it() {
    let mut story = contact(FakeMachined::start()).await;
    let cgroup = story.sys.path().join("fs/cgroup/kubepods");
    std::fs::create_dir_all(&cgroup).expect("the directory is ours");
    let events = cgroup.join("cgroup.events");
    let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
    // Nobody writes into it, so that who opens it to read waits.
    nix::unistd::mkfifo(&events, mode).expect("the directory is ours");
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    for phase in ["cleanup", "dbus"] {
        story.machined.phase(phase);
    }
    story.until(|view| view.node.has_stopped_pods()).await;
    let mut beats = 0_u32;
    let beating = async {
        let mut beat = interval(Duration::from_millis(10));
        loop {
            beat.tick().await;
            beats += 1;
        }
    };
    tokio::select! {
        farewell = story.say() => assert_eq!(farewell, Farewell::Halting),
        () = beating => {}
    }
    assert!(beats > 10, "the thread stood still: {beats}");
    // The thread that hangs would keep the runtime from ending.
    let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
    drop(nix::fcntl::open(&events, flags, nix::sys::stat::Mode::empty()));
}

/// What came before has taken from the time of the pods, not from that of the last state.
#[tokio::test]
async fn pods_have_the_time_that_is_left_from_the_signal_on() {
    let mut story = contact(FakeMachined::start()).await;
    story.populate(true);
    story.machined.sequence("shutdown", Action::Start, "talosctl");
    story.until(|view| view.node.is_shutting_down()).await;
    let (inputs, _queue) = mpsc::channel(4);
    let farewell = story.node.farewell(&inputs, Instant::now());
    let farewell = timeout(Duration::from_secs(1), farewell).await;
    assert_eq!(farewell.expect("nothing is waited for"), Farewell::Last);
}

#[test]
fn the_battery_counts_for_who_takes_part_or_was_leaving_before() {
    let mut status = declared(Cause::Battery).status;
    assert_eq!(status.on_battery("k8s-1"), Some(7));
    assert_eq!(status.on_battery("nobody"), None);
    status.planned_stop = Some(curfew_coordinator::OsStop::Off);
    assert_eq!(status.on_battery("nobody"), Some(7));
    if let Some(open) = &mut status.shutdown {
        open.standing = Standing::Returning;
    }
    assert_eq!(status.on_battery("k8s-1"), None, "the mains are back");
    assert_eq!(declared(Cause::Order).status.on_battery("k8s-1"), None);
}
