//! How many neighbours each device knows: `/proc/net/arp`.

use std::collections::BTreeMap;

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{float, lines, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "net/arp")?.parsed(|text| parse(text, samples))
}

/// Reads the rows below the heading; the device is in the sixth column.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    let mut entries: BTreeMap<&str, u64> = BTreeMap::new();
    for (line_number, line) in lines(text).skip(1) {
        let device = words(line).nth(5).ok_or(line_number)?;
        *entries.entry(device).or_default() += 1;
    }
    for (device, count) in entries {
        samples.set(&ENTRIES, &[device], float(count));
    }
    Ok(())
}

const ENTRIES: Family =
    Family::gauge("node_arp_entries", &["device"], "Neighbours that the device knows by ARP.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn rows_are_counted_by_device() {
        let heading =
            "IP address       HW type     Flags       HW address            Mask     Device\n";
        let row = |last, device| {
            format!("192.0.2.{last}   0x1   0x2   02:00:00:00:00:0{last}     *        {device}\n")
        };
        let text = heading.to_owned() + &row(1, "eth0") + &row(2, "eth0") + &row(3, "br0");
        let (result, samples) = Tree::new(&[("proc/net/arp", &text)]).collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_arp_entries{device=\"eth0\"}"), Some(2.0));
        assert_eq!(samples.value("node_arp_entries{device=\"br0\"}"), Some(1.0));
        let (result, _) = Tree::new(&[("proc/net/arp", "x\n1 2\n")]).collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 2, .. })), "{result:?}");
    }
}
