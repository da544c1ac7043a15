//! Subject public keys: read, identified, verified with.

use std::fmt;

use super::key::{KeyKind, SignatureAlgorithm};

/// A public key: its SubjectPublicKeyInfo and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    bits_start: usize,
    kind: KeyKind,
}

/// Why a SubjectPublicKeyInfo is not a key. The texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyError {
    /// An algorithm that we do not know.
    UnknownAlgorithm,
    /// A curve that we do not know.
    UnsupportedCurve,
    /// Anything else.
    Malformed(String),
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAlgorithm => formatter.write_str("x509: unknown public key algorithm"),
            Self::UnsupportedCurve => formatter.write_str("x509: unsupported elliptic curve"),
            Self::Malformed(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for PublicKeyError {}

impl PublicKey {
    /// Reads the DER of a SubjectPublicKeyInfo; an EC point must lie on its curve.
    pub fn parse(spki: &[u8]) -> Result<Self, PublicKeyError> {
        let _ = spki;
        todo!()
    }

    /// The DER of the SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Kind and size.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The content of the BIT STRING subjectPublicKey.
    pub fn subject_public_key(&self) -> &[u8] {
        self.spki.get(self.bits_start..).unwrap_or_default()
    }

    /// SHA-1 of the subjectPublicKey bits (RFC 5280, 4.2.1.2, method 1).
    pub fn key_identifier(&self) -> [u8; 20] {
        todo!()
    }

    /// Does this key verify the signature? False too if key and algorithm do not fit.
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let _ = (algorithm, message, signature);
        todo!()
    }
}
