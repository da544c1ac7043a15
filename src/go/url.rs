//! URIs as Go's `net/url` parses and formats them.
//!
//! A URI in a certificate has the form that `net/url` writes: `spiffe://td/a b` becomes
//! `spiffe://td/a%20b`.

use std::fmt::Write as _;

/// The URI as Go formats it after parsing, or `None` if Go does not accept it.
pub fn canonical(text: &str) -> Option<String> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return None;
    }
    let (text, fragment) = match text.split_once('#') {
        Some((before, fragment)) => (before, Some(unescape(fragment, Part::Fragment)?)),
        None => (text, None),
    };
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let mut out = String::with_capacity(text.len());
    if let Some(scheme) = scheme {
        out.push_str(&scheme.to_ascii_lowercase());
        out.push(':');
    }
    if !rest.starts_with('/') && scheme.is_some() {
        out.push_str(rest);
    } else {
        hierarchical(rest, scheme.is_some(), &mut out)?;
    }
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        out.push('#');
        escape(&fragment, Part::Fragment, &mut out);
    }
    Some(out)
}

/// The host of a URI with an authority, as it is written; empty without one.
pub fn host(text: &str) -> &str {
    let Some((_, rest)) = scheme(text) else { return "" };
    let Some(rest) = rest.strip_prefix("//") else { return "" };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The scheme, if the text begins with one, and the rest; `None` if the text begins with a colon.
pub fn scheme(text: &str) -> Option<(Option<&str>, &str)> {
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if position > 0 => {}
            b':' if position == 0 => return None,
            b':' => {
                let (scheme, rest) = text.split_at(position);
                return Some((Some(scheme), rest.get(1..)?));
            }
            _ => return Some((None, text)),
        }
    }
    Some((None, text))
}

fn hierarchical(rest: &str, has_scheme: bool, out: &mut String) -> Option<()> {
    let mut path = rest;
    let mut authority = None;
    if !has_scheme && rest.split('/').next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    if (has_scheme || !rest.starts_with("///"))
        && let Some(after) = rest.strip_prefix("//")
    {
        let (before, after) = after.split_at(after.find('/').unwrap_or(after.len()));
        authority = Some(before);
        path = after;
    }
    if let Some(authority) = authority {
        out.push_str("//");
        write_authority(authority, out)?;
    }
    write_path(path, out)
}

fn write_authority(authority: &str, out: &mut String) -> Option<()> {
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let legal =
                |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
            if !user.bytes().all(legal) {
                return None;
            }
            unescape(user, Part::User)?;
            out.push_str(user);
            out.push('@');
            host
        }
        None => authority,
    };
    if let Some(literal) = host.strip_prefix('[') {
        let (_, after) = literal.rsplit_once(']')?;
        optional_port(after)?;
    } else if let Some(colon) = host.rfind(':') {
        optional_port(host.get(colon..)?)?;
    }
    if host.bytes().all(|byte| !must_escape(byte, Part::Host)) {
        out.push_str(host);
    } else {
        escape(&unescape(host, Part::Host)?, Part::Host, out);
    }
    Some(())
}

fn optional_port(text: &str) -> Option<()> {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty().then_some(()) };
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())
}

fn write_path(path: &str, out: &mut String) -> Option<()> {
    if path.bytes().all(|byte| !must_escape(byte, Part::Path)) {
        out.push_str(path);
        return Some(());
    }
    let plain = unescape(path, Part::Path)?;
    let legal = |byte: u8| !must_escape(byte, Part::Path) || b"!$&'()*+,;=:@[]%".contains(&byte);
    if path.bytes().all(legal) {
        // A valid encoding is kept as it was written.
        out.push_str(path);
    } else {
        escape(&plain, Part::Path, out);
    }
    Some(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Host,
    Path,
    Fragment,
}

fn must_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    match part {
        Part::Host => !b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Part::User => !b"$&+,;=".contains(&byte),
        Part::Path => !b"$&+,/:;=@".contains(&byte),
        Part::Fragment => !b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn unescape(text: &str, part: Part) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let pair = std::str::from_utf8(&digits).ok()?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            let value = u8::from_str_radix(pair, 16).ok()?;
            // RFC 6874: in a host only %25 and bytes outside ASCII may be escaped.
            if part == Part::Host && value < 0x80 && pair != "25" {
                return None;
            }
            plain.push(value);
        } else {
            if part == Part::Host && byte < 0x80 && must_escape(byte, part) {
                return None;
            }
            plain.push(byte);
        }
    }
    Some(plain)
}

fn escape(plain: &[u8], part: Part, out: &mut String) {
    for byte in plain {
        if must_escape(*byte, part) {
            let _infallible = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_what_go_writes() {
        for (text, written) in [
            ("spiffe://example.org/a", "spiffe://example.org/a"),
            ("spiffe://td/a b", "spiffe://td/a%20b"),
            ("spiffe://td/ü", "spiffe://td/%C3%BC"),
            ("spiffe://td/a%2Fb", "spiffe://td/a%2Fb"),
            ("SPIFFE://TD/x", "spiffe://TD/x"),
            ("spiffe://exämple.org/x", "spiffe://ex%C3%A4mple.org/x"),
            ("https://user@host:8443/a?q=1#f", "https://user@host:8443/a?q=1#f"),
            ("urn:uuid:1", "urn:uuid:1"),
            ("a b", "a%20b"),
            ("spiffe://td/a,b", "spiffe://td/a,b"),
            ("", ""),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(written), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "spiffe://td/%zz",
            "spiffe://td/a\nb",
            ":",
            "http://[::1",
            "http://h:x/",
            "http://a b/",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn a_uri_without_an_authority_has_no_host() {
        for (text, host_of_it) in [
            ("urn:x://a..b/c", ""),
            ("urn:uuid:1", ""),
            ("a/b://c", ""),
            ("//a..b/c", "a..b"),
            ("https://user@a.b:1/c", "a.b:1"),
        ] {
            assert_eq!(host(text), host_of_it, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_what_it_writes(text in "\\PC{0,40}") {
            if let Some(written) = canonical(&text) {
                prop_assert_eq!(canonical(&written), Some(written.clone()));
            }
        }
    }
}
