//! The composed bytes, parsed again: rules check what will be signed, not the template.

use crate::ca::oid::ObjectIdentifier;

use crate::ca::asn1::{DerError, DerReader, tag};
use crate::ca::extensions;
use crate::ca::general_names::{self, ReadNames};
use crate::ca::key::KeyKind;
use crate::ca::permit::KeyUsage;
use crate::ca::spiffe::SpiffeId;
use crate::ca::time::Timestamp;

/// An extension, borrowed from the DER.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExtensionView<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

/// The issuer that will sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct SigningIssuer<'a> {
    pub(super) subject: &'a [u8],
    pub(super) key_identifier: Option<&'a [u8]>,
    pub(super) key_kind: KeyKind,
}

/// A `TBSCertificate` and its signer, as rules see them.
#[derive(Debug)]
pub(super) struct LintedCertificate<'a> {
    pub(super) version: Option<&'a [u8]>,
    pub(super) serial: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) subject: &'a [u8],
    pub(super) public_key: &'a [u8],
    pub(super) extensions: Vec<ExtensionView<'a>>,
    pub(super) names: ReadNames,
    pub(super) key_usage: Option<KeyUsage>,
    /// Basic constraints: CA, and is there a path length?
    pub(super) constraints: Option<(bool, bool)>,
    /// Is this a leaf with exactly one URI SAN, and is that a SPIFFE ID?
    pub(super) is_svid: bool,
    pub(super) signer: SigningIssuer<'a>,
}

impl<'a> LintedCertificate<'a> {
    /// Parses the bytes; an error breaks the first rule.
    pub(super) fn read(der: &'a [u8], signer: Option<SigningIssuer<'a>>) -> Result<Self, String> {
        let plain = |error: DerError| error.to_string();
        let mut outer = DerReader::new(der);
        let mut fields = outer.sequence("x509.tbsCertificate").map_err(plain)?;
        outer.end().map_err(plain)?;
        let mut certificate = Self::fields(&mut fields, signer).map_err(plain)?;
        let names = certificate
            .extension(extensions::SUBJECT_ALT_NAME)
            .map(|found| general_names::read(found.value))
            .transpose()?;
        let usage = certificate
            .extension(extensions::KEY_USAGE)
            .map(|found| DerReader::new(found.value).named_bits())
            .transpose();
        let constraints = certificate
            .extension(extensions::BASIC_CONSTRAINTS)
            .map(|found| constraints(found.value))
            .transpose();
        certificate.names = names.unwrap_or_default();
        certificate.key_usage = usage.map_err(plain)?.map(KeyUsage);
        certificate.constraints = constraints.map_err(plain)?;
        certificate.is_svid = match certificate.names.names.uri.as_slice() {
            [uri] => !certificate.is_authority() && SpiffeId::path_of(uri).is_ok(),
            _ => false,
        };
        if signer.is_none() {
            certificate.signer.key_identifier =
                certificate.identifier(extensions::SUBJECT_KEY_IDENTIFIER);
        }
        Ok(certificate)
    }

    fn fields(
        fields: &mut DerReader<'a>,
        signer: Option<SigningIssuer<'a>>,
    ) -> Result<Self, DerError> {
        let version = fields.optional(tag::explicit(0))?.map(|version| version.content);
        let serial = fields.integer()?;
        let algorithm = fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?.whole;
        let issuer = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?.whole;
        let mut validity = fields.sequence("x509.validity")?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.end()?;
        let subject = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?.whole;
        let public_key = fields.expect(tag::SEQUENCE, "x509.publicKeyInfo")?.whole;
        let mut extensions = Vec::with_capacity(8);
        let mut wrapped =
            DerReader::new(fields.expect(tag::explicit(3), "[]pkix.Extension")?.content);
        fields.end()?;
        let mut list = wrapped.sequence("[]pkix.Extension")?;
        wrapped.end()?;
        while !list.is_empty() {
            let mut fields = list.sequence("pkix.Extension")?;
            let oid = fields.oid()?;
            let critical = fields.default_false()?;
            let value = fields.expect(tag::OCTET_STRING, "[]uint8")?.content;
            fields.end()?;
            extensions.push(ExtensionView { oid, critical, value });
        }
        let own = SigningIssuer { subject, key_identifier: None, key_kind: KeyKind::Ed25519 };
        Ok(Self {
            version,
            serial,
            algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            extensions,
            names: ReadNames::default(),
            key_usage: None,
            constraints: None,
            is_svid: false,
            signer: signer.unwrap_or(own),
        })
    }

    pub(super) fn extension(&self, oid: ObjectIdentifier) -> Option<&ExtensionView<'a>> {
        self.extensions.iter().find(|extension| extension.oid == oid)
    }

    /// The key identifier that an SKI or AKI extension holds.
    pub(super) fn identifier(&self, oid: ObjectIdentifier) -> Option<&'a [u8]> {
        let mut reader = DerReader::new(self.extension(oid)?.value);
        if oid == extensions::SUBJECT_KEY_IDENTIFIER {
            return reader.expect(tag::OCTET_STRING, "[]uint8").ok().map(|found| found.content);
        }
        let mut fields = reader.sequence("x509.authKeyId").ok()?;
        fields.optional(tag::implicit(0)).ok()?.map(|found| found.content)
    }

    pub(super) const fn is_authority(&self) -> bool {
        matches!(self.constraints, Some((true, _)))
    }

    pub(super) fn has_usage(&self, usage: KeyUsage) -> bool {
        self.key_usage.is_some_and(|found| found.contains(usage))
    }
}

fn constraints(value: &[u8]) -> Result<(bool, bool), DerError> {
    let mut reader = DerReader::new(value);
    let mut fields = reader.sequence("x509.basicConstraints")?;
    reader.end()?;
    let authority = fields.default_false()?;
    let length = !fields.is_empty();
    if length {
        fields.integer()?;
    }
    fields.end()?;
    Ok((authority, length))
}
