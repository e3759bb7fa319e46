//! What is left of a long story.

use curfew_coordinator::Settings;

use super::*;
use crate::invariant::{Invariant, Violation};
use crate::{Change, Dated, Fact, play};

/// Fails when the mains fail and then `nfs` is killed at least five seconds later.
fn fails_by_two_changes(story: &Story) -> Option<Failure> {
    let first = |is: fn(&Change) -> bool| {
        story.changes.iter().find(|dated| is(&dated.change)).map(|dated| dated.at)
    };
    let failed = first(|change| matches!(change, Change::MainsFail))?;
    let killed = first(
        |change| matches!(change, Change::AgentKilled { host, .. } if host.as_str() == "nfs"),
    )?;
    let violation =
        Violation { invariant: Invariant::NobodyStranded, at: killed, what: String::new() };
    (killed >= failed + 5_000).then_some(Failure::Violated(violation))
}

/// A random story, with so many changes more that have no part in what goes wrong.
fn long_story(seed: u64, irrelevant: u64) -> Story {
    let mut story = Story::random(seed);
    story.about.clear();
    story.changes.retain(|dated| matches!(dated.change, Change::MainsFail | Change::MainsReturn));
    let nfs = story.cluster.ups.owner.clone();
    let at_line = crate::KillPoint::Now;
    let killed = Change::AgentKilled { host: nfs, at_line, back_after: Some(7_123) };
    story.changes.push(Dated { at: story.heals_at - 1, change: killed });
    for n in 0..irrelevant {
        let change = match n % 4 {
            0 => Change::Rain { lost_percent: 13, doubled_percent: 7, late: 1_234 },
            1 => Change::Dry,
            2 => Change::LowFlashed { span: 3_210 + n },
            _ => Change::Unplugged { host: "k8s-1".into() },
        };
        story.changes.push(Dated { at: 1_017 * (n + 1), change });
    }
    story.changes.sort_by_key(|dated| dated.at);
    story
}

#[test]
fn a_long_story_shrinks_to_the_few_changes_that_matter() {
    for seed in 0..20 {
        let mut story = long_story(seed, 20);
        story.cluster.settings = Settings::default();
        let failure = fails_by_two_changes(&story).expect("it was made so");
        let mut shrunk = shrink(&story, &failure, 1_000, fails_by_two_changes);
        assert!(shrunk.story.heals_at <= 6_000, "seed {seed}: {}", shrunk.story.to_text());
        shrunk.story.heals_at = 6_000;
        assert_eq!(
            shrunk.story.to_text(),
            "{\n  \"version\": 1,\n  \"seed\": 0,\n  \"hosts\": [\n    {\"name\": \"nfs\"}\n  \
             ],\n  \"changes\": [\n    {\"at\": \"0s\", \"change\": \"mains-fail\"},\n    \
             {\"at\": \"5s\", \
             \"change\": \"agent-killed\", \"host\": \"nfs\", \"at-line\": \"now\"}\n  ],\n  \
             \"heals-at\": \"6s\"\n}\n",
            "seed {seed}"
        );
        assert_eq!(fails_by_two_changes(&shrunk.story), Some(shrunk.failure));
    }
}

#[test]
fn the_search_ends_with_its_plays_and_is_the_same_each_time() {
    let story = long_story(3, 40);
    let failure = fails_by_two_changes(&story).expect("it was made so");
    for plays in [0, 1, 10, 25] {
        let mut count = 0;
        let one = shrink(&story, &failure, plays, |story| {
            count += 1;
            fails_by_two_changes(story)
        });
        let other = shrink(&story, &failure, plays, fails_by_two_changes);
        assert_eq!(one.story, other.story);
        assert_eq!((one.plays, count), (plays, plays));
        assert_eq!(fails_by_two_changes(&one.story), Some(one.failure));
    }
}

#[test]
fn a_shrunk_story_still_fails_when_it_is_played() {
    // It "fails" when the agent of the owner starts a second time.
    let failing = |story: &Story| {
        let world = play(story).world;
        let starts =
            world.facts().iter().filter(|it| it.host == 0 && it.fact == Fact::AgentStarted);
        let at = starts.map(|it| it.at).nth(1)?;
        let (invariant, what) = (Invariant::NobodyStranded, String::new());
        Some(Failure::Violated(Violation { invariant, at, what }))
    };
    let story = long_story(1, 20);
    let failure = failing(&story).expect("it is killed and comes back");
    let shrunk = shrink(&story, &failure, 150, failing);
    assert_eq!(shrunk.story.changes.len(), 1, "{}", shrunk.story.to_text());
    assert_eq!(failing(&shrunk.story), Some(shrunk.failure));
}
