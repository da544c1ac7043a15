//! Subject alternative names: from the texts of a request to the values of a certificate.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use crate::go::{self, idna::to_ascii, url};

use super::control::{first_control, refuse_control};
use super::hostname::is_host_pattern;
use super::permit::AlternativeNames;
use super::spiffe::{SpiffeId, has_spiffe_scheme};
use super::uri;

/// The kind of subject: the SPIFFE ID of a leaf has a path, that of an authority has none
/// (X509-SVID, 3.1 and 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ca) enum SubjectKind {
    /// A leaf.
    Leaf,
    /// A root or an intermediate, or the request for one.
    Authority,
}

/// The names of a comma separated list, without the blanks around them.
pub(in crate::ca) fn split_list(names: Option<&str>) -> impl Iterator<Item = &str> {
    names.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Adds a text with `@` as an e-mail address, and a text with the form of a host name as a DNS
/// name. Returns false if it is neither.
pub(in crate::ca) fn add_name(name: &str, names: &mut AlternativeNames) -> Result<bool, String> {
    if name.contains('@') {
        return add_address(name, names).map(|()| true);
    }
    refuse_control("name", name)?;
    let ascii = to_ascii(name).map_err(|why| why.to_string())?;
    let is_name = is_host_pattern(&ascii);
    if is_name {
        names.dns.push(ascii);
    }
    Ok(is_name)
}

/// Adds the names of `alt_names`, with a warning for each entry that is left out. Vault leaves them
/// out without a warning (`docs/dev/vault-pki.md`, "Where names come from").
pub(in crate::ca) fn add_listed(
    list: Option<&str>,
    names: &mut AlternativeNames,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    for name in split_list(list) {
        if !add_name(name, names)? {
            warnings.push(format!(
                "Signet: alt_names: {} is neither a host name nor an e-mail address and is left out",
                go::quote(name)
            ));
        }
    }
    Ok(())
}

/// Adds an e-mail address from a parameter or a CSR.
pub(in crate::ca) fn add_address(text: &str, names: &mut AlternativeNames) -> Result<(), String> {
    refuse_control("e-mail address", text)?;
    names.email.push(text.to_owned());
    Ok(())
}

/// Refuses names that RFC 5280, 4.2.1.6 does not allow and that Java cannot read: an e-mail address
/// with nothing before or after its `@`, a DNS name with an empty label.
pub(in crate::ca) fn refuse_malformed(names: &AlternativeNames) -> Result<(), String> {
    let is_mailbox = |text: &&String| {
        text.rsplit_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
    };
    if let Some(text) = names.email.iter().find(|text| !is_mailbox(text)) {
        return Err(format!(
            "the alternative name {} is not an e-mail address: it must be a name, @ and a host (RFC 5280, 4.2.1.6)",
            go::quote(&shortened(text))
        ));
    }
    let is_name = |text: &&String| {
        text.bytes().all(|byte| byte.is_ascii_graphic())
            && !text
                .strip_suffix('.')
                .unwrap_or(text)
                .split('.')
                .any(|label| label.is_empty() || hides_control(label))
    };
    names.dns.iter().find(|text| !is_name(text)).map_or(Ok(()), |text| {
        Err(format!(
            "the alternative name {} is not a DNS name: it must consist of labels of visible characters (RFC 5280, 4.2.1.6)",
            go::quote(&shortened(text))
        ))
    })
}

/// The warning about a URI without a scheme, which is signed as in Vault.
pub(in crate::ca) fn relative_uri(names: &AlternativeNames) -> Option<String> {
    let uri = names.uri.iter().find(|uri| uri::is_relative(uri))?;
    Some(format!(
        "Signet: the URI SAN {} is relative, and Java cannot read a certificate with one (RFC 5280, 4.2.1.6); write it with its scheme, as in https://example.org/",
        go::quote(&shortened(uri))
    ))
}

/// Does a Punycode label decode to a text with a control character? A program that displays decoded
/// names would output it.
fn hides_control(label: &str) -> bool {
    let Some((prefix, code)) = label.split_at_checked(4) else { return false };
    prefix.eq_ignore_ascii_case("xn--")
        && idna::punycode::decode_to_string(code)
            .is_some_and(|shown| first_control(&shown).is_some())
}

/// IP addresses as Go reads them: no zone, no leading zeros.
pub(in crate::ca) fn addresses(texts: &[String]) -> Result<Vec<IpAddr>, String> {
    texts
        .iter()
        .map(|text| {
            text.parse::<IpAddr>()
                .map(|address| address.to_canonical())
                .map_err(|_| format!("the value \"{text}\" is not a valid IP address"))
        })
        .collect()
}

/// URIs in the form of the certificate. A URI of the scheme `spiffe`, in upper or lower case, must
/// be a valid SPIFFE ID, so that a URL library that decodes `%2e%2e` cannot see another ID than was
/// checked.
pub(in crate::ca) fn uris(texts: &[String], kind: SubjectKind) -> Result<Vec<String>, String> {
    texts.iter().map(|text| uri(text, kind)).collect()
}

fn uri(text: &str, kind: SubjectKind) -> Result<String, String> {
    let path = SpiffeId::path_of(text);
    // A SPIFFE ID is its own canonical form (tested below).
    if let Ok(path) = path
        && uri::host_is_domain(text)
    {
        return check_spiffe_id(kind, text, path);
    }
    let named = |why: &str| {
        format!(
            "the provided URI Subject Alternative Name {} is not a valid {why}",
            go::quote(&shortened(text))
        )
    };
    let written = url::canonical(text).ok_or_else(|| named("URI"))?;
    if !uri::host_is_domain(&written) {
        return Err(format!(
            "unable to parse created certificate: x509: cannot parse URI {}: invalid domain",
            go::quote(&shortened(&written))
        ));
    }
    match path {
        Err(why) if has_spiffe_scheme(text) || has_spiffe_scheme(&written) => {
            Err(named(&format!("SPIFFE ID: {why}")))
        }
        Ok(_) | Err(_) => match uri::find_defect(&written) {
            Some(why) => Err(named(&format!("URI: {why}"))),
            None => Ok(written),
        },
    }
}

/// X509-SVID, 3.1 and 3.2.
fn check_spiffe_id(kind: SubjectKind, text: &str, path: &str) -> Result<String, String> {
    let named = |why: &str| {
        Err(format!(
            "the provided URI Subject Alternative Name \"{text}\" is not a valid SPIFFE ID {why}"
        ))
    };
    match kind {
        SubjectKind::Leaf if path.is_empty() => named("of a leaf: it has no path (X509-SVID, 3.1)"),
        SubjectKind::Authority if !path.is_empty() => {
            let domain = text.strip_suffix(path).unwrap_or(text);
            named(&format!("of an authority: it has a path (X509-SVID, 3.2); use {domain}"))
        }
        SubjectKind::Leaf | SubjectKind::Authority => Ok(text.to_owned()),
    }
}

/// A text for an error: at most its first 256 characters.
pub(in crate::ca) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(256) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", text.get(..at).unwrap_or_default())),
    }
}

/// The values without duplicates, in the order of first occurrence.
pub(in crate::ca) fn deduplicated(values: &[String]) -> Vec<String> {
    if values.len() < 2 {
        return values.to_vec();
    }
    let mut seen: Vec<String> = Vec::with_capacity(values.len());
    let mut known = HashSet::with_capacity(values.len());
    for value in values {
        if known.insert(value.as_str()) {
            seen.push(value.clone());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_spiffe_id_is_its_own_canonical_form(
            text in "spiffe://[a-z0-9._-]{1,12}(/[A-Za-z0-9._-]{1,6}){0,4}"
        ) {
            if SpiffeId::parse(&text).is_ok() {
                prop_assert_eq!(url::canonical(&text), Some(text.clone()));
            }
        }
    }
}
