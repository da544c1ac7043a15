//! The extensions of a certificate, in the order and with the criticality of pki-api 16.1.

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{Writer, bit_string_bits, tag};
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

/// Appends one `Extension`.
pub(in crate::ca) fn extension(
    writer: &mut Writer,
    oid: &ObjectIdentifier,
    critical: bool,
    value: impl FnOnce(&mut Writer),
) {
    writer.sequence(|writer| {
        writer.oid(oid);
        if critical {
            writer.primitive(tag::BOOLEAN, &[0xff]);
        }
        writer.element(tag::OCTET_STRING, value);
    });
}

/// Appends every extension of a certificate.
pub(in crate::ca) fn write(
    writer: &mut Writer,
    template: &Template,
    subject_key_identifier: &[u8],
    authority_key_identifier: Option<&[u8]>,
    subject_is_empty: bool,
) {
    let verbatim = &template.verbatim_extensions;
    let ours = |oid: &ObjectIdentifier| verbatim.iter().all(|extension| extension.oid != *oid);
    usages(writer, template, ours);
    if ours(&BASIC_CONSTRAINTS) {
        basic_constraints(writer, template.basic_constraints);
    }
    if ours(&SUBJECT_KEY_IDENTIFIER) {
        extension(writer, &SUBJECT_KEY_IDENTIFIER, false, |writer| {
            writer.primitive(tag::OCTET_STRING, subject_key_identifier);
        });
    }
    if let Some(identifier) = authority_key_identifier.filter(|_| ours(&AUTHORITY_KEY_IDENTIFIER)) {
        write_authority_key_identifier(writer, identifier);
    }
    if ours(&AUTHORITY_INFO_ACCESS) {
        authority_info_access(writer, template);
    }
    // Other names and policy qualifiers move their extension behind the others (row 11).
    let names = Some(&template.names).filter(|names| !names.is_empty() && ours(&SUBJECT_ALT_NAME));
    let late_names = !template.names.other.is_empty();
    let policies =
        Some(&template.policies).filter(|list| !list.is_empty() && ours(&CERTIFICATE_POLICIES));
    let late_policies = template.policies.iter().any(Policy::is_qualified);
    if let Some(names) = names.filter(|_| !late_names) {
        subject_alt_name(writer, names, subject_is_empty);
    }
    if let Some(policies) = policies.filter(|_| !late_policies) {
        certificate_policies(writer, policies);
    }
    if let Some(constraints) =
        template.name_constraints.as_ref().filter(|_| ours(&NAME_CONSTRAINTS))
    {
        name_constraints(writer, constraints);
    }
    if ours(&CRL_DISTRIBUTION_POINTS) {
        let points = &template.urls.crl_distribution_points;
        distribution_points(writer, &CRL_DISTRIBUTION_POINTS, points);
    }
    for raw in verbatim {
        extension(writer, &raw.oid, raw.critical, |writer| writer.raw(&raw.value));
    }
    if let Some(names) = names.filter(|_| late_names) {
        subject_alt_name(writer, names, subject_is_empty);
    }
    if let Some(policies) = policies.filter(|_| late_policies) {
        certificate_policies(writer, policies);
    }
    if ours(&FRESHEST_CRL) {
        let points = &template.urls.delta_crl_distribution_points;
        distribution_points(writer, &FRESHEST_CRL, points);
    }
}

impl Policy {
    const fn is_qualified(&self) -> bool {
        self.cps.is_some() || self.notice.is_some()
    }
}

fn usages(writer: &mut Writer, template: &Template, ours: impl Fn(&ObjectIdentifier) -> bool) {
    if template.key_usage != KeyUsage::default() && ours(&KEY_USAGE) {
        key_usage(writer, template.key_usage);
    }
    if !template.extended_key_usage.is_empty() && ours(&EXTENDED_KEY_USAGE) {
        extension(writer, &EXTENDED_KEY_USAGE, false, |writer| {
            writer.sequence(|writer| {
                for usage in &template.extended_key_usage {
                    writer.oid(usage);
                }
            });
        });
    }
}

/// RFC 5280, 4.2.1.3.
pub(in crate::ca) fn key_usage(writer: &mut Writer, usage: KeyUsage) {
    extension(writer, &KEY_USAGE, true, |writer| {
        writer.primitive(tag::BIT_STRING, &bit_string_bits(usage.0));
    });
}

/// RFC 5280, 4.2.1.9.
pub(in crate::ca) fn basic_constraints(writer: &mut Writer, constraints: BasicConstraints) {
    let authority = match constraints {
        BasicConstraints::Absent => return,
        BasicConstraints::EndEntity => None,
        BasicConstraints::Authority { path_length } => Some(path_length),
    };
    extension(writer, &BASIC_CONSTRAINTS, true, |writer| {
        writer.sequence(|writer| {
            let Some(path_length) = authority else { return };
            writer.primitive(tag::BOOLEAN, &[0xff]);
            if let Some(length) = path_length {
                writer.unsigned(&[length]);
            }
        });
    });
}

/// RFC 5280, 4.2.1.1: keyIdentifier alone.
pub(in crate::ca) fn write_authority_key_identifier(writer: &mut Writer, identifier: &[u8]) {
    extension(writer, &AUTHORITY_KEY_IDENTIFIER, false, |writer| {
        writer.sequence(|writer| writer.primitive(tag::implicit(0), identifier));
    });
}

