//! What is tried to make a story short, each from the coarse to the fine.

use serde_json::Value;

use super::{Search, span_of, span_value};
use crate::attempt::Failure;
use crate::story::Story;

/// Spans become multiples of these, the roundest first.
const ROUND: [u64; 6] = [600_000, 60_000, 10_000, 5_000, 1_000, 100];
/// Numbers become multiples of these.
const ROUND_NUMBERS: [u64; 2] = [100, 10];
/// From the last change until the world heals.
const HEALS_AFTER: [u64; 4] = [1_000, 10_000, 60_000, 300_000];
/// What comes less than this sooner is not worth a play.
const SOONER: u64 = 1_000;

impl<F: FnMut(&Story) -> Option<Failure>> Search<F> {
    /// What comes after the failure has no part in it.
    pub(super) fn drop_late_changes(&mut self) {
        let Some(at) = self.best.failure.at() else { return };
        let mut parts = self.parts.clone();
        if let Some(Value::Array(changes)) = parts.get_mut("changes") {
            changes.retain(|change| change.get("at").and_then(span_of) <= Some(at));
            self.attempt(parts);
        }
    }

    /// Takes changes away: halves, quarters, at last one by one.
    pub(super) fn drop_changes(&mut self) {
        let mut size = self.len("/changes").div_ceil(2);
        while size > 0 {
            let mut first = self.len("/changes");
            while first > 0 {
                first = first.saturating_sub(size);
                let mut parts = self.parts.clone();
                if let Some(Value::Array(changes)) = parts.get_mut("changes") {
                    let end = changes.len().min(first + size);
                    changes.drain(first..end);
                }
                self.attempt(parts);
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Takes hosts away, with what happens to them; who needs them needs what they need.
    pub(super) fn drop_hosts(&mut self) {
        for place in (0..self.len("/hosts")).rev() {
            let mut story = self.best.story.clone();
            if story.cluster.hosts.len() <= place {
                continue;
            }
            let gone = story.cluster.hosts.remove(place);
            if gone.name == story.cluster.ups.owner {
                continue;
            }
            for host in &mut story.cluster.hosts {
                if host.needs.remove(&gone.name) {
                    host.needs.extend(gone.needs.iter().cloned());
                }
            }
            story.changes.retain(|dated| !dated.change.hosts().contains(&&gone.name));
            // By their new places the hosts have other addresses.
            let mut parts = Value::Object(story.to_compact());
            if let Some(Value::Array(hosts)) = parts.get_mut("hosts") {
                hosts.iter_mut().for_each(forget_addresses);
            }
            self.attempt(parts);
        }
    }

    /// Takes away what is not the usual: all of a part, then one by one.
    pub(super) fn make_usual(&mut self) {
        for part in ["/settings", "/network", "/ups", "/cluster"] {
            self.drop_keys(part);
        }
        self.attempt_at("/seed", 0.into());
        for host in 0..self.len("/hosts") {
            self.drop_keys(&format!("/hosts/{host}/truth"));
            for key in ["measured", "stop-timeout", "ready", "wake", "is-fed", "touches-power"] {
                self.attempt_without(&format!("/hosts/{host}/{key}"));
            }
            let needs = format!("/hosts/{host}/needs");
            for need in (0..self.len(&needs)).rev() {
                let mut parts = self.parts.clone();
                if let Some(Value::Array(needs)) = parts.pointer_mut(&needs) {
                    needs.remove(need);
                }
                self.attempt(parts);
            }
        }
        for change in 0..self.len("/changes") {
            for key in ["back-after", "span"] {
                self.attempt_without(&format!("/changes/{change}/{key}"));
            }
        }
    }

    fn drop_keys(&mut self, place: &str) {
        if self.attempt_without(place) {
            return;
        }
        for key in self.keys(place) {
            self.attempt_without(&format!("{place}/{key}"));
        }
    }

    /// Makes spans round: what is shorter to write is easier to read.
    pub(super) fn round_spans(&mut self) {
        for place in self.leaves() {
            let Some(old) = self.parts.pointer(&place).cloned() else { continue };
            let Some(span) = span_of(&old) else { continue };
            for unit in ROUND {
                // A moment may be the first; a span of nothing is another story.
                let least = if place.ends_with("/at") { 0 } else { unit.min(span) };
                let new = span_value(((span + unit / 2) / unit * unit).max(least));
                let is_rounder = new.to_string().len() < old.to_string().len();
                if is_rounder && self.attempt_at(&place, new) {
                    break;
                }
            }
        }
    }

    pub(super) fn round_numbers(&mut self) {
        for place in self.leaves() {
            let Some(number) = self.parts.pointer(&place).and_then(Value::as_u64) else { continue };
            for unit in ROUND_NUMBERS {
                let new = (number + unit / 2) / unit * unit;
                if new != number && self.attempt_at(&place, new.into()) {
                    break;
                }
            }
        }
    }

    /// Lets the world heal soon after the last change.
    pub(super) fn heal_sooner(&mut self) {
        let last = self.best.story.changes.last().map_or(0, |dated| dated.at);
        for after in HEALS_AFTER {
            let heals_at = last + after;
            if heals_at < self.best.story.heals_at
                && self.attempt_at("/heals-at", span_value(heals_at))
            {
                break;
            }
        }
    }

    /// Lets each change come sooner after the one before, and all that follows with it.
    pub(super) fn come_sooner(&mut self) {
        for place in 0..self.best.story.changes.len() {
            let story = self.best.story.clone();
            let at = |place: usize| story.changes.get(place).map_or(0, |dated| dated.at);
            let before = place.checked_sub(1).map_or(0, at);
            let gap = at(place).saturating_sub(before);
            for span in [gap, gap / 2, gap / 4, SOONER.min(gap)] {
                let mut story = story.clone();
                for dated in story.changes.iter_mut().skip(place) {
                    dated.at -= span;
                }
                story.heals_at -= span.min(story.heals_at);
                if span >= SOONER && self.attempt(Value::Object(story.to_compact())) {
                    break;
                }
            }
        }
    }

    fn len(&self, place: &str) -> usize {
        self.parts.pointer(place).and_then(Value::as_array).map_or(0, Vec::len)
    }

    fn keys(&self, place: &str) -> Vec<String> {
        let keys = self.parts.pointer(place).and_then(Value::as_object);
        keys.map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns the places of all texts and numbers, but for what says which text it is.
    fn leaves(&self) -> Vec<String> {
        let mut places = Vec::new();
        for part in ["/settings", "/ups", "/network", "/hosts", "/changes", "/heals-at"] {
            if let Some(value) = self.parts.pointer(part) {
                add_leaves(part, value, &mut places);
            }
        }
        places
    }
}

fn forget_addresses(host: &mut Value) {
    let Value::Object(keys) = host else { return };
    keys.remove("wake");
    if let Some(Value::String(ready)) = keys.get_mut("ready")
        && let Some((kind, _)) = ready.split_once(' ')
    {
        *ready = kind.to_owned();
    }
}

fn add_leaves(place: &str, value: &Value, places: &mut Vec<String>) {
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                add_leaves(&format!("{place}/{key}"), value, places);
            }
        }
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                add_leaves(&format!("{place}/{n}"), value, places);
            }
        }
        Value::String(_) | Value::Number(_) => places.push(place.to_owned()),
        Value::Null | Value::Bool(_) => {}
    }
}
