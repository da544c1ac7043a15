//! Extensions, names and subjects of a CSR.

use x509_cert::ext::pkix::{BasicConstraints, NameConstraints, SubjectAltName};

use super::der_by_hand::*;
use super::*;

#[tokio::test]
async fn f10_the_name_constraints_of_a_csr_do_not_replace_those_of_the_caller() {
    let server = server().await;
    let csr = request(&[plain(NAMES, &subtree(0, 0x82, b"evil.example.com"))]);
    for parameter in ["permitted_dns_domains", "excluded_dns_domains"] {
        let mut body = json!({ "csr": csr, "use_csr_values": true });
        body.as_object_mut().unwrap().insert(parameter.to_owned(), json!("example.org"));
        let answer = server.post("pki/root/sign-intermediate", body).await;
        answer.refused(400, "both contain name constraints");
    }
    // Without the parameter they are copied, and always critical.
    let answer = sign_own(&server, &csr).await.ok();
    let (critical, constraints): (bool, NameConstraints) =
        certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
    assert!(critical && constraints.permitted_subtrees.unwrap().len() == 1);
    for value in [
        &[0x30, 0][..],
        &[5, 0],
        &subtree(0, 0x88, &[0x2a]),
        &subtree(0, 0xa0, &[]),
        &subtree(0, 0x87, &[10, 0, 0, 0]),
        &subtree(0, 0x87, &[10, 0, 0, 0, 255, 0, 255, 0]),
        &subtree(2, 0x82, b"a"),
        &sequence(&[&element(0xa0, &[&sequence(&[&[0x82, 1, b'a', 0x80, 1, 1]])])]),
        &[subtree(0, 0x82, b"a"), vec![0]].concat(),
    ] {
        sign_own(&server, &request(&[plain(NAMES, value)])).await.refused(400, "name constraints");
    }
}

#[tokio::test]
async fn f10_parameters_of_the_caller_are_not_replaced_by_the_csr() {
    let server = server().await;
    let usage = sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 3, 1])]);
    let csr = request(&[plain(EKU, &usage), extension(&ce(KEY_USAGE), true, &[3, 2, 0, 0xff])]);
    let body = json!({
        "csr": csr, "use_csr_values": true, "ext_key_usage": "ClientAuth", "key_usage": "CertSign",
        "uri_sans": "spiffe://example.org",
    });
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    let bytes = der(&answer.text("certificate"));
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(&[0x2b, 6, 1, 5, 5, 7, 3, 2]) && !holds(&[0x2b, 6, 1, 5, 5, 7, 3, 1]));
    assert!(holds(&[3, 2, 1, 6]) && !holds(&[3, 2, 0, 0xff]));
    for text in ["extended key usage", "key usage", "uri_sans"] {
        assert!(warned(&answer, text), "{text}: {:?}", answer.warnings());
    }
    let certificate = certificate(&answer);
    assert!(count(&certificate, "2.5.29.37") == 1 && count(&certificate, "2.5.29.15") == 1);
}

#[tokio::test]
async fn f10_an_identifier_with_padding_is_refused() {
    let server = server().await;
    let authority = sequence(&[&[1, 1, 0xff, 2, 1, 9]]);
    for identifier in [&[0x55, 0x1d, 0x80, CONSTRAINTS][..], &[0x80, 0x55, 0x1d, CONSTRAINTS]] {
        let csr = request(&[extension(identifier, true, &authority)]);
        refused_everywhere(&server, &csr, "base 128 integer is not minimally encoded").await;
    }
    let answer = sign_own(&server, &request(&[plain(CONSTRAINTS, &authority)])).await.ok();
    let certificate = certificate(&answer);
    assert_eq!(count(&certificate, "2.5.29.19"), 1);
    let (_, constraints): (bool, BasicConstraints) =
        certificate.tbs_certificate().get_extension().unwrap().unwrap();
    assert!(constraints.ca && constraints.path_len_constraint.is_none());
}

