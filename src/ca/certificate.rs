//! A certificate as others made it, or as we did: read once, asked often.

use std::fmt;

use const_oid::ObjectIdentifier;

use super::key::{KeyKind, SignatureAlgorithm};
use super::permit::{AlternativeNames, KeyUsage};
use super::public_key::PublicKey;
use super::time::Timestamp;

/// A parsed certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
}

/// What composing and linting need to know of a signer.
#[derive(Clone, Copy, Debug)]
pub struct IssuerView<'a> {
    /// The DER of the issuer's subject, spliced as it is.
    pub subject: &'a [u8],
    /// The issuer's subject key identifier.
    pub key_identifier: Option<&'a [u8]>,
    /// The kind of the issuer's key.
    pub key_kind: KeyKind,
    /// The issuer's last instant of validity.
    pub not_after: Timestamp,
}

/// Why bytes are no certificate that we can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// Not the DER of a certificate; the text says where.
    Malformed(String),
    /// A key algorithm or curve that we do not know.
    UnknownKey,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => formatter.write_str(text),
            Self::UnknownKey => formatter.write_str("x509: unknown public key algorithm"),
        }
    }
}

impl std::error::Error for CertificateError {}

impl Certificate {
    /// Reads the DER of one certificate; nothing may follow it.
    pub fn parse(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let _ = der.into();
        todo!()
    }

    /// The DER it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The DER of the subject.
    pub fn subject(&self) -> &[u8] {
        todo!()
    }

    /// The DER of the issuer's name.
    pub fn issuer(&self) -> &[u8] {
        todo!()
    }

    /// The common name of the subject (the last one, as Go has it), or empty.
    pub fn common_name(&self) -> &str {
        todo!()
    }

    /// The serial number's octets, big-endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        todo!()
    }

    /// First instant of validity.
    pub fn not_before(&self) -> Timestamp {
        todo!()
    }

    /// Last instant of validity.
    pub fn not_after(&self) -> Timestamp {
        todo!()
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        todo!()
    }

    /// Subject key identifier.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        todo!()
    }

    /// The keyIdentifier of the authority key identifier.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        todo!()
    }

    /// Basic constraints with CA:TRUE?
    pub fn is_authority(&self) -> bool {
        todo!()
    }

    /// pathLenConstraint; more than 255 counts as 255.
    pub fn path_length(&self) -> Option<u8> {
        todo!()
    }

    /// Key usage, if the extension is there.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        todo!()
    }

    /// Extended key usages in order.
    pub fn extended_key_usage(&self) -> &[ObjectIdentifier] {
        todo!()
    }

    /// Subject alternative names of the kinds we know.
    pub fn names(&self) -> &AlternativeNames {
        todo!()
    }

    /// Are subject and issuer the same bytes?
    pub fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    /// How it is signed, if we know the algorithm.
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        todo!()
    }

    /// Does this key verify its signature? Unknown algorithms and SHA-1 do not verify.
    pub fn verify_signed_by(&self, key: &PublicKey) -> bool {
        let _ = key;
        todo!()
    }

    /// This certificate as a signer.
    pub fn issuer_view(&self) -> IssuerView<'_> {
        IssuerView {
            subject: self.subject(),
            key_identifier: self.subject_key_identifier(),
            key_kind: self.public_key().kind(),
            not_after: self.not_after(),
        }
    }
}
