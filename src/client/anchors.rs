//! Verification of a server's certificate: it chains to a trusted authority, or is trusted itself.
//!
//! `openssl req -x509` makes a self-signed certificate that says that it is an authority, so that
//! it cannot be the leaf of a chain. Go's clients, Vault's among them, accept a certificate that
//! equals a trusted one byte for byte; so does this client. It still checks the certificate's
//! name, validity and purpose, and the handshake still proves the key.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::ca::certificate::CertificateFields;
use crate::ca::permit::BasicConstraints;
use crate::ca::time::Timestamp;

/// The trusted certificates.
#[derive(Debug)]
pub(super) struct Anchors {
    /// All certificates; one may be the server's own.
    given: Vec<CertificateDer<'static>>,
    /// The certificates that may sign others.
    authorities: RootCertStore,
}

impl Anchors {
    pub(super) fn new() -> Self {
        Self { given: Vec::new(), authorities: RootCertStore::empty() }
    }

    /// Adds the certificates of a file, without those that cannot be read.
    pub(super) fn add(&mut self, certificates: Vec<CertificateDer<'static>>) {
        for certificate in certificates {
            match CertificateFields::read(&certificate) {
                // Only an authority signs others (RFC 5280, 4.2.1.9), given to trust or not.
                Ok(fields) if !may_sign(&fields) => self.given.push(certificate),
                // rustls may accept a certificate that this reader refuses: bundles of systems hold such ones.
                _ => {
                    if self.authorities.add(certificate.clone()).is_ok() {
                        self.given.push(certificate);
                    }
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// A verifier that accepts these certificates and those that their authorities signed.
    ///
    /// # Errors
    /// The error of rustls about the authorities.
    pub(super) fn verifier(self, provider: &Arc<CryptoProvider>) -> Result<Verifier, String> {
        let chains = if self.authorities.is_empty() {
            None
        } else {
            let roots = Arc::new(self.authorities);
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
            Some(builder.build().map_err(|error| error.to_string())?)
        };
        let trusted = Trusted::Given { certificates: self.given, chains };
        Ok(Verifier { trusted, algorithms: provider.signature_verification_algorithms })
    }
}

/// A version 1 certificate has no extensions to mark a CA, and many old roots have this version.
fn may_sign(certificate: &CertificateFields<'_>) -> bool {
    match certificate.basic_constraints() {
        Ok(BasicConstraints::Authority { .. }) => true,
        Ok(BasicConstraints::Absent) => certificate.version() < 3,
        Ok(BasicConstraints::EndEntity) | Err(_) => false,
    }
}

/// Verifies a server's certificate, and always that the server holds the certificate's key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trusted: Trusted,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
pub(super) enum Trusted {
    /// Any certificate.
    Any,
    Given {
        certificates: Vec<CertificateDer<'static>>,
        chains: Option<Arc<WebPkiServerVerifier>>,
    },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trusted::Given { certificates, chains } = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        if certificates.iter().any(|given| given == end_entity) {
            check_given(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let Some(chains) = chains else { return Err(CertificateError::UnknownIssuer.into()) };
        chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
            .map_err(not_its_key)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
            .map_err(not_its_key)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks what a chain requires of its leaf: name, validity, purpose.
fn check_given(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
    let fields = CertificateFields::read(certificate).map_err(|_| CertificateError::BadEncoding)?;
    // Rustls has no instants before 1970.
    let time = |instant: Timestamp| {
        let seconds = u64::try_from(instant.unix()).unwrap_or_default();
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    };
    let (not_before, not_after) = (time(fields.not_before()), time(fields.not_after()));
    if now.as_secs() < not_before.as_secs() {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now.as_secs() > not_after.as_secs() {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    match fields.is_for_servers() {
        Ok(true) => Ok(()),
        Ok(false) => Err(CertificateError::InvalidPurpose.into()),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

/// A handshake signature that the certificate's key did not make. rustls uses the same error for a
/// wrong signature on a certificate, where the remedy is another one.
fn not_its_key(_: Error) -> Error {
    let why = "the server does not hold the key of the certificate that it presents: give it the key that belongs to its certificate";
    Error::General(why.to_owned())
}
