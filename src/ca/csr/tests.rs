use proptest::prelude::*;

use super::*;
use crate::ca::asn1::{TaggedValue, Verbatim, append, encode};
use crate::ca::for_tests::{self, Pair};
use crate::ca::key::{Curve, SignatureHash};
use crate::ca::lint::lint_request;
use crate::ca::permit::KeyUsage;
use crate::ca::request::{RequestValues, compose_request};

/// A CSR that a real client sent, by its name in `recorded.txt`.
fn recorded(name: &str) -> Vec<u8> {
    let line = include_str!("recorded.txt")
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(found, _)| *found == name));
    data_encoding::BASE64.decode(line.unwrap().1.as_bytes()).unwrap()
}

fn error(name: &str) -> String {
    ParsedCsr::parse(&recorded(name)).and_then(ParsedCsr::verify).unwrap_err().to_string()
}

#[test]
fn reads_and_verifies_every_kind_of_key() {
    for (name, kind) in [
        ("ec256", KeyKind::Ec(Curve::P256)),
        ("ec384", KeyKind::Ec(Curve::P384)),
        ("ec521", KeyKind::Ec(Curve::P521)),
        ("rsa1024", KeyKind::Rsa(1024)),
        ("rsa2048", KeyKind::Rsa(2048)),
        ("ed25519", KeyKind::Ed25519),
        ("sha512", KeyKind::Ec(Curve::P256)),
    ] {
        let parsed = ParsedCsr::parse(&recorded(name)).unwrap();
        assert_eq!(parsed.key_kind(), kind, "{name}");
        assert_eq!(parsed.verify().unwrap().public_key().kind(), kind, "{name}");
    }
}

#[test]
fn p224_is_read_so_that_it_can_be_refused_by_name() {
    let parsed = ParsedCsr::parse(&recorded("ec224")).unwrap();
    assert_eq!(parsed.key_kind(), KeyKind::Ec(Curve::P224));
}

#[test]
fn refuses_broken_requests_with_the_texts_of_vault() {
    for (name, text) in [
        (
            "ed448",
            "Refusing to sign CSR with empty PublicKey. This usually means the \
             SubjectPublicKeyInfo field has an OID not recognized by Go, such as \
             1.2.840.113549.1.1.10 for rsaPSS.",
        ),
        ("k256", "certificate request could not be parsed: x509: unsupported elliptic curve"),
        (
            "bad_signature",
            "certificate request could not be parsed: ecdsa: invalid uncompressed public key",
        ),
        ("bad_signature2", "request signature invalid"),
        (
            "trunc",
            "certificate request could not be parsed: asn1: syntax error: truncated tag or length",
        ),
        (
            "empty_pem",
            "certificate request could not be parsed: asn1: syntax error: sequence truncated",
        ),
        (
            "pubkey",
            "certificate request could not be parsed: asn1: structure error: tags don't match (2 \
             vs {class:0 tag:6 length:7 isCompound:false}) {optional:false explicit:false \
             application:false private:false defaultValue:<nil> tag:<nil> stringType:0 \
             timeType:0 set:false omitEmpty:false} int @2",
        ),
    ] {
        assert_eq!(error(name), text, "{name}");
    }
}

#[test]
fn a_hundred_thousand_extensions_are_read_in_linear_time() {
    let attribute = |count: u32| {
        let mut list = Vec::new();
        for arc in 0..count {
            let oid = ObjectIdentifier::new(&format!("1.3.{}", arc % 100_000)).unwrap();
            extensions::extension(&mut list, &oid, false, Verbatim(&[]));
        }
        let mut attribute = encode(&EXTENSION_REQUEST);
        let list = TaggedValue::of(tag::SEQUENCE, &list);
        append(&mut attribute, &TaggedValue::new(tag::SET, list));
        encode(&TaggedValue::of(tag::SEQUENCE, &attribute))
    };
    assert_eq!(requested_extensions(&attribute(100_000)).unwrap().len(), 100_000);
    let twice = requested_extensions(&attribute(100_001)).unwrap_err().to_string();
    assert!(twice.ends_with("contains duplicate requested extensions"), "{twice}");
}

