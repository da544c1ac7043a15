//! One good and one bad certificate for each rule.

use crate::ca::oid::ObjectIdentifier;

use super::*;
use crate::ca::asn1::{TaggedValue, encode, tag};
use crate::ca::cert::compose;
use crate::ca::certificate::Certificate;
use crate::ca::crl::{CrlEntries, CrlValues, compose_crl};
use crate::ca::for_tests::{self, NOW};
use crate::ca::key::{KeyKind, SignatureAlgorithm, SignatureHash};
use crate::ca::permit::{
    AlternativeNames, BasicConstraints, KeyUsage, OtherName, Permit, RawExtension, Subject,
    SubjectName, Template,
};
use crate::ca::request::{RequestValues, compose_request};

const ISSUER: IssuerView<'static> = IssuerView {
    subject: &[0x30, 13, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, b'C', b'A'],
    key_identifier: Some(&[0xaa; 20]),
    key_kind: KeyKind::Ed25519,
    not_after: NOW,
};

fn composed(template: Template) -> Tbs {
    let serial = for_tests::serial(&template);
    compose(Permit::new(template, Vec::new()), &ISSUER, &for_tests::known_key(), serial).unwrap()
}

fn signer() -> SigningIssuer<'static> {
    SigningIssuer {
        subject: ISSUER.subject,
        key_identifier: ISSUER.key_identifier,
        key_kind: ISSUER.key_kind,
    }
}

/// The names of the rules that these bytes break, refusing ones and others.
fn broken(der: &[u8]) -> Vec<&'static str> {
    let findings = match check(der, Some(signer()), &[]) {
        Ok(notices) => notices,
        Err(refused) => refused.as_slice().to_vec(),
    };
    findings.into_iter().map(|finding| finding.rule).collect()
}

fn broken_by(change: impl FnOnce(&mut Template)) -> Vec<&'static str> {
    let mut template = for_tests::leaf();
    change(&mut template);
    broken(composed(template).der())
}

/// The good leaf with some bytes in place of others of the same length.
fn broken_with(from: &[u8], to: &[u8]) -> Vec<&'static str> {
    let mut der = composed(for_tests::leaf()).der().to_vec();
    let at = der.windows(from.len()).position(|window| window == from).unwrap();
    der[at..at + to.len()].copy_from_slice(to);
    broken(&der)
}

fn verbatim(template: &mut Template, oid: &str, critical: bool, value: &[u8]) {
    let oid = ObjectIdentifier::new_unwrap(oid);
    let value = value.to_vec();
    template.verbatim_extensions.push(RawExtension { oid, critical, value });
}

#[test]
fn the_good_leaf_and_the_good_authority_break_nothing() {
    assert_eq!(broken_by(|_| {}), [""; 0]);
    assert_eq!(broken(composed(for_tests::authority("middle")).der()), [""; 0]);
}

#[test]
fn bytes_that_do_not_read_break_the_first_rule() {
    let der = composed(for_tests::leaf()).der().to_vec();
    assert_eq!(broken(&der[..der.len() - 1]), ["reads_as_der"]);
}

#[test]
fn version_2_is_refused() {
    assert_eq!(broken_with(&[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1]), ["version_is_3"]);
}

#[test]
fn a_negative_serial_number_is_refused() {
    let serial = for_tests::serial(&for_tests::leaf());
    let first = serial.as_bytes()[0];
    assert_eq!(broken_with(&[2, 20, first], &[2, 20, 0x81]), ["serial_is_positive_and_short"]);
}

#[test]
fn a_serial_number_of_another_shape_is_refused() {
    let serial = for_tests::serial(&for_tests::leaf());
    let [first, second, ..] = *serial.as_bytes();
    let long = broken_with(&[2, 20, first, second], &[2, 20, 0, 0x80]);
    assert_eq!(long, ["serial_has_the_form_of_signet"]);
}

