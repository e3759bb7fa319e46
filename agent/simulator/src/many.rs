//! Many runs on all cores: the same result whatever the number of threads.
//!
//! The only place with threads but the explorer. Seeds are dealt out in small packs; what came of
//! the packs is added up in the order of seeds, and a caller that has seen enough stops at the same
//! seed each time.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{available_parallelism, scope};

pub use summary::{Failures, Summary};

mod summary;

/// Runs in a pack: enough that the threads seldom meet, few enough that none is left with the rest.
const PACK: u64 = 16;
/// Packs that wait to be added up, for each thread.
const WAITING: usize = 4;

/// What is kept of runs.
pub trait Tally: Default + Send {
    /// Adds what was kept of the runs that follow in the order of seeds.
    fn add(&mut self, later: Self);
}

impl<A: Tally, B: Tally> Tally for (A, B) {
    fn add(&mut self, later: Self) {
        self.0.add(later.0);
        self.1.add(later.1);
    }
}

/// Returns how many threads run at once here.
pub fn cores() -> NonZeroUsize {
    available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Plays all seeds and returns what was kept of them.
///
/// `play` plays one seed, on any thread. `seen` sees the sum grow, pack by pack in the order of
/// seeds, and may end it there.
pub fn play_many<T: Tally>(
    seeds: Range<u64>,
    threads: NonZeroUsize,
    play: impl Fn(u64) -> T + Sync,
    mut seen: impl FnMut(&T) -> ControlFlow<()>,
) -> T {
    let next = AtomicU64::new(0);
    let is_enough = AtomicBool::new(false);
    let (done, packs) = sync_channel(threads.get().saturating_mul(WAITING));
    scope(|threads_of_this| {
        for _ in 0..threads.get() {
            let done = done.clone();
            let (seeds, next, is_enough, play) = (seeds.clone(), &next, &is_enough, &play);
            threads_of_this.spawn(move || {
                while !is_enough.load(Ordering::Relaxed)
                    && let Some(pack) = take_pack(&seeds, next)
                    && play_pack(pack, play, &done).is_ok()
                {}
            });
        }
        drop(done);
        let sum = add_up(&packs, &mut seen);
        is_enough.store(true, Ordering::Relaxed);
        drop(packs);
        sum
    })
}

/// A pack: its place among all, and its seeds.
type Pack = (u64, Range<u64>);

fn take_pack(seeds: &Range<u64>, next: &AtomicU64) -> Option<Pack> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    let first = place.checked_mul(PACK).and_then(|passed| seeds.start.checked_add(passed))?;
    let last = first.saturating_add(PACK).min(seeds.end);
    (first < seeds.end).then_some((place, first..last))
}

/// Plays a pack; fails if nobody waits for it any more.
fn play_pack<T: Tally>(
    (place, seeds): Pack,
    play: &impl Fn(u64) -> T,
    done: &SyncSender<(u64, T)>,
) -> Result<(), ()> {
    let mut sum = T::default();
    for seed in seeds {
        sum.add(play(seed));
    }
    done.send((place, sum)).map_err(|_| ())
}

fn add_up<T: Tally>(packs: &Receiver<(u64, T)>, seen: &mut impl FnMut(&T) -> ControlFlow<()>) -> T {
    let mut sum = T::default();
    let mut waiting = BTreeMap::new();
    let mut place = 0;
    while let Ok((its_place, pack)) = packs.recv() {
        waiting.insert(its_place, pack);
        while let Some(pack) = waiting.remove(&place) {
            place += 1;
            sum.add(pack);
            if seen(&sum).is_break() {
                return sum;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Eq, PartialEq)]
    struct Seeds(Vec<u64>);

    impl Tally for Seeds {
        fn add(&mut self, later: Self) {
            self.0.extend(later.0);
        }
    }

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("it is not zero")
    }

    #[test]
    fn every_seed_is_played_once_and_added_in_order() {
        for count in [1, 2, 7] {
            for seeds in [0..0, 5..6, 3..1_000, u64::MAX - 20..u64::MAX] {
                let play = |seed| Seeds(vec![seed]);
                let sum =
                    play_many(seeds.clone(), threads(count), play, |_| ControlFlow::Continue(()));
                assert_eq!(sum, Seeds(seeds.collect()), "{count} threads");
            }
        }
    }

    #[test]
    fn who_has_seen_enough_has_seen_the_same_whatever_the_number_of_threads() {
        for count in [1, 2, 7] {
            let play = |seed| Seeds(vec![seed]);
            let sum = play_many(0..u64::MAX, threads(count), play, |sum| {
                if sum.0.contains(&100) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert_eq!(sum, Seeds((0..112).collect()), "{count} threads");
        }
    }
}
