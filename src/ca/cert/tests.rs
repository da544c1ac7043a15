use std::net::{IpAddr, Ipv6Addr};

use crate::ca::oid::ObjectIdentifier;
use der::{Decode, Encode};
use proptest::prelude::*;
use x509_cert::certificate::{CertificateInner, Rfc5280, TbsCertificateInner};

use super::*;
use crate::ca::certificate::Certificate;
use crate::ca::for_tests::{self, NOW, Pair};
use crate::ca::key::Curve;
use crate::ca::lint::{lint, lint_self_signed};
use crate::ca::permit::{NameConstraints, OtherName, Policy, RawExtension, SubjectName};

type TbsCertificate = TbsCertificateInner<Rfc5280>;

/// An issuer with known bytes.
const ISSUER: IssuerView<'static> = IssuerView {
    subject: &[0x30, 13, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, b'C', b'A'],
    key_identifier: Some(&[0xaa; 20]),
    key_kind: KeyKind::Ec(Curve::P256),
    not_after: Timestamp::from_unix(2_000_000_000),
};

fn composed(template: Template) -> Tbs {
    let serial = for_tests::serial(&template);
    compose(Permit::new(template, Vec::new()), &ISSUER, &for_tests::known_key(), serial).unwrap()
}

fn parsed(template: Template) -> TbsCertificate {
    TbsCertificate::from_der(composed(template).der()).unwrap()
}

fn extensions_of(template: Template) -> Vec<(String, bool)> {
    let parsed = parsed(template);
    let list = parsed.extensions().unwrap().iter();
    list.map(|extension| (extension.extn_id.to_string(), extension.critical)).collect()
}

/// Every extension at once.
fn full() -> Template {
    let mut template = for_tests::leaf();
    let url = |text: &str| vec![text.to_owned()];
    template.policies =
        vec![Policy { oid: ObjectIdentifier::new_unwrap("1.2.3.4"), cps: None, notice: None }];
    template.name_constraints = Some(NameConstraints {
        permitted_dns: url("example.com"),
        excluded_ip: vec![vec![10, 0, 0, 0, 255, 0, 0, 0]],
        ..NameConstraints::default()
    });
    template.urls.crl_distribution_points = url("http://a/crl");
    template.urls.delta_crl_distribution_points = url("http://a/delta");
    template.urls.issuing_certificates = url("http://a/ca");
    template.urls.ocsp_servers = url("http://a/ocsp");
    template
}

#[test]
fn the_leaf_of_the_golden_file_has_the_same_bytes() {
    let golden = include_str!("golden_leaf.hex");
    let hex: String = golden.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(data_encoding::HEXLOWER.encode(composed(for_tests::leaf()).der()), hex);
}

#[test]
fn extensions_have_the_order_of_vault() {
    let expected = [
        ("2.5.29.15", true),
        ("2.5.29.37", false),
        ("2.5.29.19", true),
        ("2.5.29.14", false),
        ("2.5.29.35", false),
        ("1.3.6.1.5.5.7.1.1", false),
        ("2.5.29.17", false),
        ("2.5.29.32", false),
        ("2.5.29.30", true),
        ("2.5.29.31", false),
        ("2.5.29.46", false),
    ];
    assert_eq!(extensions_of(full()), expected.map(|(oid, critical)| (oid.to_owned(), critical)));
}

#[test]
fn other_names_and_policy_qualifiers_come_after_other_extensions() {
    let mut template = full();
    let oid = ObjectIdentifier::new_unwrap("1.2.3");
    template.names.other = vec![OtherName { oid, value: "x".to_owned() }];
    template.policies[0].cps = Some("http://a/cps".to_owned());
    template.policies[0].notice = Some("Ünïcode".to_owned());
    let order: Vec<_> = extensions_of(template).into_iter().map(|(oid, _)| oid).collect();
    assert_eq!(order[6..], ["2.5.29.30", "2.5.29.31", "2.5.29.17", "2.5.29.32", "2.5.29.46"]);
}

