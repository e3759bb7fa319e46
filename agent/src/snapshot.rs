//! What the app publishes about this host, for everybody who only looks.
//!
//! The event loop sends a new one at every beat; whoever shows something takes the latest and asks
//! the loop for nothing, so that no scrape can ever hold a shutdown up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{HostName, Status, Time};
use curfew_nut::delay::Delays;
use tokio::time::Instant;

use crate::battery;
use crate::cluster_file::System;
use crate::filesystem;
use crate::health::{self, Check};
use crate::journal;
use crate::mounts::NfsMount;
use crate::nfsd;
use crate::past::Past;
use crate::smart;
use crate::talos;
use crate::units;

/// This host as it was at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the coordinator says.
    pub status: Status,
    /// The moment, on the boot clock.
    pub at: Time,
    /// The same moment, by which the ages of what is shown grow on.
    pub taken: Instant,
    /// How long the agent had been running.
    pub running_for: Duration,
    /// The age below which a reading of the UPS is fresh.
    pub fresh: Duration,
    /// The variables of the last reading, as `upsd` gave them.
    pub ups_variables: BTreeMap<String, String>,
    /// What the cluster file says of whether the UPS comes back after a cut.
    pub returns: Option<bool>,
    /// What only the owner knows of its UPS; none on other hosts.
    pub owned: Option<OwnedUps>,
    /// The UPSes that are watched and not acted on.
    pub watched: Vec<WatchedUps>,
    /// Where to look for the agent of each host of the file.
    pub places: Arc<BTreeMap<HostName, Place>>,
    /// When certificates run out, by holder, in seconds since 1970.
    pub certificates: BTreeMap<String, u64>,
    /// How the journal fares.
    pub journal: journal::Report,
    /// What has been on this host; none before its history was read.
    pub past: Option<Arc<Past>>,
    /// How the battery of the first UPS fares; none before the first look.
    pub battery: Option<Arc<battery::Report>>,
    /// What this host knows of its own NFS server; none on a host without one, and before its
    /// first look.
    pub nfs_server: Option<Arc<nfsd::Report>>,
    /// What this host holds that others wait for; none before the first look.
    pub holding: Option<Arc<Holding>>,
    /// How full its file systems are; none before the first look.
    pub filesystems: Option<Arc<filesystem::Report>>,
    /// What systemd says of its units; none before the first look, and on a host without it.
    pub units: Option<Arc<units::Report>>,
    /// How this machine fares, by checks of its own; none before the first look.
    pub host: Option<Arc<health::host::Report>>,
    /// How its disks fare; none where nobody asks them, and before the first look.
    pub smart: Option<Arc<smart::Report>>,
    /// What is known of Talos; none on a host without it.
    pub talos: Option<Arc<talos::View>>,
    /// Checks that the agent makes itself, such as those of certificates.
    pub extra: Vec<Check>,
}

/// Where to look for an agent.
#[derive(Clone, Debug)]
pub struct Place {
    /// What its host runs.
    pub system: System,
    /// Where its host is, for those who cannot resolve its name.
    pub address: IpAddr,
}

/// What this host holds that others wait for; what could not be read says why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holding {
    /// Its NFS mounts.
    pub mounts: Result<BTreeSet<NfsMount>, String>,
    /// Whether pods run; none on a host without a kubelet, and where nothing hangs on it.
    pub pods: Result<Option<bool>, String>,
}

/// What the owner knows of its UPS besides the readings.
#[derive(Clone, Debug, Default)]
pub struct OwnedUps {
    /// The command that opens its output, if it offers one.
    pub cut_method: Option<&'static str>,
    /// Its delays, by the last reading.
    pub delays: Delays,
    /// How many foreign NUT clients are logged in, where that is known.
    pub foreign_clients: Option<u32>,
}

/// A UPS that is watched and not acted on.
#[derive(Clone, Debug)]
pub struct WatchedUps {
    /// Its name.
    pub name: String,
    /// The variables of its last reading, as `upsd` gave them.
    pub variables: BTreeMap<String, String>,
    /// When that was asked for; none if there never was one.
    pub read_at: Option<Instant>,
    /// Why there is none now, if there is none.
    pub missed: Option<String>,
}

impl Snapshot {
    /// Returns how old it is.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    /// Returns how old the last reading of the UPS is by now, if there ever was one.
    pub fn reading_age(&self) -> Option<Duration> {
        self.status.ups.age.map(|age| age.saturating_add(self.age()))
    }

    /// Returns whether the last reading of the UPS is fresh now.
    pub fn has_fresh_reading(&self) -> bool {
        self.reading_age().is_some_and(|age| age < self.fresh)
    }

    /// Returns whether the event loop has published nothing for too long.
    pub fn is_stale(&self) -> bool {
        self.age() >= STALE_AFTER
    }
}

/// Ten beats: the loop waits for nothing longer than a journal write, which has one second.
pub const STALE_AFTER: Duration = Duration::from_secs(10);
