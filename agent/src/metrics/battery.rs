//! What the battery of the UPS gives at full charge, over months.

use super::page::Page;
use super::{Family, Kind};
use crate::battery::Report;
use crate::battery::trend::Verdict;

/// All of them.
pub(super) const FAMILIES: [&Family; 2] = [&FULL_RUNTIME, &FULL_RUNTIME_RATIO];

/// Records a report; one that is too old leaves nothing on the page.
pub(super) fn record(page: &mut Page, ups: &str, report: &Report) {
    if report.is_stale() {
        return;
    }
    if let Some(full) = report.full {
        page.set(&FULL_RUNTIME, [ups], full.runtime);
    }
    if let Verdict::Compared { ratio, .. } = report.verdict {
        page.set(&FULL_RUNTIME_RATIO, [ups], ratio);
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: &["ups"], help }
}

pub(crate) const FULL_RUNTIME: Family = gauge(
    "curfew_battery_full_runtime_seconds",
    "The last runtime recorded at full charge under a steady load, once a day; absent before.",
);
pub(crate) const FULL_RUNTIME_RATIO: Family = gauge(
    "curfew_battery_full_runtime_ratio",
    "The best of the last three of them by the best of the first seven at such a load, brought to \
     one load in favour of the battery; absent before there are ten.",
);
