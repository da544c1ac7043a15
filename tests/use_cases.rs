//! Use cases end to end, in memory: what is stored, what is refused, and concurrent changes.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

mod support;

use std::sync::Arc;

use der::{Decode, Encode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use signet::engine::MountId;
use signet::engine::pki::certificates::Serials;
use signet::store::memory::{CommitFault, ReadFault};
use signet::store::{Batch, key};
use support::{Answer, Server, der, pem};
use tokio::sync::Notify;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::CrlNumber;

const REQUEST: &str = "CERTIFICATE REQUEST";
const SPIFFE_ROLE: &str = "spiffe://example.org/*";

async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "max_ttl": "24h" });
    server.post("pki/roles/web", role).await.ok();
    server
}

async fn issue(server: &Server) -> Answer {
    server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await
}

async fn list(server: &Server, path: &str) -> Vec<String> {
    let data = server.list(path).await.data();
    let keys = data.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The number of the mount's CRL and the serial numbers on it, in colon form, sorted.
async fn crl(server: &Server) -> (u64, Vec<String>) {
    let list: CertificateList =
        CertificateList::from_der(&server.get("pki/crl").await.ok().body).unwrap();
    let (_, number): (bool, CrlNumber) = list
        .tbs_cert_list
        .crl_extensions
        .iter()
        .flatten()
        .find(|extension| extension.extn_id == const_oid::db::rfc5280::ID_CE_CRL_NUMBER)
        .map(|extension| {
            (extension.critical, CrlNumber::from_der(extension.extn_value.as_bytes()).unwrap())
        })
        .unwrap();
    let number = number.0.as_bytes().iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let colons =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    let entries = list.tbs_cert_list.revoked_certificates.iter().flatten();
    let mut serials: Vec<_> = entries.map(|entry| colons(entry.serial_number.as_bytes())).collect();
    serials.sort();
    (number, serials)
}

fn mount_id(server: &Server) -> MountId {
    server.engine.mounts().at("pki/").unwrap().entry.id
}

#[tokio::test]
async fn an_issued_certificate_can_be_read_and_listed() {
    let server = server().await;
    let answer = issue(&server).await.ok();
    let serial = answer.text("serial_number");
    assert!(list(&server, "pki/certs").await.contains(&serial));
    let read = server.get(&format!("pki/cert/{serial}")).await.ok();
    assert_eq!(read.text("certificate").trim(), answer.text("certificate").trim());
}

/// Stores certificates for more than two pages of a list.
async fn fill(server: &Server) -> usize {
    let (mount, store) = (mount_id(server), &server.engine.env().store);
    let mut batch = Batch::new();
    for number in 0..2 * Serials::PAGE as u64 {
        // Serial numbers of Signet and of imported certificates have different key ranges, and the list
        // merges them.
        let mut serial = [0x20; 20];
        serial[1..9].copy_from_slice(&number.rotate_right(7).to_be_bytes());
        batch = batch.put(key::certificate(&mount, &serial), Vec::new());
        if number % 1_000 == 0 {
            batch = batch.put(key::foreign_certificate(&mount, &serial[..9]), Vec::new());
        }
    }
    store.commit(batch).await.unwrap();
    2 * Serials::PAGE + (2 * Serials::PAGE).div_ceil(1_000)
}

#[tokio::test]
async fn a_list_of_many_pages_is_one_list_in_order() {
    let server = server().await;
    let before = list(&server, "pki/certs").await;
    let more = fill(&server).await;
    let answer = server.list("pki/certs").await.ok();
    let mut members: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
    members.sort();
    let short = server.list("pki/roles").await.ok();
    let mut expected: Vec<_> = short.json().as_object().unwrap().keys().cloned().collect();
    expected.sort();
    assert_eq!(members, expected);
    let listed = list(&server, "pki/certs").await;
    assert_eq!(listed.len(), before.len() + more);
    assert!(listed.is_sorted() && before.iter().all(|serial| listed.contains(serial)));
}

#[tokio::test]
async fn a_list_that_cannot_be_read_completely_is_aborted() {
    let server = server().await;
    fill(&server).await;
    let request = http::Request::get("/v1/pki/certs?list=true");
    let request = request.header("x-vault-token", support::ROOT_TOKEN).body(()).unwrap();
    let answer = server.api.answer(request.into_parts().0, bytes::Bytes::new()).await;
    assert_eq!(answer.status(), 200);
    server.memory.danger_inject_read(1, ReadFault::Failed);
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_certificate_of_a_no_store_role_is_not_stored() {
    let server = server().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "no_store": true });
    server.post("pki/roles/web", role).await.ok();
    let before = list(&server, "pki/certs").await;
    let serial = issue(&server).await.ok().text("serial_number");
    assert_eq!(list(&server, "pki/certs").await, before);
    assert_eq!(server.get(&format!("pki/cert/{serial}")).await.status, 404);
    let revoked = server.post("pki/revoke", json!({ "serial_number": serial })).await;
    revoked.refused(400, "not found");
}

