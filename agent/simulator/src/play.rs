//! Playing a story to its end, under the eyes of a judge.

use crate::invariant::{Judge, Violation};
use crate::story::Story;
use crate::world::World;

/// What came of a story.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The world at its end.
    pub world: World,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Plays a story.
pub fn play(story: &Story) -> Outcome {
    play_world(story, World::new(story))
}

/// Plays a story in which all agents make a mistake.
#[cfg(feature = "mistakes")]
pub fn play_with(story: &Story, mistake: curfew_coordinator::Mistake) -> Outcome {
    play_world(story, World::with_mistake(story, mistake))
}

fn play_world(story: &Story, mut world: World) -> Outcome {
    let mut judge = Judge::new(story);
    let end = story.ends_at();
    let mut violation = judge.look(&world).err();
    while violation.is_none() && !(world.has_healed() && world.is_whole()) && world.step(end) {
        violation = judge.look(&world).err();
    }
    if violation.is_none() {
        violation = judge.close(&world).err();
    }
    Outcome { world, violation }
}
