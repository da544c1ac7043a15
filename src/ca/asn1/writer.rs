use crate::ca::oid::ObjectIdentifier;

use super::tag;
use crate::ca::time::Timestamp;

/// Appends DER to bytes.
#[derive(Debug, Default)]
pub(in crate::ca) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(in crate::ca) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    pub(in crate::ca) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes that are DER already.
    pub(in crate::ca) fn raw(&mut self, der: &[u8]) {
        self.bytes.extend_from_slice(der);
    }

    /// An element with this content.
    pub(in crate::ca) fn primitive(&mut self, tag: u8, content: &[u8]) {
        header(&mut self.bytes, tag, content.len());
        self.bytes.extend_from_slice(content);
    }

    /// An element whose content is written by `content`. One octet is kept for the length;
    /// longer ones move the content, which is short where that happens.
    pub(in crate::ca) fn element(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        self.bytes.push(tag);
        let at = self.bytes.len();
        self.bytes.push(0);
        content(self);
        let length = self.bytes.len().saturating_sub(at).saturating_sub(1);
        let (octets, used) = length_octets(length);
        let [first, more @ ..] = octets;
        if let Some(place) = self.bytes.get_mut(at) {
            *place = first;
        }
        for octet in more.into_iter().take(used.saturating_sub(1)).rev() {
            self.bytes.insert(at.saturating_add(1), octet);
        }
    }

    pub(in crate::ca) fn sequence(&mut self, content: impl FnOnce(&mut Self)) {
        self.element(tag::SEQUENCE, content);
    }

    pub(in crate::ca) fn oid(&mut self, oid: &ObjectIdentifier) {
        self.primitive(tag::OBJECT_IDENTIFIER, oid.as_bytes());
    }

    /// An INTEGER that is not negative, from big-endian octets.
    pub(in crate::ca) fn unsigned(&mut self, octets: &[u8]) {
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        let octets = octets.get(zeros..).unwrap_or_default();
        let pad = octets.first().is_none_or(|first| *first >= 0x80);
        header(&mut self.bytes, tag::INTEGER, octets.len().saturating_add(usize::from(pad)));
        if pad {
            self.bytes.push(0);
        }
        self.bytes.extend_from_slice(octets);
    }

    /// A BIT STRING of whole octets.
    pub(in crate::ca) fn octet_bits(&mut self, content: &[u8]) {
        header(&mut self.bytes, tag::BIT_STRING, content.len().saturating_add(1));
        self.bytes.push(0);
        self.bytes.extend_from_slice(content);
    }
}

/// The octets of a length, and how many of them are used.
fn length_octets(length: usize) -> ([u8; 5], usize) {
    let [.., a, b, c, d] = (length as u64).to_be_bytes();
    match length {
        0..=0x7f => ([d, 0, 0, 0, 0], 1),
        0x80..=0xff => ([0x81, d, 0, 0, 0], 2),
        0x100..=0xffff => ([0x82, c, d, 0, 0], 3),
        0x1_0000..=0xff_ffff => ([0x83, b, c, d, 0], 4),
        _ => ([0x84, a, b, c, d], 5),
    }
}

/// Appends a tag and a length.
pub(in crate::ca) fn header(bytes: &mut Vec<u8>, tag: u8, length: usize) {
    bytes.push(tag);
    let (octets, used) = length_octets(length);
    bytes.extend_from_slice(octets.get(..used).unwrap_or_default());
}

