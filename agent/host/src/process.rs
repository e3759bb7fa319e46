//! The process that serves the page, and under which name dashboards look for it.

use std::fs;
use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Kind, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    build(samples);
    let booted = reader.file(&roots.proc, "stat")?.parsed(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("btime "));
        line.and_then(|word| number(word.trim())).ok_or(1)
    })?;
    reader.file(&roots.proc, "self/stat")?.parsed(|text| stat(text, booted, samples).ok_or(1))?;
    reader.file(&roots.proc, "self/limits")?.parsed(|text| limits(text, samples))?;
    samples.set(&OPEN, &[], crate::text::float(open_files(&roots.proc.join("self/fd"))?));
    Ok(())
}

/// Since Linux 6.2 the folder's size is their number.
fn open_files(folder: &Path) -> Result<u64, CollectError> {
    let failed = |source| CollectError::List { path: folder.to_owned(), source };
    let size = fs::metadata(folder).map_err(failed)?.len();
    if size > 0 {
        return Ok(size);
    }
    let count = fs::read_dir(folder).map_err(failed)?.count();
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Dashboards count hosts by this one; it says whose it is.
fn build(samples: &mut Samples) {
    let labels = [
        ("branch", ""),
        ("goarch", ""),
        ("goos", "linux"),
        ("goversion", ""),
        ("revision", "curfew"),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    samples.named("node_exporter_build_info", Kind::Gauge, BUILD, &labels, 1.0);
}

/// Reads the line `123 (name) S 1 …`; in the name there may be anything.
fn stat(text: &str, booted: f64, samples: &mut Samples) -> Option<()> {
    let (_, rest) = text.rsplit_once(')')?;
    // From the third column on.
    let column = |column: usize| words(rest).nth(column - 3).and_then(number);
    let ticks = SysconfVar::CLK_TCK;
    let ticks = sysconf(ticks).ok().flatten().map_or(100.0, crate::text::signed);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096.0, crate::text::signed);
    samples.set(&CPU, &[], (column(14)? + column(15)?) / ticks);
    samples.set(&START, &[], booted + column(22)? / ticks);
    samples.set(&VIRTUAL, &[], column(23)?);
    samples.set(&RESIDENT, &[], column(24)? * page);
    Some(())
}

/// Reads the lines `Max open files   1024   524288   files`: the first number counts.
fn limits(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let limit =
            LIMITS.iter().find_map(|(name, family)| Some((line.strip_prefix(name)?, family)));
        let Some((rest, family)) = limit else { continue };
        let value = match words(rest).next().ok_or(line_number)? {
            // As the Go library of `node_exporter` has it.
            "unlimited" => UNLIMITED,
            word => number(word).ok_or(line_number)?,
        };
        samples.set(family, &[], value);
    }
    Ok(())
}

const BUILD: &str = "Always 1; not node_exporter, but Curfew in its place, of this version.";
const UNLIMITED: f64 = 18_446_744_073_709_551_615.0;
const CPU: Family = Family::counter(
    "process_cpu_seconds_total",
    &[],
    "Seconds that this agent has spent on a processor.",
);
const START: Family =
    Family::gauge("process_start_time_seconds", &[], "When this agent was started.");
const VIRTUAL: Family =
    Family::gauge("process_virtual_memory_bytes", &[], "Addresses that this agent uses.");
const RESIDENT: Family =
    Family::gauge("process_resident_memory_bytes", &[], "Memory that this agent uses.");
const OPEN: Family = Family::gauge("process_open_fds", &[], "Files that this agent has open.");
static LIMITS: [(&str, Family); 2] = [
    (
        "Max open files",
        Family::gauge("process_max_fds", &[], "How many files this agent may have open."),
    ),
    (
        "Max address space",
        Family::gauge("process_virtual_memory_max_bytes", &[], "Addresses it may use."),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn this_process_is_described() {
        let stat = "11 (a ) b) S 1 11 11 0 -1 4194560 1 0 0 0 1500 500 0 0 20 0 1 0 12000 1048576 \
                    10 18446744073709551615";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n\
                      Max address space         unlimited            unlimited            bytes\n";
        let tree = Tree::new(&[
            ("proc/stat", "cpu 1\nbtime 1000\n"),
            ("proc/self/stat", stat),
            ("proc/self/limits", limits),
        ]);
        fs::create_dir_all(tree.path("proc/self/fd")).unwrap();
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert!(open_files(Path::new("/proc/self/fd")).unwrap() >= 3);
        for (series, value) in [
            ("process_cpu_seconds_total", 20.0),
            ("process_start_time_seconds", 1120.0),
            ("process_virtual_memory_bytes", 1_048_576.0),
            ("process_max_fds", 1024.0),
            ("process_virtual_memory_max_bytes", UNLIMITED),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert!(samples.families().any(|family| family.name() == "node_exporter_build_info"));
    }
}