#[tokio::test]
async fn revoking_twice_returns_the_time_of_the_first_revocation() {
    let server = server().await;
    let serial = issue(&server).await.ok().text("serial_number");
    let first = server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    server.advance(600);
    let (number, _) = crl(&server).await;
    let again = server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    for member in ["revocation_time", "revocation_time_rfc3339"] {
        assert_eq!(first.data().get(member), again.data().get(member), "{member}");
    }
    assert_eq!(crl(&server).await.0, number, "nothing new to list");
}

#[tokio::test]
async fn a_revocation_is_on_the_crl_before_the_response() {
    let server = server().await;
    let (mut number, listed) = crl(&server).await;
    assert!(listed.is_empty());
    let mut revoked = Vec::new();
    for _ in 0..3 {
        let serial = issue(&server).await.ok().text("serial_number");
        server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
        revoked.push(serial);
        let (next, listed) = crl(&server).await;
        assert!(next > number, "{next} after {number}");
        number = next;
        revoked.sort();
        assert_eq!(listed, revoked);
    }
    server.advance(37 * 3600);
    assert_eq!(
        crl(&server).await,
        (number + 1, revoked),
        "the renewed CRL is built from the store"
    );
}

#[tokio::test]
async fn concurrent_revocations_are_each_on_the_crl_once() {
    let server = Arc::new(server().await);
    let mut revoked = Vec::new();
    for _ in 0..10 {
        revoked.push(issue(&server).await.ok().text("serial_number"));
    }
    // Two are on the CRL already, and one of them is revoked again with the others.
    for serial in &revoked[..2] {
        server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    }
    let (number, _) = crl(&server).await;
    let together = revoked[1..].iter().map(|serial| {
        let (server, serial) = (Arc::clone(&server), serial.clone());
        tokio::spawn(async move {
            server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
        })
    });
    for one in together.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    revoked.sort();
    let (last, listed) = crl(&server).await;
    assert_eq!(listed, revoked);
    assert!(last > number && last <= number + 9, "{number}, then {last}");
}

#[tokio::test]
async fn a_crl_is_renewed_before_it_expires() {
    let server = server().await;
    let (number, _) = crl(&server).await;
    server.advance(35 * 3600);
    assert_eq!(crl(&server).await.0, number, "in the first half of its validity");
    server.advance(2 * 3600);
    assert_eq!(crl(&server).await.0, number + 1, "in the second half");
    server.advance(200 * 3600);
    let list: CertificateList =
        CertificateList::from_der(&server.get("pki/crl").await.body).unwrap();
    let end = list.tbs_cert_list.next_update.unwrap().to_unix_duration().as_secs();
    assert!(i64::try_from(end).unwrap() > server.now());
}