#[test]
fn an_end_before_the_beginning_is_refused() {
    assert_eq!(broken_by(|leaf| leaf.not_after = NOW.plus(-31)), ["validity_is_in_order"]);
}

#[test]
fn another_issuer_is_refused() {
    assert_eq!(broken_with(&[2, b'C', b'A'], &[2, b'C', b'B']), ["issuer_is_the_signer"]);
}

#[test]
fn an_extension_that_occurs_twice_is_refused() {
    let twice = |leaf: &mut Template| {
        verbatim(leaf, "1.2.3.4", false, &[5, 0]);
        verbatim(leaf, "1.2.3.4", false, &[5, 0]);
    };
    assert_eq!(broken_by(twice), ["extensions_occur_once"]);
}

#[test]
fn names_without_subject_must_be_critical() {
    let name = TaggedValue::of(tag::implicit(2), b"a");
    let names = encode(&TaggedValue::new(tag::SEQUENCE, name));
    let change = |critical| {
        let names = names.clone();
        move |leaf: &mut Template| {
            leaf.subject = for_tests::composed("");
            verbatim(leaf, "2.5.29.17", critical, &names);
        }
    };
    assert_eq!(broken_by(change(true)), [""; 0]);
    assert_eq!(broken_by(change(false)), ["names_are_critical_without_subject"]);
}

#[test]
fn an_empty_list_of_names_is_refused() {
    let change = |leaf: &mut Template| verbatim(leaf, "2.5.29.17", false, &[0x30, 0]);
    assert_eq!(broken_by(change), ["names_are_not_empty"]);
}

#[test]
fn another_authority_key_identifier_is_refused() {
    assert_eq!(broken_with(&[0xaa; 20], &[0xab; 20]), ["signer_is_identified"]);
}

#[test]
fn an_authority_that_may_not_sign_is_refused() {
    let template = Template { key_usage: KeyUsage::CRL_SIGN, ..for_tests::authority("middle") };
    assert_eq!(broken(composed(template).der()), ["authority_may_sign"]);
}

#[test]
fn a_certificate_without_subject_key_identifier_is_refused() {
    // The OID 2.5.29.14 becomes 2.5.29.99.
    let mut der = composed(for_tests::authority("middle")).der().to_vec();
    let at = der.windows(5).position(|window| window == [6, 3, 0x55, 0x1d, 14]).unwrap();
    der[at + 4] = 99;
    assert_eq!(broken(&der), ["authority_is_identified", "subject_key_is_identified"]);
}

#[test]
fn a_path_length_on_a_leaf_is_refused() {
    let change = |leaf: &mut Template| {
        leaf.names.uri.clear();
        verbatim(leaf, "2.5.29.19", true, &[0x30, 3, 2, 1, 0]);
    };
    assert_eq!(broken_by(change), ["path_length_needs_an_authority"]);
}

#[test]
fn an_algorithm_that_does_not_match_the_signer_is_refused() {
    assert_eq!(
        broken_with(&[0x2b, 0x65, 0x70], &[0x2b, 0x65, 0x71]),
        ["algorithm_fits_the_signer"]
    );
}

#[test]
fn an_svid_without_basic_constraints_is_refused_another_leaf_is_not() {
    let absent = |leaf: &mut Template| leaf.basic_constraints = BasicConstraints::Absent;
    assert_eq!(broken_by(absent), ["svid_is_not_an_authority"]);
    let plain = |leaf: &mut Template| {
        leaf.basic_constraints = BasicConstraints::Absent;
        leaf.names.uri = vec!["https://example.com/x".to_owned()];
    };
    assert_eq!(broken_by(plain), [""; 0]);
}

#[test]
fn an_svid_that_signs_certificates_is_refused_another_leaf_is_not() {
    for usage in [KeyUsage::KEY_CERT_SIGN, KeyUsage::CRL_SIGN] {
        let svid = |leaf: &mut Template| leaf.key_usage = leaf.key_usage.with(usage);
        assert_eq!(broken_by(svid), ["svid_signs_no_certificates"]);
        let plain = |leaf: &mut Template| {
            leaf.key_usage = leaf.key_usage.with(usage);
            leaf.names = AlternativeNames::default();
        };
        assert_eq!(broken_by(plain), [""; 0]);
    }
}

