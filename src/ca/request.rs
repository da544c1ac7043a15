//! Our own certificate signing requests, for `intermediate/generate` (pki-api 5.5).

use super::asn1::{Writer, tag};
use super::cert::{ComposeError, names_encodable};
use super::csr::EXTENSION_REQUEST;
use super::key::SignatureAlgorithm;
use super::permit::{AlternativeNames, BasicConstraints, KeyUsage, SubjectName};
use super::public_key::PublicKey;
use super::signed::ToSign;
use super::{distinguished_name, extensions};

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
    names_encodable(&values.names)?;
    let mut writer = Writer::with_capacity(512);
    writer.sequence(|writer| {
        writer.unsigned(&[0]);
        distinguished_name::write(writer, &values.subject);
        writer.raw(key.spki());
        writer.element(tag::explicit(0), |writer| attributes(writer, values));
    });
    Ok(TbsRequest { der: writer.into_bytes(), algorithm })
}

/// The extensionRequest (RFC 2985, 5.4.2), if anything is requested.
fn attributes(writer: &mut Writer, values: &RequestValues) {
    let mut list = Writer::with_capacity(128);
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
    let list = list.into_bytes();
    if list.is_empty() {
        return;
    }
    writer.sequence(|writer| {
        writer.oid(&EXTENSION_REQUEST);
        writer.element(tag::SET, |writer| writer.primitive(tag::SEQUENCE, &list));
    });
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

    fn is_grave(&self) -> bool {
        true
    }

    fn into_facts(self) {}
}
