//! Compiles the fields of a role, in Vault's order of checks (`docs/dev/vault-pki.md`, "Writing a
//! role").

use std::fmt;
use std::net::IpAddr;

use super::names::other_name;
use super::{IpRange, OtherSans, PolicyFields, Role, RoleFields, RoleKey};
use crate::ca::alternative_names::shortened;
use crate::ca::key::{Curve, KeyKind};
use crate::ca::oid::{ObjectIdentifier, OidError};
use crate::ca::permit::{KeyUsage, Policy};
use crate::ca::time::Timestamp;
use crate::go;

/// Why a role is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleError {
    /// A field's value is not allowed; the text names it.
    Invalid(String),
    /// The same, in the cases that Vault reports as an internal error.
    InvalidWrapped(String),
}

impl fmt::Display for RoleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::InvalidWrapped(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for RoleError {}

impl From<UnsupportedKey> for RoleError {
    fn from(error: UnsupportedKey) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// A key or a hash that is not supported. The texts are Vault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnsupportedKey {
    /// An RSA key of less than 2048 bits.
    WeakRsa(i64),
    /// Another length of an RSA key, in bits.
    RsaLength(i64),
    /// The length of an EC key, in bits.
    EcLength(i64),
    /// The type of a key.
    Type(String),
    /// The length of the hash of a signature, in bits.
    HashLength(i64),
}

impl fmt::Display for UnsupportedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WeakRsa(bits) => {
                write!(formatter, "RSA keys < 2048 bits are unsafe and not supported: got {bits}")
            }
            Self::RsaLength(bits) => {
                write!(formatter, "unsupported bit length for RSA key: {bits}")
            }
            Self::EcLength(bits) => write!(formatter, "unsupported bit length for EC key: {bits}"),
            Self::Type(key_type) => write!(formatter, "unknown key type {key_type}"),
            Self::HashLength(bits) => {
                write!(formatter, "unsupported hash signature algorithm: {bits}")
            }
        }
    }
}

impl std::error::Error for UnsupportedKey {}

fn invalid<T>(text: impl Into<String>) -> Result<T, RoleError> {
    Err(RoleError::Invalid(text.into()))
}

/// Vault's warnings about `generate_lease`: alone, and together with `no_store`.
const W_LEASE: &str = "it is encouraged to disable generate_lease and rely on PKI's native capabilities when possible; this option can cause instance-wide issues with large numbers of issued certificates";
const W_BOTH: &str = "mutually exclusive values no_store=true and generate_lease=true were both specified; no_store=true takes priority";

impl RoleFields {
    /// Checks every field, resolves sizes and compiles the patterns. The warnings are for the
    /// operator.
    pub fn compile(mut self, name: &str) -> Result<(Role, Vec<String>), RoleError> {
        let other_sans = compile_other_sans(&self.allowed_other_sans)?;
        let ip_ranges = self.compile_ip_ranges()?;
        let mut warnings = self.resolve_lease();
        self.check_bounds()?;
        if self.max_ttl > 0 && self.ttl > self.max_ttl {
            return invalid("\"ttl\" value must be less than \"max_ttl\" value");
        }
        let key = self.resolve_key()?;
        let key_usage = key_usages(&self.key_usage);
        let extended_key_usage = self.compile_extended_key_usage()?;
        let policies = self.compile_policies()?;
        warnings.extend(large_arc_warning(&extended_key_usage, &policies));
        if self.issuer_ref.is_empty() {
            "default".clone_into(&mut self.issuer_ref);
        }
        self.resolve_cn_validations()?;
        if !matches!(self.serial_number_source.as_str(), "json-csr" | "json") {
            return invalid(format!(
                "unknown value for serial_number_source: {}; possible values are json-csr and json",
                self.serial_number_source
            ));
        }
        if !matches!(
            self.pkcs12_encoder.as_str(),
            "" | "auto" | "modern2026" | "modern2023" | "legacy"
        ) {
            return invalid(format!(
                "unknown pkcs12_encoder {}; possible values are auto, modern2026, modern2023 and legacy",
                self.pkcs12_encoder
            ));
        }
        let role = Role {
            name: name.to_owned(),
            fields: self,
            key,
            key_usage,
            extended_key_usage,
            policies,
            other_sans,
            ip_ranges,
        };
        Ok((role, warnings))
    }

