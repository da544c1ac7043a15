//! Roles: what may be issued, and how long.
//!
//! [`RoleFields`] is what an operator wrote and what the store keeps; [`Role`] is the same,
//! checked and compiled, and can be made only by [`RoleFields::compile`]. [`Role::permit`] says
//! yes to a request by handing out a [`Permit`](super::permit::Permit), or says why not.
//! Fields, defaults and order of checks: pki-api chapters 3 and 15.

mod check;
mod hints;
mod names;
mod patterns;
mod permit;

mod validity;

use crate::ca::oid::ObjectIdentifier;
use minicbor::{Decode, Encode};

pub use check::{RoleError, key_kind, signature_bits};
pub(in crate::ca) use check::{extended_key_usages, key_usages};
pub use hints::shell_word;
pub use names::other_name;
pub use permit::{Ask, Bounds, CsrFacts, Refusal};
pub(in crate::ca) use validity::check_order;
pub use validity::{
    EndChoice, LeafNotAfterBehavior, StartChoice, TtlLimits, ValidityError, ValidityWish,
    choose_end, choose_start, go_duration, overstay,
};

use super::key::KeyKind;
use super::permit::{KeyUsage, OtherName, Policy};

/// A role as it was written; every field always has a value.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RoleFields {
    /// Issuer of `issue/:role` and `sign/:role`.
    #[n(0)]
    pub issuer_ref: String,
    /// Default validity in seconds; 0 means the mount's.
    #[n(1)]
    pub ttl: i64,
    /// Longest validity in seconds; 0 means the mount's.
    #[n(2)]
    pub max_ttl: i64,
    /// `localhost` and `localdomain` are allowed names.
    #[n(3)]
    pub allow_localhost: bool,
    /// Bases of the three matching modes below.
    #[n(4)]
    pub allowed_domains: Vec<String>,
    /// Entries hold identity templates.
    #[n(5)]
    pub allowed_domains_template: bool,
    /// Rendered template values may hold `*`.
    #[n(6)]
    pub allow_globs_in_identity_templates: bool,
    /// A name equal to a base.
    #[n(7)]
    pub allow_bare_domains: bool,
    /// A name below a base.
    #[n(8)]
    pub allow_subdomains: bool,
    /// A base with `*` is a glob for the whole name.
    #[n(9)]
    pub allow_glob_domains: bool,
    /// Names with `*` at all.
    #[n(10)]
    pub allow_wildcard_certificates: bool,
    /// Any name.
    #[n(11)]
    pub allow_any_name: bool,
    /// Names must be host names.
    #[n(12)]
    pub enforce_hostnames: bool,
    /// What a common name may look like.
    #[n(13)]
    pub cn_validations: Vec<String>,
    /// A missing common name is an error.
    #[n(14)]
    pub require_cn: bool,
    /// IP SANs are allowed.
    #[n(15)]
    pub allow_ip_sans: bool,
    /// If not empty, each IP SAN must lie in one of these.
    #[n(16)]
    pub allowed_ip_sans_cidr: Vec<String>,
    /// Globs of URI SANs; empty allows none.
    #[n(17)]
    pub allowed_uri_sans: Vec<String>,
    /// Entries hold identity templates.
    #[n(18)]
    pub allowed_uri_sans_template: bool,
    /// `<oid>;UTF8:<glob>`, or `*` alone.
    #[n(19)]
    pub allowed_other_sans: Vec<String>,
    /// Allowed values of the subject's serialNumber.
    #[n(20)]
    pub allowed_serial_numbers: Vec<String>,
    /// Allowed values of the subject's UID.
    #[n(21)]
    pub allowed_user_ids: Vec<String>,
    /// `json-csr` or `json`: whether a CSR's serialNumber counts.
    #[n(22)]
    pub serial_number_source: String,
    /// serverAuth.
    #[n(23)]
    pub server_flag: bool,
    /// clientAuth.
    #[n(24)]
    pub client_flag: bool,
    /// codeSigning.
    #[n(25)]
    pub code_signing_flag: bool,
    /// emailProtection.
    #[n(26)]
    pub email_protection_flag: bool,
    /// Key usages by name.
    #[n(27)]
    pub key_usage: Vec<String>,
    /// Extended key usages by name.
    #[n(28)]
    pub ext_key_usage: Vec<String>,
    /// Extended key usages by OID.
    #[n(29)]
    pub ext_key_usage_oids: Vec<String>,
    /// `rsa`, `ec`, `ed25519`, `any`.
    #[n(30)]
    pub key_type: String,
    /// Key size; stored resolved.
    #[n(31)]
    pub key_bits: i64,
    /// Hash size of RSA signatures; stored resolved for RSA.
    #[n(32)]
    pub signature_bits: i64,
    /// RSASSA-PSS.
    #[n(33)]
    pub use_pss: bool,
    /// Take the common name from the CSR.
    #[n(34)]
    pub use_csr_common_name: bool,
    /// Take the SANs from the CSR.
    #[n(35)]
    pub use_csr_sans: bool,
    /// Subject OU.
    #[n(36)]
    pub ou: Vec<String>,
    /// Subject O.
    #[n(37)]
    pub organization: Vec<String>,
    /// Subject C.
    #[n(38)]
    pub country: Vec<String>,
    /// Subject L.
    #[n(39)]
    pub locality: Vec<String>,
    /// Subject ST.
    #[n(40)]
    pub province: Vec<String>,
    /// Subject street.
    #[n(41)]
    pub street_address: Vec<String>,
    /// Subject postalCode.
    #[n(42)]
    pub postal_code: Vec<String>,
    /// Certificate policies.
    #[n(43)]
    pub policy_identifiers: Vec<PolicyFields>,
    /// Basic constraints in leaves.
    #[n(44)]
    pub basic_constraints_valid_for_non_ca: bool,
    /// Backdating in seconds.
    #[n(45)]
    pub not_before_duration: i64,
    /// Fixed notBefore.
    #[n(46)]
    pub not_before: String,
    /// `permit`, `duration`, `forbid`.
    #[n(47)]
    pub not_before_bound: String,
    /// Fixed notAfter.
    #[n(48)]
    pub not_after: String,
    /// `permit`, `ttl-limited`, `forbid` or a time.
    #[n(49)]
    pub not_after_bound: String,
    /// Attach a lease.
    #[n(50)]
    pub generate_lease: bool,
    /// Do not store the certificate.
    #[n(51)]
    pub no_store: bool,
    /// Signet's: the subject's common name is the path of the one SPIFFE ID, for brokers that
    /// map principals from the subject.
    #[n(52)]
    pub cn_from_spiffe_path: bool,
    /// Signet's: the encoder of PKCS#12 bundles when a request names none; empty means `auto`.
    #[n(53)]
    pub pkcs12_encoder: String,
    /// Signet's: a request may set `not_before` earlier than `not_before_duration` before now.
    #[cbor(n(54), skip_if = "is_false")]
    pub allow_backdating: bool,
}

