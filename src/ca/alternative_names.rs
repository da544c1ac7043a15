//! Names as requests write them and as certificates carry them.

use std::collections::HashSet;
use std::net::IpAddr;

use super::hostname::{is_host_pattern, to_ascii};
use super::permit::AlternativeNames;
use super::spiffe::SpiffeId;
use super::uri;

/// An e-mail address if there is an `@`, else a DNS name if it looks like one, else nothing.
pub(in crate::ca) fn add_name(name: &str, names: &mut AlternativeNames) -> Result<(), String> {
    if name.contains('@') {
        return add_address(name, names);
    }
    let ascii = to_ascii(name).map_err(|why| why.to_string())?;
    if is_host_pattern(&ascii) {
        names.dns.push(ascii);
    }
    Ok(())
}

/// An e-mail address, whoever sends it.
pub(in crate::ca) fn add_address(text: &str, names: &mut AlternativeNames) -> Result<(), String> {
    // A reader in C would stop at a NUL and see another mailbox.
    if text.chars().any(char::is_control) {
        let quoted = uri::go_quote(text);
        return Err(format!("the e-mail address {quoted} holds a control character"));
    }
    names.email.push(text.to_owned());
    Ok(())
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

/// URIs as the certificate carries them; those of the `spiffe` scheme without what no SPIFFE ID
/// may have (design D15).
pub(in crate::ca) fn uris(texts: &[String]) -> Result<Vec<String>, String> {
    texts
        .iter()
        .map(|text| {
            // A SPIFFE ID is its own canonical form (a test holds this), and raises no doubt.
            if let Ok(id) = SpiffeId::parse(text)
                && uri::host_is_domain(text)
            {
                return Ok(id.into_text());
            }
            let named = |why: &str| {
                format!(
                    "the provided URI Subject Alternative Name {} is not a valid {why}",
                    uri::go_quote(text)
                )
            };
            let written = uri::canonical(text).ok_or_else(|| named("URI"))?;
            if !uri::host_is_domain(&written) {
                return Err(format!(
                    "unable to parse created certificate: x509: cannot parse URI {}: invalid domain",
                    uri::go_quote(&written)
                ));
            }
            // What is written may differ from what was sent: a lone `#` is gone, `%2F` may be a slash.
            let doubt = unlike_spiffe(text)
                .or_else(|| if written == *text { None } else { unlike_spiffe(&written) });
            match doubt {
                Some(why) => Err(named(&format!("SPIFFE ID: {why}"))),
                None => Ok(written),
            }
        })
        .collect()
}

/// What in a URI of the `spiffe` scheme another reader could take for another identity.
fn unlike_spiffe(text: &str) -> Option<&'static str> {
    let (scheme, rest) = text.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("spiffe") {
        return None;
    }
    if rest.contains(['?', '#']) {
        return Some("it has a query or a fragment");
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/')?.1,
        // Without a trust domain it is no identity, but somebody may clean it up into one.
        None => rest.strip_prefix('/').unwrap_or(rest),
    };
    let segments = || path.as_bytes().split(|byte| *byte == b'/');
    if segments().any(|segment| matches!(segment, b"." | b"..")) {
        return Some("a path segment is . or ..");
    }
    segments()
        .any(<[u8]>::is_empty)
        .then_some("a path segment is empty, or the path ends in a slash")
}

/// Every value once, in the order of first occurrence.
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
        fn a_spiffe_id_is_its_own_canonical_form_and_raises_no_doubt(
            text in "spiffe://[a-z0-9._-]{1,12}(/[A-Za-z0-9._-]{1,6}){0,4}"
        ) {
            if SpiffeId::parse(&text).is_ok() {
                prop_assert_eq!(uri::canonical(&text), Some(text.clone()));
                prop_assert_eq!(unlike_spiffe(&text), None);
            }
        }
    }
}
