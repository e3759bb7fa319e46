//! The check of the disks: what they say of themselves by SMART, the worst first.
//!
//! A disk that says nothing of itself never passes; it is unknown, which makes nothing worse.

use std::time::Duration;

use super::{Check, State, unseen_for};
use crate::smart::{Answer, Attribute, Disk, Disks, NvmeLog, Report, Rise, Sight, Standing};
use crate::snapshot::Snapshot;

/// The name of the check.
const SMART: &str = "smart";

/// Returns the check; none where the disks are not asked.
pub(super) fn check(snapshot: &Snapshot) -> Option<Check> {
    snapshot.smart.as_deref().map(judge)
}

fn judge(report: &Report) -> Check {
    if report.is_stale() {
        let last = of(report);
        if last.state >= State::Warn {
            return unseen_for(&last, report.looked.elapsed());
        }
        let why = "what the disks said cannot be read in time";
        return Check::unknown(SMART, why, Some("look at `systemctl status curfew-smart`"));
    }
    of(report)
}

fn of(report: &Report) -> Check {
    match &report.sight {
        Sight::Impossible => {
            let why = "Talos has no smartctl, and nothing stands in for it";
            Check::unknown(SMART, why, Some(ON_TALOS))
        }
        Sight::Unasked => {
            let remedy = "wait some minutes; `systemctl start curfew-smart` asks them at once";
            Check::unknown(SMART, "the disks have not been asked yet", Some(remedy))
        }
        Sight::Missing => {
            let remedy = "`apt install smartmontools`, then `systemctl start curfew-smart`";
            Check::unknown(SMART, "smartctl is not installed", Some(remedy))
        }
        Sight::Old(age) => {
            let why = format!("the disks were last asked {} ago", span(*age));
            let remedy = "look at `systemctl status curfew-smart.timer curfew-smart`";
            Check::unknown(SMART, why, Some(remedy))
        }
        Sight::Unreadable(why) => {
            Check::unknown(SMART, why, Some("`systemctl start curfew-smart` writes it anew"))
        }
        Sight::Asked(asked) => judge_disks(report, asked),
    }
}

fn judge_disks(report: &Report, asked: &Disks) -> Check {
    let mut findings: Vec<Finding> =
        asked.disks.iter().flat_map(|disk| judge_disk(disk, report.hot_above)).collect();
    if asked.left_out > 0 {
        let text = format!("{} more disks are not asked", asked.left_out);
        let remedy = "`smartctl -a` each of them by hand".to_owned();
        findings.push(Finding { state: State::Unknown, text, remedy });
    }
    if asked.disks.is_empty() && asked.left_out == 0 {
        let why = match asked.without.as_slice() {
            [] => "there is no disk here that can be asked".to_owned(),
            names => format!("{}, of a virtual machine or a card, without SMART", names.join(", ")),
        };
        return Check::unknown(SMART, why, Some(WITHOUT));
    }
    // Stable: disks stay in their order.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.state));
    let Some(worst) = findings.first() else { return Check::pass(SMART, well(report, asked)) };
    let named: Vec<&str> = findings.iter().map(|it| it.text.as_str()).take(NAMED_MAX).collect();
    let mut reason = named.join("; ");
    let more = findings.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        reason = format!("{reason}; and {more} more");
    }
    match worst.state {
        State::Fail => Check::fail(SMART, reason, &worst.remedy),
        State::Warn => Check::warn(SMART, reason, &worst.remedy),
        State::Unknown | State::Pass => Check::unknown(SMART, reason, Some(&worst.remedy)),
    }
}

fn well(report: &Report, asked: &Disks) -> String {
    let since = report.looked.elapsed();
    let ago = |age: Duration| span(age.saturating_add(since));
    let is_asleep = |disk: &&Disk| disk.standing == Standing::Asleep;
    let (asleep, awake): (Vec<&Disk>, Vec<&Disk>) = asked.disks.iter().partition(is_asleep);
    let names: Vec<&str> = asked.disks.iter().map(|disk| disk.name.as_str()).collect();
    let mut text = format!("{} find nothing wrong with themselves", names.join(", "));
    if let [name] = names.as_slice() {
        text = format!("{name} finds nothing wrong with itself");
    }
    if let Some(age) = awake.iter().filter_map(|disk| disk.answered).max() {
        text = format!("{text}, asked {} ago", ago(age));
    }
    for disk in asleep {
        let age = disk.answered.unwrap_or_default();
        text = format!("{text}; {} sleeps, last asked {} ago", disk.name, ago(age));
    }
    if !asked.without.is_empty() {
        text = format!("{text}; without SMART: {}", asked.without.join(", "));
    }
    text
}

/// One thing that is wrong, or not known.
struct Finding {
    state: State,
    text: String,
    remedy: String,
}

