//! Why a peer or an operator is not listened to: each reason has a label and a remedy.

use rustls::pki_types::UnixTime;

use super::convert::DecodeError;
use crate::pki::{CertificateError, Identity, Validity};

/// Why somebody is refused; `Display` says what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The other side showed no certificate.
    #[error("it shows no certificate: copy the files of `curfew pki issue` to its --pki directory")]
    NoCertificate,
    /// The certificate cannot be read, or has no name of ours.
    #[error("its certificate is of no use ({0}): issue one with `curfew pki issue`")]
    BadCertificate(CertificateError),
    /// The certificate was signed by another authority.
    #[error(
        "its certificate, which names {}, is not signed by the authority in our ca.crt: issue all \
         certificates of a cluster from one authority", .0.subject()
    )]
    ForeignAuthority(Identity),
    /// The certificate does not allow what it is used for.
    #[error("the certificate of {} cannot be used for this ({detail})", .identity.subject())]
    Unusable {
        /// Whom it names.
        identity: Identity,
        /// What the check said.
        detail: String,
    },
    /// The certificate is of another cluster.
    #[error("it belongs to cluster {theirs}, this host to {ours}: compare the cluster files")]
    OtherCluster {
        /// Its cluster.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The certificate is on the revocation list.
    #[error("the certificate of {} is revoked: issue a new one", .0.subject())]
    Revoked(Identity),
    /// The certificate is that of another host than the one at this address.
    #[error(
        "it shows the certificate of {found} where {expected} is expected: check the \
        addresses in the cluster file and whose files are in its --pki directory"
    )]
    OtherHost {
        /// Whom the certificate names.
        found: String,
        /// Who should be there.
        expected: String,
    },
    /// The cluster file has no host of that name.
    #[error("the cluster file of this host has no host {0}: compare the cluster files")]
    UnknownHost(String),
    /// An operator's certificate is not valid now.
    #[error(
        "the certificate of operator {operator} is valid from {validity}, and this host's clock \
         says {now}: issue a new one with `curfew pki issue --operator`, or set the clock"
    )]
    Expired {
        /// Who.
        operator: String,
        /// From when until when.
        validity: Validity,
        /// What day it is here.
        now: String,
    },
    /// A host tried what only operators may, or the reverse.
    #[error("{who} may not {what}: {remedy}")]
    NotAllowed {
        /// Who tried.
        who: String,
        /// What.
        what: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A host told the state of another.
    #[error("{host} speaks in the name of {claimed}: check its --host option")]
    SpeaksForAnother {
        /// Whose certificate it is.
        host: String,
        /// In whose name it speaks.
        claimed: String,
    },
    /// The other side speaks a newer protocol.
    #[error("it speaks protocol {theirs}, this agent speaks {ours}: upgrade this host")]
    NewerProtocol {
        /// Its version.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// A message has contents that cannot be.
    #[error("its message is invalid ({0}): run the same version of Curfew on all hosts")]
    Invalid(DecodeError),
    /// A message is too large, or cannot be decoded at all.
    #[error("its message cannot be read ({0}): run the same version of Curfew on all hosts")]
    Unreadable(String),
    /// What came in is not our TLS.
    #[error("it does not speak TLS 1.3 as an agent does ({0}): is that port for something else?")]
    NotTls(String),
    /// The handshake was not finished in time.
    #[error("it did not finish the TLS handshake in time")]
    HandshakeTimeout,
    /// There are too many connections.
    #[error("too many connections are open: close those that are not agents'")]
    TooManyConnections,
    /// The other side refused us.
    #[error("it refuses this host ({0}): its log says why")]
    RefusedUs(String),
}

impl Refusal {
    /// Returns the label of the reason in metrics: one of a closed set.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate(_) => "bad-certificate",
            Self::ForeignAuthority(_) => "foreign-authority",
            Self::Unusable { .. } => "unusable-certificate",
            Self::OtherCluster { .. } => "other-cluster",
            Self::Revoked(_) => "revoked",
            Self::OtherHost { .. } => "other-host",
            Self::UnknownHost(_) => "unknown-host",
            Self::Expired { .. } => "expired",
            Self::NotAllowed { .. } => "not-allowed",
            Self::SpeaksForAnother { .. } => "speaks-for-another",
            Self::NewerProtocol { .. } => "newer-protocol",
            Self::Invalid(_) => "invalid-message",
            Self::Unreadable(_) => "unreadable-message",
            Self::NotTls(_) => "not-tls",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::TooManyConnections => "too-many-connections",
            Self::RefusedUs(_) => "refused-us",
        }
    }

    /// Returns the refusal that rustls carries in `error`, as our verifiers put it there, or the
    /// one that its own complaint amounts to.
    pub(super) fn from_tls(error: &rustls::Error) -> Self {
        use rustls::{CertificateError as TlsCertificateError, Error};
        if let Error::InvalidCertificate(TlsCertificateError::Other(other)) = error
            && let Some(refusal) = other.0.downcast_ref::<Self>()
        {
            return refusal.clone();
        }
        if matches!(error, Error::NoCertificatesPresented) {
            return Self::NoCertificate;
        }
        if let Error::AlertReceived(alert) = error {
            // It speaks TLS and did not like what we showed.
            return Self::RefusedUs(format!("alert {alert:?}"));
        }
        Self::NotTls(error.to_string())
    }

    /// Looks for a TLS complaint among the causes of an I/O or HTTP error.
    pub(super) fn among_causes(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::from_tls(tls));
            }
            // An `io::Error` hides the error that it wraps from `source`.
            let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            cause = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    /// Packs this for the way through rustls.
    pub(super) fn into_tls(self) -> rustls::Error {
        let other = rustls::OtherError(std::sync::Arc::new(self));
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))
    }
}

/// Returns the day of `now`, for a message.
pub(super) fn day(now: UnixTime) -> String {
    Validity { not_before: 0, not_after: now.as_secs() }.until()
}
