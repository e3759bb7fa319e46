//! What `smartctl --json` says of a disk: the fields that are needed, and no others.
//!
//! The names are those of its format, version 1. What is not there is none; numbers are floats, so
//! that one of 128 bits is no mistake.

use serde::Deserialize;

/// The answer for one disk.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Answer {
    /// Of `smartctl` itself.
    pub smartctl: Smartctl,
    /// How it was reached.
    pub device: Device,
    /// The family of its model, where `smartctl` knows it.
    pub model_family: Option<String>,
    /// Its model.
    pub model_name: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// What the model is called besides.
    pub ata_additional_product_id: Option<String>,
    /// Its firmware.
    pub firmware_version: Option<String>,
    /// Which ATA it speaks.
    pub ata_version: Versioned,
    /// Which SATA it speaks.
    pub sata_version: Versioned,
    /// Its size as a thing.
    pub form_factor: Named,
    /// Turns per minute; 0 if nothing turns.
    pub rotation_rate: Option<f64>,
    /// Whether it has SMART.
    pub smart_support: Option<Support>,
    /// What it says of itself as a whole.
    pub smart_status: Option<Status>,
    /// How warm it is.
    pub temperature: Temperature,
    /// How worn it is.
    pub endurance_used: Endurance,
    /// The attributes of an ATA disk.
    pub ata_smart_attributes: Table,
    /// The log of an `NVMe` disk.
    pub nvme_smart_health_information_log: Option<NvmeLog>,
    /// Sectors that a SCSI disk has replaced.
    pub scsi_grown_defect_list: Option<f64>,
}

/// What `smartctl` says of its own run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Smartctl {
    /// Its bits, see EXIT STATUS of smartctl(8).
    pub exit_status: Option<f64>,
    /// What went wrong.
    pub messages: Vec<Message>,
}

/// A line of `smartctl`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Message {
    /// Its text.
    pub string: String,
    /// `error`, `warning` or `information`.
    pub severity: String,
}

/// How a disk was reached.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Device {
    /// Such as `sat` or `nvme`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `ATA`.
    pub protocol: String,
}

/// A version with its text.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Versioned {
    /// The text.
    pub string: String,
}

/// A thing with a name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// Whether a disk has SMART.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Support {
    /// It has it.
    pub available: bool,
    /// It is switched on; none if that is not known.
    pub enabled: Option<bool>,
}

/// What a disk says of itself as a whole.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct Status {
    /// It does not expect to fail.
    pub passed: bool,
}

/// Degrees Celsius.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Temperature {
    /// Now.
    pub current: Option<f64>,
    /// The limit of a SCSI disk.
    pub drive_trip: Option<f64>,
    /// The limit for running well.
    pub op_limit_max: Option<f64>,
}

/// How worn a disk is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Endurance {
    /// In percent of what its maker promises.
    pub current_percent: Option<f64>,
}

/// The attributes of an ATA disk.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Table {
    /// One after the other.
    pub table: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Attribute {
    /// Its number.
    pub id: u32,
    /// Its name, as `smartctl` calls it for this model.
    pub name: String,
    /// Normalized: sinks to the threshold.
    pub value: Option<f64>,
    /// Empty, or `now` or `past`: when the value was at the threshold.
    pub when_failed: String,
    /// Of which kind it is.
    pub flags: AttributeFlags,
    /// As the disk counts.
    pub raw: Raw,
}

/// Of which kind an attribute is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the format")]
pub struct AttributeFlags {
    /// All of them in one text.
    pub string: String,
    /// At its threshold the disk fails, instead of being worn.
    pub prefailure: bool,
    /// Kept up to date while it runs.
    pub updated_online: bool,
    /// Of speed.
    pub performance: bool,
    /// A rate of errors.
    pub error_rate: bool,
    /// A count.
    pub event_count: bool,
    /// Kept by the disk itself.
    pub auto_keep: bool,
}

/// A value as the disk counts.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Raw {
    /// All its bits.
    pub value: f64,
    /// As `smartctl` reads it for this model.
    pub string: String,
}

