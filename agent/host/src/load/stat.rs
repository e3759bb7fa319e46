//! What the kernel has counted since the boot: `/proc/stat`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "stat")?.parsed(|text| parse(text, samples))
}

fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let mut words = words(line);
        let first = words.next();
        let family = FAMILIES.iter().find(|(word, _)| Some(*word) == first);
        if let Some((_, family)) = family {
            let value = words.next().and_then(number).ok_or(line_number)?;
            samples.set(family, &[], value);
        }
    }
    Ok(())
}

/// By the first word of the line; the number that counts is the next.
static FAMILIES: [(&str, Family); 6] = [
    ("intr", Family::counter("node_intr_total", &[], "Interrupts.")),
    ("ctxt", Family::counter("node_context_switches_total", &[], "Context switches.")),
    ("processes", Family::counter("node_forks_total", &[], "Processes that were started.")),
    ("btime", Family::gauge("node_boot_time_seconds", &[], "When the host was started.")),
    ("procs_running", Family::gauge("node_procs_running", &[], "Processes that could run.")),
    (
        "procs_blocked",
        Family::gauge("node_procs_blocked", &[], "Processes that wait for input or output."),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn the_first_number_of_a_line_counts() {
        let text = "cpu 1 2\nintr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\nsoftirq 5 0\n";
        let (result, samples) = Tree::new(&[("proc/stat", text)]).collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_intr_total"), Some(8_885_917.0));
        assert_eq!(samples.value("node_boot_time_seconds"), Some(1_418_183_276.0));
        assert_eq!(samples.len(), 3);
    }
}
