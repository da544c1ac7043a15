//! Object identifiers (X.660) as text and as the content of their DER (X.690, 8.19).
//!
//! `const-oid` holds 39 bytes, arcs below 2^32 and second arcs below 40. X.660 has no such limits:
//! the OIDs of an enterprise that runs AD CS take 40 bytes, `2.999` is the arc for examples, and
//! `2.25` is followed by a UUID of 128 bits. Here an arc may be any number.

use std::fmt;

use crate::go;

/// The longest OID, in bytes of its DER content: 128 arcs below 128, or one arc of 264 digits.
pub const MAX_BYTES: usize = 127;

/// An object identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectIdentifier {
    length: u8,
    bytes: [u8; MAX_BYTES],
}

/// Why a text or bytes are not a supported OID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidError {
    /// The text between two dots is not a number.
    NotANumber(String),
    /// One arc alone cannot be encoded (X.690, 8.19.4).
    OneArc,
    /// The first arc is not 0, 1 or 2.
    FirstArc,
    /// Below 0 and 1, the second arc is not at most 39.
    SecondArc,
    /// More than [`MAX_BYTES`].
    TooLong,
    /// Not the DER of an OID: empty, ended within an arc, or an arc padded with zeros.
    Encoding,
}

impl fmt::Display for OidError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber(arc) => {
                write!(formatter, "{} is not a number", go::quote(arc))
            }
            Self::OneArc => formatter.write_str("an OID has at least two numbers"),
            Self::FirstArc => formatter.write_str("the first number of an OID is 0, 1 or 2"),
            Self::SecondArc => {
                formatter.write_str("after 0 or 1 the second number of an OID is at most 39")
            }
            Self::TooLong => {
                write!(formatter, "OIDs of more than {MAX_BYTES} bytes are not supported")
            }
            Self::Encoding => formatter.write_str("invalid object identifier"),
        }
    }
}

impl std::error::Error for OidError {}

impl ObjectIdentifier {
    /// Reads numbers separated by dots. A number may begin with zeros, as in Go.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn new(text: &str) -> Result<Self, OidError> {
        let not_a_number = |arc: &&str| arc.is_empty() || !arc.bytes().all(|b| b.is_ascii_digit());
        if let Some(arc) = text.split('.').find(not_a_number) {
            return Err(OidError::NotANumber(arc.to_owned()));
        }
        let mut arcs = text.split('.').map(|arc| arc.trim_start_matches('0'));
        let first: u8 = match arcs.next() {
            Some("") => 0,
            Some("1") => 1,
            Some("2") => 2,
            _ => return Err(OidError::FirstArc),
        };
        let second = arcs.next().ok_or(OidError::OneArc)?;
        let is_below_40 = second.len() < 2 || (second.len() == 2 && second < "40");
        if first < 2 && !is_below_40 {
            return Err(OidError::SecondArc);
        }
        let mut content = Vec::with_capacity(MAX_BYTES);
        push_arc(&mut content, second, first.saturating_mul(40))?;
        for arc in arcs {
            push_arc(&mut content, arc, 0)?;
        }
        Self::from_bytes(&content)
    }

    /// An OID constant; a malformed one does not compile.
    pub const fn new_unwrap(text: &str) -> Self {
        let known = const_oid::ObjectIdentifier::new_unwrap(text);
        let content = known.as_bytes();
        let mut bytes = [0; MAX_BYTES];
        let (start, _) = bytes.split_at_mut(content.len());
        start.copy_from_slice(content);
        #[expect(clippy::cast_possible_truncation, reason = "`const-oid` holds 39 bytes")]
        let length = content.len() as u8;
        Self { length, bytes }
    }

    /// Reads the content of the DER.
    ///
    /// # Errors
    /// [`OidError::Encoding`] and [`OidError::TooLong`].
    pub fn from_bytes(content: &[u8]) -> Result<Self, OidError> {
        let mut starts_arc = true;
        for byte in content {
            // X.690, 8.19.2: no arc begins with the padding 80.
            if starts_arc && *byte == 0x80 {
                return Err(OidError::Encoding);
            }
            starts_arc = *byte < 0x80;
        }
        if content.is_empty() || !starts_arc {
            return Err(OidError::Encoding);
        }
        let mut bytes = [0; MAX_BYTES];
        bytes.get_mut(..content.len()).ok_or(OidError::TooLong)?.copy_from_slice(content);
        Ok(Self { length: u8::try_from(content.len()).map_err(|_| OidError::TooLong)?, bytes })
    }

    /// The content of the DER, without tag and length.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Is every arc below 2^31? Go programs and others hold arcs in 31 bits and refuse certificates
    /// with larger ones.
    pub fn has_small_arcs(&self) -> bool {
        self.encoded_arcs().all(|arc| match arc {
            [first, _, _, _, _] => *first < 0x88,
            arc => arc.len() < 5,
        })
    }

    /// The encoded subidentifiers: the first one encodes two arcs.
    fn encoded_arcs(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes().split_inclusive(|byte| *byte < 0x80)
    }
}

