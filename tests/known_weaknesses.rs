//! Faults of other CAs, reproduced here: one test for each fault of the table in
//! `docs/dev/weaknesses.md` that no other test covers.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use der::Decode;
use serde_json::{Value, json};
use signet::store::memory::CommitFault;
use support::{Answer, ROOT_TOKEN, Server, der, pem};
use tokio::sync::Notify;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

const REQUEST: &str = "CERTIFICATE REQUEST";

/// A root and a role `web` for any name.
async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "ttl": "1h" });
    server.post("pki/roles/web", role).await.ok();
    server
}

async fn issue(server: &Server) -> Answer {
    server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await
}

/// A CSR of another program; `change` sets its contents.
fn request(change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "a.example.org");
    change(&mut parameters);
    pem(REQUEST, parameters.serialize_request(&key).unwrap().der())
}

/// Serial numbers on the CRL of an issuer.
async fn revoked(server: &Server, issuer: &str) -> Vec<Vec<u8>> {
    let answer = server.get(&format!("pki/issuer/{issuer}/crl/der")).await.ok();
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&answer.body).unwrap();
    let entries = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    entries.iter().map(|entry| entry.serial_number.as_bytes().to_vec()).collect()
}

fn certificate(answer: &Answer) -> Certificate {
    Certificate::from_der(&der(&answer.text("certificate"))).unwrap()
}

#[tokio::test]
async fn a_csr_that_asks_for_a_ca_gets_a_leaf() {
    let server = server().await;
    let csr = request(|parameters| {
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    });
    let answer = server.post("pki/sign/web", json!({ "csr": csr })).await.ok();
    let certificate = certificate(&answer);
    let constraints: Option<(bool, BasicConstraints)> =
        certificate.tbs_certificate().get_extension().unwrap();
    let (_, usage): (bool, KeyUsage) =
        certificate.tbs_certificate().get_extension().unwrap().unwrap();
    assert!(constraints.is_none_or(|(_, constraints)| !constraints.ca));
    assert!(!usage.key_cert_sign() && !usage.crl_sign());
    assert!(answer.warnings().iter().any(|text| text.contains("Basic Constraints")), "{answer:?}");
}

#[tokio::test]
async fn a_certificate_is_not_accepted_as_a_csr() {
    let server = server().await;
    let leaf = der(&issue(&server).await.ok().text("certificate"));
    for label in ["CERTIFICATE", REQUEST] {
        let answer = server.post("pki/sign/web", json!({ "csr": pem(label, &leaf) })).await;
        answer.refused(400, "certificate request could not be parsed");
    }
}

#[tokio::test]
async fn a_revocation_is_only_on_the_crl_of_its_issuer() {
    let server = server().await;
    let other = json!({ "common_name": "Other", "key_type": "ec", "issuer_name": "other" });
    server.post("pki/root/generate/internal", other).await.ok();
    let body = json!({ "common_name": "a.example.org" });
    let first = server.post("pki/issuer/root/issue/web", body.clone()).await.ok();
    let second = server.post("pki/issuer/other/issue/web", body).await.ok();
    let serial = |answer: &Answer| certificate(answer).tbs_certificate().serial_number().clone();
    let by_serial = json!({ "serial_number": first.text("serial_number") });
    server.post("pki/revoke", by_serial).await.ok();
    assert_eq!(revoked(&server, "root").await, [serial(&first).as_bytes()]);
    assert!(revoked(&server, "other").await.is_empty());
    let by_certificate = json!({ "certificate": second.text("certificate") });
    server.post("pki/revoke", by_certificate).await.ok();
    assert_eq!(revoked(&server, "other").await, [serial(&second).as_bytes()]);
    assert_eq!(revoked(&server, "root").await, [serial(&first).as_bytes()]);
    // It does not move to another CRL when its issuer is deleted.
    server.delete("pki/issuer/root").await.ok();
    server.post("pki/config/issuers", json!({ "default": "other" })).await.ok();
    server.get("pki/crl/rotate").await.ok();
    assert_eq!(revoked(&server, "other").await, [serial(&second).as_bytes()]);
    assert_eq!(revoked(&server, "root").await, [serial(&first).as_bytes()]);
}

#[tokio::test]
async fn the_contents_of_a_mount_are_not_accessible_through_another() {
    let server = server().await;
    let leaf = issue(&server).await.ok();
    let serial = leaf.text("serial_number");
    let issuer = server.get("pki/issuer/root").await.ok().text("issuer_id");
    server.post("sys/mounts/other", json!({ "type": "pki" })).await.ok();
    let root = json!({ "common_name": "Other", "key_type": "ec" });
    server.post("other/root/generate/internal", root).await.ok();
    for path in [
        format!("other/cert/{serial}"),
        format!("other/issuer/{issuer}"),
        format!("other/issuer/{issuer}/json"),
        format!("other/key/{issuer}"),
        "other/roles/web".to_owned(),
    ] {
        let answer = server.get(&path).await;
        assert!(answer.status >= 400, "{path}: {answer:?}");
    }
    for (path, body) in [
        ("other/issue/web".to_owned(), json!({ "common_name": "a.example.org" })),
        (format!("other/issuer/{issuer}"), json!({ "issuer_name": "mine" })),
        ("other/revoke".to_owned(), json!({ "serial_number": serial })),
        ("other/revoke".to_owned(), json!({ "certificate": leaf.text("certificate") })),
    ] {
        let answer = server.post(&path, body).await;
        assert!(answer.status >= 400, "{path}: {answer:?}");
    }
    server.delete(&format!("other/issuer/{issuer}")).await;
    assert_eq!(server.get("pki/issuer/root").await.ok().text("issuer_id"), issuer);
    assert!(revoked(&server, "root").await.is_empty());
}

