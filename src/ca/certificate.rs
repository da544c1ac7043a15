//! A certificate of this CA or of an external one: parsed once, with every check that an import
//! needs.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{DerError, DerReader, tag};
use super::key::{KeyKind, SignatureAlgorithm};
use super::name_limits::NameLimits;
use super::permit::{AlternativeNames, KeyUsage};
use super::public_key::{PublicKey, PublicKeyError};
use super::time::Timestamp;
use super::{algorithm_identifier, distinguished_name, extensions};

mod fields;

pub use fields::{CertificateFields, not_after};

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
    not_before: Timestamp,
    not_after: Timestamp,
    common_name: String,
    public_key: PublicKey,
    derived_key_identifier: [u8; 20],
    extensions: Extensions,
}

/// The extensions that are interpreted.
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

/// The fields of an issuer that composing and linting need.
#[derive(Clone, Copy, Debug)]
pub struct IssuerView<'a> {
    /// The DER of the issuer's subject, copied unchanged.
    pub subject: &'a [u8],
    /// The issuer's subject key identifier, or one derived from its key.
    pub key_identifier: Option<&'a [u8]>,
    /// The kind of the issuer's key.
    pub key_kind: KeyKind,
    /// The issuer's last instant of validity.
    pub not_after: Timestamp,
}

/// Why a certificate is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// Not the DER of a certificate; the text says where.
    Malformed(String),
    /// A key algorithm that is not supported.
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

impl From<DerError> for CertificateError {
    fn from(error: DerError) -> Self {
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

impl Extensions {
    fn of(fields: &CertificateFields<'_>) -> Result<Self, CertificateError> {
        let mut read = Self::default();
        let mut seen = BTreeSet::new();
        for extension in &fields.extensions {
            if !seen.insert(extension.oid) {
                return Err(malformed("x509: certificate contains duplicate extensions"));
            }
            if extension.oid == extensions::NAME_CONSTRAINTS {
                let limits = NameLimits::of(extension.value, extension.critical);
                read.name_limits = Some(Box::new(limits));
            }
            read.take(&extension.oid, extension.value)?;
        }
        Ok(read)
    }

    fn take(&mut self, oid: &ObjectIdentifier, value: &[u8]) -> Result<(), CertificateError> {
        let mut reader = DerReader::new(value);
        match *oid {
            extensions::SUBJECT_KEY_IDENTIFIER => {
                let identifier = reader.expect(tag::OCTET_STRING, "[]uint8")?.content;
                reader.end()?;
                self.subject_key_identifier = Some(identifier.to_vec());
            }
            extensions::AUTHORITY_KEY_IDENTIFIER => {
                let mut fields = reader.sequence("x509.authKeyId")?;
                let identifier = fields.optional(tag::implicit(0))?;
                fields.optional(tag::explicit(1))?;
                fields.optional(tag::implicit(2))?;
                fields.end().and(reader.end())?;
                self.authority_key_identifier = identifier.map(|found| found.content.to_vec());
            }
            extensions::BASIC_CONSTRAINTS => {
                (self.is_authority, self.path_length) = fields::basic_constraints(value)?;
            }
            extensions::KEY_USAGE => {
                self.key_usage = Some(KeyUsage(reader.named_bits()?));
                reader.end()?;
            }
            extensions::EXTENDED_KEY_USAGE => {
                self.extended_key_usage = fields::extended_key_usage(value)?;
            }
            extensions::SUBJECT_ALT_NAME => self.names = fields::names(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// The range of `part` within `whole`, of which it is a subslice.
fn range_of(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start.saturating_add(part.len())
}

impl Certificate {
    /// Reads the DER of one certificate; nothing may follow it.
    pub fn parse(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        let fields = CertificateFields::read(&der)?;
        if matches!(fields.serial, [0x80..=0xff, ..]) {
            return Err(malformed("x509: negative serial number"));
        }
        let extensions = Extensions::of(&fields)?;
        if fields.inner_algorithm != fields.algorithm {
            return Err(malformed(
                "x509: inner and outer signature algorithm identifiers don't match",
            ));
        }
        let serial = fields.serial.strip_prefix(&[0]).unwrap_or(fields.serial);
        let common_name = distinguished_name::read_name(fields.subject())?.common_name;
        let public_key = PublicKey::parse(fields.public_key)?;
        Ok(Self {
            tbs: range_of(&der, fields.tbs),
            subject: range_of(&der, fields.subject()),
            issuer: range_of(&der, fields.issuer()),
            signature: range_of(&der, fields.signature),
            algorithm: algorithm_identifier::decode(fields.algorithm),
            serial: serial.to_vec(),
            not_before: fields.not_before(),
            not_after: fields.not_after(),
            common_name,
            derived_key_identifier: public_key.key_identifier(),
            public_key,
            extensions,
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

    /// The common name of the subject (the last one, as in Go), or empty.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The serial number's bytes, big-endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// First instant of validity.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last instant of validity.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
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

    /// Key usage, if the extension is present.
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// Extended key usages in order.
    pub fn extended_key_usage(&self) -> &[ObjectIdentifier] {
        &self.extensions.extended_key_usage
    }

    /// Subject alternative names of the supported kinds.
    pub const fn names(&self) -> &AlternativeNames {
        &self.extensions.names
    }

    /// Why its name constraints cannot be enforced, if so.
    pub fn name_constraints_error(&self) -> Option<&str> {
        self.name_limits().and_then(NameLimits::error)
    }

    /// Why strict parsers reject its subject, if so. It becomes the issuer name of every
    /// certificate that it signs.
    pub fn subject_error(&self) -> Option<String> {
        let read = DerReader::new(self.subject())
            .sequence("pkix.RDNSequence")
            .and_then(|name| distinguished_name::find_defect(name.rest()));
        match read {
            Ok(defect) => defect.map(str::to_owned),
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

    /// The signature algorithm, if it is supported.
    pub const fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.algorithm
    }

    /// Does this key verify its signature? Unsupported algorithms and SHA-1 do not verify.
    pub fn verify_signed_by(&self, key: &PublicKey) -> bool {
        self.algorithm.is_some_and(|algorithm| {
            key.verify(algorithm, self.part(&self.tbs), self.part(&self.signature))
        })
    }

    /// This certificate as an issuer. What it signs must identify its key (RFC 5280, 4.2.1.1 and
    /// 5.2.1): without a subject key identifier, by the one that 4.2.1.2 derives from the key.
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
