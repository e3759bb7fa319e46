//! How fast the processors run, and may run.

use crate::collector::Context;
use crate::read::{CollectError, numbered};
use crate::sample::Family;
use crate::text::one_if;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("devices/system/cpu");
    for cpu in numbered(&folder, "cpu")? {
        let folder = folder.join(&cpu).join("cpufreq");
        if !folder.is_dir() {
            continue;
        }
        let cpu = cpu.trim_start_matches("cpu");
        for (file, family) in &FAMILIES {
            if let Some(kilohertz) = reader.number(&folder, file) {
                samples.set(family, &[cpu], kilohertz * 1000.0);
            }
        }
        let governor = reader.attribute(&folder, "scaling_governor").map(str::to_owned);
        let Some(governor) = governor.filter(|governor| !governor.is_empty()) else { continue };
        let offered = reader.attribute(&folder, "scaling_available_governors").unwrap_or_default();
        for other in offered.split(' ') {
            samples.set(&GOVERNOR, &[cpu, other], one_if(other == governor));
        }
    }
    Ok(())
}

/// The files of a processor, in kilohertz.
static FAMILIES: [(&str, Family); 7] = [
    (
        "cpuinfo_cur_freq",
        Family::gauge("node_cpu_frequency_hertz", &["cpu"], "Frequency of the processor."),
    ),
    (
        "cpuinfo_avg_freq",
        Family::gauge("node_cpu_frequency_avg_hertz", &["cpu"], "Average frequency."),
    ),
    (
        "cpuinfo_min_freq",
        Family::gauge("node_cpu_frequency_min_hertz", &["cpu"], "Least frequency."),
    ),
    (
        "cpuinfo_max_freq",
        Family::gauge("node_cpu_frequency_max_hertz", &["cpu"], "Highest frequency."),
    ),
    (
        "scaling_cur_freq",
        Family::gauge("node_cpu_scaling_frequency_hertz", &["cpu"], "Frequency that is set."),
    ),
    (
        "scaling_min_freq",
        Family::gauge(
            "node_cpu_scaling_frequency_min_hertz",
            &["cpu"],
            "Least frequency that may be set.",
        ),
    ),
    (
        "scaling_max_freq",
        Family::gauge(
            "node_cpu_scaling_frequency_max_hertz",
            &["cpu"],
            "Highest frequency that may be set.",
        ),
    ),
];
const GOVERNOR: Family = Family::gauge(
    "node_cpu_scaling_governor",
    &["cpu", "governor"],
    "1 for the governor that sets the frequency, 0 for the others.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn frequencies_are_in_hertz() {
        let tree = Tree::new(&[
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "1219917\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
            (
                "sys/devices/system/cpu/cpu1/cpufreq/scaling_available_governors",
                "performance powersave\n",
            ),
            ("sys/devices/system/cpu/cpu2/topology/core_id", "1\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        let governor = |name| format!("node_cpu_scaling_governor{{cpu=\"1\",governor=\"{name}\"}}");
        let frequency = samples.value("node_cpu_scaling_frequency_hertz{cpu=\"1\"}");
        assert_eq!(frequency, Some(1_219_917_000.0));
        assert_eq!(samples.value(&governor("powersave")), Some(1.0));
        assert_eq!(samples.value(&governor("performance")), Some(0.0));
        assert_eq!(samples.len(), 3);
    }
}
