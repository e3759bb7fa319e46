//! The process of the service: a container of `runc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::directory::write;
use crate::process::{Process, Program, run};

/// A running container; ended and removed when this is dropped.
#[derive(Debug)]
pub struct Container {
    id: String,
    bundle: PathBuf,
    process: Process,
}

impl Container {
    /// Starts the container called `id` with this `config.json`; its files are kept in `bundle`,
    /// its output is appended to `log`.
    pub fn start(bundle: &Path, id: &str, config: &Value, log: &Path) -> Result<Self> {
        remove(bundle, id);
        prepare(bundle, config)?;
        let pid = bundle.join(PID);
        if pid.exists() {
            fs::remove_file(&pid).context("forget the number of an old process")?;
        }
        let process = Program::on_this_machine(Path::new(RUNC), log)
            .args(["--root".as_ref(), bundle.join(STATE).as_os_str(), "run".as_ref()])
            .args(["--bundle".as_ref(), bundle.as_os_str(), "--pid-file".as_ref()])
            .args([&pid])
            .args([id])
            .start()?;
        Ok(Self { id: id.to_owned(), bundle: bundle.to_owned(), process })
    }

    /// Returns the number of its first process as this machine counts, once it has one.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.bundle.join(PID)).ok()?.trim().parse().ok()
    }

    /// Sends its process a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let word = signal.to_string();
        let state = self.bundle.join(STATE);
        let args = ["--root".as_ref(), state.as_os_str(), "kill".as_ref(), self.id.as_ref()];
        run(RUNC, args.into_iter().chain([word.as_ref()])).map(drop)
    }

    /// Returns how its process ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Runs a program in it, with all that binds its own: see [`super::spec`]. Returns its exit
    /// code and what it said.
    pub fn run(&self, args: &[&str]) -> Result<(Option<i32>, String)> {
        let state = self.bundle.join(STATE);
        let mut command = Command::new(RUNC);
        command.arg("--root").arg(state).args(["exec", &self.id]).args(args);
        let output = command.output().context("run a program in a container")?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// Returns what runs for it on this machine.
    pub const fn process(&self) -> &Process {
        &self.process
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        remove(&self.bundle, &self.id);
    }
}

/// Runs the container called `id` to its end and fails unless it succeeds.
pub(super) fn run_once(bundle: &Path, id: &str, config: &Value) -> Result<()> {
    prepare(bundle, config)?;
    let state = bundle.join(STATE);
    let args = ["--root".as_ref(), state.as_os_str(), "run".as_ref(), "--bundle".as_ref()];
    let outcome = run(RUNC, args.into_iter().chain([bundle.as_os_str(), id.as_ref()]));
    remove(bundle, id);
    outcome.map(drop)
}

/// Ends and removes the containers whose files are in `bundle`, which somebody has left behind.
pub fn sweep(bundle: &Path) {
    let entries = fs::read_dir(bundle.join(STATE)).into_iter().flatten().flatten();
    for id in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        remove(bundle, &id);
    }
}

fn prepare(bundle: &Path, config: &Value) -> Result<()> {
    fs::create_dir_all(bundle).context("make a bundle")?;
    let text = serde_json::to_string_pretty(config).context("write a configuration")?;
    write(&bundle.join("config.json"), &text)
}

/// Ends it at once, as a power cut would, and removes it with its cgroup.
fn remove(bundle: &Path, id: &str) {
    let mut command = Command::new(RUNC);
    command.arg("--root").arg(bundle.join(STATE)).args(["delete", "--force", id]);
    if command.output().is_err() {
        // Without runc there is no container.
    }
}

/// The runtime that Talos' containerd calls.
pub(super) const RUNC: &str = "/usr/sbin/runc";
/// Where the runtime keeps what it knows of the containers of a bundle.
const STATE: &str = "runc";
const PID: &str = "pid";