impl fmt::Display for ObjectIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, arc) in self.encoded_arcs().enumerate() {
            match (position, arc) {
                (0, [both @ 0..80]) => write!(formatter, "{}.{}", both / 40, both % 40)?,
                (0, both) => write!(formatter, "2.{}", decimal(both, 80))?,
                (_, arc) => write!(formatter, ".{}", decimal(arc, 0))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectIdentifier({self})")
    }
}

impl PartialEq<const_oid::ObjectIdentifier> for ObjectIdentifier {
    fn eq(&self, other: &const_oid::ObjectIdentifier) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<ObjectIdentifier> for const_oid::ObjectIdentifier {
    fn eq(&self, other: &ObjectIdentifier) -> bool {
        other == self
    }
}

/// Appends the sum of a decimal number and `more`, in base 128.
fn push_arc(content: &mut Vec<u8>, decimal: &str, more: u8) -> Result<(), OidError> {
    // Each byte holds more than two digits. Checked first: the conversion takes quadratic time.
    if decimal.len() > MAX_BYTES * 3 {
        return Err(OidError::TooLong);
    }
    let mut digits = Vec::new();
    for digit in decimal.bytes() {
        multiply_add(&mut digits, (10, u16::from(digit.saturating_sub(b'0'))), 128);
    }
    multiply_add(&mut digits, (1, u16::from(more)), 128);
    let (last, rest) = digits.split_first().unwrap_or((&0, &[]));
    content.extend(rest.iter().rev().map(|digit| digit | 0x80));
    content.push(*last);
    if content.len() > MAX_BYTES { Err(OidError::TooLong) } else { Ok(()) }
}

/// The decimal digits of a number in base 128 minus `subtrahend`, which is not more than the
/// number.
fn decimal(base_128: &[u8], subtrahend: u8) -> String {
    let mut rest: Vec<u8> = base_128.iter().map(|byte| byte & 0x7f).collect();
    let mut borrowed = subtrahend;
    for digit in rest.iter_mut().rev() {
        let enough = *digit >= borrowed;
        *digit = if enough { *digit } else { *digit | 0x80 }.saturating_sub(borrowed);
        borrowed = u8::from(!enough);
    }
    let mut digits = Vec::new();
    for digit in rest {
        multiply_add(&mut digits, (128, u16::from(digit)), 10);
    }
    if digits.is_empty() {
        digits.push(0);
    }
    digits.iter().rev().map(|digit| char::from(b'0'.saturating_add(*digit))).collect()
}

/// `digits` × `factor` + `carry`, for digits in this base, the lowest one first. Zero has no
/// digits. Base and factor are at most 128, and the carry is below the base.
fn multiply_add(digits: &mut Vec<u8>, (factor, mut carry): (u16, u16), base: u16) {
    for digit in digits.iter_mut() {
        let value = u16::from(*digit).saturating_mul(factor).saturating_add(carry);
        *digit = u8::try_from(value % base).unwrap_or_default();
        carry = value / base;
    }
    while carry > 0 {
        digits.push(u8::try_from(carry % base).unwrap_or_default());
        carry /= base;
    }
}

#[cfg(test)]
mod tests;
