//! Every known mistake of a coordinator breaks an invariant in one of the first random stories.
//!
//! A mistake that is not found is a hole in the invariants or in the weather: what is mended is
//! those, never this test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use curfew_coordinator::Mistake;
use curfew_simulator::{
    Attempt, FailureKind, Invariant, Outcome, Story, compare, cores, play, play_with, twin,
};

/// The first seed. Another one tells other stories.
const FIRST_SEED: u64 = 0;
/// So many stories each mistake may take.
const STORIES: usize = 5_000;

/// How a mistake was found.
struct Found {
    mistake: Mistake,
    runs: usize,
    by: Option<FailureKind>,
}

#[test]
fn each_known_mistake_breaks_an_invariant_in_a_random_story() {
    let shelf = Shelf::new();
    let next = AtomicUsize::new(0);
    let look = || {
        let mut found = Vec::new();
        while let Some(mistake) = Mistake::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = shelf.find(*mistake);
            println!("{}", one.line());
            found.push(one);
        }
        found
    };
    let found: Vec<Found> = std::thread::scope(|threads| {
        let all: Vec<_> = (0..cores().get()).map(|_| threads.spawn(look)).collect();
        all.into_iter().flat_map(|it| it.join().expect("a run that panics is found")).collect()
    });
    let missed: Vec<_> = found.iter().filter(|it| it.by.is_none()).map(|it| it.mistake).collect();
    assert!(missed.is_empty(), "{} are not found in {STORIES} stories: {missed:?}", missed.len());
}

impl Found {
    fn line(&self) -> String {
        let (mistake, runs) = (self.mistake.as_str(), self.runs);
        match &self.by {
            Some(by) => {
                let seed = FIRST_SEED + runs as u64 - 1;
                let by = by.to_string();
                format!("| {mistake:26} | {runs:5} | {by:28} | {seed:5} |")
            }
            None => format!("| {mistake:26} | {runs:5} | not found |  |"),
        }
    }
}

/// The stories, each written when it is first wanted.
struct Shelf {
    stories: Vec<OnceLock<Tale>>,
}

/// A story, and what is known of it.
struct Tale {
    story: Story,
    is_good: OnceLock<bool>,
}

impl Shelf {
    fn new() -> Self {
        Self { stories: (0..STORIES).map(|_| OnceLock::new()).collect() }
    }

    /// Looks for a story that the mistake breaks: first by itself, then beside its twin, which
    /// costs three times as much.
    fn find(&self, mistake: Mistake) -> Found {
        let alone = |tale: &Tale| tale.breaks(mistake);
        let beside = |tale: &Tale| tale.parts_from_twin(mistake);
        let found = self.look(alone).or_else(|| self.look(beside));
        let (runs, by) = found.map_or((STORIES, None), |(runs, by)| (runs, Some(by)));
        Found { mistake, runs, by }
    }

    fn look(&self, how: impl Fn(&Tale) -> Option<FailureKind>) -> Option<(usize, FailureKind)> {
        (1..).zip(&self.stories).find_map(|(runs, place)| {
            let tale = place.get_or_init(|| Tale::of(FIRST_SEED + runs as u64 - 1));
            let by = how(tale).filter(|_| tale.is_good())?;
            Some((runs, by))
        })
    }
}

impl Tale {
    fn of(seed: u64) -> Self {
        Self { story: Story::random(seed), is_good: OnceLock::new() }
    }

    /// Returns whether it ends well without any mistake.
    fn is_good(&self) -> bool {
        *self.is_good.get_or_init(|| Attempt::of(|| play(&self.story)).failure.is_none())
    }

    /// Returns what the mistake breaks in it.
    fn breaks(&self, mistake: Mistake) -> Option<FailureKind> {
        Attempt::of(|| play_with(&self.story, mistake)).failure.map(|failure| failure.kind())
    }

    /// Returns «Unsure is not zero» if the mistake breaks it between the story and its twin, and
    /// the two do not part without it.
    fn parts_from_twin(&self, mistake: Mistake) -> Option<FailureKind> {
        let twin = twin(&self.story)?;
        let parts = |play: &dyn Fn(&Story) -> Outcome| {
            compare(&self.story, &play(&self.story).world, &play(&twin).world).is_err()
        };
        let with = parts(&|story| play_with(story, mistake));
        (with && !parts(&play)).then_some(FailureKind::Violated(Invariant::UnsureIsNotZero))
    }
}
