//! The values of a cluster file that have a form of their own; a wrong one does not parse.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use crate::ready::Target;

/// A host, by address or name, and a TCP port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPort {
    /// An address (IPv6 without brackets) or a name.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// How the conductor sees from outside that a host is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ready {
    url: String,
    at: HostPort,
    target: Target,
}

/// A value that does not parse: the clause that says why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct ValueError {
    reason: String,
}

impl ValueError {
    /// Returns the error with that reason.
    pub(super) fn new(reason: String) -> Self {
        Self { reason }
    }
}

impl HostPort {
    /// Returns whether a resolver must be asked before it can be reached.
    pub fn is_name(&self) -> bool {
        self.host.parse::<IpAddr>().is_err() && self.host != "localhost"
    }

    /// Returns whether it is on the machine that reads the file, whichever that is.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for HostPort {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || not(text, "an address or a host name, and a port from 1 to 65535");
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
            Some(_) => return Err(wrong()),
            None => text.split_once(':').ok_or_else(wrong)?,
        };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = port.parse().ok().filter(|_| is_number(port)).ok_or_else(wrong)?;
        // A name that ends in a number is a mistyped address.
        let is_host = is_name(host) && !host.rsplit('.').next().is_some_and(is_number);
        if port == 0 || (host.parse::<IpAddr>().is_err() && !is_host) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Ready {
    /// Returns what the probe asks.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns where the probe connects.
    pub(super) fn at(&self) -> &HostPort {
        &self.at
    }
}

impl FromStr for Ready {
    type Err = ValueError;

    fn from_str(url: &str) -> Result<Self, ValueError> {
        let wrong = || not(url, "https://…, http://… or tcp://address:port");
        // A fragment is never sent, so that one in the file must be a mistake.
        let target: Target = url.parse().ok().filter(|_| !url.contains('#')).ok_or_else(wrong)?;
        let at = match &target {
            Target::Http { at, .. } | Target::Tcp(at) => at.to_string().parse()?,
            Target::Nfs(_) => return Err(wrong()),
        };
        Ok(Self { url: url.to_owned(), at, target })
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// The units of a duration, the largest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses `60s`, `3m`, `1h30m` or `500ms`: whole numbers, each with its unit, the larger first.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() && tail.is_empty() {
            return Err(ValueError { reason: format!("`{text}` lacks a unit") });
        }
        let wanted = "a duration: whole numbers with h, m, s or ms, the larger unit first";
        let (_, scale) = units.find(|(name, _)| *name == unit).ok_or_else(|| not(text, wanted))?;
        let number: u64 = number.parse().map_err(|_| not(text, wanted))?;
        let part = number.checked_mul(*scale).and_then(|part| total.checked_add(part));
        total = part.ok_or_else(|| not(text, "a duration that fits a clock"))?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Returns the shortest text that [`parse_duration`] reads as the same, in whole milliseconds.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, scale) in UNITS {
        if left >= scale {
            parts.push(format!("{}{unit}", left / scale));
            left %= scale;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

/// Returns whether a text can be the name of a host in DNS, in either case.
pub(super) fn is_name(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_end(text.chars().next())
        && is_end(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// Returns the error for a text that is not what was wanted.
pub(super) fn not(text: &str, wanted: &str) -> ValueError {
    ValueError { reason: format!("`{}` is not {wanted}", text.escape_debug()) }
}