#[tokio::test]
async fn a_crl_that_cannot_be_renewed_is_served_while_it_is_complete_and_valid() {
    let server = server().await;
    let (number, _) = crl(&server).await;
    server.advance(37 * 3600);
    server.memory.danger_inject(1, CommitFault::FailedNotDone);
    assert_eq!(crl(&server).await.0, number, "past half of its validity, and the store fails");
    assert_eq!(crl(&server).await.0, number + 1, "the store writes again");
}

#[tokio::test]
async fn an_expired_or_incomplete_crl_is_an_error_and_not_an_empty_response() {
    let server = server().await;
    crl(&server).await;
    server.advance(73 * 3600);
    server.memory.danger_inject(1, CommitFault::FailedNotDone);
    assert_eq!(server.get("pki/crl").await.status, 500, "it has expired");
    crl(&server).await;
    let serial = issue(&server).await.ok().text("serial_number");
    server.memory.danger_inject(2, CommitFault::FailedNotDone);
    let revoked = server.post("pki/revoke", json!({ "serial_number": serial })).await;
    assert_eq!(revoked.status, 500, "committed, but its CRL failed");
    server.memory.danger_inject(1, CommitFault::FailedNotDone);
    assert_eq!(server.get("pki/crl/pem").await.status, 500, "a revocation is not on it yet");
    assert_eq!(crl(&server).await.1, [serial]);
}

#[tokio::test]
async fn refuses_to_revoke_an_unknown_certificate_or_an_issuer() {
    let server = server().await;
    let unknown = "11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44";
    for serial in [unknown, "zz", "../roles/web", "1"] {
        let answer = server.post("pki/revoke", json!({ "serial_number": serial })).await;
        assert_eq!(answer.status, 400, "{serial}: {answer:?}");
    }
    let root = list(&server, "pki/certs").await;
    let answer = server.post("pki/revoke", json!({ "serial_number": root[0] })).await;
    answer.refused(400, "to its own CRL is not allowed");
}

#[tokio::test]
async fn an_expired_certificate_is_not_revoked() {
    let server = server().await;
    let serial = issue(&server).await.ok().text("serial_number");
    server.advance(25 * 3600);
    let (number, _) = crl(&server).await;
    let answer = server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    assert!(!answer.warnings().is_empty(), "{answer:?}");
    assert_eq!(crl(&server).await, (number, Vec::new()));
}

#[tokio::test]
async fn a_conflict_is_retried_without_an_error() {
    let server = server().await;
    let before = list(&server, "pki/certs").await.len();
    server.memory.danger_inject(1, CommitFault::Conflict);
    issue(&server).await.ok();
    assert_eq!(list(&server, "pki/certs").await.len(), before + 1);
}

#[tokio::test]
async fn no_certificate_is_returned_before_it_is_stored() {
    let server = server().await;
    let before = list(&server, "pki/certs").await;
    for fault in [CommitFault::FailedNotDone, CommitFault::LostRequest, CommitFault::LostResponse] {
        server.memory.danger_inject(1, fault.clone());
        let answer = issue(&server).await;
        assert_eq!(answer.status, 500, "{fault:?}: {answer:?}");
        assert_eq!(answer.errors().len(), 1);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!text.contains("BEGIN") && !text.contains("injected"), "{text}");
    }
    // The certificate whose response was lost is stored, so that it can be revoked.
    assert_eq!(list(&server, "pki/certs").await.len(), before.len() + 1);
}

/// Starts to issue, blocks the commit, runs `change`, and returns the response.
async fn issue_while<F: Future<Output = ()>>(
    server: &Arc<Server>,
    change: impl FnOnce(Arc<Server>) -> F,
) -> Answer {
    let gate = Arc::new(Notify::new());
    let batches = server.memory.tally().batches;
    server.memory.danger_inject(1, CommitFault::Slow(Arc::clone(&gate)));
    let issuing = {
        let server = Arc::clone(server);
        tokio::spawn(async move { issue(&server).await })
    };
    while server.memory.tally().batches == batches {
        tokio::task::yield_now().await;
    }
    change(Arc::clone(server)).await;
    gate.notify_one();
    issuing.await.unwrap()
}

