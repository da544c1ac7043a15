//! The values of composed documents, besides the sequences whose encoding `der` derives. These
//! types only encode; decoding is in `reader.rs`.

use der::{Encode, EncodeValue, FixedTag, Length, Tag, Writer};

use super::tag;
use crate::ca::oid::ObjectIdentifier;
use crate::ca::time::Timestamp;

/// The DER of a value.
pub(in crate::ca) fn encode(value: &impl Encode) -> Vec<u8> {
    let length = value.encoded_len().ok().and_then(|length| usize::try_from(length).ok());
    let mut bytes = Vec::with_capacity(length.unwrap_or_default());
    append(&mut bytes, value);
    bytes
}

/// Appends the DER of a value.
#[expect(clippy::expect_used, reason = "der fails only above 4 GiB; no document is that long")]
pub(in crate::ca) fn append(bytes: &mut Vec<u8>, value: &impl Encode) {
    value.encode(bytes).expect("a key, a name or a document is below 4 GiB");
}

/// Declares structures with a derived encoding as SEQUENCEs.
macro_rules! sequences {
    ($($name:ty),+) => {
        $(impl der::FixedTag for $name {
            const TAG: der::Tag = der::Tag::Sequence;
        })+
    };
}
pub(in crate::ca) use sequences;

/// Bytes that are written as they are: DER, or the content of a value.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct Verbatim<'a>(pub(in crate::ca) &'a [u8]);

impl Encode for Verbatim<'_> {
    fn encoded_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// A value with a tag and a length before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct TaggedValue<T> {
    tag: u8,
    value: T,
}

impl<T> TaggedValue<T> {
    /// A tag around a value with its own tag, or around several values.
    pub(in crate::ca) const fn new(tag: u8, value: T) -> Self {
        Self { tag, value }
    }
}

impl<'a> TaggedValue<Verbatim<'a>> {
    /// A value with this content.
    pub(in crate::ca) const fn of(tag: u8, content: &'a [u8]) -> Self {
        Self { tag, value: Verbatim(content) }
    }
}

impl<T: Encode> Encode for TaggedValue<T> {
    fn encoded_len(&self) -> der::Result<Length> {
        let length = self.value.encoded_len()?;
        match u32::from(length) {
            short @ 0..0x80 => Ok(Length::new(short.saturating_add(2))),
            _ => Length::ONE + length.encoded_len()? + length,
        }
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        let length = self.value.encoded_len()?;
        match u8::try_from(u32::from(length)) {
            Ok(short @ 0..0x80) => writer.write(&[self.tag, short])?,
            _ => {
                writer.write_byte(self.tag)?;
                length.encode(writer)?;
            }
        }
        self.value.encode(writer)
    }
}

impl FixedTag for ObjectIdentifier {
    const TAG: Tag = Tag::ObjectIdentifier;
}

impl EncodeValue for ObjectIdentifier {
    fn value_len(&self) -> der::Result<Length> {
        self.as_bytes().len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.as_bytes())
    }
}

/// An INTEGER that is not negative, from big-endian bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct Unsigned<'a>(pub(in crate::ca) &'a [u8]);

impl<'a> Unsigned<'a> {
    /// The bytes without leading zeros, and whether a zero byte precedes them as the sign.
    fn minimal(&self) -> (&'a [u8], bool) {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        let bytes = self.0.get(zeros..).unwrap_or_default();
        (bytes, bytes.first().is_none_or(|first| *first >= 0x80))
    }
}

impl FixedTag for Unsigned<'_> {
    const TAG: Tag = Tag::Integer;
}

impl EncodeValue for Unsigned<'_> {
    fn value_len(&self) -> der::Result<Length> {
        let (bytes, is_padded) = self.minimal();
        bytes.len().saturating_add(usize::from(is_padded)).try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        let (bytes, is_padded) = self.minimal();
        if is_padded {
            writer.write_byte(0)?;
        }
        writer.write(bytes)
    }
}

/// A BIT STRING of whole bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct WholeBits<'a>(pub(in crate::ca) &'a [u8]);

impl FixedTag for WholeBits<'_> {
    const TAG: Tag = Tag::BitString;
}

impl EncodeValue for WholeBits<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().saturating_add(1).try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write_byte(0)?;
        writer.write(self.0)
    }
}

/// A BIT STRING of named bits without trailing zero bits (X.690, 11.2.2). Bit 0 is the first bit of
/// the string.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct NamedBits(pub(in crate::ca) u16);

