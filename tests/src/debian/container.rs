//! A machine that boots Debian: its power button, its power cord, its console, its disk.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Pid;

use crate::debian::cgroup::{self, Cgroup};
use crate::debian::kernel_log::KernelLog;
use crate::debian::mount::{self, Mount};
use crate::debian::overlay::Overlay;
use crate::ground::now;
use crate::lab::pass_a_moment;
use crate::process::{Process, Program};

/// How a run of a machine ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Its operating system switched the power off.
    PoweredOff,
    /// Its operating system starts again.
    Reboots,
    /// Its power was cut, or something went wrong: the exit status tells.
    Broken(i32),
}

/// A machine; everything of it ends when this is dropped.
///
/// The fields are dropped in their order: what runs before what it runs on.
#[derive(Debug)]
pub struct Container {
    name: String,
    folder: PathBuf,
    namespace: String,
    binds: Vec<String>,
    nspawn: Option<Process>,
    cgroup: Cgroup,
    kernel_log: KernelLog,
    disk: Overlay,
}

impl Container {
    /// Makes a machine that is off, with `layers` installed and the network of `namespace`; its
    /// files, its console and its kernel log are kept in `folder`.
    pub fn new(name: &str, folder: &Path, namespace: &str, layers: &[PathBuf]) -> Result<Self> {
        fs::create_dir_all(folder).context("make a machine's folder")?;
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            namespace: namespace.to_owned(),
            binds: Vec::new(),
            nspawn: None,
            cgroup: Cgroup::make(name)?,
            kernel_log: KernelLog::open(&folder.join("kernel.log"))?,
            disk: Overlay::mount(&folder.join("disk"), layers)?,
        })
    }

    /// Shows it the file or device `from` of this machine as `to`, from its next boot on; it can
    /// write there if `is_writable`.
    pub fn bind(&mut self, from: &Path, to: &str, is_writable: bool) {
        let option = if is_writable { "--bind" } else { "--bind-ro" };
        self.binds.push(format!("{option}={}:{to}", from.display()));
    }

    /// Returns the folder with its root file system, to read it and to change it while it is off.
    pub fn root(&self) -> PathBuf {
        self.disk.root()
    }

    /// Returns the folder with its console, its kernel log and its disk.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns whether it has power.
    pub const fn is_on(&self) -> bool {
        self.nspawn.is_some()
    }

    /// Presses its power button; one that is on ignores it.
    pub fn boot(&mut self) -> Result<()> {
        if self.is_on() {
            return Ok(());
        }
        self.disk.remount()?;
        let kernel_log = format!("--bind={}:/dev/kmsg", self.kernel_log.device().display());
        let (root, network) = (self.root(), format!("/run/netns/{}", self.namespace));
        let entrances = self.cgroup.entrances();
        let program = Program::on_this_machine(Path::new("/bin/sh"), &self.folder.join("console"))
            // The shell enters the cgroup, and only then becomes the container's supervisor.
            .args(["-c", ENTER_AND_RUN, "enter"])
            .args([entrances.len().to_string()])
            .args(&entrances)
            .args(["systemd-nspawn", "--boot", "--register=no", "--keep-unit"])
            .args(["--console=read-only", "--resolv-conf=off", "--timezone=off", "--quiet"])
            // By itself nspawn denies to ask for the clock; to set it takes more in any case.
            .args(["--system-call-filter=adjtimex clock_adjtime", "--link-journal=no"])
            .args(["--machine", &self.name, "--directory"])
            .args([&root])
            .args([format!("--network-namespace-path={network}"), kernel_log])
            .args(&self.binds);
        self.nspawn = Some(program.start()?);
        Ok(())
    }

    /// Cuts its power: nothing in it gets to do anything any more.
    pub fn cut(&mut self) -> Result<()> {
        if let Some(init) = self.init()
            && nix::sys::signal::kill(init, nix::sys::signal::Signal::SIGKILL).is_err()
        {
            // It went off in the same moment.
        }
        drop(self.nspawn.take());
        self.cgroup.end()
    }

    /// Returns how it ended, once, if it has ended since the last look.
    pub fn end(&mut self) -> Result<Option<End>> {
        let Some(nspawn) = &mut self.nspawn else { return Ok(None) };
        let Some(status) = nspawn.ended()? else { return Ok(None) };
        self.nspawn = None;
        self.cgroup.end()?;
        Ok(Some(end_of(status)))
    }

    /// Runs a program in it, to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Answer> {
        let init = self.init().context("the machine is off")?;
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", PATIENCE, "nsenter", "--target", &init.to_string()]);
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]);
        // The environment of this machine's shell means nothing there.
        command.env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").args(args);
        let output = command.output().context("run a program in a machine")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Answer {
            code: output.status.code(),
            output: text(&output.stdout),
            errors: text(&output.stderr),
        })
    }

    /// Runs a script in it and fails unless it succeeds; returns what it printed.
    pub fn shell(&self, script: &str) -> Result<String> {
        let answer = self.run(["/bin/sh", "-c", script])?;
        ensure!(answer.code == Some(0), "`{script}` failed: {answer:?}");
        Ok(answer.output)
    }

    /// Returns the text of a file as the running machine sees it, also of those in its memory.
    pub fn read(&self, path: &str) -> Option<String> {
        let init = self.init()?;
        fs::read_to_string(format!("/proc/{init}/root{path}")).ok()
    }

    /// Returns what it has mounted.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        let init = self.init().context("the machine is off")?;
        let text = fs::read_to_string(format!("/proc/{init}/mountinfo"));
        Ok(mount::parse(&text.context("read the mounts of a machine")?))
    }

    /// Returns everything that its console has shown.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.folder.join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns its kernel log, after reading what has come.
    pub const fn kernel_log(&mut self) -> &mut KernelLog {
        &mut self.kernel_log
    }

    /// Returns whether its systemd has started everything, whatever came of it.
    pub fn has_booted(&self) -> bool {
        let state = self.run(["systemctl", "is-system-running"]);
        state.is_ok_and(|answer| ["running", "degraded"].contains(&answer.output.trim()))
    }

    /// Waits until it has booted; for tests that run no laboratory around it.
    pub fn until_booted(&mut self, limit: Duration) -> Result<()> {
        self.eventually("the machine has booted", limit, |it| Ok(it.has_booted()))
    }

    /// Waits until its run has ended, and returns how.
    pub fn until_end(&mut self, limit: Duration) -> Result<End> {
        let mut end = None;
        self.eventually("the machine has stopped", limit, |it| {
            end = it.end()?;
            Ok(end.is_some())
        })?;
        end.context("it has ended")
    }

    /// Looks until `condition` holds; for tests that run no laboratory around it.
    pub fn eventually(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let end = now() + limit;
        while !condition(self)? {
            self.kernel_log.read()?;
            if now() >= end {
                bail!("not within {limit:?}: {what}");
            }
            pass_a_moment();
        }
        Ok(())
    }

    /// Writes its journal, of all boots, into its folder, for those who look into a failure.
    pub fn keep_journal(&self) -> Result<PathBuf> {
        let path = self.folder.join("journal");
        let args = ["journalctl", "--no-pager", "--output=short-precise", "--no-hostname"];
        let text = if self.is_on() {
            self.run(args)?.output
        } else {
            let folder = self.root().join("var/log/journal");
            let [journalctl, rest @ ..] = args;
            let from = ["--directory".as_ref(), folder.as_os_str()];
            let rest = rest.map(AsRef::as_ref);
            crate::process::run(journalctl, rest.into_iter().chain(from))?
        };
        crate::directory::write(&path, &text)?;
        Ok(path)
    }

    /// Returns its first process as this machine numbers it.
    fn init(&self) -> Option<Pid> {
        let is_init = |pid: &Pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let numbers: Vec<_> = numbers.unwrap_or_default().split_whitespace().collect();
            // Ours, and in the container's own namespace the first.
            matches!(numbers.as_slice(), [_, .., "1"])
        };
        self.nspawn.as_ref()?;
        self.cgroup.pids().into_iter().find(is_init)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.cut().is_err() {
            // What the kernel does not let go is swept by the next laboratory.
        }
    }
}

