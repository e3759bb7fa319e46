//! Remembers under which credentials a certificate was last believed.
//!
//! A connection lives for weeks while certificates are renewed and revoked, so each message asks
//! anew whether its sender is still believed. Between hosts no clock takes part in the answer: it
//! can change only with our own credentials, and an elliptic curve need not be climbed once a
//! second for each peer. For an operator the date counts, so nothing is remembered.

use std::sync::{Arc, Mutex, Weak};

use super::credentials::Credentials;
use super::refusal::Refusal;
use crate::pki::Certificate;

/// The credentials by which a certificate was believed last.
#[derive(Debug, Default)]
pub(super) struct Believed(Mutex<Weak<Credentials>>);

impl Believed {
    /// Says whether `certificate` is believed by `credentials`, asking `verify` if that is not
    /// known yet.
    pub(super) fn check(
        &self,
        credentials: &Arc<Credentials>,
        certificate: &Certificate,
        verify: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let is_host = certificate.identity.as_host().is_some();
        // A panic while it was locked is impossible; if it were not, asking again is right.
        let Ok(mut last) = self.0.lock() else { return verify() };
        let is_known = last.upgrade().is_some_and(|last| Arc::ptr_eq(&last, credentials));
        if is_host && is_known {
            return Ok(());
        }
        verify()?;
        *last = Arc::downgrade(credentials);
        Ok(())
    }
}