#[tokio::test]
async fn f10_a_key_usage_is_validated_by_its_used_bits() {
    let server = server().await;
    for value in [
        &[3, 2, 3, 4][..],
        &[3, 2, 7, 0x84],
        &[3, 2, 8, 4],
        &[3, 0],
        &[3, 2, 0, 4, 0],
        &[4, 2, 0, 4],
        &[3, 4, 0, 4, 0, 1],
        &[3, 3, 0, 4, 1],
    ] {
        let csr = request(&[extension(&ce(KEY_USAGE), true, value)]);
        sign_own(&server, &csr).await.refused(400, "key usage");
    }
    sign_own(&server, &request(&[plain(KEY_USAGE, &[3, 2, 7, 0x80])]))
        .await
        .refused(400, "lacks keyCertSign");
    // Trailing zero bits are removed (X.690, 11.2.2).
    let answer = sign_own(&server, &request(&[plain(KEY_USAGE, &[3, 3, 0, 6, 0])])).await.ok();
    let usage = der(&answer.text("certificate"));
    assert!(usage.windows(4).any(|window| window == [3, 2, 1, 6]));
}

#[tokio::test]
async fn f10_malformed_extensions_of_a_csr_are_a_client_error() {
    let server = server().await;
    let policy = |qualifiers: &[u8]| sequence(&[&sequence(&[&oid(&[0x2a, 3]), qualifiers])]);
    let twice = sequence(&[&sequence(&[&oid(&[0x2a, 3])]), &sequence(&[&oid(&[0x2a, 3])])]);
    for (identifier, value) in [
        (SKI, &[][..]),
        (SKI, &[4, 0]),
        (SKI, &[4, 1, 1, 0]),
        (SKI, &[5, 0]),
        (SKI, &element(4, &[&[1; 65]])),
        (EKU, &[0x30, 0]),
        (EKU, &sequence(&[&[5, 0]])),
        (EKU, &[5, 0]),
        (POLICIES, &[0x30, 0]),
        (POLICIES, &twice),
        (POLICIES, &policy(&sequence(&[&sequence(&[&oid(&[0x2a, 4]), &[5, 0]])]))),
        (31, &[0x30, 0]),
        (31, &sequence(&[&[0x30, 0]])),
        (54, &[2, 2, 0, 1]),
        (36, &[]),
        (9, &[0x30, 2, 5]),
    ] {
        let csr = request(&[plain(identifier, value)]);
        sign_own(&server, &csr).await.refused(400, "cannot be taken into the certificate");
        let role = json!({ "csr": csr, "common_name": "b.example.org" });
        assert!(server.post("pki/sign/web", role.clone()).await.status < 500);
        assert!(server.post("pki/root/sign-intermediate", role).await.status < 500);
    }
}

#[tokio::test]
async fn r02_the_authority_key_identifier_of_a_csr_is_replaced() {
    let server = server().await;
    let root = Certificate::from_der(&server.get("pki/ca").await.body).unwrap();
    let (_, wanted): (bool, x509_cert::ext::pkix::SubjectKeyIdentifier) =
        root.tbs_certificate().get_extension().unwrap().unwrap();
    for value in [sequence(&[&element(0x80, &[&[9; 20]])]), vec![0x30, 0], vec![5, 0], Vec::new()] {
        let answer = sign_own(&server, &request(&[plain(AKI, &value)])).await.ok();
        let certificate = certificate(&answer);
        assert_eq!(count(&certificate, "2.5.29.35"), 1);
        let (_, found): (bool, x509_cert::ext::pkix::AuthorityKeyIdentifier) =
            certificate.tbs_certificate().get_extension().unwrap().unwrap();
        assert_eq!(found.key_identifier.unwrap().as_bytes(), wanted.0.as_bytes());
        assert!(warned(&answer, "the CSR's authority key identifier is not in the certificate"));
    }
    // The parameter `skid` has precedence over the CSR.
    let csr = request(&[plain(SKI, &element(4, &[&[9; 20]]))]);
    let body = json!({ "csr": csr, "use_csr_values": true, "skid": "0102" });
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    let (_, found): (bool, x509_cert::ext::pkix::SubjectKeyIdentifier) =
        certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
    assert_eq!(found.0.as_bytes(), [1, 2]);
}

