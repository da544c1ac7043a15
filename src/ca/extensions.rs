//! The extensions of a certificate (RFC 5280, 4.2), in Vault's order and with Vault's
//! criticality.

use der::{Encode, EncodeValue};

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{NamedBits, TaggedValue, Unsigned, Verbatim, append, encode, sequences, tag};
use super::general_names::{self, DNS, EMAIL, IP, URI};
use super::name_constraints::DIRECTORY;
use super::permit::{
    AlternativeNames, BasicConstraints, KeyUsage, NameConstraints, Policy, Template,
};

pub(in crate::ca) const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.14");
pub(in crate::ca) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(in crate::ca) const SUBJECT_ALT_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.17");
pub(in crate::ca) const BASIC_CONSTRAINTS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.19");
pub(in crate::ca) const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
pub(in crate::ca) const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.35");
pub(in crate::ca) const EXTENDED_KEY_USAGE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.37");
pub(in crate::ca) const FRESHEST_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.46");
pub(in crate::ca) const NAME_CONSTRAINTS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.30");
pub(in crate::ca) const CRL_DISTRIBUTION_POINTS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.31");
pub(in crate::ca) const CERTIFICATE_POLICIES: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.32");
pub(in crate::ca) const AUTHORITY_INFO_ACCESS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
pub(in crate::ca) const CPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.1");
pub(in crate::ca) const USER_NOTICE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.2");
pub(in crate::ca) const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
pub(in crate::ca) const CA_ISSUERS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// RFC 5280, 4.1.
#[derive(EncodeValue)]
struct Extension<'a, T: Encode> {
    oid: &'a ObjectIdentifier,
    #[asn1(default = "bool::default")]
    critical: bool,
    /// The value, inside an OCTET STRING.
    value: TaggedValue<T>,
}

impl<T: Encode> der::FixedTag for Extension<'_, T> {
    const TAG: der::Tag = der::Tag::Sequence;
}

#[derive(EncodeValue)]
struct BasicConstraintsValue<'a> {
    #[asn1(default = "bool::default")]
    is_authority: bool,
    path_length: Option<Unsigned<'a>>,
}

/// RFC 5280, 4.2.1.1, with the keyIdentifier alone.
#[derive(EncodeValue)]
struct AuthorityKeyIdentifier<'a> {
    key_identifier: TaggedValue<Verbatim<'a>>,
}

/// RFC 5280, 4.2.2.1.
#[derive(EncodeValue)]
struct AccessDescription<'a> {
    method: &'a ObjectIdentifier,
    location: TaggedValue<Verbatim<'a>>,
}

/// RFC 5280, 4.2.1.4.
#[derive(EncodeValue)]
struct PolicyInformation<'a> {
    identifier: &'a ObjectIdentifier,
    qualifiers: Option<TaggedValue<Verbatim<'a>>>,
}

#[derive(EncodeValue)]
struct CpsQualifier<'a> {
    identifier: &'a ObjectIdentifier,
    statement: TaggedValue<Verbatim<'a>>,
}

#[derive(EncodeValue)]
struct NoticeQualifier<'a> {
    identifier: &'a ObjectIdentifier,
    notice: UserNotice<'a>,
}

#[derive(EncodeValue)]
struct UserNotice<'a> {
    explicit_text: TaggedValue<Verbatim<'a>>,
}

/// RFC 5280, 4.2.1.10.
#[derive(EncodeValue)]
struct GeneralSubtree<'a> {
    base: TaggedValue<Verbatim<'a>>,
}

#[derive(EncodeValue)]
struct NameConstraintsValue<'a> {
    permitted: Option<TaggedValue<Verbatim<'a>>>,
    excluded: Option<TaggedValue<Verbatim<'a>>>,
}

/// RFC 5280, 4.2.1.13, with a full name of one URL.
#[derive(EncodeValue)]
struct DistributionPoint<'a> {
    name: TaggedValue<TaggedValue<TaggedValue<Verbatim<'a>>>>,
}

sequences!(
    BasicConstraintsValue<'_>,
    AuthorityKeyIdentifier<'_>,
    AccessDescription<'_>,
    PolicyInformation<'_>,
    CpsQualifier<'_>,
    NoticeQualifier<'_>,
    UserNotice<'_>,
    GeneralSubtree<'_>,
    NameConstraintsValue<'_>,
    DistributionPoint<'_>
);

/// Appends one `Extension`.
pub(in crate::ca) fn extension(
    list: &mut Vec<u8>,
    oid: &ObjectIdentifier,
    critical: bool,
    value: impl Encode,
) {
    append(list, &Extension { oid, critical, value: TaggedValue::new(tag::OCTET_STRING, value) });
}

