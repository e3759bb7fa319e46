//! The history of a host as a page for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::wrap::{WIDTH, wrapped};

/// The document of `/api/v1/history`, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Past {
    version: String,
    host: String,
    history: Extent,
    totals: Totals,
    outages: Vec<Outage>,
    shutdowns: Vec<Shutdown>,
    recoveries: Vec<Recovery>,
}

#[derive(Debug, Deserialize)]
struct Extent {
    since: Option<String>,
    failure: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Totals {
    outages: u64,
    on_battery_seconds: f64,
}

#[derive(Debug, Deserialize)]
struct Span {
    seconds: f64,
    measured_by: String,
}

#[derive(Debug, Deserialize)]
struct Outage {
    began: Option<String>,
    end: String,
    duration: Option<Span>,
    charge_percent: Charge,
    shutdown: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Charge {
    at_begin: Option<u8>,
    lowest: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct Shutdown {
    number: u64,
    state: String,
    reasons: Vec<Reason>,
    declared: Option<String>,
    hosts: BTreeMap<String, Other>,
    this_host: Option<Own>,
    duration: Option<Span>,
    margin_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    trigger: String,
    evidence: String,
}

#[derive(Debug, Deserialize)]
struct Other {
    released_after: Option<Span>,
    off_after: Option<Span>,
    is_lost: bool,
}

#[derive(Debug, Deserialize)]
struct Own {
    reached: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Recovery {
    number: Option<u64>,
    state: String,
    began: Option<String>,
    hosts: BTreeMap<String, Waking>,
    this_host: Option<Back>,
    duration: Option<Span>,
    missing: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Waking {
    took: Option<Span>,
    passed_by: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Back {
    away: Option<Span>,
}

/// Returns the page.
pub(super) fn page(past: &Past) -> String {
    let mut page = String::new();
    let since = past.history.since.as_deref().unwrap_or("its first line");
    put(&mut page, &format!("As {} saw it since {since} (curfew {})", past.host, past.version));
    let (outages, battery) = (past.totals.outages, plain(past.totals.on_battery_seconds));
    let plural = if outages == 1 { "" } else { "s" };
    put(&mut page, &format!("{outages} outage{plural}, {battery} on battery"));
    if let Some(failure) = &past.history.failure {
        row(&mut page, "", &format!("what was before could not be read: {failure}"));
    }
    for (kind, rows) in [
        ("outage", past.outages.iter().map(outage).collect::<Vec<_>>()),
        ("shutdown", past.shutdowns.iter().map(shutdown).collect()),
        ("recovery", past.recoveries.iter().map(recovery).collect()),
    ] {
        page.push('\n');
        if rows.is_empty() {
            row(&mut page, kind, "none");
        }
        for text in rows {
            row(&mut page, kind, &text);
        }
    }
    page
}

fn outage(outage: &Outage) -> String {
    let mut parts = vec![date(outage.began.as_deref())];
    parts.push(match (&outage.duration, outage.end.as_str()) {
        (Some(span), "found") => format!("back within {}", in_words(span)),
        (Some(span), _) => in_words(span),
        (None, "open") => "not over".to_owned(),
        (None, _) => "its end is not known".to_owned(),
    });
    if let Charge { at_begin: Some(begin), lowest: Some(lowest) } = outage.charge_percent {
        parts.push(format!("charge {begin} to {lowest} %"));
    }
    parts.extend(outage.shutdown.map(|number| format!("shutdown {number}")));
    parts.join(", ")
}

fn shutdown(shutdown: &Shutdown) -> String {
    let Shutdown { number, state, .. } = shutdown;
    let mut parts = vec![format!("{number}, {}, {state}", date(shutdown.declared.as_deref()))];
    for reason in &shutdown.reasons {
        parts.push(format!("{}: {}", reason.trigger, reason.evidence));
    }
    for (host, other) in &shutdown.hosts {
        let (word, span) = match (&other.off_after, &other.released_after) {
            (Some(off), _) => ("off", Some(off)),
            (None, Some(released)) => ("released", Some(released)),
            (None, None) if other.is_lost => ("lost", None),
            (None, None) => continue,
        };
        let after = span.map_or(String::new(), |span| format!(" after {}", in_words(span)));
        parts.push(format!("{host} {word}{after}"));
    }
    let reached = shutdown.this_host.as_ref().and_then(|own| own.reached.as_deref());
    if let (Some(reached), Some(span)) = (reached, &shutdown.duration) {
        parts.push(format!("this host {reached} after {}", in_words(span)));
    }
    parts.extend(shutdown.margin_seconds.map(|margin| {
        let word = if margin < 0.0 { "too late" } else { "to spare" };
        format!("{} {word}", plain(margin.abs()))
    }));
    parts.join("; ")
}

fn recovery(recovery: &Recovery) -> String {
    let number = recovery.number.map(|number| number.to_string());
    let number = number.as_deref().unwrap_or("of no shutdown");
    let after = recovery.duration.as_ref();
    let after = after.map_or(String::new(), |span| format!(" after {}", in_words(span)));
    let (began, state) = (date(recovery.began.as_deref()), &recovery.state);
    let mut parts = vec![format!("{number}, {began}, {state}{after}")];
    if let Some(away) = recovery.this_host.as_ref().and_then(|own| own.away.as_ref()) {
        parts.push(format!("this host was away for {}", in_words(away)));
    }
    for (host, waking) in &recovery.hosts {
        if let Some(span) = &waking.took {
            parts.push(format!("{host} was ready {} after its first packet", in_words(span)));
        } else if let Some(why) = &waking.passed_by {
            parts.push(format!("{host} was passed by ({why})"));
        }
    }
    if !recovery.missing.is_empty() {
        parts.push(format!("missing: {}", recovery.missing.join(", ")));
    }
    parts.join("; ")
}

fn date(date: Option<&str>) -> String {
    date.unwrap_or("at an unknown date").to_owned()
}

/// A span by dates is no better than its clocks.
fn in_words(span: &Span) -> String {
    let about = if span.measured_by == "boot" { "" } else { "about " };
    format!("{about}{}", plain(span.seconds))
}

fn plain(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).floor();
    if minutes < 60.0 {
        return format!("{minutes:.0} min {:.0} s", (seconds - minutes * 60.0).floor());
    }
    let hours = (minutes / 60.0).floor();
    format!("{hours:.0} h {:.0} min", minutes - hours * 60.0)
}

fn row(page: &mut String, name: &str, text: &str) {
    let mut name = name;
    for line in wrapped(text, WIDTH - ROW) {
        put(page, &format!("{name:<ROW$}{line}"));
        name = "";
    }
}

fn put(page: &mut String, line: &str) {
    writeln!(page, "{}", line.trim_end()).expect("a string takes all that is written to it");
}

/// Where the text of a row begins.
const ROW: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past;
    use crate::past::tests::example;

    fn shown(past: &past::Past) -> String {
        let document = serde_json::to_vec(&past.document(9)).unwrap();
        page(&serde_json::from_slice(&document).unwrap())
    }

    #[test]
    fn an_outage_reads_well_on_a_narrow_terminal() {
        let page = shown(&example());
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "As nfs saw it since 1970-01-01T00:03:44Z",
            "1 outage, 13.2 s on battery",
            "outage 1970-01-01T00:03:44Z, 13.2 s, charge 98 to 40 %, shutdown 1",
            "computed: 20 s left",
            "k8s-1 off after 3.8 s",
            "this host holding after 2.8 s; 17.2 s to spare",
            "ended after 15.5 s; this host was away for about 5.0 s",
            "k8s-1 was ready 1.5 s after its first packet; k8s-2 was passed by (not-ready)",
            "missing: k8s-2",
        ] {
            assert!(text.contains(part), "{part} in\n{page}");
        }
    }

    #[test]
    fn a_host_without_a_past_says_so() {
        let page = shown(&past::Past::new("nfs".into()));
        for kind in ["outage", "shutdown", "recovery"] {
            assert!(page.contains(&format!("{kind:<10}none")), "{page}");
        }
    }

    #[test]
    fn spans_are_said_as_people_do() {
        assert_eq!(plain(59.94), "59.9 s");
        assert_eq!(plain(61.0), "1 min 1 s");
        assert_eq!(plain(7260.0), "2 h 1 min");
    }
}
