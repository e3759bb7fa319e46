//! The status of an agent as a page for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use curfew_coordinator::{
    Absence, HostName, HostStatus, Line, Presence, ShutdownStatus, Standing, Status, UpsStatus,
};

use crate::ask::Answer;
use crate::health::UNKNOWN;
use crate::health::holding::{NFS_MOUNTS, PODS};
use crate::wrap;

/// Returns the page.
pub(super) fn page(answer: &Answer) -> String {
    let status = &answer.status;
    let mut page = String::new();
    let version = &answer.version;
    let age = span(Duration::try_from_secs_f64(answer.age_seconds).unwrap_or_default());
    put(&mut page, format_args!("As {} sees it, {age} ago (curfew {version})\n", status.host));
    hosts(&mut page, status);
    page.push('\n');
    row(&mut page, "UPS", &ups(&status.ups));
    if let Some(end) = answer.health.checks.iter().find(|check| check.name == "ups-end") {
        row(&mut page, "the end", &end.reason);
    }
    if let Some(talos) = &answer.talos {
        row(&mut page, "Talos", &talos.sentence());
    }
    row(&mut page, "plan", &plan(status));
    row(&mut page, "shutdown", &shutdown(status));
    let of = |name: &str| answer.health.checks.iter().find(|check| check.name == name);
    // Neither is there on an agent of an older version, nor before the first look.
    if let Some(mounts) = of(NFS_MOUNTS) {
        let pods = of(PODS).map(|pods| format!("; {}", pods.reason)).unwrap_or_default();
        row(&mut page, "mounts", &format!("NFS: {}{pods}", mounts.reason));
    }
    if let Some(failure) = &status.journal_failure {
        row(&mut page, "journal", &format!("NOT DURABLE: {failure}"));
    }
    row(&mut page, "health", &answer.health.state);
    let mut found: Vec<_> = answer.health.checks.iter().filter(|it| it.state != "pass").collect();
    found.sort_by_key(|check| gravity(&check.state));
    for check in found {
        let remedy = check.remedy.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        let is_unknown = check.state == "unknown";
        let word = if is_unknown { "?" } else { check.state.as_str() };
        // Such a reason begins with the word for the state.
        let reason = check.reason.strip_prefix(UNKNOWN).filter(|_| is_unknown);
        let reason = reason.unwrap_or(&check.reason);
        let text = format!("{}: {reason}{remedy}", check.name);
        row(&mut page, &format!("  {word}"), &text);
    }
    for warning in &status.warnings {
        row(&mut page, "warning", warning);
    }
    page
}

fn hosts(page: &mut String, status: &Status) {
    let longest = status.hosts.keys().map(|name| name.as_str().len()).max().unwrap_or_default();
    let width = longest.max("host".len());
    put(page, format_args!("\n{:<width$}  {:<8}  {:<9}  heard\n", "host", "phase", "presence"));
    for (name, host) in &status.hosts {
        let is_self = *name == status.host;
        let phase = host.phase.map_or("-", curfew_coordinator::Phase::as_str);
        let presence = if is_self { "itself" } else { presence(host.presence) };
        let heard = match host.heard {
            _ if is_self => "-".to_owned(),
            Some(ago) => format!("{} ago", span(ago)),
            None => "never".to_owned(),
        };
        let head = format!("{:<width$}  {phase:<8}  {presence:<9}  {heard:<11}  ", name.as_str());
        let indent = head.chars().count();
        wrap::put(page, &head, indent, &remarks(status, name, host).join("; "));
    }
}

fn remarks(status: &Status, name: &HostName, host: &HostStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    if *name == status.owner {
        remarks.push("owns the UPS".to_owned());
    }
    if *name == status.host && status.is_conducting {
        remarks.push("conducts the recovery".to_owned());
    }
    if *name == status.host && status.is_paused {
        remarks.push("waits, since it reads mains".to_owned());
    }
    let is_declared =
        status.shutdown.as_ref().is_some_and(|open| open.standing == Standing::Declared);
    if !host.waiting_for.is_empty() && !is_declared {
        let names: Vec<&str> = host.waiting_for.iter().map(HostName::as_str).collect();
        remarks.push(format!("waits for {}", names.join(", ")));
    }
    match host.absence {
        Some(Absence::WithoutAgent) => remarks.push("RUNS WITHOUT ITS AGENT".to_owned()),
        Some(Absence::NoMachine) => remarks.push("its machine does not answer".to_owned()),
        None => {}
    }
    if host.has_other_file {
        remarks.push("HAS ANOTHER CLUSTER FILE".to_owned());
    }
    remarks
}

const fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Unknown => "unknown",
        Presence::Connected => "connected",
        Presence::Silent => "silent",
        Presence::Lost => "lost",
        Presence::Off => "off",
    }
}

fn ups(ups: &UpsStatus) -> String {
    let mut text = format!("{}: ", ups.name);
    match ups.line {
        Line::Mains => text.push_str("on mains"),
        Line::Battery => {
            text.push_str("ON BATTERY");
            if let Some(since) = ups.on_battery_for {
                put(&mut text, format_args!(" for {}", span(since)));
            }
        }
        Line::Unknown => text.push_str("UNKNOWN, no fresh reading"),
    }
    if ups.is_low {
        text.push_str(", LOW");
    }
    if let Some(charge) = ups.charge {
        put(&mut text, format_args!(", charge {charge} %"));
    }
    if let Some(left) = ups.runtime_left {
        put(&mut text, format_args!(", {} left", span(left)));
    }
    if let Some(age) = ups.age {
        put(&mut text, format_args!(", read {} ago", span(age)));
    }
    if let Some(why) = &ups.missed {
        put(&mut text, format_args!(" ({why})"));
    }
    text
}

fn plan(status: &Status) -> String {
    let plan = &status.plan;
    let needed = format!("a shutdown takes {}", span(plan.time_needed));
    match plan.margin_millis {
        None => format!("{needed}; the margin is not known without a credible runtime"),
        Some(margin) => {
            let size = span(Duration::from_millis(margin.unsigned_abs()));
            if margin < 0 {
                format!("{needed}; the battery has {size} LESS than that and the reserve")
            } else {
                format!("{needed}; margin {size} beyond it and the reserve")
            }
        }
    }
}

fn shutdown(status: &Status) -> String {
    let Some(open) = &status.shutdown else {
        return match status.ended {
            0 => "none open, none before".to_owned(),
            ended => format!("none open; number {ended} has ended"),
        };
    };
    let ShutdownStatus { number, reasons, time_left, is_compressed, .. } = open;
    let standing = match open.standing {
        Standing::Declared => "declared",
        Standing::Returning => "returning",
        Standing::Recorded => "recorded before this boot",
    };
    let mut text = format!("number {number} is {standing}");
    if let Some(left) = time_left {
        put(&mut text, format_args!(", {} of battery left", span(*left)));
    }
    if *is_compressed {
        text.push_str(", COMPRESSED: it did not fit the battery");
    }
    for reason in reasons {
        put(&mut text, format_args!("; {}: {}", reason.by, reason.evidence));
    }
    text
}

/// Returns the place of a state in the order in which findings are read; an agent of another
/// version may have more of them.
fn gravity(state: &str) -> usize {
    let order = ["fail", "warn", "unknown"];
    order.iter().position(|known| *known == state).unwrap_or(order.len())
}

