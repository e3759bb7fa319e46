//! The course of one outage: chart, moments, verdict, and what was assumed.

use std::io::IsTerminal as _;

use curfew_simulator::{Course, Look, Margin, Measure, Moment, Story, chart, moments};
use serde_json::{Value, json};

use super::SimulateArgs;
use crate::cli::say;
use crate::wrap::wrapped;

/// Plays a story and prints its course; returns whether all went well.
pub(super) fn show(args: &SimulateArgs, story: &Story, assumed: &[String]) -> bool {
    let course = course(args, story);
    let measure = Measure::of(story, &course);
    if args.json {
        say(format_args!("{:#}", to_json(&course, &measure, assumed)));
    } else {
        say(to_text(args, &course, &measure, assumed).trim_end());
    }
    measure.is_good()
}

/// Plays a story: in one that was told somebody helps at its end, in a question nobody does.
pub(super) fn course(args: &SimulateArgs, story: &Story) -> Course {
    if args.weather || args.replay.is_some() { Course::of(story) } else { Course::unaided(story) }
}

fn to_text(args: &SimulateArgs, course: &Course, measure: &Measure, assumed: &[String]) -> String {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let look = Look {
        width: args.width,
        is_coloured: std::io::stdout().is_terminal() && !refuses,
        is_ascii: args.ascii,
    };
    let mut lines = vec![chart(course, look)];
    lines.extend(moments(course).iter().map(|moment| moment_lines(moment, course, args.width)));
    lines.push(String::new());
    for sentence in measure.sentences(course) {
        lines.extend(wrapped(&sentence, args.width));
    }
    lines.extend(assumed_lines(assumed, args.width));
    lines.join("\n")
}

/// Returns the lines that say what was assumed; none without any.
pub(super) fn assumed_lines(assumed: &[String], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if !assumed.is_empty() {
        lines.push("\nAssumed:".to_owned());
    }
    for sentence in assumed {
        let wrapped = wrapped(sentence, width.saturating_sub(2));
        lines.push(format!("- {}", wrapped.join("\n  ")));
    }
    lines
}

fn moment_lines(moment: &Moment, course: &Course, width: usize) -> String {
    let time = match moment.at.checked_sub(course.failed_at) {
        Some(since) => clock(since),
        None => format!("-{}", clock(course.failed_at - moment.at)),
    };
    let lines = wrapped(&moment.sentence(), width.saturating_sub(INDENT));
    let indent = format!("\n{:INDENT$}", "");
    format!("{time:>8}  {}", lines.join(&indent))
}

fn clock(millis: u64) -> String {
    let seconds = millis / 1_000;
    if seconds < 3_600 {
        return format!("{}:{:02}", seconds / 60, seconds % 60);
    }
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn to_json(course: &Course, measure: &Measure, assumed: &[String]) -> Value {
    let at = |at: u64| (seconds(at) - seconds(course.failed_at)).max(-seconds(course.failed_at));
    let lanes = course.lanes.iter().map(|lane| {
        let states = lane.states.iter();
        let states = states.map(|(since, state)| json!({"t": at(*since), "state": state.word()}));
        json!({"host": lane.name, "states": states.collect::<Vec<_>>()})
    });
    let moments = moments(course).into_iter();
    let moments = moments.map(|it| json!({"t": at(it.at), "hosts": it.hosts, "what": it.what}));
    let weakest = measure.weakest().map(|link| {
        let took = seconds(link.to) - seconds(link.from);
        json!({"host": link.host, "step": link.step.word(), "seconds": took})
    });
    let margin = measure.margin.map(|margin| match margin {
        Margin::Left { millis, charge, .. } => {
            json!({"left_seconds": seconds(millis), "charge_percent": charge})
        }
        Margin::Missing { millis } => json!({"missing_seconds": millis.map(seconds)}),
    });
    json!({
        "grade": measure.grade.word(),
        "good": measure.is_good(),
        "sentences": measure.sentences(course),
        "margin": margin,
        "weakest_link": weakest,
        "by_latest_start": measure.by_latest_start,
        "lost_power": measure.lost,
        "not_back": measure.stranded,
        "lanes": lanes.collect::<Vec<_>>(),
        "moments": moments.collect::<Vec<_>>(),
        "battery": course.samples.iter().step_by(BATTERY_STEP).map(|sample| {
            json!({
                "t": at(sample.at),
                "charge_percent": sample.charge,
                "left_seconds": seconds(sample.left),
            })
        }).collect::<Vec<_>>(),
        "assumed": assumed,
    })
}

#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years of milliseconds")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Where the text of a moment begins.
const INDENT: usize = 10;
/// Of two looks a second one in ten seconds is enough.
const BATTERY_STEP: usize = 20;
