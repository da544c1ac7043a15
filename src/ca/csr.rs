//! Certificate signing requests (RFC 2986): read first, verified last. The steps are those of
//! `docs/dev/vault-pki.md`, "Order of the checks of issue and sign".

use std::collections::BTreeSet;
use std::fmt;

use crate::ca::oid::ObjectIdentifier;
use crate::go::{self, url};

use super::asn1::{DerError, DerReader, tag};
use super::distinguished_name::{self, Attributes};
use super::general_names::{self, ReadNames};
use super::key::{KeyKind, SignatureAlgorithm};
use super::permit::{AlternativeNames, RawExtension};
use super::public_key::{PublicKey, PublicKeyError};
use super::{algorithm_identifier, dropped, extensions, uri};

/// A parsed CSR. Its signature is not verified yet, so its key cannot be certified.
#[derive(Clone, Debug)]
pub struct ParsedCsr {
    der: Vec<u8>,
    signed: Vec<u8>,
    algorithm: Result<SignatureAlgorithm, String>,
    signature: Vec<u8>,
    subject: Vec<u8>,
    attributes: Attributes,
    public_key: PublicKey,
    names: ReadNames,
    extensions: Vec<RawExtension>,
}

/// A CSR whose signature proves possession of the private key.
#[derive(Clone, Debug)]
pub struct VerifiedCsr {
    parsed: ParsedCsr,
}

/// Why a CSR is rejected. The texts are Vault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsrError {
    /// An unsupported key algorithm (step 8).
    UnknownKey,
    /// An unsupported curve (step 7).
    UnsupportedCurve,
    /// It cannot be parsed (step 7); the text is the parser's.
    Malformed(String),
    /// The signature does not verify (step 26).
    SignatureInvalid,
    /// It is signed with an algorithm that is not accepted, so nothing was verified (step 26).
    SignatureNotAccepted(String),
    /// An RSA key that is too long to verify with (step 26).
    KeyTooLong(u32),
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
            Self::SignatureNotAccepted(name) => write!(
                formatter,
                "the CSR is signed with {name}, which is not accepted; sign it with SHA-256, \
                 SHA-384, SHA-512 or Ed25519"
            ),
            Self::KeyTooLong(bits) => write!(
                formatter,
                "RSA keys of more than {MAX_RSA_BITS} bits are not supported: the CSR's key has {bits}"
            ),
        }
    }
}

/// The longest RSA key, in bits, that signatures are verified with.
const MAX_RSA_BITS: u32 = 8192;

impl std::error::Error for CsrError {}

impl From<DerError> for CsrError {
    fn from(error: DerError) -> Self {
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
        let mut outer = DerReader::new(der);
        let mut parts = outer.sequence("x509.certificateRequest")?;
        let info = parts.expect(tag::SEQUENCE, "x509.tbsCertificateRequest")?;
        let mut fields = DerReader::new(info.content);
        fields.integer()?;
        let subject = fields.expect(tag::SEQUENCE, "asn1.RawValue")?;
        let key = fields.expect(tag::SEQUENCE, "x509.publicKeyInfo")?;
        let requested = match fields.optional(tag::explicit(0))? {
            Some(attributes) => requested_extensions(attributes.content)?,
            None => Vec::new(),
        };
        fields.end()?;
        let algorithm = parts.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
        let signature = parts.bit_string_bytes()?;
        parts.end().and(outer.end())?;
        let public_key = PublicKey::parse(key.whole)?;
        let names = requested
            .iter()
            .find(|extension| extension.oid == extensions::SUBJECT_ALT_NAME)
            .map_or(Ok(ReadNames::default()), |extension| general_names::read(&extension.value))
            .map_err(CsrError::Malformed)?;
        names.names.uri.iter().try_for_each(|text| check_uri(text))?;
        Ok(Self {
            der: der.to_vec(),
            signed: info.whole.to_vec(),
            algorithm: algorithm_identifier::decode(algorithm.whole)
                .ok_or_else(|| algorithm_identifier::unsupported_name(algorithm.whole)),
            signature: signature.to_vec(),
            subject: subject.whole.to_vec(),
            attributes: distinguished_name::read(subject.content)?,
            public_key,
            names,
            extensions: requested,
        })
    }

