//! URIs in a certificate: which of those that Go accepts are accepted by other parsers as well.

use crate::go::url;

/// Is the host a domain name that Go accepts in a certificate? Go refuses a certificate with a URI
/// SAN whose host is outside visible ASCII or has an empty label.
pub fn host_is_domain(text: &str) -> bool {
    let host = url::host(text);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    // `%` escapes a byte that is not ASCII.
    name.is_empty()
        || name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| (33..=126).contains(&byte) && byte != b'%')
        })
}

/// Why a URI, in the form of Go, must not be in a certificate (RFC 5280, 4.2.1.6; RFC 3986), if so:
/// Go tolerates it, but Java cannot read the certificate.
pub fn find_defect(written: &str) -> Option<&'static str> {
    match url::scheme(written) {
        Some((Some(_), "" | "//")) => return Some("nothing follows its scheme"),
        Some((None, "")) => return Some("it is empty"),
        _ => {}
    }
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if !written.bytes().all(legal) {
        return Some("it holds a character that a URI writes as % and two hexadecimal digits");
    }
    let escaped = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut escapes = written.split('%').skip(1);
    (!escapes.all(escaped)).then_some("a % in it is not followed by two hexadecimal digits")
}

/// Is the URI without a scheme? RFC 5280, 4.2.1.6 forbids that, but Vault signs it.
pub fn is_relative(written: &str) -> bool {
    matches!(url::scheme(written), Some((None, _)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_outside_ascii_or_with_an_empty_label_is_not_a_domain() {
        assert!(!host_is_domain("spiffe://ex%C3%A4mple.org/x"));
        assert!(!host_is_domain("//a..b/c"));
        assert!(host_is_domain("spiffe://example.org/x"));
        assert!(host_is_domain("urn:x"));
        assert!(host_is_domain("urn:x://a..b/c"));
    }
}
