//! What a collector of the host's metrics has found, or why it has not.

use curfew_host::{Collected, Samples};

/// What one collector says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// This.
    Here(Found<'a>),
    /// That the host has nothing of the kind.
    Absent,
    /// Nothing, since it is not to be asked.
    LeftOut,
    /// Nothing, for this reason.
    Unknown(&'a str),
}

/// The samples of one collector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a>(pub(super) &'a Samples);

/// The labels of one series, as they stand on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a>(&'a str);

/// What all collectors say, with the failures in words.
#[derive(Debug)]
pub(super) struct Sources {
    collected: Collected,
    failures: Vec<(&'static str, String)>,
}

impl Sources {
    pub(super) fn new(collected: Collected) -> Self {
        let failures = collected.outcomes.iter().filter_map(|outcome| {
            let failure = outcome.result.as_ref().err().filter(|it| !it.is_absence())?;
            Some((outcome.collector, failure.to_string()))
        });
        let failures = failures.collect();
        Self { collected, failures }
    }

    /// Returns what the collector says.
    pub(super) fn of(&self, collector: &str) -> Source<'_> {
        if let Some((_, why)) = self.failures.iter().find(|(failed, _)| *failed == collector) {
            return Source::Unknown(why);
        }
        match self.collected.outcomes.iter().find(|outcome| outcome.collector == collector) {
            Some(outcome) if outcome.result.is_ok() => Source::Here(Found(&outcome.samples)),
            Some(_absent) => Source::Absent,
            None => Source::Unknown("it was not asked"),
        }
    }
}

impl<'a> Found<'a> {
    /// Returns all series of a family.
    pub(super) fn series(self, family: &str) -> impl Iterator<Item = (Labels<'a>, f64)> {
        let found = self.0.families().find(|found| found.name() == family);
        found
            .into_iter()
            .flat_map(|found| found.series())
            .map(|(text, value)| (Labels(text), value))
    }

    /// Returns the value of the series of a family with these labels.
    pub(super) fn value(self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut series = self.series(family);
        let is_it = |it: Labels<'_>| {
            labels.iter().all(|(name, value)| it.get(name).is_some_and(|found| found == *value))
        };
        series.find(|(found, _)| is_it(*found)).map(|(_, value)| value)
    }
}

impl Labels<'_> {
    /// Returns the value of a label.
    pub(super) fn get(self, name: &str) -> Option<String> {
        let mut rest = self.0.strip_prefix('{')?;
        loop {
            let (found, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next()? {
                    (at, '"') => break at,
                    (_, '\\') => match characters.next()?.1 {
                        'n' => value.push('\n'),
                        other => value.push(other),
                    },
                    (_, other) => value.push(other),
                }
            };
            if found == name {
                return Some(value);
            }
            rest = after.get(end + 1..)?.strip_prefix(',')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_back_whatever_they_hold() {
        let labels = Labels(r#"{chip="a,b=\"c\"}",sensor="temp\\1\n"}"#);
        assert_eq!(labels.get("chip").as_deref(), Some("a,b=\"c\"}"));
        assert_eq!(labels.get("sensor").as_deref(), Some("temp\\1\n"));
        assert_eq!(labels.get("label"), None);
        assert_eq!(Labels("").get("chip"), None);
        proptest::proptest!(|(text: String)| drop(Labels(&text).get("chip")));
    }
}
