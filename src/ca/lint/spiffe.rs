//! The X.509-SVID profile, for a leaf whose one URI SAN is a SPIFFE ID.
//!
//! Vault's roles can ask for less than the profile (no digitalSignature, one extended key usage,
//! an ID without a path) and the reference signs it. That is told, not refused. What would
//! make a leaf pass for a signer is refused.

use super::Rule;
use super::view::Case;
use crate::ca::asn1::Reader;
use crate::ca::extensions::{BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE};
use crate::ca::permit::KeyUsage;

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    Rule::must("svid_is_no_authority", "X509-SVID, 4.1", svid_is_no_authority),
    Rule::must("svid_signs_no_certificates", "X509-SVID, 4.3", svid_signs_no_certificates),
    Rule::should("svid_has_a_path", "X509-SVID, 3.1", svid_has_a_path),
    Rule::should("svid_key_usage_is_critical", "X509-SVID, 4.3", svid_key_usage_is_critical),
    Rule::should("svid_makes_signatures", "X509-SVID, 4.3", svid_makes_signatures),
    Rule::should("svid_serves_and_calls", "X509-SVID, 4.4", svid_serves_and_calls),
];

/// 4.1: cA is false. SPIRE's validator wants the extension there, so it always is, critical.
fn svid_is_no_authority(case: &Case<'_>) -> bool {
    case.svid.is_none()
        || (matches!(case.constraints, Some((false, _)))
            && case.extension(BASIC_CONSTRAINTS).is_some_and(|found| found.critical))
}

/// 4.3: keyCertSign and cRLSign are not set. Other leaves may carry them where a role says so
/// (pki-api 3.7): without CA:TRUE no validator follows them.
fn svid_signs_no_certificates(case: &Case<'_>) -> bool {
    case.svid.is_none()
        || !(case.has_usage(KeyUsage::KEY_CERT_SIGN) || case.has_usage(KeyUsage::CRL_SIGN))
}

/// 3.1: the ID of a leaf has a path.
fn svid_has_a_path(case: &Case<'_>) -> bool {
    case.svid.as_ref().is_none_or(|id| !id.path().is_empty())
}

/// 4.3: key usage is there and critical.
fn svid_key_usage_is_critical(case: &Case<'_>) -> bool {
    case.svid.is_none() || case.extension(KEY_USAGE).is_some_and(|usage| usage.critical)
}

/// 4.3: digitalSignature is set.
fn svid_makes_signatures(case: &Case<'_>) -> bool {
    case.svid.is_none() || case.has_usage(KeyUsage::DIGITAL_SIGNATURE)
}

/// 4.4: if there is an extended key usage, it has both serverAuth and clientAuth.
fn svid_serves_and_calls(case: &Case<'_>) -> bool {
    const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    let Some(usages) = case.extension(EXTENDED_KEY_USAGE).filter(|_| case.svid.is_some()) else {
        return true;
    };
    let Ok(mut list) = Reader::new(usages.value).sequence("[]asn1.ObjectIdentifier") else {
        return false;
    };
    let (mut serves, mut calls) = (false, false);
    while let Ok(usage) = list.any() {
        serves |= usage.content == SERVER_AUTH;
        calls |= usage.content == CLIENT_AUTH;
    }
    serves && calls
}
