//! Durations as plain numbers of seconds, for what scripts and people read.
//!
//! Fields that are written so carry the unit in their name, such as `age_seconds`. Milliseconds are
//! kept, finer parts are not.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::millis;

pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    number(*span).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    duration(f64::deserialize(from)?)
}

/// A duration that may be missing; then it is `null`.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, duration, number};

    #[expect(clippy::ref_option, reason = "serde calls it with the field")]
    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(number).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(from)?.map(duration).transpose()
    }
}

/// Milliseconds that may be below zero, and may be missing.
pub(crate) mod signed_millis {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it with the field")]
    #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years of milliseconds")]
    pub(crate) fn serialize<S: Serializer>(span: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        span.map(|millis| millis as f64 / 1000.0).serialize(to)
    }

    #[expect(clippy::cast_possible_truncation, reason = "`as` ends at the bounds of the type")]
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.map(|seconds| (seconds * 1000.0).round() as i64))
    }
}

/// Returns the seconds of `span`, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years of milliseconds")]
fn number(span: Duration) -> f64 {
    millis(span) as f64 / 1000.0
}

fn duration<E: serde::de::Error>(seconds: f64) -> Result<Duration, E> {
    let span = Duration::try_from_secs_f64(seconds).map_err(E::custom)?;
    // What was written as milliseconds is the same number of them again.
    let rounded = span.saturating_add(Duration::from_micros(500));
    Ok(Duration::from_millis(millis(rounded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Record {
        #[serde(rename = "age_seconds", with = "crate::seconds")]
        age: Duration,
        #[serde(rename = "left_seconds", with = "crate::seconds::option")]
        left: Option<Duration>,
        #[serde(rename = "margin_seconds", with = "crate::seconds::signed_millis")]
        margin: Option<i64>,
    }

    #[test]
    fn durations_are_plain_numbers_and_come_back() {
        let record = Record {
            age: Duration::from_millis(1250),
            left: Some(Duration::from_mins(30)),
            margin: Some(-1750),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(text, r#"{"age_seconds":1.25,"left_seconds":1800.0,"margin_seconds":-1.75}"#);
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn every_millisecond_comes_back_as_itself() {
        for millis in (0..200_000).step_by(7) {
            let text = number(Duration::from_millis(millis)).to_string();
            let back: Result<_, serde_json::Error> = duration(text.parse().unwrap());
            assert_eq!(back.unwrap(), Duration::from_millis(millis));
        }
    }

    #[test]
    fn what_is_missing_is_null_and_what_is_below_zero_is_refused() {
        let record = Record { age: Duration::ZERO, left: None, margin: None };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(text, r#"{"age_seconds":0.0,"left_seconds":null,"margin_seconds":null}"#);
        let below = r#"{"age_seconds":-1.0,"left_seconds":null,"margin_seconds":null}"#;
        assert!(serde_json::from_str::<Record>(below).is_err());
    }
}