#[tokio::test]
async fn r16_the_names_of_a_csr_are_parsed_and_re_encoded_or_refused() {
    let server = server().await;
    let uri = |text: &str| element(0x86, &[text.as_bytes()]);
    for names in [
        vec![],
        uri("spiffe://example.org/../x"),
        uri("spiffe://example.org/a/./b"),
        uri("spiffe://example.org?x=1"),
        uri("spiffe://example.org#x"),
        uri("spiffe://example.org/"),
        uri("spiffe://example.org/workload"),
        uri("spiffe://example.org/a//b"),
        vec![0x89, 0],
        vec![0x9f, 0x1f, 0],
        vec![0xa3, 0],
        vec![0xa4, 2, 0x30, 0],
        vec![0x88, 1, 0x2a],
        vec![0xa0, 0],
        vec![0xa0, 7, 6, 1, 0x2a, 0xa0, 2, 5, 0],
        element(0x82, &[b"a\0b"]),
        element(0x82, &[b"a b"]),
        vec![0x82, 0],
        element(0x82, &[b"a..b"]),
        element(0x81, &[b"a\n@example.org"]),
        element(0x81, &[b"user"]),
        vec![0x87, 3, 1, 2, 3],
    ] {
        let csr = request(&[plain(SAN, &sequence(&[&names]))]);
        let answer = sign_own(&server, &csr).await;
        assert_eq!(answer.status, 400, "{names:02x?}: {answer:?}");
        assert!(!answer.errors()[0].contains("lint"), "{answer:?}");
    }
    for value in [&[][..], &[5, 0], &[0x30, 1], &[0x30, 0, 0], &[0x30, 3, 0x82, 5, b'a']] {
        let answer = sign_own(&server, &request(&[plain(SAN, value)])).await;
        assert_eq!(answer.status, 400, "{value:02x?}");
    }
    // Neither a subject nor a SAN: refused.
    let csr = text(&request_der(&[0x30, 0], &[]));
    sign_own(&server, &csr).await.refused(400, "neither a subject nor subject alternative names");
    // Not critical in the CSR, but critical in the certificate if it is the only name.
    let san = plain(SAN, &sequence(&[&uri("spiffe://example.org")]));
    let answer = sign_own(&server, &text(&request_der(&[0x30, 0], &[san]))).await.ok();
    let (critical, names): (bool, SubjectAltName) =
        certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
    assert!(critical && names.0.len() == 1);
}

#[tokio::test]
async fn r16_a_subject_that_is_copied_byte_for_byte_is_valid() {
    let server = server().await;
    let attribute =
        |tag: u8, value: &[u8]| sequence(&[&oid(&[0x55, 4, 3]), &element(tag, &[value])]);
    for content in [
        element(0x31, &[]),
        element(0x31, &[&attribute(0x0c, b"a\0b")]),
        element(0x31, &[&attribute(0x0c, b"a\nb")]),
        element(0x31, &[&attribute(0x1e, b"\0a\0\0")]),
        element(0x31, &[&attribute(0x1e, &[0xd8, 0, 0, b'a'])]),
        element(0x31, &[&attribute(0x14, &[b'a', 0xe4])]),
        element(0x31, &[&attribute(0x13, b"a@b")]),
        element(0x31, &[&attribute(0x13, b"*.b")]),
        element(0x31, &[&attribute(0x12, b"a")]),
        element(0x31, &[&attribute(0x16, &[0xc3, 0xbc])]),
        element(0x31, &[&attribute(2, &[1])]),
        element(0x31, &[&attribute(0x30, &[])]),
        element(0x31, &[&attribute(0x0c, b"b"), &attribute(0x0c, b"a")]),
    ] {
        let csr = text(&request_der(&sequence(&[&content]), &[]));
        sign_own(&server, &csr).await.refused(400, "the CSR's subject cannot be taken");
    }
    // A common name that is copied without the rest of the subject.
    let csr = text(&request_der(&sequence(&[&element(0x31, &[&attribute(0x0c, b"a\0b")])]), &[]));
    let body = json!({ "csr": csr, "exclude_cn_from_sans": true });
    let answer = server.post("pki/root/sign-intermediate", body).await;
    answer.refused(400, "holds a control character");
}

