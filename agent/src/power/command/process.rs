//! One child process within a limit: its own group, the end of its output, its own end.
//!
//! A full pipe never holds up the child and a pipe that is kept open never holds up us: output is
//! read all the time, only its tail is kept, and what outlives the child is read on in the
//! background (and thrown away) so that it does not die of a closed pipe.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

use super::Argv;

/// Runs commands, and reads on from what they leave behind.
#[derive(Debug, Default)]
pub(super) struct Runner {
    leftovers: Mutex<JoinSet<()>>,
}

/// How a command ended, and the last that it wrote.
#[derive(Debug)]
pub(super) struct End {
    pub(super) how: How,
    pub(super) output: Tails,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum How {
    /// It could not be started.
    Unstarted(io::Error),
    /// It was started, but its end cannot be known.
    Lost(io::Error),
    Exited(i32),
    Signalled(i32),
    /// It still ran, or was not even started, after this time, and its group was killed.
    TimedOut(Duration),
}

/// The end of what was written to each pipe; which came first between them nobody knows.
#[derive(Debug, Default)]
pub(super) struct Tails {
    stdout: Tail,
    stderr: Tail,
}

#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Runner {
    /// Runs one command for at most `limit`, and little more if it cannot even be killed.
    pub(super) async fn run(
        &self,
        argv: &Argv,
        environment: Vec<(&'static str, String)>,
        limit: Duration,
    ) -> End {
        let deadline = Instant::now() + limit;
        let mut command = Command::new(&argv.program);
        command.args(&argv.arguments).env_clear().envs(environment).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        // The program may stand on a disk that hangs, so its start may not hold up the runtime; one
        // that starts when nobody waits any more is ended at once.
        let start = move || {
            let child = command.spawn()?;
            if Instant::now() >= deadline {
                kill_group(&child);
            }
            Ok::<_, io::Error>(child)
        };
        let started = timeout_at(deadline, spawn_blocking(start)).await;
        let mut child = match started {
            Ok(Ok(Ok(child))) => child,
            Ok(Ok(Err(refused))) => return End::silent(How::Unstarted(refused)),
            Ok(Err(lost)) => return End::silent(How::Lost(lost.into())),
            Err(_late) => return End::silent(How::TimedOut(limit)),
        };
        let mut output = Output::of(&mut child);
        let waited = timeout_at(deadline, async {
            tokio::select! {
                status = child.wait() => status,
                () = output.read_on() => child.wait().await,
            }
        });
        let status = waited.await;
        if status.is_err() {
            kill_group(&child);
            if timeout(KILL_GRACE, child.wait()).await.is_err() {
                warn!("a killed command does not end: it hangs in the kernel");
            }
        }
        if timeout(OUTPUT_GRACE, output.read_on()).await.is_err() {
            self.keep(&mut output);
        }
        let how = match status {
            Ok(Ok(status)) => How::of(status),
            Ok(Err(lost)) => How::Lost(lost),
            Err(_late) => How::TimedOut(limit),
        };
        End { how, output: output.tails }
    }

    /// Reads on in the background for whoever still holds the pipes.
    fn keep(&self, output: &mut Output) {
        let (stdout, stderr) = (output.stdout.take(), output.stderr.take());
        let mut rest = Output { stdout, stderr, tails: Tails::default() };
        let mut leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
        while leftovers.try_join_next().is_some() {}
        if leftovers.len() >= LEFTOVERS_MAX {
            warn!("commands leave too much behind: the output of this one is closed");
            return;
        }
        leftovers.spawn(async move { rest.read_on().await });
    }
}

impl End {
    fn silent(how: How) -> Self {
        Self { how, output: Tails::default() }
    }
}

impl How {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signalled(signal),
            (None, None) => Self::Lost(io::Error::other("neither an exit code nor a signal")),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Unstarted(refused) => write!(f, "the command cannot be started: {refused}"),
            How::Lost(lost) => write!(f, "the end of the command is unknown: {lost}"),
            How::Exited(code) => write!(f, "the command exited with {code}"),
            How::Signalled(signal) => write!(f, "the command was ended by signal {signal}"),
            How::TimedOut(limit) => {
                write!(f, "the command took longer than {limit:?} and was killed")
            }
        }?;
        let Tails { stdout, stderr } = &self.output;
        let (stdout, stderr) = (stdout.to_string(), stderr.to_string());
        match stderr.lines().next_back().or_else(|| stdout.lines().next_back()) {
            Some(line) => write!(f, ": {line}"),
            None => Ok(()),
        }
    }
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let surplus = self.0.len().saturating_sub(TAIL_LEN);
        self.0.drain(..surplus);
    }
}

impl fmt::Display for Tails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stdout, stderr } = self;
        f.write_str(format!("{stdout}\n{stderr}").trim())
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        f.write_str(String::from_utf8_lossy(&bytes).trim())
    }
}

/// Both pipes of a child.
#[derive(Debug)]
struct Output {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    tails: Tails,
}

impl Output {
    fn of(child: &mut Child) -> Self {
        Self { stdout: child.stdout.take(), stderr: child.stderr.take(), tails: Tails::default() }
    }

    /// Reads until both pipes are closed. Cancel safe.
    async fn read_on(&mut self) {
        let (mut out, mut err) = ([0; CHUNK], [0; CHUNK]);
        while self.stdout.is_some() || self.stderr.is_some() {
            tokio::select! {
                got = read_some(&mut self.stdout, &mut out) => self.tails.stdout.push(got),
                got = read_some(&mut self.stderr, &mut err) => self.tails.stderr.push(got),
            }
        }
    }
}

/// Reads what is there; forgets a pipe at its end, and then waits for ever.
async fn read_some<'a, Pipe>(pipe: &mut Option<Pipe>, chunk: &'a mut [u8]) -> &'a [u8]
where
    Pipe: AsyncRead + Unpin,
{
    let Some(open) = pipe else { return std::future::pending().await };
    let len = open.read(chunk).await.unwrap_or_default();
    if len == 0 {
        *pipe = None;
    }
    chunk.get(..len).unwrap_or_default()
}

fn kill_group(child: &Child) {
    // It is not reaped yet, so that the number cannot have passed to another group.
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    if let Some(group) = group
        && let Err(failed) = killpg(group, Signal::SIGKILL)
        && failed != Errno::ESRCH
    {
        warn!(%failed, "cannot kill a command that took too long");
    }
}

/// What a person needs to see of a script that failed.
const TAIL_LEN: usize = 2048;
const CHUNK: usize = 1024;
/// What was written before the end stands in the pipe: reading it takes no time.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);
/// A process that is not gone by then hangs in the kernel, and we do not wait with it.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// More calls than one shutdown can make.
const LEFTOVERS_MAX: usize = 16;
