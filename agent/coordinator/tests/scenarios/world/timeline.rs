//! What happened, in order: the truth of the world and the notes of the agents.

use std::fmt;
use std::time::Duration;

use curfew_coordinator::{Call, HostName, Note};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// What an agent says.
    Note(Note),
    MainsFailed,
    MainsReturned,
    /// The UPS took the power away.
    OutputOff,
    StopCalled(Call),
    /// Its OS was called, after the foreign clients.
    OsCalled,
    Hurried,
    Off,
    Held,
    Booted,
    AgentStarted,
    AgentKilled,
    /// A magic packet left for this host.
    Packet(HostName),
    Synced,
    /// A power-off that somebody else called is to have the UPS cut, after this long.
    CutRaised(Duration),
    CutLowered,
    Rebooted,
}

/// All facts, with milliseconds since the start of the story and the host.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    facts: Vec<(u64, HostName, Fact)>,
}

impl Timeline {
    pub(crate) fn add(&mut self, at: u64, host: &HostName, fact: Fact) {
        self.facts.push((at, host.clone(), fact));
    }

    /// Returns when `host` did what `is` describes, each time.
    pub(crate) fn times(&self, host: &str, is: impl Fn(&Fact) -> bool) -> Vec<u64> {
        let facts = self.facts.iter().filter(|(_, by, fact)| by.as_str() == host && is(fact));
        facts.map(|(at, _, _)| *at).collect()
    }

    /// Returns when anybody did what `is` describes, each time.
    pub(crate) fn times_of_any(&self, is: impl Fn(&Fact) -> bool) -> Vec<u64> {
        self.facts.iter().filter(|(_, _, fact)| is(fact)).map(|(at, _, _)| *at).collect()
    }

    /// Iterates over what `host` did, in order.
    pub(crate) fn of(&self, host: &str) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |(_, by, _)| by.as_str() == host).map(|(_, _, fact)| fact)
    }

    /// Returns the notes of `host` in order.
    pub(crate) fn notes(&self, host: &str) -> Vec<&Note> {
        self.of(host)
            .filter_map(|fact| if let Fact::Note(note) = fact { Some(note) } else { None })
            .collect()
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, host, fact) in &self.facts {
            let host = host.as_str();
            writeln!(f, "{:>6}.{:03} {host:<6} {fact:?}", at / 1000, at % 1000)?;
        }
        Ok(())
    }
}
