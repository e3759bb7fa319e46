//! A child process in a network namespace, with its output in a file; it never outlives its owner.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// What is started, and where.
#[derive(Debug)]
pub struct Program {
    command: Command,
    log: PathBuf,
}

impl Program {
    /// Prepares `program` in the namespace `namespace`; its output is appended to `log`.
    pub fn new(namespace: &str, program: &Path, log: &Path) -> Self {
        // The kernel ends the child with the thread that started it, however that ended.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", namespace]).arg(program);
        Self { command, log: log.to_owned() }
    }

    /// Prepares `program` in the namespaces of this machine; its output is appended to `log`.
    pub fn on_this_machine(program: &Path, log: &Path) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        Self { command, log: log.to_owned() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open {}", self.log.display()))?;
        let errors = log.try_clone().context("share a log")?;
        let child = self.command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.with_context(|| format!("start {:?}", self.command))?;
        Ok(Process { child, log: self.log })
    }
}

impl Process {
    /// Sends it a signal; one that has ended ignores it.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        if kill(Pid::from_raw(pid), signal).is_err() {
            // It has ended, and nobody has looked yet.
        }
    }

    /// Returns its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look at a child")
    }

    /// Returns the file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// Ends it at once, as a power cut would, and waits for that.
impl Drop for Process {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            // It has ended and was waited for before.
        }
    }
}

/// Runs `program` to its end and fails unless it succeeds.
pub fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = S>,
) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(args).output().with_context(|| format!("start {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
