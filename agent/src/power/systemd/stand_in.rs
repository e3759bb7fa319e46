//! Stand-ins for tests: a system bus of its own with a logind and a systemd on it, and a hand.
//!
//! The bus is a real `dbus-daemon`; what is on it speaks the same methods, properties and signals
//! as the originals and nothing more.

use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use zbus::connection::Builder;
use zbus::fdo;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::OwnedObjectPath;

use crate::test_directory::TestDirectory;

/// A bus without anybody on it.
#[derive(Debug)]
pub(crate) struct Bus {
    daemon: Option<Child>,
    directory: TestDirectory,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let mut bus = Self { daemon: None, directory: TestDirectory::in_memory() };
        bus.restart();
        bus
    }

    /// Returns its address, also when it does not run.
    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("bus").display())
    }

    /// Ends it and starts it anew, as `systemctl restart dbus` does.
    pub(crate) fn restart(&mut self) {
        self.end();
        let config = self.directory.path().join("bus.conf");
        let text = format!(
            "<busconfig><type>system</type><listen>{}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\"/>\
             <allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
            self.address()
        );
        write(&config, &text);
        let mut daemon = Command::new(DAEMON)
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("no /usr/bin/dbus-daemon: apt-get install dbus");
        // It writes its address when it can be called.
        let mut line = String::new();
        let stdout = daemon.stdout.take().expect("asked for");
        BufReader::new(stdout).read_line(&mut line).expect("it says its address");
        assert!(line.starts_with("unix:"), "{line:?}");
        self.daemon = Some(daemon);
    }

    pub(crate) fn end(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("it runs");
            daemon.wait().expect("it is ours");
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.end();
    }
}

/// How an original answers a call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Manner {
    /// It does it.
    #[default]
    Takes,
    /// It says yes, and nothing happens.
    Pretends,
    /// As without polkit.
    Refuses,
    /// It never answers.
    Hangs,
}

/// The machine behind both: what was asked, and how it stands.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) manner: Manner,
    pub(crate) inhibits: Manner,
    /// The calls that take the machine down, in order.
    pub(crate) calls: Vec<String>,
    pub(crate) is_preparing: bool,
    pub(crate) system_state: String,
    pub(crate) delay_most: Duration,
    /// The targets that are being started.
    pub(crate) jobs: Vec<String>,
    /// The ends of the locks that were given out: the other end at end of file is a lock let go.
    pub(crate) locks: Vec<std::io::PipeReader>,
}

/// The machine, as it is shared by those who speak for it.
pub(crate) type Shared = Arc<Mutex<Machine>>;

/// Returns a machine that runs.
pub(crate) fn machine() -> Shared {
    let machine = Machine {
        system_state: "running".to_owned(),
        delay_most: Duration::from_secs(5),
        ..Machine::default()
    };
    Arc::new(Mutex::new(machine))
}

pub(crate) fn of(machine: &Shared) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a logind and a systemd on a bus, for as long as what it returns lives.
pub(crate) async fn put_on(bus: &Bus, machine: &Shared) -> zbus::Connection {
    let logind = Logind(Arc::clone(machine));
    let systemd = Systemd(Arc::clone(machine));
    let builder = Builder::address(bus.address().as_str()).unwrap();
    let builder = builder.serve_at(LOGIND_PATH, logind).unwrap();
    let builder = builder.serve_at("/org/freedesktop/systemd1", systemd).unwrap();
    let builder = builder.name("org.freedesktop.login1").unwrap();
    builder.name("org.freedesktop.systemd1").unwrap().build().await.unwrap()
}

/// Has logind say that it takes the machine down, or does so no more.
pub(crate) async fn prepare(logind: &zbus::Connection, machine: &Shared, is_down: bool) {
    of(machine).is_preparing = is_down;
    let emitter = SignalEmitter::new(logind, LOGIND_PATH).unwrap();
    Logind::prepare_for_shutdown(&emitter, is_down).await.unwrap();
}

struct Logind(Shared);

impl Logind {
    async fn take(&self, call: &str) -> fdo::Result<()> {
        let manner = of(&self.0).manner;
        of(&self.0).calls.push(call.to_owned());
        act(manner).await?;
        if manner == Manner::Takes {
            let mut machine = of(&self.0);
            machine.is_preparing = true;
            machine.system_state = "stopping".to_owned();
        }
        Ok(())
    }
}

