//! The real binary as a process: that it stays up when it cannot start, and ends when told to.
//!
//! Each test has a network namespace of its own, since the ports are those of the cluster file; it
//! needs root, and without it says so and does nothing.

#![expect(
    clippy::disallowed_methods,
    reason = "a fixture needs no fsync, and real time is measured"
)]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, mkfifo};

/// What the agent promises, from the signal on.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How long a state may take to come.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a test in a network namespace of its own, with an empty folder.
fn alone(name: &str, test: fn(&Path)) {
    let folder = std::env::temp_dir().join(format!("curfew-{name}-{}", std::process::id()));
    let thread = thread::spawn(move || {
        if let Err(denied) = unshare(CloneFlags::CLONE_NEWNET) {
            println!("skipped: cannot make a network namespace: {denied}");
            return;
        }
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        fs::create_dir(&folder).unwrap();
        test(&folder);
        fs::remove_dir_all(&folder).unwrap();
    });
    thread.join().unwrap();
}

/// A running agent, killed when it is dropped.
struct Agent(Child);

impl Agent {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_curfew"));
        Self::run(command.args(common(folder)).args(arguments), folder)
    }

    fn run(command: &mut Command, folder: &Path) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().unwrap())
    }

    /// Sends the signal to `pid`, and returns how and how quickly this process ended.
    fn end(mut self, pid: Pid, signal: Signal) -> (ExitStatus, Duration) {
        let started = Instant::now();
        kill(pid, signal).unwrap();
        let status = until("the agent ends", || self.0.try_wait().unwrap());
        (status, started.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn common(folder: &Path) -> Vec<PathBuf> {
    let path = |name: &str| folder.join(name);
    ["run", "--cluster"]
        .into_iter()
        .map(PathBuf::from)
        .chain([path("cluster.toml"), "--state".into(), path("state"), "--pki".into(), path("pki")])
        .collect()
}

/// Waits until something is so.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// Returns status and body of a page, if somebody listens.
fn get(at: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Returns a page without the ends of its lines, which come where a terminal ends.
fn prose(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A cluster of which this host is `k8s-1`; `lines` go into its table.
fn write_cluster(folder: &Path, system: &str, lines: &str) {
    let text = format!(
        "[cluster]\nname = \"home\"\n[[ups]]\nname = \"eaton\"\nowner = \"nfs\"\n\
         upsd = \"127.0.0.13:3493\"\n[[host]]\nname = \"nfs\"\naddress = \"127.0.0.13\"\n\
         system = \"dry-run\"\nups = [\"eaton\"]\n[[host]]\nname = \"k8s-1\"\n\
         address = \"127.0.0.11\"\nsystem = \"{system}\"\nups = [\"eaton\"]\nneeds = [\"nfs\"]\n\
         mac = \"aa:bb:cc:dd:ee:01\"\n{lines}\n"
    );
    fs::write(folder.join("cluster.toml"), text).unwrap();
}

/// A proc tree in which reading `hangs` waits for ever.
fn write_proc(folder: &Path, hangs: &str) -> String {
    let proc = folder.join("proc");
    let id = proc.join("sys/kernel/random/boot_id");
    fs::create_dir_all(id.parent().unwrap()).unwrap();
    fs::write(id, "3d7b8f2e-0000-4000-8000-000000000001\n").unwrap();
    for process in ["1", "self"] {
        fs::create_dir_all(proc.join(process)).unwrap();
    }
    let fifo = proc.join(hangs);
    fs::create_dir_all(fifo.parent().unwrap()).unwrap();
    mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    format!("[host.paths]\nproc = \"{}\"", proc.display())
}

const ANYWHERE: &str = "127.0.0.1:9100";
const OWN: &str = "127.0.0.11:9100";

#[test]
fn without_a_cluster_file_it_stays_up_says_so_and_ends_when_told() {
    alone("stay", |folder| {
        let agent = Agent::start(folder, &["--host", "k8s-1", "--stay-up"]);
        let (status, page) = until("there is a page", || get(ANYWHERE, "/health"));
        assert_eq!(status, 503, "{page}");
        assert!(prose(&page).contains("cannot read the cluster file"), "{page}");
        assert!(prose(&page).contains("What to do: give this host the file"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        assert_eq!(get(ANYWHERE, "/livez").unwrap(), (200, "ok\n".to_owned()));
        assert_eq!(get(ANYWHERE, "/readyz").unwrap().0, 503);
        let metrics = get(ANYWHERE, "/metrics").unwrap().1;
        assert!(metrics.contains("{check=\"agent\",status=\"fail\"} 1"), "{metrics}");
        let pid = agent.pid();
        let (status, took) = agent.end(pid, Signal::SIGTERM);
        assert!(status.success() && took < END_LIMIT, "{status} after {took:?}");
    });
}

#[test]
fn what_is_wrong_with_the_file_is_on_the_page_and_without_the_flag_it_ends_with_78() {
    alone("refuse", |folder| {
        write_cluster(folder, "dry-run", "adress = \"x\"\nhttp-port = 0");
        let agent = Agent::start(folder, &["--host", "k8s-1", "--stay-up"]);
        let (_, page) = until("there is a page", || get(ANYWHERE, "/health"));
        assert!(page.contains("adress") && page.contains("http-port"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        drop(agent);
        let mut agent = Agent::start(folder, &["--host", "k8s-1"]);
        let status = until("the agent gives up", || agent.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(78));

        write_cluster(folder, "dry-run", "");
        let agent = Agent::start(folder, &["--host", "k8s-9", "--stay-up"]);
        let (_, page) = until("there is a page", || get(ANYWHERE, "/health"));
        assert!(page.starts_with("FAIL  k8s-9: the agent cannot start"), "{page}");
        assert!(page.contains("no host `k8s-9`") && page.contains("CURFEW_HOST"), "{page}");
        drop(agent);
    });
}

#[test]
fn what_may_heal_is_tried_again() {
    alone("heal", |folder| {
        write_cluster(folder, "dry-run", "");
        fs::create_dir(folder.join("state")).unwrap();
        let lock = File::create(folder.join("state/lock")).unwrap();
        lock.try_lock().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_curfew"));
        command.args(common(folder)).args(["--host", "k8s-1"]);
        let agent = Agent::run(command.env("CURFEW_STAY_UP", "true"), folder);
        let (status, page) = until("there is a page", || get(OWN, "/health"));
        assert_eq!(status, 503);
        assert!(prose(&page).contains("another agent uses the state directory"), "{page}");
        drop(lock);
        let healed = || get(OWN, "/api/v1/status").filter(|(status, _)| *status == 200);
        until("the agent starts after all", healed);
        let pid = agent.pid();
        let (status, took) = agent.end(pid, Signal::SIGINT);
        assert!(status.success() && took < END_LIMIT, "{status} after {took:?}");
    });
}

#[test]
fn a_mount_table_that_hangs_does_not_hold_up_the_end() {
    alone("hangs", |folder| {
        let paths = write_proc(folder, "self/mountinfo");
        mkfifo(&folder.join("proc/1/mountinfo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        write_cluster(folder, "dry-run", &paths);
        let agent = Agent::start(folder, &["--host", "k8s-1"]);
        let knows = |(_, page): (u16, String)| {
            let page = prose(&page);
            page.contains("nfs-mounts") && page.contains("filesystems") && page.contains("unknown")
        };
        until("it knows that it is blind", || get(OWN, "/health").filter(|it| knows(it.clone())));
        let pid = agent.pid();
        let (status, took) = agent.end(pid, Signal::SIGTERM);
        assert!(status.success() && took < END_LIMIT, "{status} after {took:?}");
    });
}

#[test]
fn a_machined_that_hangs_does_not_hold_up_the_end_either() {
    alone("machined", |folder| {
        let paths = write_proc(folder, "1/mountinfo");
        // The kernel takes the connection, and nobody ever reads from it.
        let socket = folder.join("machine.sock");
        let _silent = UnixListener::bind(&socket).unwrap();
        let sys = format!("sys = \"{}\"", folder.join("sys").display());
        let talos = format!("[host.talos]\nsocket = \"{}\"", socket.display());
        write_cluster(folder, "talos", &format!("{talos}\n{paths}\n{sys}"));
        let agent = Agent::start(folder, &["--host", "k8s-1", "--stay-up"]);
        let knows = |(_, page): (u16, String)| {
            let page = prose(&page);
            page.contains("never says that they have stopped") && page.contains("nfs-mounts")
        };
        until("it knows that it is blind", || get(OWN, "/health").filter(|it| knows(it.clone())));
        let pid = agent.pid();
        let (status, took) = agent.end(pid, Signal::SIGTERM);
        assert!(status.success() && took < END_LIMIT, "{status} after {took:?}");
    });
}

/// The first process of a container ignores signals that nobody listens for, and here the thread
/// that does everything else hangs.
#[test]
fn the_first_process_of_a_container_ends_in_time_though_all_of_it_hangs() {
    alone("first", |folder| {
        let paths = write_proc(folder, "net/unix");
        let run = folder.join("run");
        fs::create_dir(&run).unwrap();
        let _hand = UnixListener::bind(run.join("hand")).unwrap();
        let lines = format!("[host.systemd]\nrun = \"{}\"\n{paths}", run.display());
        write_cluster(folder, "systemd", &lines);
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_curfew")]);
        let agent = Agent::run(command.args(common(folder)).args(["--host", "k8s-1"]), folder);
        let children = format!("/proc/{0}/task/{0}/children", agent.pid());
        let first = until("there is a first process", || {
            fs::read_to_string(&children).ok()?.trim().parse().ok().map(Pid::from_raw)
        });
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        // The last line before the drivers are made, the first of which hangs.
        until("it has come to where it hangs", || log().contains("curfew 0.1.0").then_some(()));
        let (status, took) = agent.end(first, Signal::SIGTERM);
        assert!(took < END_LIMIT, "{status} after {took:?}");
        assert_eq!(status.code(), Some(1));
        assert!(log().contains("the process ends without it"), "{}", log());
    });
}
