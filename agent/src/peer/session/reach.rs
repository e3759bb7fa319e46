//! By which ways a peer is reached: from where it calls, and whether it can be called.
//!
//! A host that is heard counts as connected, whoever it is and wherever it is. When two nodes have
//! each other's certificates, or two agents the same one, only the addresses tell.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::time::Instant;

use super::SILENCE;

/// How a peer that is heard can be reached.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reach {
    /// The addresses from which it calls.
    pub from: Vec<IpAddr>,
    /// It calls from several of them at the same time, since then.
    pub doubled_since: Option<Instant>,
    /// It cannot be called.
    pub unreached: Option<Unreached>,
}

/// Nobody can be called where a peer should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreached {
    /// Since when.
    pub since: Instant,
    /// What was last found.
    pub why: String,
}

/// What is known of the ways of one peer.
#[derive(Debug, Default)]
pub(super) struct Way {
    callers: BTreeMap<IpAddr, Span>,
    doubled_since: Option<Instant>,
    unreached: Option<Unreached>,
}

/// When somebody was heard.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: Instant,
    last: Instant,
}

impl Way {
    pub(super) fn on_heard(&mut self, from: IpAddr, now: Instant) {
        let span = self.callers.entry(from).or_insert(Span { first: now, last: now });
        span.last = now;
        self.settle(now);
    }

    pub(super) fn on_reached(&mut self) {
        self.unreached = None;
    }

    pub(super) fn on_unreached(&mut self, why: String, now: Instant) {
        let since = self.unreached.as_ref().map_or(now, |unreached| unreached.since);
        self.unreached = Some(Unreached { since, why });
    }

    pub(super) fn on_beat(&mut self, now: Instant) {
        self.settle(now);
    }

    /// Returns the ways of a peer that is heard. That it could not be called before counts for
    /// nothing: it was not there.
    pub(super) fn reach(&self) -> Reach {
        let heard_since = self.callers.values().map(|span| span.first).min();
        let unreached = self.unreached.clone().map(|it| Unreached {
            since: heard_since.map_or(it.since, |since| it.since.max(since)),
            ..it
        });
        Reach {
            from: self.callers.keys().copied().collect(),
            doubled_since: self.doubled_since,
            unreached,
        }
    }

    fn settle(&mut self, now: Instant) {
        self.callers.retain(|_, span| now.duration_since(span.last) < SILENCE);
        if self.is_doubled() {
            self.doubled_since.get_or_insert(now);
        } else {
            self.doubled_since = None;
        }
    }

    /// A host that has taken another way is heard from the old one before it is from the new one;
    /// two are heard in turns.
    fn is_doubled(&self) -> bool {
        let spans = || self.callers.iter();
        spans().any(|(one, span)| {
            spans()
                .any(|(other, it)| one != other && span.first <= it.first && it.first < span.last)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_are_heard_in_turns_are_two_and_one_that_has_moved_is_not() {
        let mut way = Way::default();
        let start = Instant::now();
        way.on_heard(address(11), start);
        way.on_heard(address(12), start + SECOND);
        way.on_heard(address(12), start + SECOND * 2);
        assert_eq!(way.reach().doubled_since, None, "it has moved");
        way.on_heard(address(11), start + SECOND * 3);
        assert_eq!(way.reach().doubled_since, Some(start + SECOND * 3));
        way.on_heard(address(12), start + SECOND * 4);
        assert_eq!(way.reach().doubled_since, Some(start + SECOND * 3), "since then");
        way.on_heard(address(12), start + SECOND * 8);
        assert_eq!(way.reach().from, [address(12)]);
        assert_eq!(way.reach().doubled_since, None, "the other is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_called_is_so_since_the_first_time() {
        let mut way = Way::default();
        let start = Instant::now();
        way.on_unreached("no route".to_owned(), start);
        way.on_unreached("refused".to_owned(), start + SECOND);
        let unreached = Unreached { since: start, why: "refused".to_owned() };
        assert_eq!(way.reach().unreached, Some(unreached));
        way.on_reached();
        assert_eq!(way.reach(), Reach::default());
    }
}
