//! What `NVMe` controllers say of themselves: `/sys/class/nvme`.

use crate::collector::Context;
use crate::read::{CollectError, names};
use crate::sample::Family;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/nvme");
    let devices = names(&folder).map_err(|failure| failure.or_absent("NVMe controllers"))?;
    for device in devices {
        let folder = folder.join(&device);
        let texts = FILES.map(|file| reader.attribute(&folder, file).map(str::to_owned));
        // A controller that is just going away says nothing any more.
        if texts.iter().all(Option::is_none) {
            continue;
        }
        let [firmware, model, serial, state, controller] = texts.map(Option::unwrap_or_default);
        let values = [&device, &firmware, &model, &serial, &state, &controller];
        samples.set(&INFO, &values.map(String::as_str), 1.0);
    }
    Ok(())
}

const FILES: [&str; 5] = ["firmware_rev", "model", "serial", "state", "cntlid"];
const INFO: Family = Family::gauge(
    "node_nvme_info",
    &["device", "firmware_revision", "model", "serial", "state", "cntlid"],
    "Always 1; what the controller is, and its state, are labels.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn a_controller_is_described() {
        let tree = Tree::new(&[
            ("sys/class/nvme/nvme0/firmware_rev", "1B2QEXP7\n"),
            ("sys/class/nvme/nvme0/model", "Samsung SSD 970 PRO 512GB               \n"),
            ("sys/class/nvme/nvme0/serial", "S680HF8N190894I     \n"),
            ("sys/class/nvme/nvme0/state", "live\n"),
            ("sys/class/nvme/nvme1/uevent", "\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        let series = "node_nvme_info{device=\"nvme0\",firmware_revision=\"1B2QEXP7\",\
                      model=\"Samsung SSD 970 PRO 512GB\",serial=\"S680HF8N190894I\",\
                      state=\"live\",cntlid=\"\"}";
        assert_eq!((samples.len(), samples.value(series)), (1, Some(1.0)));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