#[test]
fn a_leaf_below_the_svid_profile_gets_notices_and_is_not_refused() {
    let notices = |change: fn(&mut Template)| {
        let mut template = for_tests::leaf();
        change(&mut template);
        let linted = lint(composed(template), &ISSUER).unwrap();
        linted.notices().iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!(notices(|_| {}), [""; 0]);
    assert_eq!(
        notices(|leaf| leaf.key_usage = KeyUsage::default()),
        ["svid_key_usage_is_critical", "svid_makes_signatures"]
    );
    assert_eq!(notices(|leaf| leaf.key_usage = KeyUsage::KEY_AGREEMENT), ["svid_makes_signatures"]);
    assert_eq!(
        notices(|leaf| leaf.extended_key_usage = vec![for_tests::CLIENT_AUTH]),
        ["svid_serves_and_calls"]
    );
    assert_eq!(notices(|leaf| leaf.extended_key_usage.clear()), ["svid_serves_and_calls"]);
    for second in ["spiffe://example.com/second", "https://example.com/x"] {
        let mut template = for_tests::leaf();
        template.names.uri.push(second.to_owned());
        let linted = lint(composed(template), &ISSUER).unwrap();
        assert_eq!(linted.notices()[0].rule, "svid_is_the_only_uri", "{second}");
    }
}

#[test]
fn a_list_signed_by_another_kind_of_key_is_refused() {
    let (root, _) = for_tests::root("root");
    let values = |algorithm| CrlValues {
        number: 1,
        this_update: NOW,
        next_update: NOW.plus(3600),
        algorithm,
        freshest_crl: &[],
    };
    let mut entries = CrlEntries::default();
    entries.push(&[1, 2], NOW).unwrap();
    let view = Certificate::issuer_view(&root);
    let good =
        compose_crl(&view, &values(SignatureAlgorithm::Ecdsa(SignatureHash::Sha256)), &entries);
    assert!(lint_crl(good.unwrap(), &view).is_ok());
    let bad = compose_crl(&view, &values(SignatureAlgorithm::Ed25519), &entries).unwrap();
    let findings = lint_crl(bad, &view).unwrap_err();
    assert_eq!(findings.to_string(), "algorithm_fits_the_signer (RFC 5280, 5.1.1.2)");
    assert!(findings.is_internal());
    let view = IssuerView { key_identifier: None, ..view };
    let bad =
        compose_crl(&view, &values(SignatureAlgorithm::Ecdsa(SignatureHash::Sha256)), &entries);
    let findings = lint_crl(bad.unwrap(), &view).unwrap_err();
    assert_eq!(findings.to_string(), "list_names_its_key (RFC 5280, 5.2.1)");
    assert!(!findings.is_internal(), "an imported certificate can lack its identifier");
}

#[test]
fn a_composed_request_breaks_nothing() {
    let values = RequestValues {
        subject: for_tests::composed("middle"),
        names: AlternativeNames::default(),
        basic_constraints: true,
        key_usage: KeyUsage::default(),
    };
    let key = for_tests::known_key();
    let request = compose_request(&values, &key, SignatureAlgorithm::Ed25519).unwrap();
    assert!(lint_request(request).is_ok());
}

#[test]
fn an_unreadable_extension_of_a_csr_is_to_be_fixed_by_the_caller() {
    let mut template = for_tests::leaf();
    verbatim(&mut template, "2.5.29.15", true, &[5, 0]);
    assert!(!lint(composed(template), &ISSUER).unwrap_err().is_internal());
    let findings = check(&[0x30, 0], Some(signer()), &[]).unwrap_err();
    assert!(findings.is_internal(), "no extension of a CSR is in it");
}

#[test]
fn findings_are_internal_only_if_signet_alone_can_fix_all_of_them() {
    let found = |change: fn(&mut Template)| {
        let mut template = for_tests::leaf();
        change(&mut template);
        lint(composed(template), &ISSUER).unwrap_err()
    };
    let usage = found(|leaf| leaf.key_usage = leaf.key_usage.with(KeyUsage::CRL_SIGN));
    assert!(!usage.is_internal());
    assert_eq!(
        usage.describe("role web"),
        "an SVID asserts neither keyCertSign nor cRLSign (X509-SVID, 4.3); leave CertSign and CRLSign out of key_usage of role web"
    );
    let order = found(|leaf| leaf.not_after = NOW.plus(-31));
    assert!(!order.is_internal());
    assert_eq!(
        order.describe("role web"),
        "notBefore is not later than notAfter (RFC 5280, 4.1.2.5)"
    );
    let ours = found(|leaf| leaf.basic_constraints = BasicConstraints::Absent);
    assert!(ours.is_internal());
    let both = found(|leaf| {
        leaf.basic_constraints = BasicConstraints::Absent;
        leaf.key_usage = leaf.key_usage.with(KeyUsage::KEY_CERT_SIGN);
    });
    assert!(!both.is_internal() && !both.describe("x").contains("CA:FALSE"));
}

#[test]
fn a_uri_of_the_scheme_spiffe_that_is_not_an_id_is_refused() {
    for uri in [
        "spiffe://example.com",
        "spiffe://example.com/a%2fb",
        "spiffe://example.com/%2e%2e/b",
        "spiffe://example.com/a b",
        "SPIFFE://example.com/a",
        "spiffe:a",
        "spiffe://user@example.com/a",
    ] {
        for beside in [false, true] {
            let broken = broken_by(|leaf| {
                leaf.names.uri = vec![uri.to_owned()];
                if beside {
                    leaf.names.uri.insert(0, "https://example.com/x".to_owned());
                }
            });
            assert!(broken.contains(&"spiffe_uris_are_ids"), "{uri}: {broken:?}");
        }
    }
    let authority = |uri: &str| {
        let mut template = for_tests::authority("middle");
        template.names.uri = vec![uri.to_owned()];
        broken(composed(template).der())
    };
    assert_eq!(authority("spiffe://example.com"), [""; 0]);
    assert_eq!(authority("spiffe://example.com/a"), ["spiffe_uris_are_ids"]);
}

#[test]
fn a_control_character_is_found_in_every_kind_of_name() {
    let rule = ["names_hold_no_control_characters"];
    assert_eq!(broken_by(|leaf| leaf.names.dns.push("a\0b".to_owned())), rule);
    assert_eq!(broken_by(|leaf| leaf.names.email.push("a\n@b".to_owned())), rule);
    let other = |leaf: &mut Template| {
        let oid = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
        leaf.names.other = vec![OtherName { oid, value: "a\u{85}@b".to_owned() }];
    };
    assert_eq!(broken_by(other), rule);
    let setters: [fn(&mut Subject, String); 10] = [
        |subject, text| subject.common_name = text,
        |subject, text| subject.serial_number = text,
        |subject, text| subject.user_ids.push(text),
        |subject, text| subject.country.push(text),
        |subject, text| subject.organization.push(text),
        |subject, text| subject.organizational_unit.push(text),
        |subject, text| subject.locality.push(text),
        |subject, text| subject.province.push(text),
        |subject, text| subject.street_address.push(text),
        |subject, text| subject.postal_code.push(text),
    ];
    for (number, set) in setters.into_iter().enumerate() {
        for text in ["a\0b", "a\u{202e}b", "ü\u{7f}"] {
            let mut subject = Subject::default();
            set(&mut subject, text.to_owned());
            let with = |leaf: &mut Template| leaf.subject = SubjectName::Composed(subject);
            assert_eq!(broken_by(with), rule, "{number} {text:?}");
        }
    }
}
