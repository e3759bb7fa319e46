//! What counts up over the life of the agent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::page::Page;
use super::{Family, PEER_REFUSED, WAKE_PACKETS};

/// The counters; one of them for the whole agent, shared by reference.
#[derive(Debug, Default)]
pub struct Counters {
    /// Refused connections and messages by their reason.
    refusals: Mutex<Count>,
    /// Magic packets by their host.
    packets: Mutex<Count>,
}

/// One counter with one label: a series for each value that it ever had.
type Count = BTreeMap<String, u64>;

impl Counters {
    /// Returns counters that stand at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a refused connection or message; `reason` is a label of the peers' refusals.
    pub fn peer_refused(&self, reason: &'static str) {
        count(&self.refusals, reason);
    }

    /// Counts a magic packet to `host`.
    pub fn wake_packet(&self, host: &str) {
        count(&self.packets, host);
    }

    pub(super) fn record(&self, page: &mut Page) {
        record(page, &PEER_REFUSED, &self.refusals);
        record(page, &WAKE_PACKETS, &self.packets);
    }
}

fn count(counter: &Mutex<Count>, label: &str) {
    let mut counter = counter.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = counter.get_mut(label) {
        *value += 1;
        return;
    }
    let label = if counter.len() < LABELS_MAX { label } else { OTHERS };
    *counter.entry(label.to_owned()).or_default() += 1;
}

fn record(page: &mut Page, family: &Family, counter: &Mutex<Count>) {
    for (label, value) in &*counter.lock().unwrap_or_else(PoisonError::into_inner) {
        page.count(family, [label], *value);
    }
}

/// Values of a label that have a series of their own. Each is from a closed set, of reasons or of
/// hosts in the cluster file, of which the largest tested has a hundred; so this is for mistakes.
const LABELS_MAX: usize = 256;
/// All the others.
const OTHERS: &str = "others";

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn values(counters: &Counters) -> BTreeMap<String, u64> {
        counters.packets.lock().unwrap().clone()
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let counters = Arc::new(Counters::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counters = Arc::clone(&counters);
                thread::spawn(move || (0..100).for_each(|_| counters.wake_packet("k8s-1")))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(values(&counters), BTreeMap::from([("k8s-1".to_owned(), 400)]));
    }

    #[test]
    fn labels_are_bounded_and_nothing_is_lost_for_it() {
        let counters = Counters::new();
        for round in 0..2 {
            (0..1000).for_each(|host| counters.wake_packet(&format!("host-{host}-{round}")));
            counters.wake_packet("host-0-0");
        }
        let values = values(&counters);
        assert_eq!(values.len(), LABELS_MAX + 1);
        assert_eq!((values["host-0-0"], values[OTHERS]), (3, 2000 - 256));
        assert_eq!(values.values().sum::<u64>(), 2002);
    }
}
