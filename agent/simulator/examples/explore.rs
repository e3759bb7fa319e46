//! Explores a bounded world and prints what there was: `explore [hold|cut] [SECONDS] [TURNS]
//! [LOSSES] [PARTITIONS] [CRASHES]`.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures")]
#![expect(clippy::print_stdout, reason = "it prints")]
#![expect(clippy::cast_precision_loss, reason = "seconds for people")]

use std::time::Instant;

use curfew_simulator::{Bound, Budget, cores, explore};

fn main() {
    let mut args = std::env::args().skip(1);
    let returns = args.next().is_some_and(|it| it == "cut");
    let mut number = |default: u64| args.next().and_then(|it| it.parse().ok()).unwrap_or(default);
    let seconds = number(40);
    let mut count = |default| u8::try_from(number(default)).unwrap_or(u8::MAX);
    let budget =
        Budget { turns: count(1), losses: count(1), partitions: count(0), crashes: count(1) };
    let bound = Bound::reference(returns, seconds, budget);
    let start = Instant::now();
    let explored = explore(&bound, cores(), |layer| {
        println!(
            "{:>8.3} s  {:>8} states  {:>8} transitions  {:>4} found  {:>6.1} s",
            layer.at as f64 / 1e3,
            layer.states,
            layer.transitions,
            layer.found,
            start.elapsed().as_secs_f64()
        );
    });
    for found in explored.found.iter().take(10) {
        println!("{:?}", found.violation);
        for dated in &found.story.changes {
            println!("    {:>8.3} {:?}", dated.at as f64 / 1e3, dated.change);
        }
    }
    println!(
        "{budget:?}: {} states, {} transitions ({} merged), {} ends, widest {}, {} layers, \
         {} violations, {:.1} s",
        explored.states,
        explored.transitions,
        explored.merged,
        explored.ends,
        explored.widest,
        explored.layers,
        explored.found.len(),
        start.elapsed().as_secs_f64()
    );
}