    fn compile_ip_ranges(&mut self) -> Result<Vec<IpRange>, RoleError> {
        let mut ranges = Vec::new();
        for text in &mut self.allowed_ip_sans_cidr {
            let Some(range) = IpRange::parse(text) else {
                return invalid(format!(
                    "error parsing allowed_ip_sans_cidr: invalid CIDR address: {text}"
                ));
            };
            *text = range.to_string();
            ranges.push(range);
        }
        Ok(ranges)
    }

    fn resolve_lease(&mut self) -> Vec<String> {
        let both = self.no_store && self.generate_lease;
        self.generate_lease &= !self.no_store;
        match (both, self.generate_lease) {
            (true, _) => vec![W_BOTH.to_owned()],
            (false, true) => vec![W_LEASE.to_owned()],
            (false, false) => Vec::new(),
        }
    }

    fn check_bounds(&self) -> Result<(), RoleError> {
        let after = self.not_after_bound.as_str();
        if !matches!(after, "permit" | "ttl-limited" | "forbid")
            && Timestamp::parse_rfc3339(after).is_none()
        {
            return invalid(
                "Unknown value for field `not_after_bound`. Possible values are `permit`, `ttl-limited`, `forbid`, or an explicit timestamp.",
            );
        }
        if !matches!(self.not_before_bound.as_str(), "permit" | "duration" | "forbid") {
            return invalid(
                "Unknown value for field `not_before_bound`. Possible values are `permit` `duration` or `forbid`",
            );
        }
        Ok(())
    }

    fn resolve_key(&mut self) -> Result<RoleKey, RoleError> {
        let key = if self.key_type == "any" {
            RoleKey::Any
        } else {
            let kind = key_kind(&self.key_type, self.key_bits)?;
            if !matches!(kind, KeyKind::Ed25519) {
                self.key_bits = i64::from(kind.bits());
            }
            RoleKey::Kind(kind)
        };
        if self.key_type == "rsa" {
            self.signature_bits = signature_bits(self.signature_bits)?;
        } else if matches!(self.key_type.as_str(), "ed25519" | "any") {
            self.signature_bits = 0;
        }
        Ok(key)
    }

    fn compile_extended_key_usage(&self) -> Result<Vec<ObjectIdentifier>, RoleError> {
        let mut names = self.ext_key_usage.clone();
        for (flag, name) in [
            (self.server_flag, "ServerAuth"),
            (self.client_flag, "ClientAuth"),
            (self.code_signing_flag, "CodeSigning"),
            (self.email_protection_flag, "EmailProtection"),
        ] {
            if flag {
                names.push(name.to_owned());
            }
        }
        let mut oids = extended_key_usages(&names);
        for text in &self.ext_key_usage_oids {
            oids.push(ObjectIdentifier::new(text.trim()).or_else(|why| {
                let said = "could not be parsed as a valid oid for an extended key usage";
                match why {
                    OidError::NotANumber(_) => invalid(format!("\"{text}\" {said}")),
                    why => invalid(format!("\"{text}\" {said}: {why}")),
                }
            })?);
        }
        Ok(oids)
    }

    /// Each policy once (RFC 5280, 4.2.1.4). One that occurs again with other qualifiers is kept:
    /// the certificate lists all qualifiers under one policy.
    fn compile_policies(&self) -> Result<Vec<Policy>, RoleError> {
        let mut policies: Vec<Policy> = Vec::with_capacity(self.policy_identifiers.len());
        for given in &self.policy_identifiers {
            let policy = policy(given)?;
            if !policies.contains(&policy) {
                policies.push(policy);
            }
        }
        Ok(policies)
    }

    fn resolve_cn_validations(&mut self) -> Result<(), RoleError> {
        let wrong = |text: String| {
            Err(RoleError::InvalidWrapped(format!("cn_validations value incorrect: {text}")))
        };
        if self.cn_validations.is_empty() {
            self.cn_validations = vec!["email".to_owned(), "hostname".to_owned()];
        }
        let mut seen: Vec<String> = Vec::new();
        for name in &mut self.cn_validations {
            *name = name.to_lowercase();
            if !matches!(name.as_str(), "email" | "hostname" | "disabled") {
                return wrong(format!("unknown type: `{name}`"));
            }
            if seen.contains(name) {
                return wrong(format!("`{name}` specified multiple times"));
            }
            seen.push(name.clone());
        }
        if seen.len() > 1 && seen.iter().any(|name| name == "disabled") {
            return wrong("cannot specify `disabled` along with `email` or `hostname`".to_owned());
        }
        Ok(())
    }
}

