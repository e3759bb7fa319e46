//! A stop by hand is seen in time, on a bus of its own with a logind that is a stand-in.

use std::io::Read as _;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Level, News, OsWatch};
use crate::power::systemd::logind::{Logind, Way};
use crate::power::systemd::stand_in::{
    Bus, Manner, Shared, eventually, machine, of, prepare, put_on,
};

struct Lab {
    bus: Bus,
    machine: Shared,
    logind: Option<zbus::Connection>,
    news: mpsc::Receiver<News>,
    is_ours: watch::Sender<bool>,
    level: watch::Receiver<Level>,
    _watching: JoinSet<()>,
}

impl Lab {
    async fn start(inhibits: Manner) -> Self {
        let (bus, machine) = (Bus::start(), machine());
        of(&machine).inhibits = inhibits;
        let logind = put_on(&bus, &machine).await;
        let (news, heard) = mpsc::channel(8);
        let (is_ours, ours) = watch::channel(false);
        let (shown, level) = watch::channel(Level::Unknown);
        let watch = OsWatch::new(Logind::new(Some(bus.address())), news, ours, shown);
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            let Ok(()) = watch.run(CancellationToken::new()).await;
        });
        let logind = Some(logind);
        Self { bus, machine, logind, news: heard, is_ours, level, _watching: watching }
    }

    async fn next(&mut self) -> News {
        let limit = Duration::from_secs(20);
        timeout(limit, self.news.recv()).await.expect("there is news in time").expect("it runs")
    }

    /// Takes the next news and says that all have been told.
    async fn hear(&mut self) -> Level {
        let News { level, told } = self.next().await;
        told.send(()).unwrap_or_default();
        level
    }

    async fn prepare(&self, is_down: bool) {
        prepare(self.logind.as_ref().unwrap(), &self.machine, is_down).await;
    }

    /// How many locks were taken, and whether the last one is held.
    fn locks(&self) -> (usize, bool) {
        let mut machine = of(&self.machine);
        let count = machine.locks.len();
        let is_held = machine.locks.last_mut().is_some_and(|lock| {
            fcntl(&*lock, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
            // Nobody writes: at the end of the file the other end was let go.
            lock.read(&mut [0]).is_err()
        });
        (count, is_held)
    }

    async fn has_locks(&self, count: usize, is_held: bool) {
        let what = format!("{count} locks, held {is_held}");
        eventually(&what, || self.locks() == (count, is_held)).await;
    }
}

#[tokio::test]
async fn logind_waits_until_the_others_have_been_told() {
    let mut lab = Lab::start(Manner::Takes).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.has_locks(1, true).await;
    lab.prepare(true).await;
    let News { level, told } = lab.next().await;
    assert_eq!(level, Level::Down(None));
    assert_eq!(lab.locks(), (1, true), "they are being told");
    told.send(()).unwrap();
    lab.has_locks(1, false).await;
    of(&lab.machine).jobs = vec!["reboot.target".to_owned(), "ssh.service".to_owned()];
    assert_eq!(lab.hear().await, Level::Down(Some(Way::Reboot)));
    assert_eq!(*lab.level.borrow(), Level::Down(Some(Way::Reboot)));
}

#[tokio::test]
async fn a_stop_that_is_called_off_is_taken_back_and_the_lock_taken_anew() {
    let mut lab = Lab::start(Manner::Takes).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.prepare(true).await;
    assert_eq!(lab.hear().await, Level::Down(None));
    lab.has_locks(1, false).await;
    lab.prepare(false).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.has_locks(2, true).await;
}

#[tokio::test]
async fn nobody_is_held_up_for_long_when_the_others_cannot_be_told() {
    let mut lab = Lab::start(Manner::Takes).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.has_locks(1, true).await;
    lab.prepare(true).await;
    let _unanswered = lab.next().await;
    lab.has_locks(1, false).await;
}

#[tokio::test]
async fn the_lock_is_let_go_at_once_when_it_is_this_agent_that_stops() {
    let mut lab = Lab::start(Manner::Takes).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.has_locks(1, true).await;
    lab.is_ours.send_replace(true);
    lab.has_locks(1, false).await;
    lab.is_ours.send_replace(false);
    lab.has_locks(2, true).await;
}

#[tokio::test]
async fn without_polkit_the_signal_is_heard_all_the_same() {
    let mut lab = Lab::start(Manner::Refuses).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.prepare(true).await;
    assert_eq!(lab.hear().await, Level::Down(None));
    assert_eq!(lab.locks(), (0, false));
}

#[tokio::test]
async fn a_stop_that_began_while_the_bus_was_restarted_is_seen() {
    let mut lab = Lab::start(Manner::Takes).await;
    assert_eq!(lab.hear().await, Level::Up);
    lab.bus.end();
    let mut level = lab.level.clone();
    let unknown = level.wait_for(|level| *level == Level::Unknown);
    timeout(Duration::from_secs(20), unknown).await.expect("it is noticed").unwrap();
    lab.logind = None;
    of(&lab.machine).is_preparing = true;
    lab.bus.restart();
    lab.logind = Some(put_on(&lab.bus, &lab.machine).await);
    assert_eq!(lab.hear().await, Level::Down(None));
}

#[tokio::test]
async fn who_starts_late_sees_a_stop_that_runs() {
    let (bus, machine) = (Bus::start(), machine());
    of(&machine).is_preparing = true;
    of(&machine).jobs = vec!["poweroff.target".to_owned()];
    let _logind = put_on(&bus, &machine).await;
    let (news, mut heard) = mpsc::channel(8);
    let (_is_ours, ours) = watch::channel(false);
    let (shown, level) = watch::channel(Level::Unknown);
    let mut watching = JoinSet::new();
    let watch = OsWatch::new(Logind::new(Some(bus.address())), news, ours, shown);
    watching.spawn(async move {
        let Ok(()) = watch.run(CancellationToken::new()).await;
    });
    for expected in [Level::Down(None), Level::Down(Some(Way::Off))] {
        let News { level, told } = heard.recv().await.unwrap();
        assert_eq!(level, expected);
        told.send(()).unwrap_or_default();
    }
    assert_eq!(*level.borrow(), Level::Down(Some(Way::Off)));
    assert!(of(&machine).locks.is_empty(), "nothing is held up any more");
}
