//! Bytes that wait in UDP sockets: `/proc/net/udp`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::Family;
use crate::text::{float, lines, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    for (file, version) in [("net/udp", "v4"), ("net/udp6", "v6")] {
        match reader.file(&roots.proc, file) {
            Ok(text) => {
                let (sent, received) = text.parsed(parse)?;
                samples.set(&QUEUES, &["tx", version], float(sent));
                samples.set(&QUEUES, &["rx", version], float(received));
            }
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(failure),
        }
    }
    if samples.is_empty() { Err(CollectError::Absent { what: "UDP" }) } else { Ok(()) }
}

/// Returns the sums of a column like `00000A00:00000001`.
fn parse(text: &str) -> Result<(u64, u64), usize> {
    let mut sums = (0_u64, 0_u64);
    for (line_number, line) in lines(text).skip(1) {
        let queues = words(line).nth(4).and_then(|word| word.split_once(':'));
        let (sent, received) = queues.ok_or(line_number)?;
        let bytes = |word| u64::from_str_radix(word, 16).map_err(|_| line_number);
        sums.0 = sums.0.wrapping_add(bytes(sent)?);
        sums.1 = sums.1.wrapping_add(bytes(received)?);
    }
    Ok(sums)
}

const QUEUES: Family = Family::gauge(
    "node_udp_queues",
    &["queue", "ip"],
    "Bytes that wait to be sent by, or received from, UDP sockets.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn queues_are_added_up() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
            0: 0A000005:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0\n\
            1: 00000000:0016 00000000:0000 0A 00000001:00000010 00:00000000 00000000     0\n";
        let (result, samples) = Tree::new(&[("proc/net/udp", text)]).collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_udp_queues{queue=\"tx\",ip=\"v4\"}"), Some(22.0));
        assert_eq!(samples.value("node_udp_queues{queue=\"rx\",ip=\"v4\"}"), Some(16.0));
        assert_eq!(samples.len(), 2);
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
