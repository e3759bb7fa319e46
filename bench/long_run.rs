//! The long run: random stories on all cores until one fails, or as long as one likes.
//!
//! `--runs N` plays so many (default 10,000,000), `--minutes N` ends after that long, `--from SEED`
//! begins there, `--threads N` takes so many cores, `--failures N` ends after so many runs that
//! failed (default 1), `--plays N` makes the first of them short by that many plays. `--seed SEED`
//! and `--replay FILE` play one story and print all that happens in it.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures, and reads")]
#![expect(clippy::print_stdout, reason = "it prints")]
#![expect(clippy::cast_precision_loss, reason = "rates for people")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use curfew_simulator::{
    Attempt, Fact, Failure, Happened, Story, Summary, cores, play, play_many, shrink,
};

/// How often it says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

struct Wish {
    runs: u64,
    from: u64,
    threads: NonZeroUsize,
    span: Option<Duration>,
    failures: u64,
    plays: usize,
    one: Option<Story>,
}

fn main() -> ExitCode {
    let wish = match wish(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(sentence) => {
            println!("{sentence}");
            return ExitCode::from(2);
        }
    };
    let failure = match &wish.one {
        Some(story) => play_one(story),
        None => play_all(&wish),
    };
    if failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn wish(mut words: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut wish = Wish {
        runs: 10_000_000,
        from: 0,
        threads: cores(),
        span: None,
        failures: 1,
        plays: 2_000,
        one: None,
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} has no value: write one"))?;
        let number = || value.parse().map_err(|_| format!("{word} {value}: write a whole number"));
        match word.as_str() {
            "--runs" => wish.runs = number()?,
            "--from" => wish.from = number()?,
            "--minutes" => wish.span = Some(Duration::from_secs(number()?.saturating_mul(60))),
            "--failures" => wish.failures = number()?,
            "--plays" => wish.plays = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--threads" => {
                let count = usize::try_from(number()?).unwrap_or(usize::MAX);
                wish.threads = NonZeroUsize::new(count).ok_or("--threads 0: write at least 1")?;
            }
            "--seed" => wish.one = Some(Story::random(number()?)),
            "--replay" => wish.one = Some(read(&value)?),
            _ => {
                return Err(format!(
                    "{word} is unknown: --runs, --minutes, --from, --threads, --failures, --plays, \
                     --seed or --replay"
                ));
            }
        }
    }
    Ok(wish)
}

fn read(path: &str) -> Result<Story, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Story::from_text(&text).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{path}: {error}{}", source.unwrap_or_default())
    })
}

fn play_all(wish: &Wish) -> Option<Failure> {
    let start = Instant::now();
    let mut said = start;
    let play_seed = |seed| Summary::of(seed, &Attempt::of(|| play(&Story::random(seed))));
    let seeds = wish.from..wish.from.saturating_add(wish.runs);
    let summary = play_many(seeds, wish.threads, play_seed, |summary: &Summary| {
        let is_over = wish.span.is_some_and(|span| start.elapsed() >= span);
        if is_over || summary.failed() >= wish.failures {
            return ControlFlow::Break(());
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            say(summary, start, wish);
        }
        ControlFlow::Continue(())
    });
    say(&summary, start, wish);
    let (seed, failure) = summary.first_failure()?;
    let failing = |story: &Story| Attempt::of(|| play(story)).failure;
    let shrunk = shrink(&Story::random(seed), failure, wish.plays, failing);
    println!("{}", shrunk.report(seed, failure));
    Some(failure.clone())
}

fn say(summary: &Summary, start: Instant, wish: &Wish) {
    let took = start.elapsed().as_secs_f64().max(f64::EPSILON);
    let runs = summary.runs as f64 / took;
    let events = summary.events as f64 / took;
    let threads = wish.threads;
    println!("{summary}; {took:.0} s, {threads} threads: {runs:.0} runs/s, {events:.0} events/s");
}

/// Plays one story and prints all that happens in it.
fn play_one(story: &Story) -> Option<Failure> {
    println!("{}", story.to_text());
    let attempt = Attempt::of(|| play(story));
    if let Some(outcome) = &attempt.outcome {
        let name = |host: usize| story.cluster.hosts.get(host).map_or("?", |it| it.name.as_str());
        for Happened { at, host, fact } in outcome.world.facts() {
            let at = *at as f64 / 1_000.0;
            if let Fact::Note(note) = fact {
                println!("{at:>9.3} {:<8} says {note:?}", name(*host));
            } else {
                println!("{at:>9.3} {:<8} {fact:?}", name(*host));
            }
        }
    }
    match &attempt.failure {
        Some(failure) => println!("{failure}"),
        None => println!("no invariant was violated"),
    }
    attempt.failure
}