/// Appends every extension of a certificate.
pub(in crate::ca) fn write(
    list: &mut Vec<u8>,
    template: &Template,
    subject_key_identifier: &[u8],
    authority_key_identifier: Option<&[u8]>,
    subject_is_empty: bool,
) {
    let verbatim = &template.verbatim_extensions;
    let ours = |oid: &ObjectIdentifier| verbatim.iter().all(|extension| extension.oid != *oid);
    usages(list, template, ours);
    if ours(&BASIC_CONSTRAINTS) {
        basic_constraints(list, template.basic_constraints);
    }
    if ours(&SUBJECT_KEY_IDENTIFIER) {
        let identifier = TaggedValue::of(tag::OCTET_STRING, subject_key_identifier);
        extension(list, &SUBJECT_KEY_IDENTIFIER, false, identifier);
    }
    if let Some(identifier) = authority_key_identifier.filter(|_| ours(&AUTHORITY_KEY_IDENTIFIER)) {
        write_authority_key_identifier(list, identifier);
    }
    if ours(&AUTHORITY_INFO_ACCESS) {
        authority_info_access(list, template);
    }
    // Vault writes names with an otherName, and policies with a qualifier, after other extensions.
    let names = Some(&template.names).filter(|names| !names.is_empty() && ours(&SUBJECT_ALT_NAME));
    let late_names = !template.names.other.is_empty();
    let policies =
        Some(&template.policies).filter(|list| !list.is_empty() && ours(&CERTIFICATE_POLICIES));
    let late_policies = template.policies.iter().any(Policy::is_qualified);
    if let Some(names) = names.filter(|_| !late_names) {
        subject_alt_name(list, names, subject_is_empty);
    }
    if let Some(policies) = policies.filter(|_| !late_policies) {
        certificate_policies(list, policies);
    }
    if let Some(constraints) =
        template.name_constraints.as_ref().filter(|_| ours(&NAME_CONSTRAINTS))
    {
        let value = name_constraints(constraints);
        extension(list, &NAME_CONSTRAINTS, true, Verbatim(&value));
    }
    if ours(&CRL_DISTRIBUTION_POINTS) {
        let points = &template.urls.crl_distribution_points;
        distribution_points(list, &CRL_DISTRIBUTION_POINTS, points);
    }
    for raw in verbatim {
        extension(list, &raw.oid, raw.critical, Verbatim(&raw.value));
    }
    if let Some(names) = names.filter(|_| late_names) {
        subject_alt_name(list, names, subject_is_empty);
    }
    if let Some(policies) = policies.filter(|_| late_policies) {
        certificate_policies(list, policies);
    }
    if ours(&FRESHEST_CRL) {
        let points = &template.urls.delta_crl_distribution_points;
        distribution_points(list, &FRESHEST_CRL, points);
    }
}

impl Policy {
    const fn is_qualified(&self) -> bool {
        self.cps.is_some() || self.notice.is_some()
    }
}

fn usages(list: &mut Vec<u8>, template: &Template, ours: impl Fn(&ObjectIdentifier) -> bool) {
    if template.key_usage != KeyUsage::default() && ours(&KEY_USAGE) {
        key_usage(list, template.key_usage);
    }
    if !template.extended_key_usage.is_empty() && ours(&EXTENDED_KEY_USAGE) {
        let value = encode(&template.extended_key_usage);
        extension(list, &EXTENDED_KEY_USAGE, false, Verbatim(&value));
    }
}

/// RFC 5280, 4.2.1.3.
pub(in crate::ca) fn key_usage(list: &mut Vec<u8>, usage: KeyUsage) {
    extension(list, &KEY_USAGE, true, NamedBits(usage.0));
}

/// RFC 5280, 4.2.1.9.
pub(in crate::ca) fn basic_constraints(list: &mut Vec<u8>, constraints: BasicConstraints) {
    let (is_authority, path_length) = match constraints {
        BasicConstraints::Absent => return,
        BasicConstraints::EndEntity => (false, None),
        BasicConstraints::Authority { path_length } => (true, path_length.map(|length| [length])),
    };
    let path_length = path_length.as_ref().map(|length| Unsigned(length));
    extension(list, &BASIC_CONSTRAINTS, true, BasicConstraintsValue { is_authority, path_length });
}

/// RFC 5280, 4.2.1.1: keyIdentifier alone.
pub(in crate::ca) fn write_authority_key_identifier(list: &mut Vec<u8>, identifier: &[u8]) {
    let key_identifier = TaggedValue::of(tag::implicit(0), identifier);
    extension(list, &AUTHORITY_KEY_IDENTIFIER, false, AuthorityKeyIdentifier { key_identifier });
}

