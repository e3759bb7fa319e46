//! What the kernel keeps of connections.

use crate::collector::Context;
use crate::read::{CollectError, Reader};
use crate::sample::Family;
use crate::text::{float, lines, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.proc.join("sys/net/netfilter");
    samples.set(&ENTRIES, &[], alone(reader, &folder, "nf_conntrack_count")?);
    samples.set(&LIMIT, &[], alone(reader, &folder, "nf_conntrack_max")?);
    let text = reader.file(&roots.proc, "net/stat/nf_conntrack");
    let sums = text.map_err(|failure| failure.or_absent(ABSENT))?.parsed(parse)?;
    for ((_, family), sum) in STATISTICS.iter().zip(sums) {
        samples.set(family, &[], float(sum));
    }
    Ok(())
}

fn alone(reader: &mut Reader, folder: &std::path::Path, file: &str) -> Result<f64, CollectError> {
    let text = reader.file(folder, file).map_err(|failure| failure.or_absent(ABSENT))?;
    text.parsed(|text| crate::text::number(text.trim()).ok_or(1))
}

/// Returns the sums over the processors, each of which has a row of hexadecimal numbers.
fn parse(text: &str) -> Result<[u64; 8], usize> {
    let mut sums = [0_u64; 8];
    for (line_number, line) in lines(text).skip(1) {
        for ((column, _), sum) in STATISTICS.iter().zip(&mut sums) {
            match words(line).nth(*column) {
                Some(word) => {
                    let value = u64::from_str_radix(word, 16).map_err(|_| line_number)?;
                    *sum = sum.wrapping_add(value);
                }
                // Older kernels have no search_restart.
                None if *column == LAST => {}
                None => return Err(line_number),
            }
        }
    }
    Ok(sums)
}

const ENTRIES: Family =
    Family::gauge("node_nf_conntrack_entries", &[], "Connections that are kept track of.");
const LIMIT: Family =
    Family::gauge("node_nf_conntrack_entries_limit", &[], "How many can be kept track of.");
const LAST: usize = 16;
/// By column.
static STATISTICS: [(usize, Family); 8] = [
    (2, Family::gauge("node_nf_conntrack_stat_found", &[], "Entries that were found.")),
    (
        4,
        Family::gauge(
            "node_nf_conntrack_stat_invalid",
            &[],
            "Packets that cannot be kept track of.",
        ),
    ),
    (5, Family::gauge("node_nf_conntrack_stat_ignore", &[], "Packets that had an entry already.")),
    (8, Family::gauge("node_nf_conntrack_stat_insert", &[], "Entries that were inserted.")),
    (
        9,
        Family::gauge(
            "node_nf_conntrack_stat_insert_failed",
            &[],
            "Entries that could not be inserted.",
        ),
    ),
    (
        10,
        Family::gauge(
            "node_nf_conntrack_stat_drop",
            &[],
            "Packets dropped since they could not be kept track of.",
        ),
    ),
    (
        11,
        Family::gauge(
            "node_nf_conntrack_stat_early_drop",
            &[],
            "Entries dropped to make room for others.",
        ),
    ),
    (
        LAST,
        Family::gauge(
            "node_nf_conntrack_stat_search_restart",
            &[],
            "Searches that began anew because the table was resized.",
        ),
    ),
];
const ABSENT: &str = "connection tracking";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn the_processors_are_added_up() {
        let row = "00000021 00000000 00000003 00000000 00000001 00000587 00000000 00000000 \
                   00000000 00000002 00000000 00000000 00000000 00000000 00000000 00000000 \
                   0000000a\n";
        let text = format!("entries searched found\n{row}{row}");
        let tree = Tree::new(&[
            ("proc/sys/net/netfilter/nf_conntrack_count", "123\n"),
            ("proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
            ("proc/net/stat/nf_conntrack", &text),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_nf_conntrack_entries_limit"), Some(65536.0));
        assert_eq!(samples.value("node_nf_conntrack_stat_ignore"), Some(2830.0));
        assert_eq!(samples.value("node_nf_conntrack_stat_search_restart"), Some(20.0));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
