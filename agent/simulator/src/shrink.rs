//! From a story that fails to a short one that fails alike.
//!
//! Works on the text of the story, so that it knows of each key that a story can have: changes and
//! hosts are taken away, what is left becomes the usual, then round, then sooner. Each candidate is
//! played; what fails alike, and not much later, is kept. Deterministic, and bounded in plays.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::attempt::Failure;
use crate::span;
use crate::story::Story;

mod passes;

/// A candidate may fail, or end, this much later than the story from which it comes: a longer wait
/// is no simpler.
const LATER: u64 = 60_000;

/// A story that was made short.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The story.
    pub story: Story,
    /// How it fails.
    pub failure: Failure,
    /// So many candidates were played.
    pub plays: usize,
}

impl Shrunk {
    /// Returns what to tell of the run of `seed`, which failed as `first` says: everything that it
    /// takes to see it again.
    pub fn report(&self, seed: u64, first: &Failure) -> String {
        format!(
            "seed {seed}: {first}\n\n\
             after {} plays it is this story, which fails with {}:\n\n{}\n\
             Save it and play it with `curfew simulate --replay FILE`. Once it is mended, keep it: \
             say in `about` what went wrong and which rule mended it, and save it as \
             agent/simulator/corpus/NNNN-name.json.",
            self.plays,
            self.failure,
            self.story.to_text(),
        )
    }
}

/// Makes a story short that fails as `failure` says, by at most `plays` plays.
///
/// `play` returns how a candidate fails, if it does.
pub fn shrink(
    story: &Story,
    failure: &Failure,
    plays: usize,
    play: impl FnMut(&Story) -> Option<Failure>,
) -> Shrunk {
    let mut search = Search {
        parts: Value::Object(story.to_compact()),
        best: Shrunk { story: story.clone(), failure: failure.clone(), plays: 0 },
        fails_until: failure.at().map_or(u64::MAX, |at| at + LATER),
        ends_until: story.ends_at() + LATER,
        limit: plays,
        tried: BTreeSet::from([story.to_text()]),
        play,
    };
    while search.round() && search.best.plays < plays {}
    search.best
}

struct Search<F> {
    /// The text of the best story, by its parts.
    parts: Value,
    best: Shrunk,
    fails_until: u64,
    ends_until: u64,
    limit: usize,
    /// Nothing is played twice.
    tried: BTreeSet<String>,
    play: F,
}

impl<F: FnMut(&Story) -> Option<Failure>> Search<F> {
    /// Tries everything once; returns whether something came of it.
    fn round(&mut self) -> bool {
        let before = self.tried.len();
        let text = self.best.story.to_text();
        self.drop_late_changes();
        self.drop_changes();
        self.drop_hosts();
        self.make_usual();
        self.round_spans();
        self.round_numbers();
        self.heal_sooner();
        self.come_sooner();
        before < self.tried.len() && text != self.best.story.to_text()
    }

    /// Plays a candidate, and takes it if it fails alike.
    fn attempt(&mut self, parts: Value) -> bool {
        let Value::Object(parts) = parts else { return false };
        let Some(story) = sorted(parts) else { return false };
        let changes_until = story.changes.last().map_or(0, |dated| dated.at);
        if self.best.plays >= self.limit
            || story.heals_at < changes_until
            || story.ends_at() > self.ends_until
            || !self.tried.insert(story.to_text())
        {
            return false;
        }
        self.best.plays += 1;
        let Some(failure) = (self.play)(&story) else { return false };
        let is_late = failure.at().is_some_and(|at| at > self.fails_until);
        if is_late || failure.kind() != self.best.failure.kind() {
            return false;
        }
        self.parts = Value::Object(story.to_compact());
        self.best.story = story;
        self.best.failure = failure;
        true
    }

    /// Tries the best story with something changed at one place of its text.
    fn attempt_at(&mut self, place: &str, value: Value) -> bool {
        let mut parts = self.parts.clone();
        let Some(it) = parts.pointer_mut(place) else { return false };
        *it = value;
        self.attempt(parts)
    }

    /// Tries the best story without one key of its text.
    fn attempt_without(&mut self, place: &str) -> bool {
        let mut parts = self.parts.clone();
        let Some((above, key)) = place.rsplit_once('/') else { return false };
        let Some(Value::Object(keys)) = parts.pointer_mut(above) else { return false };
        keys.remove(key).is_some() && self.attempt(parts)
    }
}

fn sorted(parts: Map<String, Value>) -> Option<Story> {
    let mut story = Story::from_parts(parts).ok()?;
    story.changes.sort_by_key(|dated| dated.at);
    Some(story)
}

/// Returns the span that a text of the story tells.
fn span_of(value: &Value) -> Option<u64> {
    let span = span::parse(value.as_str()?).ok()?;
    u64::try_from(span.as_millis()).ok()
}

fn span_value(span: u64) -> Value {
    span::text(Duration::from_millis(span)).into()
}

#[cfg(test)]
mod tests;
