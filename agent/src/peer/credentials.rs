//! The certificates of this host or operator, read from the PKI directory and re-read when they
//! change.
//!
//! A set of files that cannot be used keeps the last good one in force and is reported; a host
//! that never had a good one joins nobody until it gets one. Files are read in a thread of their
//! own, so that a disk that hangs holds up nothing but the re-reading. Who may read them besides us
//! is not looked at: Talos gives every file to a service with mode 0644.
//!
//! A file may be seen half written: Talos writes in place, and half a list of the revoked, or of
//! the authorities, is a valid one. So files that change count once they have stood still.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::refusal::Refusal;
use super::revoked::{Revoked, RevokedError};
use super::tls::{self, Chain, Expect, Trust, Usage};
use crate::pki::{
    AUTHORITY_CERTIFICATE, Certificate, CertificateError, HOST_CERTIFICATE, HOST_KEY, Identity,
    OPERATOR_CERTIFICATE, OPERATOR_KEY, REVOKED, Subject, Validity,
};

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error(
        "cannot read {} (put the files of `curfew pki issue` into the --pki directory)",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is not in PEM", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// A certificate says nothing useful.
    #[error("{} cannot be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: CertificateError,
    },
    /// The certificate is somebody else's.
    #[error(
        "{} is the certificate {found}, but {wanted} is needed: copy the files that were issued \
         for this one", path.display()
    )]
    OtherHolder {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Whose it should be.
        wanted: String,
    },
    /// Our own certificate would be refused by our own check.
    #[error("{} would be refused: copy its key and ca.crt from the same issue", path.display())]
    Own {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Refusal,
    },
    /// The key does not belong to the certificate.
    #[error("{} is not the key of the certificate beside it", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// The authority's certificate cannot be trusted by.
    #[error("{} holds no authority", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
    },
    /// The revocation list cannot be read.
    #[error("{} cannot be understood", path.display())]
    Revoked {
        /// The file.
        path: PathBuf,
        /// The line.
        source: RevokedError,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Configure(#[source] rustls::Error),
}

/// Whose certificates are wanted.
#[derive(Clone, Debug)]
pub enum Holder {
    /// The host of that name in that cluster.
    Host {
        /// The cluster.
        cluster: String,
        /// The host.
        host: String,
    },
    /// Any operator, of any cluster.
    Operator,
}

/// A set of certificates that can be used.
#[derive(Debug)]
pub struct Credentials {
    /// Our own certificate.
    pub own: Certificate,
    /// How long the authority's is valid.
    pub authority: Validity,
    trust: Arc<Trust>,
    key: Arc<CertifiedKey>,
}

impl Credentials {
    /// Reads and checks the files in `directory`.
    pub fn load(directory: &Path, holder: &Holder) -> Result<Self, CredentialsError> {
        let (certificate_file, key_file) = holder.files();
        let path = directory.join(certificate_file);
        let chain = certificates(&path)?;
        let [end_entity, intermediates @ ..] = chain.as_slice() else {
            let source = pem::Error::NoItemsFound;
            return Err(CredentialsError::Decode { path, source });
        };
        let own = Certificate::from_der(end_entity)
            .map_err(|source| CredentialsError::Certificate { path: path.clone(), source })?;
        holder.check(&own.identity, &path)?;

        let authority_path = directory.join(AUTHORITY_CERTIFICATE);
        let (roots, authority) = authority(&authority_path)?;
        let revoked = revoked(&directory.join(REVOKED))?;
        let trust = Trust::new(own.identity.cluster(), roots, revoked)
            .map_err(|_| CredentialsError::Authority { path: authority_path })?;
        // As a peer will do it, so that a wrong set of files is found here and not there.
        let inside = UnixTime::since_unix_epoch(Duration::from_secs(own.validity.not_before));
        let expect = Expect::Caller(Arc::new(
            own.identity.as_host().map(str::to_owned).into_iter().collect(),
        ));
        trust
            .verify(Chain { end_entity, intermediates }, Usage::Client, &expect, inside)
            .map_err(|source| CredentialsError::Own { path: path.clone(), source })?;

        let key_path = directory.join(key_file);
        let pem = read(&key_path)?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|source| CredentialsError::Decode { path: key_path.clone(), source })?;
        let key = CertifiedKey::from_der(chain, key, &tls::provider())
            .map_err(|source| CredentialsError::Key { path: key_path, source })?;
        Ok(Self { own, authority, trust: Arc::new(trust), key: Arc::new(key) })
    }

    /// Returns the configuration to listen with, for callers among `hosts` and for operators.
    pub(super) fn server(
        &self,
        hosts: Arc<BTreeSet<String>>,
    ) -> Result<ServerConfig, CredentialsError> {
        tls::server_config(&self.trust, &self.key, hosts).map_err(CredentialsError::Configure)
    }

    /// Returns the configuration to call `expect` with.
    pub(super) fn client(&self, expect: Expect) -> Result<ClientConfig, CredentialsError> {
        tls::client_config(&self.trust, &self.key, expect).map_err(CredentialsError::Configure)
    }

    /// Checks a certificate that came over TLS, now.
    pub(super) fn verify(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        usage: Usage,
        expect: &Expect,
    ) -> Result<Certificate, Refusal> {
        let Some([end_entity, intermediates @ ..]) = chain else {
            return Err(Refusal::NoCertificate);
        };
        self.trust.verify(Chain { end_entity, intermediates }, usage, expect, UnixTime::now())
    }
}

