//! Our own certificate signing requests, for `intermediate/generate` (pki-api 5.5).

use super::cert::ComposeError;
use super::key::SignatureAlgorithm;
use super::permit::{AlternativeNames, KeyUsage, SubjectName};
use super::public_key::PublicKey;
use super::signed::ToSign;

/// The values of a request.
#[derive(Clone, Debug)]
pub struct RequestValues {
    /// Subject.
    pub subject: SubjectName,
    /// Subject alternative names.
    pub names: AlternativeNames,
    /// Ask for basic constraints with CA:TRUE (`add_basic_constraints`).
    pub basic_constraints: bool,
    /// Key usage to ask for; empty means no extension.
    pub key_usage: KeyUsage,
}

/// A composed request, not yet linted.
#[derive(Debug)]
#[must_use]
pub struct TbsRequest {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

/// Composes a request for the holder of `key`.
pub fn compose_request(
    values: &RequestValues,
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
) -> Result<TbsRequest, ComposeError> {
    let _ = (values, key, algorithm);
    todo!()
}

impl TbsRequest {
    /// The DER of the `CertificationRequestInfo`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl ToSign for TbsRequest {
    type Facts = ();

    fn to_be_signed(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_grave(&self) -> bool {
        true
    }

    fn into_facts(self) {}
}