/// The log of an `NVMe` disk.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct NvmeLog {
    /// One bit for each thing that is wrong; a log without it says nothing.
    pub critical_warning: Option<u8>,
    /// In percent.
    pub available_spare: Option<f64>,
    /// Below it the disk warns.
    pub available_spare_threshold: Option<f64>,
    /// In percent of what its maker promises; may pass 100.
    pub percentage_used: Option<f64>,
    /// Data that could not be read or was wrong.
    pub media_errors: Option<f64>,
}

impl Answer {
    /// Parses an answer; the error is one clause.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let answer: Self = serde_json::from_slice(json)
            .map_err(|_| "smartctl's answer is no answer".to_owned())?;
        if answer.smartctl.exit_status.is_none() {
            return Err("smartctl's answer is cut off".to_owned());
        }
        Ok(answer)
    }

    /// Returns sectors that have been replaced.
    pub fn reallocated(&self) -> Option<f64> {
        self.count(5, "Reallocat")
    }

    /// Returns sectors that could not be read and wait to be written.
    pub fn pending(&self) -> Option<f64> {
        self.count(197, "Pending")
    }

    /// Returns sectors that the disk itself could not read when it looked.
    pub fn uncorrectable(&self) -> Option<f64> {
        self.count(198, "Unc")
    }

    /// Returns data that an `NVMe` disk could not read.
    pub fn media_errors(&self) -> Option<f64> {
        self.nvme_smart_health_information_log.and_then(|log| log.media_errors)
    }

    /// Returns how worn it is, in percent of what its maker promises.
    pub fn worn(&self) -> Option<f64> {
        let log = self.nvme_smart_health_information_log;
        let left = |attribute: &Attribute| attribute.is_wear().then_some(attribute.value).flatten();
        let by_attribute = || {
            let left = self.attributes().filter_map(left).filter(|left| *left <= 100.0);
            left.reduce(f64::min).map(|left| 100.0 - left)
        };
        let by_log = log.and_then(|log| log.percentage_used);
        by_log.or(self.endurance_used.current_percent).or_else(by_attribute)
    }

    /// Returns whether nothing turns in it, as far as it says.
    pub fn is_solid(&self) -> bool {
        self.rotation_rate == Some(0.0) || self.nvme_smart_health_information_log.is_some()
    }

    /// Returns the attributes; no disk has more than 30.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.ata_smart_attributes.table.iter().take(ATTRIBUTES_MAX)
    }

    /// Returns what `smartctl` ended with, if it could not ask all that it asks: bits 0 to 2.
    pub fn failed_status(&self) -> Option<f64> {
        self.smartctl.exit_status.filter(|status| (status % 8.0).abs() >= 1.0)
    }

    /// Returns what `smartctl` says went wrong.
    pub fn complaint(&self) -> Option<&str> {
        let message = self.smartctl.messages.iter().find(|message| message.severity == "error");
        message.map(|message| message.string.as_str())
    }

    /// The number of an attribute has another meaning on some models, which its name then tells.
    fn count(&self, id: u32, name: &str) -> Option<f64> {
        let is = |attribute: &&Attribute| attribute.id == id && attribute.name.contains(name);
        self.attributes().find(is).map(Attribute::count)
    }
}

impl Attribute {
    /// Returns the count; makers pack others into the same bits, and `smartctl` puts it first.
    pub fn count(&self) -> f64 {
        let digits = self.raw.string.split(|it: char| !it.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(self.raw.value)
    }

    /// Returns whether its value is what is left of the disk's life, in percent.
    pub fn is_wear(&self) -> bool {
        WEAR.iter().any(|name| self.name.starts_with(name))
    }

    /// Returns whether it is a temperature, which passes its threshold on each hot day.
    pub fn is_temperature(&self) -> bool {
        self.name.contains("Temperature")
    }
}

const ATTRIBUTES_MAX: usize = 64;
/// As `smartctl` calls them for various makers.
const WEAR: [&str; 5] = [
    "Media_Wearout_Indicator",
    "Percent_Lifetime_Remain",
    "Remaining_Lifetime_Perc",
    "SSD_Life_Left",
    "Wear_Leveling_Count",
];
