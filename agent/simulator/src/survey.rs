//! What comes of many outages of one cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::course::Course;
use crate::many::Tally;
use crate::measure::{Grade, Margin, Measure};
use crate::naive::{Fate, Rule};
use crate::story::Story;
use crate::words::in_words;

/// What came of some runs, to be added up.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// How many runs.
    pub runs: u64,
    /// In how many a shutdown was declared.
    pub declared: u64,
    /// How many went how.
    pub grades: BTreeMap<Grade, u64>,
    /// In how many a host began by its latest start.
    pub latest_starts: u64,
    /// The margins that are known, in milliseconds; below zero so much was missing.
    pub margins: Vec<i64>,
    /// The run that went worst.
    pub worst: Option<Worst>,
    /// What the rules did in those with a shutdown: Curfew's first.
    pub rules: [Counts; 3],
}

/// A run that went worse than others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Worst {
    /// How it went.
    pub grade: Grade,
    /// What was left, or missing.
    pub margin: Option<i64>,
    /// The seed with which it can be played again.
    pub seed: u64,
}

/// How often a rule went wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// A host stopped while another one had workloads or mounts that needed it.
    pub order_broken: u64,
    /// A host stopped while another one that needed it was still on.
    pub overlapping: u64,
    /// A host lost its power while it had something to lose.
    pub power_lost: u64,
    /// From the decision until the last host was safe, in milliseconds, all runs together.
    pub took: u64,
}

impl Tally for Survey {
    fn add(&mut self, later: Self) {
        self.runs += later.runs;
        self.declared += later.declared;
        self.latest_starts += later.latest_starts;
        for (grade, count) in later.grades {
            *self.grades.entry(grade).or_default() += count;
        }
        self.margins.extend(later.margins);
        if later.worst.is_some_and(|new| self.worst.is_none_or(|known| new.is_worse(known))) {
            self.worst = later.worst;
        }
        for (known, new) in self.rules.iter_mut().zip(later.rules) {
            known.order_broken += new.order_broken;
            known.overlapping += new.overlapping;
            known.power_lost += new.power_lost;
            known.took += new.took;
        }
    }
}

impl Worst {
    /// Whether this one went worse; of two that went alike the first is kept.
    fn is_worse(self, known: Self) -> bool {
        let rank = |it: Self| (it.grade, std::cmp::Reverse(it.margin.unwrap_or(i64::MAX)));
        rank(self) > rank(known)
    }
}

impl Survey {
    /// Measures the course of one story.
    pub fn of(story: &Story, course: &Course) -> Self {
        let measure = Measure::of(story, course);
        let margin = measure.margin.map(signed);
        let mut survey = Self {
            runs: 1,
            grades: BTreeMap::from([(measure.grade, 1)]),
            latest_starts: u64::from(!measure.by_latest_start.is_empty()),
            margins: margin.into_iter().collect(),
            worst: Some(Worst { grade: measure.grade, margin, seed: story.seed }),
            ..Self::default()
        };
        if let Some(declared) = measure.declared_at {
            survey.declared = 1;
            let end = measure.path.first().map_or(declared, |link| link.to);
            let ours = Fate {
                is_order_broken: measure.is_order_broken,
                is_overlapping: measure.is_overlapping,
                loses_power: !measure.lost.is_empty(),
                takes: end.saturating_sub(declared),
            };
            let fates = [ours, Rule::AllAtOnce.fate(story), Rule::FixedDelays.fate(story)];
            survey.rules = fates.map(Counts::of);
        }
        survey
    }

    /// Returns whether nobody lost its power or was left behind, and all invariants held.
    pub fn is_good(&self) -> bool {
        self.grades.keys().all(|grade| *grade <= Grade::LatestStart)
    }

    /// Returns the margin below which so many of a thousand lie; the margins must be sorted.
    fn quantile(&self, per_mille: usize) -> Option<i64> {
        let last = self.margins.len().checked_sub(1)?;
        self.margins.get((last * per_mille).div_ceil(1_000)).copied()
    }

