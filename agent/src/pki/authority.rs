//! Makes the authority and what it issues, for `curfew pki init` and `curfew pki issue`.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::certificate::{self, Certificate, DAY, Validity};
use super::identity::{Identity, Subject};
use super::{
    AUTHORITY_CERTIFICATE, AUTHORITY_KEY, HOST_CERTIFICATE, HOST_KEY, ISSUED, OPERATOR_CERTIFICATE,
    OPERATOR_KEY, PkiError,
};

/// A new authority; its `Display` says what to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Initialised {
    /// Where it is.
    pub directory: PathBuf,
    /// The cluster that it is for.
    pub cluster: String,
    /// How long.
    pub validity: Validity,
}

/// A new certificate; its `Display` says what to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issued {
    /// Where it is, with its key and the authority's certificate.
    pub directory: PathBuf,
    /// The certificate.
    pub certificate: Certificate,
}

/// Makes the authority of `cluster` in `directory`, which is created if need be.
pub fn init(directory: &Path, cluster: &str, now: SystemTime) -> Result<Initialised, PkiError> {
    let identity = Identity::new(cluster, Subject::Authority).map_err(PkiError::Name)?;
    let certificate_path = directory.join(AUTHORITY_CERTIFICATE);
    let key_path = directory.join(AUTHORITY_KEY);
    for path in [&certificate_path, &key_path] {
        if path.symlink_metadata().is_ok() {
            return Err(PkiError::AuthorityExists { path: path.clone() });
        }
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| PkiError::Write { path: directory.to_owned(), source })?;

    let validity = validity_from(now, AUTHORITY_LIFE);
    let mut params = params(&identity, &format!("Curfew authority of {cluster}"), validity)?;
    // No certificate between the authority and a host: there is one level, and no more can be made.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    let key = KeyPair::generate().map_err(PkiError::Sign)?;
    let signed = params.self_signed(&key).map_err(PkiError::Sign)?;

    write_new(&key_path, &key.serialize_pem(), SECRET)?;
    write_new(&certificate_path, &signed.pem(), PUBLIC)?;
    Ok(Initialised { directory: directory.to_owned(), cluster: cluster.to_owned(), validity })
}

/// Issues a certificate for a host or an operator from the authority in `directory`, into a new
/// directory below it that is whole or not there at all.
pub fn issue(directory: &Path, subject: Subject, now: SystemTime) -> Result<Issued, PkiError> {
    let authority = Authority::open(directory)?;
    let identity = Identity::new(&authority.cluster, subject).map_err(PkiError::Name)?;
    let plan = Plan::new(&identity)
        .ok_or_else(|| PkiError::NotAnAuthority { path: directory.join(AUTHORITY_CERTIFICATE) })?;
    let target = directory.join(&plan.directory);
    if target.symlink_metadata().is_ok() {
        return Err(PkiError::IssuedBefore { path: target });
    }
    let validity = within(validity_from(now, plan.life), authority.validity)?;
    let mut params = params(&identity, plan.name, validity)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = plan.purposes;
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(PkiError::Sign)?;
    let signed = params.signed_by(&key, &authority.issuer).map_err(PkiError::Sign)?;
    let certificate = Certificate::from_der(signed.der())
        .map_err(|_| PkiError::NotAnAuthority { path: directory.join(AUTHORITY_CERTIFICATE) })?;

    let partial = directory.join(format!(".{}.partial", plan.directory));
    let write_error = |path: &Path| {
        let path = path.to_owned();
        |source| PkiError::Write { path, source }
    };
    if partial.symlink_metadata().is_ok() {
        // Left by an earlier run that was cut short; nobody has used what is in it.
        fs::remove_dir_all(&partial).map_err(write_error(&partial))?;
    }
    DirBuilder::new().mode(0o700).create(&partial).map_err(write_error(&partial))?;
    write_new(&partial.join(plan.key_file), &key.serialize_pem(), SECRET)?;
    write_new(&partial.join(plan.certificate_file), &signed.pem(), PUBLIC)?;
    write_new(&partial.join(AUTHORITY_CERTIFICATE), &authority.pem, PUBLIC)?;
    note(directory, &certificate, now)?;
    fs::rename(&partial, &target).map_err(write_error(&target))?;
    sync_directory(directory).map_err(write_error(directory))?;
    Ok(Issued { directory: target, certificate })
}

impl fmt::Display for Initialised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, cluster, validity } = self;
        let directory = directory.display();
        write!(
            f,
            "made the authority of cluster {cluster} in {directory}, valid until {}: keep \
             {directory}/{AUTHORITY_KEY} off the hosts and back it up; next: curfew pki issue \
             --dir {directory} HOST...",
            validity.until()
        )
    }
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Certificate { identity, validity, .. } = &self.certificate;
        let directory = self.directory.display();
        write!(f, "issued {} until {}: ", identity.subject(), validity.until())?;
        match identity.subject() {
            Subject::Host(name) => {
                write!(f, "copy the files of {directory} to the --pki directory of {name}")
            }
            Subject::Operator(name) => {
                write!(f, "give {directory} to {name}, who names it with --pki")
            }
            Subject::Authority => write!(f, "see {directory}"),
        }
    }
}

