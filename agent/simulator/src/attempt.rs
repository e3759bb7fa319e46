//! A run that may fail: by an invariant that does not hold, or by an agent that panics.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::invariant::{Invariant, Violation};
use crate::play::Outcome;

/// Why a run failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// An invariant did not hold.
    Violated(Violation),
    /// An agent, or the world, came to a state that cannot be.
    Panicked(String),
}

/// What sort of failure it is: two runs that fail alike fail for one reason, as far as one can
/// tell.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FailureKind {
    /// This invariant did not hold.
    Violated(Invariant),
    /// There was a panic.
    Panicked,
}

impl Failure {
    /// Returns what sort it is.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Violated(violation) => FailureKind::Violated(violation.invariant),
            Self::Panicked(_) => FailureKind::Panicked,
        }
    }

    /// Returns when the run failed, in milliseconds since the story began, if that is known.
    pub fn at(&self) -> Option<u64> {
        match self {
            Self::Violated(violation) => Some(violation.at),
            Self::Panicked(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Violated(Violation { at, what, .. }) => {
                let at = crate::span::text(std::time::Duration::from_millis(*at));
                write!(f, "{kind} at {at}: {what}")
            }
            Self::Panicked(message) => write!(f, "{kind}: {message}"),
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violated(invariant) => f.write_str(invariant.title()),
            Self::Panicked => f.write_str("panic"),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The outcome; none after a panic.
    pub outcome: Option<Outcome>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Attempt {
    /// Plays, and takes a panic for a failure of the run: nobody looks at its world again.
    pub fn of(play: impl FnOnce() -> Outcome) -> Self {
        match catch_unwind(AssertUnwindSafe(play)) {
            Ok(outcome) => {
                let failure = outcome.violation.clone().map(Failure::Violated);
                Self { outcome: Some(outcome), failure }
            }
            Err(panic) => {
                let failure = Some(Failure::Panicked(message_of(&*panic)));
                Self { outcome: None, failure }
            }
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    fixed
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}