impl Finding {
    fn new(state: State, disk: &Disk, what: impl AsRef<str>, remedy: String) -> Self {
        Self { state, text: format!("{} {}", disk.name, what.as_ref()), remedy }
    }
}

fn judge_disk(disk: &Disk, hot_above: Option<u8>) -> Vec<Finding> {
    let one = |state, what: &str, remedy| vec![Finding::new(state, disk, what, remedy)];
    if disk.is_left_out() {
        let what = format!("has not been asked for {}", span(disk.tried));
        return one(State::Unknown, &what, ask_anew());
    }
    match disk.standing {
        Standing::Offline => {
            return one(State::Fail, "was given up by the kernel", of_the_kernel(disk));
        }
        Standing::Silent(times) if times >= SILENT_WARNS => {
            let what = format!("has not answered smartctl for {times} times in a row");
            return one(State::Warn, &what, of_the_kernel(disk));
        }
        Standing::Silent(_) => {
            return one(State::Unknown, "has not answered smartctl in time", ask_anew());
        }
        Standing::Unknown => {
            let why = disk.answer.as_ref().and_then(|answer| answer.as_ref().err());
            let why = why.map_or("left a file that is none of this version", String::as_str);
            return one(State::Unknown, why, ask_anew());
        }
        Standing::Answered | Standing::Asleep => {}
    }
    match &disk.answer {
        None => one(State::Unknown, "sleeps, and has not been asked since the boot", ask_anew()),
        Some(Err(why)) => one(State::Unknown, &format!("is not known: {why}"), by_hand(disk)),
        Some(Ok(answer)) => judge_answer(disk, answer, hot_above),
    }
}

fn judge_answer(disk: &Disk, answer: &Answer, hot_above: Option<u8>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |state, what: String, remedy| {
        found.push(Finding::new(state, disk, what, remedy));
    };
    match &answer.nvme_smart_health_information_log {
        Some(log) => {
            for (state, what) in nvme(log) {
                add(state, what.to_owned(), replace(disk));
            }
        }
        None if answer.smart_status.is_some_and(|status| !status.passed) => {
            add(State::Fail, "says itself that it is failing".to_owned(), replace(disk));
        }
        None => {}
    }
    for attribute in answer.attributes() {
        if let Some((state, what)) = judge_attribute(attribute) {
            add(state, what, if state == State::Fail { replace(disk) } else { by_hand(disk) });
        }
    }
    for (count, what) in [
        (answer.pending(), "sectors that cannot be read"),
        (answer.uncorrectable(), "sectors that could not be read when it tested itself"),
        (answer.reallocated().filter(|_| !answer.is_solid()), "sectors that have been replaced"),
        (answer.scsi_grown_defect_list, "sectors that have been replaced"),
    ] {
        if let Some(count) = count.filter(|count| *count > 0.0) {
            add(State::Warn, format!("has {count} {what}"), test(disk));
        }
    }
    for Rise { what, from, to } in &disk.rises {
        add(State::Warn, format!("goes on failing: {what} rose from {from} to {to}"), test(disk));
    }
    if let Some(worn) = answer.worn().filter(|worn| *worn >= WORN_WARNS) {
        let state = if worn >= WORN_FAILS { State::Fail } else { State::Warn };
        add(state, format!("is worn: {worn} % of what its maker promises"), replace(disk));
    }
    if let Some(celsius) = hot(disk, answer, hot_above) {
        add(State::Warn, format!("is at {celsius} °C"), cool(disk));
    }
    let is_silent = match &answer.nvme_smart_health_information_log {
        Some(log) => log.critical_warning.is_none(),
        None => answer.smart_status.is_none(),
    };
    if is_silent {
        found.extend(says_nothing(disk, answer));
    } else if let Some(status) = answer.failed_status() {
        let what = format!("answered only in part (smartctl ended with {status})");
        found.push(Finding::new(State::Unknown, disk, what, by_hand(disk)));
    }
    found
}

fn nvme(log: &NvmeLog) -> Vec<(State, &'static str)> {
    let warning = log.critical_warning.unwrap_or_default();
    let is_set = |(bit, _, _): &&(u8, State, &str)| warning & bit != 0;
    let mut found: Vec<_> =
        NVME_WARNINGS.iter().filter(is_set).map(|(_, state, what)| (*state, *what)).collect();
    let is_short = log.available_spare < log.available_spare_threshold;
    if is_short && log.available_spare.is_some() && warning & SPARE == 0 {
        found.push((State::Fail, SPARE_IS_SHORT));
    }
    found
}

