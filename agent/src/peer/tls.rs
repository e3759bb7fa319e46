//! Who is believed over TLS: one check for both directions, and the two configurations that use it.
//!
//! The order of the check: our authority's signature, the cluster, the revocation list, the role
//! and name, and for operators the dates. A host's certificate is checked as of a moment inside its
//! own validity, so that a clock that is wrong after an outage, or a certificate that ran out in
//! the cupboard, does not part hosts; how long it is still valid is reported elsewhere.
//!
//! TLS 1.3 only, ring only, without resumption: each connection is checked anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};

use super::refusal::{self, Refusal};
use super::revoked::Revoked;
use crate::pki::{Certificate, Subject};

/// Whom we believe.
#[derive(Debug)]
pub(super) struct Trust {
    cluster: String,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
    revoked: Revoked,
    provider: Arc<CryptoProvider>,
}

/// In which direction a certificate is used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usage {
    /// The other side called us.
    Client,
    /// We called the other side.
    Server,
}

/// Whom we expect to find.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// This host.
    Host(String),
    /// Any host of the cluster, as an operator does who has only an address.
    AnyHost,
    /// One of these hosts, or an operator.
    Caller(Arc<BTreeSet<String>>),
}

impl Trust {
    /// Believes those whom `roots` have signed for `cluster`, less the revoked.
    pub(super) fn new(
        cluster: &str,
        roots: RootCertStore,
        revoked: Revoked,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        let provider = provider();
        let roots = Arc::new(roots);
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()?;
        Ok(Self { cluster: cluster.to_owned(), roots, clients, revoked, provider })
    }

    /// Checks the certificate of the other side and returns what it says.
    pub(super) fn verify(
        &self,
        chain: Chain<'_>,
        usage: Usage,
        expect: &Expect,
        now: UnixTime,
    ) -> Result<Certificate, Refusal> {
        let certificate =
            Certificate::from_der(chain.end_entity).map_err(Refusal::BadCertificate)?;
        let clock = UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
        // The dates are judged below, where the remedy can be named.
        let inside = UnixTime::since_unix_epoch(certificate.validity.nearest(clock));
        self.verify_signature(chain, usage, inside)
            .map_err(|error| explain(&error, &certificate))?;

        let identity = &certificate.identity;
        if identity.cluster() != self.cluster {
            let theirs = identity.cluster().to_owned();
            return Err(Refusal::OtherCluster { theirs, ours: self.cluster.clone() });
        }
        if self.revoked.contains(&certificate) {
            return Err(Refusal::Revoked(identity.clone()));
        }
        expect.check(identity.subject())?;
        if let Some(operator) = identity.as_operator()
            && !certificate.validity.contains(clock)
        {
            return Err(Refusal::Expired {
                operator: operator.to_owned(),
                validity: certificate.validity,
                now: refusal::day(now),
            });
        }
        Ok(certificate)
    }

    fn verify_signature(
        &self,
        chain: Chain<'_>,
        usage: Usage,
        at: UnixTime,
    ) -> Result<(), rustls::Error> {
        let Chain { end_entity, intermediates } = chain;
        match usage {
            Usage::Client => {
                self.clients.verify_client_cert(end_entity, intermediates, at).map(|_| ())
            }
            Usage::Server => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                &self.roots,
                intermediates,
                at,
                self.provider.signature_verification_algorithms.all,
            ),
        }
    }
}

/// A certificate and those that came with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain<'a> {
    /// The certificate of the other side.
    pub(super) end_entity: &'a CertificateDer<'a>,
    /// What it sent besides.
    pub(super) intermediates: &'a [CertificateDer<'a>],
}

impl Expect {
    fn check(&self, subject: &Subject) -> Result<(), Refusal> {
        let other_host = |expected: &str| Refusal::OtherHost {
            found: subject.to_string(),
            expected: expected.to_owned(),
        };
        match (self, subject) {
            (Self::Host(expected), Subject::Host(found)) if found == expected => Ok(()),
            (Self::Host(expected), _) => Err(other_host(&format!("host {expected}"))),
            (Self::AnyHost, Subject::Host(_)) | (Self::Caller(_), Subject::Operator(_)) => Ok(()),
            (Self::AnyHost, _) => Err(other_host("a host")),
            (Self::Caller(hosts), Subject::Host(host)) if hosts.contains(host) => Ok(()),
            (Self::Caller(_), Subject::Host(host)) => Err(Refusal::UnknownHost(host.clone())),
            (Self::Caller(_), Subject::Authority) => Err(other_host("a host or an operator")),
        }
    }
}

/// Returns the configuration to listen with.
pub(super) fn server_config(
    trust: &Arc<Trust>,
    key: &Arc<CertifiedKey>,
    hosts: Arc<BTreeSet<String>>,
) -> Result<ServerConfig, rustls::Error> {
    let verifier = Verifier { trust: Arc::clone(trust), expect: Expect::Caller(hosts) };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))));
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Returns the configuration to call somebody with.
pub(super) fn client_config(
    trust: &Arc<Trust>,
    key: &Arc<CertifiedKey>,
    expect: Expect,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier { trust: Arc::clone(trust), expect };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))));
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Returns the configuration of somebody who has no certificate.
#[cfg(test)]
pub(super) fn anonymous_client_config(trust: &Arc<Trust>) -> ClientConfig {
    let verifier = Verifier { trust: Arc::clone(trust), expect: Expect::AnyHost };
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// Returns the one crypto provider.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Puts [`Trust::verify`] behind the two traits of rustls.
#[derive(Debug)]
struct Verifier {
    trust: Arc<Trust>,
    expect: Expect,
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hints: a caller has one certificate, and shows it.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let chain = Chain { end_entity, intermediates };
        self.trust
            .verify(chain, Usage::Client, &self.expect, now)
            .map(|_| ClientCertVerified::assertion())
            .map_err(Refusal::into_tls)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = Chain { end_entity, intermediates };
        self.trust
            .verify(chain, Usage::Server, &self.expect, now)
            .map(|_| ServerCertVerified::assertion())
            .map_err(Refusal::into_tls)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(self)
    }
}

fn explain(error: &rustls::Error, certificate: &Certificate) -> Refusal {
    use rustls::CertificateError;
    let identity = certificate.identity.clone();
    // Two authorities of one cluster have one subject, so that only the signature tells them apart.
    let is_foreign = matches!(
        error,
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        )
    );
    if is_foreign {
        Refusal::ForeignAuthority(identity)
    } else {
        Refusal::Unusable { identity, detail: error.to_string() }
    }
}

/// The one protocol that we speak over TLS.
const HTTP_2: &[u8] = b"h2";