/// RFC 5280, 4.2.2.1: OCSP first.
fn authority_info_access(writer: &mut Writer, template: &Template) {
    let urls = &template.urls;
    if urls.ocsp_servers.is_empty() && urls.issuing_certificates.is_empty() {
        return;
    }
    extension(writer, &AUTHORITY_INFO_ACCESS, false, |writer| {
        writer.sequence(|writer| {
            for (method, urls) in
                [(&OCSP, &urls.ocsp_servers), (&CA_ISSUERS, &urls.issuing_certificates)]
            {
                for url in urls {
                    writer.sequence(|writer| {
                        writer.oid(method);
                        writer.primitive(URI, url.as_bytes());
                    });
                }
            }
        });
    });
}

/// RFC 5280, 4.2.1.6: critical where the subject is empty.
pub(in crate::ca) fn subject_alt_name(
    writer: &mut Writer,
    names: &AlternativeNames,
    subject_is_empty: bool,
) {
    extension(writer, &SUBJECT_ALT_NAME, subject_is_empty, |writer| {
        general_names::write(writer, names);
    });
}

/// RFC 5280, 4.2.1.4.
fn certificate_policies(writer: &mut Writer, policies: &[Policy]) {
    extension(writer, &CERTIFICATE_POLICIES, false, |writer| write_policies(writer, policies));
}

/// Appends the value of the extension: each policy once, with the qualifiers of all that name it; CPS
/// before notice (RFC 5280, 4.2.1.4).
pub(in crate::ca) fn write_policies(writer: &mut Writer, policies: &[Policy]) {
    writer.sequence(|writer| {
        for (position, policy) in policies.iter().enumerate() {
            let same = |other: &&Policy| other.oid == policy.oid;
            if policies.iter().take(position).any(|earlier| same(&earlier)) {
                continue;
            }
            writer.sequence(|writer| {
                writer.oid(&policy.oid);
                if policies.iter().filter(same).any(Policy::is_qualified) {
                    writer.sequence(|writer| {
                        policies.iter().filter(same).for_each(|same| qualifiers(writer, same));
                    });
                }
            });
        }
    });
}

fn qualifiers(writer: &mut Writer, policy: &Policy) {
    if let Some(cps) = &policy.cps {
        writer.sequence(|writer| {
            writer.oid(&CPS);
            writer.primitive(tag::IA5_STRING, cps.as_bytes());
        });
    }
    if let Some(notice) = &policy.notice {
        writer.sequence(|writer| {
            writer.oid(&USER_NOTICE);
            writer.sequence(|writer| writer.primitive(tag::UTF8_STRING, notice.as_bytes()));
        });
    }
}

/// RFC 5280, 4.2.1.10: critical.
fn name_constraints(writer: &mut Writer, constraints: &NameConstraints) {
    extension(writer, &NAME_CONSTRAINTS, true, |writer| {
        write_name_constraints(writer, constraints);
    });
}

/// Appends the value of the extension.
pub(in crate::ca) fn write_name_constraints(writer: &mut Writer, constraints: &NameConstraints) {
    type Lists<'a> = ([(u8, &'a [String]); 3], &'a [Vec<u8>], &'a [Vec<u8>]);
    let subtrees = |writer: &mut Writer, number: u8, (texts, ips, directory): Lists<'_>| {
        let no_text = texts.iter().all(|(_, names)| names.is_empty());
        if no_text && ips.is_empty() && directory.is_empty() {
            return;
        }
        writer.element(tag::explicit(number), |writer| {
            let [dns, email, uri] = texts;
            let subtree = |writer: &mut Writer, tag: u8, value: &[u8]| {
                writer.sequence(|writer| writer.primitive(tag, value));
            };
            dns.1.iter().for_each(|name| subtree(writer, dns.0, name.as_bytes()));
            ips.iter().for_each(|range| subtree(writer, IP, range));
            email.1.iter().for_each(|name| subtree(writer, email.0, name.as_bytes()));
            uri.1.iter().for_each(|name| subtree(writer, uri.0, name.as_bytes()));
            directory.iter().for_each(|name| subtree(writer, DIRECTORY, name));
        });
    };
    let c = constraints;
    writer.sequence(|writer| {
        let permitted =
            [(DNS, &*c.permitted_dns), (EMAIL, &*c.permitted_email), (URI, &*c.permitted_uri)];
        subtrees(writer, 0, (permitted, &c.permitted_ip, &c.permitted_directory));
        let excluded =
            [(DNS, &*c.excluded_dns), (EMAIL, &*c.excluded_email), (URI, &*c.excluded_uri)];
        subtrees(writer, 1, (excluded, &c.excluded_ip, &c.excluded_directory));
    });
}

/// RFC 5280, 4.2.1.13: one DistributionPoint a URL; nothing without URLs.
pub(in crate::ca) fn distribution_points(
    writer: &mut Writer,
    oid: &ObjectIdentifier,
    urls: &[String],
) {
    if urls.is_empty() {
        return;
    }
    extension(writer, oid, false, |writer| {
        writer.sequence(|writer| {
            for url in urls {
                writer.sequence(|writer| {
                    writer.element(tag::explicit(0), |writer| {
                        writer.element(tag::explicit(0), |writer| {
                            writer.primitive(URI, url.as_bytes());
                        });
                    });
                });
            }
        });
    });
}
