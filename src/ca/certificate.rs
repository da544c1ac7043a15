//! A certificate as others made it, or as we did: read once, asked often.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{Element, ReadError, Reader, tag};
use super::key::{KeyKind, SignatureAlgorithm};
use super::name_limits::NameLimits;
use super::permit::{AlternativeNames, KeyUsage};
use super::public_key::{PublicKey, PublicKeyError};
use super::time::Timestamp;
use super::{algorithm_identifier, distinguished_name, extensions, general_names};

/// A parsed certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Range<usize>,
    subject: Range<usize>,
    issuer: Range<usize>,
    signature: Range<usize>,
    algorithm: Option<SignatureAlgorithm>,
    serial: Vec<u8>,
    validity: (Timestamp, Timestamp),
    common_name: String,
    public_key: PublicKey,
    derived_key_identifier: [u8; 20],
    extensions: Extensions,
}

/// The extensions that are asked for.
#[derive(Clone, Debug, Default)]
struct Extensions {
    subject_key_identifier: Option<Vec<u8>>,
    authority_key_identifier: Option<Vec<u8>>,
    is_authority: bool,
    path_length: Option<u8>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Vec<ObjectIdentifier>,
    names: AlternativeNames,
    name_limits: Option<Box<NameLimits>>,
}

/// What composing and linting need to know of a signer.
#[derive(Clone, Copy, Debug)]
pub struct IssuerView<'a> {
    /// The DER of the issuer's subject, spliced as it is.
    pub subject: &'a [u8],
    /// The issuer's subject key identifier, or what is derived from its key if it has none.
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

impl From<ReadError> for CertificateError {
    fn from(error: ReadError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<PublicKeyError> for CertificateError {
    fn from(error: PublicKeyError) -> Self {
        match error {
            PublicKeyError::UnknownAlgorithm => Self::UnknownKey,
            other => Self::Malformed(other.to_string()),
        }
    }
}

fn malformed(text: &str) -> CertificateError {
    CertificateError::Malformed(text.to_owned())
}

/// The fields of a certificate, still in place.
struct Fields<'a> {
    tbs: Element<'a>,
    serial: &'a [u8],
    inner_algorithm: Element<'a>,
    issuer: Element<'a>,
    validity: (Timestamp, Timestamp),
    subject: Element<'a>,
    public_key: Element<'a>,
    extensions: Extensions,
    algorithm: Element<'a>,
    signature: &'a [u8],
}

/// The notAfter of a certificate. It reads no further, so it also serves for a certificate that an
/// earlier version signed and that the rules of today refuse: such a one must be revocable.
///
/// # Errors
/// What is no certificate up to its validity.
pub fn not_after(der: &[u8]) -> Result<Timestamp, CertificateError> {
    let mut fields =
        Reader::new(der).sequence("x509.certificate")?.sequence("x509.tbsCertificate")?;
    fields.optional(tag::explicit(0))?;
    fields.integer()?;
    fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
    fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?;
    let mut instants = fields.sequence("x509.validity")?;
    instants.time()?;
    Ok(instants.time()?)
}

impl<'a> Fields<'a> {
    fn read(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut outer = Reader::new(der);
        let mut parts = outer.sequence("x509.certificate")?;
        if !outer.is_empty() {
            return Err(malformed("x509: trailing data"));
        }
        let tbs = parts.expect(tag::SEQUENCE, "x509.tbsCertificate")?;
        let algorithm = parts.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
        let signature = parts.octet_bits()?;
        parts.end()?;
        let mut fields = Reader::new(tbs.content);
        let version = fields.optional(tag::explicit(0))?.map(|version| version.content);
        if !matches!(version, None | Some([2, 1, 0..=2])) {
            return Err(malformed("x509: invalid version"));
        }
        let serial = fields.integer()?;
        if matches!(serial, [0x80..=0xff, ..]) {
            return Err(malformed("x509: negative serial number"));
        }
        let inner_algorithm = fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
        let issuer = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?;
        let mut instants = fields.sequence("x509.validity")?;
        let validity = (instants.time()?, instants.time()?);
        instants.end()?;
        let subject = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?;
        let public_key = fields.expect(tag::SEQUENCE, "x509.publicKeyInfo")?;
        fields.optional(tag::implicit(1))?;
        fields.optional(tag::implicit(2))?;
        let extensions = match fields.optional(tag::explicit(3))? {
            Some(list) => Extensions::read(list.content)?,
            None => Extensions::default(),
        };
        fields.end()?;
        Ok(Self {
            tbs,
            serial,
            inner_algorithm,
            issuer,
            validity,
            subject,
            public_key,
            extensions,
            algorithm,
            signature,
        })
    }
}

impl Extensions {
    fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let mut outer = Reader::new(der);
        let mut list = outer.sequence("[]pkix.Extension")?;
        outer.end()?;
        let mut found = Self::default();
        let mut seen = BTreeSet::new();
        while !list.is_empty() {
            let mut fields = list.sequence("pkix.Extension")?;
            let oid = fields.oid()?;
            let critical = fields.default_false()?;
            let value = fields.expect(tag::OCTET_STRING, "[]uint8")?.content;
            fields.end()?;
            if !seen.insert(oid) {
                return Err(malformed("x509: certificate contains duplicate extensions"));
            }
            if oid == extensions::NAME_CONSTRAINTS {
                found.name_limits = Some(Box::new(NameLimits::of(value, critical)));
            }
            found.take(&oid, value)?;
        }
        Ok(found)
    }

