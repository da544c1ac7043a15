//! The permission to sign a certificate: every value of it, final.
//!
//! A [`Permit`] can be created only in `ca`, by a role for a leaf and by [`super::authority`] for
//! roots and intermediates. [`super::cert::compose`] turns it into bytes.

use std::net::IpAddr;

use crate::ca::oid::ObjectIdentifier;

use super::key::SignaturePreference;
use super::time::Timestamp;

/// A permission to sign one certificate; it can be used once.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    // Boxed, because it is large and moves from type to type.
    template: Box<Template>,
    warnings: Vec<String>,
}

impl Permit {
    pub(in crate::ca) fn new(template: Template, warnings: Vec<String>) -> Self {
        Self { template: Box::new(template), warnings }
    }

    /// The values that were permitted.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The values, when the permit is used.
    pub(in crate::ca) fn into_template(self) -> Box<Template> {
        self.template
    }

    /// Warnings for the caller.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The values of a certificate, except issuer, serial number and key.
#[derive(Clone, Debug)]
pub struct Template {
    /// Subject.
    pub subject: SubjectName,
    /// Subject alternative names.
    pub names: AlternativeNames,
    /// First instant of validity; whole seconds are encoded.
    pub not_before: Timestamp,
    /// Last instant of validity; whole seconds are encoded.
    pub not_after: Timestamp,
    /// Key usage; empty means no extension.
    pub key_usage: KeyUsage,
    /// Extended key usages in order; empty means no extension.
    pub extended_key_usage: Vec<ObjectIdentifier>,
    /// Basic constraints.
    pub basic_constraints: BasicConstraints,
    /// Certificate policies in order; empty means no extension.
    pub policies: Vec<Policy>,
    /// Name constraints of an authority.
    pub name_constraints: Option<NameConstraints>,
    /// URLs of issuer, CRL and OCSP responder.
    pub urls: IssuingUrls,
    /// A subject key identifier that replaces the SHA-1 of the key.
    pub subject_key_identifier: Option<Vec<u8>>,
    /// Extensions copied from a CSR. Each replaces the default one with the same OID and comes
    /// after all others (`docs/dev/vault-pki.md`, "Signing an intermediate").
    pub verbatim_extensions: Vec<RawExtension>,
    /// The requested signature algorithm.
    pub signature: SignaturePreference,
}

impl Template {
    /// The identity of the certificate in logs: its URI SANs with spaces between them; without one, the common
    /// name or the first DNS name.
    pub fn identity(&self) -> String {
        let common_name = match &self.subject {
            SubjectName::Composed(subject) => subject.common_name.as_str(),
            SubjectName::Verbatim(_) => "",
        };
        identity(&self.names, common_name)
    }
}

/// The identity in logs of a certificate with these names.
pub fn identity(names: &AlternativeNames, common_name: &str) -> String {
    if !names.uri.is_empty() {
        return names.uri.join(" ");
    }
    let first_name = names.dns.first().map_or("", String::as_str);
    if common_name.is_empty() { first_name } else { common_name }.to_owned()
}

/// A subject: composed from values, or copied byte for byte.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each certificate, never in a list")]
pub enum SubjectName {
    /// Values in the order of `docs/dev/vault-pki.md`, "The subject".
    Composed(Subject),
    /// The DER of a `Name`.
    Verbatim(Vec<u8>),
}

impl SubjectName {
    /// Is it without attributes?
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Composed(subject) => *subject == Subject::default(),
            Self::Verbatim(der) => der == super::distinguished_name::EMPTY,
        }
    }
}

/// Values of a subject. Several values of one attribute share one RDN, except user ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// C
    pub country: Vec<String>,
    /// O
    pub organization: Vec<String>,
    /// OU
    pub organizational_unit: Vec<String>,
    /// L
    pub locality: Vec<String>,
    /// ST
    pub province: Vec<String>,
    /// street
    pub street_address: Vec<String>,
    /// postalCode
    pub postal_code: Vec<String>,
    /// CN
    pub common_name: String,
    /// The attribute serialNumber, not the certificate's serial number.
    pub serial_number: String,
    /// UID, each an RDN of its own.
    pub user_ids: Vec<String>,
}