#[tokio::test]
async fn a_role_that_narrows_before_the_commit_is_obeyed() {
    let server = Arc::new(server().await);
    let answer = issue_while(&server, |server| async move {
        let role = json!({ "allowed_domains": "example.com", "key_type": "ec" });
        server.post("pki/roles/web", role).await.ok();
    })
    .await;
    answer.refused(400, "common name a.example.org not allowed by this role");
}

#[tokio::test]
async fn a_role_that_is_deleted_before_the_commit_permits_nothing() {
    let server = Arc::new(server().await);
    let answer = issue_while(&server, |server| async move {
        server.delete("pki/roles/web").await.ok();
    })
    .await;
    answer.refused(400, "unknown role: web");
}

#[tokio::test]
async fn an_issuer_that_loses_its_usage_before_the_commit_does_not_issue() {
    let server = Arc::new(server().await);
    let answer = issue_while(&server, |server| async move {
        let usage = json!({ "usage": "read-only,crl-signing" });
        server.call("PATCH", "pki/issuer/root", Some(&usage)).await.ok();
    })
    .await;
    answer.refused(400, "requested usage issuing-certificates");
}

#[tokio::test]
async fn an_existing_serial_number_is_not_overwritten() {
    let server = server().await;
    let taken = issue(&server).await.ok().text("serial_number");
    let bytes: Vec<u8> =
        taken.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let key = key::certificate(&mount_id(&server), bytes.as_slice().try_into().unwrap());
    let store = &server.engine.env().store;
    let batch = Batch::new().expect_absent(key.clone()).put(key, b"other".to_vec());
    assert!(store.commit(batch).await.is_err());
}

#[tokio::test]
async fn refuses_a_mount_whose_path_overlaps_another() {
    let server = server().await;
    let pki = || json!({ "type": "pki" });
    for path in ["pki", "pki/", "pki/below", "pki/roles/web"] {
        let answer =
            server.post(&format!("sys/mounts/{}", path.trim_end_matches('/')), pki()).await;
        answer.refused(400, "path is already in use at pki/");
    }
    server.post("sys/mounts/a/b", pki()).await.ok();
    server.post("sys/mounts/a", pki()).await.refused(400, "path is already in use at a/b/");
    server.post("sys/mounts/pki2", pki()).await.ok();
    for path in ["sys", "auth", "identity", "cubbyhole", "sys/below"] {
        let answer = server.post(&format!("sys/mounts/{path}"), pki()).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    let other = server.post("sys/mounts/other", json!({ "type": "kv" })).await;
    other.refused(400, "plugin not found in the catalog: kv");
}

#[tokio::test]
async fn disabling_a_mount_deletes_everything_in_it() {
    let server = server().await;
    let serial = issue(&server).await.ok().text("serial_number");
    server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    let id = mount_id(&server);
    let left = async || {
        let snapshot = server.engine.env().store.snapshot().await.unwrap();
        snapshot.keys(&key::everything_in(&id).range(), usize::MAX).await.unwrap().len()
    };
    assert!(left().await > 5);
    server.delete("sys/mounts/pki").await.ok();
    assert_eq!(left().await, 0);
    assert_eq!(server.get(&format!("pki/cert/{serial}")).await.status, 404);
    server.post("sys/mounts/pki", json!({ "type": "pki" })).await.ok();
    assert!(list(&server, "pki/roles").await.is_empty());
    assert!(list(&server, "pki/issuers").await.is_empty());
}

#[tokio::test]
async fn an_identity_that_the_role_does_not_allow_is_refused_on_every_path() {
    let server = server().await;
    let role = json!({
        "key_type": "ec", "require_cn": false, "allowed_uri_sans": SPIFFE_ROLE,
    });
    server.post("pki/roles/web", role).await.ok();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let uri = "spiffe://example.com/x";
    parameters.subject_alt_names =
        vec![rcgen::SanType::URI(rcgen::string::Ia5String::try_from(uri).unwrap())];
    let csr = pem(REQUEST, parameters.serialize_request(&key).unwrap().der());
    for (path, body) in [
        ("pki/issue/web", json!({ "uri_sans": uri })),
        ("pki/issuer/root/issue/web", json!({ "uri_sans": uri })),
        ("pki/sign/web", json!({ "csr": csr })),
        ("pki/issuer/default/sign/web", json!({ "csr": csr })),
    ] {
        server.post(path, body).await.refused(400, "which are not valid for this role");
    }
}

/// A CSR with a wrong signature.
fn forged_csr() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let mut broken = parameters.serialize_request(&key).unwrap().der().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    pem(REQUEST, &broken)
}

