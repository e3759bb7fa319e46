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
    let mut rest = Rest::new(story);
    let mut violation = judge.look(&world).err();
    while violation.is_none() && !rest.is_over(&world) && world.step(end) {
        violation = judge.look(&world).err();
    }
    if violation.is_none() {
        violation = judge.close(&world).err();
    }
    Outcome { world, violation }
}

/// Sees when nothing can happen any more: the weather is over, and everything is whole, or has been
/// at rest for longer than an agent waits before it finds something missing.
pub(crate) struct Rest {
    span: u64,
    since: Option<u64>,
}

impl Rest {
    pub(crate) fn new(story: &Story) -> Self {
        let settings = &story.cluster.settings;
        let longest = settings.built_in.boot_grace.max(settings.mains_stable * 2);
        let span = longest + settings.built_in.absent_silence;
        Self { span: u64::try_from(span.as_millis()).unwrap_or(u64::MAX), since: None }
    }

    pub(crate) fn is_over(&mut self, world: &World) -> bool {
        if !world.has_healed() || !world.is_at_rest() {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert_with(|| world.now());
        world.is_whole() || world.now() - since >= self.span
    }
}