/// The kind of key that `key_type` and `key_bits` name; 0 means the default size
/// (`docs/dev/vault-pki.md`, "Sizes of keys and signatures").
pub fn key_kind(key_type: &str, bits: i64) -> Result<KeyKind, UnsupportedKey> {
    match (key_type, bits) {
        ("rsa", 0 | 2048) => Ok(KeyKind::Rsa(2048)),
        ("rsa", 3072) => Ok(KeyKind::Rsa(3072)),
        ("rsa", 4096) => Ok(KeyKind::Rsa(4096)),
        ("rsa", 8192) => Ok(KeyKind::Rsa(8192)),
        ("rsa", ..2048) => Err(UnsupportedKey::WeakRsa(bits)),
        ("rsa", _) => Err(UnsupportedKey::RsaLength(bits)),
        ("ec", 224) => Ok(KeyKind::Ec(Curve::P224)),
        ("ec", 0 | 256) => Ok(KeyKind::Ec(Curve::P256)),
        ("ec", 384) => Ok(KeyKind::Ec(Curve::P384)),
        ("ec", 521) => Ok(KeyKind::Ec(Curve::P521)),
        ("ec", _) => Err(UnsupportedKey::EcLength(bits)),
        ("ed25519", _) => Ok(KeyKind::Ed25519),
        _ => Err(UnsupportedKey::Type(key_type.to_owned())),
    }
}

/// The hash size of an RSA signature; 0 means 256.
pub(super) fn signature_bits(bits: i64) -> Result<i64, UnsupportedKey> {
    match bits {
        0 => Ok(256),
        256 | 384 | 512 => Ok(bits),
        _ => Err(UnsupportedKey::HashLength(bits)),
    }
}

fn compile_other_sans(texts: &[String]) -> Result<OtherSans, RoleError> {
    if matches!(texts, [only] if only == "*") {
        return Ok(OtherSans::Any);
    }
    texts
        .iter()
        .map(|text| {
            other_name(text).map_err(|why| {
                RoleError::Invalid(format!("error parsing allowed_other_sans: {why}"))
            })
        })
        .collect::<Result<_, _>>()
        .map(OtherSans::Globs)
}

fn policy(given: &PolicyFields) -> Result<Policy, RoleError> {
    let oid = ObjectIdentifier::new(&given.oid).map_err(|why| {
        let text = &given.oid;
        let not_json = match text.chars().next() {
            Some(first) if !text.starts_with(['{', '[', '"']) && !first.is_ascii_digit() => {
                format!("invalid character '{first}' looking for beginning of value")
            }
            _ => "a policy is an object with \"oid\", \"cps\" and \"notice\"".to_owned(),
        };
        let not_an_oid = match why {
            OidError::NotANumber(arc) => format!("strconv.Atoi: parsing \"{arc}\": invalid syntax"),
            why => why.to_string(),
        };
        RoleError::InvalidWrapped(format!(
            "policy identifier \"{text}\" is neither a valid OID: {not_an_oid}, Nor JSON Policy Identifier: {not_json}"
        ))
    })?;
    Ok(Policy { oid, cps: given.cps.clone(), notice: given.notice.clone() })
}

/// A warning about an OID that is valid but that some clients refuse.
fn large_arc_warning(usages: &[ObjectIdentifier], policies: &[Policy]) -> Option<String> {
    let mut oids = usages.iter().chain(policies.iter().map(|policy| &policy.oid));
    let oid = oids.find(|oid| !oid.has_small_arcs())?;
    Some(format!(
        "Signet: {oid} has a number of 2147483648 or more: it is a valid OID, but some clients refuse certificates with one"
    ))
}

