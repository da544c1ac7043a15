//! The fields of a certificate (RFC 5280, 4.1) as slices of its DER.
//!
//! This is the only parser of certificates in the product. `x509-cert` cannot be it: it refuses
//! certificates that can be imported (dates before 1970, serial numbers of more than 21 bytes,
//! UniversalString, OIDs of more than 39 bytes), and its owned values encode to other bytes where
//! a certificate has a GeneralizedTime before 2050, while names are copied and signatures are
//! verified over the original bytes.

use super::{CertificateError, malformed};
use crate::ca::asn1::{DerError, DerReader, tag};
use crate::ca::oid::ObjectIdentifier;
use crate::ca::permit::{AlternativeNames, BasicConstraints, identity};
use crate::ca::time::Timestamp;
use crate::ca::{distinguished_name, extensions, general_names};

/// id-kp-serverAuth (RFC 5280, 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// The fields of a certificate, borrowed from its DER. The key and the values of extensions are
/// located but not checked: [`Certificate`](super::Certificate) does that.
#[derive(Clone, Debug)]
pub struct CertificateFields<'a> {
    pub(super) tbs: &'a [u8],
    version: u8,
    pub(super) serial: &'a [u8],
    pub(super) inner_algorithm: &'a [u8],
    issuer: &'a [u8],
    not_before: Timestamp,
    not_after: Timestamp,
    subject: &'a [u8],
    pub(super) public_key: &'a [u8],
    pub(super) extensions: Vec<FoundExtension<'a>>,
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// An extension, borrowed from the DER.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundExtension<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

/// The notAfter of a certificate. Nothing after the validity is read, so that a certificate that an
/// earlier version signed can be revoked even if today's rules reject it.
///
/// # Errors
/// Says what is wrong with the bytes up to the validity.
pub fn not_after(der: &[u8]) -> Result<Timestamp, CertificateError> {
    let mut fields =
        DerReader::new(der).sequence("x509.certificate")?.sequence("x509.tbsCertificate")?;
    fields.optional(tag::explicit(0))?;
    fields.integer()?;
    fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
    fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?;
    let mut instants = fields.sequence("x509.validity")?;
    instants.time()?;
    Ok(instants.time()?)
}

impl<'a> CertificateFields<'a> {
    /// Reads the DER of one certificate; nothing may follow it.
    ///
    /// # Errors
    /// Says what is wrong with the bytes, with the texts of Go's `encoding/asn1`.
    pub fn read(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut outer = DerReader::new(der);
        let mut parts = outer.sequence("x509.certificate")?;
        if !outer.is_empty() {
            return Err(malformed("x509: trailing data"));
        }
        let tbs = parts.expect(tag::SEQUENCE, "x509.tbsCertificate")?;
        let algorithm = parts.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?.whole;
        let signature = parts.bit_string_bytes()?;
        parts.end()?;
        let mut fields = DerReader::new(tbs.content);
        let version = match fields.optional(tag::explicit(0))?.map(|version| version.content) {
            None => 1,
            Some([2, 1, version @ 0..=2]) => version.saturating_add(1),
            Some(_) => return Err(malformed("x509: invalid version")),
        };
        let serial = fields.integer()?;
        let inner_algorithm = fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?.whole;
        let issuer = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?.whole;
        let mut instants = fields.sequence("x509.validity")?;
        let (not_before, not_after) = (instants.time()?, instants.time()?);
        instants.end()?;
        let subject = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?.whole;
        let public_key = fields.expect(tag::SEQUENCE, "x509.publicKeyInfo")?.whole;
        fields.optional(tag::implicit(1))?;
        fields.optional(tag::implicit(2))?;
        let extensions = match fields.optional(tag::explicit(3))? {
            Some(list) => list_of_extensions(list.content)?,
            None => Vec::new(),
        };
        fields.end()?;
        Ok(Self {
            tbs: tbs.whole,
            version,
            serial,
            inner_algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            extensions,
            algorithm,
            signature,
        })
    }

