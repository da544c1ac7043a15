//! Serial numbers ordered by expiry (`docs/design.md`, "Serial numbers begin with the expiry").
//!
//! 20 bytes: the minute of notAfter since the Unix epoch as 4 bytes, clamped so that the
//! number is always positive and always 20 bytes long (RFC 5280, 4.1.2.2), then 128 random
//! bits, twice what the Baseline Requirements require (7.1: at least 64 bits from a CSPRNG).

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::time::Timestamp;

/// A serial number that Signet generated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 20]);

const FIRST_MINUTE: i64 = 0x0100_0000;
const LAST_MINUTE: i64 = 0x7FFF_FFFF;

impl Serial {
    /// The serial number of a certificate that ends at `not_after`.
    pub fn new(not_after: Timestamp, random: [u8; 16]) -> Self {
        let mut bytes = [0; 20];
        let (minute, rest) = bytes.split_at_mut(4);
        minute.copy_from_slice(&Self::minute(not_after).to_be_bytes());
        rest.copy_from_slice(&random);
        Self(bytes)
    }

    /// The first 4 bytes of the serial number of a certificate with this notAfter. Serial numbers
    /// with a smaller value belong to certificates that expire earlier; the largest possible value
    /// includes every later expiry.
    pub fn minute(not_after: Timestamp) -> u32 {
        let minute = not_after.unix().div_euclid(60).clamp(FIRST_MINUTE, LAST_MINUTE);
        u32::try_from(minute).unwrap_or(u32::MAX >> 1)
    }

    /// The 20 bytes, big-endian.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The serial number with these bytes, if it has the form that Signet generates.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 20] = bytes.try_into().ok()?;
        matches!(bytes, [1..=0x7f, ..]).then_some(Self(bytes))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&colon_hex(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// `1f:0c:…:9a`: two lower-case digits per byte, leading zero bytes left out
/// (`docs/dev/vault-pki.md`, "Serial numbers in answers").
pub fn colon_hex(bytes: &[u8]) -> String {
    let significant = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    colon_hex_whole(bytes.get(significant..).unwrap_or_default())
}

/// The same with leading zero bytes, which are part of a key identifier.
pub fn colon_hex_whole(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    let mut text = String::with_capacity(bytes.len().saturating_mul(3));
    for byte in bytes {
        if !text.is_empty() {
            text.push(':');
        }
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

/// Reads a serial number as programs show it: pairs of hexadecimal digits with colons or hyphens
/// between them, as in every answer here, or digits without separators, as OpenSSL, browsers and
/// Java show them. Case, leading zeros and surrounding blanks are ignored.
///
/// The bytes, big-endian and without leading zeros; `None` for anything else, and for zero.
pub fn parse(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let bytes = if text.contains([':', '-']) {
        let pair = |pair: &str| if pair.len() == 2 { hexadecimal(pair) } else { None };
        text.split([':', '-']).map(pair).collect::<Option<Vec<_>>>()?.concat()
    } else {
        hexadecimal(text)?
    };
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).filter(|rest| !rest.is_empty()).map(<[u8]>::to_vec)
}

/// Digits without separators; an odd number of them lacks a leading zero.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Serial {
        Serial::new(Timestamp::parse_rfc3339(text).unwrap(), [0xff; 16])
    }

    #[test]
    fn is_positive_and_has_twenty_bytes_in_1999_6053_and_9999() {
        for year in ["1999-12-31T23:59:59Z", "6053-01-23T02:07:00Z", "9999-12-31T23:59:59Z"] {
            let serial = at(year);
            assert!((1..=0x7f).contains(&serial.as_bytes()[0]), "{year}: {serial}");
        }
    }

    #[test]
    fn is_ordered_by_expiry() {
        assert!(at("2026-01-01T00:00:00Z") < at("2026-01-01T00:01:00Z"));
        assert!(at("1999-01-01T00:00:00Z") < at("2026-01-01T00:00:00Z"));
        assert!(at("2026-01-01T00:00:00Z") < at("9999-01-01T00:00:00Z"));
    }

    #[test]
    fn text_round_trips() {
        let serial = at("2026-01-01T00:00:00Z");
        let bytes = parse(&serial.to_string().to_uppercase()).unwrap();
        assert_eq!(Serial::from_bytes(&bytes), Some(serial));
        assert_eq!(parse(&serial.to_string().replace(':', "-")), Some(bytes));
        assert_eq!(colon_hex(&[0, 0, 0x0a]), "0a");
    }

    #[test]
    fn is_read_with_and_without_separators() {
        for text in
            ["0a:bc:0d", "0A-bC-0d", "0abc0d", "ABC0D", "00:0a:bc:0d", "000000abc0d", " abc0d\n"]
        {
            assert_eq!(parse(text), Some(vec![0x0a, 0xbc, 0x0d]), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_serial_number() {
        let invalid =
            ["", " ", "0", "00", "00:00", "0x1f", "1f:", ":1f", "zz", "1:f", "1f::0c", "1f: 0c"];
        for text in invalid.into_iter().chain(["1f0c:0d", "1f 0c", "-1f", "1f-", "é", "+1f", "1g"])
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_random_bit_is_in_the_number() {
        let at = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let bits = |serial: Serial| {
            serial.as_bytes().iter().fold(0, |bits, byte| bits + byte.count_ones())
        };
        let without = bits(Serial::new(at, [0; 16]));
        for bit in 0..128 {
            let random = (1_u128 << bit).to_be_bytes();
            assert_eq!(bits(Serial::new(at, random)), without + 1, "bit {bit}");
        }
        assert_eq!(bits(Serial::new(at, [0xff; 16])), without + 128);
    }
}
