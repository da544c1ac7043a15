//! Warnings about names and extensions that a CSR requests and the certificate does not contain.

use super::asn1::DerReader;
use super::csr::ParsedCsr;
use super::extensions;
use super::oid::ObjectIdentifier;
use super::permit::{AlternativeNames, KeyUsage, SubjectName, Template};

/// What a role takes from CSRs.
#[derive(Clone, Copy, Debug)]
pub struct TakenFromCsr {
    /// `use_csr_common_name`
    pub common_name: bool,
    /// `use_csr_sans`
    pub names: bool,
}

/// What the CSR requests and the leaf does not contain. Basic constraints have a warning of
/// Vault's.
pub fn from_leaf(csr: &ParsedCsr, template: &Template, taken: TakenFromCsr) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (SubjectName::Composed(subject), false) = (&template.subject, taken.common_name)
        && !csr.common_name().is_empty()
        && subject.common_name != csr.common_name()
    {
        warnings.push(
            "Signet: the CSR's common name is not in the certificate, as the role is set with \"use_csr_common_name\" set to false".to_owned(),
        );
    }
    let missing = if taken.names {
        summarize(csr.unsupported_names().iter().map(|kind| (*kind).to_owned()))
    } else {
        csr.names_missing_in(&template.names)
    };
    if let Some(missing) = missing {
        let why = if taken.names {
            "these kinds are not supported"
        } else {
            "the role is set with \"use_csr_sans\" set to false"
        };
        warnings.push(format!(
            "Signet: subject alternative names of the CSR are not in the certificate, as {why}: {missing}"
        ));
    }
    let missing =
        csr.extensions().iter().filter(|asked| !is_covered(template, &asked.oid, &asked.value));
    if let Some(missing) = summarize(missing.map(|asked| asked.oid.to_string())) {
        warnings.push(format!(
            "Signet: extensions of the CSR are not in the certificate, as a role decides on them: {missing}"
        ));
    }
    warnings
}

/// Is the extension in the certificate, or covered by another warning?
fn is_covered(template: &Template, oid: &ObjectIdentifier, value: &[u8]) -> bool {
    match *oid {
        extensions::SUBJECT_ALT_NAME
        | extensions::BASIC_CONSTRAINTS
        | extensions::SUBJECT_KEY_IDENTIFIER
        | extensions::AUTHORITY_KEY_IDENTIFIER => true,
        extensions::KEY_USAGE => DerReader::new(value)
            .named_bits()
            .is_ok_and(|usage| template.key_usage.contains(KeyUsage(usage))),
        extensions::EXTENDED_KEY_USAGE => {
            let Ok(mut usages) = DerReader::new(value).sequence("[]asn1.ObjectIdentifier") else {
                return false;
            };
            let mut all = true;
            while !usages.is_empty() && all {
                all = usages.oid().is_ok_and(|usage| template.extended_key_usage.contains(&usage));
            }
            all
        }
        _ => false,
    }
}

/// What the CSR of an authority requests and the certificate does not contain, without
/// `use_csr_values`: names that were not sent as parameters as well, and extensions other than
/// those that every authority has.
pub(in crate::ca) fn from_authority(csr: &ParsedCsr, names: &AlternativeNames) -> Vec<String> {
    const ALWAYS: [ObjectIdentifier; 5] = [
        extensions::BASIC_CONSTRAINTS,
        extensions::KEY_USAGE,
        extensions::SUBJECT_KEY_IDENTIFIER,
        extensions::AUTHORITY_KEY_IDENTIFIER,
        extensions::SUBJECT_ALT_NAME,
    ];
    let mut warnings = Vec::new();
    if let Some(missing) = csr.names_missing_in(names) {
        warnings.push(format!(
            "Signet: subject alternative names of the CSR are not in the certificate: {missing}; to take them, send them or set use_csr_values"
        ));
    }
    let others = csr.extensions().iter().filter(|asked| !ALWAYS.contains(&asked.oid));
    if let Some(missing) = summarize(others.map(|asked| asked.oid.to_string())) {
        warnings.push(format!(
            "Signet: extensions of the CSR are not in the certificate: {missing}; to take them, set use_csr_values"
        ));
    }
    warnings
}

/// The first texts, and the number of further ones; `None` for no texts.
pub(in crate::ca) fn summarize(texts: impl Iterator<Item = String>) -> Option<String> {
    const MAX_SHOWN: usize = 8;
    const MAX_LENGTH: usize = 80;
    let mut shown = Vec::new();
    let mut more = 0_usize;
    for text in texts {
        if shown.len() < MAX_SHOWN {
            shown.push(text.chars().take(MAX_LENGTH).collect::<String>());
        } else {
            more = more.saturating_add(1);
        }
    }
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown.join(", ")),
        (false, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}