#[tokio::test]
async fn values_of_a_csr_that_are_not_signed_have_a_warning() {
    let server = server().await;
    let role = json!({
        "key_type": "any", "allow_any_name": true, "use_csr_sans": false,
        "use_csr_common_name": false,
    });
    server.post("pki/roles/strict", role).await.ok();
    let names = [element(0x82, &[b"lost.example.org"]), element(0xa4, &[&[0x30, 0]])].concat();
    let csr = request(&[
        plain(SAN, &sequence(&[&names])),
        plain(KEY_USAGE, &[3, 2, 1, 6]),
        extension(&[0x2a, 3, 4], false, &[5, 0]),
    ]);
    let body = json!({ "csr": csr, "common_name": "a.example.org" });
    let answer = server.post("pki/sign/strict", body.clone()).await.ok();
    for lost in ["lost.example.org", "directoryName", "1.2.3.4", "2.5.29.15", "common name"] {
        assert!(warned(&answer, lost), "{lost}: {:?}", answer.warnings());
    }
    let answer = server.post("pki/sign/web", body.clone()).await.ok();
    assert!(warned(&answer, "directoryName") && !warned(&answer, "lost.example.org"));
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    assert!(warned(&answer, "lost.example.org") && warned(&answer, "1.2.3.4"));
    // Without a loss there is no warning.
    let csr = request(&[plain(SAN, &sequence(&[&element(0x82, &[b"a.example.org"])]))]);
    let body = json!({ "csr": csr, "common_name": "a.example.org" });
    let answer = server.post("pki/sign/web", body).await.ok();
    assert!(!warned(&answer, "Signet: "), "{:?}", answer.warnings());
}

const PE: [u8; 7] = [0x2b, 6, 1, 5, 5, 7, 1];

#[tokio::test]
async fn r16_an_extension_that_strict_parsers_reject_is_refused() {
    let server = server().await;
    let pe = |last: u8| [&PE[..], &[last]].concat();
    let any_policy = oid(&[0x55, 0x1d, 0x20, 0]);
    for (identifier, value) in [
        (ce(36), vec![2, 1, 5]),
        (ce(36), vec![0x30, 0]),
        (ce(36), vec![0x30, 3, 0x80, 1, 0xff]),
        (ce(36), vec![0x30, 4, 0x80, 2, 0, 0]),
        (ce(54), vec![0x30, 0]),
        (ce(54), vec![2, 1, 0xff]),
        (ce(33), vec![4, 1, 0]),
        (ce(33), vec![0x30, 0]),
        (ce(33), sequence(&[&sequence(&[&any_policy, &oid(&[0x2a, 3])])])),
        (ce(9), vec![0x30, 0]),
        (ce(16), vec![0x30, 0]),
        // Extensions of CRLs, CT logs, proxies and addresses, and those that OpenSSL always parses.
        (ce(20), vec![2, 1, 1]),
        (ce(28), vec![0x30, 0]),
        (vec![0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 3], vec![5, 0]),
        (pe(14), sequence(&[&sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 0x15, 1])])])),
        (pe(7), vec![2, 1, 1]),
        (pe(8), vec![2, 1, 1]),
        (pe(11), vec![2, 1, 5]),
        (pe(24), vec![4, 1, 0]),
        (vec![0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1], vec![2, 1, 5]),
        (ce(KEY_USAGE), vec![3, 3, 7, 6, 0x80]),
        (ce(KEY_USAGE), vec![3, 2, 0, 7]),
        (ce(NAMES), subtree(0, 0x81, b"")),
        (ce(NAMES), subtree(1, 0x86, b"")),
    ] {
        let csr = request(&[extension(&identifier, true, &value)]);
        sign_own(&server, &csr).await.refused(400, "cannot be taken into the certificate");
    }
}

