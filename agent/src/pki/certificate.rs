//! What we read out of a certificate: who, until when, and the numbers by which it is revoked.
//!
//! Reading is not believing: nothing here checks a signature.

use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::identity::{Identity, IdentityError};
pub(super) use crate::clock::day;

/// The parts of a certificate that Curfew uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The holder.
    pub identity: Identity,
    /// From when until when.
    pub validity: Validity,
    /// The serial number, in hexadecimal without leading zeros.
    pub serial: String,
    /// The SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
}

/// From when until when a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first second.
    pub not_before: u64,
    /// The last second.
    pub not_after: u64,
}

/// Why a certificate tells us nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// It is not a certificate.
    #[error("it is not an X.509 certificate")]
    Decode,
    /// It has no URI, so it was not made by `curfew pki`.
    #[error("it has no curfew:// name: issue one with `curfew pki issue`")]
    Nameless,
    /// It has several URIs: whom to believe?
    #[error("it has several names")]
    Ambiguous,
    /// Its URI is not one of ours.
    #[error("its name is not one of Curfew's")]
    Identity(#[source] IdentityError),
}

impl Certificate {
    /// Reads a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::Decode)?;
        if !rest.is_empty() {
            return Err(CertificateError::Decode);
        }
        let validity = parsed.validity();
        Ok(Self {
            identity: identity(&parsed)?,
            validity: Validity {
                not_before: validity.not_before.timestamp().try_into().unwrap_or(0),
                not_after: validity.not_after.timestamp().try_into().unwrap_or(0),
            },
            serial: hex(parsed.raw_serial()).trim_start_matches('0').to_owned(),
            fingerprint: hex(&Sha256::digest(der)),
        })
    }
}

impl Validity {
    /// Says whether `now` lies within.
    pub fn contains(self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&seconds(now))
    }

    /// Returns the moment nearest to `now` that lies within.
    pub fn nearest(self, now: SystemTime) -> Duration {
        Duration::from_secs(seconds(now).min(self.not_after).max(self.not_before))
    }

    /// Returns the whole days from `now` until the last one; negative when it has passed.
    pub fn days_left(self, now: SystemTime) -> i64 {
        let left = i128::from(self.not_after) - i128::from(seconds(now));
        i64::try_from(left.div_euclid(i128::from(DAY.as_secs()))).unwrap_or(i64::MAX)
    }

    /// Returns the last day as `2036-11-19`.
    pub fn until(self) -> String {
        day(self.not_after)
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", day(self.not_before), day(self.not_after))
    }
}

/// Returns the seconds since 1970; a clock before that counts as 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, CertificateError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateError::Decode)?
        .ok_or(CertificateError::Nameless)?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    let uri = uris.next().ok_or(CertificateError::Nameless)?;
    if uris.next().is_some() {
        return Err(CertificateError::Ambiguous);
    }
    uri.parse().map_err(CertificateError::Identity)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// A day.
pub(super) const DAY: Duration = Duration::from_hours(24);
