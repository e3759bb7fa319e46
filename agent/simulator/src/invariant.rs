//! What must hold in every world, by its truth: the lines of the design's §8, by name.
//!
//! [`Judge::look`] is called after every event, [`Judge::close`] at the end, when the world has
//! healed. Each invariant is a file of its own with a function of its name.
//!
//! They are judged by what runs, what is mounted and what the battery holds, not by what the
//! coordinators believe. Where a premise is about a belief, «its latest start has come», the belief
//! is held against the truth.
#![expect(clippy::wildcard_enum_match_arm, reason = "an invariant looks at a few facts of many")]

use std::time::Duration;

use crate::story::Story;
use crate::world::World;
use crate::{Fact, Happened};

mod agreement;
mod deadline;
mod drill_is_harmless;
mod history;
mod latch;
mod limits;
mod no_early_cut;
mod no_false_shutdown;
mod no_thrash;
mod nobody_stranded;
mod order_holds_if_the_plan_fits;
mod re_arm;
mod release_is_true;
mod restart_order;
#[cfg(test)]
mod tests;
mod trouble;
mod unsure_is_not_zero;
mod witness;

use history::History;
pub use unsure_is_not_zero::{compare, twin};

/// The invariants, in the order of the design.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// When a host begins, nobody who depends on it can still be hurt.
    ReleaseIsTrue,
    /// With a plan that fits nobody begins by its latest start.
    OrderHoldsIfThePlanFits,
    /// Who has latched a shutdown stops in time.
    Deadline,
    /// Nobody stops without evidence.
    NoFalseShutdown,
    /// A shutdown is acted on once, and only in the boot in which it was latched.
    Latch,
    /// The UPS is cut when nobody is hurt by it.
    NoEarlyCut,
    /// Everybody gets back up.
    NobodyStranded,
    /// Nobody is woken before what it needs.
    RestartOrder,
    /// All follow one shutdown.
    Agreement,
    /// A shutdown that has ended leaves nothing behind.
    ReArm,
    /// A rehearsal moves nobody.
    DrillIsHarmless,
    /// Knowing less makes nothing happen earlier.
    UnsureIsNotZero,
    /// An outage is declared once.
    NoThrash,
    /// There is always a next deadline.
    Limits,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::ReleaseIsTrue,
        Self::OrderHoldsIfThePlanFits,
        Self::Deadline,
        Self::NoFalseShutdown,
        Self::Latch,
        Self::NoEarlyCut,
        Self::NobodyStranded,
        Self::RestartOrder,
        Self::Agreement,
        Self::ReArm,
        Self::DrillIsHarmless,
        Self::UnsureIsNotZero,
        Self::NoThrash,
        Self::Limits,
    ];

    /// Returns its name in `docs/protocol.md`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ReleaseIsTrue => "Release is true",
            Self::OrderHoldsIfThePlanFits => "Order holds if the plan fits",
            Self::Deadline => "Deadline",
            Self::NoFalseShutdown => "No false shutdown",
            Self::Latch => "Latch",
            Self::NoEarlyCut => "No early cut",
            Self::NobodyStranded => "Nobody stranded",
            Self::RestartOrder => "Restart order",
            Self::Agreement => "Agreement",
            Self::ReArm => "Re-arm",
            Self::DrillIsHarmless => "Drill is harmless",
            Self::UnsureIsNotZero => "Unsure is not zero",
            Self::NoThrash => "No thrash",
            Self::Limits => "Limits",
        }
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, in milliseconds since the story began.
    pub at: u64,
    /// What was seen.
    pub what: String,
}

/// What one invariant says; an error is what it saw.
type Verdict = Result<(), String>;

/// What the invariants look at after an event.
struct Scene<'a> {
    world: &'a World,
    /// What this event has made happen.
    news: &'a [Happened],
    history: &'a History,
    /// A second has passed since the last look of this kind: for what needs a look at everybody.
    is_beat: bool,
}

impl Scene<'_> {
    /// Returns the milliseconds since the story began.
    fn now(&self) -> u64 {
        self.world.now()
    }

    /// Returns the name of a host.
    fn name(&self, host: usize) -> &str {
        self.world.machine(host).name.as_str()
    }

    /// Iterates over what the agents have newly said.
    fn notes(&self) -> impl Iterator<Item = (usize, &curfew_coordinator::Note)> {
        self.news.iter().filter_map(|it| match &it.fact {
            Fact::Note(note) => Some((it.host, note)),
            _ => None,
        })
    }
}

