//! Control characters, which no name may contain, whatever a role allows.
//!
//! A C string ends at a NUL, so that a verifier sees another name (CVE-2009-2408); a line feed
//! forges a line of a log; a bidirectional override displays another name (CVE-2021-42574).

use crate::go;

pub use crate::go::is_control;

/// The first control character of a text.
pub fn first_control(text: &str) -> Option<char> {
    // Nearly every name is printable ASCII.
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return None;
    }
    text.chars().find(|character| is_control(*character))
}

/// Refuses a text with such a character; `what` names the text, as in `common name`.
///
/// # Errors
/// A sentence that quotes the text.
pub fn refuse_control(what: &str, text: &str) -> Result<(), String> {
    match first_control(text) {
        None => Ok(()),
        Some(found) => Err(format!(
            "the {what} {} holds a control character (U+{:04X})",
            go::quote(text),
            found as u32
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unicode_control_character_is_found() {
        for character in ('\0'..='\u{ffff}').filter(|character| character.is_control()) {
            assert_eq!(first_control(&format!("a{character}b")), Some(character));
        }
        for character in ['\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            assert_eq!(first_control(&format!("ü{character}")), Some(character));
        }
        for name in ["", "a.example.org", "Bücher & Söhne", "日本", "\u{200f}שלום", "a\u{a0}b"]
        {
            assert_eq!(first_control(name), None, "{name}");
        }
    }

    #[test]
    fn the_error_shows_the_character_escaped() {
        let why = refuse_control("common name", "a\u{202e}b\0").unwrap_err();
        assert_eq!(why, "the common name \"a\\u202eb\\x00\" holds a control character (U+202E)");
    }
}
