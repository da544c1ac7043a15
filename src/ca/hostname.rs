//! The form of host names and wildcard labels.

/// Letters, digits and inner hyphens in labels separated by dots, an optional `*.` in front and
/// an optional dot at the end.
pub fn is_host_pattern(name: &str) -> bool {
    is_host_name(name.strip_prefix("*.").unwrap_or(name))
}

/// The same without a wildcard.
pub fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    !name.is_empty() && name.split('.').all(is_label)
}

/// One label: letters, digits, inner hyphens.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A left-most label with one `*`: `*`, `*x`, `x*` or `x*y`, where the parts are labels themselves
/// (`docs/dev/vault-pki.md`, "Which names a role allows").
pub fn is_wildcard_label(label: &str) -> bool {
    let legal = |part: &str| part.is_empty() || is_label(part);
    label.split_once('*').is_some_and(|(before, after)| legal(before) && legal(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_around_a_star_are_whole_labels() {
        for label in ["*", "x*", "*x", "x*y", "a-b*c-d", "*9"] {
            assert!(is_wildcard_label(label), "{label}");
        }
        for label in ["x-*", "*-x", "-*", "*-", "x-*y", "x*-y", "x*y-", "x_*", "**", "x"] {
            assert!(!is_wildcard_label(label), "{label}");
        }
    }

    #[test]
    fn recognizes_host_names() {
        for name in ["a", "a.b-c.example.org", "*.example.org", "example.org.", "10.0.0.1"] {
            assert!(is_host_pattern(name), "{name}");
        }
        for name in ["", "-a", "a-", "_srv.x", "a b", "a..b", "x*.example.org", "*", "a@b"] {
            assert!(!is_host_pattern(name), "{name}");
        }
    }
}
