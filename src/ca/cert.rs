//! `Permit + issuer + key + serial → Tbs` (RFC 5280, 4.1).

use std::fmt;

use der::EncodeValue;

use super::asn1::{TaggedValue, Time, Unsigned, Verbatim, encode, sequences, tag};
use super::certificate::IssuerView;
use super::key::{KeyKind, SignatureAlgorithm};
use super::permit::{AlternativeNames, BasicConstraints, Permit, Template};
use super::public_key::PublicKey;
use super::serial::Serial;
use super::signed::ToSign;
use super::time::Timestamp;
use super::{algorithm_identifier, distinguished_name, extensions};

/// A composed certificate, not yet linted.
#[derive(Debug)]
#[must_use]
pub struct Tbs {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    template: Box<Template>,
    facts: CertificateFacts,
}

/// Fields of a composed certificate that outlive its bytes.
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
    /// A control character in a URL or a name constraint; names are checked by the lint.
    Control(String),
    /// An instant that a certificate cannot encode.
    Instant(Timestamp),
}

impl fmt::Display for ComposeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIa5(text) => {
                write!(formatter, "x509: {text:?} cannot be encoded as an IA5String")
            }
            Self::Control(text) => write!(formatter, "{text:?} holds a control character"),
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
    let template = permit.into_template();
    let signer = Signer {
        name: Some(issuer.subject),
        key_identifier: issuer.key_identifier,
        key_kind: issuer.key_kind,
    };
    write(template, &signer, subject_key, serial)
}

/// Composes a self-signed certificate: the issuer is the subject, the AKI is its own SKI.
pub fn compose_self_signed(
    permit: Permit,
    subject_key: &PublicKey,
    serial: Serial,
) -> Result<Tbs, ComposeError> {
    let template = permit.into_template();
    let signer = Signer { name: None, key_identifier: None, key_kind: subject_key.kind() };
    write(template, &signer, subject_key, serial)
}

/// The issuer; without a name the certificate is self-signed.
struct Signer<'a> {
    name: Option<&'a [u8]>,
    key_identifier: Option<&'a [u8]>,
    key_kind: KeyKind,
}

fn write(
    template: Box<Template>,
    signer: &Signer<'_>,
    subject_key: &PublicKey,
    serial: Serial,
) -> Result<Tbs, ComposeError> {
    check_encodable(&template)?;
    let algorithm = SignatureAlgorithm::choose(signer.key_kind, template.signature);
    let calculated;
    let identifier = match &template.subject_key_identifier {
        Some(identifier) => identifier.as_slice(),
        None => {
            calculated = subject_key.key_identifier();
            &calculated
        }
    };
    let authority = if signer.name.is_some() { signer.key_identifier } else { Some(identifier) };
    let subject = distinguished_name::encode(&template.subject);
    let is_empty = *subject == *distinguished_name::EMPTY;
    let mut list = Vec::with_capacity(512);
    extensions::write(&mut list, &template, identifier, authority, is_empty);
    let list = TaggedValue::of(tag::SEQUENCE, &list);
    let der = encode(&TbsCertificate {
        version: VERSION_3,
        serial_number: Unsigned(serial.as_bytes()),
        signature: Verbatim(algorithm_identifier::encode(algorithm)),
        issuer: Verbatim(signer.name.unwrap_or(&subject)),
        validity: Validity::new(template.not_before, template.not_after)?,
        subject: Verbatim(&subject),
        subject_public_key_info: Verbatim(subject_key.spki()),
        extensions: TaggedValue::new(tag::explicit(3), list),
    });
    let facts = CertificateFacts {
        serial,
        not_before: template.not_before.whole(),
        not_after: template.not_after.whole(),
        is_authority: matches!(template.basic_constraints, BasicConstraints::Authority { .. }),
    };
    drop(subject);
    Ok(Tbs { der, algorithm, template, facts })
}

/// The encoding of version 3.
const VERSION_3: u8 = 2;

/// RFC 5280, 4.1.
#[derive(EncodeValue)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial_number: Unsigned<'a>,
    signature: Verbatim<'a>,
    issuer: Verbatim<'a>,
    validity: Validity,
    subject: Verbatim<'a>,
    subject_public_key_info: Verbatim<'a>,
    /// `[3] EXPLICIT` around a SEQUENCE.
    extensions: TaggedValue<TaggedValue<Verbatim<'a>>>,
}

#[derive(EncodeValue)]
struct Validity {
    not_before: Time,
    not_after: Time,
}

sequences!(TbsCertificate<'_>, Validity);

impl Validity {
    fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, ComposeError> {
        let time = |instant| Time::new(instant).ok_or(ComposeError::Instant(instant));
        Ok(Self { not_before: time(not_before)?, not_after: time(not_after)? })
    }
}

/// Everything that becomes an IA5String must be ASCII, and printable where the lint does not check.
fn check_encodable(template: &Template) -> Result<(), ComposeError> {
    check_names_encodable(&template.names)?;
    let urls = &template.urls;
    let lists = [
        &urls.ocsp_servers,
        &urls.issuing_certificates,
        &urls.crl_distribution_points,
        &urls.delta_crl_distribution_points,
    ];
    let constraints = template.name_constraints.iter().flat_map(|constraints| {
        [
            &constraints.permitted_dns,
            &constraints.excluded_dns,
            &constraints.permitted_email,
            &constraints.excluded_email,
            &constraints.permitted_uri,
            &constraints.excluded_uri,
        ]
    });
    let statements = template.policies.iter().filter_map(|policy| policy.cps.as_ref());
    let mut texts = lists.into_iter().chain(constraints).flatten().chain(statements);
    let is_plain = |text: &&String| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    match texts.find(|text| !is_plain(text)) {
        None => Ok(()),
        Some(text) if text.is_ascii() => Err(ComposeError::Control(text.clone())),
        Some(text) => Err(ComposeError::NotIa5(text.clone())),
    }
}

/// DNS names, e-mail addresses and URIs must be ASCII.
pub(in crate::ca) fn check_names_encodable(names: &AlternativeNames) -> Result<(), ComposeError> {
    let mut texts = names.dns.iter().chain(&names.email).chain(&names.uri);
    match texts.find(|text| !text.is_ascii()) {
        None => Ok(()),
        Some(text) => Err(ComposeError::NotIa5(text.clone())),
    }
}

impl Tbs {
    /// The DER of the `TBSCertificate`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The values it was composed from.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Its serial number, validity and kind.
    pub const fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

impl super::signed::sealed::Sealed for Tbs {}

impl ToSign for Tbs {
    type Facts = CertificateFacts;

    fn to_be_signed(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_verified_after_signing(&self) -> bool {
        self.facts.is_authority
    }

    fn into_facts(self) -> CertificateFacts {
        self.facts
    }
}

#[cfg(test)]
mod tests;
