//! The revocation list: certificates that are no longer believed, by serial number or fingerprint.
//!
//! One per line in hexadecimal, colons allowed, `#` begins a comment: what `openssl x509 -serial
//! -fingerprint -sha256` prints after the `=`, or what stands in the `issued` file.

use std::collections::BTreeSet;

use crate::pki::Certificate;

/// The certificates that are revoked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Revoked(BTreeSet<String>);

/// A line that is neither a serial number nor a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line} is neither a serial number nor a SHA-256 fingerprint in hexadecimal")]
pub struct RevokedError {
    /// Its number, from 1.
    pub line: usize,
}

impl Revoked {
    /// Reads the list. A line that cannot be read spoils all of it: half a list would let somebody
    /// in whom it names.
    pub fn parse(text: &str) -> Result<Self, RevokedError> {
        let mut numbers = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            let digits: String =
                entry.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
            let fits =
                digits.len() <= FINGERPRINT_LEN && digits.chars().all(|c| c.is_ascii_hexdigit());
            let number = digits.trim_start_matches('0');
            if !fits || number.is_empty() {
                return Err(RevokedError { line: index + 1 });
            }
            numbers.insert(number.to_owned());
        }
        Ok(Self(numbers))
    }

    /// Says whether `certificate` is on the list.
    pub fn contains(&self, certificate: &Certificate) -> bool {
        let fingerprint = certificate.fingerprint.trim_start_matches('0');
        self.0.contains(&certificate.serial) || self.0.contains(fingerprint)
    }
}

/// A SHA-256 in hexadecimal; serial numbers are shorter (RFC 5280: 20 bytes).
const FINGERPRINT_LEN: usize = 64;
