//! The UPS of a booted machine: the file from which its driver reads what the UPS measures, and a
//! battery that can be told to cut.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use curfew_coordinator::Time;

use crate::battery::Battery;
use crate::directory::replace;
use crate::disk::Disk;
use crate::ground::now;
use crate::nut::{self, Shown};

/// A UPS on the cable of a booted machine.
#[derive(Debug)]
pub struct Device {
    /// A file system of its own: nothing that the machine does to it touches another.
    _disk: Disk,
    folder: PathBuf,
    shown: Shown,
    battery: Battery,
    cut: Option<Cut>,
}

/// A cut that was ordered.
#[derive(Clone, Copy, Debug)]
struct Cut {
    opens_at: Time,
    closes_at: Time,
}

impl Device {
    /// Makes a UPS on mains whose folder is `folder`.
    pub fn new(folder: &Path, shown: Shown) -> Result<Self> {
        std::fs::create_dir_all(folder).context("make the UPS's folder")?;
        let disk = Disk::mount(folder)?;
        let (folder, battery) = (folder.to_owned(), Battery::default());
        let device = Self { _disk: disk, folder, shown, battery, cut: None };
        device.show()?;
        Ok(device)
    }

    /// Returns the folder, which the machine sees as [`FOLDER`].
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the battery, to change it; what it measures is shown by [`Device::show`].
    pub const fn battery(&mut self) -> &mut Battery {
        &mut self.battery
    }

    /// Lets the driver read the UPS as it is now.
    pub fn show(&self) -> Result<()> {
        replace(&self.folder.join(FILE), &nut::device(&self.battery, self.shown))
    }

    /// Takes the order to switch the load off and to come back with the mains.
    pub fn order_cut(&mut self) {
        let opens_at = now() + DELAY;
        self.cut = Some(Cut { opens_at, closes_at: opens_at + DELAY });
    }

    /// One second passes.
    pub fn pass_second(&mut self) -> Result<()> {
        self.battery.pass_second();
        // With the mains the output closes again, and the order is done with.
        if self.battery.is_on_mains() && self.cut.is_some_and(|cut| now() >= cut.closes_at) {
            self.cut = None;
        }
        self.show()
    }

    /// Returns whether the machines have power.
    pub fn is_output_closed(&self) -> bool {
        !self.battery.is_empty() && self.cut.is_none_or(|cut| now() < cut.opens_at)
    }
}

/// Where the machine finds the UPS: below /dev, where systemd unmounts nothing when it goes down.
pub const FOLDER: &str = "/dev/ups";
/// The file in it.
pub const FILE: &str = "ups.dev";
/// `ups.delay.shutdown` of the UPS, and how long its output stays open at least.
const DELAY: Duration = Duration::from_secs(2);
