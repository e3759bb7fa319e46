//! Thermal zones, and what cools them: `/sys/class/thermal`.

use crate::collector::Context;
use crate::read::{CollectError, names};
use crate::sample::Family;

#[expect(clippy::unnecessary_wraps, reason = "as all collectors")]
pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/thermal");
    // A host without any has no failure, as with `node_exporter`.
    for name in names(&folder).unwrap_or_default() {
        let zone = name.strip_prefix("thermal_zone");
        let device = name.strip_prefix("cooling_device");
        let Some(number) = zone.or(device) else { continue };
        let folder = folder.join(&name);
        let Some(kind) = reader.attribute(&folder, "type").map(str::to_owned) else { continue };
        let families = if zone.is_some() { &ZONE[..] } else { &DEVICE[..] };
        for (file, unit, family) in families {
            if let Some(value) = reader.number(&folder, file) {
                samples.set(family, &[number, &kind], value / unit);
            }
        }
    }
    Ok(())
}

/// By file, with the unit of the file.
static ZONE: [(&str, f64, Family); 1] = [(
    "temp",
    1000.0,
    Family::gauge("node_thermal_zone_temp", &["zone", "type"], "Temperature in degrees Celsius."),
)];
static DEVICE: [(&str, f64, Family); 2] = [
    (
        "cur_state",
        1.0,
        Family::gauge("node_cooling_device_cur_state", &["name", "type"], "How hard it cools."),
    ),
    (
        "max_state",
        1.0,
        Family::gauge("node_cooling_device_max_state", &["name", "type"], "How hard it can cool."),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn zones_and_what_cools_them() {
        let tree = Tree::new(&[
            ("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n"),
            ("sys/class/thermal/thermal_zone0/temp", "41500\n"),
            ("sys/class/thermal/thermal_zone1/type", "asleep\n"),
            ("sys/class/thermal/cooling_device7/type", "Processor\n"),
            ("sys/class/thermal/cooling_device7/cur_state", "-1\n"),
            ("sys/class/thermal/cooling_device7/max_state", "27\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_thermal_zone_temp{zone=\"0\",type=\"x86_pkg_temp\"}", 41.5),
            ("node_cooling_device_cur_state{name=\"7\",type=\"Processor\"}", -1.0),
            ("node_cooling_device_max_state{name=\"7\",type=\"Processor\"}", 27.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert_eq!(samples.len(), 3, "what cannot be read has no series");
    }
}
