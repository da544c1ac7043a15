//! Identifiers: 16 bytes, whose text has the layout of a UUID.

use uuid::Uuid;

/// The 16 bytes that start every key of a mount.
pub type MountId = [u8; 16];

/// The 16 bytes of a UUID's text: lower-case digits, with or without hyphens.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// The text of 16 bytes as a UUID (RFC 9562, 4).
pub fn format_uuid(bytes: &[u8; 16]) -> String {
    Uuid::from_bytes(*bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_written_in_five_groups_and_read_again() {
        let bytes = [0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255];
        assert_eq!(format_uuid(&bytes), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(parse_uuid(&format_uuid(&bytes)), Some(bytes));
    }

    #[test]
    fn upper_case_braces_and_other_lengths_are_not_identifiers() {
        for text in [
            "",
            "default",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddee",
        ] {
            assert_eq!(parse_uuid(text), None, "{text}");
        }
    }
}