    fn take(&mut self, oid: &ObjectIdentifier, value: &[u8]) -> Result<(), CertificateError> {
        let mut reader = Reader::new(value);
        match *oid {
            extensions::SUBJECT_KEY_IDENTIFIER => {
                let identifier = reader.expect(tag::OCTET_STRING, "[]uint8")?.content;
                self.subject_key_identifier = Some(identifier.to_vec());
            }
            extensions::AUTHORITY_KEY_IDENTIFIER => {
                let mut fields = reader.sequence("x509.authKeyId")?;
                let identifier = fields.optional(tag::implicit(0))?;
                fields.optional(tag::explicit(1))?;
                fields.optional(tag::implicit(2))?;
                fields.end()?;
                self.authority_key_identifier = identifier.map(|found| found.content.to_vec());
            }
            extensions::BASIC_CONSTRAINTS => {
                let mut fields = reader.sequence("x509.basicConstraints")?;
                self.is_authority = fields.default_false()?;
                if !fields.is_empty() {
                    self.path_length = Some(small(fields.integer()?)?);
                }
                fields.end()?;
            }
            extensions::KEY_USAGE => self.key_usage = Some(KeyUsage(reader.named_bits()?)),
            extensions::EXTENDED_KEY_USAGE => {
                let mut usages = reader.sequence("[]asn1.ObjectIdentifier")?;
                while !usages.is_empty() {
                    self.extended_key_usage.push(usages.oid()?);
                }
            }
            extensions::SUBJECT_ALT_NAME => {
                let read = general_names::read(value).map_err(CertificateError::Malformed)?;
                self.names = read.names;
                return Ok(());
            }
            _ => return Ok(()),
        }
        Ok(reader.end()?)
    }
}

/// A path length; what is above 255 counts as 255.
fn small(integer: &[u8]) -> Result<u8, CertificateError> {
    match integer {
        [0x80..=0xff, ..] => Err(malformed("x509: invalid basic constraints")),
        [value] | [0, value] => Ok(*value),
        _ => Ok(u8::MAX),
    }
}

/// Where a part lies in the whole.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start.saturating_add(part.len())
}