#[tokio::test]
async fn refuses_a_csr_that_its_sender_did_not_sign() {
    let server = server().await;
    let before = list(&server, "pki/certs").await;
    let body = json!({ "csr": forged_csr(), "common_name": "a.example.org" });
    server.post("pki/sign/web", body).await.refused(400, "request signature invalid");
    assert_eq!(list(&server, "pki/certs").await, before);
}

#[tokio::test]
async fn concurrent_requests_get_their_own_certificates() {
    let server = server().await;
    let root = json!({ "common_name": "R", "issuer_name": "rsa", "key_type": "rsa" });
    server.post("pki/root/generate/internal", root).await.ok();
    server.post("pki/roles/rsa", json!({ "allow_any_name": true, "issuer_ref": "rsa" })).await.ok();
    let ask = |role: &str, name: &str| {
        let body = json!({ "common_name": name, "private_key_format": "pkcs8" });
        let (path, server) = (format!("pki/issue/{role}"), &server);
        async move { server.post(&path, body).await.ok() }
    };
    let broken = json!({ "csr": forged_csr(), "common_name": "b.example.org" });
    let (one, refused, other, last) = tokio::join!(
        ask("web", "a.example.org"),
        server.post("pki/sign/web", broken),
        ask("rsa", "c.example.org"),
        ask("web", "d.example.org")
    );
    refused.refused(400, "request signature invalid");
    for (answer, name) in
        [(one, "a.example.org"), (other, "c.example.org"), (last, "d.example.org")]
    {
        let certificate = matching_certificate(&answer, name);
        let certificate = certificate.tbs_certificate();
        assert!(certificate.subject().to_string().contains(name), "{name}");
        let is_by_rsa = certificate.issuer().to_string() == "CN=R";
        assert_eq!(is_by_rsa, name == "c.example.org");
    }
}

/// The certificate of a response, after checking that the private key matches.
fn matching_certificate(answer: &Answer, what: &str) -> x509_cert::Certificate {
    let key = rcgen::KeyPair::try_from(der(&answer.text("private_key"))).unwrap();
    let certificate = x509_cert::Certificate::from_der(&der(&answer.text("certificate"))).unwrap();
    let public = certificate.tbs_certificate().subject_public_key_info().to_der().unwrap();
    assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&key), public, "{what}");
    certificate
}

#[tokio::test]
async fn no_two_certificates_share_a_serial_number() {
    let server = server().await;
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..100 {
        assert!(serials.insert(issue(&server).await.ok().text("serial_number")));
    }
}

#[tokio::test]
async fn the_key_of_a_response_matches_its_certificate() {
    let server = server().await;
    for (kind, bits) in [("ec", 256), ("ec", 384), ("ec", 521), ("ed25519", 0)] {
        let role = json!({ "allow_any_name": true, "key_type": kind, "key_bits": bits });
        server.post("pki/roles/web", role).await.ok();
        let body = json!({ "common_name": "a.example.org", "private_key_format": "pkcs8" });
        let answer = server.post("pki/issue/web", body).await.ok();
        matching_certificate(&answer, &format!("{kind} {bits}"));
    }
}
