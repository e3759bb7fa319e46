//! Spans of time as people write them: `250ms`, `2.5s`, `1m30s`, `2h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// No story is longer: what a world adds up stays far from the end of its numbers.
const LONGEST: Duration = Duration::from_hours(10_000);
/// Nanoseconds of each unit, the longest first.
const UNITS: [(&str, u128); 4] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)];

/// Milliseconds.
pub(crate) mod millis {
    use super::{Deserializer, Duration, Serializer, parsed, text};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with the field")]
    pub(crate) fn serialize<S: Serializer>(span: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(Duration::from_millis(*span)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let span = parsed(from)?;
        Ok(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Milliseconds that may be missing; then they are `null`.
pub(crate) mod some_millis {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, text};

    #[expect(clippy::ref_option, reason = "serde calls it with the field")]
    pub(crate) fn serialize<S: Serializer>(span: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => to.serialize_some(&text(Duration::from_millis(*span))),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let span = parse(&text).map_err(serde::de::Error::custom)?;
        Ok(Some(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A list of milliseconds.
pub(crate) mod list_of_millis {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, text};

    pub(crate) fn serialize<S: Serializer>(spans: &[u64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(spans.iter().map(|span| text(Duration::from_millis(*span))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
        let spans = Vec::<String>::deserialize(from)?;
        let millis = |text: &String| {
            let span = parse(text).map_err(serde::de::Error::custom)?;
            Ok(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
        };
        spans.iter().map(millis).collect()
    }
}

/// A duration.
pub(crate) mod duration {
    use super::{Deserializer, Duration, Serializer, parsed, text};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parsed(from)
    }
}

/// A duration that may be missing; then it is `null`.
pub(crate) mod some_duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, text};

    #[expect(clippy::ref_option, reason = "serde calls it with the field")]
    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => to.serialize_some(&text(*span)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

fn parsed<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// Writes a span in as few words as hold all of it.
pub(crate) fn text(span: Duration) -> String {
    let mut left = span.as_nanos();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit) in UNITS {
        let is_rest = (name == "s" && left >= unit) || name == "ms";
        let (whole, rest) = (left / unit, left % unit);
        if is_rest && left > 0 {
            let digits = if name == "s" { 9 } else { 6 };
            let fraction = format!("{rest:0digits$}");
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            return format!("{text}{whole}{point}{fraction}{name}");
        }
        if whole > 0 {
            text = format!("{text}{whole}{name}");
            left = rest;
        }
    }
    text
}

/// Reads a span; the error is a sentence that says how one is written.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no span of time: write it like `250ms`, `2.5s`, `1m30s` or `2h`");
    let mut nanos: u128 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let (_, unit) = UNITS.into_iter().find(|(unit, _)| *unit == name).ok_or_else(wrong)?;
        nanos += nanos_of(number, unit).ok_or_else(wrong)?;
        rest = after;
    }
    let span = u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos);
    if span > LONGEST {
        return Err(format!("`{text}` is longer than any story: at most 10000h can be told"));
    }
    Ok(span)
}

fn nanos_of(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // No number that a story can hold has more digits.
    let is_cut = number.ends_with('.');
    if is_cut || whole.is_empty() || whole.len() > 15 || fraction.len() > 9 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole * unit + parts * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_write_them() {
        let cases = [
            (0, "0s"),
            (5, "5ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (2_500, "2.5s"),
            (60_000, "1m"),
            (60_020, "1m20ms"),
            (90_500, "1m30.5s"),
            (3_600_000, "1h"),
            (7_201_001, "2h1.001s"),
        ];
        for (millis, written) in cases {
            assert_eq!(text(Duration::from_millis(millis)), written);
            assert_eq!(parse(written), Ok(Duration::from_millis(millis)));
        }
        assert_eq!(text(Duration::new(1, 1)), "1.000000001s");
        assert_eq!(text(Duration::from_nanos(1)), "0.000001ms");
    }

    #[test]
    fn every_span_is_read_as_it_was_written() {
        let mut chance = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let bits = chance.u32(0..55);
            let span = Duration::from_nanos(chance.u64(0..1 << bits));
            assert_eq!(parse(&text(span)), Ok(span), "{span:?}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused_with_a_sentence() {
        for wrong in
            ["", "5", "s", "5x", "1.s", "-1s", "1..5s", ".5s", "1 s", "10001h", "9999999999999999s"]
        {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.starts_with(&format!("`{wrong}` is ")), "{error}");
        }
    }
}
