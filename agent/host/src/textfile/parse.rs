//! The text format of Prometheus, as far as people write it into files.

use std::collections::{HashMap, HashSet};

use crate::sample::Kind;
use crate::text::is_name;

/// What a file says of one family.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: Option<String>,
    /// What follows the name of the family up to the value, and the value.
    pub(super) series: Vec<(String, f64)>,
    has_kind: bool,
}

/// Why a file is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    /// The number of its first wrong line.
    Line(usize),
    /// It has more series than there is room for.
    TooMany,
}

/// Returns the parts of a file, which has at most so many series.
pub(super) fn parts(text: &str, most: usize) -> Result<Vec<Part>, Wrong> {
    let mut reading = Reading::default();
    for (number, line) in (1_usize..).zip(text.lines()) {
        let line = line.trim_matches([' ', '\t', '\r']);
        if let Some(comment) = line.strip_prefix('#') {
            reading.take_comment(comment).ok_or(Wrong::Line(number))?;
        } else if !line.is_empty() {
            reading.take_sample(line).ok_or(Wrong::Line(number))?;
            if reading.seen.len() > most {
                return Err(Wrong::TooMany);
            }
        }
    }
    let mut parts = reading.found;
    parts.retain(|part| !part.series.is_empty());
    Ok(parts)
}

/// What was read until now.
#[derive(Debug, Default)]
struct Reading {
    found: Vec<Part>,
    /// Where each family is among them.
    places: HashMap<String, usize>,
    /// All series, by the place of their family.
    seen: HashSet<(usize, String)>,
}

impl Reading {
    fn take_comment(&mut self, comment: &str) -> Option<()> {
        let (word, rest) = cut(comment.trim_start_matches(BLANKS));
        let (name, text) = cut(rest);
        match word {
            "HELP" => {
                let place = self.place(name)?;
                let part = self.found.get_mut(place)?;
                if part.help.replace(unescape(text)?).is_some() {
                    return None;
                }
            }
            "TYPE" => {
                let place = self.place(name)?;
                let part = self.found.get_mut(place)?;
                // It must be known before the first sample, and there is but one.
                if part.has_kind || !part.series.is_empty() {
                    return None;
                }
                part.kind = KINDS.iter().find(|kind| kind.as_str() == text).copied()?;
                part.has_kind = true;
            }
            _ => {}
        }
        Some(())
    }

    fn take_sample(&mut self, line: &str) -> Option<()> {
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (name, rest) = line.split_at_checked(end.unwrap_or(line.len()))?;
        let rest = rest.trim_start_matches(BLANKS);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        // More than the value would be a time, which a file must not have.
        let value: f64 = rest.trim_matches(BLANKS).parse().ok()?;
        let (family, suffix) = self.family_of(name);
        let shown = show(suffix, &labels);
        let place = self.place(family)?;
        let part = self.found.get_mut(place)?;
        let has = |label| labels.iter().any(|(name, _)| name == label);
        let is_part = match (part.kind, suffix) {
            (Kind::Histogram, "_bucket") => has("le"),
            (Kind::Histogram, "") => false,
            (Kind::Summary, "") => has("quantile"),
            _ => true,
        };
        if !is_part || !self.seen.insert((place, shown.clone())) {
            return None;
        }
        part.series.push((shown, value));
        Some(())
    }

    /// Returns the family of a sample: `x_sum` is of `x`, if that is a histogram or a summary.
    fn family_of<'a>(&self, name: &'a str) -> (&'a str, &'a str) {
        for suffix in ["_bucket", "_sum", "_count"] {
            let Some(family) = name.strip_suffix(suffix) else { continue };
            let place = self.places.get(family);
            let has_it = place.and_then(|at| self.found.get(*at)).is_some_and(|it| match it.kind {
                Kind::Histogram => true,
                Kind::Summary => suffix != "_bucket",
                Kind::Gauge | Kind::Counter | Kind::Untyped => false,
            });
            if has_it {
                return (family, suffix);
            }
        }
        (name, "")
    }

    /// Returns the place of a family, new if need be.
    fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        if !is_name(name) {
            return None;
        }
        let (place, kind) = (self.found.len(), Kind::Untyped);
        let (name, series) = (name.to_owned(), Vec::new());
        self.places.insert(name.clone(), place);
        self.found.push(Part { name, kind, help: None, series, has_kind: false });
        Some(place)
    }
}

