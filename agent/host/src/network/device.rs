//! What each network device has counted: `/proc/net/dev`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let devices = reader.file(&roots.proc, "net/dev")?.parsed(|text| parse(text, samples))?;
    let folder = roots.sys.join("class/net");
    for device in devices {
        let statistics = folder.join(&device).join("statistics");
        if let Some(packets) = reader.number(&statistics, "rx_nohandler") {
            samples.set(&NOHANDLER, &[&device], packets);
        }
    }
    Ok(())
}

/// Reads the lines `  eth0: 1 2 …` below two lines of headings; returns the devices.
fn parse(text: &str, samples: &mut Samples) -> Result<Vec<String>, usize> {
    let mut devices = Vec::new();
    for (line_number, line) in lines(text).skip(2) {
        // A name may have a colon in it, as aliases do.
        let (device, numbers) = line.rsplit_once(':').ok_or(line_number)?;
        let device = device.trim();
        let mut numbers = words(numbers).map(number);
        for family in &FAMILIES {
            samples.set(family, &[device], numbers.next().flatten().ok_or(line_number)?);
        }
        devices.push(device.to_owned());
    }
    Ok(devices)
}

const DEVICE: &[&str] = &["device"];
const NOHANDLER: Family = Family::counter(
    "node_network_receive_nohandler_total",
    DEVICE,
    "Packets that came on a device that nobody listens to.",
);
/// In the order of the columns.
static FAMILIES: [Family; 16] = [
    Family::counter("node_network_receive_bytes_total", DEVICE, "Bytes received."),
    Family::counter("node_network_receive_packets_total", DEVICE, "Packets received."),
    Family::counter("node_network_receive_errs_total", DEVICE, "Packets received with errors."),
    Family::counter("node_network_receive_drop_total", DEVICE, "Packets received and dropped."),
    Family::counter("node_network_receive_fifo_total", DEVICE, "Overruns while receiving."),
    Family::counter("node_network_receive_frame_total", DEVICE, "Frames that were misformed."),
    Family::counter(
        "node_network_receive_compressed_total",
        DEVICE,
        "Packets received compressed.",
    ),
    Family::counter(
        "node_network_receive_multicast_total",
        DEVICE,
        "Packets received by multicast.",
    ),
    Family::counter("node_network_transmit_bytes_total", DEVICE, "Bytes sent."),
    Family::counter("node_network_transmit_packets_total", DEVICE, "Packets sent."),
    Family::counter("node_network_transmit_errs_total", DEVICE, "Errors while sending."),
    Family::counter("node_network_transmit_drop_total", DEVICE, "Packets dropped unsent."),
    Family::counter("node_network_transmit_fifo_total", DEVICE, "Underruns while sending."),
    Family::counter("node_network_transmit_colls_total", DEVICE, "Collisions."),
    Family::counter("node_network_transmit_carrier_total", DEVICE, "Losses of the carrier."),
    Family::counter("node_network_transmit_compressed_total", DEVICE, "Packets sent compressed."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    const HEADINGS: &str = "Inter-|   Receive        |  Transmit\n face |bytes    packets |bytes\n";

    #[test]
    fn columns_have_their_names() {
        let text = format!(
            "{HEADINGS}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\nwlan0:99 0 0 0 0 0 0 0 \
             0 0 0 0 0 0 0 0\n"
        );
        let tree = Tree::new(&[
            ("proc/net/dev", &text),
            ("sys/class/net/eth0/statistics/rx_nohandler", "17\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_network_receive_bytes_total{device=\"eth0\"}", 1.0),
            ("node_network_receive_multicast_total{device=\"eth0\"}", 8.0),
            ("node_network_transmit_bytes_total{device=\"eth0\"}", 9.0),
            ("node_network_transmit_compressed_total{device=\"eth0\"}", 16.0),
            ("node_network_receive_nohandler_total{device=\"eth0\"}", 17.0),
            ("node_network_receive_bytes_total{device=\"wlan0\"}", 99.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.len(), 33);
        let text = format!("{HEADINGS}  eth0: 1 2\n");
        let (result, _) = Tree::new(&[("proc/net/dev", &text)]).collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 3, .. })), "{result:?}");
    }
}
