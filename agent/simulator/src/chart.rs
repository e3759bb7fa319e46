//! A course as a chart for a terminal: a lane for each host, mains and battery under them.
//!
//! ```text
//! nfs    ━━━━━━━━━░░░░░░░░░░░░░▓▓▒■■■■■■■■■■▲▲▲▲━━━━━━
//! k8s-1  ━━━━━━━━━░░░░░░▓▓▓▒▒▒··················▲▲▲━━━
//! mains  ━━━                          ━━━━━━━━━━━━━━━━
//! charge ██▇▇▇▆▆▆▅▅▅▄▄▄▄▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▄▄▄▄▄▄▄▄▄▄▄▄
//! marks           D                        T    p
//!        ──┴─────────┴─────────┴─────────┴───//────┴──
//!          0         1:02      2:05      3:10      9:00
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use curfew_coordinator::Note;

use crate::course::{Course, State};
use crate::fact::Fact;

use self::axis::Axis;

mod axis;
#[cfg(test)]
mod tests;

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Look {
    /// The columns that it may take, at least [`LEAST_WIDTH`].
    pub width: usize,
    /// With ANSI colours.
    pub is_coloured: bool,
    /// With no character beyond ASCII.
    pub is_ascii: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 80, is_coloured: false, is_ascii: false }
    }
}

/// Draws the chart; every line fits and ends in a line feed.
pub fn chart(course: &Course, look: Look) -> String {
    let names = course.lanes.iter().map(|lane| lane.name.as_str());
    let names: Vec<&str> = names.chain(["mains", "charge", "marks"]).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let margin = longest.min(LONGEST_NAME) + 1;
    let columns = look.width.max(LEAST_WIDTH) - margin;
    let pen = Pen { look, margin, axis: Axis::of(course, columns) };
    let mut page = String::new();
    for (host, lane) in course.lanes.iter().enumerate() {
        let cells = pen.axis.columns().map(|(from, to)| lane_cell(course, host, from, to));
        pen.row(&mut page, lane.name.as_str(), cells.map(|state| pen.state(state)));
    }
    pen.row(&mut page, "mains", pen.axis.columns().map(|(from, to)| pen.mains(course, from, to)));
    pen.row(&mut page, "charge", pen.axis.columns().map(|(from, to)| pen.charge(course, from, to)));
    let marks = marks(course, &pen.axis);
    pen.row(&mut page, "marks", marks.iter().map(|mark| (*mark, BOLD)));
    let (ticks, labels) = pen.axis.scale(course.failed_at, look.is_ascii);
    pen.row(&mut page, "", ticks.chars().map(|it| (it, DIM)));
    pen.row(&mut page, "", labels.chars().map(|it| (it, DIM)));
    pen.legend(&mut page, course, &marks);
    page
}

/// Returns the state that a column shows: the rarest of those in it, so that none is lost.
fn lane_cell(course: &Course, host: usize, from: u64, to: u64) -> State {
    let begun = course.state_at(host, from);
    let states = course.lanes.get(host).map(|lane| lane.states.as_slice()).unwrap_or_default();
    let within = states.iter().filter(|(since, _)| (from..to).contains(since)).map(|(_, it)| *it);
    within.fold(begun, State::max)
}

/// Returns the mark of each column; the weightier one where two fall together.
fn marks(course: &Course, axis: &Axis) -> Vec<char> {
    let mut marks = vec![' '; axis.len()];
    let mut put = |at: u64, mark: char| {
        let Some(cell) = axis.column(at).and_then(|column| marks.get_mut(column)) else { return };
        let weight = |mark: char| MARKS.iter().position(|(known, _)| *known == mark);
        if weight(*cell).is_none_or(|known| weight(mark).is_some_and(|new| new < known)) {
            *cell = mark;
        }
    };
    let mut turned = BTreeSet::new();
    for happened in course.facts.iter().filter(|it| it.at <= course.ended_at) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only a few facts have marks")]
        match &happened.fact {
            Fact::Note(Note::Declared { .. }) => put(happened.at, 'D'),
            Fact::Note(Note::Turned { number, .. }) if turned.insert(*number) => {
                put(happened.at, 'T');
            }
            Fact::OutputOpened { by_command: true } => put(happened.at, 'C'),
            Fact::OutputOpened { by_command: false } => put(happened.at, 'E'),
            Fact::PacketSent { .. } => put(happened.at, 'p'),
            _ => {}
        }
    }
    if let Some(violation) = course.violation.as_ref().filter(|it| it.at <= course.ended_at) {
        put(violation.at, '!');
    }
    marks
}

/// What is drawn, and with what.
struct Pen {
    look: Look,
    margin: usize,
    axis: Axis,
}

