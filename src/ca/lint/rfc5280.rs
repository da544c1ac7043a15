//! Rules of RFC 5280, section 4.

use super::Rule;
use super::view::LintedCertificate;
use crate::ca::asn1::{DerReader, tag};
use crate::ca::control::first_control;
use crate::ca::distinguished_name;
use crate::ca::extensions::{AUTHORITY_KEY_IDENTIFIER, SUBJECT_ALT_NAME, SUBJECT_KEY_IDENTIFIER};
use crate::ca::permit::KeyUsage;

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    Rule::must(
        "version_is_3",
        "RFC 5280, 4.1.2.1",
        "a certificate with extensions has the version 3",
        version_is_3,
    ),
    Rule::must(
        "serial_is_positive_and_short",
        "RFC 5280, 4.1.2.2",
        "a serial number is positive and has at most 20 bytes",
        serial_is_positive_and_short,
    ),
    Rule::must(
        "validity_is_in_order",
        "RFC 5280, 4.1.2.5",
        "notBefore is not later than notAfter",
        validity_is_in_order,
    )
    .fixed_by_caller(),
    Rule::must(
        "issuer_is_the_signer",
        "RFC 5280, 4.1.2.4",
        "the issuer is the subject of the signer",
        issuer_is_the_signer,
    ),
    Rule::must(
        "extensions_occur_once",
        "RFC 5280, 4.2",
        "no extension occurs twice",
        extensions_occur_once,
    )
    .fixed_by_caller(),
    Rule::must(
        "names_are_critical_without_subject",
        "RFC 5280, 4.1.2.6",
        "subject alternative names are critical where the subject is empty",
        names_are_critical_without_subject,
    )
    .fixed_by_caller(),
    Rule::must(
        "names_are_not_empty",
        "RFC 5280, 4.2.1.6",
        "the extension of subject alternative names holds at least one name",
        names_are_not_empty,
    )
    .fixed_by_caller(),
    Rule::must(
        "names_hold_no_control_characters",
        "CVE-2009-2408",
        "no name holds a control character, in the subject or among the alternative names",
        names_hold_no_control_characters,
    )
    .fixed_by_caller(),
    Rule::must(
        "signer_is_identified",
        "RFC 5280, 4.2.1.1",
        "the authority key identifier is the subject key identifier of the signer",
        signer_is_identified,
    )
    .fixed_by_caller(),
    Rule::must(
        "authority_is_identified",
        "RFC 5280, 4.2.1.2",
        "the certificate of an authority has a subject key identifier",
        authority_is_identified,
    )
    .fixed_by_caller(),
    Rule::must(
        "authority_may_sign",
        "RFC 5280, 4.2.1.9",
        "the key usage of an authority has keyCertSign",
        authority_may_sign,
    )
    .fixed_by_caller(),
    Rule::must(
        "path_length_needs_an_authority",
        "RFC 5280, 4.2.1.9",
        "only an authority has a path length",
        path_length_needs_an_authority,
    )
    .fixed_by_caller(),
];

/// 4.1.2.1: with extensions, the version is 3 (value 2).
fn version_is_3(certificate: &LintedCertificate<'_>) -> bool {
    certificate.version == Some(&[tag::INTEGER, 1, 2])
}

/// 4.1.2.2: a positive integer of at most 20 bytes.
fn serial_is_positive_and_short(certificate: &LintedCertificate<'_>) -> bool {
    let negative = certificate.serial.first().is_some_and(|first| *first >= 0x80);
    !negative && certificate.serial != [0] && certificate.serial.len() <= 20
}

/// 4.1.2.5: the validity does not end before it begins.
fn validity_is_in_order(certificate: &LintedCertificate<'_>) -> bool {
    certificate.not_before <= certificate.not_after
}

/// 4.1.2.4 and 6.1.3 (a)(4): issuer is the signer's subject, byte for byte.
fn issuer_is_the_signer(certificate: &LintedCertificate<'_>) -> bool {
    certificate.issuer == certificate.signer.subject
}

/// 4.2: a certificate MUST NOT include more than one instance of an extension.
fn extensions_occur_once(certificate: &LintedCertificate<'_>) -> bool {
    certificate.extensions.iter().enumerate().all(|(position, extension)| {
        certificate
            .extensions
            .iter()
            .skip(position.saturating_add(1))
            .all(|other| other.oid != extension.oid)
    })
}

/// 4.1.2.6: with an empty subject, subjectAltName MUST be critical.
fn names_are_critical_without_subject(certificate: &LintedCertificate<'_>) -> bool {
    certificate.subject != distinguished_name::EMPTY
        || certificate.extension(SUBJECT_ALT_NAME).is_none_or(|names| names.critical)
}

/// 4.2.1.6: if the extension is present, it contains at least one name.
fn names_are_not_empty(certificate: &LintedCertificate<'_>) -> bool {
    certificate.extension(SUBJECT_ALT_NAME).is_none_or(|names| names.value != [tag::SEQUENCE, 0])
}

/// No verifier may see another name than the one that was checked.
fn names_hold_no_control_characters(certificate: &LintedCertificate<'_>) -> bool {
    let names = &certificate.names.names;
    let others = names.other.iter().map(|other| &other.value);
    let mut texts = names.dns.iter().chain(&names.email).chain(&names.uri).chain(others);
    texts.all(|text| first_control(text).is_none())
        && DerReader::new(certificate.subject)
            .expect(tag::SEQUENCE, "pkix.RDNSequence")
            .and_then(|subject| distinguished_name::first_control_in(subject.content))
            .is_ok_and(|found| found.is_none())
}

/// 4.2.1.1: keyIdentifier is present and equal to the signer's subject key identifier, if it has
/// one.
fn signer_is_identified(certificate: &LintedCertificate<'_>) -> bool {
    certificate.signer.key_identifier.is_none_or(|expected| {
        certificate.identifier(AUTHORITY_KEY_IDENTIFIER).is_some_and(|found| found == expected)
    })
}

/// 4.2.1.2: subjectKeyIdentifier MUST appear in every authority's certificate.
fn authority_is_identified(certificate: &LintedCertificate<'_>) -> bool {
    !certificate.is_authority() || certificate.identifier(SUBJECT_KEY_IDENTIFIER).is_some()
}

/// 4.2.1.3 and 4.2.1.9: an authority with a key usage asserts keyCertSign.
fn authority_may_sign(certificate: &LintedCertificate<'_>) -> bool {
    !certificate.is_authority()
        || certificate.key_usage.is_none()
        || certificate.has_usage(KeyUsage::KEY_CERT_SIGN)
}

/// 4.2.1.9: no pathLenConstraint unless cA is asserted.
fn path_length_needs_an_authority(certificate: &LintedCertificate<'_>) -> bool {
    !matches!(certificate.constraints, Some((false, true)))
}
