//! A stage for the shell scripts of `systemd/`: stand-ins for all that they call, a clock that only
//! their own waiting moves, and a root of their own.
//!
//! A script has no switch for tests that somebody else could turn. The stage plays a copy of it in
//! which the fixed places, and nothing else, lie in the stage's folder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::directory::{self, Directory};

/// One script, and all that it sees.
#[derive(Debug)]
pub struct Stage {
    directory: Directory,
}

impl Stage {
    /// Takes the script at `path`, relative to the checkout, to a stage called `name`.
    ///
    /// The boot clock shows [`START_S`], and stands.
    pub fn new(name: &str, path: &str) -> Result<Self> {
        let directory = Directory::new(&format!("curfew-stage-{}-{name}", std::process::id()))?;
        let stage = Self { directory };
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        let script = fs::read_to_string(&place).with_context(|| format!("read {path}"))?;
        ensure!(script.contains(SEARCH_PATH), "{path} does not set its own PATH");
        let root = stage.join("").display().to_string();
        let mut staged = script.replace(SEARCH_PATH, &format!("PATH={root}bin:/usr/bin:/bin"));
        for place in ["/run/", "/etc/", "/lib/nut", "/dev/kmsg", "/dev/console"] {
            staged = staged.replace(place, &format!("{root}{}", place.trim_start_matches('/')));
        }
        for place in ["proc", "sys", "dev"] {
            staged = staged.replace(&format!("=/{place}\n"), &format!("={root}{place}\n"));
        }
        directory::write_program(&stage.join("script"), &staged)?;
        stage.set_clock(START_S)?;
        let clock = stage.join("proc/uptime").display().to_string();
        stage.program(
            "sleep",
            &format!(
                "awk -v by=\"$1\" '{{ printf \"%.2f 0\\n\", $1 + by }}' {clock} > {clock}.new\n\
             mv {clock}.new {clock}"
            ),
        )?;
        Ok(stage)
    }

    /// Returns the place of `path` on the stage.
    pub fn join(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        directory::write(&self.join(path), text)
    }

    /// Returns a file, empty if there is none.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.join(path)).unwrap_or_default()
    }

    /// Puts a stand-in where the script finds its programs. It runs on the stage.
    pub fn program(&self, name: &str, body: &str) -> Result<()> {
        self.program_at(&format!("bin/{name}"), body)
    }

    /// As [`Self::program`], at a place of its own. `note` writes its arguments into
    /// [`Self::calls`].
    pub fn program_at(&self, path: &str, body: &str) -> Result<()> {
        let root = self.join("").display().to_string();
        let note = "note() { printf '%s %s\\n' \"$(cut -d. -f1 proc/uptime)\" \"$*\" >> calls; }";
        directory::write_program(
            &self.join(path),
            &format!("#!/bin/sh\ncd {root} || exit 1\n{note}\n{body}\n"),
        )
    }

    /// Replaces text in the script, such as a limit.
    pub fn edit(&self, from: &str, to: &str) -> Result<()> {
        let script = self.read("script");
        ensure!(script.contains(from), "the script has no {from:?}");
        directory::write_program(&self.join("script"), &script.replace(from, to))
    }

    /// Sets the boot clock.
    pub fn set_clock(&self, seconds: u64) -> Result<()> {
        self.write("proc/uptime", &format!("{seconds}.00 0.00\n"))
    }

    /// Returns what the boot clock shows.
    pub fn clock(&self) -> Result<u64> {
        let uptime = self.read("proc/uptime");
        let seconds = uptime.split('.').next().unwrap_or_default();
        seconds.parse().with_context(|| format!("a clock that shows {uptime:?}"))
    }

    /// Plays the script to its end.
    pub fn play(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = Command::new(self.join("script"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the script")?;
        if let Some(mut stdin) = child.stdin.take() {
            // A script that does not read has ended its side already.
            stdin.write_all(input.as_bytes()).unwrap_or_default();
        }
        child.wait_with_output().context("wait for the script")
    }

    /// Returns what the stand-ins were called with, each with the time on the boot clock.
    pub fn calls(&self) -> Vec<(u64, String)> {
        let calls = self.read("calls");
        let split = |line: &str| {
            let (at, call) = line.split_once(' ')?;
            Some((at.parse().ok()?, call.to_owned()))
        };
        calls.lines().filter_map(split).collect()
    }

    /// Returns when a call whose text contains `what` was made, each time.
    pub fn times_of(&self, what: &str) -> Vec<u64> {
        self.calls().iter().filter(|(_, call)| call.contains(what)).map(|(at, _)| *at).collect()
    }
}

/// What the boot clock shows at first.
pub const START_S: u64 = 1000;
/// Each script looks in the system's own places only, whoever starts it.
const SEARCH_PATH: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
