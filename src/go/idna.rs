//! Host names in ASCII, as Go's `idna` converts them with strict domain names and the check of DNS
//! lengths: nothing is mapped, so upper case stays; labels outside ASCII become punycode.

use std::fmt;

use super::quote;

/// A label that cannot be written in ASCII. The text is Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLabel(String);

impl fmt::Display for InvalidLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "idna: invalid label {}", quote(&self.0))
    }
}

/// The longest label and the longest name without its root dot (RFC 1035, 2.3.4).
const MAX_LABEL_LENGTH: usize = 63;
const MAX_NAME_LENGTH: usize = 253;

/// No longer text has an ASCII form: each character, of at most four bytes, becomes one or more.
/// Longer texts are refused first, because Punycode takes quadratic time.
const MAX_TEXT_LENGTH: usize = 4 * (MAX_NAME_LENGTH + 1);

/// The ASCII form of a name, or the label that has none.
pub fn to_ascii(name: &str) -> Result<String, InvalidLabel> {
    let invalid = |label: &str| Err(InvalidLabel(label.to_owned()));
    if name.len() > MAX_TEXT_LENGTH {
        return invalid(&name.chars().take(MAX_NAME_LENGTH).chain("…".chars()).collect::<String>());
    }
    let without_root = name.strip_suffix('.').unwrap_or(name);
    if without_root.split('.').any(str::is_empty) {
        return invalid(name);
    }
    let mut labels = Vec::new();
    for label in without_root.split('.') {
        let ascii = if label.is_ascii() {
            if let Some(code) = label.strip_prefix("xn--")
                && ::idna::punycode::decode_to_string(code).is_none()
            {
                return invalid(label);
            }
            label.to_owned()
        } else {
            match ::idna::punycode::encode_str(label) {
                Some(code) => format!("xn--{code}"),
                None => return invalid(label),
            }
        };
        if ascii.len() > MAX_LABEL_LENGTH {
            return invalid(&ascii);
        }
        labels.push(ascii);
    }
    let mut ascii = labels.join(".");
    if ascii.len() > MAX_NAME_LENGTH {
        return invalid(&ascii);
    }
    if without_root.len() < name.len() {
        ascii.push('.');
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_without_mapping() {
        assert_eq!(to_ascii("A.Example.ORG").unwrap(), "A.Example.ORG");
        assert_eq!(to_ascii("日本").unwrap(), "xn--wgv71a");
        assert_eq!(to_ascii("münchen.example.org.").unwrap(), "xn--mnchen-3ya.example.org.");
        assert_eq!(to_ascii("not a host").unwrap(), "not a host");
    }

    #[test]
    fn refuses_empty_and_long_labels_by_name() {
        let why = to_ascii("a..example.org").unwrap_err().to_string();
        assert_eq!(why, "idna: invalid label \"a..example.org\"");
        let label = "a".repeat(64);
        assert_eq!(to_ascii(&label).unwrap_err(), InvalidLabel(label));
        assert!(to_ascii(&vec!["abcdefg"; 40].join(".")).is_err());
        assert!(to_ascii("").is_err());
    }

    #[test]
    fn refuses_an_endless_name_without_converting_it() {
        for name in ["a", "ü", "xn--a", "a."].map(|part| part.repeat(1_000_000)) {
            assert!(to_ascii(&name).unwrap_err().to_string().len() < 1_100);
        }
    }
}
