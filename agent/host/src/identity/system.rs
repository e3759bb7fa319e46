//! Which system runs on this host: `/etc/os-release`.

use std::collections::BTreeMap;

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{number, signed};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    for file in ["etc/os-release", "usr/lib/os-release"] {
        match reader.document(&roots.root, file) {
            Ok(text) => {
                show(&assignments(text.as_str()), samples);
                return Ok(());
            }
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(CollectError::Absent { what: "os-release" })
}

fn show(assignments: &BTreeMap<&str, String>, samples: &mut Samples) {
    let value = |key: &str| assignments.get(key).map_or("", String::as_str);
    let values = KEYS.map(value);
    samples.set(&INFO, &values, 1.0);
    if let Some(version) = version(value("VERSION_ID")) {
        let values = [value("ID"), value("ID_LIKE"), value("NAME")];
        samples.set(&VERSION, &values, version);
    }
    if let Some(end) = date(value("SUPPORT_END")) {
        samples.set(&SUPPORT_END, &[], end);
    }
}

/// Reads the lines `KEY=value`, as a shell would: quotes go, and a backslash in front of a sign.
fn assignments(text: &str) -> BTreeMap<&str, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), unquoted(value.trim())))
        .collect()
}

fn unquoted(value: &str) -> String {
    if let Some(literal) = value.strip_prefix('\'') {
        return literal.strip_suffix('\'').unwrap_or(literal).to_owned();
    }
    let inner =
        value.strip_prefix('"').map_or(value, |rest| rest.strip_suffix('"').unwrap_or(rest));
    let mut text = String::with_capacity(inner.len());
    let mut is_escaped = false;
    for character in inner.chars() {
        if character == '\\' && !is_escaped {
            is_escaped = true;
            continue;
        }
        is_escaped = false;
        text.push(character);
    }
    text
}

/// Returns the first two numbers of `22.04.1`.
fn version(id: &str) -> Option<f64> {
    let is_digit = |c: char| c.is_ascii_digit();
    let major = id.len() - id.trim_start_matches(is_digit).len();
    let (major, rest) = id.split_at_checked(major).filter(|(major, _)| !major.is_empty())?;
    let minor = rest.strip_prefix('.').map_or("", |rest| {
        rest.split_once(|c: char| !c.is_ascii_digit()).map_or(rest, |(minor, _)| minor)
    });
    number(&format!("{major}.{minor}")).filter(|version| *version > 0.0)
}

/// Returns the seconds from 1970 to the beginning of a day like `2026-06-10`.
fn date(text: &str) -> Option<f64> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leaps + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970;
    Some(signed(days * 86_400))
}

/// From the first of March of the year 0.
const DAYS_TO_1970: i64 = 719_468;
/// In the order of the labels.
const KEYS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];
const INFO: Family = Family::gauge(
    "node_os_info",
    &[
        "build_id",
        "id",
        "id_like",
        "image_id",
        "image_version",
        "name",
        "pretty_name",
        "variant",
        "variant_id",
        "version",
        "version_codename",
        "version_id",
    ],
    "Always 1; what the system is are labels.",
);
const VERSION: Family = Family::gauge(
    "node_os_version",
    &["id", "id_like", "name"],
    "The first two numbers of the system's version.",
);
const SUPPORT_END: Family = Family::gauge(
    "node_os_support_end_timestamp_seconds",
    &[],
    "When the support of the system ends.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn quotes_are_no_part_of_a_value() {
        let text = "# NAME=no\nNAME=\"Debian \\\"GNU\\\"\"\nID=debian\nVERSION_ID='12'\n\
                    SUPPORT_END=2028-06-30\n";
        let tree = Tree::new(&[("root/usr/lib/os-release", text)]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        let version = "node_os_version{id=\"debian\",id_like=\"\",name=\"Debian \\\"GNU\\\"\"}";
        assert_eq!(samples.value(version), Some(12.0));
        let end = samples.value("node_os_support_end_timestamp_seconds");
        assert_eq!(end, Some(1_845_936_000.0));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }

    #[test]
    fn versions_and_dates_that_are_none_have_no_series() {
        assert_eq!(version("20.04.3"), Some(20.04));
        assert_eq!((version("v1.10"), version(""), version("sid")), (None, None, None));
        assert_eq!(date("1970-01-02"), Some(86_400.0));
        assert_eq!((date("2026-13-01"), date("soon"), date("2026-1")), (None, None, None));
    }
}
