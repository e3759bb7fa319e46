//! Plays many stories and prints what came of them.
use curfew_simulator::{Fact, Story, play};
use std::time::Instant;
fn main() {
    let mut args = std::env::args().skip(1);
    let first: u64 = args.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let count: u64 = args.next().and_then(|it| it.parse().ok()).unwrap_or(200);
    let start = Instant::now();
    let mut tally = std::collections::BTreeMap::new();
    let (mut events, mut virt, mut bad, mut outages) = (0, 0, 0, 0);
    for seed in first..first + count {
        let story = Story::random(seed);
        let outcome = play(&story);
        events += outcome.world.traffic().events;
        virt += outcome.world.now();
        outages +=
            outcome.world.facts().iter().filter(|it| matches!(it.fact, Fact::MainsFailed)).count();
        if let Some(violation) = outcome.violation {
            bad += 1;
            let seeds: &mut Vec<u64> = tally.entry(violation.invariant).or_default();
            seeds.push(seed);
            if seeds.len() <= 4 {
                println!("seed {seed}: {violation:?}");
            }
            if count == 1 {
                for fact in outcome.world.facts() {
                    println!("{:>8.3} {} {:?}", fact.at as f64 / 1000.0, fact.host, fact.fact);
                }
            }
        }
    }
    let span = start.elapsed();
    for (invariant, seeds) in &tally {
        println!("{}: {}", invariant.title(), seeds.len());
    }
    println!(
        "{count} runs, {outages} outages, {bad} bad, {:.1} ms/run, {} events/run, {:.0} ns/event, {} s/run virtual",
        span.as_secs_f64() * 1e3 / count as f64,
        events / count,
        span.as_nanos() as f64 / events as f64,
        virt / count / 1000
    );
}
