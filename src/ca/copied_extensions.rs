//! Extensions of a CSR that are copied byte for byte: the checks without which strict parsers
//! reject the certificate, and the extensions that an authority must not have.

use super::asn1::{DerError, DerReader, tag};
use super::extensions::{AUTHORITY_INFO_ACCESS, FRESHEST_CRL, SUBJECT_KEY_IDENTIFIER};
use super::oid::ObjectIdentifier;

/// RFC 5280, 4.2.2.2
pub(in crate::ca) const SUBJECT_INFO_ACCESS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.11");
/// RFC 5280, 4.2.1.7
pub(in crate::ca) const ISSUER_ALT_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.18");
const DIRECTORY_ATTRIBUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.9");
const PRIVATE_KEY_PERIOD: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.16");
const POLICY_MAPPINGS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.33");
const POLICY_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.36");
const INHIBIT_ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.54");
const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");
const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");
const NETSCAPE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1");

const LISTS: &str = "it belongs to revocation lists";
const RESOURCES: &str = "the resources of RFC 3779 are not supported";
const LOGS: &str = "it is reserved for certificate transparency (RFC 6962, 3)";

/// Extensions that an authority must not have, and extensions that clients check and this file does
/// not.
const REFUSED: [(ObjectIdentifier, &str); 13] = [
    (ObjectIdentifier::new_unwrap("2.5.29.20"), LISTS),
    (ObjectIdentifier::new_unwrap("2.5.29.21"), LISTS),
    (ObjectIdentifier::new_unwrap("2.5.29.24"), LISTS),
    (ObjectIdentifier::new_unwrap("2.5.29.27"), LISTS),
    (ObjectIdentifier::new_unwrap("2.5.29.28"), LISTS),
    (ObjectIdentifier::new_unwrap("2.5.29.29"), LISTS),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.7"), RESOURCES),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.8"), RESOURCES),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.28"), RESOURCES),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.29"), RESOURCES),
    (
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.14"),
        "an authority is not a proxy certificate (RFC 3820, 3.7)",
    ),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2"), LOGS),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3"), LOGS),
];

/// The criticality that RFC 5280 requires of an extension; otherwise the requested one.
pub(in crate::ca) fn criticality(oid: &ObjectIdentifier, asked: bool) -> bool {
    match *oid {
        POLICY_CONSTRAINTS | INHIBIT_ANY_POLICY => true,
        SUBJECT_KEY_IDENTIFIER
        | AUTHORITY_INFO_ACCESS
        | SUBJECT_INFO_ACCESS
        | FRESHEST_CRL
        | DIRECTORY_ATTRIBUTES => false,
        _ => asked,
    }
}

/// Does this file interpret the extension?
pub(in crate::ca) fn is_known(oid: &ObjectIdentifier) -> bool {
    matches!(
        *oid,
        POLICY_CONSTRAINTS
            | INHIBIT_ANY_POLICY
            | POLICY_MAPPINGS
            | SUBJECT_INFO_ACCESS
            | DIRECTORY_ATTRIBUTES
            | PRIVATE_KEY_PERIOD
            | TLS_FEATURE
            | NETSCAPE_TYPE
    )
}

/// Checks an extension that no other code interprets.
///
/// # Errors
/// Says why it cannot be in the certificate.
pub(in crate::ca) fn check(oid: &ObjectIdentifier, value: &[u8]) -> Result<(), String> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == oid) {
        return Err((*why).to_owned());
    }
    check_der(value, MAX_DEPTH)?;
    let mut reader = DerReader::new(value);
    let read = match *oid {
        POLICY_CONSTRAINTS => policy_constraints(&mut reader),
        INHIBIT_ANY_POLICY => reader.integer().and_then(count),
        POLICY_MAPPINGS => policy_mappings(&mut reader),
        TLS_FEATURE => each(&mut reader, |list| list.integer().and_then(count)),
        DIRECTORY_ATTRIBUTES => each(&mut reader, |list| {
            let mut attribute = list.sequence("pkix.Attribute")?;
            attribute.oid()?;
            attribute.expect(tag::SET, "[]asn1.RawValue")?;
            attribute.end()
        }),
        PRIVATE_KEY_PERIOD => each(&mut reader, |list| list.any().map(drop)),
        NETSCAPE_TYPE => reader.named_bits().map(drop),
        _ => return Ok(()),
    };
    read.map_err(|error| error.to_string())
}

/// Reads the elements of a SEQUENCE, which must have at least one.
fn each<'a>(
    reader: &mut DerReader<'a>,
    read: impl Fn(&mut DerReader<'a>) -> Result<(), DerError>,
) -> Result<(), DerError> {
    let mut list = reader.sequence("[]asn1.RawValue")?;
    read(&mut list)?;
    while !list.is_empty() {
        read(&mut list)?;
    }
    Ok(())
}

/// RFC 5280, 4.2.1.11: one of the two numbers at least.
fn policy_constraints(reader: &mut DerReader<'_>) -> Result<(), DerError> {
    let mut fields = reader.sequence("x509.policyConstraints")?;
    if fields.is_empty() {
        return Err(DerError::Value("policy constraints are empty"));
    }
    for number in [0, 1] {
        if let Some(found) = fields.optional(tag::implicit(number))? {
            count(found.content)?;
        }
    }
    fields.end()
}

/// RFC 5280, 4.2.1.5: no policy is mapped to or from anyPolicy.
fn policy_mappings(reader: &mut DerReader<'_>) -> Result<(), DerError> {
    each(reader, |list| {
        let mut pair = list.sequence("x509.policyMapping")?;
        let (above, below) = (pair.oid()?, pair.oid()?);
        if above == ANY_POLICY || below == ANY_POLICY {
            return Err(DerError::Value("anyPolicy is mapped"));
        }
        pair.end()
    })
}

/// Checks the content of an INTEGER that is a count: minimal, not negative, at most four bytes.
fn count(content: &[u8]) -> Result<(), DerError> {
    match content {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => {
            Err(DerError::Value("a number is not a count"))
        }
        _ if content.len() > 4 => Err(DerError::Value("a number is too large")),
        _ => Ok(()),
    }
}

/// The maximum nesting depth of values in an unknown extension.
const MAX_DEPTH: usize = 16;

/// Checks that the bytes are one value of DER without trailing bytes, down to the nested values.
fn check_der(value: &[u8], depth: usize) -> Result<(), String> {
    let mut reader = DerReader::new(value);
    let element = reader.any().map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    if element.tag & 0x20 == 0 {
        return check_primitive(element.tag, value);
    }
    let depth = depth.checked_sub(1).ok_or("its values are nested too deeply")?;
    let mut inner = DerReader::new(element.content);
    while !inner.is_empty() {
        check_der(inner.any().map_err(|error| error.to_string())?.whole, depth)?;
    }
    Ok(())
}

const NULL: u8 = 5;

/// Checks the universal types that have several encodings in BER and one in DER.
fn check_primitive(found: u8, whole: &[u8]) -> Result<(), String> {
    let mut reader = DerReader::new(whole);
    let read = match found {
        tag::BOOLEAN => reader.default_false().map(drop),
        tag::INTEGER => reader.integer().map(drop),
        tag::OBJECT_IDENTIFIER => reader.oid_bytes().map(drop),
        tag::BIT_STRING => reader.named_bits().map(drop),
        NULL if whole.len() != 2 => Err(DerError::Value("a null has content")),
        0 => Err(DerError::Value("a value has no type")),
        _ => Ok(()),
    };
    read.map_err(|error| error.to_string())
}