#[tokio::test]
async fn a_name_in_another_case_is_another_name() {
    let server = server().await;
    let body = json!({ "common_name": "a.example.org" });
    for path in ["pki/issue/WEB", "pki/issue/web%20", "pki/issue/%20web", "PKI/issue/web"] {
        let answer = server.post(path, body.clone()).await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
    let wide = json!({ "allow_any_name": false, "key_type": "ec" });
    server.post("pki/roles/Web", wide).await.ok();
    server.post("pki/issue/Web", body.clone()).await.refused(400, "common name a.example.org");
    server.post("pki/issue/web", body).await.ok();
}

#[tokio::test]
async fn an_unknown_method_is_refused() {
    let server = server().await;
    let batches = server.memory.tally().batches;
    for method in ["REVOKE", "RENEW", "ROLLBACK", "HELP", "TRACE", "OPTIONS", "CONNECT", "get"] {
        let answer =
            server.send(method, "pki/roles/web", Some(ROOT_TOKEN), &[], Bytes::new()).await;
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
}

#[tokio::test]
async fn no_spelling_of_a_path_bypasses_authentication() {
    let server = server().await;
    for path in [
        "pki/roles/web",
        "/pki/roles/web",
        "//pki/roles/web",
        "pki//roles/web",
        "pki/./roles/web",
        "pki/roles/web/",
        "pki/roles/./web",
        "pki/%72oles/web",
        "pki/roles%2fweb",
        "pki%2froles%2fweb",
        "pki/ca/../roles/web",
        "pki/ca/%2e%2e/roles/web",
        "pki/ca/%252e%252e/roles/web",
        "pki/ca%00/../roles/web",
        "pki/issuer/root/json/../../../roles/web",
        "sys/health/../mounts",
        "sys/health%2f..%2fmounts",
        "sys/health/mounts",
        "sys/mounts?sys/health",
        "sys/mounts;sys/health",
        "sys/MOUNTS",
    ] {
        let answer = server.send("GET", path, None, &[], Bytes::new()).await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        assert!(answer.data().is_null(), "{path}: {answer:?}");
    }
}

/// Every path that takes a body and does not delete a resource.
const WRITES: &str = "pki/roles/odd pki/issue/web pki/sign/web pki/revoke pki/issuer/root
    pki/config/issuers pki/config/keys pki/config/urls pki/config/cluster
    pki/root/sign-intermediate pki/intermediate/set-signed pki/intermediate/generate/internal
    sys/mounts/pki/tune auth/token/renew-self";

/// Fields of all these paths.
const FIELDS: &str = "common_name alt_names ip_sans uri_sans other_sans serial_number ttl not_after
    not_before exclude_cn_from_sans format private_key_format user_ids issuer_ref key_type key_bits
    csr certificate key_usage ext_key_usage_oids policy_identifiers cn_validations
    allowed_ip_sans_cidr allowed_other_sans max_ttl not_after_bound signature_bits issuer_name usage
    manual_chain leaf_not_after_behavior issuing_certificates path default max_path_length
    permitted_dns_domains use_csr_values skid";

#[tokio::test]
async fn no_value_of_a_wrong_type_causes_a_5xx() {
    let server = server().await;
    let values = json!([
        null, true, -1, 1e300, 9_223_372_036_854_775_807_i64, "", "\u{0}", "default", " ", [], {},
        [null], [[1]], { "a": {} }, "{{identity.entity.name}}", "' OR 1=1 --", "-1h",
        "spiffe://example.org/%", "9999-12-31T23:59:59Z", "-----BEGIN CERTIFICATE-----",
    ]);
    let mut values = values.as_array().unwrap().iter().cycle();
    for path in WRITES.split_whitespace() {
        for field in FIELDS.split_whitespace() {
            // Three values for each field: coprime to the number of values, so that the pairs vary.
            for value in values.by_ref().take(3) {
                let mut body = json!({ "common_name": "a.example.org", "key_type": "ec" });
                body.as_object_mut().unwrap().insert(field.to_owned(), value.clone());
                let answer = server.post(path, body).await;
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(answer.status < 500, "{path} {field} {value}: {text}");
                assert!(!text.contains(".rs:"), "{path} {field} {value}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_huge_limit_returns_the_existing_entries() {
    let server = server().await;
    for limit in ["18446744073709551615", "-1", "4294967296", "x"] {
        let answer = server.list(&format!("pki/roles?limit={limit}&after=")).await;
        assert!(answer.status < 500 && answer.body.len() < 1000, "{limit}: {answer:?}");
    }
}

#[tokio::test]
async fn a_dropped_request_is_completed() {
    let server = Arc::new(server().await);
    let recorded = async || {
        let keys = server.list("pki/certs").await.ok().data();
        keys.get("keys").and_then(Value::as_array).unwrap().len()
    };
    let before = recorded().await;
    let gate = Arc::new(Notify::new());
    let batches = server.memory.tally().batches;
    server.memory.danger_inject(1, CommitFault::Slow(Arc::clone(&gate)));
    let caller = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { issue(&server).await })
    };
    while server.memory.tally().batches == batches {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.notify_one();
    while recorded().await == before {
        tokio::task::yield_now().await;
    }
    issue(&server).await.ok();
    assert_eq!(recorded().await, before + 2);
}

#[tokio::test]
async fn of_many_concurrent_initialisations_exactly_one_succeeds() {
    let server = Arc::new(Server::uninitialised());
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                server.send("POST", "sys/init", None, &[], Bytes::from_static(b"{}")).await
            })
        })
        .collect();
    let mut tokens = Vec::new();
    for caller in callers {
        let answer = caller.await.unwrap();
        if let Some(token) = answer.json().get("root_token") {
            tokens.push(token.as_str().unwrap().to_owned());
        }
    }
    assert_eq!(tokens.len(), 1);
    let mounts = server
        .send("GET", "sys/mounts", tokens.first().map(String::as_str), &[], Bytes::new())
        .await;
    assert_eq!(mounts.status, 200);
}

#[tokio::test]
async fn a_failed_initialisation_returns_no_token() {
    for nth in 1..=3 {
        let server = Server::uninitialised();
        server.memory.danger_inject(nth, CommitFault::FailedNotDone);
        let answer = server.send("POST", "sys/init", None, &[], Bytes::from_static(b"{}")).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 || !text.contains("hvs."), "{nth}: {text}");
        assert!(nth > 1 || answer.status >= 500, "{nth}: {text}");
    }
}

