//! What the demo prints: a timeline for a person, or JSON lines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use curfew_coordinator::Time;
use serde::Serialize;

use super::cast::Role;
use super::narrate::{seconds, sentence};
use super::timeline::{Fact, Occurrence, What};
use super::verdict::Verdict;
use crate::wrap::{WIDTH, wrapped};

/// How it is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// For a person; colours where it is a terminal that wants them.
    Text {
        /// Whether there are colours.
        is_coloured: bool,
    },
    /// One JSON object on each line.
    Json,
}

impl Form {
    /// Returns the form for standard output as it is.
    pub(super) fn of_stdout(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        let refuses = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        Self::Text { is_coloured: io::stdout().is_terminal() && !refuses }
    }
}

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    form: Form,
    start: Time,
    headline: String,
}

/// How things stand, in one line.
#[derive(Clone, Debug)]
pub(super) struct Headline {
    /// The hosts, each with its word.
    pub(super) hosts: Vec<(Role, &'static str)>,
    /// The mains are there.
    pub(super) has_mains: bool,
    /// The battery as a host reads it, in percent and seconds.
    pub(super) charge: Option<u8>,
    /// The runtime left.
    pub(super) left: Option<std::time::Duration>,
}

/// The last line of the JSON form.
#[derive(Serialize)]
struct VerdictLine<'a> {
    t: f64,
    host: &'static str,
    event: &'static str,
    order_held: bool,
    problems: &'a [String],
    down_seconds: Option<f64>,
    up_seconds: Option<f64>,
    battery_left_seconds: Option<f64>,
}

/// One line of the JSON form.
#[derive(Serialize)]
struct Line<'a> {
    t: f64,
    host: &'static str,
    #[serde(flatten)]
    note: Flat<'a>,
}

/// The host that an event is about has the key `host` too: it becomes `about`.
struct Flat<'a>(&'a What);

impl Serialize for Flat<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let value = serde_json::to_value(self.0).map_err(serde::ser::Error::custom)?;
        let fields = value.as_object().into_iter().flatten();
        // For the eye: what it is comes first.
        let (event, others): (Vec<_>, Vec<_>) = fields.partition(|(key, _)| *key == "event");
        let name = |key: &'_ String| if key == "host" { "about".to_owned() } else { key.clone() };
        to.collect_map(event.into_iter().chain(others).map(|(key, value)| (name(key), value)))
    }
}

impl Screen {
    /// Begins at `start`, which is second 0.
    pub(super) const fn new(form: Form, start: Time) -> Self {
        Self { form, start, headline: String::new() }
    }

    /// Says who plays, and how to look closer.
    pub(super) fn introduce(&self, base: u16, upsd: &str) -> io::Result<()> {
        if self.form == Form::Json {
            return Ok(());
        }
        self.put(&format!("{INTRODUCTION}\n\n"))?;
        for role in Role::ALL {
            let needs: Vec<&str> = role.needs().iter().map(|need| need.name()).collect();
            let part = match needs.as_slice() {
                [] => "serves files and has the UPS cable".to_owned(),
                needs => format!("needs {}", needs.join(" and ")),
            };
            let at = role.http(base);
            self.put(&format!("  {:<6} http://{at}/health   {part}\n", role.name()))?;
        }
        self.put(&format!("  {:<6} {upsd}\n\n", "ups"))?;
        self.put(&format!("Watch it from another terminal: {}\n\n", ask(base)))?;
        self.put(&self.paint(DIM, "  second where   what\n"))
    }

    /// Shows one thing that happened.
    pub(super) fn show(&self, occurrence: &Occurrence) -> io::Result<()> {
        let since = occurrence.at.since(self.start).as_secs_f64();
        if self.form == Form::Json {
            return self.put_json(&Line {
                t: rounded(since),
                host: occurrence.place(),
                note: Flat(&occurrence.what),
            });
        }
        let Some(text) = sentence(&occurrence.what) else { return Ok(()) };
        let colour = colour(&occurrence.what);
        let mut lines = wrapped(&text, WIDTH - INDENT).into_iter();
        let first = lines.next().unwrap_or_default();
        let head = format!("{since:>8.1} {:<6} ", occurrence.place());
        self.put(&format!("{head}{}\n", self.paint(colour, &first)))?;
        for line in lines {
            self.put(&format!("{:INDENT$}{}\n", "", self.paint(colour, &line)))?;
        }
        Ok(())
    }

    /// Shows how things stand, if that has changed.
    pub(super) fn stand(&mut self, headline: &Headline) -> io::Result<()> {
        if self.form == Form::Json {
            return Ok(());
        }
        let hosts = headline.hosts.iter().map(|(role, word)| format!("{} {word}", role.name()));
        let state = hosts.collect::<Vec<_>>().join(" | ");
        let key = format!("{state} {}", headline.has_mains);
        if key == self.headline {
            return Ok(());
        }
        self.headline = key;
        let line = format!("  [{state} | {}]\n", headline.battery());
        self.put(&self.paint(DIM, &line))
    }