impl Holder {
    fn files(&self) -> (&'static str, &'static str) {
        match self {
            Self::Host { .. } => (HOST_CERTIFICATE, HOST_KEY),
            Self::Operator => (OPERATOR_CERTIFICATE, OPERATOR_KEY),
        }
    }

    fn check(&self, found: &Identity, path: &Path) -> Result<(), CredentialsError> {
        let (is_ours, wanted) = match (self, found.subject()) {
            (Self::Host { cluster, host }, Subject::Host(name)) => (
                found.cluster() == cluster && name == host,
                format!("curfew://{cluster}/host/{host}"),
            ),
            (Self::Host { cluster, host }, Subject::Operator(_) | Subject::Authority) => {
                (false, format!("curfew://{cluster}/host/{host}"))
            }
            (Self::Operator, subject) => {
                (matches!(subject, Subject::Operator(_)), "an operator's".to_owned())
            }
        };
        if is_ours {
            Ok(())
        } else {
            let path = path.to_owned();
            Err(CredentialsError::OtherHolder { path, found: found.clone(), wanted })
        }
    }
}

/// What is in force, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct CredentialsState {
    /// The last set of files that could be used.
    pub current: Option<Arc<Credentials>>,
    /// Why the files as they are now cannot be used, if they cannot.
    pub problem: Option<String>,
}

/// Re-reads the files when they change.
#[derive(Debug)]
pub(super) struct Reloader {
    directory: PathBuf,
    holder: Holder,
    state: watch::Sender<CredentialsState>,
    /// The files that were loaded.
    seen: Stamp,
    /// The files at the last look.
    last: Stamp,
}

impl Reloader {
    /// Watches `directory` for the certificates of `holder`; the first look is in [`Self::run`].
    pub(super) fn new(
        directory: PathBuf,
        holder: Holder,
    ) -> (Self, watch::Receiver<CredentialsState>) {
        let (state, receiver) = watch::channel(CredentialsState::default());
        let (seen, last) = (Stamp::default(), Stamp::default());
        (Self { directory, holder, state, seen, last }, receiver)
    }

    /// Looks at the files every [`LOOK_EVERY`] until cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(looks.tick()).await.is_some() {
            let (directory, holder) = (self.directory.clone(), self.holder.clone());
            let (seen, last) = (self.seen.clone(), self.last.clone());
            let state = self.state.borrow().clone();
            let look = tokio::task::spawn_blocking(move || {
                let stamp = Stamp::of(&directory, &holder);
                let is_due = stamp.is_due(&seen, &last, &state);
                let loaded = is_due.then(|| Credentials::load(&directory, &holder));
                let is_still = Stamp::of(&directory, &holder) == stamp;
                (stamp, loaded.filter(|_| is_still))
            });
            match cancel.run_until_cancelled(look).await {
                Some(Ok((stamp, loaded))) => {
                    self.last = stamp;
                    if let Some(loaded) = loaded {
                        self.seen = self.last.clone();
                        self.adopt(loaded);
                    }
                }
                Some(Err(_lost)) => {}
                None => return,
            }
        }
    }

    fn adopt(&self, loaded: Result<Credentials, CredentialsError>) {
        let next = match loaded {
            Ok(credentials) => {
                let certificate = &credentials.own;
                info!(
                    identity = %certificate.identity,
                    until = %certificate.validity.until(),
                    "certificates loaded"
                );
                CredentialsState { current: Some(Arc::new(credentials)), problem: None }
            }
            Err(error) => {
                let problem = super::chain(&error);
                let current = self.state.borrow().current.clone();
                if self.state.borrow().problem.as_ref() != Some(&problem) {
                    warn!(
                        problem,
                        keeps_old = current.is_some(),
                        "the certificates in the PKI directory cannot be used"
                    );
                }
                CredentialsState { current, problem: Some(problem) }
            }
        };
        self.state.send_if_modified(|state| {
            let is_news = next.problem != state.problem
                || next.current.as_ref().map(Arc::as_ptr)
                    != state.current.as_ref().map(Arc::as_ptr);
            *state = next;
            is_news
        });
    }
}

