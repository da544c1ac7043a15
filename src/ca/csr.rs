//! Certificate signing requests (RFC 2986): read first, verified last (pki-api 15.1, step 26).

use std::fmt;

use super::key::KeyKind;
use super::permit::{AlternativeNames, RawExtension};
use super::public_key::PublicKey;

/// A request that was read; its signature is not yet checked, so it gives no key away.
#[derive(Clone, Debug)]
pub struct ParsedCsr {
    der: Vec<u8>,
    public_key: PublicKey,
    names: AlternativeNames,
}

/// A request whose sender holds the key.
#[derive(Clone, Debug)]
pub struct VerifiedCsr {
    parsed: ParsedCsr,
}

/// Why a request cannot be taken. The texts are Vault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsrError {
    /// A key algorithm that nobody here knows (step 8).
    UnknownKey,
    /// A curve that nobody here knows (step 7).
    UnsupportedCurve,
    /// It cannot be read (step 7); the text is the reader's.
    Malformed(String),
    /// The signature does not verify (step 26).
    SignatureInvalid,
}

impl fmt::Display for CsrError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parsed = "certificate request could not be parsed: ";
        match self {
            Self::UnknownKey => formatter.write_str(
                "Refusing to sign CSR with empty PublicKey. This usually means the \
                 SubjectPublicKeyInfo field has an OID not recognized by Go, such as \
                 1.2.840.113549.1.1.10 for rsaPSS.",
            ),
            Self::UnsupportedCurve => write!(formatter, "{parsed}x509: unsupported elliptic curve"),
            Self::Malformed(text) => write!(formatter, "{parsed}{text}"),
            Self::SignatureInvalid => formatter.write_str("request signature invalid"),
        }
    }
}

impl std::error::Error for CsrError {}

impl ParsedCsr {
    /// Reads the DER of a CertificationRequest.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        let _ = der;
        todo!()
    }

    /// Checks the proof of possession.
    pub fn verify(self) -> Result<VerifiedCsr, CsrError> {
        todo!()
    }

    /// The DER it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Kind and size of the key that wants to be certified.
    pub const fn key_kind(&self) -> KeyKind {
        self.public_key.kind()
    }

    /// The DER of the subject.
    pub fn subject(&self) -> &[u8] {
        todo!()
    }

    /// The common name (the last one, as Go has it), or empty.
    pub fn common_name(&self) -> &str {
        todo!()
    }

    /// The subject attribute serialNumber (the last one), or empty.
    pub fn serial_number(&self) -> &str {
        todo!()
    }

    /// User ids in order.
    pub fn user_ids(&self) -> &[String] {
        todo!()
    }

    /// Requested alternative names; `other` holds those with a UTF8String.
    pub const fn names(&self) -> &AlternativeNames {
        &self.names
    }

    /// Is there an otherName whose value is no UTF8String?
    pub fn has_foreign_other_name(&self) -> bool {
        todo!()
    }

    /// Every requested extension, in order.
    pub fn extensions(&self) -> &[RawExtension] {
        todo!()
    }

    /// Does it ask for basic constraints?
    pub fn has_basic_constraints(&self) -> bool {
        todo!()
    }
}

impl VerifiedCsr {
    /// The key that its sender holds.
    pub const fn public_key(&self) -> &PublicKey {
        &self.parsed.public_key
    }

    /// The request.
    pub const fn parsed(&self) -> &ParsedCsr {
        &self.parsed
    }
}
