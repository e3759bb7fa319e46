//! How long processes ran, and waited, on each processor: `/proc/schedstat`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let text = reader.file(&roots.proc, "schedstat");
    text.map_err(|failure| failure.or_absent(ABSENT))?.parsed(|text| parse(text, samples))
}

/// Reads the lines `cpu0 …`: nanoseconds that processes ran and waited, and time slices.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let mut words = words(line);
        let cpu = words.next().and_then(|word| word.strip_prefix("cpu"));
        let Some(cpu) = cpu.filter(|cpu| !cpu.is_empty()) else { continue };
        let mut values = words.skip(BEFORE).map(number);
        for (family, unit) in &FAMILIES {
            let value = values.next().flatten().ok_or(line_number)?;
            samples.set(family, &[cpu], value / unit);
        }
    }
    Ok(())
}

/// Numbers of the scheduler's own that stand before.
const BEFORE: usize = 6;
const NANOSECONDS: f64 = 1e9;

static FAMILIES: [(Family, f64); 3] = [
    (
        Family::counter(
            "node_schedstat_running_seconds_total",
            &["cpu"],
            "Seconds that processes ran on the processor.",
        ),
        NANOSECONDS,
    ),
    (
        Family::counter(
            "node_schedstat_waiting_seconds_total",
            &["cpu"],
            "Seconds that processes waited for the processor.",
        ),
        NANOSECONDS,
    ),
    (
        Family::counter(
            "node_schedstat_timeslices_total",
            &["cpu"],
            "Time slices that the processor gave.",
        ),
        1.0,
    ),
];
const ABSENT: &str = "statistics of the scheduler";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn the_last_three_numbers_count() {
        let text = "version 15\ntimestamp 4\ncpu3 498494191 0 3533438552 1 2 3 2045936778163039 \
                    343796328169361 4767485306\ndomain0 00000000,00000003 212499247\n";
        let (result, samples) = Tree::new(&[("proc/schedstat", text)]).collect(collect);
        result.unwrap();
        let running = samples.value("node_schedstat_running_seconds_total{cpu=\"3\"}");
        assert_eq!(running, Some(2_045_936.778_163_039));
        let slices = samples.value("node_schedstat_timeslices_total{cpu=\"3\"}");
        assert_eq!(slices, Some(4_767_485_306.0));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
