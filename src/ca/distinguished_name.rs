//! Subjects: composed as Vault composes them (`docs/dev/vault-pki.md`, "The subject"), and
//! read as Go reads them.

use std::borrow::Cow;

use der::EncodeValue;

use crate::ca::oid::ObjectIdentifier;

use super::asn1::{
    DerError, DerReader, TaggedValue, Verbatim, append, encode as der_of, sequences, tag,
};
use super::control::{first_control, is_control};
use super::permit::{Subject, SubjectName};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const LOCALITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.7");
const PROVINCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.8");
const STREET: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.9");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const POSTAL_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.17");
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
const USER_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1");

/// The DER of an empty `Name`.
pub(in crate::ca) const EMPTY: &[u8] = &[0x30, 0];

/// RFC 5280, 4.1.2.4.
#[derive(EncodeValue)]
struct AttributeTypeAndValue<'a> {
    oid: &'a ObjectIdentifier,
    value: TaggedValue<Verbatim<'a>>,
}

sequences!(AttributeTypeAndValue<'_>);

/// The DER of a subject.
pub(in crate::ca) fn encode(subject: &SubjectName) -> Cow<'_, [u8]> {
    match subject {
        SubjectName::Verbatim(der) => Cow::Borrowed(der),
        SubjectName::Composed(subject) => {
            let mut names = Vec::with_capacity(128);
            push_rdns(&mut names, subject);
            Cow::Owned(der_of(&TaggedValue::of(tag::SEQUENCE, &names)))
        }
    }
}

fn push_rdns(names: &mut Vec<u8>, subject: &Subject) {
    for (oid, values) in [
        (&COUNTRY, &subject.country),
        (&PROVINCE, &subject.province),
        (&LOCALITY, &subject.locality),
        (&STREET, &subject.street_address),
        (&POSTAL_CODE, &subject.postal_code),
        (&ORGANIZATION, &subject.organization),
        (&ORGANIZATIONAL_UNIT, &subject.organizational_unit),
    ] {
        push_values(names, oid, values);
    }
    if !subject.common_name.is_empty() {
        push_value(names, &COMMON_NAME, &subject.common_name);
    }
    if !subject.serial_number.is_empty() {
        push_value(names, &SERIAL_NUMBER, &subject.serial_number);
    }
    for user_id in &subject.user_ids {
        push_value(names, &USER_ID, user_id);
    }
}

/// Several values in one RDN: a SET OF, which DER sorts by encoding (X.690, 11.6).
fn push_values(names: &mut Vec<u8>, oid: &ObjectIdentifier, values: &[String]) {
    match values {
        [] => {}
        [value] => push_value(names, oid, value),
        values => {
            let mut encoded: Vec<_> =
                values.iter().map(|value| der_of(&attribute(oid, value))).collect();
            encoded.sort_unstable();
            append(names, &TaggedValue::of(tag::SET, &encoded.concat()));
        }
    }
}

fn push_value(names: &mut Vec<u8>, oid: &ObjectIdentifier, value: &str) {
    append(names, &TaggedValue::new(tag::SET, attribute(oid, value)));
}

fn attribute<'a>(oid: &'a ObjectIdentifier, value: &'a str) -> AttributeTypeAndValue<'a> {
    let tag = if is_printable(value) { tag::PRINTABLE_STRING } else { tag::UTF8_STRING };
    AttributeTypeAndValue { oid, value: TaggedValue::of(tag, value.as_bytes()) }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte))
}

/// The attributes that are read from the subject of a CSR or an imported certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ca) struct Attributes {
    /// The last common name, as in Go.
    pub(in crate::ca) common_name: String,
    /// The last attribute serialNumber.
    pub(in crate::ca) serial_number: String,
    /// Every user id.
    pub(in crate::ca) user_ids: Vec<String>,
    /// Every e-mail address (PKCS#9).
    pub(in crate::ca) email_addresses: Vec<String>,
}

/// The RDNs of a `Name`, each with sorted attributes, in a form in which equal names are equal
/// values: text in lower case and with single blanks (RFC 5280, 7.1), other values as bytes.
pub(in crate::ca) type Comparable = Vec<Vec<(ObjectIdentifier, Vec<u8>)>>;

/// Reads the content of a `Name` for comparisons.
pub(in crate::ca) fn comparable(content: &[u8]) -> Result<Comparable, DerError> {
    let mut names = DerReader::new(content);
    let mut found = Vec::new();
    while !names.is_empty() {
        let mut set =
            DerReader::new(names.expect(tag::SET, "pkix.RelativeDistinguishedNameSET")?.content);
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let mut pair = set.sequence("pkix.AttributeTypeAndValue")?;
            let (oid, value) = (pair.oid()?, pair.any()?);
            pair.end()?;
            let plain = match text(value.tag, value.content)? {
                Some(text) => comparable_text(&text),
                None => value.whole.to_vec(),
            };
            attributes.push((oid, plain));
        }
        attributes.sort();
        found.push(attributes);
    }
    Ok(found)
}

fn comparable_text(text: &str) -> Vec<u8> {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ").into_bytes()
}