    /// Verifies the signature, which proves possession of the private key.
    pub fn verify(self) -> Result<VerifiedCsr, CsrError> {
        let algorithm = match &self.algorithm {
            Ok(algorithm) => *algorithm,
            Err(name) => return Err(CsrError::SignatureNotAccepted(name.clone())),
        };
        if let KeyKind::Rsa(bits) = self.public_key.kind()
            && bits > MAX_RSA_BITS
        {
            return Err(CsrError::KeyTooLong(bits));
        }
        if self.public_key.verify(algorithm, &self.signed, &self.signature) {
            Ok(VerifiedCsr { parsed: self })
        } else {
            Err(CsrError::SignatureInvalid)
        }
    }

    /// The DER it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Kind and size of the key to be certified.
    pub const fn key_kind(&self) -> KeyKind {
        self.public_key.kind()
    }

    /// The DER of the subject.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The common name (the last one, as in Go), or empty.
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

    /// Does it contain an otherName whose value is not a UTF8String?
    pub const fn has_unreadable_other_name(&self) -> bool {
        self.names.has_unreadable_other_name
    }

    /// The requested kinds of alternative names that are not supported.
    pub fn unsupported_names(&self) -> &[&'static str] {
        &self.names.unsupported
    }

    /// The alternative names that are missing in `others`, as text; `None` if all are present.
    pub fn names_missing_in(&self, others: &AlternativeNames) -> Option<String> {
        let own = &self.names.names;
        let texts = [
            ("DNS", &own.dns, &others.dns),
            ("email", &own.email, &others.email),
            ("URI", &own.uri, &others.uri),
        ];
        let texts = texts.into_iter().flat_map(|(kind, own, others)| {
            let others: BTreeSet<&String> = others.iter().collect();
            own.iter()
                .filter(move |name| !others.contains(name))
                .map(move |name| format!("{kind}:{}", go::quote(name)))
        });
        let addresses: BTreeSet<_> = others.ip.iter().collect();
        let addresses = own.ip.iter().filter(|address| !addresses.contains(address));
        let addresses = addresses.map(|address| format!("IP:{address}"));
        let known: BTreeSet<_> = others.other.iter().map(|name| (name.oid, &name.value)).collect();
        let other = own.other.iter().filter(|name| !known.contains(&(name.oid, &name.value)));
        let other = other.map(|name| format!("otherName:{}", name.oid));
        let unreadable = self.names.has_unreadable_other_name.then(|| "otherName".to_owned());
        let kinds = self.names.unsupported.iter().map(|kind| (*kind).to_owned());
        dropped::summarize(texts.chain(addresses).chain(other).chain(unreadable).chain(kinds))
    }

    /// Every requested extension, in order.
    pub fn extensions(&self) -> &[RawExtension] {
        &self.extensions
    }

    /// Does it request basic constraints?
    pub fn has_basic_constraints(&self) -> bool {
        self.extensions.iter().any(|extension| extension.oid == extensions::BASIC_CONSTRAINTS)
    }
}

/// extensionRequest (RFC 2985, 5.4.2).
pub(in crate::ca) const EXTENSION_REQUEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// The extensions that the attributes request; other attributes are ignored.
fn requested_extensions(attributes: &[u8]) -> Result<Vec<RawExtension>, CsrError> {
    let mut list = DerReader::new(attributes);
    let mut found = Vec::new();
    // A set, because a CSR can contain a hundred thousand extensions.
    let mut seen = BTreeSet::new();
    while !list.is_empty() {
        let mut fields = list.sequence("pkix.Attribute")?;
        let oid = fields.oid()?;
        let values = fields.expect(tag::SET, "[]asn1.RawValue")?.content;
        fields.end()?;
        if oid != EXTENSION_REQUEST || values.is_empty() {
            continue;
        }
        // RFC 2985, 5.4.2: a single value.
        let mut value = DerReader::new(values);
        let mut extensions = value.sequence("[]pkix.Extension")?;
        value.end()?;
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

/// Go rejects a certificate with an invalid URI, or with a URI whose host is not a domain name.
fn check_uri(text: &str) -> Result<(), CsrError> {
    let quoted = go::quote(text);
    if url::canonical(text).is_none() {
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
    /// The key whose possession is proved.
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
