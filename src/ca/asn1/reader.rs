//! A strict reader of DER.

use std::fmt;

use super::tag;
use crate::ca::oid::{ObjectIdentifier, OidError};
use crate::ca::time::Timestamp;

/// Why bytes are not the expected DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ca) enum DerError {
    /// The bytes end within a tag or a length.
    TruncatedHeader,
    /// The bytes end within a value.
    TruncatedData,
    /// A further element was expected.
    SequenceTruncated,
    /// Bytes follow after the end.
    Trailing,
    /// Not the shortest form of a length, or an indefinite one.
    Length(&'static str),
    /// The element has the wrong tag.
    Tag {
        /// The tag that was expected.
        expected: u8,
        /// The tag that was found.
        found: u8,
        /// The length of the element that was found.
        length: usize,
        /// Go's name of the expected type.
        name: &'static str,
        /// The offset of its value within the enclosing element.
        offset: usize,
    },
    /// A value that its type does not allow.
    Value(&'static str),
}

impl fmt::Display for DerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syntax = "asn1: syntax error: ";
        let structure = "asn1: structure error: ";
        match self {
            Self::TruncatedHeader => write!(formatter, "{syntax}truncated tag or length"),
            Self::TruncatedData => write!(formatter, "{syntax}data truncated"),
            Self::SequenceTruncated => write!(formatter, "{syntax}sequence truncated"),
            Self::Trailing => write!(formatter, "{syntax}trailing data"),
            Self::Length(text) | Self::Value(text) => write!(formatter, "{structure}{text}"),
            Self::Tag { expected, found, length, name, offset } => write!(
                formatter,
                "{structure}tags don't match ({} vs {{class:{} tag:{} length:{length} \
                 isCompound:{}}}) {{optional:false explicit:false application:false \
                 private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false \
                 omitEmpty:false}} {name} @{offset}",
                expected & 0x1f,
                found >> 6,
                found & 0x1f,
                found & 0x20 != 0
            ),
        }
    }
}

/// One element: its tag, its content, and the whole of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct Element<'a> {
    pub(in crate::ca) tag: u8,
    pub(in crate::ca) content: &'a [u8],
    pub(in crate::ca) whole: &'a [u8],
}