#[test]
fn an_extension_of_the_csr_replaces_the_default_one_and_comes_last() {
    let mut template = for_tests::leaf();
    let value = vec![3, 2, 7, 0x80];
    let oid = ObjectIdentifier::new_unwrap("2.5.29.15");
    template.verbatim_extensions = vec![RawExtension { oid, critical: false, value }];
    let found = extensions_of(template);
    assert_eq!(found.last(), Some(&("2.5.29.15".to_owned(), false)));
    assert_eq!(found.iter().filter(|(oid, _)| oid == "2.5.29.15").count(), 1);
}

#[test]
fn names_are_critical_when_the_subject_is_empty() {
    let template = Template { subject: for_tests::composed(""), ..for_tests::leaf() };
    assert!(extensions_of(template).contains(&("2.5.29.17".to_owned(), true)));
}

#[test]
fn basic_constraints_have_the_bytes_of_vault() {
    let value = |basic_constraints| {
        let template = Template { basic_constraints, ..for_tests::leaf() };
        let parsed = parsed(template);
        let oid = ObjectIdentifier::new_unwrap("2.5.29.19");
        let mut list = parsed.extensions().unwrap().iter();
        list.find(|found| found.extn_id == oid).map(|found| found.extn_value.as_bytes().to_vec())
    };
    assert_eq!(value(BasicConstraints::Absent), None);
    assert_eq!(value(BasicConstraints::EndEntity), Some(vec![0x30, 0]));
    assert_eq!(
        value(BasicConstraints::Authority { path_length: None }),
        Some(vec![0x30, 3, 1, 1, 0xff])
    );
    assert_eq!(
        value(BasicConstraints::Authority { path_length: Some(0) }),
        Some(vec![0x30, 6, 1, 1, 0xff, 2, 1, 0])
    );
}

#[test]
fn an_issuer_without_key_identifier_adds_no_authority_key_identifier() {
    let issuer = IssuerView { key_identifier: None, ..ISSUER };
    let permit = Permit::new(for_tests::leaf(), Vec::new());
    let serial = for_tests::serial(permit.template());
    let tbs = compose(permit, &issuer, &for_tests::known_key(), serial).unwrap();
    let parsed = TbsCertificate::from_der(tbs.der()).unwrap();
    let oid = ObjectIdentifier::new_unwrap("2.5.29.35");
    assert!(parsed.extensions().unwrap().iter().all(|found| found.extn_id != oid));
    assert!(lint(tbs, &issuer).is_ok());
}

#[test]
fn a_subject_taken_verbatim_keeps_its_bytes() {
    let subject = SubjectName::Verbatim(ISSUER.subject.to_vec());
    let parsed = parsed(Template { subject, ..for_tests::leaf() });
    assert_eq!(parsed.subject().to_der().unwrap(), ISSUER.subject);
}

#[test]
fn refuses_names_outside_ascii_with_the_text_of_go() {
    for (index, text) in [(0, "ü.example.org"), (1, "ü@example.org"), (2, "spiffe://ü/x")] {
        let mut template = for_tests::leaf();
        let names = &mut template.names;
        [&mut names.dns, &mut names.email, &mut names.uri][index].push(text.to_owned());
        let serial = for_tests::serial(&template);
        let permit = Permit::new(template, Vec::new());
        let error = compose(permit, &ISSUER, &for_tests::known_key(), serial).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("x509: \"{text}\" cannot be encoded as an IA5String")
        );
    }
}

#[test]
fn refuses_the_year_10000() {
    let template =
        Template { not_after: Timestamp::from_unix(253_402_300_800), ..for_tests::leaf() };
    let serial = for_tests::serial(&template);
    let permit = Permit::new(template, Vec::new());
    let result = compose(permit, &ISSUER, &for_tests::known_key(), serial);
    assert!(matches!(result, Err(ComposeError::Instant(_))));
}

