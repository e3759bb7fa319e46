//! What comes of many outages.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;

use curfew_simulator::{Question, Survey, cores, play_many};
use serde_json::json;

use super::{SimulateArgs, assumed, show, varied};
use crate::cli::say;

/// Plays `runs` outages and prints what came of them; returns whether all went well.
pub(super) fn survey(args: &SimulateArgs, question: &Question, runs: u64) -> bool {
    let first = args.seed.unwrap_or(FIRST_SEED);
    let seeds = first..first.saturating_add(runs);
    let is_watched = std::io::stderr().is_terminal() && !args.json;
    let survey = play_many(
        seeds,
        cores(),
        |seed| {
            let story = varied(args, question, seed);
            Survey::of(&story, &show::course(args, &story))
        },
        |sum| {
            if is_watched {
                progress(&format!("\r{} of {runs} outages", sum.runs));
            }
            ControlFlow::Continue(())
        },
    );
    if is_watched {
        progress("\r\x1b[K");
    }
    let assumed = assumed(args, question);
    if args.json {
        say(format_args!("{:#}", to_json(&survey, &assumed)));
    } else {
        let weather = if args.weather { " in all weathers" } else { "" };
        say(format_args!("{} outages{weather}\n", survey.runs));
        say(survey.page(&replay(words())).trim_end());
        say(show::assumed_lines(&assumed, args.width).join("\n"));
    }
    survey.is_good()
}

/// Returns the command that plays a run again, but for its seed, as a shell reads it.
pub(super) fn replay(words: impl IntoIterator<Item = String>) -> String {
    let mut words = words.into_iter();
    let mut kept = vec!["curfew".to_owned()];
    while let Some(word) = words.next() {
        let is_dropped = ["--runs", "--seed"].contains(&word.as_str());
        let is_joined = word.starts_with("--runs=") || word.starts_with("--seed=");
        if is_dropped {
            words.next();
        } else if !is_joined {
            kept.push(quoted(word));
        }
    }
    kept.join(" ")
}

/// Quotes a word if a shell would read it as anything but itself.
fn quoted(word: String) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./=:,+%@".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns the words of the command line.
fn words() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())
}

fn progress(text: &str) {
    let mut out = std::io::stderr().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody watches");
    }
}

fn to_json(survey: &Survey, assumed: &[String]) -> serde_json::Value {
    let mut margins = survey.margins.clone();
    margins.sort_unstable();
    let grades: serde_json::Map<_, _> = survey
        .grades
        .iter()
        .map(|(grade, count)| (grade.word().to_owned(), json!(count)))
        .collect();
    let rule = |counts: &curfew_simulator::Counts| {
        json!({
            "order_broken": counts.order_broken,
            "overlapping": counts.overlapping,
            "power_lost": counts.power_lost,
        })
    };
    let [ours, nut, fixed] = &survey.rules;
    json!({
        "runs": survey.runs,
        "good": survey.is_good(),
        "declared": survey.declared,
        "grades": grades,
        "by_latest_start": survey.latest_starts,
        "margins_millis": margins,
        "worst_seed": survey.worst.map(|worst| worst.seed),
        "rules": {"curfew": rule(ours), "all-at-once": rule(nut), "fixed-delays": rule(fixed)},
        "assumed": assumed,
    })
}

/// Of the runs, unless somebody names another one.
const FIRST_SEED: u64 = 1;
