//! How each type of value is read from TOML, and what it looks like when typed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use curfew_host::collector::COLLECTORS;
use curfew_host::systemd;
use toml::de::{DeInteger, DeValue};

use super::reader::{Value, kind, nearest};
use super::value::{HostPort, Ready, ValueError, format_duration, is_name, not, parse_duration};
use super::{Argv, OffProof};
use crate::wake::Mac;

/// The name of a host or cluster: goes into certificates, labels and comparisons with `hostname`.
#[derive(Debug, Default)]
pub(super) struct Name(pub(super) String);

/// The name of a UPS as NUT spells it.
#[derive(Debug, Default)]
pub(super) struct UpsName(pub(super) String);

/// A unit of systemd.
#[derive(Debug)]
pub(super) struct UnitName(pub(super) String);

/// A collector of the host's metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct CollectorName(pub(super) &'static str);

/// A user name for `upsd`.
#[derive(Debug)]
pub(super) struct Username(pub(super) String);

/// A path from the root.
#[derive(Debug)]
pub(super) struct AbsolutePath(pub(super) PathBuf);

/// An address that one host can have and others can reach.
#[derive(Debug)]
pub(super) struct HostAddress(pub(super) IpAddr);

/// The word in `system`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SystemWord {
    Systemd,
    Talos,
    Command,
    DryRun,
}

/// A duration of at least a second, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct OrOff(pub(super) Option<Duration>);

impl Value for bool {
    const EXAMPLE: &'static str = "true";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        value.as_bool().ok_or_else(|| unlike(value, "true or false"))
    }
}

impl Value for u8 {
    const EXAMPLE: &'static str = "30";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        integer(value)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u16 {
    const EXAMPLE: &'static str = "9100";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        integer(value)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    const EXAMPLE: &'static str = "1";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        integer(value)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    const EXAMPLE: &'static str = "\"60s\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        if let DeValue::Integer(number) = value {
            return Err(ValueError::new(format!("`{number}` lacks a unit")));
        }
        parse_duration(text(value)?)
    }

    fn show(&self) -> String {
        format!("\"{}\"", format_duration(*self))
    }
}

impl Value for OrOff {
    const EXAMPLE: &'static str = "\"off\" or \"5m\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        if value.as_str() == Some("off") {
            return Ok(Self(None));
        }
        let duration = Duration::read(value)?;
        if duration < Duration::from_secs(1) {
            return Err(ValueError::new("it is shorter than a second".to_owned()));
        }
        Ok(Self(Some(duration)))
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| "\"off\"".to_owned(), |duration| duration.show())
    }
}

impl Value for Mac {
    const EXAMPLE: &'static str = "\"aa:bb:cc:dd:ee:01\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let mac: Self = parse(value, "six pairs of hexadecimal digits")?;
        // The lowest bit of the first octet marks a group of cards: its digit is odd.
        let text = mac.to_string();
        if text.chars().nth(1).is_some_and(|digit| "13579bdf".contains(digit))
            || text == "00:00:00:00:00:00"
        {
            return Err(not(&text, "the address of one network card"));
        }
        Ok(mac)
    }
}

impl Value for HostPort {
    const EXAMPLE: &'static str = "\"10.0.0.13:3493\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        text(value)?.parse()
    }
}

impl Value for Ready {
    const EXAMPLE: &'static str = "\"https://10.0.0.11:6443/readyz\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        text(value)?.parse()
    }
}

impl Value for IpAddr {
    const EXAMPLE: &'static str = "\"0.0.0.0\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let address: Self = parse(value, "an IP address")?;
        if address.is_multicast() {
            return Err(not(&address.to_string(), "an address of this host"));
        }
        Ok(address)
    }
}

impl Value for HostAddress {
    const EXAMPLE: &'static str = "\"10.0.0.13\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let wanted = "an IP address (a name would put a resolver on the path of the shutdown)";
        let address: IpAddr = parse(value, wanted)?;
        let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || is_broadcast {
            return Err(not(&address.to_string(), "an address of one host"));
        }
        Ok(Self(address))
    }
}

impl Value for SocketAddr {
    const EXAMPLE: &'static str = "\"10.0.0.255:9\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let wanted = "an IP address and a port from 1 to 65535";
        let address: Self = parse(value, wanted)?;
        if address.port() == 0 { Err(not(&address.to_string(), wanted)) } else { Ok(address) }
    }
}

