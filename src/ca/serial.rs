//! Serial numbers ordered by expiry (design D5).
//!
//! 20 octets: the minute of notAfter since the Unix epoch as 4 octets, clamped so that the
//! number is always positive and always 20 octets long (RFC 5280, 4.1.2.2), then 128 random
//! bits, twice what the Baseline Requirements ask (7.1: at least 64 bits from a CSPRNG).

use std::fmt;

use super::time::Timestamp;

/// A serial number that Signet made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 20]);

const FIRST_MINUTE: i64 = 0x0100_0000;
const LAST_MINUTE: i64 = 0x7FFF_FFFF;

impl Serial {
    /// The serial number of a certificate that ends at `not_after`.
    pub fn new(not_after: Timestamp, random: [u8; 16]) -> Self {
        let minute = not_after.unix().div_euclid(60).clamp(FIRST_MINUTE, LAST_MINUTE);
        let mut octets = [0; 20];
        let (position, rest) = octets.split_at_mut(4);
        position.copy_from_slice(&u32::try_from(minute).unwrap_or(u32::MAX >> 1).to_be_bytes());
        rest.copy_from_slice(&random);
        Self(octets)
    }

    /// The 20 octets, big-endian.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The serial with these octets, if it has the shape of one of ours.
    pub fn from_bytes(octets: &[u8]) -> Option<Self> {
        let octets: [u8; 20] = octets.try_into().ok()?;
        matches!(octets, [1..=0x7f, ..]).then_some(Self(octets))
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

/// `1f:0c:…:9a`: two lower-case digits an octet, leading zero octets dropped (pki-api 18).
pub fn colon_hex(octets: &[u8]) -> String {
    let significant = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    colon_hex_whole(octets.get(significant..).unwrap_or_default())
}

/// The same with every octet: key identifiers are no numbers.
pub fn colon_hex_whole(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    let mut text = String::with_capacity(octets.len().saturating_mul(3));
    for octet in octets {
        if !text.is_empty() {
            text.push(':');
        }
        text.push(digit(octet >> 4));
        text.push(digit(octet & 0xf));
    }
    text
}

/// Reads octets separated by colons or hyphens, any case; `None` for anything else.
pub fn parse_separated_hex(text: &str) -> Option<Vec<u8>> {
    text.split([':', '-'])
        .map(|pair| match pair.as_bytes() {
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                u8::from_str_radix(pair, 16).ok()
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Serial {
        Serial::new(Timestamp::parse_rfc3339(text).unwrap(), [0xff; 16])
    }

    #[test]
    fn is_twenty_positive_octets_in_1999_6053_and_9999() {
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
    fn text_goes_both_ways() {
        let serial = at("2026-01-01T00:00:00Z");
        let octets = parse_separated_hex(&serial.to_string().to_uppercase()).unwrap();
        assert_eq!(Serial::from_bytes(&octets), Some(serial));
        assert_eq!(parse_separated_hex(&serial.to_string().replace(':', "-")), Some(octets));
        assert_eq!(colon_hex(&[0, 0, 0x0a]), "0a");
    }

    #[test]
    fn refuses_what_is_not_separated_hexadecimal() {
        for text in ["", "0x1f", "1", "1f:", "zz", "1f0c", "1f::0c", "1f: 0c"] {
            assert_eq!(parse_separated_hex(text), None, "{text}");
        }
    }
}
