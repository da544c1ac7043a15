//! A DER writer: a tag, the length of the content, the content.

/// BOOLEAN
pub const BOOLEAN: u8 = 1;
/// INTEGER
pub const INTEGER: u8 = 2;
/// BIT STRING
pub const BIT_STRING: u8 = 3;
/// OCTET STRING
pub const OCTET_STRING: u8 = 4;
/// OBJECT IDENTIFIER
pub const OBJECT_IDENTIFIER: u8 = 6;
/// UTF8String
pub const UTF8_STRING: u8 = 0xc;
/// UTCTime
pub const UTC_TIME: u8 = 0x17;
/// SEQUENCE
pub const SEQUENCE: u8 = 0x30;
/// SET
pub const SET: u8 = 0x31;

/// The tag `[number]` around another element.
pub const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// One element around these parts.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut whole = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ ..0x80) => whole.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            let bytes = &length[zeros..];
            whole.push(0x80 | u8::try_from(bytes.len()).expect("at most eight bytes"));
            whole.extend_from_slice(bytes);
        }
    }
    whole.extend_from_slice(&content);
    whole
}