impl Pen {
    fn row(&self, page: &mut String, name: &str, cells: impl Iterator<Item = (char, Colour)>) {
        let room = self.margin - 1;
        let mut line = if name.chars().count() > room {
            let cut: String = name.chars().take(room - 1).collect();
            format!("{cut}{} ", if self.look.is_ascii { '~' } else { '…' })
        } else {
            format!("{name:<room$} ")
        };
        let cells: Vec<_> = cells.collect();
        let used = cells.iter().rposition(|(it, _)| *it != ' ').map_or(0, |last| last + 1);
        let mut colour = PLAIN;
        for (cell, wanted) in cells.into_iter().take(used) {
            if self.look.is_coloured && wanted != colour {
                line.push_str("\x1b[0m");
                push(&mut line, format_args!("\x1b[{wanted}m"));
                colour = wanted;
            }
            line.push(cell);
        }
        if colour != PLAIN {
            line.push_str("\x1b[0m");
        }
        page.push_str(line.trim_end());
        page.push('\n');
    }

    fn state(&self, state: State) -> (char, Colour) {
        let (unicode, ascii, colour) = sign(state);
        (if self.look.is_ascii { ascii } else { unicode }, colour)
    }

    fn mains(&self, course: &Course, from: u64, to: u64) -> (char, Colour) {
        let at = |moment: u64| {
            let known = course.mains.iter().take_while(|(since, _)| *since <= moment);
            known.last().is_none_or(|(_, has)| *has)
        };
        let is_away =
            !at(from) || course.mains.iter().any(|(at, has)| !has && (from..to).contains(at));
        match (is_away, self.look.is_ascii) {
            (true, _) => (' ', PLAIN),
            (false, true) => ('=', "32"),
            (false, false) => ('━', "32"),
        }
    }

    fn charge(&self, course: &Course, from: u64, to: u64) -> (char, Colour) {
        let Some(sample) = course.battery_before(to.max(from + 1)) else { return (' ', PLAIN) };
        let level = usize::try_from(sample.charge.min(100)).unwrap_or(100);
        let cell = if self.look.is_ascii {
            char::from_digit(u32::try_from(level / 10).unwrap_or(9), 10).unwrap_or('*')
        } else {
            let step = (level * LEVELS.len()).div_ceil(100);
            step.checked_sub(1).and_then(|step| LEVELS.get(step)).copied().unwrap_or(' ')
        };
        (cell, if level < LOW { RED } else { "36" })
    }

    /// Names the signs that were used, and no others.
    fn legend(&self, page: &mut String, course: &Course, marks: &[char]) {
        let has = |state: &State| {
            course.lanes.iter().any(|lane| lane.states.iter().any(|(_, it)| it == state))
        };
        let states = ALL_STATES.iter().filter(|state| has(state));
        let states = states.map(|state| (self.state(*state), state.word()));
        let marks = MARKS.iter().filter(|(mark, _)| marks.contains(mark));
        let marks = marks.map(|(mark, word)| ((*mark, BOLD), *word));
        let breaks = self.axis.has_breaks().then_some((('/', DIM), "// time left out"));
        let mut column = 0;
        for ((cell, colour), word) in states.chain(marks).chain(breaks) {
            let text = if cell == '/' { word.to_owned() } else { format!("{cell} {word}") };
            let len = text.chars().count() + 2;
            if column > 0 && column + len > self.look.width {
                trim(page);
                page.push('\n');
                column = 0;
            }
            if self.look.is_coloured && colour != PLAIN {
                push(page, format_args!("\x1b[{colour}m{text}\x1b[0m  "));
            } else {
                push(page, format_args!("{text}  "));
            }
            column += len;
        }
        trim(page);
        page.push('\n');
    }
}

fn trim(page: &mut String) {
    page.truncate(page.trim_end_matches(' ').len());
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes all that is written to it");
}

/// Returns the sign of a state, the one in ASCII, and its colour.
const fn sign(state: State) -> (char, char, Colour) {
    match state {
        State::Up => ('━', '=', "32"),
        State::Waiting => ('░', 'w', "33"),
        State::Stopping => ('▓', 's', "35"),
        State::Halting => ('▒', 'h', "34"),
        State::Off => ('·', '.', DIM),
        State::Holding => ('■', 'H', "36"),
        State::Booting => ('▲', '^', "1;32"),
        State::Unwatched => ('╌', '-', "33"),
        State::Lost => ('X', 'X', RED),
    }
}

const ALL_STATES: [State; 9] = [
    State::Up,
    State::Waiting,
    State::Stopping,
    State::Halting,
    State::Off,
    State::Holding,
    State::Booting,
    State::Unwatched,
    State::Lost,
];

/// The weightiest first.
const MARKS: [(char, &str); 6] = [
    ('!', "an invariant broken"),
    ('E', "battery empty"),
    ('D', "declared"),
    ('C', "cut"),
    ('T', "turned"),
    ('p', "magic packets"),
];

/// The parameters of an ANSI colour.
type Colour = &'static str;
const PLAIN: Colour = "";
const BOLD: Colour = "1";
const DIM: Colour = "2";
const RED: Colour = "1;31";

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A charge to look at.
const LOW: usize = 20;
/// The narrowest chart that shows anything.
pub const LEAST_WIDTH: usize = 40;
/// Longer names are cut.
const LONGEST_NAME: usize = 16;
