//! Power by commands of the cluster file: for other systems, for tests and for demonstrations.
//!
//! Each command is an argument list, run without a shell, in `/`, in a process group of its own,
//! with no input and with this environment and nothing else:
//!
//! | variable | value |
//! |---|---|
//! | `PATH` | `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin` |
//! | `CURFEW_HOST` | the name of this host |
//! | `CURFEW_ACTION` | `stop`, `hold`, `cut`, `reboot` or `stopping` |
//! | `CURFEW_SHUTDOWN` | the number of the shutdown (not for `stopping`) |
//! | `CURFEW_CAUSE` | `battery` or `order` (not for `stopping`) |
//! | `CURFEW_CUT_METHOD` | only for `cut`: the UPS command, such as `shutdown.return` |
//! | `CURFEW_CUT_EARLIEST_SECONDS` | only for `cut`: the cut must wait at least this long |
//!
//! Exit 0 means accepted. At its limit the whole group is killed. What it leaves behind in the
//! background lives on, and so it does when the call is dropped: a stop that was begun goes on.
//!
//! Whether a stop runs only the optional `stopping` command can tell: exit 0 means that one runs,
//! 1 that none does. All else, and no such command, is unknown: then `stop` is called again, so it
//! must bear being called twice. We keep no marker of our own: it would say that we called, which
//! the journal says already, and not that the system is going down.

mod process;

use std::path::PathBuf;
use std::time::Duration;

use tracing::{info, warn};

use self::process::{How, Runner};
use super::{Cut, Outcome, Reason, Stopping};

/// The commands of one host, as the cluster file has them.
#[derive(Clone, Debug)]
pub struct Commands {
    /// The name of this host.
    pub host: String,
    /// Powers off.
    pub stop: Argv,
    /// Enters the hold and returns when it is entered.
    pub hold: Option<Argv>,
    /// Powers off and has the UPS cut.
    pub cut: Option<Argv>,
    /// Reboots.
    pub reboot: Option<Argv>,
    /// Tells whether a stop runs: exit 0 yes, 1 no.
    pub stopping: Option<Argv>,
    /// After this time a command has failed and is killed.
    pub limit: Duration,
}

/// A program by its absolute path, and its arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Argv {
    program: PathBuf,
    arguments: Vec<String>,
}

/// Why an argument list cannot be run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArgvError {
    /// There is no program.
    #[error("a command needs at least the path of a program")]
    Empty,
    /// The program would have to be searched.
    #[error(
        "{0:?} is no absolute path: write where the program stands, such as \"/sbin/poweroff\""
    )]
    Relative(String),
}

impl TryFrom<Vec<String>> for Argv {
    type Error = ArgvError;

    fn try_from(words: Vec<String>) -> Result<Self, ArgvError> {
        let mut words = words.into_iter();
        let program = words.next().ok_or(ArgvError::Empty)?;
        if !program.starts_with('/') {
            return Err(ArgvError::Relative(program));
        }
        Ok(Self { program: program.into(), arguments: words.collect() })
    }
}

/// Calls the operating system by commands.
#[derive(Debug)]
pub struct CommandPower {
    commands: Commands,
    runner: Runner,
}

impl CommandPower {
    /// Takes the commands; runs none.
    pub fn new(commands: Commands) -> Self {
        Self { commands, runner: Runner::default() }
    }

    pub(super) async fn stop(&self, reason: &Reason) -> Outcome {
        self.call("stop", Some(&self.commands.stop), reason, vec![]).await
    }

    pub(super) async fn hold(&self, reason: &Reason) -> Outcome {
        self.call("hold", self.commands.hold.as_ref(), reason, vec![]).await
    }

    pub(super) async fn cut(&self, reason: &Reason, cut: &Cut) -> Outcome {
        // Rounded up: a cut must never come earlier than it was asked for.
        let seconds = cut.earliest.as_millis().div_ceil(1000);
        let environment = vec![
            ("CURFEW_CUT_METHOD", cut.method.clone()),
            ("CURFEW_CUT_EARLIEST_SECONDS", seconds.to_string()),
        ];
        self.call("cut", self.commands.cut.as_ref(), reason, environment).await
    }

    pub(super) async fn reboot(&self, reason: &Reason) -> Outcome {
        self.call("reboot", self.commands.reboot.as_ref(), reason, vec![]).await
    }

    pub(super) async fn is_stopping(&self) -> Stopping {
        let Some(argv) = &self.commands.stopping else {
            return Stopping::Unknown("no `stopping` command is configured".into());
        };
        let environment = self.environment("stopping");
        let limit = self.commands.limit.min(STOPPING_LIMIT);
        let end = self.runner.run(argv, environment, limit).await;
        match end.how {
            How::Exited(0) => Stopping::Running,
            How::Exited(1) => Stopping::Idle,
            How::Exited(_)
            | How::Signalled(_)
            | How::TimedOut(_)
            | How::Unstarted(_)
            | How::Lost(_) => {
                warn!(action = "stopping", %end, "command did not say if a stop runs");
                Stopping::Unknown(end.to_string())
            }
        }
    }

    async fn call(
        &self,
        action: &'static str,
        argv: Option<&Argv>,
        reason: &Reason,
        environment: Vec<(&'static str, String)>,
    ) -> Outcome {
        let Some(argv) = argv else {
            return Outcome::Failed(format!(
                "no `{action}` command is configured: add it to [host.command]"
            ));
        };
        let shutdown = reason.shutdown;
        let mut all = self.environment(action);
        all.push(("CURFEW_SHUTDOWN", shutdown.to_string()));
        all.push(("CURFEW_CAUSE", reason.cause.as_str().into()));
        all.extend(environment);
        let end = self.runner.run(argv, all, self.commands.limit).await;
        let output = &end.output;
        match end.how {
            How::Exited(0) => {
                info!(action, shutdown, %output, "command accepted");
                Outcome::Accepted
            }
            How::TimedOut(limit) => {
                warn!(action, shutdown, ?limit, %output, "command timed out and was killed");
                Outcome::TimedOut(limit)
            }
            How::Exited(_) | How::Signalled(_) | How::Unstarted(_) | How::Lost(_) => {
                warn!(action, shutdown, %end, %output, "command failed");
                Outcome::Failed(end.to_string())
            }
        }
    }

    fn environment(&self, action: &'static str) -> Vec<(&'static str, String)> {
        vec![
            ("PATH", PATH.into()),
            ("CURFEW_HOST", self.commands.host.clone()),
            ("CURFEW_ACTION", action.into()),
        ]
    }
}

/// Where the scripts of a stop find the system's own programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// It is asked before a call that has a deadline: a question must not eat that.
const STOPPING_LIMIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
