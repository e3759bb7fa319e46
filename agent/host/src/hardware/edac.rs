//! Errors of the memory that were corrected, or not.

use std::path::Path;

use crate::collector::Context;
use crate::read::{CollectError, Reader, names, numbered};
use crate::sample::{Family, Samples};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("devices/system/edac/mc");
    // Most hosts have no such memory, for which `node_exporter` has no failure either.
    for controller in numbered(&folder, "mc").unwrap_or_default() {
        let folder = folder.join(&controller);
        let controller = controller.trim_start_matches("mc");
        for ((file, rest), family) in CONTROLLER.iter().zip(&CONTROLLER_FAMILIES) {
            if let Some(count) = reader.number(&folder, file) {
                samples.set(family, &[controller], count);
            }
            if let Some(count) = reader.number(&folder, rest) {
                samples.set(row_family(file), &[controller, "unknown"], count);
            }
        }
        for row in numbered(&folder, "csrow")? {
            rows(reader, samples, controller, &folder.join(&row), row.trim_start_matches("csrow"))?;
        }
    }
    Ok(())
}

fn rows(
    reader: &mut Reader,
    samples: &mut Samples,
    controller: &str,
    folder: &Path,
    row: &str,
) -> Result<(), CollectError> {
    for file in ["ce_count", "ue_count"] {
        if let Some(count) = reader.number(folder, file) {
            samples.set(row_family(file), &[controller, row], count);
        }
    }
    let channels = names(folder)?;
    let channels = channels.iter().filter_map(|name| {
        let channel = name.strip_prefix("ch")?.strip_suffix("_ce_count")?;
        channel.bytes().all(|byte| byte.is_ascii_digit()).then_some(channel)
    });
    for channel in channels {
        let label = reader.attribute(folder, &format!("ch{channel}_dimm_label"));
        let label = label.map_or_else(
            || "unknown".to_owned(),
            |label| {
                label.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel")
            },
        );
        for (file, family) in [("ce_count", &CHANNEL_CORRECTED), ("ue_count", &CHANNEL_LOST)] {
            if let Some(count) = reader.number(folder, &format!("ch{channel}_{file}")) {
                samples.set(family, &[controller, row, channel, &label], count);
            }
        }
    }
    Ok(())
}

fn row_family(file: &str) -> &'static Family {
    if file.starts_with("ce") { &ROW_CORRECTED } else { &ROW_LOST }
}

/// The count of a controller, and the part of it that has no row.
const CONTROLLER: [(&str, &str); 2] =
    [("ce_count", "ce_noinfo_count"), ("ue_count", "ue_noinfo_count")];
static CONTROLLER_FAMILIES: [Family; 2] = [
    Family::counter(
        "node_edac_correctable_errors_total",
        &["controller"],
        "Errors of the memory that were corrected.",
    ),
    Family::counter(
        "node_edac_uncorrectable_errors_total",
        &["controller"],
        "Errors of the memory that could not be corrected.",
    ),
];
const ROW_CORRECTED: Family = Family::counter(
    "node_edac_csrow_correctable_errors_total",
    &["controller", "csrow"],
    "Corrected errors of the row.",
);
const ROW_LOST: Family = Family::counter(
    "node_edac_csrow_uncorrectable_errors_total",
    &["controller", "csrow"],
    "Errors of the row that could not be corrected.",
);
const CHANNEL_CORRECTED: Family = Family::counter(
    "node_edac_channel_correctable_errors_total",
    &["controller", "csrow", "channel", "dimm_label"],
    "Corrected errors of the channel.",
);
const CHANNEL_LOST: Family = Family::counter(
    "node_edac_channel_uncorrectable_errors_total",
    &["controller", "csrow", "channel", "dimm_label"],
    "Errors of the channel that could not be corrected.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn errors_are_told_by_controller_row_and_channel() {
        let mc = "sys/devices/system/edac/mc/mc0";
        let tree = Tree::new(&[
            (&format!("{mc}/ce_count"), "1\n"),
            (&format!("{mc}/ce_noinfo_count"), "2\n"),
            (&format!("{mc}/ue_count"), "5\n"),
            (&format!("{mc}/ue_noinfo_count"), "6\n"),
            (&format!("{mc}/csrow0/ce_count"), "3\n"),
            (&format!("{mc}/csrow0/ue_count"), "4\n"),
            (&format!("{mc}/csrow0/ch0_ce_count"), "7\n"),
            (&format!("{mc}/csrow0/ch0_dimm_label"), "mc#0csrow#0channel#0\n"),
            (&format!("{mc}/csrow0/ch1_ce_count"), "8\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        let channel = |channel, label| {
            format!(
                "node_edac_channel_correctable_errors_total{{controller=\"0\",csrow=\"0\",\
                 channel=\"{channel}\",dimm_label=\"{label}\"}}"
            )
        };
        for (series, value) in [
            ("node_edac_correctable_errors_total{controller=\"0\"}", 1.0),
            ("node_edac_uncorrectable_errors_total{controller=\"0\"}", 5.0),
            ("node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"unknown\"}", 6.0),
            ("node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"0\"}", 3.0),
            (&channel(0, "mc0_csrow0_channel0"), 7.0),
            (&channel(1, "unknown"), 8.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert!(Tree::new(&[]).collect(collect).0.is_ok(), "no such memory is no failure");
    }
}
