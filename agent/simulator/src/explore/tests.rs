//! Small bounds, and what makes the large ones trustworthy.

use super::*;
use crate::cores;

fn bound(returns: bool, seconds: u64, turns: u8, losses: u8, crashes: u8) -> Bound {
    Bound::reference(returns, seconds, Budget { turns, losses, partitions: 0, crashes })
}

fn explored(bound: &Bound) -> Explored {
    explore(bound, cores(), |_| {})
}

#[test]
fn every_course_of_a_small_world_holds() {
    for returns in [false, true] {
        for (seconds, losses, crashes) in [(20, 1, 0), (8, 0, 1)] {
            let bound = bound(returns, seconds, 1, losses, crashes);
            let Explored { states, transitions, found, .. } = explored(&bound);
            println!(
                "returns {returns}, {:?}: {states} states, {transitions} transitions",
                bound.budget
            );
            assert_eq!(found, []);
            assert!(states > 1_000, "{states} states are no exploration");
        }
    }
}

#[test]
fn the_number_of_threads_makes_no_difference() {
    let bound = bound(true, 12, 1, 1, 0);
    let one = explore(&bound, NonZeroUsize::MIN, |_| {});
    let three = explore(&bound, NonZeroUsize::MIN.saturating_add(2), |_| {});
    assert_eq!(one, three);
}

#[cfg(feature = "mistakes")]
mod with_mistakes {
    use std::collections::BTreeSet;

    use curfew_coordinator::Mistake;

    use super::*;
    use crate::{Invariant, play_with};

    fn broken(bound: &Bound, mistake: Mistake) -> (BTreeSet<Invariant>, Explored) {
        let explored = explore_with(bound, mistake, cores(), |_| {});
        let broken = explored.found.iter().map(|found| found.violation.invariant).collect();
        (broken, explored)
    }

    /// The mistakes that one return and one fault bring to light.
    #[test]
    fn mistakes_are_found_and_their_stories_break_the_same_invariant() {
        for (mistake, returns, losses, crashes) in FOUND {
            let bound = Bound { enough: 1, ..bound(returns, 30, 1, losses, crashes) };
            let (_, explored) = broken(&bound, mistake);
            println!("{mistake:?}: {:?} after {} states", explored.found, explored.states);
            let found = explored.found.first().expect("it is found");
            let again = play_with(&found.story, mistake).violation.expect("it is found again");
            assert_eq!(again.invariant, found.violation.invariant, "{mistake:?}");
        }
    }

    #[test]
    fn what_is_covered_hides_no_violation() {
        for (mistake, returns, losses, crashes) in FOUND {
            let bound = bound(returns, 30, 1, losses, crashes);
            let (covered, few) = broken(&bound, mistake);
            let exact = Bound { is_exact: true, ..bound };
            let (all, many) = broken(&exact, mistake);
            assert_eq!(covered, all, "{mistake:?}");
            assert!(!all.is_empty(), "{mistake:?}");
            assert!(few.states <= many.states);
        }
    }

    /// Whether the UPS promises to return, the messages lost and the crashes.
    const FOUND: [(Mistake, bool, u8, u8); 2] =
        [(Mistake::BeginsAtOnce, false, 1, 0), (Mistake::CutsUnpromised, false, 0, 0)];
}
