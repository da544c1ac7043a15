//! Identifiers: 16 octets, whose text has the layout of a UUID.

/// The 16 octets that start every key of a mount.
pub type MountId = [u8; 16];

/// The 16 octets of a UUID's text.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    let octets = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
    octets.try_into().ok()
}

/// The text of 16 octets as a UUID.
pub fn format_uuid(octets: &[u8; 16]) -> String {
    let hex = data_encoding::HEXLOWER.encode(octets);
    let mut text = String::with_capacity(36);
    for (position, character) in hex.chars().enumerate() {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(character);
    }
    text
}