/// RFC 5280, 4.2.2.1: OCSP first.
fn authority_info_access(list: &mut Vec<u8>, template: &Template) {
    let urls = &template.urls;
    if urls.ocsp_servers.is_empty() && urls.issuing_certificates.is_empty() {
        return;
    }
    let methods = [(&OCSP, &urls.ocsp_servers), (&CA_ISSUERS, &urls.issuing_certificates)];
    let descriptions = methods.into_iter().flat_map(|(method, urls)| {
        urls.iter().map(move |url| {
            let location = TaggedValue::of(URI, url.as_bytes());
            AccessDescription { method, location }
        })
    });
    let descriptions: Vec<_> = descriptions.collect();
    extension(list, &AUTHORITY_INFO_ACCESS, false, descriptions);
}

/// RFC 5280, 4.2.1.6: critical where the subject is empty.
pub(in crate::ca) fn subject_alt_name(
    list: &mut Vec<u8>,
    names: &AlternativeNames,
    subject_is_empty: bool,
) {
    let value = general_names::encode(names);
    extension(list, &SUBJECT_ALT_NAME, subject_is_empty, Verbatim(&value));
}

/// RFC 5280, 4.2.1.4.
fn certificate_policies(list: &mut Vec<u8>, policies: &[Policy]) {
    let value = policy_list(policies);
    extension(list, &CERTIFICATE_POLICIES, false, Verbatim(&value));
}

/// The value of the extension: each policy once, with the qualifiers of all its occurrences; CPS
/// before notice (RFC 5280, 4.2.1.4).
pub(in crate::ca) fn policy_list(policies: &[Policy]) -> Vec<u8> {
    let mut list = Vec::new();
    for (position, policy) in policies.iter().enumerate() {
        let same = |other: &&Policy| other.oid == policy.oid;
        if policies.iter().take(position).any(|earlier| same(&earlier)) {
            continue;
        }
        let mut all = Vec::new();
        policies.iter().filter(same).for_each(|same| qualifiers(&mut all, same));
        let qualifiers = (!all.is_empty()).then(|| TaggedValue::of(tag::SEQUENCE, &all));
        append(&mut list, &PolicyInformation { identifier: &policy.oid, qualifiers });
    }
    encode(&TaggedValue::of(tag::SEQUENCE, &list))
}

fn qualifiers(list: &mut Vec<u8>, policy: &Policy) {
    if let Some(cps) = &policy.cps {
        let statement = TaggedValue::of(tag::IA5_STRING, cps.as_bytes());
        append(list, &CpsQualifier { identifier: &CPS, statement });
    }
    if let Some(notice) = &policy.notice {
        let explicit_text = TaggedValue::of(tag::UTF8_STRING, notice.as_bytes());
        let notice = UserNotice { explicit_text };
        append(list, &NoticeQualifier { identifier: &USER_NOTICE, notice });
    }
}

/// The value of the extension (RFC 5280, 4.2.1.10).
pub(in crate::ca) fn name_constraints(constraints: &NameConstraints) -> Vec<u8> {
    type Texts<'a> = [(u8, &'a [String]); 3];
    let subtrees = |[dns, email, uri]: Texts<'_>, ips: &[Vec<u8>], directory: &[Vec<u8>]| {
        let mut list = Vec::new();
        let mut subtree = |tag: u8, value: &[u8]| {
            append(&mut list, &GeneralSubtree { base: TaggedValue::of(tag, value) });
        };
        dns.1.iter().for_each(|name| subtree(dns.0, name.as_bytes()));
        ips.iter().for_each(|range| subtree(IP, range));
        email.1.iter().for_each(|name| subtree(email.0, name.as_bytes()));
        uri.1.iter().for_each(|name| subtree(uri.0, name.as_bytes()));
        directory.iter().for_each(|name| subtree(DIRECTORY, name));
        list
    };
    let c = constraints;
    let permitted = subtrees(
        [(DNS, &c.permitted_dns), (EMAIL, &c.permitted_email), (URI, &c.permitted_uri)],
        &c.permitted_ip,
        &c.permitted_directory,
    );
    let excluded = subtrees(
        [(DNS, &c.excluded_dns), (EMAIL, &c.excluded_email), (URI, &c.excluded_uri)],
        &c.excluded_ip,
        &c.excluded_directory,
    );
    let unless_empty = |number, list| {
        Some(TaggedValue::of(tag::explicit(number), list)).filter(|_| !list.is_empty())
    };
    let (permitted, excluded) = (unless_empty(0, &permitted), unless_empty(1, &excluded));
    encode(&NameConstraintsValue { permitted, excluded })
}

/// RFC 5280, 4.2.1.13: one DistributionPoint per URL; no extension without URLs.
pub(in crate::ca) fn distribution_points(
    list: &mut Vec<u8>,
    oid: &ObjectIdentifier,
    urls: &[String],
) {
    if urls.is_empty() {
        return;
    }
    let points = urls.iter().map(|url| {
        let full_name = TaggedValue::new(tag::explicit(0), TaggedValue::of(URI, url.as_bytes()));
        DistributionPoint { name: TaggedValue::new(tag::explicit(0), full_name) }
    });
    extension(list, oid, false, points.collect::<Vec<_>>());
}
