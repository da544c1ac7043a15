//! Entries of roles, and the names that they nearly or just allow.

use signet::ca::role::RoleFields;

use super::dice::Dice;

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

/// What may stand in front of an entry.
const FRONTS: &[&str] = &[
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

/// What may stand behind it.
const BACKS: &[&str] = &[".", "..", ".evil.com", "\0", " ", "@", "*", ".*"];

/// Names that need no entry.
const PLACES: &[&str] =
    &["localhost", "localdomain", "localhost.localdomain", "LOCALHOST", "10.0.0.1", "Root CA"];

/// Hosts that are nearly the one of the patterns.
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

/// What a star of a pattern may become besides a path.
const FILLERS: &[&str] =
    &["", "..", ".", "%2e%2e", "%2F..%2F ", "%zz", "ü", "a?", "a?q=1", "a#", "a#f", "a/", "+"];

/// What may stand behind a URI.
const ENDS: &[&str] = &[
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

/// A name that the role's entries nearly or just allow.
pub(crate) fn name(dice: &mut Dice, role: &RoleFields) -> String {
    let entries: Vec<&str> = role.allowed_domains.iter().map(String::as_str).collect();
    let known = if entries.is_empty() || dice.percent(8) { DOMAINS } else { entries.as_slice() };
    let mut base = dice.word(known);
    if base.contains('*') && !dice.percent(10) {
        base = base.replace('*', dice.pick::<&str>(&["1", "a.b", "", "x@", "web"]));
    }
    if dice.percent(8) {
        base = dice.word(PLACES);
    }
    let front = match dice.below(60) {
        0..=17 => "",
        18..=41 => "a.",
        42..=44 => "*.",
        45..=47 => "me@",
        _ => dice.pick(FRONTS),
    };
    let back = if dice.percent(95) { "" } else { *dice.pick(BACKS) };
    let mut name = format!("{front}{base}{back}");
    if dice.percent(6) {
        name = if dice.percent(50) { name.to_uppercase() } else { name.to_lowercase() };
    }
    if dice.percent(2) {
        name = format!("{}.{name}", "a".repeat(*dice.pick(&[62, 63, 64])));
    }
    if dice.percent(1) {
        let length = *dice.pick(&[252, 253, 254]);
        name = format!("{}{name}", "a.".repeat(127));
        name = name.get(name.len() - length.min(name.len())..).unwrap_or(&name).to_owned();
    }
    name
}

/// A URI that the role's patterns nearly or just allow.
pub(crate) fn uri(dice: &mut Dice, role: &RoleFields) -> String {
    let patterns: Vec<&str> = role.allowed_uri_sans.iter().map(String::as_str).collect();
    let known =
        if patterns.is_empty() || dice.percent(10) { URI_PATTERNS } else { patterns.as_slice() };
    let mut text = dice.word(known);
    while let Some(at) = text.find('*') {
        let filler = match dice.below(4) {
            0 => {
                dice.word(&["a", "ns/a", "spiffe://example.org/a", "https://h/x", "example.org/a"])
            }
            1 | 2 => path(dice),
            _ => dice.word(FILLERS),
        };
        text.replace_range(at..=at, &filler);
    }
    match dice.below(32) {
        0 => text.replace("spiffe:", dice.pick::<&str>(&["SPIFFE:", "Spiffe:", "", "urn:x:"])),
        1 => text.replace("example.org", dice.pick::<&str>(HOSTS)),
        2 => text.replace("://", dice.pick::<&str>(&[":", ":/", ":///"])),
        3 => format!("{text}{}", dice.pick(ENDS)),
        _ => text,
    }
}

fn path(dice: &mut Dice) -> String {
    let count = *dice.pick(&[1, 1, 2, 3]);
    let segments: Vec<String> = (0..count)
        .map(|_| {
            if dice.percent(92) {
                dice.word(&["a", "ns", "sa", "B-1", "x_y", "a.b", "..."])
            } else {
                dice.word(&["", ".", "..", "a b", "ü", "%2e%2e", "%2F", "a,b", "(x)", "a:b"])
            }
        })
        .collect();
    segments.join("/")
}