/// The same for the DER of a `Name`.
pub(in crate::ca) fn comparable_name(der: &[u8]) -> Result<Comparable, DerError> {
    comparable(name_content(der)?)
}

/// Is the `Name` exactly this common name (compared as RFC 5280, 7.1 requires)?
pub(in crate::ca) fn is_common_name(der: &[u8], common_name: &str) -> bool {
    let words = comparable_text(common_name);
    comparable_name(der).is_ok_and(|names| names == [[(COMMON_NAME, words)]])
}

/// Reads the DER of a `Name`.
pub(in crate::ca) fn read_name(der: &[u8]) -> Result<Attributes, DerError> {
    read(name_content(der)?)
}

fn name_content(der: &[u8]) -> Result<&[u8], DerError> {
    let mut outer = DerReader::new(der);
    let name = outer.expect(tag::SEQUENCE, "pkix.RDNSequence")?;
    outer.end()?;
    Ok(name.content)
}

/// Why a `Name` of a CSR or of an imported certificate must not be used, if so. Every value must be
/// text without control characters, no RDN may be empty, and the values of a SET must be in order
/// (X.690, 11.6).
pub(in crate::ca) fn find_defect(content: &[u8]) -> Result<Option<&'static str>, DerError> {
    let mut names = DerReader::new(content);
    while !names.is_empty() {
        let set = names.expect(tag::SET, "pkix.RelativeDistinguishedNameSET")?.content;
        if set.is_empty() {
            return Ok(Some("an RDN is empty"));
        }
        let mut set = DerReader::new(set);
        let mut last: &[u8] = &[];
        while !set.is_empty() {
            let whole = set.expect(tag::SEQUENCE, "pkix.AttributeTypeAndValue")?;
            if whole.whole <= last {
                return Ok(Some("the values of an RDN are not in order"));
            }
            last = whole.whole;
            let mut pair = DerReader::new(whole.content);
            let (_, value) = (pair.oid()?, pair.any()?);
            pair.end()?;
            if !has_characters_of_its_type(value.tag, value.content) {
                return Ok(Some("a value contains a character that its type does not allow"));
            }
            match text(value.tag, value.content)? {
                Some(text) if first_control(&text).is_some() => {
                    return Ok(Some("a value contains a control character"));
                }
                // X.520: a DirectoryString has at least one character.
                Some(text) if text.is_empty() => return Ok(Some("a value is empty")),
                Some(_) => {}
                None => return Ok(Some("a value is not text")),
            }
        }
    }
    Ok(None)
}

/// Reads the content of a `Name`.
pub(in crate::ca) fn read(content: &[u8]) -> Result<Attributes, DerError> {
    let mut attributes = Attributes::default();
    let mut names = DerReader::new(content);
    while !names.is_empty() {
        let mut set =
            DerReader::new(names.expect(tag::SET, "pkix.RelativeDistinguishedNameSET")?.content);
        while !set.is_empty() {
            let mut pair = set.sequence("pkix.AttributeTypeAndValue")?;
            let oid = pair.oid()?;
            let value = pair.any()?;
            pair.end()?;
            let Some(value) = text(value.tag, value.content)? else { continue };
            match oid {
                COMMON_NAME => attributes.common_name = value,
                SERIAL_NUMBER => attributes.serial_number = value,
                USER_ID => attributes.user_ids.push(value),
                EMAIL_ADDRESS => attributes.email_addresses.push(value),
                _ => {}
            }
        }
    }
    Ok(attributes)
}