impl Encode for NamedBits {
    fn encoded_len(&self) -> der::Result<Length> {
        let bytes = 16_u32.saturating_sub(self.0.leading_zeros()).div_ceil(8);
        Ok(Length::new(bytes.saturating_add(3)))
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        let [second, first] = self.0.reverse_bits().to_le_bytes();
        let unused = |byte: u8| u8::try_from(byte.trailing_zeros()).unwrap_or(0);
        match (first, second) {
            (0, 0) => writer.write(&[tag::BIT_STRING, 1, 0]),
            (first, 0) => writer.write(&[tag::BIT_STRING, 2, unused(first), first]),
            (first, second) => writer.write(&[tag::BIT_STRING, 3, unused(second), first, second]),
        }
    }
}

/// A `Time` (RFC 5280, 4.1.2.5): UTCTime from 1950 through 2049, else GeneralizedTime. `der` has
/// no instants before 1970.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct Time {
    /// `YYYYMMDDHHMMSSZ`
    text: [u8; 15],
    is_utc: bool,
}

impl Time {
    /// `None` outside the years 0 to 9999.
    pub(in crate::ca) fn new(instant: Timestamp) -> Option<Self> {
        let calendar = instant.whole().calendar()?;
        let year = u16::try_from(calendar.year()).ok().filter(|year| *year <= 9999)?;
        let (hundreds, years) = (u8::try_from(year / 100).ok()?, u8::try_from(year % 100).ok()?);
        let month = u8::from(calendar.month());
        let (day, hour) = (calendar.day(), calendar.hour());
        let parts = [hundreds, years, month, day, hour, calendar.minute(), calendar.second()];
        let mut text = [b'Z'; 15];
        for (digits, part) in text.chunks_exact_mut(2).zip(parts) {
            digits
                .copy_from_slice(&[b'0'.saturating_add(part / 10), b'0'.saturating_add(part % 10)]);
        }
        Some(Self { text, is_utc: (1950..2050).contains(&year) })
    }

    fn value(&self) -> TaggedValue<Verbatim<'_>> {
        match &self.text {
            [_, _, utc @ ..] if self.is_utc => TaggedValue::of(tag::UTC_TIME, utc),
            whole => TaggedValue::of(tag::GENERALIZED_TIME, whole),
        }
    }
}

impl Encode for Time {
    fn encoded_len(&self) -> der::Result<Length> {
        self.value().encoded_len()
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        self.value().encode(writer)
    }
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
            let content = vec![0; length];
            let bytes = encode(&TaggedValue::of(tag::OCTET_STRING, &content));
            assert!(bytes.starts_with(expected), "{length}");
            assert_eq!(bytes.len(), expected.len() + length);
        }
    }

    #[test]
    fn a_tag_around_a_value_counts_the_value_with_its_header() {
        let inner = TaggedValue::of(tag::OCTET_STRING, &[7; 200]);
        let bytes = encode(&TaggedValue::new(tag::SEQUENCE, inner));
        assert_eq!(bytes[..6], [0x30, 0x81, 203, 4, 0x81, 200]);
        assert_eq!(bytes.len(), 206);
    }

    #[test]
    fn integers_are_minimal_and_positive() {
        for (bytes, expected) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 1], &[2, 1, 1]),
            (&[0x80], &[2, 2, 0, 0x80]),
        ] {
            assert_eq!(encode(&Unsigned(bytes)), expected);
        }
    }

    #[test]
    fn key_usage_bits_are_cut_as_vault_cuts_them() {
        assert_eq!(encode(&NamedBits(0b1_0101)), [3, 2, 3, 0xa8]);
        assert_eq!(encode(&NamedBits(0b110_0000)), [3, 2, 1, 0x06]);
        assert_eq!(encode(&NamedBits(0b110_0001)), [3, 2, 1, 0x86]);
        assert_eq!(encode(&NamedBits(1 << 8)), [3, 3, 7, 0, 0x80]);
        assert_eq!(encode(&NamedBits(0)), [3, 1, 0]);
    }

    #[test]
    fn time_changes_its_form_in_2050_and_before_1950() {
        let write = |text: &str| {
            let bytes = encode(&Time::new(Timestamp::parse_rfc3339(text).unwrap()).unwrap());
            (bytes[0], String::from_utf8(bytes[2..].to_vec()).unwrap())
        };
        assert_eq!(write("2049-12-31T23:59:59Z"), (tag::UTC_TIME, "491231235959Z".to_owned()));
        assert_eq!(
            write("2050-01-01T00:00:00Z"),
            (tag::GENERALIZED_TIME, "20500101000000Z".to_owned())
        );
        assert_eq!(write("1949-12-31T00:00:00Z").0, tag::GENERALIZED_TIME);
        assert!(Time::new(Timestamp::from_unix(crate::ca::time::LAST_SECOND + 1)).is_none());
    }
}
