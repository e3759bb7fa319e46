//! What is refused and why, and how each system boots again.

use curfew_coordinator::{Cause, Trigger};

use super::*;
use crate::health::tests::{declare, snapshot};
use crate::power::TalosPower;
use crate::talos::Talos;
use crate::talos::stand_in::FakeMachined;

const FILE: &str = r#"
[cluster]
name = "home"

[[ups]]
name = "eaton"
owner = "nfs"
upsd = "10.0.0.13:3493"

[[host]]
name = "nfs"
address = "10.0.0.13"
system = "systemd"
ups = ["eaton"]

[[host]]
name = "k8s-1"
address = "10.0.0.11"
system = "talos"
ups = ["eaton"]
needs = ["nfs"]
control-plane = true
mac = "aa:bb:cc:dd:ee:01"

[[host]]
name = "k8s-2"
address = "10.0.0.12"
system = "talos"
ups = ["eaton"]
needs = ["nfs", "k8s-1"]
mac = "aa:bb:cc:dd:ee:02"
"#;

fn judge(
    me: &str,
    host: &str,
    force: bool,
    change: impl FnOnce(&mut Status),
) -> Result<Plan, Refusal> {
    judge_by(FILE, (me, host, force), change)
}

fn judge_by(
    text: &str,
    (me, host, force): (&str, &str, bool),
    change: impl FnOnce(&mut Status),
) -> Result<Plan, Refusal> {
    let parsed = ClusterFile::parse(text);
    let file = parsed.file().unwrap_or_else(|| panic!("{:?}", parsed.findings));
    let mut status = snapshot().status;
    status.host = me.into();
    change(&mut status);
    let me = file.host(me).unwrap();
    Order { host: &host.into(), force, file, me }.judge(&status)
}

fn why(refused: Result<Plan, Refusal>) -> String {
    refused.unwrap_err().why
}

#[test]
fn a_talos_host_is_drained_powered_off_and_woken_by_another() {
    let plan = judge("k8s-2", "k8s-2", false, |_| {}).unwrap();
    let api = "https://10.0.0.11:6443/readyz".parse().unwrap();
    assert_eq!(plan.drain, Some([api].into()));
    assert_eq!(plan.rebooting.wakers, ["10.0.0.13:9101", "10.0.0.11:9101"]);
    assert_eq!(plan.rebooting.status_at, "10.0.0.12:9100");
}

#[test]
fn a_host_that_is_forced_or_has_no_pods_reboots_by_itself() {
    for (me, force) in [("k8s-2", true), ("nfs", false)] {
        let plan = judge(me, me, force, |_| {}).unwrap();
        assert_eq!((plan.drain, plan.rebooting.wakers), (None, vec![]), "{me}");
    }
}

#[test]
fn who_is_another_host_says_where_its_agent_is() {
    let answer = judge("nfs", "k8s-2", false, |_| {}).unwrap_err();
    assert_eq!(answer.agent.as_deref(), Some("10.0.0.12:9101"));
    let stranger = judge("nfs", "k8s-9", false, |_| {}).unwrap_err();
    assert_eq!(stranger.agent, None);
    assert_eq!(stranger.why, "no host is called k8s-9: use nfs, k8s-1, k8s-2");
}

#[test]
fn nobody_reboots_in_an_outage_however_forced() {
    for force in [false, true] {
        let open = judge("k8s-2", "k8s-2", force, |status| {
            let mut all = snapshot();
            declare(&mut all, Trigger::Computed, Cause::Battery);
            status.shutdown = all.status.shutdown;
        });
        assert!(why(open).starts_with("shutdown 7 is open: "));
        let battery = judge("k8s-2", "k8s-2", force, |status| status.ups.line = Line::Battery);
        assert!(why(battery).starts_with("the mains are away: "));
        let leaving = judge("k8s-2", "k8s-2", force, |status| {
            status.planned_stop = Some(OsStop::Off);
        });
        assert_eq!(why(leaving), "k8s-2 powers off already, by somebody's hand");
        let need = judge("k8s-2", "k8s-2", force, |status| {
            let nfs = status.hosts.get_mut(&"nfs".into()).unwrap();
            nfs.planned_stop = Some(OsStop::Reboot);
        });
        assert_eq!(why(need), "nfs, which k8s-2 needs, reboots: wait until it is back");
    }
}