    /// The version: 1, 2 or 3.
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// The DER of the issuer's name.
    pub const fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    /// The DER of the subject.
    pub const fn subject(&self) -> &'a [u8] {
        self.subject
    }

    /// First instant of validity.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last instant of validity.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The identity of the certificate in logs: its URI SANs, else a name. A part that cannot be read counts
    /// as empty.
    pub fn identity(&self) -> String {
        let subject = distinguished_name::read_name(self.subject);
        let common_name = subject.map(|subject| subject.common_name).unwrap_or_default();
        identity(&self.names().unwrap_or_default(), &common_name)
    }

    /// Is the subject exactly this common name (compared as RFC 5280, 7.1 requires)?
    pub fn has_subject(&self, common_name: &str) -> bool {
        distinguished_name::is_common_name(self.subject, common_name)
    }

    /// The value of an extension.
    ///
    /// # Errors
    /// Refuses an extension that occurs twice (RFC 5280, 4.2).
    fn extension(&self, oid: &ObjectIdentifier) -> Result<Option<&'a [u8]>, CertificateError> {
        let mut found = self.extensions.iter().filter(|extension| extension.oid == *oid);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(malformed("x509: certificate contains duplicate extensions")),
            (first, None) => Ok(first.map(|extension| extension.value)),
        }
    }

    /// Subject alternative names of the supported kinds; empty without the extension.
    ///
    /// # Errors
    /// Says what is wrong with the extension.
    pub fn names(&self) -> Result<AlternativeNames, CertificateError> {
        match self.extension(&extensions::SUBJECT_ALT_NAME)? {
            Some(value) => names(value),
            None => Ok(AlternativeNames::default()),
        }
    }

    /// Basic constraints.
    ///
    /// # Errors
    /// Says what is wrong with the extension.
    pub fn basic_constraints(&self) -> Result<BasicConstraints, CertificateError> {
        match self.extension(&extensions::BASIC_CONSTRAINTS)? {
            Some(value) => {
                let (is_authority, path_length) = basic_constraints(value)?;
                Ok(if is_authority {
                    BasicConstraints::Authority { path_length }
                } else {
                    BasicConstraints::EndEntity
                })
            }
            None => Ok(BasicConstraints::Absent),
        }
    }

    /// May a TLS server present it? Its extended key usage is absent, or holds serverAuth or any.
    ///
    /// # Errors
    /// Says what is wrong with the extension.
    pub fn is_for_servers(&self) -> Result<bool, CertificateError> {
        let Some(value) = self.extension(&extensions::EXTENDED_KEY_USAGE)? else { return Ok(true) };
        let usages = extended_key_usage(value)?;
        Ok([SERVER_AUTH, ANY_EXTENDED_KEY_USAGE].iter().any(|usage| usages.contains(usage)))
    }
}

fn list_of_extensions(der: &[u8]) -> Result<Vec<FoundExtension<'_>>, DerError> {
    let mut outer = DerReader::new(der);
    let mut list = outer.sequence("[]pkix.Extension")?;
    outer.end()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence("pkix.Extension")?;
        let oid = fields.oid()?;
        let critical = fields.default_false()?;
        let value = fields.expect(tag::OCTET_STRING, "[]uint8")?.content;
        fields.end()?;
        found.push(FoundExtension { oid, critical, value });
    }
    Ok(found)
}

pub(super) fn names(value: &[u8]) -> Result<AlternativeNames, CertificateError> {
    let read = general_names::read(value).map_err(CertificateError::Malformed)?;
    Ok(read.names)
}

/// Whether cA is true, and the path length.
pub(super) fn basic_constraints(value: &[u8]) -> Result<(bool, Option<u8>), CertificateError> {
    let mut reader = DerReader::new(value);
    let mut fields = reader.sequence("x509.basicConstraints")?;
    let is_authority = fields.default_false()?;
    let path_length = if fields.is_empty() { None } else { Some(path_length(fields.integer()?)?) };
    fields.end()?;
    reader.end()?;
    Ok((is_authority, path_length))
}

/// A path length; one above 255 counts as 255.
fn path_length(integer: &[u8]) -> Result<u8, CertificateError> {
    match integer {
        [0x80..=0xff, ..] => Err(malformed("x509: invalid basic constraints")),
        [value] | [0, value] => Ok(*value),
        _ => Ok(u8::MAX),
    }
}

pub(super) fn extended_key_usage(value: &[u8]) -> Result<Vec<ObjectIdentifier>, DerError> {
    let mut reader = DerReader::new(value);
    let mut list = reader.sequence("[]asn1.ObjectIdentifier")?;
    let mut usages = Vec::new();
    while !list.is_empty() {
        usages.push(list.oid()?);
    }
    reader.end()?;
    Ok(usages)
}
