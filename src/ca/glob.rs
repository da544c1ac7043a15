//! The patterns of roles: for URI SANs, other SANs, serial numbers, user ids and glob domains.
//!
//! Only `*` is special: any run of characters, also an empty one, and also `/`, `.` and `:`. There
//! is no escape and no other wildcard; the whole value must match, with case
//! (`docs/dev/vault-pki.md`, "Patterns").

/// Does `value` match `pattern`?
pub fn matches(pattern: &str, value: &str) -> bool {
    let mut pieces = pattern.split('*');
    // `split` returns at least one piece, even of an empty pattern.
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
    fn a_star_matches_any_run_of_characters() {
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
    fn everything_but_a_star_is_compared_literally() {
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

    /// The same rule by recursion: slow and obvious.
    fn matches_recursively(pattern: &[u8], value: &[u8]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some((b'*', rest)) => {
                (0..=value.len()).any(|skip| matches_recursively(rest, &value[skip..]))
            }
            Some((first, rest)) => value
                .split_first()
                .is_some_and(|(head, tail)| head == first && matches_recursively(rest, tail)),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_recursive_rule(pattern in "[ab*]{0,8}", value in "[ab]{0,12}") {
            prop_assert_eq!(matches(&pattern, &value), matches_recursively(pattern.as_bytes(), value.as_bytes()));
        }
    }
}
