//! URI SANs by pki-api 15.6 and design D15: what is compared, what is written, what is refused.

/// The parsed and re-serialised form, or `None` for what is no URI.
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

/// The scheme in lower case and what follows its colon; empty if there is none.
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

/// User, host and port; only what is not ASCII is escaped, and escapes of ASCII are refused.
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

/// As it is if it needs no escapes but those it has; else every octet that must be escaped is.
fn escaped(text: &str, legal: &str, kept: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            octets.push(*first);
        }
    }
    if !legal.is_empty() && text.chars().all(|c| plain(c) || c == '%' || legal.contains(c)) {
        return Some(text.to_owned());
    }
    let write = |octet: &u8| {
        let c = char::from(*octet);
        if plain(c) || kept.contains(c) { c.to_string() } else { format!("%{octet:02X}") }
    };
    Some(octets.iter().map(write).collect())
}

/// A certificate that can be read again: a host of visible ASCII without empty labels (the wording
/// of `docs/compatibility.md` and of the readers, pki-api 15.6).
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

/// Design D15: with the scheme `spiffe`, no `.` or `..`, no empty segment, no `?` and no `#`.
pub(crate) fn is_no_spiffe_id(sent: &str, written: &str) -> bool {
    [sent, written].into_iter().any(|text| {
        let Some((scheme, rest)) = text.split_once(':') else { return false };
        if !scheme.eq_ignore_ascii_case("spiffe") {
            return false;
        }
        let path = match rest.strip_prefix("//") {
            Some(after) => after.split_once('/').map(|(_, path)| path),
            None => Some(rest.strip_prefix('/').unwrap_or(rest)),
        };
        let odd = |path: &str| path.split('/').any(|segment| matches!(segment, "" | "." | ".."));
        rest.contains(['?', '#']) || path.is_some_and(odd)
    })
}

/// Its path, if it is a SPIFFE ID with one (SPIFFE ID, 2.1 to 2.3).
pub(crate) fn spiffe_path(uri: &str) -> Option<&str> {
    let (domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
    let domain_is_good = !domain.is_empty()
        && domain.len() <= 255
        && domain.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_'));
    let segment_is_good = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    (domain_is_good && path.split('/').all(segment_is_good) && uri.len() <= 2048).then_some(path)
}
