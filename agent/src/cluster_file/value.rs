//! The values of a cluster file that have a form of their own; a wrong one does not parse.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

/// An Ethernet address, to which a magic packet wakes its machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mac([u8; 6]);

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
pub enum Ready {
    /// Any answer below 500 to a GET counts; certificates are not verified.
    Http(HttpUrl),
    /// An accepted connection counts.
    Tcp(HostPort),
}

/// An `http` or `https` address in the parts that a probe needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub tls: bool,
    /// Where to connect; the port of the scheme if the file names none.
    pub at: HostPort,
    /// Path and query, from the slash on.
    pub path: String,
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

impl Mac {
    /// Returns the six octets in the order in which they are sent.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for Mac {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2 && is_hex(part));
            let part = part.ok_or_else(|| not(text, "six pairs of hexadecimal digits"))?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| not(text, "hexadecimal"))?;
        }
        let [first, ..] = octets;
        if parts.next().is_some() {
            return Err(not(text, "six pairs of hexadecimal digits"));
        }
        if first & 1 == 1 || octets == [0; 6] {
            return Err(not(text, "the address of one network card"));
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
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

    fn parse(text: &str, default_port: Option<u16>) -> Result<Self, ValueError> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) if host.parse::<Ipv6Addr>().is_ok() => {
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')) })
            }
            Some(_) => return Err(not(text, "an IPv6 address in brackets and a port")),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(Some(port))),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.and_then(|port| port.parse().ok()).filter(|port| *port != 0),
            None => default_port,
        };
        let port = port.ok_or_else(|| not(text, "an address and a port from 1 to 65535"))?;
        if host.parse::<IpAddr>().is_err() && !is_name(host) {
            return Err(not(text, "an address or a host name, and a port"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl FromStr for HostPort {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text, None)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Ready {
    /// Returns where the probe connects.
    pub fn at(&self) -> &HostPort {
        match self {
            Self::Http(url) => &url.at,
            Self::Tcp(at) => at,
        }
    }
}

impl FromStr for Ready {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wanted = "https://…, http://… or tcp://address:port";
        if !text.chars().all(|character| character.is_ascii_graphic()) {
            return Err(not(text, "plain characters without blanks"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| not(text, wanted))?;
        let (tls, default_port) = match scheme {
            "tcp" => return HostPort::parse(rest, None).map(Self::Tcp),
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return Err(not(text, wanted)),
        };
        let (at, path) = rest.split_once('/').unwrap_or((rest, ""));
        let at = HostPort::parse(at, Some(default_port))?;
        // A fragment is never sent, so that one in the file must be a mistake.
        if path.contains('#') {
            return Err(not(text, "a path without `#`"));
        }
        Ok(Self::Http(HttpUrl { tls, at, path: format!("/{path}") }))
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(HttpUrl { tls, at, path }) => {
                write!(f, "{}://{at}{path}", if *tls { "https" } else { "http" })
            }
            Self::Tcp(at) => write!(f, "tcp://{at}"),
        }
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

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Returns the error for a text that is not what was wanted.
pub(super) fn not(text: &str, wanted: &str) -> ValueError {
    ValueError { reason: format!("`{}` is not {wanted}", text.escape_debug()) }
}