#[test]
fn a_server_whose_files_are_used_reboots_by_force_alone() {
    let used = |force| {
        judge("nfs", "nfs", force, |status| status.live_dependents = ["k8s-1".into()].into())
    };
    assert!(why(used(false)).starts_with("k8s-1 use its files and would hang until nfs is back: "));
    assert!(used(true).is_ok());
}

#[test]
fn a_host_that_nobody_could_wake_is_not_powered_off() {
    let alone = judge("k8s-2", "k8s-2", false, |status| {
        for host in ["nfs", "k8s-1"] {
            status.hosts.get_mut(&host.into()).unwrap().presence = Presence::Silent;
        }
    });
    assert!(why(alone).contains("no other agent is there to wake it"));
    let file = FILE.replace("mac = \"aa:bb:cc:dd:ee:02\"\n", "");
    let nameless = judge_by(&file, ("k8s-2", "k8s-2", false), |_| {});
    assert!(why(nameless).contains("without a `mac`"));
    let file = FILE.replace("control-plane = true\n", "");
    let headless = judge_by(&file, ("k8s-2", "k8s-2", false), |_| {});
    assert!(why(headless).contains("`control-plane = true`"));
}

#[tokio::test]
async fn a_drain_without_an_api_server_is_refused_with_what_was_seen() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target: Target = format!("https://{closed}/readyz").parse().unwrap();
    let why = no_api_server(Some(&[target].into())).await.unwrap();
    assert!(why.starts_with("its pods cannot be moved away, no API server answers ("), "{why}");
    assert!(why.contains(&closed.to_string()), "{why}");
    assert_eq!(no_api_server(None).await, None, "without a drain nobody is asked");
}

/// A Talos host whose machined is a stand-in.
fn talos(machined: &FakeMachined) -> Arc<Power> {
    Arc::new(Power::Talos(Arc::new(TalosPower::new(Talos::new(machined.socket())))))
}

/// Returns how things stand where `k8s-2` can be rebooted.
fn quiet() -> Snapshot {
    let mut all = snapshot();
    all.status.host = "k8s-2".into();
    all
}

/// An order to `k8s-2`, and who hears of it.
struct Ordered {
    restart: Restart,
    world: World,
    answer: oneshot::Receiver<CommandAnswer>,
}

/// What it goes by.
struct World {
    snapshots: watch::Sender<Arc<Snapshot>>,
    calling: watch::Sender<Calling>,
}

fn order(drain: Option<BTreeSet<Target>>) -> Ordered {
    let parsed = ClusterFile::parse(FILE);
    let file = Arc::new(parsed.file().unwrap().clone());
    let me = Arc::new(file.host("k8s-2").unwrap().clone());
    let wakers = vec!["10.0.0.13:9101".to_owned()];
    let rebooting = Rebooting { status_at: "10.0.0.12:9100".to_owned(), wakers };
    let (reply, answer) = oneshot::channel();
    let (snapshots, shown) = watch::channel(Arc::new(quiet()));
    let (calls, _queue) = mpsc::channel(1);
    let desk = Desk { file, me, snapshots: shown, calls };
    let (host, force) = ("k8s-2".into(), drain.is_none());
    let restart = Restart { desk, host, force, plan: Plan { drain, rebooting }, reply };
    Ordered { restart, world: World { snapshots, calling: watch::Sender::default() }, answer }
}

/// Carries it out to the end, which nobody sees who is on the way down.
async fn run(restart: Restart, power: Arc<Power>, calling: watch::Receiver<Calling>) {
    let (inputs, _facts) = mpsc::channel(4);
    let reason = Reason { shutdown: 0, cause: crate::power::Cause::Order, attempt: 1 };
    let ground = Ground { inputs, state: PathBuf::new(), most: Duration::from_mins(1), calling };
    restart.carry_out(power, reason, ground).await;
}

/// Carries an order out, and returns what the operator hears.
async fn carry_out(power: Arc<Power>, drain: Option<BTreeSet<Target>>) -> CommandAnswer {
    let Ordered { restart, world, answer } = order(drain);
    let mut tasks = JoinSet::new();
    tasks.spawn(run(restart, power, world.calling.subscribe()));
    answer.await.expect("an answer")
}

/// An API server that answers when it is told to.
struct SlowApi(tokio::net::TcpListener);

