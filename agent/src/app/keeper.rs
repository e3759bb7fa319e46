//! The keeper: the one task that owns the coordinator and the journal.
//!
//! It awaits its inputs and the journal, nothing else. What must be durable is written before any
//! action leaves; a disk that fails or hangs costs one second, and then the shutdown goes on from
//! memory, because a host that does not stop in time loses more than a record.

use std::collections::VecDeque;
use std::convert::Infallible;

use curfew_coordinator::{Command, Coordinator, Date, Event, Line, Step};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::describe;
use super::outlet::Outlets;
use super::vitals::Vitals;
use crate::clock;
use crate::journal::{AgentNote, Entry, Journal, Noted, Seen, Supply};

/// What comes to the keeper.
#[derive(Debug)]
pub(super) enum Input {
    /// A fact for the coordinator.
    Fact(Event),
    /// An operator's command, and where to say that it was taken.
    Command(Command, oneshot::Sender<Result<String, String>>),
    /// Answered when all that came before has been carried out.
    Barrier(oneshot::Sender<()>),
    /// The agent is told to end.
    Ending {
        /// What it says before.
        farewell: Farewell,
        /// Answered when the last state was told.
        told: oneshot::Sender<()>,
    },
}

/// What an agent says that is told to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Farewell {
    /// Nothing: the machine stays up.
    Silent,
    /// How it stands: the machine goes down, and something may still run that others could hurt.
    Last,
    /// That the machine goes down, or will.
    Halting,
}

/// How often the wall clock is read for the record.
const DATE_EVERY: std::time::Duration = std::time::Duration::from_mins(1);

/// Owns the coordinator.
#[derive(Debug)]
pub(super) struct Keeper {
    coordinator: Coordinator,
    journal: Journal,
    inputs: mpsc::Receiver<Input>,
    outlets: Outlets,
    vitals: Vitals,
    has_failed: bool,
    dated_at: Option<Instant>,
    has_seen_line: bool,
}

impl Keeper {
    pub(super) fn new(
        coordinator: Coordinator,
        journal: Journal,
        inputs: mpsc::Receiver<Input>,
        outlets: Outlets,
        vitals: Vitals,
    ) -> Self {
        Self {
            coordinator,
            journal,
            inputs,
            outlets,
            vitals,
            has_failed: false,
            dated_at: None,
            has_seen_line: false,
        }
    }

    /// Runs until cancelled. `first` is the step of the recovery, `failure` what the journal met
    /// when it was opened.
    pub(super) async fn run(
        mut self,
        first: Step,
        failure: Option<String>,
        cancel: CancellationToken,
    ) -> Result<(), Infallible> {
        self.carry_out(first).await;
        if let Some(failure) = failure {
            self.has_failed = true;
            self.take(Event::JournalFailed(failure)).await;
        }
        loop {
            self.vitals.turned(self.coordinator.phase(), self.outlets.has_tried_ports());
            let deadline = self.deadline();
            let input = tokio::select! {
                () = cancel.cancelled() => break,
                input = self.inputs.recv() => input,
                () = sleep_until(deadline) => Some(Input::Fact(Event::TimePassed)),
            };
            match input {
                Some(Input::Fact(event)) => self.take(event).await,
                Some(Input::Command(command, reply)) => self.obey(command, reply).await,
                Some(Input::Barrier(done)) => answer(done),
                Some(Input::Ending { farewell, told }) => {
                    self.vitals.ending();
                    self.say_farewell(farewell).await;
                    answer(told);
                }
                None => break,
            }
            self.check_journal().await;
            self.read_date().await;
            self.outlets.publish(&mut self.coordinator, false);
        }
        self.journal.close().await;
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let now = super::boot_time();
        let at = self.coordinator.next_deadline().unwrap_or(now);
        let own = Instant::now() + now.until(at);
        self.vitals.deadline().map_or(own, |at| at.min(own))
    }

    async fn take(&mut self, event: Event) {
        self.note_line(&event);
        let step = self.coordinator.handle(super::boot_time(), event);
        self.carry_out(step).await;
    }