/// Unknown names of usages are ignored, as in Vault, with a warning: a typing error would produce
/// certificates that no client accepts.
pub(in crate::ca) fn unknown_usage_warnings(usages: &[String], extended: &[String]) -> Vec<String> {
    let (known, known_extended) =
        (KEY_USAGES.map(|(name, _)| name), EXTENDED_KEY_USAGES.map(|(name, _)| name));
    [
        ("key_usage", usages, known.as_slice()),
        ("ext_key_usage", extended, known_extended.as_slice()),
    ]
    .into_iter()
    .filter_map(|(field, names, known)| {
        let is_known = |name: &str| known.iter().any(|usage| usage.eq_ignore_ascii_case(name));
        let mut names = names.iter().map(|name| name.trim());
        let unknown = names.find(|name| !name.is_empty() && !is_known(name))?;
        Some(format!(
            "Signet: {field}: {} is not a known usage and is ignored; known usages are {}",
            go::quote(&shortened(unknown)),
            known.join(", ")
        ))
    })
    .collect()
}

/// The extended key usages with these names, in the order of a certificate.
pub(in crate::ca) fn extended_key_usages(names: &[String]) -> Vec<ObjectIdentifier> {
    EXTENDED_KEY_USAGES
        .iter()
        .filter(|(usage, _)| names.iter().any(|name| name.trim().eq_ignore_ascii_case(usage)))
        .map(|(_, oid)| *oid)
        .collect()
}

/// The set of key usages with these names; unknown ones are ignored
/// (`docs/dev/vault-pki.md`, "Names of usages").
pub(in crate::ca) fn key_usages(names: &[String]) -> KeyUsage {
    names
        .iter()
        .filter_map(|name| {
            KEY_USAGES.iter().find(|(usage, _)| name.trim().eq_ignore_ascii_case(usage))
        })
        .fold(KeyUsage::default(), |set, (_, usage)| set.with(*usage))
}

const KEY_USAGES: [(&str, KeyUsage); 9] = [
    ("DigitalSignature", KeyUsage::DIGITAL_SIGNATURE),
    ("ContentCommitment", KeyUsage::CONTENT_COMMITMENT),
    ("KeyEncipherment", KeyUsage::KEY_ENCIPHERMENT),
    ("DataEncipherment", KeyUsage::DATA_ENCIPHERMENT),
    ("KeyAgreement", KeyUsage::KEY_AGREEMENT),
    ("CertSign", KeyUsage::KEY_CERT_SIGN),
    ("CRLSign", KeyUsage::CRL_SIGN),
    ("EncipherOnly", KeyUsage::ENCIPHER_ONLY),
    ("DecipherOnly", KeyUsage::DECIPHER_ONLY),
];

/// Names and OIDs in the order of the certificate (`docs/dev/vault-pki.md`, "Names of usages").
const EXTENDED_KEY_USAGES: [(&str, ObjectIdentifier); 12] = [
    ("Any", ObjectIdentifier::new_unwrap("2.5.29.37.0")),
    ("ServerAuth", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1")),
    ("ClientAuth", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2")),
    ("CodeSigning", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3")),
    ("EmailProtection", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4")),
    ("IPSECEndSystem", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.5")),
    ("IPSECTunnel", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.6")),
    ("IPSECUser", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.7")),
    ("TimeStamping", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8")),
    ("OCSPSigning", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9")),
    ("MicrosoftServerGatedCrypto", ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.3")),
    ("NetscapeServerGatedCrypto", ObjectIdentifier::new_unwrap("2.16.840.1.113730.4.1")),
];

impl IpRange {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let length: u32 = length.parse().ok()?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let host_bits = width.checked_sub(length)?;
        // A range of IPv4-mapped addresses is stored as IPv4, because addresses are compared as
        // IPv4.
        let address = if host_bits <= 32 { address.to_canonical() } else { address };
        let is_ipv4 = address.is_ipv4();
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Self { network: number(address) & mask, mask, is_ipv4 })
    }

    /// Is the address in the range?
    pub(super) fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_ipv4 && number(address) & self.mask == self.network
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zeros = self.mask.trailing_zeros();
        if self.is_ipv4 {
            let network = u32::try_from(self.network).unwrap_or_default();
            write!(
                formatter,
                "{}/{}",
                std::net::Ipv4Addr::from(network),
                32_u32.saturating_sub(zeros)
            )
        } else {
            write!(
                formatter,
                "{}/{}",
                std::net::Ipv6Addr::from(self.network),
                128_u32.saturating_sub(zeros)
            )
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}
