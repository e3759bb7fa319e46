//! `curfew demo` as a user runs it: the timeline that it prints, its exit code, what it leaves.
//!
//! It needs no root; the agents listen on ports of their own, beside any demo that runs.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use curfew_tests::agent::binary;
use curfew_tests::directory::Directory;
use curfew_tests::ground::now;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The agents and their folder, by which they can be found.
struct Demo {
    child: Child,
    folder: Directory,
}

impl Demo {
    fn start(name: &str, port: u16, arguments: &[&str]) -> Result<Self> {
        let folder = Directory::new(&format!("{name}-{}", std::process::id()))?;
        let mut command = Command::new(binary()?);
        command.arg("demo").args(["--port", &port.to_string()]).args(arguments);
        command.env("TMPDIR", folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        Ok(Self { child: command.spawn().context("start the demo")?, folder })
    }

    /// Returns the processes whose command line names the demo's folder: its agents.
    fn agents(&self) -> usize {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = |path: &Path| std::fs::read(path.join("cmdline")).unwrap_or_default();
        all.filter(|it| String::from_utf8_lossy(&names(&it.path())).contains(&folder)).count()
    }

    fn left_behind(&self) -> usize {
        std::fs::read_dir(self.folder.path()).into_iter().flatten().count()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id")?;
        kill(Pid::from_raw(pid), signal).context("signal the demo")
    }

    /// Reads all output in a thread, so that no pipe fills up.
    fn output(child: Child) -> JoinHandle<std::io::Result<Output>> {
        std::thread::spawn(move || child.wait_with_output())
    }
}

fn eventually(what: &str, is: impl Fn() -> bool) -> Result<()> {
    let until = now() + LIMIT;
    while !is() {
        ensure!(now() < until, "it never came to this: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

fn time_of(lines: &[Value], host: &str, event: &str, from: f64) -> Result<f64> {
    let is = |line: &&Value| {
        line["host"] == host && line["event"] == event && line["t"].as_f64() >= Some(from)
    };
    let found = lines.iter().find(is).and_then(|line| line["t"].as_f64());
    found.with_context(|| format!("{host} never came to {event} after {from}: {lines:#?}"))
}

#[test]
fn the_whole_cycle_is_played_in_order_within_a_minute() -> Result<()> {
    let started = now();
    let Demo { child, folder } = Demo::start("curfew-demo-cycle", 24_100, &["--json"])?;
    let output = Demo::output(child).join().expect("the reader does not panic")?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(output.status.success(), "{}: {errors}\n{text}", output.status);
    let took = now().since(started);
    ensure!(took < Duration::from_mins(1), "it took {took:?}");

    let failed = time_of(&lines, "ups", "mains-failed", 0.0)?;
    let declared = time_of(&lines, "nfs", "declared", failed)?;
    let second_off = time_of(&lines, "k8s-2", "powered-off", declared)?;
    let first_off = time_of(&lines, "k8s-1", "powered-off", second_off)?;
    let returned = time_of(&lines, "ups", "mains-returned", first_off)?;
    let rebooted = time_of(&lines, "nfs", "rebooted", returned)?;
    let first_on = time_of(&lines, "k8s-1", "powered-on", rebooted)?;
    let second_on = time_of(&lines, "k8s-2", "powered-on", first_on)?;
    let first_up = time_of(&lines, "k8s-1", "booted", first_on)?;
    assert!(first_up <= second_on, "k8s-2 was started before k8s-1 was up");
    let ended = time_of(&lines, "nfs", "ended", second_on)?;

    let last = lines.last().context("the verdict")?;
    assert_eq!(last["event"], "verdict");
    assert_eq!(last["order_held"], true);
    assert_eq!(last["problems"], Value::Array(Vec::new()));
    assert!(last["t"].as_f64() >= Some(ended));
    assert!(last["battery_left_seconds"].as_f64() > Some(1.0), "{last}");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "the folder is left behind");
    Ok(())
}

#[test]
fn no_agent_outlives_a_demo_that_is_ended_or_killed() -> Result<()> {
    for (signal, port) in
        [(Signal::SIGINT, 24_200), (Signal::SIGTERM, 24_300), (Signal::SIGKILL, 24_400)]
    {
        let demo = Demo::start(&format!("curfew-demo-{signal}"), port, &[])?;
        eventually("three agents run", || demo.agents() == 3)?;
        demo.signal(signal)?;
        eventually("no agent runs", || demo.agents() == 0)?;
        if signal != Signal::SIGKILL {
            eventually("the folder is gone", || demo.left_behind() == 0)?;
        }
        let output = Demo::output(demo.child).join().expect("the reader does not panic")?;
        assert!(!output.status.success(), "{signal}: an unfinished demo is no success");
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() -> Result<()> {
    let _taken = TcpListener::bind("127.0.0.12:24500")?;
    let demo = Demo::start("curfew-demo-port", 24_500, &[])?;
    let output = Demo::output(demo.child).join().expect("the reader does not panic")?;
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr)?;
    assert!(errors.contains("port 24500 of 127.0.0.12 is taken"), "{errors}");
    assert!(errors.contains("--port "), "{errors}");
    Ok(())
}

/// A debug build starts three agents within this on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(20);