/// Appends a `Time` (RFC 5280, 4.1.2.5): UTCTime from 1950 through 2049, else GeneralizedTime.
/// `None` outside the years 0 to 9999.
pub(in crate::ca) fn time(bytes: &mut Vec<u8>, instant: Timestamp) -> Option<()> {
    let calendar = instant.whole().calendar()?;
    let year = u16::try_from(calendar.year()).ok().filter(|year| *year <= 9999)?;
    let two = |bytes: &mut Vec<u8>, value: u8| {
        bytes.push(b'0'.saturating_add(value / 10));
        bytes.push(b'0'.saturating_add(value % 10));
    };
    let below_100 = |value: u16| u8::try_from(value % 100).unwrap_or(0);
    if (1950..2050).contains(&year) {
        header(bytes, tag::UTC_TIME, 13);
    } else {
        header(bytes, tag::GENERALIZED_TIME, 15);
        two(bytes, below_100(year / 100));
    }
    two(bytes, below_100(year));
    two(bytes, u8::from(calendar.month()));
    two(bytes, calendar.day());
    two(bytes, calendar.hour());
    two(bytes, calendar.minute());
    two(bytes, calendar.second());
    bytes.push(b'Z');
    Some(())
}

/// The content of a BIT STRING of named bits, trailing zero bits cut (X.690, 11.2.2).
/// Bit 0 of `bits` is the first bit of the string.
pub(in crate::ca) fn bit_string_bits(bits: u16) -> Vec<u8> {
    let [second, first] = bits.reverse_bits().to_le_bytes();
    match (first, second) {
        (0, 0) => vec![0],
        (first, 0) => vec![unused(first), first],
        (first, second) => vec![unused(second), first, second],
    }
}

fn unused(octet: u8) -> u8 {
    u8::try_from(octet.trailing_zeros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_shortest_form() {
        for (length, expected) in [
            (0_usize, &[4, 0][..]),
            (127, &[4, 0x7f]),
            (128, &[4, 0x81, 0x80]),
            (255, &[4, 0x81, 0xff]),
            (256, &[4, 0x82, 1, 0]),
            (65536, &[4, 0x83, 1, 0, 0]),
            (16_777_216, &[4, 0x84, 1, 0, 0, 0]),
        ] {
            let mut bytes = Vec::new();
            header(&mut bytes, 4, length);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn an_element_grows_its_length_after_the_fact() {
        let mut writer = Writer::default();
        writer.sequence(|writer| writer.primitive(tag::OCTET_STRING, &[7; 200]));
        let bytes = writer.into_bytes();
        assert_eq!(bytes[..6], [0x30, 0x81, 203, 4, 0x81, 200]);
        assert_eq!(bytes.len(), 206);
    }

    #[test]
    fn integers_are_minimal_and_positive() {
        for (octets, expected) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 1], &[2, 1, 1]),
            (&[0x80], &[2, 2, 0, 0x80]),
        ] {
            let mut writer = Writer::default();
            writer.unsigned(octets);
            assert_eq!(writer.into_bytes(), expected);
        }
    }

    #[test]
    fn key_usage_bits_are_cut_as_vault_cuts_them() {
        assert_eq!(bit_string_bits(0b1_0101), [3, 0xa8]);
        assert_eq!(bit_string_bits(0b110_0000), [1, 0x06]);
        assert_eq!(bit_string_bits(0b110_0001), [1, 0x86]);
        assert_eq!(bit_string_bits(1 << 8), [7, 0, 0x80]);
        assert_eq!(bit_string_bits(0), [0]);
    }

    #[test]
    fn time_changes_its_form_in_2050_and_before_1950() {
        let write = |text: &str| {
            let mut bytes = Vec::new();
            time(&mut bytes, Timestamp::parse_rfc3339(text).unwrap()).unwrap();
            (bytes[0], String::from_utf8(bytes[2..].to_vec()).unwrap())
        };
        assert_eq!(write("2049-12-31T23:59:59Z"), (tag::UTC_TIME, "491231235959Z".to_owned()));
        assert_eq!(
            write("2050-01-01T00:00:00Z"),
            (tag::GENERALIZED_TIME, "20500101000000Z".to_owned())
        );
        assert_eq!(write("1949-12-31T00:00:00Z").0, tag::GENERALIZED_TIME);
        assert!(
            time(&mut Vec::new(), Timestamp::from_unix(crate::ca::time::LAST_SECOND + 1)).is_none()
        );
    }
}
