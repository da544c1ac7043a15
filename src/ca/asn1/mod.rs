//! The little of DER that certificates need (X.690): a strict reader and an appending writer.
//!
//! The reader's texts are those of Go's `encoding/asn1`, because clients of Vault know them.

mod reader;
mod writer;

pub(in crate::ca) use reader::{ReadError, Reader};
pub(in crate::ca) use writer::{Writer, bit_string_bits, header, time};

/// Tags of universal types, constructed where the type always is.
pub(in crate::ca) mod tag {
    pub(in crate::ca) const BOOLEAN: u8 = 0x01;
    pub(in crate::ca) const INTEGER: u8 = 0x02;
    pub(in crate::ca) const BIT_STRING: u8 = 0x03;
    pub(in crate::ca) const OCTET_STRING: u8 = 0x04;
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