/// Reads one element after the other from the content of another.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct DerReader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> DerReader<'a> {
    pub(in crate::ca) const fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes, rest: bytes }
    }

    pub(in crate::ca) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are not read yet.
    pub(in crate::ca) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next tag, if there is a next element.
    pub(in crate::ca) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub(in crate::ca) fn any(&mut self) -> Result<Element<'a>, DerError> {
        let (tag, after_tag) = self.rest.split_first().ok_or(DerError::SequenceTruncated)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError::Value("tags above 30 are not used here"));
        }
        let (length, after_length) = length(after_tag)?;
        let content = after_length.get(..length).ok_or(DerError::TruncatedData)?;
        let rest = after_length.get(length..).unwrap_or_default();
        let size = self.rest.len().saturating_sub(rest.len());
        let whole = self.rest.get(..size).unwrap_or_default();
        self.rest = rest;
        Ok(Element { tag: *tag, content, whole })
    }

    /// The next element, which must have this tag; `name` is Go's name of its type.
    pub(in crate::ca) fn expect(
        &mut self,
        expected: u8,
        name: &'static str,
    ) -> Result<Element<'a>, DerError> {
        let before = self.all.len().saturating_sub(self.rest.len());
        let element = self.any()?;
        if element.tag == expected {
            return Ok(element);
        }
        let header = element.whole.len().saturating_sub(element.content.len());
        Err(DerError::Tag {
            expected,
            found: element.tag,
            length: element.content.len(),
            name,
            offset: before.saturating_add(header),
        })
    }

    /// The next element if it has this tag.
    pub(in crate::ca) fn optional(
        &mut self,
        expected: u8,
    ) -> Result<Option<Element<'a>>, DerError> {
        if self.peek() == Some(expected) { self.any().map(Some) } else { Ok(None) }
    }

    /// The content of the next element, which must be a SEQUENCE.
    pub(in crate::ca) fn sequence(&mut self, name: &'static str) -> Result<Self, DerError> {
        self.expect(tag::SEQUENCE, name).map(|element| DerReader::new(element.content))
    }

    /// The next element, an object identifier.
    pub(in crate::ca) fn oid(&mut self) -> Result<ObjectIdentifier, DerError> {
        let content = self.oid_bytes()?;
        ObjectIdentifier::from_bytes(content).map_err(|error| {
            DerError::Value(match error {
                OidError::TooLong => "object identifier of more than 127 bytes",
                _ => "invalid object identifier",
            })
        })
    }

    /// The content of the next element, an object identifier. Each arc has the shortest form and
    /// is complete (X.690, 8.19.2): one identifier has one encoding.
    pub(in crate::ca) fn oid_bytes(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(tag::OBJECT_IDENTIFIER, "asn1.ObjectIdentifier")?.content;
        let mut starts_arc = true;
        for byte in content {
            if starts_arc && *byte == 0x80 {
                return Err(DerError::Value("base 128 integer is not minimally encoded"));
            }
            starts_arc = *byte < 0x80;
        }
        if content.is_empty() || !starts_arc {
            return Err(DerError::Value("invalid object identifier"));
        }
        Ok(content)
    }

    /// The next element if it is a BOOLEAN, otherwise false. DER allows the values 00 and FF.
    pub(in crate::ca) fn default_false(&mut self) -> Result<bool, DerError> {
        match self.optional(tag::BOOLEAN)?.map(|element| element.content) {
            None | Some([0]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(DerError::Value("invalid boolean")),
        }
    }

    /// The next element, an INTEGER: its content, minimal.
    pub(in crate::ca) fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(tag::INTEGER, "int")?.content;
        match content {
            [] => Err(DerError::Value("empty integer")),
            [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => {
                Err(DerError::Value("integer not minimally-encoded"))
            }
            _ => Ok(content),
        }
    }

    /// The next element, a BIT STRING of whole bytes.
    pub(in crate::ca) fn bit_string_bytes(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(tag::BIT_STRING, "asn1.BitString")?.content {
            [0, bits @ ..] => Ok(bits),
            _ => Err(DerError::Value("invalid padding bits in BIT STRING")),
        }
    }

    /// The next element, a BIT STRING of named bits; bit 0 of the result is its first bit. The
    /// bits that the string says it does not use are zero (X.690, 11.2.1).
    pub(in crate::ca) fn named_bits(&mut self) -> Result<u16, DerError> {
        let content = self.expect(tag::BIT_STRING, "asn1.BitString")?.content;
        let padding = DerError::Value("invalid padding bits in BIT STRING");
        let (first, second) = match content {
            [0] => (0, 0),
            [0..=7, first] => (*first, 0),
            [0..=7, first, second, ..] => (*first, *second),
            _ => return Err(padding),
        };
        if let ([unused, ..], Some(last)) = (content, content.last())
            && content.len() > 1
            && last.trailing_zeros() < u32::from(*unused)
        {
            return Err(padding);
        }
        Ok(u16::from_be_bytes([first, second]).reverse_bits())
    }

    /// The next element, a UTCTime or GeneralizedTime in the form of RFC 5280, 4.1.2.5.
    pub(in crate::ca) fn time(&mut self) -> Result<Timestamp, DerError> {
        let element = self.any()?;
        let year_at = |at| number(element.content, at).map(u16::from);
        let read = match (element.tag, element.content) {
            (tag::UTC_TIME, [_, _, rest @ ..]) => year_at(0).and_then(|year| {
                let century = if year < 50 { 2000 } else { 1900 };
                instant(century + year, rest)
            }),
            (tag::GENERALIZED_TIME, [_, _, _, _, rest @ ..]) => year_at(0)
                .zip(year_at(2))
                .and_then(|(hundreds, year)| instant(hundreds * 100 + year, rest)),
            _ => None,
        };
        read.ok_or(DerError::Value("unsupported time format"))
    }

    /// Fails if bytes are left.
    pub(in crate::ca) const fn end(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }
}

/// A length and what follows it.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), DerError> {
    let (first, rest) = bytes.split_first().ok_or(DerError::TruncatedHeader)?;
    if *first < 0x80 {
        return Ok((usize::from(*first), rest));
    }
    let count = usize::from(*first & 0x7f);
    if count == 0 {
        return Err(DerError::Length("indefinite length found (not DER)"));
    }
    let mut value = 0_usize;
    for position in 0..count {
        let byte = rest.get(position).ok_or(DerError::TruncatedHeader)?;
        if value >= 1 << 23 {
            return Err(DerError::Length("length too large"));
        }
        value = (value << 8) | usize::from(*byte);
        if value == 0 {
            return Err(DerError::Length("superfluous leading zeros in length"));
        }
    }
    if value < 0x80 {
        return Err(DerError::Length("non-minimal length"));
    }
    Ok((value, rest.get(count..).unwrap_or_default()))
}

