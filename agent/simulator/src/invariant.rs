//! What must hold in every world, by its truth: the lines of the design's §8, by name.
//!
//! [`Judge::look`] is called after every event, [`Judge::close`] at the end, when the world has
//! healed. Each invariant is a file of its own with a function of its name.

use crate::story::Story;
use crate::world::World;

/// The invariants.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// When a host begins, nobody who depends on it can still be hurt.
    ReleaseIsTrue,
    /// Everybody gets back up.
    NobodyStranded,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, in milliseconds since the story began.
    pub at: u64,
    /// What was seen.
    pub what: String,
}

/// Watches one world. What it remembers is hashed, so that two worlds that look alike are only
/// taken for one where they are judged alike from here on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Judge {
    seen: usize,
}

impl Judge {
    /// Makes the judge of a story.
    pub fn new(_story: &Story) -> Self {
        Self { seen: 0 }
    }

    /// Looks at the world after an event.
    pub fn look(&mut self, world: &World) -> Result<(), Violation> {
        let news = world.facts().get(self.seen..).unwrap_or_default();
        self.seen += news.len();
        Ok(())
    }

    /// Lets the world forget the facts that were looked at: nothing else but `seen` may rest on
    /// how many there were.
    pub fn forget(&mut self, world: &mut World) {
        self.seen = 0;
        world.clear_facts();
    }

    /// Looks at the world at the end.
    pub fn close(&mut self, world: &World) -> Result<(), Violation> {
        if world.is_whole() {
            return Ok(());
        }
        Err(Violation {
            invariant: Invariant::NobodyStranded,
            at: world.now(),
            what: "the cluster is not whole".to_owned(),
        })
    }
}
