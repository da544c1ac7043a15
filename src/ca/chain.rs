//! Chains of issuers (pki-api 19): from subject bytes and signatures, the same for the same set.

use std::collections::BTreeMap;

use super::certificate::Certificate;

/// An issuer as chain building sees it.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a, I> {
    /// Its identifier; the order of identifiers is the order of parents.
    pub id: I,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// A chain set by hand: exactly these, in this order; those that are gone are skipped.
    pub manual: Option<&'a [I]>,
}

/// The chain of every issuer, itself first.
pub fn build<I: Ord + Clone>(links: &[Link<'_, I>]) -> BTreeMap<I, Vec<I>> {
    let _ = links;
    todo!()
}
