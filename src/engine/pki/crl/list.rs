//! A CRL in memory: all readers share one copy of its bytes.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use bytes::Bytes;

use crate::ca::pem;
use crate::engine::pki::records::CrlRecord;

/// A signed CRL. Its bytes are shared: an answer holds no copy of them.
pub struct SignedCrl {
    der: Bytes,
    pem: OnceLock<Bytes>,
    digest: OnceLock<Digest>,
    number: u64,
    this_update: i64,
    next_update: i64,
    latest: i64,
}

impl SignedCrl {
    /// The DER.
    pub fn der(&self) -> Bytes {
        self.der.clone()
    }

    /// The PEM block, with a newline at its end. It is encoded once, for the first reader.
    pub fn pem_line(&self) -> Bytes {
        let encoded = self.pem.get_or_init(|| {
            let mut text = pem::encode("X509 CRL", &self.der);
            text.push('\n');
            text.into()
        });
        encoded.clone()
    }

    /// The PEM block without the newline at its end.
    pub fn pem(&self) -> Bytes {
        let line = self.pem_line();
        line.slice(..line.len().saturating_sub(1))
    }

    /// SHA-256 of the DER. It is computed once, at the first call: a CRL may have megabytes.
    pub fn digest(&self) -> &[u8] {
        self.digest.get_or_init(|| digest(&SHA256, &self.der)).as_ref()
    }

    /// cRLNumber
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// thisUpdate, seconds since the Unix epoch.
    pub const fn this_update(&self) -> i64 {
        self.this_update
    }

    /// nextUpdate, seconds since the Unix epoch.
    pub const fn next_update(&self) -> i64 {
        self.next_update
    }

    /// The latest thisUpdate of this CRL and all before it.
    pub(super) const fn latest(&self) -> i64 {
        self.latest
    }
}

impl From<CrlRecord> for SignedCrl {
    fn from(record: CrlRecord) -> Self {
        Self {
            latest: record.latest(),
            der: record.der.into(),
            pem: OnceLock::new(),
            digest: OnceLock::new(),
            number: record.number,
            this_update: record.this_update,
            next_update: record.next_update,
        }
    }
}

impl fmt::Debug for SignedCrl {
    /// Without its bytes, which may be megabytes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SignedCrl({}, {} bytes)", self.number, self.der.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_gets_the_same_bytes() {
        let record = CrlRecord {
            der: vec![7; 100],
            number: 1,
            this_update: 2,
            next_update: 3,
            latest: None,
        };
        let list = SignedCrl::from(record);
        assert_eq!(list.der().as_ptr(), list.der().as_ptr());
        assert_eq!(list.pem().as_ptr(), list.pem_line().as_ptr());
        assert_eq!([&list.pem()[..], b"\n"].concat(), list.pem_line());
        assert_eq!(list.digest().as_ptr(), list.digest().as_ptr());
        assert_eq!(list.digest(), digest(&SHA256, &[7; 100]).as_ref());
    }
}