/// The first control character in any attribute of the content of a `Name`.
pub(in crate::ca) fn first_control_in(content: &[u8]) -> Result<Option<char>, DerError> {
    let mut names = DerReader::new(content);
    while !names.is_empty() {
        let mut set =
            DerReader::new(names.expect(tag::SET, "pkix.RelativeDistinguishedNameSET")?.content);
        while !set.is_empty() {
            let mut pair = set.sequence("pkix.AttributeTypeAndValue")?;
            pair.oid()?;
            let value = pair.any()?;
            let is_plain = matches!(value.tag, tag::UTF8_STRING | tag::PRINTABLE_STRING)
                && value.content.iter().all(|byte| (0x20..0x7f).contains(byte));
            let found = if is_plain {
                None
            } else if value.tag == UNIVERSAL_STRING {
                universal(value.content).find(|character| is_control(*character))
            } else {
                text(value.tag, value.content)?.as_deref().and_then(first_control)
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

const UNIVERSAL_STRING: u8 = 0x1c;

/// The characters of a UniversalString: four bytes each.
fn universal(content: &[u8]) -> impl Iterator<Item = char> {
    content.chunks(4).filter_map(|unit| {
        let bytes = <[u8; 4]>::try_from(unit).ok()?;
        char::from_u32(u32::from_be_bytes(bytes))
    })
}

/// X.680, 41: strict parsers reject other characters. A T61String must be ASCII, since parsers
/// differ about its other characters, and a BMPString must not contain surrogates.
fn has_characters_of_its_type(found: u8, content: &[u8]) -> bool {
    match found {
        tag::PRINTABLE_STRING => content
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte)),
        tag::IA5_STRING | T61_STRING => content.is_ascii(),
        tag::BMP_STRING => !content.chunks_exact(2).any(|pair| matches!(pair, [0xd8..=0xdf, _])),
        NUMERIC_STRING => content.iter().all(|byte| byte.is_ascii_digit() || *byte == b' '),
        _ => true,
    }
}

const NUMERIC_STRING: u8 = 0x12;
const T61_STRING: u8 = 0x14;

/// The text of a string type; `None` for other types.
fn text(tag: u8, content: &[u8]) -> Result<Option<String>, DerError> {
    match tag {
        tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING | NUMERIC_STRING => {
            std::str::from_utf8(content)
                .map(|text| Some(text.to_owned()))
                .map_err(|_| DerError::Value("invalid UTF-8 string"))
        }
        T61_STRING => Ok(Some(content.iter().copied().map(char::from).collect())),
        tag::BMP_STRING => {
            let units = content.chunks_exact(2);
            if !units.remainder().is_empty() {
                return Err(DerError::Value("invalid BMPString"));
            }
            let units = units.map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            });
            Ok(Some(char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect()))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use der::{Decode, Encode};
    use x509_cert::name::Name;

    use super::*;

    fn encode(subject: Subject) -> Vec<u8> {
        super::encode(&SubjectName::Composed(subject)).into_owned()
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn an_empty_subject_is_an_empty_sequence() {
        assert_eq!(encode(Subject::default()), EMPTY);
    }

    #[test]
    fn attributes_have_the_order_of_vault() {
        let der = encode(Subject {
            country: list(&["DE"]),
            organization: list(&["O"]),
            organizational_unit: list(&["U2", "U1"]),
            locality: list(&["L"]),
            province: list(&["P"]),
            street_address: list(&["S"]),
            postal_code: list(&["1"]),
            common_name: "*.example.org".to_owned(),
            serial_number: "SN-1".to_owned(),
            user_ids: list(&["b", "a"]),
        });
        let name = Name::from_der(&der).unwrap();
        assert_eq!(name.to_der().unwrap(), der);
        let oids: Vec<_> = name.iter_rdn().map(|rdn| rdn.iter().next().unwrap().oid).collect();
        assert_eq!(
            oids,
            [
                COUNTRY,
                PROVINCE,
                LOCALITY,
                STREET,
                POSTAL_CODE,
                ORGANIZATION,
                ORGANIZATIONAL_UNIT,
                COMMON_NAME,
                SERIAL_NUMBER,
                USER_ID,
                USER_ID
            ]
        );
        let units = name.iter_rdn().nth(6).unwrap();
        assert_eq!(units.iter().map(|unit| unit.value.value()).collect::<Vec<_>>(), [b"U1", b"U2"]);
    }

    #[test]
    fn characters_outside_printable_string_are_encoded_as_utf8() {
        for (text, tag) in [
            ("a.example.org", tag::PRINTABLE_STRING),
            ("Acme (x)=?", tag::PRINTABLE_STRING),
            ("*.example.org", tag::UTF8_STRING),
            ("a@b", tag::UTF8_STRING),
            ("a_b", tag::UTF8_STRING),
            ("A&B", tag::UTF8_STRING),
            ("Bücher", tag::UTF8_STRING),
        ] {
            let der = encode(Subject { common_name: text.to_owned(), ..Subject::default() });
            assert_eq!(der[11], tag, "{text}");
        }
    }

    #[test]
    fn a_control_character_is_found_in_every_attribute_and_string_type() {
        for (tag, value) in [
            (tag::UTF8_STRING, &b"a\0b"[..]),
            (tag::UTF8_STRING, "a\u{202e}b".as_bytes()),
            (tag::PRINTABLE_STRING, b"a\nb"),
            (tag::IA5_STRING, b"a\x7fb"),
            (0x14, b"a\x85b"),
            (tag::BMP_STRING, b"\0a\0\0\0b"),
            (UNIVERSAL_STRING, b"\0\0\0a\0\0\0\x08"),
        ] {
            for oid in [COMMON_NAME, ORGANIZATIONAL_UNIT, USER_ID] {
                let mut names = Vec::new();
                push_value(&mut names, &COUNTRY, "DE");
                let value = TaggedValue::of(tag, value);
                let attribute = AttributeTypeAndValue { oid: &oid, value };
                append(&mut names, &TaggedValue::new(tag::SET, attribute));
                let found = first_control_in(&names).unwrap();
                assert!(found.is_some(), "{tag:#x} {value:?}");
            }
        }
        let mut names = Vec::new();
        push_value(&mut names, &COMMON_NAME, "Bücher");
        assert_eq!(first_control_in(&names), Ok(None));
    }

    #[test]
    fn the_last_common_name_counts() {
        let mut names = Vec::new();
        push_value(&mut names, &COMMON_NAME, "first");
        push_value(&mut names, &COMMON_NAME, "last");
        push_value(&mut names, &USER_ID, "u");
        let read = read(&names).unwrap();
        assert_eq!(read.common_name, "last");
        assert_eq!(read.user_ids, ["u"]);
    }
}
