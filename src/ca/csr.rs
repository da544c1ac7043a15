//! Certificate signing requests (RFC 2986): read first, verified last (pki-api 15.1, step 26).

use std::collections::BTreeSet;
use std::fmt;

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{ReadError, Reader, tag};
use super::distinguished_name::{self, Attributes};
use super::general_names::{self, ReadNames};
use super::key::{KeyKind, SignatureAlgorithm};
use super::permit::{AlternativeNames, RawExtension};
use super::public_key::{PublicKey, PublicKeyError};
use super::{algorithm_identifier, extensions, uri};

/// A request that was read; its signature is not yet checked, so it gives no key away.
#[derive(Clone, Debug)]
pub struct ParsedCsr {
    der: Vec<u8>,
    signed: Vec<u8>,
    algorithm: Option<SignatureAlgorithm>,
    signature: Vec<u8>,
    subject: Vec<u8>,
    attributes: Attributes,
    public_key: PublicKey,
    names: ReadNames,
    extensions: Vec<RawExtension>,
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

impl From<ReadError> for CsrError {
    fn from(error: ReadError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<PublicKeyError> for CsrError {
    fn from(error: PublicKeyError) -> Self {
        match error {
            PublicKeyError::UnknownAlgorithm => Self::UnknownKey,
            PublicKeyError::UnsupportedCurve => Self::UnsupportedCurve,
            PublicKeyError::Malformed(text) => Self::Malformed(text),
        }
    }
}

impl ParsedCsr {
    /// Reads the DER of a CertificationRequest.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        let mut outer = Reader::new(der);
        let mut parts = outer.sequence("x509.certificateRequest")?;
        let info = parts.expect(tag::SEQUENCE, "x509.tbsCertificateRequest")?;
        let mut fields = Reader::new(info.content);
        fields.integer()?;
        let subject = fields.expect(tag::SEQUENCE, "asn1.RawValue")?;
        let key = fields.expect(tag::SEQUENCE, "x509.publicKeyInfo")?;
        let requested = match fields.optional(tag::explicit(0))? {
            Some(attributes) => requested_extensions(attributes.content)?,
            None => Vec::new(),
        };
        fields.end()?;
        let algorithm = parts.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
        let signature = parts.octet_bits()?;
        parts.end().and(outer.end())?;
        let public_key = PublicKey::parse(key.whole)?;
        let names = requested
            .iter()
            .find(|extension| extension.oid == extensions::SUBJECT_ALT_NAME)
            .map_or(Ok(ReadNames::default()), |extension| general_names::read(&extension.value))
            .map_err(CsrError::Malformed)?;
        names.names.uri.iter().try_for_each(|text| readable_uri(text))?;
        Ok(Self {
            der: der.to_vec(),
            signed: info.whole.to_vec(),
            algorithm: algorithm_identifier::decode(algorithm.whole),
            signature: signature.to_vec(),
            subject: subject.whole.to_vec(),
            attributes: distinguished_name::read(subject.content)?,
            public_key,
            names,
            extensions: requested,
        })
    }

    /// Checks the proof of possession.
    pub fn verify(self) -> Result<VerifiedCsr, CsrError> {
        let verified = self.algorithm.is_some_and(|algorithm| {
            self.public_key.verify(algorithm, &self.signed, &self.signature)
        });
        if verified { Ok(VerifiedCsr { parsed: self }) } else { Err(CsrError::SignatureInvalid) }
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
        &self.subject
    }

    /// The common name (the last one, as Go has it), or empty.
    pub fn common_name(&self) -> &str {
        &self.attributes.common_name
    }

    /// The subject attribute serialNumber (the last one), or empty.
    pub fn serial_number(&self) -> &str {
        &self.attributes.serial_number
    }

    /// User ids in order.
    pub fn user_ids(&self) -> &[String] {
        &self.attributes.user_ids
    }

    /// Requested alternative names; `other` holds those with a UTF8String.
    pub const fn names(&self) -> &AlternativeNames {
        &self.names.names
    }

    /// Is there an otherName whose value is no UTF8String?
    pub const fn has_foreign_other_name(&self) -> bool {
        self.names.foreign_other
    }

    /// Every requested extension, in order.
    pub fn extensions(&self) -> &[RawExtension] {
        &self.extensions
    }

    /// Does it ask for basic constraints?
    pub fn has_basic_constraints(&self) -> bool {
        self.extensions.iter().any(|extension| extension.oid == extensions::BASIC_CONSTRAINTS)
    }
}

/// extensionRequest (RFC 2985, 5.4.2).
pub(in crate::ca) const EXTENSION_REQUEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// The extensions that the attributes ask for. Attributes that do not read are none of ours.
fn requested_extensions(attributes: &[u8]) -> Result<Vec<RawExtension>, CsrError> {
    let mut list = Reader::new(attributes);
    let mut found = Vec::new();
    // Not looked for in `found`: a request has room for a hundred thousand of them.
    let mut seen = BTreeSet::new();
    while !list.is_empty() {
        let attribute = list.any()?;
        let mut fields = Reader::new(attribute.content);
        let Ok(oid) = fields.oid() else { continue };
        let Ok(values) = fields.expect(tag::SET, "[]asn1.RawValue") else { continue };
        if oid != EXTENSION_REQUEST || values.content.is_empty() {
            continue;
        }
        let mut extensions = Reader::new(values.content).sequence("[]pkix.Extension")?;
        while !extensions.is_empty() {
            let mut fields = extensions.sequence("pkix.Extension")?;
            let oid = fields.oid()?;
            let critical = fields.default_false()?;
            let value = fields.expect(tag::OCTET_STRING, "[]uint8")?.content.to_vec();
            fields.end()?;
            if !seen.insert(oid) {
                return Err(CsrError::Malformed(
                    "x509: certificate request contains duplicate requested extensions".to_owned(),
                ));
            }
            found.push(RawExtension { oid, critical, value });
        }
    }
    Ok(found)
}

/// Go reads no certificate whose URI is none, or whose host could be no domain.
fn readable_uri(text: &str) -> Result<(), CsrError> {
    let quoted = uri::go_quote(text);
    if uri::canonical(text).is_none() {
        Err(CsrError::Malformed(format!(
            "x509: cannot parse URI {quoted}: parse {quoted}: invalid URI"
        )))
    } else if !uri::host_is_domain(text) {
        Err(CsrError::Malformed(format!("x509: cannot parse URI {quoted}: invalid domain")))
    } else {
        Ok(())
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

#[cfg(test)]
mod tests;
