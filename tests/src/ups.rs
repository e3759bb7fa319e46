//! The UPS of a laboratory: one whose `upsd` and driver are real, or one that can be told to cut.

use anyhow::Result;

use crate::battery::Battery;
use crate::nut::Nut;
use crate::simulated::Simulated;

/// A UPS with its mains and its battery.
#[derive(Debug)]
pub enum Ups {
    /// Real NUT over a battery of the laboratory; it cannot be told to come back.
    Real(Nut, Battery),
    /// The simulated UPS, which promises to come back.
    Simulated(Simulated),
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
        }
    }

    /// Returns whether the machines have power.
    pub fn is_output_closed(&self) -> bool {
        match self {
            Self::Real(_, battery) => !battery.is_empty(),
            Self::Simulated(ups) => ups.is_output_closed(),
        }
    }

    /// The owner's machine has started: so do its daemons of NUT.
    pub fn start_daemons(&mut self) -> Result<()> {
        match self {
            Self::Real(nut, battery) => nut.start(battery),
            Self::Simulated(_) => Ok(()),
        }
    }

    /// The owner's machine is off, and with it its daemons.
    pub fn stop_daemons(&mut self) {
        match self {
            Self::Real(nut, _) => nut.stop(),
            Self::Simulated(_) => {}
        }
    }
}