#[tokio::test]
async fn malformed_pem_is_parsed_in_linear_time() {
    let server = server().await;
    // A parser that restarts after each BEGIN line would take a day for one of these.
    for text in [
        "-----BEGIN CERTIFICATE REQUEST-----\n".repeat(24_000),
        "-----BEGIN ".repeat(80_000),
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}", "A\n".repeat(400_000)),
        "-----END CERTIFICATE REQUEST-----\n".repeat(24_000),
        "-".repeat(900_000),
    ] {
        let asked = server.post("pki/sign/web", json!({ "csr": text }));
        let answer = tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.unwrap();
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

/// The names of the packages in Cargo.lock.
fn locked() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let text = fs::read_to_string(path).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("name = "));
    names.map(|name| name.trim_matches('"').to_owned()).collect()
}

#[test]
fn no_library_with_a_disqualifying_advisory_is_locked() {
    let locked = locked();
    assert!(locked.len() > 50 && locked.iter().any(|name| name == "rustls"));
    for (name, why) in [
        ("rsa", "RUSTSEC-2023-0071: Marvin attack, its decryption is not constant-time"),
        ("openssl-sys", "AWS-LC is the only cryptographic library"),
        ("rustls-pemfile", "RUSTSEC-2025-0134: archived"),
        ("bincode", "RUSTSEC-2025-0141: unmaintained"),
        ("serde_yml", "RUSTSEC-2025-0068: unsound"),
        ("sqlx", "RUSTSEC-2024-0363: truncated lengths in the protocol"),
        ("tokio-postgres", "RUSTSEC-2026-0178: only in the patched version"),
    ] {
        assert!(!locked.iter().any(|found| found == name), "{name}: {why}");
    }
}

/// Every source file, with its text.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_source_uses_a_vulnerable_api() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 100);
    for (path, text) in found {
        // The command line refuses this variable by name, and never prints its value.
        let text = text.replace("(\"HTTP_PROXY\", \"this client uses no proxy", "");
        for (word, why) in [
            ("http_proxy", "proxies are not used, so their credentials are not logged"),
            ("HTTP_PROXY", "proxies are not used, so their credentials are not logged"),
            ("HTTPS_PROXY", "proxies are not used, so their credentials are not logged"),
            ("LazyConfigAcceptor", "RUSTSEC-2024-0399: it panicked on a fragmented ClientHello"),
            (
                "rustls::server::Acceptor",
                "RUSTSEC-2024-0399: it panicked on a fragmented ClientHello",
            ),
            ("now_local", "RUSTSEC-2020-0071: local time reads the environment"),
            ("Rfc2822", "RUSTSEC-2026-0009: its parser exhausts the stack"),
            ("libloading", "there are no plugins: the server does not run files from disk"),
        ] {
            assert!(!text.contains(word), "{path} says {word}: {why}");
        }
        // The command line may start a program that its user names; the server may not.
        let starts_programs = text.contains("process::Command") && !path.contains("src/cli/");
        assert!(!starts_programs, "{path} starts a program");
    }
}