    /// Says what came of it.
    pub(super) fn conclude(&self, ending: &Ending<'_>) -> io::Result<()> {
        let Ending { verdict, battery_left, at, .. } = ending;
        if self.form == Form::Json {
            let span = |span: std::time::Duration| rounded(span.as_secs_f64());
            return self.put_json(&VerdictLine {
                t: rounded(at.since(self.start).as_secs_f64()),
                host: "demo",
                event: "verdict",
                order_held: verdict.is_good(),
                problems: &verdict.problems,
                down_seconds: verdict.down.map(span),
                up_seconds: verdict.up.map(span),
                battery_left_seconds: battery_left.map(span),
            });
        }
        let mut text = String::from("\n");
        if verdict.is_good() {
            text.push_str(&self.paint(GREEN, "The order held.\n"));
        } else {
            text.push_str(&self.paint(RED, "THE ORDER DID NOT HOLD.\n"));
        }
        for problem in &verdict.problems {
            push(&mut text, format_args!("  - {problem}\n"));
        }
        if let Some(down) = verdict.down {
            let left = battery_left
                .map(|left| format!("; the battery had {} left", seconds(left)))
                .unwrap_or_default();
            let order = names(&verdict.down_order);
            push(&mut text, format_args!("  down  {order}: in {}{left}\n", seconds(down)));
        }
        if let Some(up) = verdict.up {
            let order = names(&verdict.up_order);
            let since = seconds(up);
            push(&mut text, format_args!("  up    {order}: {since} after the mains were back\n"));
        }
        self.put(&text)?;
        self.put(&next(ending))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.form {
            Form::Text { is_coloured: true } if !colour.is_empty() => {
                // The end of the line stays outside, or some terminals colour the next one.
                let (line, end) = text.strip_suffix('\n').map_or((text, ""), |line| (line, "\n"));
                format!("\x1b[{colour}m{line}\x1b[0m{end}")
            }
            Form::Text { .. } | Form::Json => text.to_owned(),
        }
    }

    fn put_json(&self, line: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(line).map_err(io::Error::other)?;
        self.put(&format!("{text}\n"))
    }

    #[expect(clippy::unused_self, reason = "the screen is what is written to")]
    fn put(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// The end of a demo.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    /// How it is judged.
    pub(super) verdict: &'a Verdict,
    /// What the battery had left when everybody was down.
    pub(super) battery_left: Option<std::time::Duration>,
    /// When.
    pub(super) at: Time,
    /// The folder, if it stays.
    pub(super) kept: Option<&'a Path>,
}

impl Headline {
    fn battery(&self) -> String {
        let mut text = if self.has_mains { "mains" } else { "BATTERY" }.to_owned();
        if let Some(charge) = self.charge {
            push(&mut text, format_args!(" {charge} %"));
        }
        if let Some(left) = self.left.filter(|_| !self.has_mains) {
            push(&mut text, format_args!(", {} s left", left.as_secs()));
        }
        text
    }
}

fn next(ending: &Ending<'_>) -> String {
    let mut text = String::new();
    match ending.kept {
        Some(path) => {
            let path = path.display();
            push(
                &mut text,
                format_args!("\nThe cluster file, the logs and the journals: {path}\n"),
            );
        }
        None if ending.verdict.is_good() => {
            text.push_str(
                "\nNext: `curfew demo --keep` leaves the cluster file, logs and journals ",
            );
            text.push_str("to\nread; `curfew check FILE` checks a cluster file of your own.\n");
        }
        None => text.push_str("\n`curfew demo --keep` leaves the logs and the journals to read.\n"),
    }
    text
}

fn names(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    names.join(", ")
}

fn ask(base: u16) -> String {
    format!("curfew status --at {}", Role::Nfs.http(base))
}

fn colour(what: &What) -> &'static str {
    match what {
        What::World(Fact::MainsFailed | Fact::PowerLost | Fact::Crashed { .. }) => RED,
        What::World(Fact::MainsReturned) => GREEN,
        What::World(
            Fact::PoweredOff
            | Fact::PacketReceived
            | Fact::PoweredOn
            | Fact::Booted
            | Fact::Rebooted,
        ) => BOLD,
        What::Told(_) => "",
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes all that is written to it");
}

/// The second, the place, and what separates them.
const INDENT: usize = 16;
const RED: &str = "1;31";
const GREEN: &str = "1;32";
const BOLD: &str = "1";
const DIM: &str = "2";
const INTRODUCTION: &str = "\
Three agents, one simulated UPS and one outage, in less than a minute. The
agents are real; the machines are acted, and nothing on this one is touched.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_introduction_fits_a_terminal() {
        assert!(INTRODUCTION.lines().all(|line| line.len() <= WIDTH));
    }

    #[test]
    fn a_json_line_keeps_the_place_apart_from_the_host_that_it_is_about() {
        let what = What::Told(curfew_coordinator::Note::Woken { host: "k8s-1".into() });
        let line = Line { t: 1.5, host: "nfs", note: Flat(&what) };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(text, r#"{"t":1.5,"host":"nfs","event":"woken","about":"k8s-1"}"#);
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        let screen = |form| Screen::new(form, Time::default());
        let plain = screen(Form::Text { is_coloured: false }).paint(RED, "no\n");
        assert_eq!(plain, "no\n");
        let red = screen(Form::Text { is_coloured: true }).paint(RED, "no\n");
        assert_eq!(red, "\u{1b}[1;31mno\u{1b}[0m\n");
    }
}
