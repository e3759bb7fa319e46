//! Stories from a seed: clusters, machines and weather as they might be.
//!
//! A story has a [`Genre`], which says what goes wrong in it most. Troubles are aimed: the writer
//! plays the story while writing it, and most of what it adds comes near something that has just
//! happened, be it a declaration, a begin, a packet or a boot.

use fastrand::Rng;

use super::{Change, Dated, NetworkTruth, Story};

mod cluster;
mod trouble;
mod writer;

use cluster::Scenery;
use writer::Writer;

/// What goes wrong most in a story.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Genre {
    /// An outage, and nothing else.
    Calm,
    /// Anything.
    Mixed,
    /// Rain, cuts and pulled cables.
    Network,
    /// Agents are killed, and their disks fail.
    Agents,
    /// Machines crash, hang, refuse.
    Machines,
    /// The UPS lies, drops or is gone.
    Ups,
    /// The mains come and go.
    Mains,
    /// People order things.
    Operators,
    /// Rehearsals, and agents that are not who they say.
    Strangers,
    /// The mains never fail for long, whatever else does.
    NoOutage,
}

/// How often each comes.
const GENRES: [(Genre, u64); 10] = [
    (Genre::Calm, 4),
    (Genre::Mixed, 30),
    (Genre::Network, 12),
    (Genre::Agents, 12),
    (Genre::Machines, 10),
    (Genre::Ups, 10),
    (Genre::Mains, 8),
    (Genre::Operators, 6),
    (Genre::Strangers, 3),
    (Genre::NoOutage, 5),
];

impl Story {
    /// Makes the story of a seed: the same one each time.
    pub fn random(seed: u64) -> Self {
        let mut chance = Rng::with_seed(seed);
        let genre = pick_weighted(&mut chance, &GENRES);
        let Scenery { cluster, hosts, ups, measured } = Scenery::random(&mut chance, genre);
        let network = NetworkTruth { latency: chance.u64(1..=20), is_on_ups: chance.u8(0..10) > 0 };
        let story = Self {
            about: format!("{genre:?}").to_lowercase(),
            seed,
            cluster,
            hosts,
            ups,
            network,
            measured,
            changes: Vec::new(),
            heals_at: u64::MAX / 4,
        };
        Writer::new(story, genre, chance).write()
    }

    /// Gives a story the weather of its seed, instead of all that happened in it.
    #[must_use]
    pub fn with_weather(mut self) -> Self {
        let mut chance = Rng::with_seed(!self.seed);
        let genre = pick_weighted(&mut chance, &GENRES);
        self.about = format!("{genre:?}").to_lowercase();
        self.changes.clear();
        self.heals_at = u64::MAX / 4;
        Writer::new(self, genre, chance).write()
    }

    fn add(&mut self, at: u64, change: Change) {
        self.changes.push(Dated { at, change });
    }
}

/// Returns one of `items`, which must not be empty.
fn pick<T: Copy>(chance: &mut Rng, items: &[T]) -> T {
    *items.get(chance.usize(0..items.len())).expect("the place is below the length")
}

/// Returns one of `items` by their weights, which must not all be zero.
fn pick_weighted<T: Copy>(chance: &mut Rng, items: &[(T, u64)]) -> T {
    let all = items.iter().map(|(_, weight)| weight).sum();
    let mut place = chance.u64(0..all);
    for (item, weight) in items {
        match place.checked_sub(*weight) {
            Some(rest) => place = rest,
            None => return *item,
        }
    }
    pick(chance, items).0
}

/// Returns whether something with this chance in a hundred happens.
fn happens(chance: &mut Rng, percent: u64) -> bool {
    chance.u64(0..100) < percent
}

/// Returns a span of 2^`from` to 2^`to` milliseconds: each doubling is as likely as every other.
fn span(chance: &mut Rng, from: u32, to: u32) -> u64 {
    let least = 1 << chance.u32(from..to);
    chance.u64(least..least * 2)
}