/// What a program said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its exit code; none is a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// Ends the containers of laboratories whose process no longer lives.
pub fn sweep(is_orphan: impl Fn(&str) -> bool) {
    for name in cgroup::names().iter().filter(|name| is_orphan(name)) {
        cgroup::remove(name);
        if fs::remove_dir_all(Path::new(PROPAGATED).join(name)).is_err() {
            // nspawn removes it after an orderly end.
        }
    }
}

fn end_of(status: ExitStatus) -> End {
    match status.code() {
        Some(0) => End::PoweredOff,
        Some(REBOOT) => End::Reboots,
        Some(code) => End::Broken(code),
        None => End::Broken(-status.signal().unwrap_or_default()),
    }
}

/// Writes its own number into so many files, and becomes the program after them.
const ENTER_AND_RUN: &str = "count=$1; shift; while [ \"$count\" -gt 0 ]; do \
    echo $$ > \"$1\" || exit 70; shift; count=$((count - 1)); done; exec \"$@\"";
/// The exit status by which nspawn says that the container wants to start again.
const REBOOT: i32 = 133;
/// Nothing that a story runs takes longer, in seconds; a laboratory stands still while it runs.
const PATIENCE: &str = "20";
/// Where a shell on Debian finds its programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where nspawn keeps a folder for each container.
const PROPAGATED: &str = "/run/systemd/nspawn/propagate";
