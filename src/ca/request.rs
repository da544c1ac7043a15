//! Certificate signing requests for the keys of this CA (RFC 2986), for `intermediate/generate`.

use der::EncodeValue;

use super::asn1::{TaggedValue, Verbatim, encode, sequences, tag};
use super::cert::{ComposeError, check_names_encodable};
use super::csr::EXTENSION_REQUEST;
use super::key::SignatureAlgorithm;
use super::permit::{AlternativeNames, BasicConstraints, KeyUsage, SubjectName};
use super::public_key::PublicKey;
use super::signed::ToSign;
use super::{distinguished_name, extensions};
use crate::ca::oid::ObjectIdentifier;

/// The values of a request.
#[derive(Clone, Debug)]
pub struct RequestValues {
    /// Subject.
    pub subject: SubjectName,
    /// Subject alternative names.
    pub names: AlternativeNames,
    /// Requests basic constraints with CA:TRUE (`add_basic_constraints`).
    pub basic_constraints: bool,
    /// Key usage to request; empty means no extension.
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
    check_names_encodable(&values.names)?;
    let subject = distinguished_name::encode(&values.subject);
    let attributes = attributes(values);
    let der = encode(&CertificationRequestInfo {
        version: 0,
        subject: Verbatim(&subject),
        subject_public_key_info: Verbatim(key.spki()),
        attributes: TaggedValue::of(tag::explicit(0), &attributes),
    });
    Ok(TbsRequest { der, algorithm })
}

/// RFC 2986, 4.1.
#[derive(EncodeValue)]
struct CertificationRequestInfo<'a> {
    version: u8,
    subject: Verbatim<'a>,
    subject_public_key_info: Verbatim<'a>,
    attributes: TaggedValue<Verbatim<'a>>,
}

/// An attribute whose only value is a SEQUENCE.
#[derive(EncodeValue)]
struct RequestAttribute<'a> {
    identifier: &'a ObjectIdentifier,
    values: TaggedValue<TaggedValue<Verbatim<'a>>>,
}

sequences!(CertificationRequestInfo<'_>, RequestAttribute<'_>);

/// The extensionRequest (RFC 2985, 5.4.2), if anything is requested.
fn attributes(values: &RequestValues) -> Vec<u8> {
    let mut list = Vec::with_capacity(128);
    if values.key_usage != KeyUsage::default() {
        extensions::key_usage(&mut list, values.key_usage);
    }
    if !values.names.is_empty() {
        extensions::subject_alt_name(&mut list, &values.names, false);
    }
    if values.basic_constraints {
        let authority = BasicConstraints::Authority { path_length: None };
        extensions::basic_constraints(&mut list, authority);
    }
    if list.is_empty() {
        return list;
    }
    let list = TaggedValue::of(tag::SEQUENCE, &list);
    let values = TaggedValue::new(tag::SET, list);
    encode(&RequestAttribute { identifier: &EXTENSION_REQUEST, values })
}

impl TbsRequest {
    /// The DER of the `CertificationRequestInfo`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl super::signed::sealed::Sealed for TbsRequest {}

impl ToSign for TbsRequest {
    type Facts = ();

    fn to_be_signed(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_verified_after_signing(&self) -> bool {
        true
    }

    fn into_facts(self) {}
}
