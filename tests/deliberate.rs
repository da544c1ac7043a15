//! What Signet does where it deliberately answers differently from the recorded server.
//! `wire/deliberate.rs` names the recorded cases, `docs/compatibility.md` the reasons.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

mod support;

use der::Decode;
use serde_json::{Value, json};
use support::{Answer, Server, der, pem};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

async fn server_with_role(role: Value) -> Server {
    let server = Server::with_root().await;
    server.post("pki/roles/web", role).await.ok();
    server
}

async fn issue(server: &Server, body: Value) -> Answer {
    server.post("pki/issue/web", body).await
}

fn certificate(answer: &Answer) -> Certificate {
    Certificate::from_der(&der(&answer.text("certificate"))).unwrap()
}

fn key_usage(certificate: &Certificate) -> Option<(bool, KeyUsage)> {
    certificate.tbs_certificate().get_extension().unwrap()
}

/// A CSR made by rcgen; `change` sets its parameters.
fn request(change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "Below");
    change(&mut parameters);
    pem("CERTIFICATE REQUEST", parameters.serialize_request(&key).unwrap().der())
}

#[tokio::test]
async fn refuses_a_spiffe_uri_that_the_standard_forbids() {
    let role = json!({ "key_type": "ec", "require_cn": false, "allowed_uri_sans": "*" });
    let server = server_with_role(role).await;
    for (uri, rule) in [
        ("spiffe://example.org/", "slash"),
        ("spiffe://example.org/ns/a/sa/", "slash"),
        ("spiffe://example.org/a/../../x", "."),
        ("spiffe://example.org//x", "empty"),
        ("spiffe://example.org/a?q=1", "query"),
        ("spiffe://example.org/a#f", "fragment"),
        ("spiffe://example.org/a/%2e%2e/b", "%"),
        ("spiffe://example.org/a;b", "letters"),
        ("SPIFFE://example.org/a", "spiffe://"),
        ("spiffe://example.org", "path"),
    ] {
        let answer = issue(&server, json!({ "uri_sans": uri })).await;
        assert_eq!(answer.status, 400, "{uri}");
        assert!(answer.errors()[0].contains(rule), "{uri}: {:?} names {rule}", answer.errors());
    }
    issue(&server, json!({ "uri_sans": "spiffe://example.org/ns/a/sa/b" })).await.ok();
    issue(&server, json!({ "uri_sans": "https://example.org/a?q=1#f" })).await.ok();
    server.list("pki/certs").await.ok();
}

#[tokio::test]
async fn refuses_p224_keys() {
    let role = json!({ "key_type": "ec", "key_bits": 224, "allow_any_name": true });
    let server = server_with_role(role).await;
    let answer = issue(&server, json!({ "common_name": "a.example.org" })).await;
    answer.refused(400, "P-224 keys are not supported; use key_bits 256, 384 or 521");
}

#[tokio::test]
async fn max_ttl_bounds_not_after() {
    let role = json!({ "key_type": "ec", "allow_any_name": true, "max_ttl": "1h" });
    let server = server_with_role(role).await;
    let body = json!({ "common_name": "a.example.org", "not_after": "2030-01-01T00:00:00Z" });
    let answer = issue(&server, body).await;
    let end = answer.data().get("expiration").and_then(Value::as_i64);
    let is_bounded = end.is_some_and(|end| end <= server.now() + 3600);
    assert!(answer.status == 400 || is_bounded, "{answer:?}");
}

#[tokio::test]
async fn a_refusal_is_one_sentence() {
    let role = json!({ "key_type": "ec", "require_cn": false, "allowed_uri_sans": "*" });
    let server = server_with_role(role).await;
    let answer = issue(&server, json!({ "uri_sans": "spiffe://exämple.org/x" })).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.errors(),
        [
            "unable to parse created certificate: x509: cannot parse URI \"spiffe://ex%C3%A4mple.org/x\": invalid domain"
        ]
    );
}

#[tokio::test]
async fn a_key_that_only_signs_has_no_key_encipherment() {
    for key in [json!({ "key_type": "ec" }), json!({ "key_type": "ed25519" })] {
        let mut role = json!({ "allow_any_name": true });
        role.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        let server = server_with_role(role).await;
        let answer = issue(&server, json!({ "common_name": "a.example.org" })).await.ok();
        let (critical, usage) = key_usage(&certificate(&answer)).unwrap();
        assert!(critical && usage.digital_signature() && !usage.key_encipherment(), "{key}");
    }
}

#[tokio::test]
async fn an_empty_key_usage_adds_no_extension() {
    let role =
        json!({ "key_type": "ec", "allow_any_name": true, "key_usage": ["KeyEncipherment"] });
    let server = server_with_role(role).await;
    let answer = issue(&server, json!({ "common_name": "a.example.org" })).await.ok();
    assert!(key_usage(&certificate(&answer)).is_none());
}

#[tokio::test]
async fn a_leaf_with_a_spiffe_id_has_basic_constraints_that_deny_a_ca() {
    let role = json!({ "key_type": "ec", "require_cn": false, "allowed_uri_sans": "spiffe://*" });
    let server = server_with_role(role).await;
    let answer = issue(&server, json!({ "uri_sans": "spiffe://example.org/a" })).await.ok();
    let certificate = certificate(&answer);
    let (critical, constraints): (bool, BasicConstraints) =
        certificate.tbs_certificate().get_extension().unwrap().unwrap();
    assert!(critical && !constraints.ca);
}

#[tokio::test]
async fn names_are_critical_where_the_subject_is_empty() {
    let role = json!({
        "key_type": "ec", "require_cn": false, "allowed_other_sans": "*", "allow_any_name": true,
    });
    let server = server_with_role(role).await;
    let answer = issue(&server, json!({ "other_sans": "1.2.3;UTF8:x" })).await.ok();
    let certificate = certificate(&answer);
    let (critical, names): (bool, SubjectAltName) =
        certificate.tbs_certificate().get_extension().unwrap().unwrap();
    assert!(certificate.tbs_certificate().subject().is_empty());
    assert!(critical && names.0.len() == 1);
}

#[tokio::test]
async fn refuses_a_ca_csr_whose_key_usage_forbids_signing() {
    let server = Server::with_root().await;
    let csr = request(|parameters| {
        parameters.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    });
    let body = |own: bool| json!({ "csr": csr, "use_csr_values": own, "common_name": "Below" });
    let answer = server.post("pki/root/sign-intermediate", body(true)).await;
    answer.refused(400, "the CSR's key usage lacks keyCertSign");
    let answer = server.post("pki/root/sign-intermediate", body(false)).await.ok();
    let (_, usage) = key_usage(&certificate(&answer)).unwrap();
    assert!(usage.key_cert_sign());
}

#[tokio::test]
async fn an_unknown_issuer_of_a_role_is_not_an_internal_error() {
    let role = json!({ "key_type": "ec", "allow_any_name": true, "issuer_ref": "unknown" });
    let server = server_with_role(role).await;
    let answer = issue(&server, json!({ "common_name": "a.example.org" })).await;
    assert_eq!(answer.status, 400);
}