#[test]
fn a_root_names_itself_and_verifies_itself() {
    let (root, pair) = for_tests::root("root");
    assert!(root.is_self_issued() && root.is_authority());
    assert!(root.verify_signed_by(&pair.public));
    assert_eq!(root.authority_key_identifier(), root.subject_key_identifier());
    assert_eq!(root.subject_key_identifier(), Some(&pair.public.key_identifier()[..]));
}

#[test]
fn webpki_accepts_the_chain() {
    use rustls_pki_types::{CertificateDer, UnixTime};
    use webpki::{EndEntityCert, KeyUsage as Purpose, anchor_from_trusted_cert};

    let (root, root_pair) = for_tests::root("root");
    let pair = Pair::generate();
    let middle = for_tests::intermediate("middle", &pair, &root, &root_pair);
    let own = Pair::generate();
    let tbs = for_tests::under(for_tests::leaf(), &middle, &own.public);
    let leaf = pair.sign(lint(tbs, &middle.issuer_view()).unwrap());
    let root_der = CertificateDer::from(root.der());
    let leaf_der = CertificateDer::from(leaf.der());
    let anchors = [anchor_from_trusted_cert(&root_der).unwrap()];
    let leaf = EndEntityCert::try_from(&leaf_der).unwrap();
    leaf.verify_for_usage(
        &[webpki::aws_lc_rs::ECDSA_P256_SHA256],
        &anchors,
        &[CertificateDer::from(middle.der())],
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.unix().unsigned_abs())),
        Purpose::client_auth(),
        None,
        None,
    )
    .unwrap();
}

prop_compose! {
    fn any_template()(
        common_name in "[ -~äöü]{0,40}",
        organization in prop::collection::vec("\\PC{1,20}", 0..4),
        dns in prop::collection::vec("[a-z*.-]{1,80}", 0..4),
        uri in prop::collection::vec("[a-z]{1,8}://[ -~]{0,200}", 0..3),
        ip in prop::collection::vec(any::<u128>(), 0..3),
        usage in 0_u16..512,
        seconds in 0_i64..200_000_000_000,
        empty in any::<bool>(),
    ) -> Template {
        let mut template = for_tests::leaf();
        if let SubjectName::Composed(subject) = &mut template.subject {
            subject.common_name = if empty { String::new() } else { common_name };
            subject.organization = organization;
        }
        template.names.dns = dns;
        template.names.uri = uri;
        template.names.ip = ip.into_iter().map(|bits| IpAddr::V6(Ipv6Addr::from(bits))).collect();
        template.key_usage = crate::ca::permit::KeyUsage(usage);
        template.not_after = template.not_before.plus(seconds);
        template
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_composed_reads_back(template in any_template()) {
        let tbs = composed(template.clone());
        let decoded = TbsCertificate::from_der(tbs.der()).unwrap();
        prop_assert_eq!(decoded.to_der().unwrap(), tbs.der());
        let pair = Pair::generate();
        let serial = for_tests::serial(&template);
        let tbs = compose_self_signed(Permit::new(template.clone(), Vec::new()), &pair.public, serial);
        if let Ok(linted) = lint_self_signed(tbs.unwrap()) {
            let signed = pair.sign(linted);
            CertificateInner::<Rfc5280>::from_der(signed.der()).unwrap();
            let read = Certificate::parse(signed.der()).unwrap();
            prop_assert!(read.verify_signed_by(&pair.public));
            prop_assert_eq!(&read.names().dns, &template.names.dns);
            prop_assert_eq!(&read.names().uri, &template.names.uri);
            prop_assert_eq!(read.not_after(), template.not_after.whole());
            prop_assert_eq!(read.serial(), serial.as_bytes());
            prop_assert_eq!(read.key_usage().unwrap_or_default(), template.key_usage);
        }
    }
}
