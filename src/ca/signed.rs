//! Documents to be signed, and their signed form: `Linted → Signed`.
//!
//! [`ToSign`] is a closed set: certificates, revocation lists and requests that were composed here.
//! A key signs nothing else, so that it cannot be used as a signing oracle.

use der::EncodeValue;

use super::algorithm_identifier;
use super::asn1::{Verbatim, WholeBits, encode, sequences};
use super::finding::Finding;
use super::key::SignatureAlgorithm;

pub(in crate::ca) mod sealed {
    /// Implemented only where a document to be signed is composed.
    pub trait Sealed {}
}

/// A document that a key may sign once it is linted. Sealed: no other module implements it.
pub trait ToSign: sealed::Sealed {
    /// The fields that outlive the bytes.
    type Facts;

    /// The bytes to be signed.
    fn to_be_signed(&self) -> &[u8];

    /// The algorithm that its bytes name.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Is its signature verified before it is returned (`docs/design.md`,
    /// "Check signatures of our own where an error is costly")?
    fn is_verified_after_signing(&self) -> bool;

    /// The fields that outlive the bytes.
    fn into_facts(self) -> Self::Facts;
}

/// A linted document; created only by [`super::lint`], for one signature.
#[derive(Debug)]
#[must_use]
pub struct Linted<T: ToSign> {
    document: T,
    notices: Vec<Finding>,
}

impl<T: ToSign> Linted<T> {
    pub(in crate::ca) const fn new(document: T, notices: Vec<Finding>) -> Self {
        Self { document, notices }
    }

    /// Broken rules that do not refuse.
    pub fn notices(&self) -> &[Finding] {
        &self.notices
    }

    /// The linted document.
    pub const fn document(&self) -> &T {
        &self.document
    }

    /// Joins the bytes with their signature. Only `keys` calls this.
    pub(crate) fn with_signature(self, signature: &[u8]) -> Signed<T> {
        let der = encode(&SignedDocument {
            body: Verbatim(self.document.to_be_signed()),
            algorithm: Verbatim(algorithm_identifier::encode(self.document.algorithm())),
            signature: WholeBits(signature),
        });
        Signed { der, facts: self.document.into_facts() }
    }
}

/// The structure of certificates, revocation lists and requests (RFC 5280, 4.1 and 5.1; RFC
/// 2986, 4.2).
#[derive(EncodeValue)]
struct SignedDocument<'a> {
    body: Verbatim<'a>,
    algorithm: Verbatim<'a>,
    signature: WholeBits<'a>,
}

sequences!(SignedDocument<'_>);

/// A signed certificate, revocation list or request.
#[derive(Debug)]
#[must_use]
pub struct Signed<T: ToSign> {
    der: Vec<u8>,
    facts: T::Facts,
}

impl<T: ToSign> Signed<T> {
    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The DER, without a copy.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// The fields that outlive the bytes.
    pub const fn facts(&self) -> &T::Facts {
        &self.facts
    }
}
