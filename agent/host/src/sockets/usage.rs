//! How many sockets there are: `/proc/net/sockstat`.

use nix::unistd::{SysconfVar, sysconf};

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Kind, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    for file in ["net/sockstat", "net/sockstat6"] {
        match reader.file(&roots.proc, file) {
            Ok(text) => text.parsed(|text| parse(text, samples))?,
            // That version of IP is off.
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Reads the lines `TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1`.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let (protocol, rest) = line.split_once(':').ok_or(line_number)?;
        let mut words = words(rest);
        while let Some(state) = words.next() {
            let value = words.next().and_then(number).ok_or(line_number)?;
            if protocol == "sockets" {
                if state == "used" {
                    samples.set(&USED, &[], value);
                }
            } else if STATES.contains(&state) {
                add(samples, protocol, state, value);
            }
            if state == "mem" {
                add(samples, protocol, "mem_bytes", value * page());
            }
        }
    }
    Ok(())
}

fn add(samples: &mut Samples, protocol: &str, state: &str, value: f64) {
    let name = format!("node_sockstat_{protocol}_{state}");
    let help = format!("Sockets of {protocol}: {state}.");
    samples.named(&name, Kind::Gauge, &help, &[], value);
}

/// The field is in pages.
fn page() -> f64 {
    let bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    crate::text::signed(bytes.unwrap_or(4096))
}

const USED: Family = Family::gauge("node_sockstat_sockets_used", &[], "Sockets that are open.");
const STATES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn protocols_have_their_states() {
        let tree = Tree::new(&[
            (
                "proc/net/sockstat",
                "sockets: used 229\nTCP: inuse 4 tw 3 mem 2\nFRAG: inuse 0 memory 5\n",
            ),
            ("proc/net/sockstat6", "TCP6: inuse 17\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_sockstat_sockets_used", 229.0),
            ("node_sockstat_TCP_tw", 3.0),
            ("node_sockstat_TCP_mem", 2.0),
            ("node_sockstat_TCP_mem_bytes", 2.0 * page()),
            ("node_sockstat_FRAG_memory", 5.0),
            ("node_sockstat_TCP6_inuse", 17.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        let (result, _) = Tree::new(&[("proc/net/sockstat", "TCP: inuse\n")]).collect(collect);
        assert!(result.is_err(), "a state without a number");
    }
}
