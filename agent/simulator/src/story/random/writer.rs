//! The writer of a story: it watches the world go by, and adds troubles where they hurt.

use std::collections::BTreeMap;

use curfew_coordinator::{HostName, Note};
use fastrand::Rng;

use super::trouble::{Plot, Trouble};
use super::{Genre, happens, pick, span};
use crate::story::{Change, Story};
use crate::{Fact, World};

/// A battery's numbers have all counted by then.
const SETTLED: u64 = 40_000;
/// So many of a hundred decisions bring a trouble, and of the other facts.
const STRIKES_DECISION: u64 = 25;
const STRIKES: u64 = 8;
/// So many of a hundred of them bring the mains back.
const RETURNS: u64 = 5;
/// How long the mains are watched after their return, at the most.
const AFTERMATH: u64 = 90_000;

/// Writes one story.
pub(super) struct Writer {
    story: Story,
    world: World,
    genre: Genre,
    chance: Rng,
    /// What was said to happen and has not yet.
    pending: BTreeMap<(u64, u64), Change>,
    written: u64,
    seen: usize,
    /// Troubles that are still to come, and how often they are aimed.
    troubles: u32,
    ends_at: u64,
}

impl Writer {
    pub(super) fn new(story: Story, genre: Genre, mut chance: Rng) -> Self {
        let counts: &[u32] = match genre {
            Genre::Calm => &[0],
            Genre::NoOutage => &[1, 2, 3, 4, 5],
            Genre::Mixed
            | Genre::Network
            | Genre::Agents
            | Genre::Machines
            | Genre::Ups
            | Genre::Mains
            | Genre::Operators
            | Genre::Strangers => &[1, 1, 1, 2, 2, 3, 4, 6],
        };
        let troubles = pick(&mut chance, counts);
        Self {
            world: World::new(&story),
            story,
            genre,
            chance,
            pending: BTreeMap::new(),
            written: 0,
            seen: 0,
            troubles,
            ends_at: 0,
        }
    }

    /// Writes it to its end.
    pub(super) fn write(mut self) -> Story {
        self.outline();
        while self.troubles > 0 || !self.pending.is_empty() {
            let next = self.pending.keys().next().map_or(self.ends_at, |(at, _)| *at);
            if self.troubles == 0 {
                // Nothing is aimed any more: the rest need not be watched.
                self.happen_next();
            } else if !self.world.step(next.min(self.ends_at)) {
                if next > self.ends_at || !self.happen_next() {
                    self.troubles = 0;
                }
            } else {
                self.watch();
            }
        }
        let last = self.story.changes.last().map_or(0, |dated| dated.at);
        self.story.heals_at = last + self.chance.u64(500..20_000);
        self.story
    }

    /// The outage, and what happens at any time.
    fn outline(&mut self) {
        let is_settled = happens(&mut self.chance, 70);
        let fails_at = if is_settled { SETTLED } else { 3_000 } + self.chance.u64(0..8_000);
        let runtime = self.world.true_left();
        let dark = match self.chance.u8(0..10) {
            0 => span(&mut self.chance, 7, 13),
            1..3 => runtime + self.chance.u64(0..20_000),
            _ => self.chance.u64(1_000..runtime.max(2_000)),
        };
        if self.genre == Genre::NoOutage {
            self.ends_at = fails_at + 60_000;
        } else {
            self.plan(fails_at, Change::MainsFail);
            self.plan(fails_at + dark, Change::MainsReturn);
            self.ends_at = fails_at + dark + AFTERMATH;
        }
        let by_hand = if self.genre == Genre::Operators { 40 } else { 4 };
        if self.genre != Genre::NoOutage && happens(&mut self.chance, by_hand) {
            self.let_somebody_stop(fails_at);
        }
        // Some troubles come at any time, the others near something that happens.
        for _ in 0..self.troubles {
            let percent = if self.genre == Genre::NoOutage { 70 } else { 20 };
            if happens(&mut self.chance, percent) {
                let at = self.chance.u64(500..self.ends_at);
                let about = self.any_host();
                let plot = self.invent(about);
                self.plan_all(at, plot);
                self.troubles -= 1;
            }
        }
    }

    /// A person switches a host off before the outage.
    fn let_somebody_stop(&mut self, before: u64) {
        let host = self.any_host();
        if host != self.story.cluster.ups.owner {
            let at = self.chance.u64(500..before);
            self.plan(at, Change::HostStopped { host });
        }
    }

    fn any_host(&mut self) -> HostName {
        let place = self.chance.usize(self.world.hosts());
        self.world.machine(place).name.clone()
    }

    fn plan(&mut self, at: u64, change: Change) {
        self.written += 1;
        self.pending.insert((at, self.written), change);
    }

    fn plan_all(&mut self, at: u64, plot: Plot) {
        for (after, change) in plot {
            self.plan(at + after, change);
        }
    }

    /// Lets the next change happen that was planned; returns whether there was one.
    fn happen_next(&mut self) -> bool {
        let Some(((at, _), change)) = self.pending.pop_first() else { return false };
        self.story.add(at, change.clone());
        if self.troubles > 0 {
            self.world.change(change);
        }
        true
    }

    /// Looks at what has just happened, and may make something of it.
    fn watch(&mut self) {
        let news: Vec<(usize, u64)> = self
            .world
            .facts()
            .get(self.seen..)
            .unwrap_or_default()
            .iter()
            .map(|happened| (happened.host, weight_of(&happened.fact)))
            .collect();
        self.seen = self.world.facts().len();
        for (host, percent) in news {
            self.strike(host, percent);
        }
    }

    fn strike(&mut self, host: usize, percent: u64) {
        let now = self.world.now();
        if percent > 0 && !self.world.ups().has_mains && happens(&mut self.chance, RETURNS) {
            let at = now + self.offset();
            self.plan(at, Change::MainsReturn);
        }
        if self.troubles > 0 && happens(&mut self.chance, percent) {
            self.troubles -= 1;
            let at = now + self.offset();
            let about = self.world.machine(host).name.clone();
            let plot = self.invent(about);
            self.plan_all(at, plot);
        }
    }

    /// How long after a fact what is aimed at it comes: often at once.
    fn offset(&mut self) -> u64 {
        if happens(&mut self.chance, 30) { 0 } else { span(&mut self.chance, 2, 14) }
    }

    fn invent(&mut self, about: HostName) -> Plot {
        let hosts: Vec<_> = self.story.cluster.hosts.iter().map(|host| host.name.clone()).collect();
        let owner = &self.story.cluster.ups.owner;
        Trouble { chance: &mut self.chance, genre: self.genre, hosts: &hosts, owner, about }.make()
    }
}

/// Returns how many of a hundred facts of a kind bring a trouble.
fn weight_of(fact: &Fact) -> u64 {
    let Fact::Note(note) = fact else {
        let is_dull = matches!(fact, Fact::Changed(_) | Fact::Healed | Fact::AgentEnded);
        return if is_dull { 0 } else { STRIKES };
    };
    let is_decision = matches!(
        note,
        Note::Declared { .. }
            | Note::BlindHeard { .. }
            | Note::Paused
            | Note::Began { .. }
            | Note::Turned { .. }
            | Note::Ended { .. }
            | Note::Conducting { .. }
    );
    let is_dull = matches!(note, Note::StopAccepted | Note::PhaseChanged { .. });
    match (is_decision, is_dull) {
        (true, _) => STRIKES_DECISION,
        (_, true) => 0,
        _ => STRIKES,
    }
}
