//! Names, patterns and addresses as `docs/dev/vault-pki.md` states the rules, in "Where names come from"
//! and the two sections after it.

use std::net::IpAddr;

use signet::ca::role::RoleFields;

/// "Patterns": `*` is any run of characters, also an empty one; nothing else is special.
pub(crate) fn glob(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    glob_from(&pattern, &value)
}

fn glob_from(pattern: &[char], value: &[char]) -> bool {
    if pattern.is_empty() {
        return value.is_empty();
    }
    if pattern[0] == '*' {
        return glob_from(&pattern[1..], value)
            || (!value.is_empty() && glob_from(pattern, &value[1..]));
    }
    !value.is_empty() && pattern[0] == value[0] && glob_from(&pattern[1..], &value[1..])
}

/// "Which names a role allows", 1 to 8.
pub(crate) fn allows(role: &RoleFields, n: &str) -> bool {
    let parts: Vec<&str> = n.split('@').collect();
    if parts.len() > 2 {
        return false;
    }
    let is_email = parts.len() == 2;
    let mut h = parts[parts.len() - 1].to_owned();
    let mut wildcard = None;
    if h.contains('*') {
        let labels: Vec<&str> = h.split('.').collect();
        let elsewhere = labels[1..].iter().any(|label| label.contains('*'));
        if !role.allow_wildcard_certificates || h.matches('*').count() > 1 || elsewhere || is_email
        {
            return false;
        }
        wildcard = Some(labels[0].to_owned());
        h = labels[1..].join(".");
    }
    if role.enforce_hostnames {
        // docs/compatibility.md: the host may be empty only after a wildcard.
        if h.is_empty() && wildcard.is_none() {
            return false;
        }
        if !h.is_empty() && !ascii(&h).is_some_and(|converted| host_name(&converted)) {
            return false;
        }
        if wildcard.as_ref().is_some_and(|label| !wildcard_label(label)) {
            return false;
        }
    }
    if role.allow_any_name {
        return true;
    }
    if role.allow_localhost {
        for base in ["localhost", "localdomain"] {
            if h == base || (role.allow_subdomains && h.ends_with(&format!(".{base}"))) {
                return true;
            }
        }
    }
    role.allowed_domains
        .iter()
        .filter(|d| !d.is_empty())
        .any(|d| under(role, n, &h, is_email, wildcard.is_some(), d))
}

/// "Which names a role allows", 7.
fn under(role: &RoleFields, n: &str, h: &str, is_email: bool, is_wildcard: bool, d: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    if role.allow_bare_domains && (same(n, d) || (is_email && same(h, d))) {
        return true;
    }
    if role.allow_subdomains && (h.ends_with(&format!(".{d}")) || (is_wildcard && same(h, d))) {
        return true;
    }
    role.allow_glob_domains && d.contains('*') && glob(d, n)
}

/// "Which names a role allows", the rule for common names.
pub(crate) fn allows_common_name(role: &RoleFields, name: &str) -> bool {
    let validations: Vec<String> =
        role.cn_validations.iter().map(|word| word.to_lowercase()).collect();
    let has = |word: &str| validations.is_empty() || validations.iter().any(|found| found == word);
    if validations.len() == 1 && has("disabled") {
        return true;
    }
    allows(role, name) && if name.contains('@') { has("email") } else { has("hostname") }
}

/// "Where names come from": a host name, perhaps with `*.` in front and a dot at its end.
pub(crate) fn host_pattern(name: &str) -> bool {
    host_name(name.strip_prefix("*.").unwrap_or(name))
}

fn host_name(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    let labels = match labels.as_slice() {
        [front @ .., ""] if !front.is_empty() => front,
        all => all,
    };
    labels.iter().all(|label| is_label(label))
}

fn is_label(label: &str) -> bool {
    let characters: Vec<char> = label.chars().collect();
    let Some((first, last)) = characters.first().zip(characters.last()) else { return false };
    *first != '-'
        && *last != '-'
        && characters.iter().all(|c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-'))
}

/// "Which names a role allows", 4: `*`, `*x`, `x*` or `x*y` with valid label parts.
fn wildcard_label(label: &str) -> bool {
    let parts: Vec<&str> = label.split('*').collect();
    parts.len() == 2 && parts.iter().all(|part| part.is_empty() || is_label(part))
}

/// "Where names come from": the conversion to ASCII, which checks lengths and keeps case.
pub(crate) fn ascii(name: &str) -> Option<String> {
    let mut labels: Vec<String> = name.split('.').map(str::to_owned).collect();
    let rooted = labels.len() > 1 && labels.last().is_some_and(String::is_empty);
    if rooted {
        labels.pop();
    }
    for label in &mut labels {
        if !label.is_ascii() {
            *label = format!("xn--{}", punycode(label));
        }
        if label.is_empty() || label.len() > 63 {
            return None;
        }
    }
    let joined = labels.join(".");
    (joined.len() <= 253).then(|| if rooted { format!("{joined}.") } else { joined })
}

/// RFC 3492, 6.3.
fn punycode(label: &str) -> String {
    let input: Vec<u32> = label.chars().map(u32::from).collect();
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).unwrap();
    if basic > 0 {
        output.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128, 0, 72, basic);
    while usize::try_from(handled).unwrap() < input.len() {
        let next = *input.iter().filter(|c| **c >= n).min().unwrap();
        delta += (next - n) * (handled + 1);
        n = next;
        for c in &input {
            if *c < n {
                delta += 1;
            }
            if *c == n {
                let mut q = delta;
                let mut k = 36;
                loop {
                    let t = if k <= bias {
                        1
                    } else if k >= bias + 26 {
                        26
                    } else {
                        k - bias
                    };
                    if q < t {
                        break;
                    }
                    output.push(digit(t + (q - t) % (36 - t)));
                    q = (q - t) / (36 - t);
                    k += 36;
                }
                output.push(digit(q));
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta += 1;
        n += 1;
    }
    output
}

fn digit(value: u32) -> char {
    char::from_digit(if value < 26 { value + 10 } else { value - 26 }, 36).unwrap()
}

/// RFC 3492, 6.1.
fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

/// Step 18: an address as Go reads it; an IPv4-mapped IPv6 address is an IPv4 address.
pub(crate) fn address(text: &str) -> Option<Vec<u8>> {
    if text.contains('%') {
        return None;
    }
    text.parse::<IpAddr>().ok().map(bytes_of)
}

/// The bytes of an IP SAN.
pub(crate) fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => {
            let bytes = address.octets().to_vec();
            let mapped = bytes[..10].iter().all(|byte| *byte == 0) && bytes[10..12] == [255, 255];
            if mapped { bytes[12..].to_vec() } else { bytes }
        }
    }
}

/// A range of addresses: a bit for the family, then its leading bits.
pub(crate) fn range(text: &str) -> Option<Vec<bool>> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || !length.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let length: usize = length.parse().ok()?;
    let whole = match address.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bits = bits(&whole);
    if length > bits.len() {
        return None;
    }
    // A range of IPv4 addresses may be written in IPv6.
    let mapped = bits.len() == 128 && length >= 96 && bytes_of(address.parse().ok()?).len() == 4;
    // The first bit is the family: true is IPv6.
    let (family, bits) =
        if mapped { (false, &bits[96..length]) } else { (whole.len() == 16, &bits[..length]) };
    Some([&[family], bits].concat())
}

fn bits(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
}

/// Whether the address begins with the bits of the range.
pub(crate) fn lies_in(address: &[u8], range: &[bool]) -> bool {
    let whole = [&[address.len() == 16][..], &bits(address)].concat();
    whole.starts_with(range)
}
