//! `ups.status` as a set of tokens, and what they say about the mains.

use std::fmt;

use crate::vocabulary::vocabulary;

vocabulary! {
    /// One word of `ups.status`.
    Token {
        /// Mains present at the input.
        OnLine = "OL",
        /// Running from the battery.
        OnBattery = "OB",
        /// Battery low; critical only together with [`Token::OnBattery`].
        LowBattery = "LB",
        /// Battery voltage too high.
        HighBattery = "HB",
        /// The battery should be replaced.
        ReplaceBattery = "RB",
        /// Charging.
        Charging = "CHRG",
        /// Discharging; also seen on mains.
        Discharging = "DISCHRG",
        /// The load is fed around the inverter: no protection.
        Bypass = "BYPASS",
        /// Runtime calibration: the battery is run down on purpose.
        Calibrating = "CAL",
        /// Outputs are off.
        Off = "OFF",
        /// Overload.
        Overload = "OVER",
        /// Lowering the mains voltage.
        Trim = "TRIM",
        /// Raising the mains voltage.
        Boost = "BOOST",
        /// A primary gave the order to shut down, or the driver announces a cut.
        ForcedShutdown = "FSD",
        /// `ups.alarm` has a text.
        Alarm = "ALARM",
        /// `upsd` has no data yet: not a state at all.
        Wait = "WAIT",
        /// Efficiency mode.
        Eco = "ECO",
        /// A self test, of some drivers.
        Test = "TEST",
        /// Overheated, of some drivers.
        Overheat = "OVERHEAT",
        /// Contact with the device is bad, of some drivers.
        CommBad = "COMMBAD",
    }
}

/// Where the load's power comes from, as far as the status tells.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Line {
    /// `OL` without `OB`.
    Mains,
    /// `OB` without `OL`.
    Battery,
    /// Both, neither, or `WAIT`: never taken for one of the others.
    Unknown,
}

/// The tokens of `ups.status`, in their order, each once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    tokens: Vec<Token>,
}

impl Status {
    /// Reads the value of `ups.status`; unknown words are kept.
    pub fn parse(value: &str) -> Self {
        let mut tokens = Vec::new();
        for token in value.split_ascii_whitespace().map(Token::from_word) {
            if !tokens.contains(&token) {
                tokens.push(token);
            }
        }
        Self { tokens }
    }

    /// Returns whether a token is there.
    pub fn has(&self, token: &Token) -> bool {
        self.tokens.contains(token)
    }

    /// Returns the tokens in their order.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Returns the state of the mains.
    pub fn line(&self) -> Line {
        let is_waiting = self.has(&Token::Wait);
        match (self.has(&Token::OnLine), self.has(&Token::OnBattery)) {
            (true, false) if !is_waiting => Line::Mains,
            (false, true) if !is_waiting => Line::Battery,
            _ => Line::Unknown,
        }
    }

    /// Returns whether the battery is low while it carries the load; `LB` alone never counts.
    pub fn is_critical(&self) -> bool {
        self.line() == Line::Battery && self.has(&Token::LowBattery)
    }

    /// Returns whether the order to shut down stands.
    pub fn is_forced(&self) -> bool {
        self.has(&Token::ForcedShutdown)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, token) in self.tokens.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" ")?;
            }
            formatter.write_str(token.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_known_only_from_exactly_one_of_ol_and_ob() {
        let cases = [
            ("OL CHRG", Line::Mains),
            ("ALARM OL", Line::Mains),
            ("FSD OL", Line::Mains),
            ("OB DISCHRG LB", Line::Battery),
            ("OL OB", Line::Unknown),
            ("OB OFF OB", Line::Battery),
            ("OFF", Line::Unknown),
            ("WAIT", Line::Unknown),
            ("FSD WAIT", Line::Unknown),
            ("OL WAIT", Line::Unknown),
            ("OB WAIT", Line::Unknown),
            ("", Line::Unknown),
            ("COMMBAD", Line::Unknown),
        ];
        for (text, line) in cases {
            assert_eq!(Status::parse(text).line(), line, "{text}");
        }
    }

    #[test]
    fn low_battery_is_critical_only_on_battery() {
        assert!(Status::parse("OB LB").is_critical());
        assert!(!Status::parse("OL LB").is_critical());
        assert!(!Status::parse("LB").is_critical());
        assert!(!Status::parse("OL OB LB").is_critical());
    }

    #[test]
    fn unknown_tokens_are_kept_in_order() {
        let status = Status::parse("  OL  HE NEWTOKEN chrg ");
        assert_eq!(status.to_string(), "OL HE NEWTOKEN CHRG");
        assert!(status.has(&Token::Other("NEWTOKEN".to_owned())));
    }
}