impl SlowApi {
    async fn start() -> Self {
        Self(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn target(&self) -> Target {
        format!("http://{}/readyz", self.0.local_addr().unwrap()).parse().unwrap()
    }

    async fn asked(&self) -> tokio::net::TcpStream {
        self.0.accept().await.unwrap().0
    }
}

async fn say_yes(mut asked: tokio::net::TcpStream) {
    use tokio::io::AsyncWriteExt as _;
    asked.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    asked.flush().await.unwrap();
    // Until the other side has read it and leaves.
    drop(tokio::io::copy(&mut asked, &mut tokio::io::sink()).await);
}

type Change<'a> = &'a dyn Fn(&World);

#[tokio::test]
async fn what_begins_while_an_api_server_is_asked_keeps_a_host_from_being_drained() {
    let battery = |world: &World| {
        let mut all = quiet();
        declare(&mut all, Trigger::Computed, Cause::Battery);
        world.snapshots.send_replace(Arc::new(all));
    };
    let own_call = |world: &World| {
        world.calling.send_replace(Calling::Asking);
    };
    let cases: [(Change<'_>, &str); 2] =
        [(&battery, "shutdown 7 is open: "), (&own_call, "k8s-2 goes down already")];
    for (change, why) in cases {
        let (machined, api) = (FakeMachined::start(), SlowApi::start().await);
        let Ordered { restart, world, answer } = order(Some([api.target()].into()));
        let mut tasks = JoinSet::new();
        tasks.spawn(run(restart, talos(&machined), world.calling.subscribe()));
        let asked = api.asked().await;
        change(&world);
        tasks.spawn(say_yes(asked));
        let answer = answer.await.expect("an answer");
        assert!(!answer.is_accepted && answer.sentence.starts_with(why), "{answer:?}");
        assert!(machined.shutdowns().is_empty(), "machined was called over it: {why}");
    }
}

#[tokio::test]
async fn a_host_whose_operator_has_gone_is_not_powered_off() {
    let (machined, api) = (FakeMachined::start(), SlowApi::start().await);
    let Ordered { restart, world, answer } = order(Some([api.target()].into()));
    let mut tasks = JoinSet::new();
    let carried_out = tasks.spawn(run(restart, talos(&machined), world.calling.subscribe()));
    let asked = api.asked().await;
    drop(answer);
    tasks.spawn(say_yes(asked));
    while !carried_out.is_finished() && machined.shutdowns().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(machined.shutdowns().is_empty(), "nobody would have had it woken");
}

#[tokio::test]
async fn api_servers_are_asked_at_once_and_one_is_enough() {
    let (silent, slow) = (SlowApi::start().await, SlowApi::start().await);
    let targets = [silent.target(), slow.target()].into();
    let answering = async {
        let (_unanswered, asked) = tokio::join!(silent.asked(), slow.asked());
        say_yes(asked).await;
        std::future::pending::<()>().await;
    };
    let asking = timeout(PROBE_LIMIT, no_api_server(Some(&targets)));
    let why = tokio::select! {
        why = asking => why.expect("one that is silent holds up nobody"),
        () = answering => unreachable!("it is pending"),
    };
    assert_eq!(why, None);
}

#[test]
fn a_power_off_by_somebody_else_is_not_taken_for_the_one_that_was_ordered() {
    assert!(failure(&Outcome::GoesDown, true).unwrap().contains("by another call"));
    assert_eq!(failure(&Outcome::GoesDown, false), None);
    assert_eq!(failure(&Outcome::Accepted, true), None);
}

#[tokio::test]
async fn talos_is_asked_for_a_drain_where_an_api_server_answers() {
    let machined = FakeMachined::start();
    let api = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target: Target = format!("tcp://{}", api.local_addr().unwrap()).parse().unwrap();
    let answer = carry_out(talos(&machined), Some([target.clone()].into())).await;
    assert!(answer.is_accepted, "{answer:?}");
    assert!(answer.sentence.contains("powers off and has to be woken"), "{answer:?}");
    assert_eq!(answer.rebooting.map(|it| it.wakers.len()), Some(2), "those that are there now");
    assert_eq!(machined.shutdowns(), [false], "without force, with a drain");

    drop(api);
    let machined = FakeMachined::start();
    let answer = carry_out(talos(&machined), Some([target].into())).await;
    assert!(!answer.is_accepted && answer.sentence.contains("no API server answers"), "{answer:?}");
    assert!(machined.shutdowns().is_empty(), "a drain that cannot work is not begun");
}

#[tokio::test]
async fn a_forced_reboot_of_talos_is_its_own() {
    let machined = FakeMachined::start();
    let answer = carry_out(talos(&machined), None).await;
    assert_eq!((answer.is_accepted, answer.sentence.as_str()), (true, "it reboots"));
    assert!(machined.shutdowns().is_empty(), "a reboot is no shutdown");
}
