//! The energy that processors have used, where they count it (RAPL).

use std::collections::BTreeMap;

use crate::collector::Context;
use crate::read::{CollectError, names};
use crate::sample::Kind;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/powercap");
    let zones = names(&folder).map_err(|failure| failure.or_absent(ABSENT))?;
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    for zone in zones {
        let folder = folder.join(&zone);
        let Some(name) = reader.attribute(&folder, "name").map(str::to_owned) else { continue };
        // `package-0` has its number with it; the `core` of each package has not.
        let numbered = name
            .split_once('-')
            .and_then(|(name, number)| Some((name.to_owned(), number.parse::<u32>().ok()?)));
        let (name, index) = numbered.unwrap_or_else(|| {
            let index = used.get(&name).copied().unwrap_or_default();
            (name, index)
        });
        used.insert(name.clone(), index.saturating_add(1));
        // Since it gives away what is computed, only root may read it.
        let Some(microjoules) = reader.number(&folder, "energy_uj") else { continue };
        let family = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
        let (index, path) = (index.to_string(), folder.to_string_lossy());
        let labels = [("index", index.as_str()), ("path", &path)];
        let help = format!("Joules that the zone {name} has used.");
        let family = format!("node_rapl_{family}_joules_total");
        samples.named(&family, Kind::Counter, &help, &labels, microjoules / 1e6);
    }
    if samples.is_empty() { Err(CollectError::Absent { what: ABSENT }) } else { Ok(()) }
}

const ABSENT: &str = "count of energy that may be read";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn zones_of_one_name_have_numbers() {
        let tree = Tree::new(&[
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl:0/energy_uj", "240422366267\n"),
            ("sys/class/powercap/intel-rapl:0:0/name", "core\n"),
            ("sys/class/powercap/intel-rapl:0:0/energy_uj", "118821284256\n"),
            ("sys/class/powercap/intel-rapl:1:0/name", "core\n"),
            ("sys/class/powercap/intel-rapl:1:0/energy_uj", "1000000\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        let folder = tree.roots().sys.join("class/powercap");
        let series = |family: &str, index: u32, zone: &str| {
            let path = folder.join(zone);
            let labels = format!("{{index=\"{index}\",path=\"{}\"}}", path.display());
            samples.value(&format!("node_rapl_{family}_joules_total{labels}"))
        };
        assert_eq!(series("package", 0, "intel-rapl:0"), Some(240_422.366_267));
        assert_eq!(series("core", 1, "intel-rapl:1:0"), Some(1.0));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
