//! What a request asks for and does not get, told in warnings: what is left out in silence is
//! missed when the certificate is used.

use super::asn1::DerReader;
use super::csr::ParsedCsr;
use super::extensions;
use super::oid::ObjectIdentifier;
use super::permit::{AlternativeNames, KeyUsage, SubjectName, Template};

/// What the settings of a role take from requests.
#[derive(Clone, Copy, Debug)]
pub struct TakenFromCsr {
    /// `use_csr_common_name`
    pub common_name: bool,
    /// `use_csr_sans`
    pub names: bool,
}

/// What the CSR asked for and the leaf does not contain. For basic constraints Vault has a warning of its own.
pub fn from_leaf(csr: &ParsedCsr, template: &Template, takes: TakenFromCsr) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (SubjectName::Composed(subject), false) = (&template.subject, takes.common_name)
        && !csr.common_name().is_empty()
        && subject.common_name != csr.common_name()
    {
        warnings.push(
            "Signet: the CSR's common name is not in the certificate, as the role is set with \"use_csr_common_name\" set to false".to_owned(),
        );
    }
    let lost = if takes.names {
        listed(csr.unsupported_names().iter().map(|kind| (*kind).to_owned()))
    } else {
        csr.names_missing_in(&template.names)
    };
    if let Some(lost) = lost {
        let why = if takes.names {
            "these kinds are not supported"
        } else {
            "the role is set with \"use_csr_sans\" set to false"
        };
        warnings.push(format!(
            "Signet: subject alternative names of the CSR are not in the certificate, as {why}: {lost}"
        ));
    }
    let lost = csr.extensions().iter().filter(|asked| !has(template, &asked.oid, &asked.value));
    if let Some(lost) = listed(lost.map(|asked| asked.oid.to_string())) {
        warnings.push(format!(
            "Signet: extensions of the CSR are not in the certificate, as a role decides on them: {lost}"
        ));
    }
    warnings
}

/// Is this told elsewhere, or in the certificate anyway?
fn has(template: &Template, oid: &ObjectIdentifier, value: &[u8]) -> bool {
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

/// What an authority lacks of its request where the values of the request are not taken: its names,
/// unless they were sent as well, and its extensions, but for those that an authority always has.
pub(in crate::ca) fn from_authority(csr: &ParsedCsr, names: &AlternativeNames) -> Vec<String> {
    const ALWAYS: [ObjectIdentifier; 5] = [
        extensions::BASIC_CONSTRAINTS,
        extensions::KEY_USAGE,
        extensions::SUBJECT_KEY_IDENTIFIER,
        extensions::AUTHORITY_KEY_IDENTIFIER,
        extensions::SUBJECT_ALT_NAME,
    ];
    let mut warnings = Vec::new();
    if let Some(lost) = csr.names_missing_in(names) {
        warnings.push(format!(
            "Signet: subject alternative names of the CSR are not in the certificate: {lost}; to take them, send them or set use_csr_values"
        ));
    }
    let others = csr.extensions().iter().filter(|asked| !ALWAYS.contains(&asked.oid));
    if let Some(lost) = listed(others.map(|asked| asked.oid.to_string())) {
        warnings.push(format!(
            "Signet: extensions of the CSR are not in the certificate: {lost}; to take them, set use_csr_values"
        ));
    }
    warnings
}

/// The first of some texts, and how many more there are.
pub(in crate::ca) fn listed(texts: impl Iterator<Item = String>) -> Option<String> {
    const SHOWN: usize = 8;
    const LONGEST: usize = 80;
    let mut shown = Vec::new();
    let mut more = 0_usize;
    for text in texts {
        if shown.len() < SHOWN {
            shown.push(text.chars().take(LONGEST).collect::<String>());
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