/// By what we see that files have changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Stamp(Vec<Option<(u64, u64, i64, i64)>>);

impl Stamp {
    /// Returns whether files that look like this are to be loaded; others were loaded, and at the
    /// last look they looked like `last`.
    fn is_due(&self, loaded: &Self, last: &Self, state: &CredentialsState) -> bool {
        // Who has nothing yet does not wait.
        if state.current.is_none() {
            return true;
        }
        // What failed is tried again: the cause may lie outside of these files.
        self == last && (self != loaded || state.problem.is_some())
    }

    fn of(directory: &Path, holder: &Holder) -> Self {
        let (certificate, key) = holder.files();
        let of = |metadata: Metadata| {
            (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
        };
        let files = [certificate, key, AUTHORITY_CERTIFICATE, REVOKED];
        Self(files.map(|file| fs::metadata(directory.join(file)).ok().map(of)).to_vec())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    fs::read(path).map_err(|source| CredentialsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CredentialsError::Decode { path: path.to_owned(), source })
}

/// Reads the authorities that are trusted (several while one replaces another), and how long the
/// first one is valid.
fn authority(path: &Path) -> Result<(RootCertStore, Validity), CredentialsError> {
    let all = certificates(path)?;
    let not_one = || CredentialsError::Authority { path: path.to_owned() };
    let first = Certificate::from_der(all.first().ok_or_else(not_one)?)
        .map_err(|source| CredentialsError::Certificate { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in all {
        roots.add(certificate).map_err(|_| not_one())?;
    }
    Ok((roots, first.validity))
}

fn revoked(path: &Path) -> Result<Revoked, CredentialsError> {
    let path_owned = || path.to_owned();
    match fs::read_to_string(path) {
        Ok(text) => Revoked::parse(&text)
            .map_err(|source| CredentialsError::Revoked { path: path_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Revoked::default()),
        Err(source) => Err(CredentialsError::Read { path: path_owned(), source }),
    }
}

/// A renewed or revoked certificate counts at the second look that finds it; four `stat`s cost
/// nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki;
    use crate::test_directory::TestDirectory;

    #[test]
    fn files_count_once_they_have_stood_still() {
        let folder = TestDirectory::new();
        let now = std::time::SystemTime::now();
        pki::init(folder.path(), "home", now).unwrap();
        pki::issue(folder.path(), Subject::Host("nfs".to_owned()), now).unwrap();
        let holder = Holder::Host { cluster: "home".to_owned(), host: "nfs".to_owned() };
        let current = Credentials::load(&folder.path().join("nfs"), &holder).unwrap();
        let stamp = |size| Stamp(vec![Some((1, size, 0, 0))]);
        let (old, half, whole) = (stamp(900), stamp(400), stamp(901));

        let nothing = CredentialsState::default();
        assert!(half.is_due(&Stamp::default(), &Stamp::default(), &nothing));
        let good = CredentialsState { current: Some(Arc::new(current)), problem: None };
        assert!(!old.is_due(&old, &old, &good), "nothing has changed");
        assert!(!half.is_due(&old, &old, &good), "it is being written");
        assert!(!whole.is_due(&old, &half, &good), "it may still be");
        assert!(whole.is_due(&old, &whole, &good));
        let bad = CredentialsState { problem: Some("half a certificate".to_owned()), ..good };
        assert!(whole.is_due(&whole, &whole, &bad), "what failed is tried again");
        assert!(!whole.is_due(&half, &half, &bad));
    }
}
