//! The UPS of a laboratory: one whose `upsd` and driver are real, or one that can be told to cut.

use anyhow::{Result, bail};

use crate::battery::Battery;
use crate::debian::device::Device;
use crate::nut::Nut;
use crate::simulated::{self, Simulated};

/// A UPS with its mains and its battery.
#[derive(Debug)]
pub enum Ups {
    /// Real NUT over a battery of the laboratory; it cannot be told to come back.
    Real(Nut, Battery),
    /// The simulated UPS, which promises to come back.
    Simulated(Simulated),
    /// On the cable of a booted machine, which runs NUT by itself.
    Attached(Box<Device>),
}

impl Ups {
    /// Takes the mains away; a real one's battery lasts for another `seconds`.
    pub fn lose_mains(&mut self, seconds: u32) -> Result<()> {
        match self {
            Self::Real(nut, battery) => {
                battery.lose_mains(seconds);
                nut.show(battery)
            }
            Self::Simulated(ups) => ups.set_mains(false),
            Self::Attached(device) => {
                device.battery().lose_mains(seconds);
                device.show()
            }
        }
    }

    /// Brings the mains back.
    pub fn regain_mains(&mut self) -> Result<()> {
        match self {
            Self::Real(nut, battery) => {
                battery.regain_mains();
                nut.show(battery)
            }
            Self::Simulated(ups) => ups.set_mains(true),
            Self::Attached(device) => {
                device.battery().regain_mains();
                device.show()
            }
        }
    }

    /// Has another battery, which lasts for `seconds` when it is full.
    pub fn replace_battery(&mut self, seconds: u32) -> Result<()> {
        match self {
            Self::Real(nut, battery) => {
                battery.replace(seconds);
                nut.show(battery)
            }
            Self::Attached(device) => {
                device.battery().replace(seconds);
                device.show()
            }
            Self::Simulated(_) => bail!("the simulated UPS keeps the one that it has"),
        }
    }

    /// One second passes.
    pub fn pass_second(&mut self) -> Result<()> {
        match self {
            Self::Real(nut, battery) => {
                battery.pass_second();
                nut.show(battery)
            }
            // It has a clock of its own.
            Self::Simulated(_) => Ok(()),
            Self::Attached(device) => device.pass_second(),
        }
    }

    /// Returns whether the machines have power.
    pub fn is_output_closed(&self) -> bool {
        match self {
            Self::Real(_, battery) => !battery.is_empty(),
            Self::Simulated(ups) => ups.is_output_closed(),
            Self::Attached(device) => device.is_output_closed(),
        }
    }

    /// Lets it find its battery low, whatever the numbers say.
    pub fn show_low(&mut self) -> Result<()> {
        match self {
            Self::Real(nut, battery) => {
                battery.become_low();
                nut.show(battery)
            }
            Self::Attached(device) => {
                device.battery().become_low();
                device.show()
            }
            Self::Simulated(_) => bail!("the simulated UPS decides that itself"),
        }
    }

    /// It is told to switch the load off and to come back with the mains.
    pub fn order_cut(&mut self) -> Result<()> {
        match self {
            Self::Real(..) => bail!("nobody can tell it that"),
            Self::Simulated(_) => simulated::order_cut(),
            Self::Attached(device) => {
                device.order_cut();
                Ok(())
            }
        }
    }

    /// The owner's machine has started: so do its daemons of NUT.
    pub fn start_daemons(&mut self) -> Result<()> {
        match self {
            Self::Real(nut, battery) => nut.start(battery),
            Self::Simulated(_) | Self::Attached(_) => Ok(()),
        }
    }

    /// The owner's machine is off, and with it its daemons.
    pub fn stop_daemons(&mut self) {
        match self {
            Self::Real(nut, _) => nut.stop(),
            Self::Simulated(_) | Self::Attached(_) => {}
        }
    }
}
