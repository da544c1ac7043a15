//! Identifiers: 16 bytes each, with a type for each thing that is identified. Their text is a UUID (RFC 9562, 4).

use std::fmt;

use minicbor::{Decode, Encode};
use uuid::Uuid;

/// Defines a type of identifiers, so that identifiers of two things cannot be exchanged.
macro_rules! id_type {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] [u8; 16]);

        impl $name {
            /// The identifier of these bytes.
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes, as they are in keys of the store.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads a UUID: lower-case digits, with or without hyphens.
            pub fn parse(text: &str) -> Option<Self> {
                let digits: String = text.chars().filter(|character| *character != '-').collect();
                let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
                bytes.try_into().ok().map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Uuid::from_bytes(self.0), formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }
    };
}

id_type!(
    /// Identifies a mount; the keys of all its records begin with it.
    MountId
);
id_type!(
    /// Identifies an issuer of a mount.
    IssuerId
);
id_type!(
    /// Identifies a private key of a mount.
    KeyId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_written_in_five_groups_and_read_again() {
        let bytes = [0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255];
        let id = MountId::new(bytes);
        assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(MountId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn an_identifier_is_stored_as_its_bytes_alone() {
        let bytes = [7; 16];
        let stored = minicbor::to_vec(IssuerId::new(bytes)).unwrap();
        assert_eq!(stored, minicbor::to_vec(bytes).unwrap());
        assert_eq!(minicbor::decode::<IssuerId>(&stored).unwrap(), IssuerId::new(bytes));
    }

    #[test]
    fn upper_case_braces_and_other_lengths_are_not_identifiers() {
        for text in [
            "",
            "default",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddee",
        ] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }
}
