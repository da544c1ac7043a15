//! How a value is written: one byte that names its format, then CBOR with numbered fields.
//!
//! A record with content that this program does not know is refused, never half read: a
//! newer program may have stored a restriction. A field that is added later must not be
//! encoded where it is empty (an `Option`, or `skip_if`), so that older records still load;
//! where that is impossible, the format rises. Encoding follows RFC 8949 with definite lengths.

use std::fmt;

use minicbor::{Decode, Encode};

/// A value that the store can hold. Derive `Encode` and `Decode` with `#[cbor(map)]`.
pub trait Record: Encode<()> + for<'bytes> Decode<'bytes, ()> {
    /// The format this program writes, and the only one it reads.
    const FORMAT: u8 = 1;
}

/// Why the bytes of a record could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// There are no bytes.
    Empty,
    /// The record was written in a format that this program does not know.
    UnknownFormat(u8),
    /// The body is not the CBOR of this record.
    Malformed(String),
    /// The body has content that this program does not know.
    UnknownField,
}

/// The bytes of `record`.
pub fn encode<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = vec![R::FORMAT];
    match minicbor::encode(record, &mut bytes) {
        Ok(()) => bytes,
        // Writing to a vector cannot fail, and the derived encoders raise no error of their own.
        Err(error) => match error.into_write() {
            Some(never) => match never {},
            None => bytes,
        },
    }
}

/// The record that `bytes` hold.
///
/// # Errors
/// Refuses an unknown format, malformed CBOR, and any field this program does not know.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, RecordError> {
    let (format, body) = bytes.split_first().ok_or(RecordError::Empty)?;
    if *format != R::FORMAT {
        return Err(RecordError::UnknownFormat(*format));
    }
    let record: R =
        minicbor::decode(body).map_err(|error| RecordError::Malformed(error.to_string()))?;
    // The decoder skips unknown fields. Skipped fields and bytes after the end are missing when the
    // record is encoded again, on every level of nesting.
    if encode(&record) == bytes { Ok(record) } else { Err(RecordError::UnknownField) }
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("the record is empty"),
            Self::UnknownFormat(format) => write!(
                formatter,
                "the record has format {format}, which this program does not know: \
                 use the newer program that wrote it"
            ),
            Self::Malformed(reason) => write!(formatter, "the record is malformed: {reason}"),
            Self::UnknownField => formatter.write_str(
                "the record holds a field that this program does not know: \
                 use the newer program that wrote it",
            ),
        }
    }
}

impl std::error::Error for RecordError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Inner {
        #[n(0)]
        name: String,
    }

    #[derive(Debug, Clone, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Old {
        #[n(0)]
        name: String,
        #[cbor(n(1), with = "minicbor::bytes")]
        bytes: Vec<u8>,
        #[n(2)]
        inner: Vec<Inner>,
    }
    impl Record for Old {}

    #[derive(Debug, Encode, Decode)]
    #[cbor(map)]
    struct NewInner {
        #[n(0)]
        name: String,
        #[n(1)]
        limit: Option<u64>,
    }

    #[derive(Debug, Encode, Decode)]
    #[cbor(map)]
    struct New {
        #[n(0)]
        name: String,
        #[cbor(n(1), with = "minicbor::bytes")]
        bytes: Vec<u8>,
        #[n(2)]
        inner: Vec<NewInner>,
        #[n(3)]
        only_from: Option<String>,
    }
    impl Record for New {}

    fn new(limit: Option<u64>, only_from: Option<&str>) -> New {
        New {
            name: "web".into(),
            bytes: vec![1, 2],
            inner: vec![NewInner { name: "a".into(), limit }],
            only_from: only_from.map(Into::into),
        }
    }

    #[test]
    fn an_older_record_loads_in_a_newer_program() {
        let old =
            Old { name: "web".into(), bytes: vec![1], inner: vec![Inner { name: "a".into() }] };
        let read: New = decode(&encode(&old)).unwrap();
        assert_eq!((read.only_from, read.inner[0].limit), (None, None));
    }

    #[test]
    fn a_newer_record_loads_in_an_older_program_only_if_it_says_nothing_new() {
        assert!(decode::<Old>(&encode(&new(None, None))).is_ok());
        for newer in [new(Some(1), None), new(None, Some("10.0.0.0/8"))] {
            assert_eq!(decode::<Old>(&encode(&newer)), Err(RecordError::UnknownField));
        }
    }

    #[test]
    fn refuses_an_unknown_format_an_empty_record_and_bytes_after_the_end() {
        let mut bytes = encode(&new(None, None));
        bytes.push(0);
        assert_eq!(decode::<Old>(&bytes), Err(RecordError::UnknownField));
        bytes.pop();
        bytes[0] = 2;
        assert_eq!(decode::<Old>(&bytes), Err(RecordError::UnknownFormat(2)));
        assert_eq!(decode::<Old>(&[]), Err(RecordError::Empty));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name: String, bytes: Vec<u8>, inner: Vec<String>) {
            let inner = inner.into_iter().map(|name| Inner { name }).collect();
            let record = Old { name, bytes, inner };
            prop_assert_eq!(decode::<Old>(&encode(&record)), Ok(record));
        }

        #[test]
        fn strange_bytes_are_an_error_and_no_panic(mut bytes: Vec<u8>) {
            let _ = decode::<Old>(&bytes);
            bytes.insert(0, 1);
            let _ = decode::<New>(&bytes);
        }

        #[test]
        fn a_truncated_record_is_an_error(cut in 1usize..20) {
            let bytes = encode(&new(Some(7), Some("x")));
            let end = bytes.len().saturating_sub(cut);
            prop_assert!(decode::<New>(&bytes[..end]).is_err());
        }
    }
}
