//! How the processors cope with packets: `/proc/net/softnet_stat`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{float, hexadecimal, lines, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "net/softnet_stat")?.parsed(|text| parse(text, samples))
}

/// Reads a row of hexadecimal numbers for each processor; newer kernels have more columns.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (row, (line_number, line)) in (0_u64..).zip(lines(text)) {
        let column = |column| words(line).nth(column).map(hexadecimal);
        let cpu = column(CPU).flatten().unwrap_or_else(|| float(row)).to_string();
        for (at, family) in &FAMILIES {
            match column(*at) {
                Some(value) => samples.set(family, &[&cpu], value.ok_or(line_number)?),
                None if *at > ALWAYS => {}
                None => return Err(line_number),
            }
        }
    }
    Ok(())
}

/// The last column that every kernel has.
const ALWAYS: usize = 8;
/// Since Linux 5.14 a row says whose it is.
const CPU: usize = 12;
/// By column.
static FAMILIES: [(usize, Family); 7] = [
    (0, Family::counter("node_softnet_processed_total", &["cpu"], "Packets processed.")),
    (1, Family::counter("node_softnet_dropped_total", &["cpu"], "Packets dropped.")),
    (
        2,
        Family::counter(
            "node_softnet_times_squeezed_total",
            &["cpu"],
            "How often there was no time left for packets that waited.",
        ),
    ),
    (
        ALWAYS,
        Family::counter(
            "node_softnet_cpu_collision_total",
            &["cpu"],
            "Collisions over the lock of a device while sending.",
        ),
    ),
    (
        9,
        Family::counter(
            "node_softnet_received_rps_total",
            &["cpu"],
            "How often another processor woke this one for packets.",
        ),
    ),
    (
        10,
        Family::counter(
            "node_softnet_flow_limit_count_total",
            &["cpu"],
            "How often a flow was limited.",
        ),
    ),
    (11, Family::gauge("node_softnet_backlog_len", &["cpu"], "Packets that wait.")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn rows_are_named_by_the_kernel_or_by_their_place() {
        let old = "00008e78 00000001 00000011 00000000 00000000 0 0 0 00000020 00000000\n";
        let new = "01663fb2 0 0 0 0 0 0 0 0 0 000109a4 00000003 00000007\n";
        let tree = Tree::new(&[("proc/net/softnet_stat", &format!("{old}{new}"))]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_softnet_processed_total{cpu=\"0\"}"), Some(36472.0));
        assert_eq!(samples.value("node_softnet_cpu_collision_total{cpu=\"0\"}"), Some(32.0));
        assert_eq!(samples.value("node_softnet_backlog_len{cpu=\"0\"}"), None);
        assert_eq!(samples.value("node_softnet_flow_limit_count_total{cpu=\"7\"}"), Some(68004.0));
        assert_eq!(samples.value("node_softnet_backlog_len{cpu=\"7\"}"), Some(3.0));
    }
}
