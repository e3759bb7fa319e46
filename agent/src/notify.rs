//! What the service manager is told: that the agent is ready, how it stands, that it is alive.
//!
//! The protocol is one datagram of lines to the socket in `NOTIFY_SOCKET`. Without that variable,
//! as on Talos or in a terminal, nobody listens and nothing is said. The socket never blocks: a
//! manager that does not read must not hold up a shutdown.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tracing::warn;

/// Why the service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The variable holds neither a path nor an abstract name.
    #[error("NOTIFY_SOCKET is {0:?}, neither an absolute path nor a name that begins with `@`")]
    Parse(OsString),
    /// The address is too long, or there is no socket to be had.
    #[error("cannot open a socket to NOTIFY_SOCKET {0:?}")]
    Open(OsString, #[source] io::Error),
}

/// What systemd puts into the environment of a service.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NOTIFY_SOCKET`.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`.
    pub watchdog_usec: Option<String>,
    /// `WATCHDOG_PID`: for whom that is.
    pub watchdog_pid: Option<String>,
}

impl Environment {
    /// Reads that of this process.
    pub fn read() -> Self {
        Self {
            socket: env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: env::var("WATCHDOG_USEC").ok(),
            watchdog_pid: env::var("WATCHDOG_PID").ok(),
        }
    }

    /// Returns the time in which the watchdog must be fed, if this process is to feed it.
    fn watchdog(&self, pid: u32) -> Option<Duration> {
        let is_other = self.watchdog_pid.as_ref().is_some_and(|given| *given != pid.to_string());
        let usec: u64 = self.watchdog_usec.as_ref()?.parse().ok()?;
        (!is_other && usec > 0).then(|| Duration::from_micros(usec))
    }
}

/// Tells the service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    status: String,
    has_failed: bool,
}

impl Notifier {
    /// Returns one for this process.
    pub fn new(environment: &Environment) -> Result<Self, NotifyError> {
        let Some(socket) = environment.socket.clone().filter(|socket| !socket.is_empty()) else {
            return Ok(Self::default());
        };
        let manager = address(&socket)?;
        let opened = UnixDatagram::unbound().and_then(|own| {
            own.set_nonblocking(true)?;
            Ok(own)
        });
        let own = opened.map_err(|failed| NotifyError::Open(socket, failed))?;
        let watchdog = environment.watchdog(std::process::id());
        Ok(Self {
            manager: Some((own, manager)),
            watchdog,
            status: String::new(),
            has_failed: false,
        })
    }

    /// Returns how often the watchdog is to be fed: twice in its time.
    pub fn feeding_pause(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    /// Says that the agent does its work from now on.
    pub fn say_ready(&mut self) {
        self.send("READY=1");
    }

    /// Says how it stands, if that has changed.
    pub fn say_status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            // A line is the unit of the protocol.
            self.send(&format!("STATUS={}", status.replace('\n', " ")));
        }
    }

    /// Says that the agent ends.
    pub fn say_stopping(&mut self) {
        self.send("STOPPING=1");
    }

    /// Says that it is alive.
    pub fn feed(&mut self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    fn send(&mut self, line: &str) {
        let Some((own, manager)) = &self.manager else { return };
        match own.send_to_addr(line.as_bytes(), manager) {
            Ok(_sent) => self.has_failed = false,
            Err(_again) if self.has_failed => {}
            Err(failed) => {
                self.has_failed = true;
                warn!(%failed, "the service manager cannot be told how the agent stands");
            }
        }
    }
}

/// A `@` stands for the zero byte with which the name of an abstract socket begins.
fn address(socket: &OsString) -> Result<SocketAddr, NotifyError> {
    let parsed = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => return Err(NotifyError::Parse(socket.clone())),
    };
    parsed.map_err(|failed| NotifyError::Open(socket.clone(), failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    fn environment(socket: impl Into<OsString>) -> Environment {
        Environment {
            socket: Some(socket.into()),
            watchdog_usec: Some("20000000".to_owned()),
            watchdog_pid: Some(std::process::id().to_string()),
        }
    }

    fn heard(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).unwrap();
        let mut lines = Vec::new();
        let mut buffer = [0; 512];
        while let Ok(len) = manager.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
        }
        lines
    }

    fn say_everything(notifier: &mut Notifier) {
        notifier.say_ready();
        notifier.say_status("up");
        notifier.say_status("up");
        notifier.say_status("waiting:\nshutdown 3");
        notifier.feed();
        notifier.say_stopping();
    }

    const EVERYTHING: [&str; 5] =
        ["READY=1", "STATUS=up", "STATUS=waiting: shutdown 3", "WATCHDOG=1", "STOPPING=1"];

    #[test]
    fn the_manager_hears_of_each_change_once() {
        let directory = TestDirectory::new();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier::new(&environment(path)).unwrap();
        assert_eq!(notifier.feeding_pause(), Some(Duration::from_secs(10)));
        say_everything(&mut notifier);
        assert_eq!(heard(&manager), EVERYTHING);
    }

    #[test]
    fn an_abstract_socket_is_found_by_its_name() {
        let name = format!("curfew-test-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let mut notifier = Notifier::new(&environment(format!("@{name}"))).unwrap();
        say_everything(&mut notifier);
        assert_eq!(heard(&manager), EVERYTHING);
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_fed() {
        let directory = TestDirectory::new();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let none = [(None, None), (Some("0"), None), (Some("x"), None), (Some("9"), Some("1"))];
        for (usec, pid) in none {
            let environment = Environment {
                socket: Some(path.clone().into()),
                watchdog_usec: usec.map(str::to_owned),
                watchdog_pid: pid.map(str::to_owned),
            };
            let mut notifier = Notifier::new(&environment).unwrap();
            assert_eq!(notifier.feeding_pause(), None, "{environment:?}");
            notifier.feed();
            assert_eq!(heard(&manager), [""; 0], "{environment:?}");
        }
        let anybody = Environment { watchdog_pid: None, ..environment(path) };
        Notifier::new(&anybody).unwrap().feed();
        assert_eq!(heard(&manager), ["WATCHDOG=1"]);
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let directory = TestDirectory::new();
        let path = directory.path().join("notify");
        let _manager = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier::new(&environment(&path)).unwrap();
        for _ in 0..10_000 {
            notifier.feed();
        }
        assert!(notifier.has_failed, "its queue is full");
    }

    #[test]
    fn without_a_manager_nothing_is_said_and_a_wrong_one_is_named() {
        let mut nobody = Notifier::new(&Environment::default()).unwrap();
        say_everything(&mut nobody);
        assert_eq!(nobody.feeding_pause(), None);
        let wrong = Notifier::new(&environment("notify")).unwrap_err();
        assert!(wrong.to_string().contains("neither an absolute path"), "{wrong}");
        let long = Notifier::new(&environment(format!("/{}", "x".repeat(200)))).unwrap_err();
        assert!(matches!(long, NotifyError::Open(..)), "{long:?}");
    }
}
