//! The private certificate authority of a cluster: who is who, on paper.
//!
//! Reading order: [`Identity`] (what a certificate says about its holder), `certificate` (what
//! we read out of one), `authority` (making them, for `curfew pki`).
//!
//! | certificate | files | names itself | valid |
//! |---|---|---|---|
//! | authority | `ca.crt` 0644, `ca.key` 0600 | `curfew://CLUSTER/authority` | 20 years |
//! | host | `HOST/host.crt`, `host.key`, `ca.crt` | `curfew://CLUSTER/host/HOST` | 10 years |
//! | operator | `operator-NAME/operator.crt`, `operator.key`, `ca.crt` | `curfew://CLUSTER/operator/NAME` | 1 year |
//!
//! The name is a subject alternative name of the kind URI, so that a host certificate can never
//! be taken for an operator's. Dates bind operators only (design §9): a host whose clock is wrong
//! after an outage must still be heard, so host certificates live long and their expiry is a
//! health check, not a lock.

mod authority;
mod certificate;
mod identity;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use self::authority::{Initialised, Issued, init, issue};
pub use self::certificate::{Certificate, CertificateError, Validity};
pub use self::identity::{Identity, IdentityError, Subject};

/// The certificate of the authority, in every PKI directory.
pub const AUTHORITY_CERTIFICATE: &str = "ca.crt";
/// The key of the authority; it stays where `curfew pki init` made it.
pub const AUTHORITY_KEY: &str = "ca.key";
/// The certificate of a host, in its PKI directory.
pub const HOST_CERTIFICATE: &str = "host.crt";
/// The key of a host, in its PKI directory.
pub const HOST_KEY: &str = "host.key";
/// The certificate of an operator, in their PKI directory.
pub const OPERATOR_CERTIFICATE: &str = "operator.crt";
/// The key of an operator, in their PKI directory.
pub const OPERATOR_KEY: &str = "operator.key";
/// The list of revoked certificates, optional, in the PKI directory of each host.
pub const REVOKED: &str = "revoked";
/// The log of all certificates that an authority issued, beside its key.
pub const ISSUED: &str = "issued";

/// Why `curfew pki` could not do what it was asked to; nothing existing is ever overwritten.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A cluster, host or operator has a name that a certificate cannot carry.
    #[error("cannot certify")]
    Name(#[source] IdentityError),
    /// `init` was asked for where an authority is already.
    #[error(
        "{} is there already: use it, or choose another directory (hosts of two authorities \
         refuse each other)", path.display()
    )]
    AuthorityExists {
        /// The file that is in the way.
        path: PathBuf,
    },
    /// A certificate of that name has been issued into that directory.
    #[error("{} is there already: move it away to issue the certificate anew", path.display())]
    IssuedBefore {
        /// The directory that is in the way.
        path: PathBuf,
    },
    /// The authority's certificate or key could not be read.
    #[error("cannot read {} (is this the directory of `curfew pki init`?)", path.display())]
    ReadAuthority {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The authority's certificate is not one that `curfew pki init` makes.
    #[error("{} is not the certificate of a Curfew authority", path.display())]
    NotAnAuthority {
        /// The file.
        path: PathBuf,
    },
    /// The authority's certificate has run out.
    #[error(
        "the authority's certificate ran out on {until}: make a new one with `curfew pki init`"
    )]
    AuthorityExpired {
        /// Its last day.
        until: String,
    },
    /// A certificate could not be made.
    #[error("cannot sign a certificate")]
    Sign(#[source] rcgen::Error),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}
