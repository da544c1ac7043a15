//! SPIFFE IDs, and the X.509-SVID profile for a leaf whose one URI SAN is a SPIFFE ID.
//!
//! Roles can request less than the profile (no digitalSignature, one extended key usage), and Vault
//! signs it. Such a leaf gets a notice. Invalid SPIFFE IDs, and leaves that could pass for an
//! authority, are refused.

use super::Rule;
use super::view::LintedCertificate;
use crate::ca::asn1::DerReader;
use crate::ca::extensions::{BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE};
use crate::ca::permit::KeyUsage;
use crate::ca::spiffe::{SpiffeId, has_spiffe_scheme};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    Rule::must(
        "spiffe_uris_are_ids",
        "SPIFFE-ID, 2; X509-SVID, 3",
        "a URI SAN of the scheme spiffe is a SPIFFE ID, with a path in a leaf and without one in an authority",
        spiffe_uris_are_ids,
    )
    .fixed_by_caller(),
    Rule::must(
        "svid_is_not_an_authority",
        "X509-SVID, 4.1",
        "the basic constraints of an SVID are critical and say CA:FALSE",
        svid_is_not_an_authority,
    ),
    Rule::must(
        "svid_signs_no_certificates",
        "X509-SVID, 4.3",
        "an SVID asserts neither keyCertSign nor cRLSign",
        svid_signs_no_certificates,
    )
    .fixed_by_operator("leave CertSign and CRLSign out of key_usage"),
    Rule::should(
        "svid_is_the_only_uri",
        "X509-SVID, 2",
        "the SPIFFE ID of an SVID is its only URI SAN, or SPIFFE clients refuse it",
        svid_is_the_only_uri,
    )
    .fixed_by_caller(),
    Rule::should(
        "svid_key_usage_is_critical",
        "X509-SVID, 4.3",
        "an SVID has a critical key usage, or SPIFFE clients refuse it",
        svid_key_usage_is_critical,
    )
    .fixed_by_operator("set key_usage=DigitalSignature"),
    Rule::should(
        "svid_makes_signatures",
        "X509-SVID, 4.3",
        "an SVID asserts digitalSignature, or SPIFFE clients refuse it",
        svid_makes_signatures,
    )
    .fixed_by_operator("add DigitalSignature to key_usage"),
    Rule::should(
        "svid_serves_and_calls",
        "X509-SVID, 4.4",
        "an SVID has both serverAuth and clientAuth as extended key usage, or SPIFFE clients refuse it",
        svid_serves_and_calls,
    )
    .fixed_by_operator("set server_flag=true and client_flag=true"),
];

/// SPIFFE-ID, 2.1 to 2.3, and X509-SVID, 3.1 and 3.2: in any spelling of the scheme.
fn spiffe_uris_are_ids(certificate: &LintedCertificate<'_>) -> bool {
    let is_authority = certificate.is_authority();
    let is_valid = |uri: &String| {
        !has_spiffe_scheme(uri)
            || SpiffeId::path_of(uri).is_ok_and(|path| path.is_empty() == is_authority)
    };
    certificate.names.names.uri.iter().all(is_valid)
}

/// 2: exactly one URI SAN.
fn svid_is_the_only_uri(certificate: &LintedCertificate<'_>) -> bool {
    let uris = &certificate.names.names.uri;
    uris.len() < 2 || !uris.iter().any(|uri| has_spiffe_scheme(uri))
}

/// 4.1: cA is false. SPIRE's validator requires the extension, so it is present and critical.
fn svid_is_not_an_authority(certificate: &LintedCertificate<'_>) -> bool {
    !certificate.is_svid
        || (matches!(certificate.constraints, Some((false, _)))
            && certificate.extension(BASIC_CONSTRAINTS).is_some_and(|found| found.critical))
}

/// 4.3: keyCertSign and cRLSign are not set. Other leaves may have them if a role says so
/// (`docs/dev/vault-pki.md`, "Names of usages"): without CA:TRUE no validator follows them.
fn svid_signs_no_certificates(certificate: &LintedCertificate<'_>) -> bool {
    !certificate.is_svid
        || !(certificate.has_usage(KeyUsage::KEY_CERT_SIGN)
            || certificate.has_usage(KeyUsage::CRL_SIGN))
}

/// 4.3: key usage is present and critical.
fn svid_key_usage_is_critical(certificate: &LintedCertificate<'_>) -> bool {
    !certificate.is_svid || certificate.extension(KEY_USAGE).is_some_and(|usage| usage.critical)
}

/// 4.3: digitalSignature is set.
fn svid_makes_signatures(certificate: &LintedCertificate<'_>) -> bool {
    !certificate.is_svid || certificate.has_usage(KeyUsage::DIGITAL_SIGNATURE)
}

/// 4.4: the extended key usage should be present, and then contains both serverAuth and clientAuth.
fn svid_serves_and_calls(certificate: &LintedCertificate<'_>) -> bool {
    const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    if !certificate.is_svid {
        return true;
    }
    let Some(usages) = certificate.extension(EXTENDED_KEY_USAGE) else { return false };
    let Ok(mut list) = DerReader::new(usages.value).sequence("[]asn1.ObjectIdentifier") else {
        return false;
    };
    let (mut serves, mut calls) = (false, false);
    while let Ok(usage) = list.any() {
        serves |= usage.content == SERVER_AUTH;
        calls |= usage.content == CLIENT_AUTH;
    }
    serves && calls
}