/// Subject alternative names, in the order in which they are encoded: other, DNS, e-mail, IP, URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// UTF-8 otherNames.
    pub other: Vec<OtherName>,
    /// DNS names, ASCII.
    pub dns: Vec<String>,
    /// rfc822 names.
    pub email: Vec<String>,
    /// IP addresses.
    pub ip: Vec<IpAddr>,
    /// URIs.
    pub uri: Vec<String>,
}

impl AlternativeNames {
    /// Is it without names?
    pub const fn is_empty(&self) -> bool {
        self.other.is_empty()
            && self.dns.is_empty()
            && self.email.is_empty()
            && self.ip.is_empty()
            && self.uri.is_empty()
    }
}

/// An otherName whose value is a UTF8String.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherName {
    /// The type.
    pub oid: ObjectIdentifier,
    /// The value.
    pub value: String,
}

/// Bits of key usage: bit 0 is digitalSignature, as RFC 5280, 4.2.1.3 numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage(pub u16);

impl KeyUsage {
    /// digitalSignature (0)
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// contentCommitment (1)
    pub const CONTENT_COMMITMENT: Self = Self(1 << 1);
    /// keyEncipherment (2)
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// dataEncipherment (3)
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// keyAgreement (4)
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// keyCertSign (5)
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// cRLSign (6)
    pub const CRL_SIGN: Self = Self(1 << 6);
    /// encipherOnly (7)
    pub const ENCIPHER_ONLY: Self = Self(1 << 7);
    /// decipherOnly (8)
    pub const DECIPHER_ONLY: Self = Self(1 << 8);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Does this set contain every bit of the other?
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Basic constraints (RFC 5280, 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicConstraints {
    /// No extension.
    Absent,
    /// The extension, CA:FALSE: an empty SEQUENCE, critical.
    EndEntity,
    /// CA:TRUE.
    Authority {
        /// pathLenConstraint.
        path_length: Option<u8>,
    },
}

/// A certificate policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The policy.
    pub oid: ObjectIdentifier,
    /// URI of the certification practice statement.
    pub cps: Option<String>,
    /// User notice.
    pub notice: Option<String>,
}

/// Name constraints (RFC 5280, 4.2.1.10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// permittedSubtrees: DNS names.
    pub permitted_dns: Vec<String>,
    /// excludedSubtrees: DNS names.
    pub excluded_dns: Vec<String>,
    /// permittedSubtrees: IP ranges as address and mask, 8 or 32 bytes.
    pub permitted_ip: Vec<Vec<u8>>,
    /// excludedSubtrees: IP ranges.
    pub excluded_ip: Vec<Vec<u8>>,
    /// permittedSubtrees: rfc822 names.
    pub permitted_email: Vec<String>,
    /// excludedSubtrees: rfc822 names.
    pub excluded_email: Vec<String>,
    /// permittedSubtrees: URI hosts.
    pub permitted_uri: Vec<String>,
    /// excludedSubtrees: URI hosts.
    pub excluded_uri: Vec<String>,
    /// permittedSubtrees: the DER of directory names.
    pub permitted_directory: Vec<Vec<u8>>,
    /// excludedSubtrees: the DER of directory names.
    pub excluded_directory: Vec<Vec<u8>>,
}

/// The URLs that go into certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuingUrls {
    /// caIssuers of authorityInfoAccess.
    pub issuing_certificates: Vec<String>,
    /// cRLDistributionPoints.
    pub crl_distribution_points: Vec<String>,
    /// freshestCRL.
    pub delta_crl_distribution_points: Vec<String>,
    /// ocsp of authorityInfoAccess.
    pub ocsp_servers: Vec<String>,
}

/// An encoded extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawExtension {
    /// extnID
    pub oid: ObjectIdentifier,
    /// critical
    pub critical: bool,
    /// The content of extnValue.
    pub value: Vec<u8>,
}