struct Authority {
    cluster: String,
    validity: Validity,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn open(directory: &Path) -> Result<Self, PkiError> {
        let read = |path: &Path| {
            fs::read_to_string(path)
                .map_err(|source| PkiError::ReadAuthority { path: path.to_owned(), source })
        };
        let path = directory.join(AUTHORITY_CERTIFICATE);
        let pem = read(&path)?;
        let key = read(&directory.join(AUTHORITY_KEY))?;
        let not_ours = || PkiError::NotAnAuthority { path: path.clone() };
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| not_ours())?;
        let certificate = Certificate::from_der(&der).map_err(|_| not_ours())?;
        if *certificate.identity.subject() != Subject::Authority {
            return Err(not_ours());
        }
        let key = KeyPair::from_pem(&key).map_err(PkiError::Sign)?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(PkiError::Sign)?;
        let cluster = certificate.identity.cluster().to_owned();
        Ok(Self { cluster, validity: certificate.validity, pem, issuer })
    }
}

/// What differs between a host's certificate and an operator's.
struct Plan<'a> {
    name: &'a str,
    directory: String,
    certificate_file: &'static str,
    key_file: &'static str,
    life: Duration,
    purposes: Vec<ExtendedKeyUsagePurpose>,
}

impl<'a> Plan<'a> {
    fn new(identity: &'a Identity) -> Option<Self> {
        match identity.subject() {
            Subject::Authority => None,
            Subject::Host(name) => Some(Self {
                name,
                directory: name.clone(),
                certificate_file: HOST_CERTIFICATE,
                key_file: HOST_KEY,
                life: HOST_LIFE,
                // A host listens to its peers and calls them.
                purposes: vec![
                    ExtendedKeyUsagePurpose::ServerAuth,
                    ExtendedKeyUsagePurpose::ClientAuth,
                ],
            }),
            Subject::Operator(name) => Some(Self {
                name,
                directory: format!("operator-{name}"),
                certificate_file: OPERATOR_CERTIFICATE,
                key_file: OPERATOR_KEY,
                life: OPERATOR_LIFE,
                purposes: vec![ExtendedKeyUsagePurpose::ClientAuth],
            }),
        }
    }
}

fn params(
    identity: &Identity,
    common_name: &str,
    validity: Validity,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let uri = identity.to_string().try_into().map_err(PkiError::Sign)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(validity.not_before);
    params.not_after = epoch + Duration::from_secs(validity.not_after);
    Ok(params)
}

fn validity_from(now: SystemTime, life: Duration) -> Validity {
    let now = certificate::seconds(now);
    Validity {
        // The clocks of a home cluster are not the same to the minute.
        not_before: now.saturating_sub(BACKDATED.as_secs()),
        not_after: now.saturating_add(life.as_secs()),
    }
}

fn within(wanted: Validity, authority: Validity) -> Result<Validity, PkiError> {
    let validity = Validity {
        not_before: wanted.not_before.max(authority.not_before),
        not_after: wanted.not_after.min(authority.not_after),
    };
    if validity.not_before < validity.not_after {
        Ok(validity)
    } else {
        Err(PkiError::AuthorityExpired { until: authority.until() })
    }
}

/// Notes a certificate in the log of issued ones, from which a serial number can be revoked even
/// when the certificate itself is lost.
fn note(directory: &Path, certificate: &Certificate, now: SystemTime) -> Result<(), PkiError> {
    let path = directory.join(ISSUED);
    let Certificate { identity, validity, serial, fingerprint } = certificate;
    let line = format!(
        "{} {identity} serial={serial} sha256={fingerprint} until={}\n",
        certificate::day(certificate::seconds(now)),
        validity.until()
    );
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PUBLIC)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.sync_all()
        })
        .map_err(|source| PkiError::Write { path, source })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|source| PkiError::Write { path: path.to_owned(), source })
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Read by all.
const PUBLIC: u32 = 0o644;
/// Read by its owner.
const SECRET: u32 = 0o600;
/// The authority outlives its hosts' certificates.
const AUTHORITY_LIFE: Duration = Duration::from_secs(DAY.as_secs() * 20 * 365 + 5 * DAY.as_secs());
/// As long as the hardware: a certificate that runs out in a cupboard helps nobody.
const HOST_LIFE: Duration = Duration::from_secs(DAY.as_secs() * 10 * 365 + 2 * DAY.as_secs());
/// A laptop gets lost; a year bounds what a forgotten key can do.
const OPERATOR_LIFE: Duration = Duration::from_secs(DAY.as_secs() * 365);
/// By how much the begin is put back.
const BACKDATED: Duration = Duration::from_hours(1);