/// Returns a duration in the two units that matter.
fn span(span: Duration) -> String {
    let whole = span.as_secs();
    match whole {
        0..=59 => format!("{:.1} s", span.as_secs_f64()),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

fn row(page: &mut String, name: &str, text: &str) {
    wrap::put(page, &format!("{name:<ROW$}"), ROW, text);
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all that is written to it");
}

/// Where the text of a row begins.
const ROW: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{CheckAnswer, HealthAnswer};
    use crate::health::tests::snapshot;
    use crate::talos::{Shown, ShownSequence};
    use crate::wrap::WIDTH;

    fn answer(change: impl FnOnce(&mut Status)) -> Answer {
        let mut status = snapshot().status;
        change(&mut status);
        let health = HealthAnswer {
            state: "warn".to_owned(),
            checks: vec![CheckAnswer {
                name: "certificates".to_owned(),
                state: "warn".to_owned(),
                reason: "the certificate of nfs runs out soon".to_owned(),
                remedy: Some("issue it anew".to_owned()),
            }],
        };
        Answer { version: "0.1.0".to_owned(), age_seconds: 0.25, status, talos: None, health }
    }

    #[test]
    fn a_talos_host_shows_where_it_is_and_what_runs() {
        let mut answer = answer(|_| {});
        assert!(!page(&answer).contains("Talos"));
        answer.talos = Some(Shown {
            version: Some("v1.11.6".to_owned()),
            stage: Some("shutting-down".to_owned()),
            sequence: Some(ShownSequence {
                name: "shutdown".to_owned(),
                phase: Some("cleanup".to_owned()),
                is_called: true,
                is_ours: true,
            }),
            has_contact: true,
            ..Shown::default()
        });
        let text = page(&answer).split_whitespace().collect::<Vec<_>>().join(" ");
        let line = "Talos v1.11.6, stage shutting-down, sequence shutdown in phase cleanup, \
                    called by this agent";
        assert!(text.contains(line), "{text}");
        answer.talos = Some(Shown::default());
        assert!(page(&answer).contains("NO CONTACT with machined"));
    }

    #[test]
    fn every_host_has_a_line_and_what_is_wrong_is_there_with_its_remedy() {
        let page = page(&answer(|_| {}));
        for host in ["nfs", "k8s-1", "k8s-2"] {
            assert_eq!(page.lines().filter(|line| line.starts_with(host)).count(), 1, "{page}");
        }
        let warning = "  warn    certificates: the certificate of nfs runs out soon: issue it anew";
        assert!(page.lines().any(|line| line == warning), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        assert!(page.lines().all(|line| line == line.trim_end()), "{page}");
    }

    #[test]
    fn what_could_not_be_looked_at_is_there_too() {
        let mut answer = answer(|_| {});
        answer.health.checks.push(CheckAnswer {
            name: "smart".to_owned(),
            state: "unknown".to_owned(),
            reason: "unknown: smartctl is not installed".to_owned(),
            remedy: None,
        });
        let line = "  ?       smart: smartctl is not installed";
        let page = page(&answer);
        assert!(page.lines().any(|it| it == line), "{page}");
    }

    #[test]
    fn what_this_host_holds_is_there() {
        let mut answer = answer(|_| {});
        assert!(!page(&answer).contains("NFS"), "an agent that has not looked yet");
        for (name, reason) in [(NFS_MOUNTS, "2 of nfs"), (PODS, "pods run here")] {
            answer.health.checks.push(CheckAnswer {
                name: name.to_owned(),
                state: "pass".to_owned(),
                reason: reason.to_owned(),
                remedy: None,
            });
        }
        let page = page(&answer);
        assert!(page.contains("\nmounts    NFS: 2 of nfs; pods run here\n"), "{page}");
    }

    #[test]
    fn what_is_not_known_is_said_and_never_shown_as_a_number() {
        let page = page(&answer(|status| {
            status.ups.line = Line::Unknown;
            status.ups.charge = None;
            status.ups.runtime_left = None;
            status.plan.margin_millis = None;
            status.hosts.get_mut(&"k8s-2".into()).unwrap().heard = None;
        }));
        assert!(page.contains("UNKNOWN, no fresh reading"), "{page}");
        assert!(page.contains("the margin is not known"), "{page}");
        assert!(!page.contains("charge"), "{page}");
        assert!(page.lines().any(|it| it.starts_with("k8s-2") && it.contains("never")), "{page}");
    }

    #[test]
    fn a_plan_that_does_not_fit_is_loud() {
        let page = page(&answer(|status| status.plan.margin_millis = Some(-61_000)));
        assert!(page.contains("the battery has 1 min 1 s LESS"), "{page}");
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in
            [(0, "0.0 s"), (59, "59.0 s"), (61, "1 min 1 s"), (3660, "1 h 1 min")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
