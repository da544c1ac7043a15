//! URI SANs: the text that is compared (`docs/dev/vault-pki.md`, "Patterns"), the text in the
//! certificate, and the URIs that are refused (`docs/compatibility.md`, "What differs, on purpose").

/// The parsed and re-serialised form, or `None` for an invalid URI.
pub(crate) fn written(text: &str) -> Option<String> {
    if text.chars().any(|c| c < ' ' || c == '\u{7f}') {
        return None;
    }
    let (text, fragment) = cut(text, '#');
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = cut(rest, '?');
    let mut out = if scheme.is_empty() { String::new() } else { format!("{scheme}:") };
    if scheme.is_empty() || rest.starts_with('/') {
        let (authority, path) = authority(rest);
        if scheme.is_empty() && authority.is_none() && rest.split('/').next()?.contains(':') {
            return None;
        }
        if let Some(authority) = authority {
            out += &format!("//{}", host(authority)?);
        }
        out += &escaped(path, "!$&'()*+,;=:@/[]", "$&+,/:;=@")?;
    } else {
        out += rest;
    }
    if let Some(query) = query {
        out += &format!("?{query}");
    }
    match fragment {
        Some(fragment) if !fragment.is_empty() => {
            Some(format!("{out}#{}", escaped(fragment, "", "$&+,/:;=?@!()*")?))
        }
        _ => Some(out),
    }
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.find(mark).map_or((text, None), |at| (&text[..at], Some(&text[at + mark.len_utf8()..])))
}

/// The scheme in lower case and the rest after its colon; an empty scheme if the URI has none.
fn scheme(text: &str) -> Option<(String, &str)> {
    let (word, rest) = cut(text, ':');
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match rest {
        Some(_) if word.is_empty() => None,
        Some(rest) if is_word && word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Some((word.to_ascii_lowercase(), rest))
        }
        _ => Some((String::new(), text)),
    }
}

fn authority(rest: &str) -> (Option<&str>, &str) {
    match rest.strip_prefix("//") {
        Some(after) => {
            let end = after.find('/').unwrap_or(after.len());
            (Some(&after[..end]), &after[end..])
        }
        None => (None, rest),
    }
}

/// User, host and port; non-ASCII characters are escaped, and escapes in the host are refused.
fn host(authority: &str) -> Option<String> {
    let (user, host) = match authority.rfind('@') {
        Some(at) => (&authority[..=at], &authority[at + 1..]),
        None => ("", authority),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"@%".contains(c);
    if !user.chars().all(plain) {
        return None;
    }
    if let Some(colon) = host.rfind(':').filter(|_| !host.starts_with('['))
        && !host[colon + 1..].chars().all(|c| c.is_ascii_digit())
    {
        return None;
    }
    if host.contains('%') || !host.chars().all(|c| !c.is_ascii() || plain(c)) {
        return None;
    }
    Some(format!("{user}{}", escaped(host, "", "!$&'()*+,;=:[]<>\"")?))
}

/// The text unchanged if all its characters are legal; otherwise unescaped and escaped again.
fn escaped(text: &str, legal: &str, kept: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    if !legal.is_empty() && text.chars().all(|c| plain(c) || c == '%' || legal.contains(c)) {
        return Some(text.to_owned());
    }
    let write = |byte: &u8| {
        let c = char::from(*byte);
        if plain(c) || kept.contains(c) { c.to_string() } else { format!("%{byte:02X}") }
    };
    Some(bytes.iter().map(write).collect())
}

/// Whether certificate parsers accept the host: no escapes and no empty labels
/// (`docs/compatibility.md`).
pub(crate) fn has_readable_host(written: &str) -> bool {
    let rest = scheme(written).map(|(_, rest)| rest).unwrap_or_default();
    let Some(rest) = rest.strip_prefix("//") else { return true };
    let authority = rest.split(['/', '?', '#']).next().unwrap();
    let host = authority.rsplit('@').next().unwrap();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    name.is_empty() || (!name.contains('%') && name.split('.').all(|label| !label.is_empty()))
}

/// Whether the scheme is `spiffe`, in any case: such a URI is signed only if it is a SPIFFE ID.
pub(crate) fn is_of_the_scheme(text: &str) -> bool {
    text.find(':').is_some_and(|at| text[..at].eq_ignore_ascii_case("spiffe"))
}

/// The state of the automaton.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the trust domain, after this many bytes.
    TrustDomain(usize),
    /// After a slash.
    SegmentStart,
    /// After this many dots at the start of a segment.
    Dots(usize),
    /// Within a segment.
    Segment,
}

/// Whether a SPIFFE ID has a path; `None` if it is not a SPIFFE ID. The SPIFFE-ID standard as an
/// automaton over bytes: 2 (the form), 2.1 (trust domain: at least one of a-z 0-9 . - _), 2.2
/// (segments of a-z A-Z 0-9 . - _, not empty, `.` or `..`, no slash at the end), 2.3 (at most 2048
/// bytes, 255 for the trust domain).
pub(crate) fn spiffe_id(text: &str) -> Option<bool> {
    let bytes = text.as_bytes();
    if bytes.len() > 2048 || bytes.get(..9) != Some(b"spiffe://") {
        return None;
    }
    let mut at = State::TrustDomain(0);
    for byte in &bytes[9..] {
        at = match (at, byte) {
            (State::TrustDomain(1..) | State::Segment | State::Dots(3..), b'/') => {
                State::SegmentStart
            }
            (State::TrustDomain(read @ ..255), b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_') => {
                State::TrustDomain(read + 1)
            }
            (State::SegmentStart, b'.') => State::Dots(1),
            (State::Dots(read), b'.') => State::Dots(read + 1),
            (
                State::SegmentStart | State::Dots(_) | State::Segment,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_',
            ) => State::Segment,
            _ => return None,
        };
    }
    match at {
        State::TrustDomain(0) | State::SegmentStart | State::Dots(..3) => None,
        State::TrustDomain(_) => Some(false),
        State::Segment | State::Dots(_) => Some(true),
    }
}

/// The path of a SPIFFE ID without its first slash, if it has one.
pub(crate) fn spiffe_path(uri: &str) -> Option<&str> {
    let has_path = spiffe_id(uri)?;
    has_path.then(|| uri["spiffe://".len()..].split_once('/').unwrap().1)
}

/// RFC 3986: only characters of a URI, complete escapes, and a non-empty part after the scheme.
pub(crate) fn is_well_formed(uri: &str) -> bool {
    let is_empty = |rest: &str| rest.is_empty() || rest == "//";
    let is_bare = uri
        .split_once(':')
        .is_some_and(|(scheme, rest)| !scheme.contains(['/', '?', '#']) && is_empty(rest));
    let characters =
        uri.chars().all(|it| it.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(it));
    let whole = |rest: &str| rest.chars().take(2).filter(char::is_ascii_hexdigit).count() == 2;
    !uri.is_empty() && !is_bare && characters && uri.split('%').skip(1).all(whole)
}