/// What the invariants remember, each its own.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Memory {
    deadline: deadline::Memory,
    latch: latch::Memory,
    no_early_cut: no_early_cut::Memory,
    nobody_stranded: nobody_stranded::Memory,
    order: order_holds_if_the_plan_fits::Memory,
    restart_order: restart_order::Memory,
    agreement: agreement::Memory,
    no_thrash: no_thrash::Memory,
    unsure: unsure_is_not_zero::Memory,
}

/// Watches one world. What it remembers is hashed, so that two worlds that look alike are only
/// taken for one where they are judged alike from here on, but for what excuses: there the stricter
/// of two judges stands for both.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Judge {
    seen: usize,
    beat: u64,
    history: History,
    memory: Memory,
}

impl Judge {
    /// Makes the judge of a story.
    pub fn new(_story: &Story) -> Self {
        Self { seen: 0, beat: 0, history: History::new(), memory: Memory::default() }
    }

    /// Looks at the world after an event.
    pub fn look(&mut self, world: &World) -> Result<(), Violation> {
        let news = world.facts().get(self.seen..).unwrap_or_default();
        self.seen += news.len();
        let second = world.now() / 1000;
        let is_beat = std::mem::replace(&mut self.beat, second) != second;
        if !news.is_empty() {
            self.history.learn(world, news);
        }
        if is_beat {
            self.history.sample(world);
        }
        let scene = Scene { world, news, history: &self.history, is_beat };
        self.memory.judge(&scene).map_err(|(invariant, what)| {
            let at = world.now();
            Violation { invariant, at, what }
        })
    }

    /// Lets the world forget the facts that were looked at: nothing else but `seen` may rest on
    /// how many there were.
    pub fn forget(&mut self, world: &mut World) {
        self.seen = 0;
        world.clear_facts();
    }

    /// Returns whether this judge excuses nothing that `other` does not; the two must have the same
    /// hash.
    pub fn excuses_as_little(&self, other: &Self) -> bool {
        self.history.excuses_as_little(&other.history)
    }

    /// Looks at the world at the end.
    pub fn close(&mut self, world: &World) -> Result<(), Violation> {
        let scene = Scene { world, news: &[], history: &self.history, is_beat: true };
        nobody_stranded::nobody_stranded_at_the_end(&self.memory.nobody_stranded, &scene).map_err(
            |what| Violation { invariant: Invariant::NobodyStranded, at: world.now(), what },
        )
    }
}

impl Memory {
    /// Holds every invariant against the scene.
    fn judge(&mut self, scene: &Scene<'_>) -> Result<(), (Invariant, String)> {
        let of = |invariant| move |what| (invariant, what);
        limits::limits(scene).map_err(of(Invariant::Limits))?;
        if scene.news.is_empty() && !scene.is_beat {
            return Ok(());
        }
        deadline::deadline(&mut self.deadline, scene).map_err(of(Invariant::Deadline))?;
        agreement::agreement(&mut self.agreement, scene).map_err(of(Invariant::Agreement))?;
        restart_order::restart_order(&mut self.restart_order, scene)
            .map_err(of(Invariant::RestartOrder))?;
        nobody_stranded::nobody_stranded(&mut self.nobody_stranded, scene)
            .map_err(of(Invariant::NobodyStranded))?;
        unsure_is_not_zero::unsure_is_not_zero(&mut self.unsure, scene)
            .map_err(of(Invariant::UnsureIsNotZero))?;
        if scene.news.is_empty() {
            return Ok(());
        }
        release_is_true::release_is_true(scene).map_err(of(Invariant::ReleaseIsTrue))?;
        order_holds_if_the_plan_fits::order_holds_if_the_plan_fits(&mut self.order, scene)
            .map_err(of(Invariant::OrderHoldsIfThePlanFits))?;
        no_false_shutdown::no_false_shutdown(scene).map_err(of(Invariant::NoFalseShutdown))?;
        latch::latch(&mut self.latch, scene).map_err(of(Invariant::Latch))?;
        no_early_cut::no_early_cut(&mut self.no_early_cut, scene)
            .map_err(of(Invariant::NoEarlyCut))?;
        re_arm::re_arm(scene).map_err(of(Invariant::ReArm))?;
        drill_is_harmless::drill_is_harmless(scene).map_err(of(Invariant::DrillIsHarmless))?;
        no_thrash::no_thrash(&mut self.no_thrash, scene).map_err(of(Invariant::NoThrash))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
