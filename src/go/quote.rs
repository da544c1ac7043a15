//! Text in quotes, as Go's `%q` prints it.

use std::fmt::Write as _;

/// Is this a control character (Unicode category Cc: C0, DEL, C1), a line or paragraph separator,
/// or one of the characters that embed, override or isolate a direction of writing? The marks
/// U+200E, U+200F and U+061C are not: names in Hebrew and Arabic have them.
pub const fn is_control(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// The text in double quotes, with the escapes of Go's `%q`.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            other if other.is_control() && (other as u32) < 0x80 => {
                let _infallible = write!(out, "\\x{:02x}", other as u32);
            }
            other if is_control(other) => {
                let _infallible = write!(out, "\\u{:04x}", other as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_with_the_escapes_of_go() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a.example.org", r#""a.example.org""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\r\t\u{7}\u{8}\u{b}\u{c}", r#""\n\r\t\a\b\v\f""#),
            ("\0\u{7f}\u{85}\u{202e}", r#""\x00\x7f\u0085\u202e""#),
            ("ü日\u{200f}", "\"ü日\u{200f}\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
