//! Who has mounted by version 3, as `mountd` remembers it: `/var/lib/nfs/rmtab`.
//!
//! A line goes when its client unmounts and stays when it dies; the file outlives reboots.

use std::net::IpAddr;

use super::source::lines;

/// A client of version 3.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Remote {
    /// By its address.
    Address(IpAddr),
    /// By its name, which is never resolved.
    Name(String),
}

/// Returns the client of each line, or the number of the first wrong one.
///
/// `10.77.0.2:/srv/nfs:0x00000001`
pub(super) fn parse(text: &[u8]) -> Result<Vec<Remote>, usize> {
    lines(text)
        .map(|(number, line)| {
            let line = String::from_utf8_lossy(line);
            let (host, rest) = line.split_once(":/").ok_or(number)?;
            let is_whole = !host.is_empty() && rest.rsplit_once(":0x").is_some();
            if !is_whole {
                return Err(number);
            }
            let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            Ok(match plain.unwrap_or(host).parse::<IpAddr>() {
                Ok(address) => Remote::Address(address.to_canonical()),
                Err(_name) => Remote::Name(host.to_owned()),
            })
        })
        .collect()
}

/// Some 20 000 mounts.
pub(super) const RMTAB_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_and_names_are_understood() {
        let text = b"10.77.0.2:/srv/nfs:0x00000001\nfd00::2:/srv:0x1\nk2.home:/a b:0x2\n";
        let expected = [
            Remote::Address("10.77.0.2".parse().unwrap()),
            Remote::Address("fd00::2".parse().unwrap()),
            Remote::Name("k2.home".to_owned()),
        ];
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(b""), Ok(vec![]));
        for wrong in ["10.0.0.1", "10.0.0.1:/srv", ":/srv:0x1", "\n\nx"] {
            let line = wrong.lines().count().max(1);
            assert_eq!(parse(wrong.as_bytes()), Err(line), "{wrong:?}");
        }
    }

    #[test]
    fn parsing_never_panics() {
        proptest::proptest!(|(bytes: Vec<u8>, text in "[a-z:/0x\n]{0,40}")| {
            drop(parse(&bytes));
            drop(parse(text.as_bytes()));
        });
    }
}
