//! Entries of roles, and names that they just allow or nearly allow.

use signet::ca::role::RoleFields;

use super::rng::Rng;

pub(crate) const DOMAINS: &[&str] = &[
    "example.org",
    "Example.ORG",
    "sub.example.org",
    "org",
    "*.example.org",
    "web-*.example.org",
    "*",
    "",
    "*@example.org",
    "{{identity.entity.name}}.example.org",
    "*{{name}}*",
    "localhost",
    "münchen.org",
    "example.org.",
    ".example.org",
    "me@example.org",
    "xn--mnchen-3ya.org",
    "a*b*c.example.org",
];

pub(crate) const URI_PATTERNS: &[&str] = &[
    "spiffe://example.org/*",
    "spiffe://example.org/*",
    "spiffe://example.org/ns/*/sa/*",
    "*",
    "spiffe://*",
    "spiffe://example.org/a",
    "spiffe://{{identity.entity.name}}/*",
    "",
    "https://example.org/*",
    "urn:*",
    "SPIFFE://example.org/*",
    "spiffe://example.org/a b",
    "spiffe://example.org/a%20b",
    "spiffe://*/a",
    "spiffe:*",
    "*#",
    "spiffe://example.org/ü",
    "spiffe://Example.org/*",
];

/// Prefixes of an entry.
const PREFIXES: &[&str] = &[
    "A.b.",
    "*",
    "x*.",
    "*x.",
    "x*y.",
    "x-*.",
    "*-x.",
    "-*.",
    "a.*.",
    "**.",
    "*.*.",
    ".",
    "-a.",
    "a-.",
    "a_b.",
    "ü.",
    "Ü*.",
    "evil",
    "me@a.",
    "a@b@",
    "*@",
    "me@*.",
    "@",
    "a b.",
    "a\n@",
    "a\0.",
    "a\u{85}b.",
    "\u{202e}a.",
    "xn--mnchen-3ya.",
    "{{name}}.",
];

/// Suffixes of an entry.
const SUFFIXES: &[&str] = &[".", "..", ".evil.com", "\0", " ", "@", "*", ".*"];

/// Names that match no entry.
const UNLISTED: &[&str] =
    &["localhost", "localdomain", "localhost.localdomain", "LOCALHOST", "10.0.0.1", "Root CA"];

/// Hosts that resemble the one of the patterns.
const HOSTS: &[&str] = &[
    "EXAMPLE.org",
    "example.org.evil.com",
    "me@example.org",
    "example.org:8080",
    "example.org:x",
    "a b",
    ".example.org",
    "example.org.",
    "",
    "ü.org",
    "%65xample.org",
];

/// Replacements for a `*` of a pattern, besides a path.
const FILLERS: &[&str] =
    &["", "..", ".", "%2e%2e", "%2F..%2F ", "%zz", "ü", "a?", "a?q=1", "a#", "a#f", "a/", "+"];

/// Suffixes of a URI.
const URI_SUFFIXES: &[&str] = &[
    "/",
    "?",
    "#",
    "?a",
    "#a",
    "/..",
    "//",
    " ",
    "\n",
    "/a,b",
    "/%2e%2e/b",
    "/a%00b",
    "/a:b",
    "/a@b",
    "~",
    "/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p/p",
];

/// A name that the role's entries just allow or nearly allow.
pub(crate) fn name(rng: &mut Rng, role: &RoleFields) -> String {
    let entries: Vec<&str> = role.allowed_domains.iter().map(String::as_str).collect();
    let known = if entries.is_empty() || rng.percent(8) { DOMAINS } else { entries.as_slice() };
    let mut base = rng.word(known);
    if base.contains('*') && !rng.percent(10) {
        base = base.replace('*', rng.pick::<&str>(&["1", "a.b", "", "x@", "web"]));
    }
    if rng.percent(8) {
        base = rng.word(UNLISTED);
    }
    let prefix = match rng.below(60) {
        0..=17 => "",
        18..=41 => "a.",
        42..=44 => "*.",
        45..=47 => "me@",
        _ => rng.pick(PREFIXES),
    };
    let suffix = if rng.percent(95) { "" } else { *rng.pick(SUFFIXES) };
    let mut name = format!("{prefix}{base}{suffix}");
    if rng.percent(6) {
        name = if rng.percent(50) { name.to_uppercase() } else { name.to_lowercase() };
    }
    if rng.percent(2) {
        name = format!("{}.{name}", "a".repeat(*rng.pick(&[62, 63, 64])));
    }
    if rng.percent(1) {
        let length = *rng.pick(&[252, 253, 254]);
        name = format!("{}{name}", "a.".repeat(127));
        name = name.get(name.len() - length.min(name.len())..).unwrap_or(&name).to_owned();
    }
    name
}

/// A URI that the role's patterns just allow or nearly allow.
pub(crate) fn uri(rng: &mut Rng, role: &RoleFields) -> String {
    let patterns: Vec<&str> = role.allowed_uri_sans.iter().map(String::as_str).collect();
    let known =
        if patterns.is_empty() || rng.percent(10) { URI_PATTERNS } else { patterns.as_slice() };
    let mut text = rng.word(known);
    while let Some(at) = text.find('*') {
        let filler = match rng.below(4) {
            0 => rng.word(&["a", "ns/a", "spiffe://example.org/a", "https://h/x", "example.org/a"]),
            1 | 2 => path(rng),
            _ => rng.word(FILLERS),
        };
        text.replace_range(at..=at, &filler);
    }
    match rng.below(32) {
        0 => text.replace("spiffe:", rng.pick::<&str>(&["SPIFFE:", "Spiffe:", "", "urn:x:"])),
        1 => text.replace("example.org", rng.pick::<&str>(HOSTS)),
        2 => text.replace("://", rng.pick::<&str>(&[":", ":/", ":///"])),
        3 => format!("{text}{}", rng.pick(URI_SUFFIXES)),
        _ => text,
    }
}

fn path(rng: &mut Rng) -> String {
    let count = *rng.pick(&[1, 1, 2, 3]);
    let segments: Vec<String> = (0..count)
        .map(|_| {
            if rng.percent(92) {
                rng.word(&["a", "ns", "sa", "B-1", "x_y", "a.b", "..."])
            } else {
                rng.word(&["", ".", "..", "a b", "ü", "%2e%2e", "%2F", "a,b", "(x)", "a:b"])
            }
        })
        .collect();
    segments.join("/")
}
