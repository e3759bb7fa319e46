//! Everything that truly happened in a laboratory, in order, with its time.

use std::fmt::{self, Write};

use curfew_coordinator::Time;
use curfew_machined::Report;

use crate::debian::End;
use crate::ground::now;
use crate::host::Host;

/// What an agent calls its operating system for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    /// Power off.
    Stop,
    /// Enter the hold.
    Hold,
    /// Reboot out of the hold.
    Reboot,
    /// Power off, and have the UPS cut.
    Cut,
}

impl Verb {
    /// Returns the verb called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Stop, Self::Hold, Self::Reboot, Self::Cut]
            .into_iter()
            .find(|verb| verb.name() == name)
    }

    /// Returns the word in the cluster file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Hold => "hold",
            Self::Reboot => "reboot",
            Self::Cut => "cut",
        }
    }
}

/// A fact of the world, not of what agents believe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// The mains failed.
    MainsFailed,
    /// The mains came back.
    MainsBack,
    /// The UPS says that its battery is low.
    BatteryLow,
    /// The UPS has opened its output: every machine lost its power at once.
    OutputOpened,
    /// The UPS has closed its output.
    OutputClosed,
    /// The agent called its operating system.
    Called(Verb),
    /// The operating system took the agent's services down and now tells the agent to end.
    Halting,
    /// Machined of a Talos node, as the stand-in plays it, did this.
    Machined(Report),
    /// The operating system, a real one, has ended its run.
    Ended(End),
    /// What the hold says of itself; empty when there is none.
    Hold(String),
    /// A line of the kernel log that is about us.
    Kernel(String),
    /// The machine's last hook told the UPS to cut.
    CutOrdered,
    /// The machine is off.
    Off,
    /// A magic packet for the machine crossed the switch; it is from this address.
    Packet(String),
    /// The machine has started.
    On,
    /// An agent was started.
    AgentStarted,
    /// The agent ended by itself with this code; none is a signal.
    AgentEnded(Option<i32>),
    /// The story did something to the machine.
    Fault(String),
}

/// One fact.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, on the boot clock.
    pub at: Time,
    /// Where; none is the UPS and its mains.
    pub host: Option<Host>,
    /// What.
    pub fact: Fact,
}

/// All facts, in order.
#[derive(Debug)]
pub struct Timeline {
    start: Time,
    entries: Vec<Entry>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { start: now(), entries: Vec::new() }
    }
}

impl Timeline {
    /// Adds what happened now.
    pub fn add(&mut self, host: impl Into<Option<Host>>, fact: Fact) {
        self.entries.push(Entry { at: now(), host: host.into(), fact });
    }

    /// Returns all facts.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns when the laboratory was opened.
    pub fn start(&self) -> Time {
        self.start
    }

    /// Returns when this happened first.
    pub fn first(&self, host: impl Into<Option<Host>>, fact: &Fact) -> Option<Time> {
        let host = host.into();
        self.entries.iter().find(|entry| entry.host == host && entry.fact == *fact).map(|it| it.at)
    }

    /// Returns when this happened last.
    pub fn last(&self, host: impl Into<Option<Host>>, fact: &Fact) -> Option<Time> {
        let host = host.into();
        self.entries.iter().rfind(|entry| entry.host == host && entry.fact == *fact).map(|it| it.at)
    }

    /// Returns the last fact of `host` that `is_meant`.
    pub fn last_that(
        &self,
        host: impl Into<Option<Host>>,
        is_meant: impl Fn(&Fact) -> bool,
    ) -> Option<&Fact> {
        let host = host.into();
        let is_meant = |entry: &&Entry| entry.host == host && is_meant(&entry.fact);
        self.entries.iter().rfind(is_meant).map(|entry| &entry.fact)
    }

    /// Returns how often this happened.
    pub fn count(&self, host: impl Into<Option<Host>>, fact: &Fact) -> usize {
        let host = host.into();
        self.entries.iter().filter(|entry| entry.host == host && entry.fact == *fact).count()
    }

    /// Returns how many magic packets for `host` crossed the switch.
    pub fn packets(&self, host: Host) -> usize {
        let is_packet = |entry: &&Entry| matches!(entry.fact, Fact::Packet(_));
        self.entries.iter().filter(|entry| entry.host == Some(host)).filter(is_packet).count()
    }

    /// Returns all calls to operating systems, in order.
    pub fn calls(&self) -> Vec<(Host, Verb)> {
        let call = |entry: &Entry| match (entry.host, &entry.fact) {
            (Some(host), Fact::Called(verb)) => Some((host, *verb)),
            _ => None,
        };
        self.entries.iter().filter_map(call).collect()
    }

    /// Asserts that the first occurrences of these facts follow each other in this order.
    ///
    /// # Panics
    ///
    /// When they do not, with the whole timeline.
    pub fn assert_order(&self, facts: &[(Host, Fact)]) {
        self.assert_order_since(self.start, facts);
    }

    /// As [`Timeline::assert_order`], for the first occurrences from `since` on.
    ///
    /// # Panics
    ///
    /// When they do not, with the whole timeline.
    pub fn assert_order_since(&self, since: Time, facts: &[(Host, Fact)]) {
        let mut before: Option<(usize, &(Host, Fact))> = None;
        for wanted in facts {
            let is_wanted = |entry: &Entry| {
                entry.at >= since && entry.host == Some(wanted.0) && entry.fact == wanted.1
            };
            let place = self.entries.iter().position(is_wanted);
            assert!(place.is_some(), "{} never came to {:?}\n{self}", wanted.0, wanted.1);
            let Some(place) = place else { continue };
            if let Some((earlier, other)) = before {
                assert!(earlier < place, "{wanted:?} came before {other:?}\n{self}");
            }
            before = Some((place, wanted));
        }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            f.write_str(&line(self.start, entry.at, entry.host, &format!("{:?}", entry.fact)))?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// Returns one line of a timeline that began at `start`.
pub fn line(start: Time, at: Time, host: Option<Host>, what: &str) -> String {
    let since = at.since(start);
    let host = host.map_or("world", Host::name);
    format!("{:>4}.{:03} {host:>6}  {what}", since.as_secs(), since.subsec_millis())
}