#[tokio::test]
async fn r16_an_extension_is_as_critical_as_its_specification_says() {
    let server = server().await;
    let location =
        sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 0x30, 2]), &element(0x86, &[b"http://a/b"])]);
    let point = sequence(&[&element(0xa0, &[&element(0xa0, &[&element(0x86, &[b"http://a/b"])])])]);
    let pe = |last: u8| [&PE[..], &[last]].concat();
    for (identifier, asked, value, dotted) in [
        (pe(1), true, sequence(&[&location]), "1.3.6.1.5.5.7.1.1"),
        (pe(11), true, sequence(&[&location]), "1.3.6.1.5.5.7.1.11"),
        (ce(46), true, sequence(&[&point]), "2.5.29.46"),
        (ce(36), false, vec![0x30, 3, 0x80, 1, 0], "2.5.29.36"),
        (ce(54), false, vec![2, 1, 0], "2.5.29.54"),
    ] {
        let csr = request(&[extension(&identifier, asked, &value)]);
        let answer = sign_own(&server, &csr).await.ok();
        let certificate = certificate(&answer);
        let list = certificate.tbs_certificate().extensions().unwrap();
        let found = list.iter().find(|one| one.extn_id.to_string() == dotted).unwrap();
        assert_ne!(found.critical, asked, "{dotted}");
        assert!(!warned(&answer, "is critical"), "{:?}", answer.warnings());
    }
    // An unknown critical extension is signed with a warning.
    let csr = request(&[extension(&[0x2a, 3, 4], true, &[5, 0])]);
    assert!(warned(&sign_own(&server, &csr).await.ok(), "1.2.3.4 is critical"));
    // An issuer alternative name is not copied: only the issuer decides its names.
    let csr = request(&[plain(18, &sequence(&[&element(0x82, &[b"a.example.org"])]))]);
    let answer = sign_own(&server, &csr).await.ok();
    assert!(warned(&answer, "issuer alternative name"), "{:?}", answer.warnings());
    assert_eq!(count(&certificate(&answer), "2.5.29.18"), 0);
}

#[tokio::test]
async fn r16_a_range_is_written_without_bits_after_its_mask() {
    let server = server().await;
    let csr = request(&[plain(NAMES, &subtree(0, 0x87, &[10, 1, 1, 1, 255, 0, 0, 0]))]);
    let bytes = der(&sign_own(&server, &csr).await.ok().text("certificate"));
    let wanted = [0x87, 8, 10, 0, 0, 0, 255, 0, 0, 0];
    assert!(bytes.windows(wanted.len()).any(|window| window == wanted));
}

#[tokio::test]
async fn r16_a_subject_key_identifier_has_at_most_64_bytes_wherever_it_comes_from() {
    let server = server().await;
    let csr = request(&[]);
    for (length, is_signed) in [(1, true), (64, true), (65, false), (200_000, false)] {
        let body = json!({ "csr": csr, "common_name": "Below", "skid": "ab".repeat(length) });
        let answer = server.post("pki/root/sign-intermediate", body).await;
        if is_signed {
            answer.ok();
        } else {
            answer.refused(400, "the longest has 64");
        }
    }
}
