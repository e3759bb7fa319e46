//! Known mistakes: each breaks a story, or nothing would show that its switch does anything.

use std::cell::Cell;

use curfew_coordinator::Mistake;

thread_local! {
    static CHOSEN: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Returns the mistake that all coordinators of this story make.
pub(crate) fn chosen() -> Option<Mistake> {
    CHOSEN.get()
}