fn judge_attribute(attribute: &Attribute) -> Option<(State, String)> {
    let name: String =
        attribute.name.chars().filter(|letter| is_of_a_name(*letter)).take(ATTRIBUTE_MAX).collect();
    match attribute.when_failed.as_str() {
        "now" if attribute.is_temperature() => {
            Some((State::Warn, "is hotter than it may be".to_owned()))
        }
        "now" if attribute.flags.prefailure => {
            Some((State::Fail, format!("is failing: {name} is at its threshold")))
        }
        "now" => Some((State::Warn, format!("is worn: {name} is at its threshold"))),
        // A hot day long ago says nothing.
        "past" if !attribute.is_temperature() => {
            Some((State::Warn, format!("was in a bad way: {name} has been at its threshold")))
        }
        _ => None,
    }
}

/// How hot it is, if it is too hot and that is no old news.
fn hot(disk: &Disk, answer: &Answer, hot_above: Option<u8>) -> Option<f64> {
    let own = answer.temperature.op_limit_max.or(answer.temperature.drive_trip);
    let limits = [hot_above.map(f64::from), own.filter(|limit| *limit > 0.0)];
    let limit = limits.into_iter().flatten().reduce(f64::min)?;
    answer.temperature.current.filter(|celsius| *celsius >= limit && disk.is_fresh())
}

fn says_nothing(disk: &Disk, answer: &Answer) -> Option<Finding> {
    let unknown = |what: &str, remedy| Some(Finding::new(State::Unknown, disk, what, remedy));
    let name = &disk.name;
    match answer.smart_support {
        Some(support) if !support.available => {
            unknown("has no SMART, or none that its USB bridge passes on", bridge(disk))
        }
        Some(support) if support.enabled == Some(false) => {
            unknown("has its SMART switched off", format!("`smartctl -s on /dev/{name}`"))
        }
        Some(_) | None => match answer.complaint() {
            Some(complaint) => {
                let said = complaint.chars().filter(|it| matches!(it, ' '..='~'));
                let said: String = said.take(COMPLAINT_MAX).collect();
                unknown(&format!("could not be asked ({said})"), bridge(disk))
            }
            None => unknown("does not say whether it fails", by_hand(disk)),
        },
    }
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

fn replace(disk: &Disk) -> String {
    format!("have a copy of what is on {0}, and replace it; `smartctl -a /dev/{0}`", disk.name)
}

fn test(disk: &Disk) -> String {
    format!(
        "have a copy of what is on {0}, run `smartctl -t long /dev/{0}`, and replace it if the \
         numbers rise",
        disk.name
    )
}

fn cool(disk: &Disk) -> String {
    format!("more air for {}: its fan, its dust, its place", disk.name)
}

fn by_hand(disk: &Disk) -> String {
    format!("`smartctl -a /dev/{}` says all of it", disk.name)
}

fn bridge(disk: &Disk) -> String {
    format!("try `smartctl -a /dev/{}` with the types of `-d`; without one it stays so", disk.name)
}

fn of_the_kernel(disk: &Disk) -> String {
    format!("`dmesg` says more of {}; look at its cable and its power, then replace it", disk.name)
}

fn ask_anew() -> String {
    "`systemctl start curfew-smart` asks anew, and so does its timer every hour".to_owned()
}

/// Returns a span in the unit in which a person thinks of it.
fn span(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 60 / 24),
    }
}

const ON_TALOS: &str = "`smart = false` in [host.health] ends the question; errors of the disks \
                        are in `talosctl dmesg`";
const WITHOUT: &str = "the machine around this one may ask its disks; `smart = false` in \
                       [host.health] ends the question";
/// The first may be a moment in which the disk had other things to do.
const SILENT_WARNS: u32 = 2;
/// Time to buy another one.
const WORN_WARNS: f64 = 90.0;
/// The maker promises nothing any more.
const WORN_FAILS: f64 = 100.0;
/// A line that a person reads.
const NAMED_MAX: usize = 3;
const ATTRIBUTE_MAX: usize = 40;
const COMPLAINT_MAX: usize = 100;
const SPARE: u8 = 1;
const SPARE_IS_SHORT: &str = "has fewer spare blocks than it needs";
/// The bits of the critical warning, NVM Express base specification, SMART / health information.
const NVME_WARNINGS: [(u8, State, &str); 7] = [
    (SPARE, State::Fail, SPARE_IS_SHORT),
    (1 << 1, State::Warn, "is hotter or colder than it may be"),
    (1 << 2, State::Fail, "is no longer reliable, as it says itself"),
    (1 << 3, State::Fail, "takes no writes any more"),
    (1 << 4, State::Warn, "has lost the backup of its memory"),
    (1 << 5, State::Warn, "has a persistent memory that is not reliable"),
    (0xc0, State::Warn, "warns of what this agent does not know"),
];

#[cfg(test)]
mod tests;
