//! What a UPS can be told to do, and what an account may tell it.

use std::collections::{BTreeMap, BTreeSet};

/// The commands and writable variables that the driver offers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// The instant commands, names in lower case.
    pub commands: BTreeSet<String>,
    /// The writable variables with their values, names in lower case.
    pub writables: BTreeMap<String, String>,
}

/// How the output can be opened, in the order of preference; `load.off` never, it knows no delay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PowerOff {
    /// `shutdown.return`: off after a delay, on again with the mains.
    ShutdownReturn,
    /// `load.off.delay` with a parameter: off after a delay; nothing is said about the return.
    LoadOffDelay,
    /// The UPS cannot be told to open its output.
    Impossible,
}

/// What `upsd.users` grants an account, as far as that can be found out without giving an order.
///
/// The right to an instant command cannot: `upsd` looks for the command first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rights {
    /// `upsmon primary`: PRIMARY, and with it LOGIN and FSD.
    pub primary: bool,
    /// `actions = SET`.
    pub set: bool,
}

impl Capabilities {
    /// Collects what the two lists gave.
    pub fn new(
        commands: impl IntoIterator<Item = String>,
        writables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let lower = |name: String| name.to_ascii_lowercase();
        Self {
            commands: commands.into_iter().map(lower).collect(),
            writables: writables.into_iter().map(|(name, value)| (lower(name), value)).collect(),
        }
    }

    /// Returns whether a command is offered.
    pub fn offers(&self, command: &str) -> bool {
        self.commands.contains(command)
    }

    /// Returns whether a variable can be set.
    pub fn can_set(&self, variable: &str) -> bool {
        self.writables.contains_key(variable)
    }

    /// Returns whether the UPS promises to switch its output on again after a cut.
    pub fn is_return_promised(&self) -> bool {
        self.offers("shutdown.return") || self.offers("load.on.delay")
    }

    /// Returns the best way to open the output.
    pub fn power_off(&self) -> PowerOff {
        if self.offers("shutdown.return") {
            PowerOff::ShutdownReturn
        } else if self.offers("load.off.delay") {
            PowerOff::LoadOffDelay
        } else {
            PowerOff::Impossible
        }
    }

    /// Returns whether a running countdown can be taken back.
    pub fn can_stop_countdown(&self) -> bool {
        self.offers("shutdown.stop")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(commands: &[&str]) -> Capabilities {
        Capabilities::new(commands.iter().map(|name| (*name).to_owned()), [])
    }

    #[test]
    fn the_eaton_5e_can_be_cut_but_does_not_promise_to_return() {
        let eaton = offering(&["beeper.on", "load.off", "load.off.delay", "shutdown.stop"]);
        assert!(!eaton.is_return_promised());
        assert_eq!(eaton.power_off(), PowerOff::LoadOffDelay);
        assert!(eaton.can_stop_countdown());
    }

    #[test]
    fn a_ups_with_shutdown_return_promises_it() {
        let ups = offering(&["Shutdown.Return", "load.off.delay"]);
        assert!(ups.is_return_promised());
        assert_eq!(ups.power_off(), PowerOff::ShutdownReturn);
    }

    #[test]
    fn load_off_alone_is_no_way() {
        assert_eq!(offering(&["load.off"]).power_off(), PowerOff::Impossible);
    }
}