impl Certificate {
    /// Reads the DER of one certificate; nothing may follow it.
    pub fn parse(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        let fields = Fields::read(&der)?;
        if fields.inner_algorithm.whole != fields.algorithm.whole {
            return Err(malformed(
                "x509: inner and outer signature algorithm identifiers don't match",
            ));
        }
        let serial = fields.serial.strip_prefix(&[0]).unwrap_or(fields.serial);
        let common_name = distinguished_name::read(fields.subject.content)?.common_name;
        let public_key = PublicKey::parse(fields.public_key.whole)?;
        Ok(Self {
            tbs: place(&der, fields.tbs.whole),
            subject: place(&der, fields.subject.whole),
            issuer: place(&der, fields.issuer.whole),
            signature: place(&der, fields.signature),
            algorithm: algorithm_identifier::decode(fields.algorithm.whole),
            serial: serial.to_vec(),
            validity: fields.validity,
            common_name,
            derived_key_identifier: public_key.key_identifier(),
            public_key,
            extensions: fields.extensions,
            der,
        })
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }

    /// The DER it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The DER of the subject.
    pub fn subject(&self) -> &[u8] {
        self.part(&self.subject)
    }

    /// The DER of the issuer's name.
    pub fn issuer(&self) -> &[u8] {
        self.part(&self.issuer)
    }

    /// The common name of the subject (the last one, as Go has it), or empty.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The serial number's octets, big-endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// First instant of validity.
    pub const fn not_before(&self) -> Timestamp {
        self.validity.0
    }

    /// Last instant of validity.
    pub const fn not_after(&self) -> Timestamp {
        self.validity.1
    }

    /// The key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Subject key identifier.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.subject_key_identifier.as_deref()
    }

    /// The keyIdentifier of the authority key identifier.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.authority_key_identifier.as_deref()
    }

    /// Basic constraints with CA:TRUE?
    pub const fn is_authority(&self) -> bool {
        self.extensions.is_authority
    }

    /// pathLenConstraint; more than 255 counts as 255.
    pub const fn path_length(&self) -> Option<u8> {
        self.extensions.path_length
    }

    /// Key usage, if the extension is there.
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// Extended key usages in order.
    pub fn extended_key_usage(&self) -> &[ObjectIdentifier] {
        &self.extensions.extended_key_usage
    }

    /// Subject alternative names of the kinds we know.
    pub const fn names(&self) -> &AlternativeNames {
        &self.extensions.names
    }

    /// Why its name constraints are not understood, if they are not.
    pub fn fault_of_constraints(&self) -> Option<&str> {
        self.name_limits().and_then(NameLimits::fault)
    }

    /// What keeps strict readers from reading its subject, which is the issuer of all it signs.
    pub fn fault_of_subject(&self) -> Option<String> {
        let read = Reader::new(self.subject())
            .sequence("pkix.RDNSequence")
            .and_then(|name| distinguished_name::fault(name.rest()));
        match read {
            Ok(fault) => fault.map(str::to_owned),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Its name constraints.
    pub(in crate::ca) fn name_limits(&self) -> Option<&NameLimits> {
        self.extensions.name_limits.as_deref()
    }

    /// Are subject and issuer the same bytes?
    pub fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    /// How it is signed, if we know the algorithm.
    pub const fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.algorithm
    }

    /// Does this key verify its signature? Unknown algorithms and SHA-1 do not verify.
    pub fn verify_signed_by(&self, key: &PublicKey) -> bool {
        self.algorithm.is_some_and(|algorithm| {
            key.verify(algorithm, self.part(&self.tbs), self.part(&self.signature))
        })
    }

    /// This certificate as a signer. What it signs must identify its key (RFC 5280, 4.2.1.1 and
    /// 5.2.1): without a subject key identifier, by what 4.2.1.2 derives from the key.
    pub fn issuer_view(&self) -> IssuerView<'_> {
        let own = self.subject_key_identifier().filter(|identifier| !identifier.is_empty());
        IssuerView {
            subject: self.subject(),
            key_identifier: Some(own.unwrap_or(&self.derived_key_identifier)),
            key_kind: self.public_key.kind(),
            not_after: self.not_after(),
        }
    }
}

#[cfg(test)]
mod tests;
