//! What the service manager learns of the keeper: that it is ready, how it stands, that it turns.
//!
//! The keeper's loop feeds the watchdog and nobody else does, so that an agent whose loop hangs is
//! started again. So the loop must also turn when nothing happens, at least twice in the watchdog's
//! time.

use std::time::Duration;

use curfew_coordinator::Phase;
use curfew_nut::error::Chain;
use tokio::time::Instant;
use tracing::warn;

use crate::notify::{Environment, Notifier};

/// The keeper's word to the service manager.
#[derive(Debug)]
pub(super) struct Vitals {
    notifier: Notifier,
    started_at: Instant,
    is_ready: bool,
    fed_at: Option<Instant>,
}

impl Vitals {
    /// Returns those of this process. A manager that cannot be told anything is no reason not to
    /// run.
    pub(super) fn new(environment: &Environment) -> Self {
        let notifier = Notifier::new(environment).unwrap_or_else(|failed| {
            warn!(failure = %Chain(&failed), "the service manager hears nothing");
            Notifier::default()
        });
        Self { notifier, started_at: Instant::now(), is_ready: false, fed_at: None }
    }

    /// Returns when the loop must turn at the latest, if nothing else makes it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ready_at = (!self.is_ready).then(|| Instant::now() + READY_PAUSE);
        let pause = self.notifier.feeding_pause();
        let feed_at = pause.map(|pause| self.fed_at.map_or_else(Instant::now, |at| at + pause));
        ready_at.into_iter().chain(feed_at).min()
    }

    /// The loop has turned. `has_tried_ports` says that each port is open or was found to be taken.
    pub(super) fn turned(&mut self, phase: Phase, has_tried_ports: bool) {
        let waited = self.started_at.elapsed();
        if !self.is_ready && (has_tried_ports || waited >= READY_LIMIT) {
            self.is_ready = true;
            self.notifier.say_ready();
        }
        self.notifier.say_status(in_words(phase));
        let pause = self.notifier.feeding_pause();
        let is_due = |pause: Duration| self.fed_at.is_none_or(|at| at.elapsed() + SLACK >= pause);
        if pause.is_some_and(is_due) {
            self.fed_at = Some(Instant::now());
            self.notifier.feed();
        }
    }

    /// The agent ends.
    pub(super) fn ending(&mut self) {
        self.notifier.say_stopping();
    }
}

fn in_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Up => "up",
        Phase::Waiting => "waiting: a shutdown is declared and this host has not begun",
        Phase::Stopping => "stopping: the operating system is called to stop",
        Phase::Halting => "halting: the operating system goes down",
        Phase::Holding => "holding: the machine reboots when the mains are stable",
    }
}

/// The ports are opened in milliseconds, and this is how often that is looked at.
const READY_PAUSE: Duration = Duration::from_millis(100);
/// An agent that cannot open a port does the rest of its work, and says so in its health.
const READY_LIMIT: Duration = Duration::from_secs(5);
/// A timer may come a little early.
const SLACK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::test_directory::TestDirectory;

    struct Manager {
        socket: UnixDatagram,
        vitals: Vitals,
        _directory: TestDirectory,
    }

    impl Manager {
        fn new() -> Self {
            let directory = TestDirectory::new();
            let path = directory.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            let environment = Environment {
                socket: Some(path.into()),
                watchdog_usec: Some("20000000".to_owned()),
                watchdog_pid: None,
            };
            Self { socket, vitals: Vitals::new(&environment), _directory: directory }
        }

        fn heard(&self) -> String {
            let mut buffer = [0; 512];
            let mut lines = Vec::new();
            while let Ok(len) = self.socket.recv(&mut buffer) {
                lines.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
            }
            lines.join(" ")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_only_turns_by_its_deadlines_feeds_the_watchdog_in_time() {
        let mut manager = Manager::new();
        manager.vitals.turned(Phase::Up, true);
        assert_eq!(manager.heard(), "READY=1 STATUS=up WATCHDOG=1");
        for _ in 0..5 {
            let deadline = manager.vitals.deadline().expect("it must turn");
            assert!(deadline <= Instant::now() + Duration::from_secs(10));
            tokio::time::sleep_until(deadline).await;
            manager.vitals.turned(Phase::Up, true);
            assert_eq!(manager.heard(), "WATCHDOG=1");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_loop_does_not_flood_the_manager() {
        let mut manager = Manager::new();
        for _ in 0..1000 {
            manager.vitals.turned(Phase::Up, true);
        }
        assert_eq!(manager.heard(), "READY=1 STATUS=up WATCHDOG=1");
        manager.vitals.turned(Phase::Halting, true);
        manager.vitals.ending();
        assert_eq!(manager.heard(), "STATUS=halting: the operating system goes down STOPPING=1");
    }

    #[tokio::test(start_paused = true)]
    async fn ready_waits_for_the_ports_and_not_for_ever() {
        let mut manager = Manager::new();
        manager.vitals.turned(Phase::Up, false);
        assert_eq!(manager.heard(), "STATUS=up WATCHDOG=1");
        let mut turns = 0;
        while !manager.vitals.is_ready {
            tokio::time::sleep_until(manager.vitals.deadline().expect("not ready")).await;
            manager.vitals.turned(Phase::Up, false);
            turns += 1;
        }
        assert_eq!(manager.heard(), "READY=1");
        assert!((10..100).contains(&turns), "{turns}");
    }
}