#[test]
fn reads_names_of_every_kind() {
    let parsed = ParsedCsr::parse(&recorded("cn_all")).unwrap();
    let names = parsed.names();
    assert_eq!(parsed.common_name(), "a.example.org");
    assert!(!names.dns.is_empty() && !names.email.is_empty());
    assert!(!names.ip.is_empty() && !names.uri.is_empty());
    assert!(!parsed.has_unreadable_other_name());
    let two = ParsedCsr::parse(&recorded("cn_two_uri")).unwrap();
    assert_eq!(two.names().uri.len(), 2);
    assert_eq!(ParsedCsr::parse(&recorded("nocn")).unwrap().common_name(), "");
}

#[test]
fn lists_the_requested_extensions() {
    let custom = ParsedCsr::parse(&recorded("custom_ext")).unwrap();
    let found: Vec<_> =
        custom.extensions().iter().map(|one| (one.oid.to_string(), one.critical)).collect();
    assert!(found.contains(&("1.2.3.4.5".to_owned(), true)), "{found:?}");
    assert!(ParsedCsr::parse(&recorded("ca")).unwrap().has_basic_constraints());
    assert!(!custom.has_basic_constraints());
}

fn own(uri: &str) -> (Vec<u8>, Pair) {
    let pair = Pair::generate();
    let mut names = AlternativeNames::default();
    if !uri.is_empty() {
        names.uri.push(uri.to_owned());
    }
    let values = RequestValues {
        subject: for_tests::composed("middle"),
        names,
        basic_constraints: true,
        key_usage: KeyUsage::KEY_CERT_SIGN,
    };
    let algorithm = SignatureAlgorithm::Ecdsa(SignatureHash::Sha256);
    let request = compose_request(&values, &pair.public, algorithm).unwrap();
    (pair.sign(lint_request(request).unwrap()).into_der(), pair)
}

#[test]
fn a_composed_request_reads_back_and_verifies() {
    let (der, pair) = own("spiffe://example.com");
    let parsed = ParsedCsr::parse(&der).unwrap();
    assert_eq!(parsed.common_name(), "middle");
    assert_eq!(parsed.names().uri, ["spiffe://example.com"]);
    assert!(parsed.has_basic_constraints());
    assert_eq!(parsed.extensions().len(), 3);
    let verified = parsed.verify().unwrap();
    assert_eq!(verified.public_key(), &pair.public);
    assert_eq!(verified.parsed().der(), der);
}

#[test]
fn refuses_a_uri_whose_host_is_not_a_domain() {
    let (der, _) = own("https://a..b/x");
    let text = ParsedCsr::parse(&der).unwrap_err().to_string();
    assert!(
        text.starts_with("certificate request could not be parsed: x509: cannot parse URI"),
        "{text}"
    );
}

#[test]
fn refuses_trailing_bytes() {
    let mut der = recorded("ec256");
    der.push(0);
    assert_eq!(
        ParsedCsr::parse(&der).unwrap_err().to_string(),
        "certificate request could not be parsed: asn1: syntax error: trailing data"
    );
}

proptest! {
    #[test]
    fn never_panics_on_a_damaged_request(
        name in prop::sample::select(vec!["ec256", "ed25519", "cn_all", "custom_ext", "spire"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut der = recorded(name);
        for (index, value) in changes {
            let index = index.index(der.len());
            der[index] = value;
        }
        drop(ParsedCsr::parse(&der).and_then(ParsedCsr::verify));
        der.truncate(cut.index(der.len()));
        prop_assert!(ParsedCsr::parse(&der).is_err());
    }

    #[test]
    fn never_panics_on_anything(der in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(ParsedCsr::parse(&der));
        drop(crate::ca::certificate::Certificate::parse(der));
    }
}
