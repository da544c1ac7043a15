//! DER (X.690) as certificates need it: a strict reader, and the values of composed documents.
//!
//! The reader's texts are those of Go's `encoding/asn1`, because clients of Vault expect them.
//! Composing is left to `der`, whose encoding is derived for the structures of RFC 5280.

mod reader;
mod value;

pub(in crate::ca) use reader::{DerError, DerReader};
pub(in crate::ca) use value::{
    NamedBits, TaggedValue, Time, Unsigned, Verbatim, WholeBits, append, encode, sequences,
};

/// Tags of universal types, with the constructed bit if the type always has it.
pub(in crate::ca) mod tag {
    pub(in crate::ca) const BOOLEAN: u8 = 0x01;
    pub(in crate::ca) const INTEGER: u8 = 0x02;
    pub(in crate::ca) const BIT_STRING: u8 = 0x03;
    pub(in crate::ca) const OCTET_STRING: u8 = 0x04;
    pub(in crate::ca) const NULL: u8 = 0x05;
    pub(in crate::ca) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in crate::ca) const UTF8_STRING: u8 = 0x0c;
    pub(in crate::ca) const PRINTABLE_STRING: u8 = 0x13;
    pub(in crate::ca) const IA5_STRING: u8 = 0x16;
    pub(in crate::ca) const UTC_TIME: u8 = 0x17;
    pub(in crate::ca) const GENERALIZED_TIME: u8 = 0x18;
    pub(in crate::ca) const BMP_STRING: u8 = 0x1e;
    pub(in crate::ca) const SEQUENCE: u8 = 0x30;
    pub(in crate::ca) const SET: u8 = 0x31;

    /// A primitive, context-specific tag.
    pub(in crate::ca) const fn implicit(number: u8) -> u8 {
        0x80 | number
    }

    /// A constructed, context-specific tag.
    pub(in crate::ca) const fn explicit(number: u8) -> u8 {
        0xa0 | number
    }
}
