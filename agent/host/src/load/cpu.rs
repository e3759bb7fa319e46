//! What each processor has spent its time with, and how often it was throttled or isolated.

use std::collections::BTreeSet;

use crate::collector::Context;
use crate::read::{CollectError, numbered};
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "stat")?.parsed(|text| parse(text, samples))?;
    let folder = roots.sys.join("devices/system/cpu");
    if let Some(isolated) = reader.attribute(&folder, "isolated") {
        for cpu in listed(isolated) {
            samples.set(&ISOLATED, &[&cpu.to_string()], 1.0);
        }
    }
    let cpus = numbered(&folder, "cpu")?;
    throttles(context, &cpus);
    online(context, &cpus);
    Ok(())
}

/// Reads the lines `cpu0 …`; the line `cpu` is their sum.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let Some(rest) = line.strip_prefix("cpu") else { continue };
        if rest.starts_with(' ') {
            continue;
        }
        let mut words = words(rest);
        let cpu = words.next().ok_or(line_number)?;
        for (mode, word) in MODES.iter().zip(words.by_ref()) {
            let ticks = number(word).ok_or(line_number)?;
            samples.set(&SECONDS, &[cpu, mode], ticks / TICKS);
        }
        // What guests had is part of what users had, and is shown besides.
        for (mode, word) in ["user", "nice"].iter().zip(words) {
            let ticks = number(word).ok_or(line_number)?;
            samples.set(&GUEST, &[cpu, mode], ticks / TICKS);
        }
    }
    Ok(())
}

fn throttles(context: &mut Context<'_>, cpus: &[String]) {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("devices/system/cpu");
    let (mut cores, mut packages) = (BTreeSet::new(), BTreeSet::new());
    for cpu in cpus {
        let folder = folder.join(cpu);
        let package = reader.number(&folder, "topology/physical_package_id");
        let core = reader.number(&folder, "topology/core_id");
        let (Some(package), Some(core)) = (package, core) else { continue };
        let (package, core) = (package.to_string(), core.to_string());
        // The threads of a core count the same.
        if !cores.contains(&(package.clone(), core.clone()))
            && let Some(count) = reader.number(&folder, "thermal_throttle/core_throttle_count")
        {
            samples.set(&CORE_THROTTLES, &[&package, &core], count);
            cores.insert((package.clone(), core));
        }
        if !packages.contains(&package)
            && let Some(count) = reader.number(&folder, "thermal_throttle/package_throttle_count")
        {
            samples.set(&PACKAGE_THROTTLES, &[&package], count);
            packages.insert(package);
        }
    }
}

/// Only where the first processor can be turned off, as `node_exporter` has it.
fn online(context: &mut Context<'_>, cpus: &[String]) {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("devices/system/cpu");
    for cpu in cpus {
        let is_online = reader.attribute(&folder, &format!("{cpu}/online")).map(|it| it == "1");
        if is_online.is_none() && samples.families().all(|it| it.name() != ONLINE.name) {
            return;
        }
        let number = cpu.trim_start_matches("cpu");
        samples.set(&ONLINE, &[number], crate::text::one_if(is_online == Some(true)));
    }
}

/// Returns the processors of a list like `0-3,7`.
fn listed(list: &str) -> impl Iterator<Item = u32> {
    list.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = (first.trim().parse().ok(), last.trim().parse().ok());
        let range: Option<_> = bounds.0.zip(bounds.1).map(|(first, last): (u32, u32)| first..=last);
        range.filter(|range| range.clone().count() <= CPUS_MAX).into_iter().flatten()
    })
}

/// In the order of the line.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// The unit of the line is a hundredth of a second on every architecture that we build for.
const TICKS: f64 = 100.0;
/// More than Linux can have.
const CPUS_MAX: usize = 8192;

const SECONDS: Family = Family::counter(
    "node_cpu_seconds_total",
    &["cpu", "mode"],
    "Seconds that the processor has spent in each mode.",
);
const GUEST: Family = Family::counter(
    "node_cpu_guest_seconds_total",
    &["cpu", "mode"],
    "Seconds that the processor has spent in guests.",
);
const CORE_THROTTLES: Family = Family::counter(
    "node_cpu_core_throttles_total",
    &["package", "core"],
    "How often the core was throttled.",
);
const PACKAGE_THROTTLES: Family = Family::counter(
    "node_cpu_package_throttles_total",
    &["package"],
    "How often the package was throttled.",
);
const ISOLATED: Family = Family::gauge(
    "node_cpu_isolated",
    &["cpu"],
    "1 for each processor that is kept from the scheduler.",
);
const ONLINE: Family = Family::gauge("node_cpu_online", &["cpu"], "1 if the processor is used.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn each_processor_has_its_modes() {
        let tree = Tree::new(&[
            ("proc/stat", "cpu  1 1 1 1 1 1 1 1 1 1\ncpu7 1100 3 300 4 5 6 7 8 9 10\nintr 4 5\n"),
            ("sys/devices/system/cpu/isolated", "1,3-5\n"),
            ("sys/devices/system/cpu/cpuidle/current_driver", "none\n"),
            ("sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"),
            ("sys/devices/system/cpu/cpu0/topology/core_id", "1\n"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "5\n"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "30\n"),
            ("sys/devices/system/cpu/cpu1/topology/physical_package_id", "0\n"),
            ("sys/devices/system/cpu/cpu1/topology/core_id", "1\n"),
            ("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "6\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_cpu_seconds_total{cpu=\"7\",mode=\"user\"}", 11.0),
            ("node_cpu_seconds_total{cpu=\"7\",mode=\"steal\"}", 0.08),
            ("node_cpu_guest_seconds_total{cpu=\"7\",mode=\"nice\"}", 0.1),
            ("node_cpu_core_throttles_total{package=\"0\",core=\"1\"}", 5.0),
            ("node_cpu_package_throttles_total{package=\"0\"}", 30.0),
            ("node_cpu_isolated{cpu=\"4\"}", 1.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.families().map(|family| family.series().count()).sum::<usize>(), 16);
    }

    #[test]
    fn a_list_of_processors_is_bounded() {
        assert_eq!(listed("0-2,7\n").collect::<Vec<_>>(), [0, 1, 2, 7]);
        assert_eq!(listed("").count(), 0);
        assert_eq!(listed("0-4294967295,x-1,3-1").count(), 0);
    }
}