/// `MMDDhhmmssZ` of a year.
fn instant(year: u16, rest: &[u8]) -> Option<Timestamp> {
    let [month, day, hour, minute, second] =
        [number(rest, 0)?, number(rest, 2)?, number(rest, 4)?, number(rest, 6)?, number(rest, 8)?];
    let month = time::Month::try_from(month).ok()?;
    let date = time::Date::from_calendar_date(i32::from(year), month, day).ok()?;
    let clock = time::Time::from_hms(hour, minute, second).ok()?;
    let ends = rest.get(10..)? == b"Z";
    ends.then(|| Timestamp::from_unix(date.with_time(clock).assume_utc().unix_timestamp()))
}

/// The two digits at `at`.
fn number(digits: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (*digits.get(at)?, *digits.get(at + 1)?);
    let are_digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    are_digits.then(|| (tens - b'0') * 10 + (ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8]) -> String {
        DerReader::new(bytes).any().unwrap_err().to_string()
    }

    #[test]
    fn errors_have_the_texts_of_go() {
        assert_eq!(error(&[]), "asn1: syntax error: sequence truncated");
        assert_eq!(error(&[0x30]), "asn1: syntax error: truncated tag or length");
        assert_eq!(error(&[0x30, 0x82, 1]), "asn1: syntax error: truncated tag or length");
        assert_eq!(error(&[0x30, 5, 0]), "asn1: syntax error: data truncated");
        assert_eq!(error(&[0x30, 0x81, 5]), "asn1: structure error: non-minimal length");
        assert_eq!(
            error(&[0x30, 0x82, 0, 5]),
            "asn1: structure error: superfluous leading zeros in length"
        );
        assert_eq!(
            error(&[0x30, 0x80]),
            "asn1: structure error: indefinite length found (not DER)"
        );
    }

    #[test]
    fn refuses_integers_that_are_not_minimal() {
        for bytes in [&[2, 0][..], &[2, 2, 0, 1], &[2, 2, 0xff, 0xff]] {
            assert!(DerReader::new(bytes).integer().is_err(), "{bytes:?}");
        }
        assert_eq!(DerReader::new(&[2, 2, 0, 0x80]).integer().unwrap(), [0, 0x80]);
    }

    #[test]
    fn an_object_identifier_has_one_encoding() {
        for bytes in [
            &[6, 0][..],
            &[6, 2, 0x55, 0x80],
            &[6, 3, 0x80, 0x55, 4],
            &[6, 4, 0x55, 0x1d, 0x80, 0x13],
        ] {
            assert!(DerReader::new(bytes).oid().is_err(), "{bytes:?}");
        }
        assert_eq!(
            DerReader::new(&[6, 3, 0x55, 0x1d, 0x13]).oid().unwrap().to_string(),
            "2.5.29.19"
        );
        assert!(DerReader::new(&[6, 4, 0x55, 0x1d, 0x81, 0x00]).oid().is_ok());
    }

    #[test]
    fn the_unused_bits_of_a_string_must_be_zero() {
        for bytes in [&[3, 2, 7, 4][..], &[3, 2, 3, 4], &[3, 2, 8, 0], &[3, 1, 1], &[3, 0]] {
            assert!(DerReader::new(bytes).named_bits().is_err(), "{bytes:?}");
        }
        assert_eq!(DerReader::new(&[3, 2, 2, 4]).named_bits().unwrap(), 1 << 5);
        assert_eq!(DerReader::new(&[3, 2, 0, 4]).named_bits().unwrap(), 1 << 5);
    }

    #[test]
    fn reads_both_forms_of_time_and_no_other() {
        let read = |tag: u8, text: &str| {
            let mut bytes = vec![tag, u8::try_from(text.len()).unwrap()];
            bytes.extend_from_slice(text.as_bytes());
            DerReader::new(&bytes).time().map(|instant| instant.to_string())
        };
        assert_eq!(read(tag::UTC_TIME, "490102030405Z").unwrap(), "2049-01-02T03:04:05Z");
        assert_eq!(read(tag::UTC_TIME, "500102030405Z").unwrap(), "1950-01-02T03:04:05Z");
        assert_eq!(read(tag::GENERALIZED_TIME, "99991231235959Z").unwrap(), "9999-12-31T23:59:59Z");
        for text in ["4901020304Z", "490102030405+", "491302030405Z", "49010203040５Z"] {
            assert!(read(tag::UTC_TIME, text).is_err(), "{text}");
        }
    }
}
