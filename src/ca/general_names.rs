//! `GeneralNames` of subject alternative names (RFC 5280, 4.2.1.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::asn1::ContextSpecificRef;
use der::{EncodeValue, TagMode, TagNumber};

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{DerReader, TaggedValue, Verbatim, append, encode as der_of, sequences, tag};
use super::permit::{AlternativeNames, OtherName};

/// rfc822Name
pub(in crate::ca) const EMAIL: u8 = tag::implicit(1);
/// dNSName
pub(in crate::ca) const DNS: u8 = tag::implicit(2);
/// uniformResourceIdentifier
pub(in crate::ca) const URI: u8 = tag::implicit(6);
/// iPAddress
pub(in crate::ca) const IP: u8 = tag::implicit(7);
/// otherName
const OTHER: u8 = tag::explicit(0);

/// The content of an otherName, with a UTF8String.
#[derive(EncodeValue)]
struct AnotherName<'a> {
    identifier: &'a ObjectIdentifier,
    value: TaggedValue<TaggedValue<Verbatim<'a>>>,
}

sequences!(AnotherName<'_>);

/// The SEQUENCE: other, DNS, e-mail, IP, URI.
pub(in crate::ca) fn encode(names: &AlternativeNames) -> Vec<u8> {
    let mut list = Vec::with_capacity(64);
    for other in &names.other {
        let text = TaggedValue::of(tag::UTF8_STRING, other.value.as_bytes());
        let value = TaggedValue::new(tag::explicit(0), text);
        let value = &AnotherName { identifier: &other.oid, value };
        let (tag_number, tag_mode) = (TagNumber(0), TagMode::Implicit);
        append(&mut list, &ContextSpecificRef { tag_number, tag_mode, value });
    }
    let mut name = |tag, content: &[u8]| append(&mut list, &TaggedValue::of(tag, content));
    names.dns.iter().for_each(|text| name(DNS, text.as_bytes()));
    names.email.iter().for_each(|text| name(EMAIL, text.as_bytes()));
    for ip in &names.ip {
        // An IPv4-mapped address is written as IPv4, as Go does.
        match ip.to_canonical() {
            IpAddr::V4(ip) => name(IP, &ip.octets()),
            IpAddr::V6(ip) => name(IP, &ip.octets()),
        }
    }
    names.uri.iter().for_each(|text| name(URI, text.as_bytes()));
    der_of(&TaggedValue::of(tag::SEQUENCE, &list))
}

/// The names that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ca) struct ReadNames {
    pub(in crate::ca) names: AlternativeNames,
    /// An otherName that is not a UTF8String was among them.
    pub(in crate::ca) has_unreadable_other_name: bool,
    /// The unsupported kinds among them, each once.
    pub(in crate::ca) unsupported: Vec<&'static str>,
}

/// Reads the DER of `GeneralNames`. The texts of errors are Go's; unsupported kinds are
/// skipped.
pub(in crate::ca) fn read(der: &[u8]) -> Result<ReadNames, String> {
    let broken = |_| "x509: invalid subject alternative names".to_owned();
    let mut outer = DerReader::new(der);
    let mut list = outer.sequence("[]asn1.RawValue").map_err(broken)?;
    outer.end().map_err(broken)?;
    let mut found = ReadNames::default();
    while !list.is_empty() {
        let name = list.any().map_err(broken)?;
        match name.tag {
            DNS => found.names.dns.push(ascii(name.content, "x509: SAN dNSName is malformed")?),
            EMAIL => {
                found.names.email.push(ascii(name.content, "x509: SAN rfc822Name is malformed")?);
            }
            URI => found
                .names
                .uri
                .push(ascii(name.content, "x509: SAN uniformResourceIdentifier is malformed")?),
            IP => found.names.ip.push(address(name.content)?),
            OTHER => match other(name.content) {
                Some(other) => found.names.other.push(other),
                None => found.has_unreadable_other_name = true,
            },
            other => {
                let kind = unsupported_kind(other);
                if !found.unsupported.contains(&kind) {
                    found.unsupported.push(kind);
                }
            }
        }
    }
    Ok(found)
}

/// The name of an unsupported kind in RFC 5280, 4.2.1.6.
pub(in crate::ca) const fn unsupported_kind(found: u8) -> &'static str {
    match found {
        OTHER => "otherName",
        0xa3 => "x400Address",
        0xa4 => "directoryName",
        0xa5 => "ediPartyName",
        0x88 => "registeredID",
        _ => "a name of an unknown kind",
    }
}

fn ascii(content: &[u8], error: &str) -> Result<String, String> {
    match std::str::from_utf8(content) {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(error.to_owned()),
    }
}

fn address(content: &[u8]) -> Result<IpAddr, String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(content) {
        return Ok(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(content)
        .map(|bytes| Ipv6Addr::from(bytes).into())
        .map_err(|_| format!("x509: cannot parse IP address of length {}", content.len()))
}

fn other(content: &[u8]) -> Option<OtherName> {
    let mut fields = DerReader::new(content);
    let oid = fields.oid().ok()?;
    let mut value = DerReader::new(fields.expect(tag::explicit(0), "asn1.RawValue").ok()?.content);
    fields.end().ok()?;
    let text = value.expect(tag::UTF8_STRING, "string").ok()?.content;
    value.end().ok()?;
    Some(OtherName { oid, value: std::str::from_utf8(text).ok()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let names = AlternativeNames {
            other: vec![OtherName {
                oid: ObjectIdentifier::new_unwrap("1.2.3"),
                value: "ü".to_owned(),
            }],
            dns: vec!["a.example.org".to_owned()],
            email: vec!["x@example.org".to_owned()],
            ip: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            uri: vec!["spiffe://example.org/w".to_owned()],
        };
        let read = read(&encode(&names)).unwrap();
        assert_eq!(read, ReadNames { names, ..ReadNames::default() });
    }

    #[test]
    fn a_mapped_address_is_written_as_ipv4() {
        let names =
            AlternativeNames { ip: vec!["::ffff:10.0.0.1".parse().unwrap()], ..Default::default() };
        assert_eq!(encode(&names), [0x30, 6, IP, 4, 10, 0, 0, 1]);
    }

    #[test]
    fn refuses_an_address_of_five_bytes_and_a_dns_name_outside_ascii() {
        assert_eq!(
            read(&[0x30, 7, IP, 5, 1, 2, 3, 4, 5]).unwrap_err(),
            "x509: cannot parse IP address of length 5"
        );
        assert_eq!(
            read(&[0x30, 4, DNS, 2, 0xc3, 0xbc]).unwrap_err(),
            "x509: SAN dNSName is malformed"
        );
    }

    #[test]
    fn notices_an_other_name_that_is_not_utf8() {
        let der = [0x30, 11, OTHER, 9, 6, 2, 0x2a, 3, 0xa0, 3, 0x16, 1, b'x'];
        assert!(read(&der).unwrap().has_unreadable_other_name);
    }
}
