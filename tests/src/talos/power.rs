//! The power of a Talos node, and what its machined says while it has some.

use anyhow::{Context, Result};
use curfew_machined::{BlockingStandin, Command, Report, Settings};

/// The power supply of a node, with the machine that hangs on it.
#[derive(Debug)]
pub(super) struct Power {
    standin: BlockingStandin,
    is_on: bool,
}

impl Power {
    /// Makes a machine that is off.
    pub(super) fn new(settings: Settings) -> Result<Self> {
        let standin = BlockingStandin::new(settings).context("start machined")?;
        Ok(Self { standin, is_on: false })
    }

    /// Gives it power.
    pub(super) fn boot(&mut self) {
        self.is_on = true;
        self.standin.send(Command::Boot);
    }

    /// Takes its power away.
    pub(super) fn cut(&mut self) {
        self.is_on = false;
        self.standin.send(Command::Cut);
        // What it has said of this boot is of no interest any more.
        while self.standin.report().is_some() {}
    }

    /// Returns what machined has said next, if anything.
    pub(super) fn report(&mut self) -> Option<Report> {
        if self.is_on { self.standin.report() } else { None }
    }

    /// Tells machined something, or what goes wrong with it.
    pub(super) fn tell(&self, command: Command) {
        self.standin.send(command);
    }
}