    /// Notes what the first reading of this run says: that the mains are back is no change to a
    /// coordinator that has not seen them go.
    fn note_line(&mut self, event: &Event) {
        let Event::ReadingTaken(reading) = event else { return };
        let supply = match reading.line {
            Line::Mains => Supply::Mains,
            Line::Battery => Supply::Battery,
            Line::Unknown => return,
        };
        if std::mem::replace(&mut self.has_seen_line, true) {
            return;
        }
        let (date, at) = (today(), super::boot_time());
        let boot = self.outlets.boot.clone();
        let note = Noted::Agent(AgentNote::LineSeen { supply });
        self.journal.append(Entry { date, at, boot, note, seen: None });
    }

    async fn say_farewell(&mut self, farewell: Farewell) {
        match farewell {
            Farewell::Silent => return,
            Farewell::Last => self.outlets.publish(&mut self.coordinator, true),
            Farewell::Halting => self.take(Event::HaltSeen).await,
        }
        self.outlets.say_farewell().await;
    }

    async fn obey(&mut self, command: Command, reply: oneshot::Sender<Result<String, String>>) {
        let answer = describe::command(&command, &self.coordinator.status());
        if answer.is_ok() {
            self.take(Event::Commanded(command)).await;
        }
        if reply.send(answer).is_err() {
            info!("the operator has gone before the answer");
        }
    }

    /// Carries a step out, and the steps that its outcome leads to.
    async fn carry_out(&mut self, step: Step) {
        let mut steps = VecDeque::from([step]);
        while let Some(step) = steps.pop_front() {
            if let Some(saved) = step.saved
                && let Some(event) = self.write(*saved).await
            {
                steps.push_back(self.coordinator.handle(super::boot_time(), event));
            }
            let at = super::boot_time();
            let date = today();
            for note in step.notes {
                let is_urgent = self.outlets.tell_terminals(&note);
                describe::log(&note, is_urgent);
                let boot = self.outlets.boot.clone();
                let seen = Seen::at(&note, || self.coordinator.status());
                self.journal.append(Entry { date, at, boot, note: note.into(), seen });
            }
            for action in step.actions {
                if let Some(event) = self.outlets.carry_out(&mut self.coordinator, action) {
                    steps.push_back(self.coordinator.handle(super::boot_time(), event));
                }
            }
        }
    }

    /// Writes the state; returns the news if the journal's own state has changed by it.
    async fn write(&mut self, saved: curfew_coordinator::Saved) -> Option<Event> {
        match self.journal.write(saved).await {
            Ok(()) if self.has_failed => {
                self.has_failed = false;
                info!("the journal is durable again");
                Some(Event::JournalRecovered)
            }
            Ok(()) => None,
            Err(failure) if self.has_failed => {
                tracing::debug!(error = %failure, "the journal still fails");
                None
            }
            Err(failure) => {
                self.has_failed = true;
                let why = failure.sentence();
                error!("the journal cannot be written, the agent goes on from memory: {why}");
                Some(Event::JournalFailed(why))
            }
        }
    }

    /// The writer goes on trying by itself: takes the news when it has come through.
    async fn check_journal(&mut self) {
        if self.has_failed && self.journal.reports().borrow().failure.is_none() {
            self.has_failed = false;
            info!("the journal is durable again");
            self.take(Event::JournalRecovered).await;
        }
    }

    async fn read_date(&mut self) {
        if self.dated_at.is_some_and(|at| at.elapsed() < DATE_EVERY) {
            return;
        }
        self.dated_at = Some(Instant::now());
        if let Ok(seconds) = u64::try_from(clock::wall_seconds()) {
            self.take(Event::DateRead(Date(seconds))).await;
        }
    }
}

/// Whoever asked may have run out of patience.
fn answer(done: oneshot::Sender<()>) {
    if done.send(()).is_err() {
        info!("nobody waited any more for what was told");
    }
}

/// Returns the date; a clock before 1970 says nothing.
fn today() -> Date {
    Date(u64::try_from(clock::wall_seconds()).unwrap_or_default())
}