impl Value for Name {
    const EXAMPLE: &'static str = "\"nfs\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let name = text(value)?;
        let is_lower = !name.chars().any(|c| c.is_ascii_uppercase());
        if !is_name(name) || !is_lower || name.len() > MAX_NAME_LEN {
            let wanted = "a name: 1 to 63 lower-case letters, digits, `-` or `.`";
            return Err(not(name, wanted));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Value for UpsName {
    const EXAMPLE: &'static str = "\"eaton\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let name = text(value)?;
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if name.is_empty() || name.len() > MAX_NAME_LEN || !is_plain {
            return Err(not(name, "a UPS of NUT: letters, digits, `-`, `_` or `.`"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Value for UnitName {
    const EXAMPLE: &'static str = "\"apt-daily.service\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let name = text(value)?;
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c));
        let (stem, kind) = name.rsplit_once('.').unwrap_or_default();
        if stem.is_empty() || !is_plain || !UNIT_KINDS.contains(&kind) {
            return Err(not(name, "the whole name of a unit of systemd"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Value for CollectorName {
    const EXAMPLE: &'static str = "\"hwmon\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let names = COLLECTORS.iter().map(|collector| collector.name).chain([systemd::COLLECTOR]);
        let words: Vec<_> = names.map(|name| (name, Self(name))).collect();
        word(value, &words)
    }
}

impl Value for Username {
    const EXAMPLE: &'static str = "\"curfew\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let name = text(value)?;
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(not(name, "a user name without blanks"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Value for AbsolutePath {
    const EXAMPLE: &'static str = "\"/absolute/path\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let path = text(value)?;
        if !path.starts_with('/') || path.contains('\0') {
            return Err(not(path, "an absolute path"));
        }
        Ok(Self(PathBuf::from(path)))
    }
}

impl Value for Argv {
    const EXAMPLE: &'static str = "[\"/usr/sbin/poweroff\"]";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let items = value.as_array().ok_or_else(|| unlike(value, "an array, one word each"))?;
        let Some((program, arguments)) = items.iter().as_slice().split_first() else {
            return Err(ValueError::new("it names no program".to_owned()));
        };
        let AbsolutePath(program) = AbsolutePath::read(program.get_ref())?;
        let arguments = arguments.iter().map(|argument| {
            let argument = text(argument.get_ref())?;
            if argument.contains('\0') {
                return Err(not(argument, "an argument of a program"));
            }
            Ok(argument.to_owned())
        });
        Ok(Self { program, arguments: arguments.collect::<Result<_, _>>()? })
    }
}

impl Value for OffProof {
    const EXAMPLE: &'static str = "\"network\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        word(
            value,
            &[(Self::Network.label(), Self::Network), (Self::Session.label(), Self::Session)],
        )
    }
}

impl Value for SystemWord {
    // One that this version can stop.
    const EXAMPLE: &'static str = "\"command\"";

    fn read(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let words = [
            ("systemd", Self::Systemd),
            ("talos", Self::Talos),
            ("command", Self::Command),
            ("dry-run", Self::DryRun),
        ];
        word(value, &words)
    }
}

fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, ValueError> {
    value.as_str().ok_or_else(|| unlike(value, "a string"))
}

fn parse<T: FromStr>(value: &DeValue<'_>, wanted: &str) -> Result<T, ValueError> {
    let text = text(value)?;
    text.parse().map_err(|_| not(text, wanted))
}

fn integer<T: TryFrom<i64>>(value: &DeValue<'_>) -> Result<T, ValueError> {
    let number: &DeInteger<'_> =
        value.as_integer().ok_or_else(|| unlike(value, "a whole number"))?;
    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
    parsed
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| ValueError::new(format!("`{number}` is out of bounds")))
}

fn word<T: Copy>(value: &DeValue<'_>, words: &[(&'static str, T)]) -> Result<T, ValueError> {
    let text = text(value)?;
    if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*meant);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let guess = nearest(text, &known).map(|word| format!("; did you mean `{word}`?"));
    let wanted = format!("one of {}{}", known.join(", "), guess.unwrap_or_default());
    Err(not(text, &wanted))
}

fn unlike(value: &DeValue<'_>, wanted: &str) -> ValueError {
    ValueError::new(format!("it is {}, not {wanted}", kind(value)))
}

/// Of units that can fail.
const UNIT_KINDS: [&str; 9] =
    ["service", "socket", "timer", "mount", "automount", "swap", "path", "slice", "scope"];
/// The length of a label in DNS, and one less than `HOST_NAME_MAX` of Linux.
const MAX_NAME_LEN: usize = 63;
