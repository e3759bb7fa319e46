//! Knowing less makes nothing happen earlier: random stories, each beside its twin in which nobody
//! can read the UPS for a part of the outage.

use std::sync::atomic::{AtomicU64, Ordering};

use curfew_simulator::{Story, Violation, compare, cores, play, twin};

/// The first seed. Another one tells other stories.
const FIRST_SEED: u64 = 0;
/// So many stories are told; about one in two has an outage long enough for a twin.
const STORIES: u64 = 600;

#[test]
fn nobody_begins_earlier_where_less_is_known() {
    let next = AtomicU64::new(FIRST_SEED);
    let look = || {
        let mut parted = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= FIRST_SEED + STORIES {
                return parted;
            }
            parted.extend(parts(seed).map(|violation| (seed, violation)));
        }
    };
    let mut parted: Vec<(u64, Violation)> = std::thread::scope(|threads| {
        let all: Vec<_> = (0..cores().get()).map(|_| threads.spawn(look)).collect();
        all.into_iter().flat_map(|it| it.join().expect("no run panics")).collect()
    });
    parted.sort_by_key(|(seed, _)| *seed);
    if parted.is_empty() {
        return;
    }
    let lines = parted.iter().map(|(seed, it)| format!("seed {seed} at {} ms: {}", it.at, it.what));
    panic!("{}", lines.collect::<Vec<_>>().join("\n"));
}

fn parts(seed: u64) -> Option<Violation> {
    let story = Story::random(seed);
    let twin = twin(&story)?;
    compare(&story, &play(&story).world, &play(&twin).world).err()
}
