//! Rules of our own house.

use super::Rule;
use super::view::LintedCertificate;
use crate::ca::algorithm_identifier;
use crate::ca::extensions::SUBJECT_KEY_IDENTIFIER;

/// The rules of this file. That notAfter lies within the issuer's is decided by the issuer's
/// `leaf_not_after_behavior` when the permit is given, and is no rule here.
pub(super) const RULES: &[Rule] = &[
    Rule::must(
        "algorithm_fits_the_signer",
        "RFC 5280, 4.1.1.2",
        "the signature algorithm is one of the signer's key",
        algorithm_fits_the_signer,
    ),
    Rule::must(
        "serial_has_our_shape",
        "docs/compatibility.md",
        "a serial number has 20 bytes and does not begin with zero",
        serial_has_our_shape,
    ),
    Rule::must(
        "subject_key_is_identified",
        "RFC 5280, 4.2.1.2",
        "every certificate has a subject key identifier",
        subject_key_is_identified,
    ),
];

/// The bytes name an algorithm that the signer's key makes.
fn algorithm_fits_the_signer(case: &LintedCertificate<'_>) -> bool {
    algorithm_identifier::decode(case.algorithm)
        .is_some_and(|algorithm| algorithm.fits(case.signer.key_kind))
}

/// 20 octets, the first of them not zero: ordered by expiry.
fn serial_has_our_shape(case: &LintedCertificate<'_>) -> bool {
    case.serial.len() == 20 && case.serial.first() != Some(&0)
}

/// Every certificate has a subject key identifier.
fn subject_key_is_identified(case: &LintedCertificate<'_>) -> bool {
    case.extension(SUBJECT_KEY_IDENTIFIER).is_some()
}
