//! The text that Prometheus reads.

use std::collections::HashSet;
use std::fmt::Write;

use crate::runner::Collected;
use crate::sample::{Family, Found, Samples};

/// Appends everything that was collected to the page, by name of the family; and of each collector
/// how long it took and whether it has answered.
pub fn render(collected: &Collected, page: &mut String) {
    let mut about = Samples::default();
    for outcome in &collected.outcomes {
        about.set(&DURATION, &[outcome.collector], outcome.took.as_secs_f64());
        about.set(&SUCCESS, &[outcome.collector], crate::text::one_if(outcome.result.is_ok()));
    }
    let all = collected.outcomes.iter().map(|outcome| &outcome.samples).chain([&about]);
    let mut families: Vec<_> = all.flat_map(Samples::families).collect();
    // Stable: who collects first has a name before the text files.
    families.sort_by_key(Found::name);
    let (mut previous, mut shown) = ("", HashSet::new());
    for family in families {
        // A family twice would make the page invalid.
        if family.name() != previous {
            write_family(&family, &mut shown, page);
        }
        previous = family.name();
    }
}

fn write_family<'a>(family: &Found<'a>, shown: &mut HashSet<&'a str>, page: &mut String) {
    shown.clear();
    let name = family.name();
    page.push_str("# HELP ");
    page.push_str(name);
    page.push(' ');
    write_help(page, family.help());
    page.push_str("\n# TYPE ");
    page.push_str(name);
    page.push(' ');
    page.push_str(family.kind().as_str());
    page.push('\n');
    for (labels, value) in family.series() {
        // So would a series, which a file with a line twice could bring.
        if !shown.insert(labels) {
            continue;
        }
        page.push_str(name);
        page.push_str(labels);
        page.push(' ');
        write_value(page, value);
        page.push('\n');
    }
}

fn write_help(page: &mut String, help: &str) {
    if !help.contains(['\\', '\n']) {
        page.push_str(help);
        return;
    }
    for character in help.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '\n' => page.push_str("\\n"),
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

pub(crate) const DURATION: Family = Family::gauge(
    "node_scrape_collector_duration_seconds",
    &["collector"],
    "How long the collector took.",
);
pub(crate) const SUCCESS: Family = Family::gauge(
    "node_scrape_collector_success",
    &["collector"],
    "1 if the collector found all that it looks for, 0 if it failed, hangs or has nothing here.",
);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::read::CollectError;
    use crate::runner::Outcome;
    use crate::sample::Kind;

    fn outcome(collector: &'static str, samples: Samples) -> Outcome {
        Outcome { collector, took: Duration::from_millis(2), result: Ok(()), samples }
    }

    #[test]
    fn the_page_is_in_order_and_names_no_family_twice() {
        let (mut one, mut other) = (Samples::default(), Samples::default());
        one.named("b", Kind::Untyped, "Two\nlines.", &[("x", "1")], 0.5);
        one.named("a", Kind::Gauge, "First.", &[], 3.0);
        one.named("b", Kind::Untyped, "", &[("x", "2")], f64::INFINITY);
        one.named("b", Kind::Untyped, "", &[("x", "1")], 7.0);
        other.named("a", Kind::Counter, "Also a.", &[], 4.0);
        let mut collected =
            Collected { outcomes: vec![outcome("one", one), outcome("two", other)] };
        if let Some(outcome) = collected.outcomes.last_mut() {
            outcome.result = Err(CollectError::Outstanding);
        }
        let mut page = String::from("before 1\n");
        render(&collected, &mut page);
        let expected = "before 1\n\
            # HELP a First.\n# TYPE a gauge\na 3\n\
            # HELP b Two\\nlines.\n# TYPE b untyped\nb{x=\"1\"} 0.5\nb{x=\"2\"} +Inf\n";
        assert!(page.starts_with(expected), "{page}");
        assert!(page.contains("collector_success{collector=\"one\"} 1\n"), "{page}");
        assert!(page.contains("collector_success{collector=\"two\"} 0\n"), "{page}");
        assert!(page.contains("duration_seconds{collector=\"two\"} 0.002\n"), "{page}");
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        for (value, text) in [
            (0.0, "0"),
            (-1.0, "-1"),
            (1_795_370_446.763_787, "1795370446.763787"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
            (18_446_744_073_709_551_615.0, "18446744073709552000"),
        ] {
            let mut page = String::new();
            write_value(&mut page, value);
            assert_eq!(page, text);
        }
    }
}
