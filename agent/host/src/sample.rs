//! Families of metrics and the series that a collector has found.

use std::borrow::Cow;

/// One metric with all its series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Family {
    /// Its name; those of the host are `node_exporter`'s.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, for the page and the docs.
    pub help: &'static str,
}

impl Family {
    /// Returns one that goes up and down.
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    /// Returns one that only goes up, until the host starts anew.
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up, until the host starts anew.
    Counter,
    /// `node_exporter` does not say; also what a text file does not say.
    Untyped,
    /// Only from text files.
    Histogram,
    /// Only from text files.
    Summary,
}

impl Kind {
    /// Returns the word of the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Untyped => "untyped",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// The series that somebody has found, by family, in the order in which they were found.
///
/// Labels are written as they will be shown, once, into one text for all series: a scrape has a
/// thousand of them and needs no allocation for each.
#[derive(Debug, Default)]
pub struct Samples {
    groups: Vec<Group>,
    series: Vec<Series>,
    labels: String,
    /// The group of the last sample: collectors go round their families in the same order.
    recent: usize,
}

#[derive(Debug)]
struct Group {
    name: Cow<'static, str>,
    kind: Kind,
    help: Cow<'static, str>,
    /// From a text file, which must not add to what others say.
    is_verbatim: bool,
    first: usize,
    last: usize,
}

#[derive(Debug)]
struct Series {
    /// Where its labels are in the common text.
    start: usize,
    end: usize,
    value: f64,
    /// The next series of the same family.
    next: Option<usize>,
}

impl Samples {
    /// Adds a series with these values of the family's labels, in its order.
    pub fn set(&mut self, family: &Family, values: &[&str], value: f64) {
        debug_assert_eq!(family.labels.len(), values.len(), "labels of {}", family.name);
        let start = self.labels.len();
        let pairs = family.labels.iter().copied().zip(values.iter().copied());
        write_labels(&mut self.labels, pairs);
        let group =
            self.group(family.name, family.kind, || (family.name.into(), family.help.into()));
        self.append(group, start, value);
    }

    /// Adds a series of a family that is known only at run time; nothing if its name is none.
    pub fn named(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        // What no kernel says must not break the page either.
        if !crate::text::is_name(name) {
            return;
        }
        let start = self.labels.len();
        write_labels(&mut self.labels, labels.iter().copied());
        let group = self.group(name, kind, || (name.to_owned().into(), help.to_owned().into()));
        self.append(group, start, value);
    }

    /// Adds a family as text files have it, which is not here yet: of each series what follows
    /// the family's name up to the value, that is the end of the name of a part (`_sum`), and the
    /// labels in their braces.
    pub(crate) fn verbatim(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        series: &[(String, f64)],
    ) {
        let (name, help) = (name.to_owned().into(), help.to_owned().into());
        let (first, last) = (usize::MAX, usize::MAX);
        // Files may have as many families as series: they are not looked for one by one.
        self.recent = self.groups.len();
        self.groups.push(Group { name, kind, help, is_verbatim: true, first, last });
        for (rest, value) in series {
            let start = self.labels.len();
            self.labels.push_str(rest);
            self.append(self.recent, start, *value);
        }
    }

    /// Returns the families in the order in which they were found.
    pub fn families(&self) -> impl Iterator<Item = Found<'_>> {
        self.groups.iter().map(|group| Found { samples: self, group })
    }

    /// Returns how many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Returns the value of a series by what stands on the page: `node_load1`, `a{b="c"}`.
    pub fn value(&self, series: &str) -> Option<f64> {
        let (name, labels) = series.split_at_checked(series.find('{').unwrap_or(series.len()))?;
        let family = self.families().find(|family| family.name() == name)?;
        family.series().find(|(rest, _)| *rest == labels).map(|(_, value)| value)
    }

    fn group(
        &mut self,
        name: &str,
        kind: Kind,
        texts: impl FnOnce() -> (Cow<'static, str>, Cow<'static, str>),
    ) -> usize {
        let is_it = |group: &Group| group.name == name;
        if self.groups.get(self.recent).is_some_and(is_it) {
            return self.recent;
        }
        let after = self.recent.saturating_add(1);
        let later = self.groups.iter().skip(after).position(is_it).map(|found| found + after);
        let found = later.or_else(|| self.groups.iter().take(after).position(is_it));
        let group = found.unwrap_or_else(|| {
            let (name, help) = texts();
            let (first, last) = (usize::MAX, usize::MAX);
            self.groups.push(Group { name, kind, help, is_verbatim: false, first, last });
            self.groups.len() - 1
        });
        self.recent = group;
        group
    }

    fn append(&mut self, group: usize, start: usize, value: f64) {
        let index = self.series.len();
        self.series.push(Series { start, end: self.labels.len(), value, next: None });
        let Some(group) = self.groups.get_mut(group) else { return };
        if let Some(last) = self.series.get_mut(group.last) {
            last.next = Some(index);
        } else {
            group.first = index;
        }
        group.last = index;
    }
}

/// A family that was found, with its series.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    samples: &'a Samples,
    group: &'a Group,
}

impl<'a> Found<'a> {
    /// Returns its name.
    pub fn name(&self) -> &'a str {
        &self.group.name
    }

    /// Returns how its values behave.
    pub fn kind(&self) -> Kind {
        self.group.kind
    }

    /// Returns what it means.
    pub fn help(&self) -> &'a str {
        &self.group.help
    }

    /// Returns whether this is that.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.group, other.group)
    }

    /// Returns whether a text file has it.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.group.is_verbatim
    }

    /// Returns its series: the labels as on the page (`{a="b"}`, or nothing), and the value.
    pub fn series(&self) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        let samples = self.samples;
        let mut next = Some(self.group.first);
        std::iter::from_fn(move || {
            let series = samples.series.get(next?)?;
            next = series.next;
            Some((samples.labels.get(series.start..series.end)?, series.value))
        })
    }
}

fn write_labels<'a>(text: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut before = '{';
    for (name, value) in pairs {
        text.push(before);
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
}

/// Writes the value of a label: nothing in it can end it, or the line.
fn escape(text: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Family = Family::gauge("load", &[], "Load.");
    const READS: Family = Family::counter("reads", &["device"], "Reads.");

    #[test]
    fn series_are_kept_by_family() {
        let mut samples = Samples::default();
        samples.set(&READS, &["a"], 1.0);
        samples.set(&LOAD, &[], 2.0);
        samples.set(&READS, &["b"], 3.0);
        let reads = samples.families().find(|family| family.name() == "reads").unwrap();
        let series: Vec<_> = reads.series().collect();
        assert_eq!(series, [("{device=\"a\"}", 1.0), ("{device=\"b\"}", 3.0)]);
        assert_eq!((samples.len(), samples.families().count()), (3, 2));
        assert_eq!(samples.value("load"), Some(2.0));
        assert_eq!(samples.value("reads{device=\"b\"}"), Some(3.0));
        assert_eq!(samples.value("reads{device=\"c\"}"), None);
    }

    #[test]
    fn the_value_of_a_label_cannot_end_it() {
        let mut samples = Samples::default();
        samples.set(&READS, &["a\"}\n\\"], 1.0);
        assert_eq!(samples.value("reads{device=\"a\\\"}\\n\\\\\"}"), Some(1.0));
    }
}
