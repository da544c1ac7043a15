//! The one pattern rule of roles: URI SANs, other SANs, serial numbers, user ids, glob domains.
//!
//! Only `*` is special: any run of characters, also an empty one, and also `/`, `.` and `:`. There is no
//! escape and no other wildcard; the whole value must match, with case (`docs/dev/vault-pki.md`,
//! "Patterns").

/// Does `value` match `pattern`?
pub fn matches(pattern: &str, value: &str) -> bool {
    let mut pieces = pattern.split('*');
    // `split` gives at least one piece, also of the empty pattern.
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = value.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at.saturating_add(piece.len())..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn matches_as_the_reference_table_says() {
        for (pattern, value) in [
            ("spiffe://td/*", "spiffe://td/ns/a/sa/b"),
            ("spiffe://td/*", "spiffe://td/"),
            ("spiffe://*/x", "spiffe://a/b/x"),
            ("spiffe://td/ns/*/sa/*", "spiffe://td/ns/a/b/sa/"),
            ("*.example.com", "a.b.example.com"),
            ("*.example.com", ".example.com"),
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, value), "{pattern} {value}");
        }
    }

    #[test]
    fn refuses_as_the_reference_table_says() {
        for (pattern, value) in [
            ("spiffe://td/*", "spiffe://td"),
            ("spiffe://td/*", "SPIFFE://td/x"),
            ("spiffe://td/*", "spiffe://td.evil/x"),
            ("a*a", "a"),
            ("a*ba", "aba_"),
            ("", "a"),
            ("abc", "abcd"),
            ("a?c", "abc"),
        ] {
            assert!(!matches(pattern, value), "{pattern} {value}");
        }
    }

    /// The rule once more, by recursion: slow and obvious.
    fn plainly(pattern: &[u8], value: &[u8]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some((b'*', rest)) => (0..=value.len()).any(|skip| plainly(rest, &value[skip..])),
            Some((first, rest)) => {
                value.split_first().is_some_and(|(head, tail)| head == first && plainly(rest, tail))
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_rule(pattern in "[ab*]{0,8}", value in "[ab]{0,12}") {
            prop_assert_eq!(matches(&pattern, &value), plainly(pattern.as_bytes(), value.as_bytes()));
        }
    }
}
