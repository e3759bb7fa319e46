//! What happened in the demo, in order: facts of the world, and what the agents recorded.

use curfew_coordinator::{Note, Time};
use serde::Serialize;

use super::cast::Role;

/// A fact of the world, not of what agents believe.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(super) enum Fact {
    /// The mains failed.
    MainsFailed,
    /// The mains came back.
    MainsReturned,
    /// The battery is empty: every machine lost its power.
    PowerLost,
    /// A magic packet reached the machine's card.
    PacketReceived,
    /// The machine was switched on.
    PoweredOn,
    /// Its operating system has booted and has started the agent.
    Booted,
    /// The operating system has gone down and the machine is off.
    PoweredOff,
    /// It went down to boot again.
    Rebooted,
    /// The agent ended in a way that no machine tells it to.
    Crashed {
        /// How it ended.
        how: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum What {
    /// In the world.
    World(Fact),
    /// In the history of an agent.
    Told(Note),
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Occurrence {
    /// When, on the boot clock.
    pub(super) at: Time,
    /// Where; none is the UPS and its mains.
    pub(super) role: Option<Role>,
    /// What.
    pub(super) what: What,
}

impl Occurrence {
    /// Returns the name of the place.
    pub(super) fn place(&self) -> &'static str {
        self.role.map_or("ups", Role::name)
    }
}

/// All that happened, sorted by time, and what of it was not shown yet.
///
/// Histories are read a moment after they were written, so what is shown lags by `LAG_MS` and is
/// in order.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    all: Vec<Occurrence>,
    shown: usize,
}

impl Timeline {
    /// Adds what happened, at its place.
    pub(super) fn add(&mut self, occurrence: Occurrence) {
        let place = self.all.partition_point(|known| known.at <= occurrence.at);
        // Who comes so late that its place was shown already is shown next.
        let place = place.max(self.shown);
        self.all.insert(place, occurrence);
    }

    /// Returns what is due to be shown at `now`, and takes it for shown.
    pub(super) fn due(&mut self, now: Time) -> Vec<Occurrence> {
        let until = Time::from_millis(now.as_millis().saturating_sub(LAG_MS));
        let waiting = self.all.get(self.shown..).unwrap_or_default();
        let due: Vec<_> = waiting.iter().take_while(|it| it.at <= until).cloned().collect();
        self.shown += due.len();
        due
    }

    /// Returns the rest that is to be shown.
    pub(super) fn rest(&mut self) -> Vec<Occurrence> {
        self.due(Time::from_millis(u64::MAX))
    }

    /// Returns whether nothing waits to be shown.
    pub(super) fn is_all_shown(&self) -> bool {
        self.shown == self.all.len()
    }

    /// Returns all.
    pub(super) fn all(&self) -> &[Occurrence] {
        &self.all
    }

    /// Returns whether this happened at `role`.
    pub(super) fn has(&self, role: Role, is: impl Fn(&What) -> bool) -> bool {
        self.all.iter().any(|it| it.role == Some(role) && is(&it.what))
    }
}

/// A history is synced to disk and then read within two ticks of the world.
const LAG_MS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Occurrence {
        let at = Time::from_millis(millis);
        Occurrence { at, role: None, what: What::World(Fact::MainsFailed) }
    }

    fn times(occurrences: &[Occurrence]) -> Vec<u64> {
        occurrences.iter().map(|it| it.at.as_millis()).collect()
    }

    #[test]
    fn what_is_heard_late_is_shown_in_order() {
        let mut timeline = Timeline::default();
        for millis in [1000, 1200, 1100] {
            timeline.add(at(millis));
        }
        assert_eq!(times(&timeline.due(Time::from_millis(1299))), [0; 0]);
        assert_eq!(times(&timeline.due(Time::from_millis(1400))), [1000, 1100]);
        timeline.add(at(900));
        assert_eq!(times(&timeline.due(Time::from_millis(1600))), [900, 1200]);
        timeline.add(at(5000));
        assert_eq!(times(&timeline.rest()), [5000]);
    }

    #[test]
    fn an_occurrence_is_one_flat_object() {
        let crashed = What::World(Fact::Crashed { how: "signal 9".to_owned() });
        let text = serde_json::to_string(&crashed).unwrap();
        assert_eq!(text, r#"{"event":"crashed","how":"signal 9"}"#);
        let told = What::Told(Note::Ready { host: "k8s-1".into() });
        assert_eq!(serde_json::to_string(&told).unwrap(), r#"{"event":"ready","host":"k8s-1"}"#);
    }
}
