//! Pages of made-up families, in both forms.

use std::time::Duration;

use super::*;
use crate::read::CollectError;
use crate::runner::{Collected, Outcome};

fn outcome(collector: &'static str, samples: Samples) -> Outcome {
    Outcome { collector, took: Duration::from_millis(2), result: Ok(()), samples, flaw: None }
}

fn page(sources: &[&Samples], format: Format) -> String {
    let mut page = String::new();
    render(sources.iter().copied(), format, &mut page);
    page
}

fn series<const N: usize>(parts: [(&str, f64); N]) -> Vec<(String, f64)> {
    parts.map(|(rest, value)| (rest.to_owned(), value)).to_vec()
}

#[test]
fn the_page_is_in_order_and_names_no_family_twice() {
    let (mut one, mut other) = (Samples::default(), Samples::default());
    one.named("b", Kind::Untyped, "Two\nlines.", &[("x", "1")], 0.5);
    one.named("a", Kind::Gauge, "First.", &[], 3.0);
    one.named("b", Kind::Untyped, "", &[("x", "2")], f64::INFINITY);
    one.named("b", Kind::Untyped, "", &[("x", "1")], 7.0);
    other.named("a", Kind::Counter, "Also a.", &[], 4.0);
    other.named("b", Kind::Untyped, "The same.", &[("x", "3")], 1.0);
    other.named("b", Kind::Untyped, "The same.", &[("x", "2")], 1.0);
    other.verbatim("c", Kind::Gauge, "", &series([("", 1.0)]));
    let mut file = Samples::default();
    file.verbatim("b", Kind::Untyped, "", &series([("{x=\"4\"}", 1.0)]));
    file.verbatim("a", Kind::Gauge, "", &series([("", 5.0)]));
    let expected = "# HELP a First.\n# TYPE a gauge\na 3\n\
        # HELP b Two\\nlines.\n# TYPE b untyped\n\
        b{x=\"1\"} 0.5\nb{x=\"2\"} +Inf\nb{x=\"3\"} 1\n\
        # HELP c \n# TYPE c gauge\nc 1\n";
    assert_eq!(page(&[&one, &other, &file], Format::Text), expected);
}

#[test]
fn each_collector_is_told_of() {
    let mut outcomes = vec![outcome("one", Samples::default()), outcome("two", Samples::default())];
    if let Some(outcome) = outcomes.last_mut() {
        outcome.result = Err(CollectError::Outstanding);
    }
    let collected = Collected::new(outcomes);
    let mut page = String::from("before 1\n");
    render(collected.samples(), Format::Text, &mut page);
    assert!(page.starts_with("before 1\n# HELP node_scrape_collector_duration"), "{page}");
    assert!(page.contains("collector_success{collector=\"one\"} 1\n"), "{page}");
    assert!(page.contains("collector_success{collector=\"two\"} 0\n"), "{page}");
    assert!(page.contains("duration_seconds{collector=\"two\"} 0.002\n"), "{page}");
}

#[test]
fn open_metrics_says_the_same_of_the_same_series() {
    let mut samples = Samples::default();
    samples.named("a_total", Kind::Counter, "A \"quoted\\one\".", &[("x", "1\"\n\\")], 3.0);
    samples.named("b", Kind::Counter, "Without the end.", &[], 2.0);
    samples.named("c", Kind::Gauge, "It has the short name.", &[], 1.0);
    samples.named("c_total", Kind::Counter, "So this cannot.", &[], 1.5);
    samples.named("d", Kind::Untyped, "Says nothing.", &[], -1.0);
    samples.named("e_total", Kind::Counter, "Goes below.", &[], -1.0);
    samples.named("f_total", Kind::Counter, "Is none.", &[], f64::NAN);
    samples.named("g_info", Kind::Gauge, "Info.", &[("a", "b")], 1.0);
    let parts = series([
        ("_bucket{le=\"0.5\"}", 1.0),
        ("_bucket{le=\"+Inf\"}", 2.0),
        ("_sum", 3.5),
        ("_count", 2.0),
    ]);
    samples.verbatim("h", Kind::Histogram, "Histogram.", &parts);
    let parts = series([("{quantile=\"0.5\"}", 1.0), ("_sum", 1.0), ("_count", 1.0)]);
    samples.verbatim("s", Kind::Summary, "Summary.", &parts);
    samples.named("_total", Kind::Counter, "Nothing is left of it.", &[], 1.0);
    let expected = "\
# HELP _total Nothing is left of it.\n# TYPE _total unknown\n_total 1\n\
# HELP a A \\\"quoted\\\\one\\\".\n# TYPE a counter\na_total{x=\"1\\\"\\n\\\\\"} 3\n\
# HELP b Without the end.\n# TYPE b unknown\nb 2\n\
# HELP c It has the short name.\n# TYPE c gauge\nc 1\n\
# HELP c_total So this cannot.\n# TYPE c_total unknown\nc_total 1.5\n\
# HELP d Says nothing.\n# TYPE d unknown\nd -1\n\
# HELP e_total Goes below.\n# TYPE e_total unknown\ne_total -1\n\
# HELP f_total Is none.\n# TYPE f_total unknown\nf_total NaN\n\
# HELP g_info Info.\n# TYPE g_info gauge\ng_info{a=\"b\"} 1\n\
# HELP h Histogram.\n# TYPE h histogram\n\
h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3.5\nh_count 2\n\
# HELP s Summary.\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n\
# EOF\n";
    let open_metrics = page(&[&samples], Format::OpenMetrics);
    assert_eq!(open_metrics, expected);
    let text = page(&[&samples], Format::Text);
    let series = |page: &str| -> Vec<String> {
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(series(&text), series(&open_metrics));
    assert!(
        text.contains("# HELP a_total A \"quoted\\\\one\".\n# TYPE a_total counter\n"),
        "{text}"
    );
    assert!(!text.contains("EOF"), "{text}");
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