    /// Returns the survey as text for a person, who is told how to play the worst run again.
    pub fn page(&self, replay: &str) -> String {
        let mut page = String::new();
        for (grade, count) in &self.grades {
            row(&mut page, grade.word(), &format!("{count:>9}  {}", share(*count, self.runs)));
        }
        if !self.margins.is_empty() {
            let mut sorted = Self { margins: self.margins.clone(), ..Self::default() };
            sorted.margins.sort_unstable();
            page.push_str("\nMargin of the battery when the last host was safe\n");
            for (word, per_mille) in QUANTILES {
                if let Some(margin) = sorted.quantile(per_mille) {
                    row(&mut page, word, &format!("{:>9}", said(margin)));
                }
            }
        }
        if let Some(worst) = self.worst {
            let margin = worst.margin.map(|it| format!(", margin {}", said(it)));
            push(
                &mut page,
                format_args!(
                    "\nWorst: {}{}. Play it with\n  {replay} --seed {}\n",
                    worst.grade.word(),
                    margin.unwrap_or_default(),
                    worst.seed
                ),
            );
        }
        self.compare(&mut page);
        page
    }

    fn compare(&self, page: &mut String) {
        if self.declared == 0 {
            return;
        }
        push(
            page,
            format_args!(
                "\nIn {} of {} outages with a shutdown ({}) a host began by its latest start\n\
                 instead of by release. The same outages under other rules:\n\n",
                self.latest_starts,
                self.declared,
                share(self.latest_starts, self.declared).trim()
            ),
        );
        let head = ["order broken", "before off", "power lost", "takes"];
        let [broken, overlapping, lost, takes] = head;
        push(
            page,
            format_args!(
                "  {:RULE$}{broken:>13}{overlapping:>13}{lost:>13}{takes:>10}\n",
                "share of outages"
            ),
        );
        for (name, counts) in RULES.iter().zip(&self.rules) {
            let mean = in_words(Duration::from_millis(counts.took / self.declared));
            let of = |count| share(count, self.declared);
            push(
                page,
                format_args!(
                    "  {name:RULE$}{:>13}{:>13}{:>13}{mean:>10}\n",
                    of(counts.order_broken),
                    of(counts.overlapping),
                    of(counts.power_lost)
                ),
            );
        }
        page.push_str(EXPLAINED);
    }
}

impl Counts {
    fn of(fate: Fate) -> Self {
        Self {
            order_broken: u64::from(fate.is_order_broken),
            overlapping: u64::from(fate.is_overlapping),
            power_lost: u64::from(fate.loses_power),
            took: fate.takes,
        }
    }
}

impl Grade {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotNeeded => "no shutdown was needed",
            Self::InOrder => "in order, and all back",
            Self::LatestStart => "a host began by its latest start",
            Self::Vanished => "a host lost its power by itself",
            Self::Stranded => "a host did not come back",
            Self::LostPower => "a host lost its power while it ran",
            Self::Broken => "an invariant was broken",
        }
    }
}

fn signed(margin: Margin) -> i64 {
    match margin {
        Margin::Left { millis, .. } => i64::try_from(millis).unwrap_or(i64::MAX),
        Margin::Missing { millis } => {
            millis.and_then(|it| i64::try_from(it).ok()).map_or(HOPELESS, |it| -it)
        }
    }
}

fn said(margin: i64) -> String {
    let words = in_words(Duration::from_millis(margin.unsigned_abs()));
    match margin {
        HOPELESS => "hopeless".to_owned(),
        _ if margin < 0 => format!("-{words}"),
        _ => words,
    }
}

/// Returns a share in percent; what is not nothing is never shown as nothing.
fn share(count: u64, of: u64) -> String {
    let percent = count.saturating_mul(100_000) / of.max(1);
    match percent {
        0 if count > 0 => "< 0.01 %".to_owned(),
        _ if count < of && percent > 99_990 => "> 99.99 %".to_owned(),
        0..1_000 => format!("{}.{:02} %", percent / 1_000, percent % 1_000 / 10),
        _ => format!("{}.{} %", percent / 1_000, percent % 1_000 / 100),
    }
}

fn row(page: &mut String, name: &str, value: &str) {
    push(page, format_args!("  {name:ROW$}{value}\n"));
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes all that is written to it");
}

/// The margin of a host that no battery would have carried.
const HOPELESS: i64 = i64::MIN;
const ROW: usize = 36;
const RULE: usize = 28;
const RULES: [&str; 3] = ["Curfew", "all at once, as NUT does", "fixed delays, as PowerChute"];
const QUANTILES: [(&str, usize); 6] =
    [("least", 0), ("1 %", 10), ("10 %", 100), ("50 %", 500), ("90 %", 900), ("most", 1_000)];
const EXPLAINED: &str = "
order broken: a host stops while one that needs it has workloads or mounts.
before off: a host stops while one that needs it is still on. Curfew does so by
proof that workloads and mounts are gone; a fixed delay when it is over.
";
