//! How long work has waited for what it needs: `/proc/pressure`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.proc.join("pressure");
    for resource in &RESOURCES {
        match reader.file(&folder, resource.file) {
            Ok(text) => text.parsed(|text| parse(text, resource, samples))?,
            // An older kernel has not all of them.
            Err(failure) if failure.is_missing() => {}
            // Compiled in, and turned off.
            Err(CollectError::Read { source, .. }) if is_unsupported(&source) => {
                return Err(CollectError::Absent { what: ABSENT });
            }
            Err(failure) => return Err(failure),
        }
    }
    if samples.is_empty() { Err(CollectError::Absent { what: ABSENT }) } else { Ok(()) }
}

fn is_unsupported(failure: &std::io::Error) -> bool {
    failure.raw_os_error() == Some(nix::errno::Errno::EOPNOTSUPP as i32)
}

/// Reads the lines `some avg10=0.00 … total=14500000` and `full …`.
fn parse(text: &str, resource: &'static Resource, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let mut words = words(line);
        let family = match words.next() {
            Some("some") => resource.some.as_ref(),
            Some("full") => resource.full.as_ref(),
            _ => None,
        };
        let Some(family) = family else { continue };
        let total = words.find_map(|word| word.strip_prefix("total=")).and_then(number);
        samples.set(family, &[], total.ok_or(line_number)? / 1000.0 / 1000.0);
    }
    Ok(())
}

struct Resource {
    file: &'static str,
    /// At least one process has waited.
    some: Option<Family>,
    /// All have.
    full: Option<Family>,
}

static RESOURCES: [Resource; 4] = [
    Resource {
        file: "cpu",
        some: Some(Family::counter(
            "node_pressure_cpu_waiting_seconds_total",
            &[],
            "Seconds in which processes have waited for a processor.",
        )),
        full: None,
    },
    Resource {
        file: "io",
        some: Some(Family::counter(
            "node_pressure_io_waiting_seconds_total",
            &[],
            "Seconds in which processes have waited for input or output.",
        )),
        full: Some(Family::counter(
            "node_pressure_io_stalled_seconds_total",
            &[],
            "Seconds in which none went on for lack of input or output.",
        )),
    },
    Resource {
        file: "memory",
        some: Some(Family::counter(
            "node_pressure_memory_waiting_seconds_total",
            &[],
            "Seconds in which processes have waited for memory.",
        )),
        full: Some(Family::counter(
            "node_pressure_memory_stalled_seconds_total",
            &[],
            "Seconds in which none went on for lack of memory.",
        )),
    },
    Resource {
        file: "irq",
        some: None,
        full: Some(Family::counter(
            "node_pressure_irq_stalled_seconds_total",
            &[],
            "Seconds in which none went on because of interrupts.",
        )),
    },
];
const ABSENT: &str = "pressure stall information";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn only_what_the_kernel_has_is_shown() {
        let some = "some avg10=0.00 avg60=0.00 avg300=0.00 total=14500000\n";
        let both = "some avg10=0 avg60=0 avg300=0 total=1\nfull avg10=0 avg60=0 total=250000\n";
        let tree = Tree::new(&[("proc/pressure/cpu", some), ("proc/pressure/io", both)]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_pressure_cpu_waiting_seconds_total"), Some(14.5));
        assert_eq!(samples.value("node_pressure_io_stalled_seconds_total"), Some(0.25));
        assert_eq!(samples.len(), 3);
        let (result, _) = Tree::new(&[]).collect(collect);
        assert!(result.unwrap_err().is_absence());
    }
}
