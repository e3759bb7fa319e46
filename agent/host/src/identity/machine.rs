//! What the firmware says of the machine: `/sys/class/dmi/id`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::Kind;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/dmi/id");
    if !folder.is_dir() {
        return Err(CollectError::Absent { what: ABSENT });
    }
    // Serial numbers can be read by root only: what is not to be had is no label.
    let found = FILES.iter().filter_map(|(file, label)| {
        reader.attribute(&folder, file).map(|value| (*label, value.to_owned()))
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(CollectError::Absent { what: ABSENT });
    }
    let labels: Vec<_> = found.iter().map(|(label, value)| (*label, value.as_str())).collect();
    samples.named("node_dmi_info", Kind::Gauge, HELP, &labels, 1.0);
    Ok(())
}

const ABSENT: &str = "description by its firmware (DMI)";
const HELP: &str = "Always 1; what the firmware says of the machine are labels.";
/// Files and labels.
const FILES: [(&str, &str); 20] = [
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("sys_vendor", "system_vendor"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn only_what_can_be_read_is_a_label() {
        let tree = Tree::new(&[
            ("sys/class/dmi/id/bios_vendor", "Dell Inc.\n"),
            ("sys/class/dmi/id/sys_vendor", " Dell \"x\"\n"),
            ("sys/class/dmi/id/board_asset_tag", "\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        let series = "node_dmi_info{bios_vendor=\"Dell Inc.\",board_asset_tag=\"\",\
                      system_vendor=\"Dell \\\"x\\\"\"}";
        assert_eq!(samples.value(series), Some(1.0));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
