//! `Permit + issuer + key + serial → Tbs` (pki-api 16.1).

use std::fmt;

use super::certificate::IssuerView;
use super::key::SignatureAlgorithm;
use super::permit::{Permit, Template};
use super::public_key::PublicKey;
use super::serial::Serial;
use super::signed::ToSign;
use super::time::Timestamp;

/// A composed certificate, not yet linted.
#[derive(Debug)]
#[must_use]
pub struct Tbs {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    template: Template,
    facts: CertificateFacts,
}

/// What is known of a certificate that we composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Serial number.
    pub serial: Serial,
    /// First instant of validity, as encoded.
    pub not_before: Timestamp,
    /// Last instant of validity, as encoded.
    pub not_after: Timestamp,
    /// CA:TRUE?
    pub is_authority: bool,
}

/// Why a permit cannot be encoded. The texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComposeError {
    /// A DNS name, e-mail address or URI outside ASCII.
    NotIa5(String),
    /// An instant that a certificate cannot name.
    Instant(Timestamp),
}

impl fmt::Display for ComposeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIa5(text) => {
                write!(formatter, "x509: {text:?} cannot be encoded as an IA5String")
            }
            Self::Instant(_) => {
                formatter.write_str("cannot represent time as UTCTime or GeneralizedTime")
            }
        }
    }
}

impl std::error::Error for ComposeError {}

/// Composes a certificate that `issuer` will sign.
pub fn compose(
    permit: Permit,
    issuer: &IssuerView<'_>,
    subject_key: &PublicKey,
    serial: Serial,
) -> Result<Tbs, ComposeError> {
    let _ = (permit, issuer, subject_key, serial);
    todo!()
}

/// Composes a self-signed certificate: issuer is the subject, the AKI its own SKI.
pub fn compose_self_signed(
    permit: Permit,
    subject_key: &PublicKey,
    serial: Serial,
) -> Result<Tbs, ComposeError> {
    let _ = (permit, subject_key, serial);
    todo!()
}

impl Tbs {
    /// The DER of the `TBSCertificate`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The values it was composed from.
    pub const fn template(&self) -> &Template {
        &self.template
    }

    /// What is known of it.
    pub const fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

impl ToSign for Tbs {
    type Facts = CertificateFacts;

    fn to_be_signed(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_grave(&self) -> bool {
        self.facts.is_authority
    }

    fn into_facts(self) -> CertificateFacts {
        self.facts
    }
}