/// Older records do not have the field; where it says nothing it leaves no trace.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that minicbor asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A certificate policy as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PolicyFields {
    /// The policy's OID, dotted.
    #[n(0)]
    pub oid: String,
    /// URI of the certification practice statement.
    #[n(1)]
    pub cps: Option<String>,
    /// User notice.
    #[n(2)]
    pub notice: Option<String>,
}

impl RoleFields {
    /// A role in which nothing was said: it allows `localhost` and nothing else.
    pub fn unspecified() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            issuer_ref: "default".to_owned(),
            ttl: 0,
            max_ttl: 0,
            allow_localhost: true,
            allowed_domains: Vec::new(),
            allowed_domains_template: false,
            allow_globs_in_identity_templates: false,
            allow_bare_domains: false,
            allow_subdomains: false,
            allow_glob_domains: false,
            allow_wildcard_certificates: true,
            allow_any_name: false,
            enforce_hostnames: true,
            cn_validations: words(&["email", "hostname"]),
            require_cn: true,
            allow_ip_sans: true,
            allowed_ip_sans_cidr: Vec::new(),
            allowed_uri_sans: Vec::new(),
            allowed_uri_sans_template: false,
            allowed_other_sans: Vec::new(),
            allowed_serial_numbers: Vec::new(),
            allowed_user_ids: Vec::new(),
            serial_number_source: "json-csr".to_owned(),
            server_flag: true,
            client_flag: true,
            code_signing_flag: false,
            email_protection_flag: false,
            key_usage: words(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
            ext_key_usage: Vec::new(),
            ext_key_usage_oids: Vec::new(),
            key_type: "rsa".to_owned(),
            key_bits: 0,
            signature_bits: 0,
            use_pss: false,
            use_csr_common_name: true,
            use_csr_sans: true,
            ou: Vec::new(),
            organization: Vec::new(),
            country: Vec::new(),
            locality: Vec::new(),
            province: Vec::new(),
            street_address: Vec::new(),
            postal_code: Vec::new(),
            policy_identifiers: Vec::new(),
            basic_constraints_valid_for_non_ca: false,
            not_before_duration: 30,
            not_before: String::new(),
            not_before_bound: "permit".to_owned(),
            not_after: String::new(),
            not_after_bound: "permit".to_owned(),
            generate_lease: false,
            no_store: false,
            cn_from_spiffe_path: false,
            pkcs12_encoder: String::new(),
            allow_backdating: false,
        }
    }
}

/// A role that was checked; the only thing that permits leaves.
#[derive(Clone, Debug)]
pub struct Role {
    name: String,
    fields: RoleFields,
    key: RoleKey,
    key_usage: KeyUsage,
    extended_key_usage: Vec<ObjectIdentifier>,
    policies: Vec<Policy>,
    other_sans: OtherSans,
    ip_ranges: Vec<IpRange>,
}

/// The keys that a role admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKey {
    /// Exactly this kind when Signet makes the key; at least this size in a CSR.
    Kind(KeyKind),
    /// Any kind.
    Any,
}

/// The other SANs that a role admits.
#[derive(Clone, Debug)]
enum OtherSans {
    Any,
    Globs(Vec<OtherName>),
}

/// An address range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IpRange {
    network: u128,
    mask: u128,
    v4: bool,
}

impl Role {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was written.
    pub const fn fields(&self) -> &RoleFields {
        &self.fields
    }

    /// The keys it admits.
    pub const fn key(&self) -> RoleKey {
        self.key
    }
}

#[cfg(test)]
mod tests;
