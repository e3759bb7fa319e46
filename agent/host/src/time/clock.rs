//! The time, the time zone and where the kernel has the time from.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::collector::Context;
use crate::read::{CollectError, numbered};
use crate::sample::Family;
use crate::text::{signed, words};
use crate::time::zone;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    samples.set(&SECONDS, &[], now.as_secs_f64());
    let second = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match zone::read(&roots.root.join("etc/localtime"), second) {
        Ok(Some((name, offset))) => samples.set(&ZONE, &[&name], signed(offset)),
        Ok(None) => {}
        // The system's own answer to a missing file.
        Err(failure) if failure.is_missing() => samples.set(&ZONE, &["UTC"], 0.0),
        Err(failure) => return Err(failure),
    }
    let folder = roots.sys.join("devices/system/clocksource");
    for (number, source) in numbered(&folder, "clocksource")?.iter().enumerate() {
        let (folder, number) = (folder.join(source), number.to_string());
        let offered = reader.attribute(&folder, "available_clocksource").unwrap_or_default();
        for name in words(offered) {
            samples.set(&AVAILABLE, &[&number, name], 1.0);
        }
        if let Some(current) = reader.attribute(&folder, "current_clocksource") {
            samples.set(&CURRENT, &[&number, current], 1.0);
        }
    }
    Ok(())
}

const SECONDS: Family = Family::gauge("node_time_seconds", &[], "The time, in seconds since 1970.");
const ZONE: Family = Family::gauge(
    "node_time_zone_offset_seconds",
    &["time_zone"],
    "How far the time zone is ahead of UTC.",
);
const AVAILABLE: Family = Family::gauge(
    "node_time_clocksource_available_info",
    &["device", "clocksource"],
    "1 for each source from which the kernel could have the time.",
);
const CURRENT: Family = Family::gauge(
    "node_time_clocksource_current_info",
    &["device", "clocksource"],
    "1 for the source from which the kernel has the time.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn without_a_time_zone_it_is_utc() {
        let folder = "sys/devices/system/clocksource/clocksource0";
        let tree = Tree::new(&[
            (&format!("{folder}/available_clocksource"), "tsc hpet acpi_pm \n"),
            (&format!("{folder}/current_clocksource"), "tsc\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert!(samples.value("node_time_seconds").unwrap() > 1.7e9);
        assert_eq!(samples.value("node_time_zone_offset_seconds{time_zone=\"UTC\"}"), Some(0.0));
        let current = "node_time_clocksource_current_info{device=\"0\",clocksource=\"tsc\"}";
        assert_eq!(samples.value(current), Some(1.0));
        let families = samples.families();
        let available = families.filter(|family| family.name().contains("available"));
        assert_eq!(available.flat_map(|family| family.series()).count(), 3);
    }
}
