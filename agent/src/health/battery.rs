//! The check of the battery: what it needs, whether it charges, and whether it still lasts.

use std::time::Duration;

use super::{Check, seconds};
use crate::battery::charge::Charging;
use crate::battery::trend::{Record, Verdict};
use crate::battery::{Report, Test};
use crate::clock;
use crate::snapshot::Snapshot;

pub(super) fn battery(snapshot: &Snapshot) -> Check {
    let name = &snapshot.status.ups.name;
    let Some(report) = snapshot.battery.as_deref().filter(|report| !report.is_stale()) else {
        return Check::unknown(BATTERY, "it has not been looked at yet", None);
    };
    let Some(reading) = report.reading.filter(|_| snapshot.has_fresh_reading()) else {
        return Check::unknown(BATTERY, "there is no fresh reading", Some("see ups-contact"));
    };
    if let Some(span) = report.asks_for_new_for {
        let reason = format!("{name} asks for a new battery");
        return if span >= REPLACE_AFTER {
            Check::fail(BATTERY, reason, REPLACE)
        } else {
            Check::warn(BATTERY, reason, REPLACE)
        };
    }
    match reading.test {
        Some(Test::Bad) => {
            return Check::fail(BATTERY, format!("it failed the last test of {name}"), REPLACE);
        }
        Some(Test::Doubtful) => {
            return Check::warn(BATTERY, format!("the last test of {name} warns"), REPLACE);
        }
        Some(Test::Good) | None => {}
    }
    if let Charging::Stuck { charge, span } = report.charging {
        let hours = span.as_secs() / 3600;
        let reason = format!("its charge has stood at {charge:.0} % for {hours} h on mains");
        let remedy = "look whether the UPS calibrates; else renew the battery, or the UPS";
        return Check::warn(BATTERY, reason, remedy);
    }
    if let Verdict::Compared { first, last, ratio, is_worn: true } = report.verdict {
        let told = |record: Record| {
            let (runtime, day) = (lasts(record.runtime), clock::day(record.date));
            format!("{runtime} ({day}, load {:.0} %)", record.load)
        };
        let (first, last, part) = (told(first), told(last), ratio * 100.0);
        let reason = format!(
            "at full charge it lasts {last}, and once lasted {first}: {part:.0} % of that, \
             brought to one load"
        );
        return Check::warn(BATTERY, reason, REPLACE);
    }
    if let Some(problem) = report.problem.as_ref().filter(|_| report.problem_for >= UNKEPT_WARNS) {
        let reason = format!("the records of its runtime are not kept ({problem})");
        return Check::warn(BATTERY, reason, "let this user read and write in the state directory");
    }
    if reading.charge.is_none() {
        let why = format!("{name} does not say its charge");
        return Check::unknown(BATTERY, why, Some("look at `upsc`, and for a newer NUT"));
    }
    Check::pass(BATTERY, good(report))
}

/// What is known of one that is good.
fn good(report: &Report) -> String {
    let charge = report.reading.and_then(|reading| reading.charge);
    let charge = charge.map_or(String::new(), |charge| format!("charge {charge:.0} %, "));
    let runtime = match (report.verdict, report.full) {
        (Verdict::Compared { ratio, last, .. }, _) => {
            let part = ratio * 100.0;
            let (runtime, load) = (lasts(last.runtime), last.load);
            format!("{runtime} at full charge and {load:.0} % load, {part:.0} % of what it was")
        }
        (Verdict::Few { .. }, Some(full)) => {
            format!(
                "{} at full charge; it is compared when there are more days",
                lasts(full.runtime)
            )
        }
        (Verdict::Few { .. }, None) => "no runtime at full charge recorded yet".to_owned(),
    };
    let problem = report.problem.as_ref();
    let problem = problem.map_or(String::new(), |why| format!("; its records are not kept: {why}"));
    charge + &runtime + &problem
}

fn lasts(runtime: f64) -> String {
    seconds(Duration::try_from_secs_f64(runtime).unwrap_or_default())
}

const BATTERY: &str = "battery";
const REPLACE: &str = "renew the battery, then let the UPS test it";
/// The next record may be written.
const UNKEPT_WARNS: Duration = Duration::from_hours(24);
/// As the alert: some units say it for moments.
const REPLACE_AFTER: Duration = Duration::from_mins(10);
