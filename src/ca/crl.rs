//! Certificate revocation lists (RFC 5280, 5; pki-api 16.4), fast for a million entries.

use super::cert::ComposeError;
use super::certificate::IssuerView;
use super::key::SignatureAlgorithm;
use super::signed::ToSign;
use super::time::Timestamp;

/// The values of a list but for its entries.
#[derive(Clone, Debug)]
pub struct CrlValues<'a> {
    /// cRLNumber.
    pub number: u64,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// How it is signed.
    pub algorithm: SignatureAlgorithm,
    /// freshestCRL: where deltas are found; empty means no extension.
    pub freshest_crl: &'a [String],
}

/// A composed list, not yet linted.
#[derive(Debug)]
#[must_use]
pub struct TbsCrl {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    facts: CrlFacts,
}

/// What is known of a list that we composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlFacts {
    /// cRLNumber.
    pub number: u64,
    /// thisUpdate, as encoded.
    pub this_update: Timestamp,
    /// nextUpdate, as encoded.
    pub next_update: Timestamp,
    /// How many entries.
    pub entries: usize,
}

/// The DER of one entry: serial number (big-endian octets) and instant; no entry extensions.
pub fn encode_entry(serial: &[u8], revoked_at: Timestamp) -> Result<Vec<u8>, ComposeError> {
    let _ = (serial, revoked_at);
    todo!()
}

/// Composes a list from entries that are encoded already, in the order given.
pub fn compose_crl<E: AsRef<[u8]>>(
    issuer: &IssuerView<'_>,
    values: &CrlValues<'_>,
    entries: impl IntoIterator<Item = E>,
) -> Result<TbsCrl, ComposeError> {
    let _ = (issuer, values, entries.into_iter().count());
    todo!()
}

impl TbsCrl {
    /// The DER of the `TBSCertList`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl ToSign for TbsCrl {
    type Facts = CrlFacts;

    fn to_be_signed(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_grave(&self) -> bool {
        true
    }

    fn into_facts(self) -> CrlFacts {
        self.facts
    }
}
