//! The machine: on or off, and one task that owns all that runs in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::door::Door;
use crate::node::{Node, Run};
use crate::report::{Command, Report};
use crate::sequence::Sequence;
use crate::settings::{Fault, Settings};

/// A machine with Talos, off at first.
#[derive(Debug)]
pub(crate) struct Machine {
    settings: Arc<Settings>,
    faults: watch::Sender<BTreeSet<Fault>>,
    reports: mpsc::Sender<Report>,
    boot: Option<Boot>,
}

/// What runs since the machine was turned on.
#[derive(Debug)]
struct Boot {
    node: Arc<Node>,
    runs: mpsc::Receiver<Run>,
    tasks: JoinSet<Done>,
}

/// What a task was.
#[derive(Debug)]
enum Done {
    /// Something in the machine, which goes on without it.
    Part,
    /// The machine: it has gone down, and does this.
    Machine(Report),
}

impl Machine {
    pub(crate) fn new(settings: Settings, reports: mpsc::Sender<Report>) -> Self {
        let faults = watch::Sender::new(settings.faults.iter().cloned().collect());
        Self { settings: Arc::new(settings), faults, reports, boot: None }
    }

    /// Runs until `commands` end or it is cancelled.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) {
        loop {
            let Some(boot) = &mut self.boot else {
                match cancel.run_until_cancelled(commands.recv()).await.flatten() {
                    Some(command) => self.take(command).await,
                    None => return,
                }
                continue;
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.take(command).await,
                    None => break,
                },
                Some(run) = boot.runs.recv() => boot.spawn_run(run),
                Some(done) = boot.tasks.join_next() => {
                    if let Ok(Done::Machine(report)) = done {
                        self.turn_off();
                        self.report(report).await;
                    }
                }
            }
        }
        self.turn_off();
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Boot => self.turn_on().await,
            Command::Cut => self.turn_off(),
            Command::Break(fault) => {
                self.faults.send_if_modified(|faults| faults.insert(fault));
            }
            Command::Mend(fault) => {
                self.faults.send_if_modified(|faults| faults.remove(&fault));
            }
            Command::Started(_)
            | Command::Ended
            | Command::Order(_)
            | Command::PressButton
            | Command::CtrlAltDel
            | Command::RestartService
            | Command::HangUp => {
                if let Some(boot) = &mut self.boot {
                    boot.take(&command);
                }
            }
        }
    }

    async fn turn_on(&mut self) {
        if self.boot.is_some() {
            return;
        }
        let (runs, receiver) = mpsc::channel(RUNS_MAX);
        let node =
            Arc::new(Node::new(&self.settings, self.faults.subscribe(), &self.reports, runs));
        let cleared = self.settings.tree.clear();
        let door = Door::open(&node);
        let (Ok(()), Ok(door)) = (cleared, door) else {
            // A machine that cannot start is off.
            return self.report(Report::Off).await;
        };
        self.report(Report::Listens).await;
        let mut boot = Boot { node, runs: receiver, tasks: JoinSet::new() };
        boot.spawn(async |_| {
            door.run().await;
            Done::Part
        });
        boot.spawn(async |node| {
            node.boot().await;
            Done::Part
        });
        boot.spawn(async |node| Done::Machine(node.go_down().await));
        self.boot = Some(boot);
    }

    /// Takes the power away: nothing that runs is told.
    fn turn_off(&mut self) {
        if self.boot.take().is_some() && std::fs::remove_file(&self.settings.socket).is_err() {
            // The API has gone before.
        }
    }

    async fn report(&self, report: Report) {
        if self.reports.send(report).await.is_err() {
            // Nobody wants to know.
        }
    }
}

impl Boot {
    fn take(&mut self, command: &Command) {
        let forced = |sequence| Run { sequence, actor: None, is_takeover: true };
        match *command {
            Command::Started(pid) => self.node.service.started(pid),
            Command::Ended => {
                if self.node.service.ended() {
                    self.spawn(async |node| {
                        node.service.start_again().await;
                        Done::Part
                    });
                }
            }
            Command::Order(sequence) => self.spawn_run(self.node.by_call(sequence)),
            Command::PressButton => self.spawn_run(forced(Sequence::Shutdown { force: true })),
            Command::CtrlAltDel => self.spawn_run(forced(Sequence::Reboot { force: true })),
            Command::RestartService => self.spawn(async |node| {
                node.service.restart().await;
                Done::Part
            }),
            Command::HangUp => self.node.hang_ups.send_modify(|count| *count += 1),
            Command::Boot | Command::Cut | Command::Break(_) | Command::Mend(_) => {}
        }
    }

    fn spawn_run(&mut self, run: Run) {
        self.spawn(async move |node| {
            node.run(run).await;
            Done::Part
        });
    }

    fn spawn<F>(&mut self, part: impl FnOnce(Arc<Node>) -> F)
    where
        F: Future<Output = Done> + Send + 'static,
    {
        self.tasks.spawn(part(Arc::clone(&self.node)));
    }
}

/// More calls at once than any client makes.
const RUNS_MAX: usize = 16;
