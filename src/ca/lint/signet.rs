//! Signet's own rules.

use super::Rule;
use super::view::LintedCertificate;
use crate::ca::algorithm_identifier;
use crate::ca::extensions::SUBJECT_KEY_IDENTIFIER;

/// The rules of this file. Whether notAfter may be later than the issuer's is decided by
/// `leaf_not_after_behavior` when the permit is created, not by a rule.
pub(super) const RULES: &[Rule] = &[
    Rule::must(
        "algorithm_fits_the_signer",
        "RFC 5280, 4.1.1.2",
        "the signature algorithm is one of the signer's key",
        algorithm_fits_the_signer,
    ),
    Rule::must(
        "serial_has_the_form_of_signet",
        "docs/compatibility.md",
        "a serial number has 20 bytes and does not begin with zero",
        serial_has_the_form_of_signet,
    ),
    Rule::must(
        "subject_key_is_identified",
        "RFC 5280, 4.2.1.2",
        "every certificate has a subject key identifier",
        subject_key_is_identified,
    ),
];

/// The algorithm is one of the signer's key.
fn algorithm_fits_the_signer(certificate: &LintedCertificate<'_>) -> bool {
    algorithm_identifier::decode(certificate.algorithm)
        .is_some_and(|algorithm| algorithm.fits(certificate.signer.key_kind))
}

/// 20 bytes, the first not zero: serial numbers are ordered by expiry.
fn serial_has_the_form_of_signet(certificate: &LintedCertificate<'_>) -> bool {
    certificate.serial.len() == 20 && certificate.serial.first() != Some(&0)
}

/// Every certificate has a subject key identifier.
fn subject_key_is_identified(certificate: &LintedCertificate<'_>) -> bool {
    certificate.extension(SUBJECT_KEY_IDENTIFIER).is_some()
}