/// Reads `a="b",c="d"}`; returns the labels, sorted, and what follows.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start_matches(BLANKS);
        if let Some(after) = rest.strip_prefix('}') {
            labels.sort_unstable();
            let is_twice = labels.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0));
            return (!is_twice).then_some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_end_matches(BLANKS);
        if !is_name(name) || name.contains(':') {
            return None;
        }
        let (value, after) = quoted(after.trim_start_matches(BLANKS))?;
        labels.push((name.to_owned(), value));
        rest = after.trim_start_matches(BLANKS);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// Reads a value in quotes; returns it and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inner.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    let (value, rest) = inner.split_at_checked(end)?;
    Some((unescape(value)?, rest.strip_prefix('"')?))
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

fn show(suffix: &str, labels: &[(String, String)]) -> String {
    let mut text = suffix.to_owned();
    let mut before = '{';
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(before);
        text.push_str(name);
        text.push_str("=\"");
        text.push_str(&value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    text
}

/// Cuts off the first word.
fn cut(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BLANKS).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANKS))
}

const BLANKS: [char; 2] = [' ', '\t'];
const KINDS: [Kind; 5] =
    [Kind::Gauge, Kind::Counter, Kind::Untyped, Kind::Histogram, Kind::Summary];

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Vec<Part>, Wrong> {
        super::parts(text, 100)
    }

    fn series(text: &str) -> Vec<(String, f64)> {
        let parts = parts(text).unwrap();
        parts
            .into_iter()
            .flat_map(|part| {
                let name = part.name;
                part.series.into_iter().map(move |(rest, value)| (format!("{name}{rest}"), value))
            })
            .collect()
    }

    #[test]
    fn samples_are_read_however_they_are_spaced() {
        let text = "\n# a comment\n  a\t1\r\nb { y = \"2\" , x=\"a\\\"\\\\\\n\", } +Inf\nc{} 1e3";
        let expected = [
            ("a".to_owned(), 1.0),
            ("b{x=\"a\\\"\\\\\\n\",y=\"2\"}".to_owned(), f64::INFINITY),
            ("c".to_owned(), 1000.0),
        ];
        assert_eq!(series(text), expected);
    }

    #[test]
    fn the_parts_of_a_histogram_stay_together() {
        let text = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\nh_other 1\n";
        let parts = parts(text).unwrap();
        assert_eq!(parts.len(), 2);
        let first = parts.first().unwrap();
        assert_eq!(
            (first.name.as_str(), first.kind, first.series.len()),
            ("h", Kind::Histogram, 3)
        );
        assert_eq!(first.series.first().unwrap().0, "_bucket{le=\"+Inf\"}");
    }

    #[test]
    fn what_is_wrong_is_told_by_line() {
        for wrong in [
            "a",
            "a b",
            "a 1 2",
            "1a 1",
            "a{b=c} 1",
            "a{b=\"c\" 1",
            "a{b=\"c\\x\"} 1",
            "a{b=\"c\",b=\"d\"} 1",
            "a{b:c=\"d\"} 1",
            "# TYPE a nonsense",
            "a 1\n# TYPE a gauge",
            "# HELP a b\n# HELP a b",
            "a 1\na 2",
            "# TYPE a histogram\na 1",
            "# TYPE a histogram\na_bucket 1",
            "# TYPE a summary\na 1",
        ] {
            let text = format!("fine 1\n{wrong}\n");
            let line = 1 + wrong.lines().count();
            assert_eq!(parts(&text), Err(Wrong::Line(line)), "{wrong}");
        }
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        assert_eq!(super::parts("a 1\nb 1\n", 2).map(|parts| parts.len()), Ok(2));
        assert_eq!(super::parts("a 1\nb 1\nc 1\n", 2), Err(Wrong::TooMany));
    }

    #[test]
    fn nothing_makes_it_panic_and_what_it_shows_it_can_read() {
        let line =
            "(# (HELP|TYPE) )?[a:]{1,2}(_sum|\\{[ab\"=\\\\n,} ]{0,9})?( |\t)([0-9.]{1,3}|gauge)";
        proptest::proptest!(|(text: String, lines in proptest::collection::vec(line, 0..6))| {
            for text in [text, lines.join("\n")] {
                let Ok(parts) = parts(&text) else { continue };
                for part in parts {
                    for (rest, value) in &part.series {
                        let again = format!("{}{rest} {value}", part.name);
                        assert!(self::parts(&again).is_ok(), "{again}");
                    }
                }
            }
        });
    }
}
