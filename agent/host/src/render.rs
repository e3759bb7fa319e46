//! The text that Prometheus reads, in either of its forms.

use std::collections::HashSet;
use std::fmt::Write;

use crate::sample::{Found, Kind, Samples};

/// In which form a page is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Prometheus' own text, version 0.0.4.
    Text,
    /// `OpenMetrics`' text, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Returns its media type, with its version.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Appends a whole page: all families of these samples by name, each of them once.
///
/// Who comes first says what a family is; others add series to it if they say the same, but not a
/// text file. No series is there twice.
pub fn render<'a>(
    sources: impl IntoIterator<Item = &'a Samples>,
    format: Format,
    page: &mut String,
) {
    let mut families: Vec<_> = sources.into_iter().flat_map(Samples::families).collect();
    // Stable: who comes first stays first.
    families.sort_by_key(Found::name);
    let mut shown = HashSet::new();
    for same in families.chunk_by(|one, other| one.name() == other.name()) {
        let Some(first) = same.first() else { continue };
        let fits = |it: &&Found<'a>| it.is_said_by(first);
        match format {
            Format::Text => write_head(page, first, first.name(), first.kind().as_str(), format),
            Format::OpenMetrics => {
                let series = same.iter().filter(fits).flat_map(Found::series);
                let has_name =
                    |name: &str| families.binary_search_by_key(&name, Found::name).is_ok();
                let (name, word) = open_metrics(first, series.map(|(_, value)| value), has_name);
                write_head(page, first, name, word, format);
            }
        }
        shown.clear();
        for (labels, value) in same.iter().filter(fits).flat_map(Found::series) {
            if shown.insert(labels) {
                write_series(page, first.name(), labels, value);
            }
        }
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
}

impl Found<'_> {
    /// Returns whether this may stand under that head.
    fn is_said_by(&self, first: &Self) -> bool {
        self.is_same(first) || (!self.is_verbatim() && self.kind() == first.kind())
    }
}

/// Returns the name and the type of a family in `OpenMetrics`, where the end of a counter's name is
/// not part of the family's. What cannot be a counter there is unknown: so its series keep their
/// names, whoever reads which form.
fn open_metrics<'a>(
    family: &Found<'a>,
    mut values: impl Iterator<Item = f64>,
    is_taken: impl Fn(&str) -> bool,
) -> (&'a str, &'static str) {
    let name = family.name();
    match family.kind() {
        Kind::Counter => {
            let short = name.strip_suffix("_total").filter(|name| !name.is_empty());
            let free = short.filter(|name| !is_taken(name));
            match free {
                Some(short) if values.all(|value| value >= 0.0) => (short, "counter"),
                _ => (name, "unknown"),
            }
        }
        Kind::Untyped => (name, "unknown"),
        kind @ (Kind::Gauge | Kind::Histogram | Kind::Summary) => (name, kind.as_str()),
    }
}

fn write_head(page: &mut String, family: &Found<'_>, name: &str, kind: &str, format: Format) {
    page.push_str("# HELP ");
    page.push_str(name);
    page.push(' ');
    write_help(page, family.help(), format);
    page.push_str("\n# TYPE ");
    page.push_str(name);
    page.push(' ');
    page.push_str(kind);
    page.push('\n');
}

fn write_series(page: &mut String, name: &str, labels: &str, value: f64) {
    page.push_str(name);
    page.push_str(labels);
    page.push(' ');
    write_value(page, value);
    page.push('\n');
}

fn write_help(page: &mut String, help: &str, format: Format) {
    if !help.contains(['\\', '\n', '"']) {
        page.push_str(help);
        return;
    }
    for character in help.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '\n' => page.push_str("\\n"),
            '"' if format == Format::OpenMetrics => page.push_str("\\\""),
            other => page.push(other),
        }
    }
}

/// Writes the shortest decimal number that is read as the same double.
fn write_value(page: &mut String, value: f64) {
    let written = if value.is_infinite() {
        page.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value.fract() == 0.0 && value.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds")]
        let whole = value as i64;
        write!(page, "{whole}")
    } else {
        write!(page, "{value}")
    };
    written.expect("a String takes everything");
}

/// Below it every whole double is an exact `i64`, which is written ten times as fast.
const WHOLE: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests;
