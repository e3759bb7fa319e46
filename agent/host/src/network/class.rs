//! What the network devices are: `/sys/class/net`.

use std::path::Path;

use crate::collector::Context;
use crate::read::{CollectError, Reader, names};
use crate::sample::{Family, Samples};
use crate::text::{integer, one_if};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/net");
    let devices = names(&folder).map_err(|failure| failure.or_absent("network devices"))?;
    for device in devices {
        one(reader, samples, &folder.join(&device), &device);
    }
    Ok(())
}

fn one(reader: &mut Reader, samples: &mut Samples, folder: &Path, device: &str) {
    // Not a device: the list of bonds, or one that is just going away.
    let Some(state) = reader.attribute(folder, "operstate").map(str::to_owned) else { return };
    samples.set(&UP, &[device], one_if(state == "up"));
    let mut flags = None;
    for (file, scale, family) in &FAMILIES {
        let value = reader.attribute(folder, file).and_then(integer);
        if let Some(value) = value {
            samples.set(family, &[device], value * scale);
        }
        if *file == "flags" {
            flags = value;
        }
    }
    let mut text = |file| reader.attribute(folder, file).map(str::to_owned).unwrap_or_default();
    let (address, broadcast) = (text("address"), text("broadcast"));
    let (duplex, alias) = (text("duplex"), text("ifalias"));
    let administrated = match flags {
        // The lowest bit is IFF_UP.
        Some(flags) if flags % 2.0 > 0.5 => "up",
        Some(_) => "down",
        None => "unknown",
    };
    let values = [device, &address, &broadcast, &duplex, &state, administrated, &alias];
    samples.set(&INFO, &values, 1.0);
}

const DEVICE: &[&str] = &["device"];
/// Megabits in bytes.
const MEGABIT: f64 = 125_000.0;

const UP: Family =
    Family::gauge("node_network_up", DEVICE, "1 if the device is up, that is, has a link.");
const INFO: Family = Family::gauge(
    "node_network_info",
    &["device", "address", "broadcast", "duplex", "operstate", "adminstate", "ifalias"],
    "Always 1; what the device is are labels.",
);
/// By file, with the unit of the file.
static FAMILIES: [(&str, f64, Family); 17] = [
    (
        "addr_assign_type",
        1.0,
        Family::gauge(
            "node_network_address_assign_type",
            DEVICE,
            "How the device came to its address.",
        ),
    ),
    ("carrier", 1.0, Family::gauge("node_network_carrier", DEVICE, "1 if there is a carrier.")),
    (
        "carrier_changes",
        1.0,
        Family::counter("node_network_carrier_changes_total", DEVICE, "Carrier won or lost."),
    ),
    (
        "carrier_up_count",
        1.0,
        Family::counter("node_network_carrier_up_changes_total", DEVICE, "Carrier won."),
    ),
    (
        "carrier_down_count",
        1.0,
        Family::counter("node_network_carrier_down_changes_total", DEVICE, "Carrier lost."),
    ),
    (
        "dev_id",
        1.0,
        Family::gauge("node_network_device_id", DEVICE, "Tells devices of one address apart."),
    ),
    ("dormant", 1.0, Family::gauge("node_network_dormant", DEVICE, "1 if it waits for consent.")),
    ("flags", 1.0, Family::gauge("node_network_flags", DEVICE, "The flags of the device.")),
    ("ifindex", 1.0, Family::gauge("node_network_iface_id", DEVICE, "The device's number.")),
    (
        "iflink",
        1.0,
        Family::gauge("node_network_iface_link", DEVICE, "Number of the device below it."),
    ),
    (
        "link_mode",
        1.0,
        Family::gauge("node_network_iface_link_mode", DEVICE, "1 if it waits for consent."),
    ),
    (
        "mtu",
        1.0,
        Family::gauge("node_network_mtu_bytes", DEVICE, "The longest packet that it sends."),
    ),
    (
        "name_assign_type",
        1.0,
        Family::gauge("node_network_name_assign_type", DEVICE, "How it came to its name."),
    ),
    (
        "netdev_group",
        1.0,
        Family::gauge("node_network_net_dev_group", DEVICE, "The group that it is in."),
    ),
    (
        "speed",
        MEGABIT,
        Family::gauge("node_network_speed_bytes", DEVICE, "Bytes per second that it can do."),
    ),
    (
        "tx_queue_len",
        1.0,
        Family::gauge("node_network_transmit_queue_length", DEVICE, "Packets that may wait."),
    ),
    (
        "type",
        1.0,
        Family::gauge("node_network_protocol_type", DEVICE, "The hardware's number in ARP."),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn what_a_device_does_not_say_has_no_series() {
        let tree = Tree::new(&[
            ("sys/class/net/bonding_masters", "\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/address", "02:00:00:00:00:01\n"),
            ("sys/class/net/eth0/duplex", "full\n"),
            ("sys/class/net/eth0/flags", "0x1003\n"),
            ("sys/class/net/eth0/speed", "1000\n"),
            ("sys/class/net/eth0/dev_id", "0x20\n"),
            ("sys/class/net/wlan0/operstate", "down\n"),
            ("sys/class/net/wlan0/flags", "0x1002\n"),
            ("sys/class/net/wlan0/speed", "-1\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_network_up{device=\"eth0\"}", 1.0),
            ("node_network_up{device=\"wlan0\"}", 0.0),
            ("node_network_speed_bytes{device=\"eth0\"}", 125_000_000.0),
            ("node_network_speed_bytes{device=\"wlan0\"}", -125_000.0),
            ("node_network_flags{device=\"eth0\"}", 4099.0),
            ("node_network_device_id{device=\"eth0\"}", 32.0),
            (
                "node_network_info{device=\"eth0\",address=\"02:00:00:00:00:01\",broadcast=\"\",\
                 duplex=\"full\",operstate=\"up\",adminstate=\"up\",ifalias=\"\"}",
                1.0,
            ),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.value("node_network_mtu_bytes{device=\"eth0\"}"), None);
        assert_eq!(samples.value("node_network_up{device=\"bonding_masters\"}"), None);
    }
}
