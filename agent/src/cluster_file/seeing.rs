//! What is watched of a host and shown of it: `[host.health]` and `[host.metrics]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::form::{AbsolutePath, CollectorName, OrOff, UnitName};
use super::reader::{Bounded, Section};
use super::value::format_duration;

/// What is watched of a host, and what is shown of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seeing {
    /// From when on its checks complain.
    pub health: Thresholds,
    /// Which metrics it has besides those of its agent.
    pub metrics: Collecting,
}

/// From when on the checks of a host complain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Of the room of a file system; below half of it the check fails. 0 is never.
    pub space_below_percent: u8,
    /// Of the inodes of a file system; below half of it the check fails. 0 is never.
    pub inodes_below_percent: u8,
    /// None: whether a file system will soon be full is not asked.
    pub full_within: Option<Duration>,
    /// Mount points of file systems that may be as full as they like.
    pub filesystems_ignored: Vec<PathBuf>,
    /// Of the time in which some task waits for memory.
    pub memory_pressure_percent: u8,
    /// None: as each sensor says itself.
    pub temperature_above_celsius: Option<u8>,
    /// By how much the clock may be off while somebody keeps it.
    pub clock_off: Duration,
    /// What a certificate must still have before it.
    pub certificate_expires_within: Duration,
    /// Units of systemd that may fail.
    pub units_ignored: Vec<String>,
    /// Whether disks are asked by SMART.
    pub smart: bool,
    /// What becomes of the battery.
    pub battery: BatteryLimits,
}

/// When a battery is a worry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatteryLimits {
    /// On mains without a rise of its charge.
    pub charge_stuck_for: Duration,
    /// Of the runtime at full charge, against what it once was.
    pub runtime_loss_percent: u8,
}

/// Which metrics a host has besides those of its agent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Collecting {
    /// Folders with files of metrics, `*.prom`, besides the usual one.
    pub text_folders: Vec<PathBuf>,
    /// Collectors that are not asked.
    pub without: Vec<&'static str>,
}

/// Reads both tables of a host.
pub(super) fn read(section: &mut Section<'_>) -> Seeing {
    let health = section.table("health", "[host.health]");
    let metrics = section.table("metrics", "[host.metrics]");
    Seeing { health: read_health(health), metrics: read_metrics(metrics) }
}

fn read_health(mut section: Section<'_>) -> Thresholds {
    let ignored = section.list::<AbsolutePath>("filesystems-ignored");
    let units = section.list::<UnitName>("units-ignored");
    let thresholds = Thresholds {
        space_below_percent: section.bounded(&SPACE_BELOW),
        inodes_below_percent: section.bounded(&INODES_BELOW),
        full_within: section.bounded(&FULL_WITHIN).0,
        filesystems_ignored: ignored.into_iter().map(|path| path.0).collect(),
        memory_pressure_percent: section.bounded(&MEMORY_PRESSURE),
        temperature_above_celsius: section.within(&TEMPERATURE_ABOVE),
        clock_off: section.bounded(&CLOCK_OFF),
        certificate_expires_within: section.bounded(&CERTIFICATE_EXPIRES_WITHIN),
        units_ignored: units.into_iter().map(|unit| unit.0).collect(),
        smart: section.optional("smart").unwrap_or(true),
        battery: BatteryLimits {
            charge_stuck_for: section.bounded(&CHARGE_STUCK_FOR),
            runtime_loss_percent: section.bounded(&RUNTIME_LOSS),
        },
    };
    section.finish();
    thresholds
}

fn read_metrics(mut section: Section<'_>) -> Collecting {
    let folders = section.list::<AbsolutePath>("text-folders");
    let without = section.list::<CollectorName>("without");
    section.finish();
    Collecting {
        text_folders: folders.into_iter().map(|path| path.0).collect(),
        without: without.into_iter().map(|collector| collector.0).collect(),
    }
}

/// `[host.health]` with nothing left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HealthTable<'a> {
    space_below: u8,
    inodes_below: u8,
    full_within: String,
    filesystems_ignored: Vec<String>,
    memory_pressure: u8,
    temperature_above: Option<u8>,
    clock_off: String,
    certificate_expires_within: String,
    units_ignored: &'a [String],
    smart: bool,
    charge_stuck_for: String,
    runtime_loss: u8,
}

/// `[host.metrics]` with nothing left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MetricsTable<'a> {
    text_folders: Vec<String>,
    without: &'a [&'static str],
}

impl<'a> HealthTable<'a> {
    pub(super) fn of(health: &'a Thresholds) -> Self {
        let BatteryLimits { charge_stuck_for, runtime_loss_percent } = health.battery;
        let full_within = health.full_within.map_or_else(|| "off".to_owned(), format_duration);
        Self {
            space_below: health.space_below_percent,
            inodes_below: health.inodes_below_percent,
            full_within,
            filesystems_ignored: shown(&health.filesystems_ignored),
            memory_pressure: health.memory_pressure_percent,
            temperature_above: health.temperature_above_celsius,
            clock_off: format_duration(health.clock_off),
            certificate_expires_within: format_duration(health.certificate_expires_within),
            units_ignored: &health.units_ignored,
            smart: health.smart,
            charge_stuck_for: format_duration(charge_stuck_for),
            runtime_loss: runtime_loss_percent,
        }
    }
}

impl<'a> MetricsTable<'a> {
    pub(super) fn of(metrics: &'a Collecting) -> Self {
        Self { text_folders: shown(&metrics.text_folders), without: &metrics.without }
    }
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// Kubelets evict at 10, file systems slow down, and a day of backups no longer fits.
const SPACE_BELOW: Bounded<u8> = Bounded { name: "space-below", default: 10, min: 0, max: 90 };

const INODES_BELOW: Bounded<u8> = Bounded { name: "inodes-below", default: 10, min: 0, max: 90 };

/// Until somebody who looks once a day has looked; beyond a week a line through some hours means
/// nothing.
const FULL_WITHIN: Bounded<OrOff> = Bounded {
    name: "full-within",
    default: OrOff(Some(hours(24))),
    min: OrOff(None),
    max: OrOff(Some(hours(7 * 24))),
};

/// The kernel's scale; a host that waits a fifth of its time feels slow to everybody.
const MEMORY_PRESSURE: Bounded<u8> =
    Bounded { name: "memory-pressure", default: 20, min: 1, max: 100 };

/// What no sensor's own limit contradicts; its default stands where a sensor names none.
const TEMPERATURE_ABOVE: Bounded<u8> =
    Bounded { name: "temperature-above", default: 85, min: 30, max: 120 };

/// A clock that is kept is off by milliseconds; by as much as the default after a bad hour.
const CLOCK_OFF: Bounded<Duration> = Bounded {
    name: "clock-off",
    default: Duration::from_millis(500),
    min: Duration::from_millis(10),
    max: hours(1),
};

/// As `CurfewCertificateExpiring` of the alerts.
const CERTIFICATE_EXPIRES_WITHIN: Bounded<Duration> = Bounded {
    name: "certificate-expires-within",
    default: hours(30 * 24),
    min: hours(1),
    max: hours(365 * 24),
};

/// The longest charge of a UPS for a home takes 8 h, most of it the last tenth.
const CHARGE_STUCK_FOR: Bounded<Duration> =
    Bounded { name: "charge-stuck-for", default: hours(6), min: hours(1), max: hours(7 * 24) };

/// A lead battery counts as worn out at 80 % of its capacity, and runtimes are guessed by the UPS.
const RUNTIME_LOSS: Bounded<u8> = Bounded { name: "runtime-loss", default: 30, min: 5, max: 95 };

const fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}
