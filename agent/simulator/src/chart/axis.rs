//! The time axis of a chart: columns for moments, with long stretches without any news left out.

use crate::course::Course;
use crate::fact::Fact;

/// The columns, each with the time that it covers.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Where each stretch begins, and at which place of the drawn time.
    knots: Vec<Knot>,
    /// All of the drawn time.
    drawn: u64,
    columns: usize,
}

/// From here on until the next one, time is drawn evenly.
#[derive(Clone, Copy, Debug)]
struct Knot {
    at: u64,
    place: u64,
    is_shortened: bool,
}

impl Axis {
    /// Makes the axis of a course.
    pub(super) fn of(course: &Course, columns: usize) -> Self {
        let start = course.failed_at.saturating_sub(LEAD);
        let end = course.ended_at.max(start + 1) + 1;
        let changes = course.lanes.iter().flat_map(|lane| lane.states.iter().map(|(at, _)| *at));
        let mains = course.mains.iter().map(|(at, _)| *at);
        let others = course.facts.iter().filter(|it| matters(&it.fact)).map(|it| it.at);
        let mut moments: Vec<u64> = changes.chain(mains).chain(others).collect();
        moments.extend([start, end]);
        moments.retain(|at| (start..=end).contains(at));
        moments.sort_unstable();
        moments.dedup();
        Self::through(&moments, columns)
    }

    fn through(moments: &[u64], columns: usize) -> Self {
        let gaps: Vec<u64> =
            moments.iter().zip(moments.iter().skip(1)).map(|(a, b)| b - a).collect();
        let limit = longest_drawn(&gaps);
        let mut knots = Vec::with_capacity(moments.len());
        let mut place = 0;
        for (at, gap) in moments.iter().zip(gaps.iter().chain([&0])) {
            let is_shortened = *gap > limit.saturating_mul(2);
            knots.push(Knot { at: *at, place, is_shortened });
            place += if is_shortened { limit } else { *gap };
        }
        Self { knots, drawn: place.max(1), columns }
    }

    /// Returns how many columns there are.
    pub(super) fn len(&self) -> usize {
        self.columns
    }

    /// Returns whether time was left out.
    pub(super) fn has_breaks(&self) -> bool {
        self.knots.iter().any(|knot| knot.is_shortened)
    }

    /// Returns the column of a moment; none outside of the axis.
    pub(super) fn column(&self, at: u64) -> Option<usize> {
        let last = self.knots.last()?.at;
        let first = self.knots.first()?.at;
        (first..=last).contains(&at).then(|| self.column_of(self.place(at)))
    }

    fn column_of(&self, place: u64) -> usize {
        let columns = self.columns as u64;
        let column = place.saturating_mul(columns) / self.drawn;
        usize::try_from(column).unwrap_or(usize::MAX).min(self.columns.saturating_sub(1))
    }

    /// Returns the time that each column covers, from and to.
    pub(super) fn columns(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let moment = |column: usize| self.moment(self.drawn * column as u64 / self.columns as u64);
        (0..self.columns).map(move |column| (moment(column), moment(column + 1)))
    }

    fn place(&self, at: u64) -> u64 {
        let next = self.knots.partition_point(|knot| knot.at <= at);
        let Some(knot) = next.checked_sub(1).and_then(|it| self.knots.get(it)) else { return 0 };
        let Some(next) = self.knots.get(next) else { return self.drawn };
        let (passed, gap) = (at - knot.at, next.at - knot.at);
        knot.place + (next.place - knot.place) * passed / gap.max(1)
    }

    fn moment(&self, place: u64) -> u64 {
        let next = self.knots.partition_point(|knot| knot.place <= place);
        let Some(knot) = next.checked_sub(1).and_then(|it| self.knots.get(it)) else { return 0 };
        let Some(next) = self.knots.get(next) else { return knot.at };
        let (passed, drawn) = (place - knot.place, next.place - knot.place);
        knot.at + (next.at - knot.at) * passed / drawn.max(1)
    }

    /// Returns the line with the ticks, and the one with the times since `zero`.
    pub(super) fn scale(&self, zero: u64, is_ascii: bool) -> (String, String) {
        let (line, tick) = if is_ascii { ('-', '+') } else { ('─', '┴') };
        let mut ticks = vec![line; self.columns];
        for knot in self.knots.iter().filter(|knot| knot.is_shortened) {
            let end =
                self.knots.iter().find(|it| it.at > knot.at).map_or(self.drawn, |it| it.place);
            let middle = self.column_of(knot.place.midpoint(end));
            for cell in ticks.iter_mut().skip(middle).take(2) {
                *cell = '/';
            }
        }
        let mut labels = String::new();
        let starts: Vec<u64> = self.columns().map(|(from, _)| from).collect();
        let mut column = self.column(zero).unwrap_or_default();
        while let Some(at) = starts.get(column) {
            // The first column after zero has begun before it.
            let label = clock(at.saturating_sub(zero));
            if column + label.len() > self.columns {
                break;
            }
            if let Some(cell) = ticks.get_mut(column).filter(|cell| **cell != '/') {
                *cell = tick;
            }
            let room = column - labels.len();
            labels.extend(std::iter::repeat_n(' ', room));
            labels.push_str(&label);
            column += TICKS;
        }
        (ticks.into_iter().collect(), labels)
    }
}

/// Returns the longest stretch without news that is drawn as it is: a sixth of the axis.
fn longest_drawn(gaps: &[u64]) -> u64 {
    let parts = (gaps.len() as u64).min(PARTS);
    let mut limit = u64::MAX;
    if parts < 3 {
        return limit;
    }
    for _ in 0..ROUNDS {
        let drawn: u64 = gaps.iter().map(|gap| *gap.min(&limit)).fold(0, u64::saturating_add);
        limit = (drawn / parts).max(1);
    }
    limit
}

fn matters(fact: &Fact) -> bool {
    matches!(fact, Fact::PacketSent { .. } | Fact::OutputOpened { .. } | Fact::OutputClosed)
}

/// Returns a time since the mains failed: `0`, `45`, `2:05` or `1:00:05`.
fn clock(millis: u64) -> String {
    let seconds = (millis + 500) / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60),
    }
}

/// So much is shown of the time before the mains failed.
const LEAD: u64 = 5_000;
/// A stretch without news may take this part of the axis.
const PARTS: u64 = 6;
/// The limit falls with what it leaves out; by then it has settled.
const ROUNDS: usize = 40;
/// Columns from one time to the next.
const TICKS: usize = 10;
