//! What of a past tells two worlds apart: all of it but what only excuses.

use std::hash::{Hash, Hasher};

use super::History;

impl Hash for History {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            troubles: _,
            apart_since,
            was_apart,
            disturbed_at: _,
            booted_at,
            stopped_by_person,
            doubled_until,
            reads,
            read_before,
            stopped_for,
            wanted_again,
            forced_at,
            started_at,
            latched,
            triggers,
            orders,
            witness,
            samples,
            up_at_failure,
            failed_at,
            longest_dark,
            healed_at,
        } = self;
        (doubled_until, reads, read_before, stopped_for, wanted_again, forced_at, started_at)
            .hash(state);
        (apart_since, was_apart, booted_at, stopped_by_person, latched, triggers).hash(state);
        (orders, witness).hash(state);
        (samples, up_at_failure, failed_at, longest_dark, healed_at).hash(state);
    }
}