async fn act(manner: Manner) -> fdo::Result<()> {
    match manner {
        Manner::Takes | Manner::Pretends => Ok(()),
        Manner::Refuses => Err(fdo::Error::AccessDenied("Permission denied".to_owned())),
        Manner::Hangs => std::future::pending().await,
    }
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    async fn power_off(&self, interactive: bool) -> fdo::Result<()> {
        assert!(!interactive, "nobody is there to be asked");
        self.take("PowerOff").await
    }

    async fn reboot(&self, interactive: bool) -> fdo::Result<()> {
        assert!(!interactive, "nobody is there to be asked");
        self.take("Reboot").await
    }

    #[expect(clippy::unused_async, reason = "it is a method of an interface")]
    async fn inhibit(
        &self,
        what: &str,
        who: &str,
        why: &str,
        mode: &str,
    ) -> fdo::Result<zbus::zvariant::OwnedFd> {
        assert_eq!((what, mode), ("shutdown", "delay"));
        assert!(!who.is_empty() && !why.is_empty(), "a person reads them");
        if of(&self.0).inhibits == Manner::Refuses {
            return Err(fdo::Error::AccessDenied("Permission denied".to_owned()));
        }
        let (reader, writer) = std::io::pipe().unwrap();
        of(&self.0).locks.push(reader);
        Ok(OwnedFd::from(writer).into())
    }

    #[zbus(property)]
    fn preparing_for_shutdown(&self) -> bool {
        of(&self.0).is_preparing
    }

    #[zbus(property, name = "InhibitDelayMaxUSec")]
    fn inhibit_delay_max_usec(&self) -> u64 {
        u64::try_from(of(&self.0).delay_most.as_micros()).unwrap()
    }

    #[zbus(signal)]
    async fn prepare_for_shutdown(
        emitter: &SignalEmitter<'_>,
        is_preparing: bool,
    ) -> zbus::Result<()>;
}

struct Systemd(Shared);

/// Number, unit, kind, state, and two paths.
type Job = (u32, String, String, String, OwnedObjectPath, OwnedObjectPath);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Systemd {
    fn list_jobs(&self) -> Vec<Job> {
        let path = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/1").unwrap();
        let job = |unit: &String| {
            let words = (unit.clone(), "start".to_owned(), "waiting".to_owned());
            (1, words.0, words.1, words.2, path.clone(), path.clone())
        };
        of(&self.0).jobs.iter().map(job).collect()
    }

    #[zbus(property)]
    fn system_state(&self) -> String {
        of(&self.0).system_state.clone()
    }
}

/// A hand that writes down what it was asked, and answers what it was told to.
#[derive(Debug)]
pub(crate) struct FakeHand {
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Option<String>>>,
    _serving: JoinSet<()>,
}

impl FakeHand {
    /// Listens below `run`; `answer` is none for a hand that never answers.
    pub(crate) fn start(run: &Path, answer: Option<&str>) -> Self {
        let listener = UnixListener::bind(run.join("hand")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(answer.map(str::to_owned)));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&asked), Arc::clone(&answer)));
        Self { asked, answer, _serving: serving }
    }

    /// From now on answers this.
    pub(crate) fn answer(&self, answer: &str) {
        *self.answer.lock().unwrap() = Some(answer.to_owned());
    }

    /// Returns the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    listener: UnixListener,
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Option<String>>>,
) {
    let mut kept = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        // The whole request is there when the other side has closed its own.
        stream.read_to_string(&mut request).await.unwrap();
        assert_eq!(request.lines().count(), 1, "{request:?}");
        asked.lock().unwrap().push(request.trim_end().to_owned());
        let answer = answer.lock().unwrap().clone();
        match answer {
            Some(answer) => stream.write_all(format!("{answer}\n").as_bytes()).await.unwrap(),
            None => kept.push(stream),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a file of a test need not survive anything")]
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Waits until it holds, and fails if it does not within the limit.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_secs(20);
    assert!(tokio::time::timeout(limit, waiting).await.is_ok(), "{what}: not within {limit:?}");
}

/// Returns a directory as `/run` for a host, and its `run`.
pub(crate) fn run_directory() -> (TestDirectory, PathBuf) {
    let directory = TestDirectory::in_memory();
    let run = directory.path().join("curfew");
    std::fs::create_dir(&run).unwrap();
    (directory, run)
}

const DAEMON: &str = "/usr/bin/dbus-daemon";
const LOGIND_PATH: &str = "/org/freedesktop/login1";
