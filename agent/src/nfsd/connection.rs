//! The TCP connections to this NFS server: `/proc/net/tcp` and `/proc/net/tcp6`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::source::lines;

/// Returns the other ends of the established connections to port 2049, or the number of the first
/// wrong line. The first line is a heading.
///
/// `7: 03004D0A:0801 01004D0A:031C 01 …`: local and remote address, state. An address is in the
/// machine's order of bytes, word by word; a port is not.
pub(super) fn parse(text: &[u8]) -> Result<BTreeSet<SocketAddr>, usize> {
    let mut ends = BTreeSet::new();
    for (number, line) in lines(text).skip(1) {
        let line = std::str::from_utf8(line).map_err(|_| number)?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next().and_then(address).ok_or(number)?;
        let remote = fields.next().and_then(address).ok_or(number)?;
        let state = fields.next().ok_or(number)?;
        if local.port() == PORT && state == ESTABLISHED {
            ends.insert(remote);
        }
    }
    Ok(ends)
}

fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |part: &str| u32::from_str_radix(part, 16).ok().map(u32::to_ne_bytes);
    let ip = if address.len() == WORD {
        IpAddr::V4(Ipv4Addr::from(word(address)?))
    } else {
        let mut bytes = Vec::with_capacity(16);
        for start in (0..4 * WORD).step_by(WORD) {
            bytes.extend(word(address.get(start..start + WORD)?)?);
        }
        let bytes: [u8; 16] = bytes.try_into().ok().filter(|_| address.len() == 4 * WORD)?;
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Where NFS is served.
const PORT: u16 = 2049;
/// Digits of four bytes.
const WORD: usize = 8;
/// One that either side has closed is none any more.
const ESTABLISHED: &str = "01";
/// Some 50 000 connections of 150 bytes.
pub(super) const CONNECTIONS_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_are_understood() {
        let heading = "  sl  local_address rem_address   st\n";
        let v6 = "0: 0000000000000000FFFF00000D00000A:0801 \
                  0000000000000000FFFF00000B00000A:02A1 01 x\n\
                  1: 000000FD000000000000000003000000:0801 \
                  000000FD000000000000000001000000:0400 01 x\n\
                  2: 000000FD000000000000000003000000:0801 \
                  000000FD000000000000000002000000:0400 06 x\n";
        let ends = parse(format!("{heading}{v6}").as_bytes()).unwrap();
        let expected = ["10.0.0.11:673", "[fd00::1]:1024"].map(|it| it.parse().unwrap());
        assert_eq!(ends, BTreeSet::from(expected));
        assert_eq!(parse(format!("{heading}0: x 1 2\n").as_bytes()), Err(2));
        assert_eq!(parse(b""), Ok(BTreeSet::new()));
    }

    #[test]
    fn parsing_never_panics() {
        proptest::proptest!(|(bytes: Vec<u8>, text in "\n[0-9A-F: é]{0,60}")| {
            drop(parse(&bytes));
            drop(parse(text.as_bytes()));
        });
    }
}
