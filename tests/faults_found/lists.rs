//! Revocations and CRLs; issuers that must not sign and unusual certificates are in `lists/`.

use std::sync::Arc;

use bytes::Bytes;
use der::Decode;
use serde_json::{Value, json};
use signet::store::memory::CommitFault;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use x509_cert::crl::CertificateList;

use crate::support::{Answer, Server, der};

#[path = "lists/issuers.rs"]
mod issuers;
#[path = "lists/shapes.rs"]
mod shapes;

use shapes::{Shape, foreign_key};

const YEAR: i64 = 365 * 24 * 3600;

async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "max_ttl": "24h" });
    server.post("pki/roles/web", role).await.ok();
    server
}

/// A CRL as a verifier reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct List {
    number: u64,
    this_update: i64,
    serials: Vec<String>,
}

fn list(bytes: &[u8]) -> List {
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(bytes).unwrap();
    let list = list.tbs_cert_list;
    let extensions = list.crl_extensions.unwrap();
    let number = extensions.iter().find(|one| one.extn_id.to_string() == "2.5.29.20").unwrap();
    let entries = list.revoked_certificates.unwrap_or_default();
    let mut serials: Vec<_> =
        entries.iter().map(|entry| colons(entry.serial_number.as_bytes())).collect();
    serials.sort();
    List {
        number: u64::from_der(number.extn_value.as_bytes()).unwrap(),
        this_update: list.this_update.to_unix_duration().as_secs().try_into().unwrap(),
        serials,
    }
}

fn colons(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Reads without a token.
async fn read(server: &Server, path: &str) -> Answer {
    server.send("GET", path, None, &[], Bytes::new()).await
}

async fn crl(server: &Server, path: &str) -> List {
    list(&read(server, path).await.ok().body)
}

async fn issue(server: &Server, path: &str) -> String {
    let body = json!({ "common_name": "a.example.org" });
    server.post(path, body).await.ok().text("serial_number")
}

async fn revoke(server: &Server, serial: &str) -> Answer {
    server.post("pki/revoke", json!({ "serial_number": serial })).await
}

/// The CRL of a response in any form.
fn any_form(answer: &Answer) -> List {
    let text = |member: &str| answer.data().get(member).and_then(Value::as_str).map(der);
    if let Some(bytes) = text("crl").or_else(|| text("certificate")) {
        return list(&bytes);
    }
    match std::str::from_utf8(&answer.body) {
        Ok(text) if text.starts_with("-----") => list(&der(text)),
        _ => list(&answer.body),
    }
}

async fn set(server: &Server, certificate: &str) -> Answer {
    server.post("pki/intermediate/set-signed", json!({ "certificate": certificate })).await.ok()
}

fn imported(answer: &Answer) -> String {
    answer.data()["imported_issuers"][0].as_str().unwrap().to_owned()
}

const FORMS: [&str; 6] = [
    "pki/crl",
    "pki/crl/pem",
    "pki/cert/crl",
    "pki/issuer/root/crl",
    "pki/issuer/root/crl/der",
    "pki/issuer/root/crl/pem",
];

/// Starts `count` readers of all forms, and runs each until it waits.
async fn readers(server: &Arc<Server>, count: usize) -> Vec<JoinHandle<Answer>> {
    let started: Vec<_> = FORMS
        .iter()
        .cycle()
        .take(count)
        .map(|path| {
            let server = Arc::clone(server);
            tokio::spawn(async move { read(&server, path).await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    started
}

/// Makes the next commit wait for the returned signal.
fn held(server: &Server) -> Arc<Notify> {
    let gate = Arc::new(Notify::new());
    server.memory.danger_inject(1, CommitFault::Slow(Arc::clone(&gate)));
    gate
}

#[tokio::test]
async fn f04_concurrent_reads_of_a_stale_crl_share_one_build() {
    let server = Arc::new(server().await);
    let before = crl(&server, "pki/crl").await;
    server.advance(37 * 3600);
    let batches = server.memory.tally().batches;
    let gate = held(&server);
    let waiting = readers(&server, 60).await;
    gate.notify_one();
    for one in waiting {
        let read = any_form(&one.await.unwrap().ok());
        assert_eq!(read.number, before.number + 1, "all readers get the same CRL");
    }
    assert_eq!(server.memory.tally().batches, batches + 1, "one commit");
    assert_eq!(crl(&server, "pki/crl").await.number, before.number + 1);
}

#[tokio::test]
async fn f04_a_crl_near_or_past_its_expiry_is_built_once() {
    let server = Arc::new(server().await);
    let mut number = crl(&server, "pki/crl").await.number;
    for hours in [37, 72, 73, 500] {
        server.advance(hours * 3600);
        let gate = held(&server);
        let waiting = readers(&server, 20).await;
        gate.notify_one();
        number += 1;
        for one in waiting {
            assert_eq!(any_form(&one.await.unwrap().ok()).number, number, "{hours}");
        }
    }
}

#[tokio::test]
async fn f04_unauthenticated_reads_write_nothing_after_a_restart() {
    let server = server().await;
    for _ in 0..3 {
        let serial = issue(&server, "pki/issue/web").await;
        revoke(&server, &serial).await.ok();
    }
    let before = crl(&server, "pki/crl").await;
    let server = Arc::new(server.restarted().await);
    let batches = server.memory.tally().batches;
    for one in readers(&server, 60).await {
        assert_eq!(any_form(&one.await.unwrap().ok()), before);
    }
    assert_eq!(server.memory.tally().batches, batches, "the stored CRL is complete");
    let serial = issue(&server, "pki/issue/web").await;
    revoke(&server, &serial).await.ok();
    let after = crl(&server, "pki/crl").await;
    assert_eq!((after.number, after.serials.len()), (before.number + 1, 4));
}

#[tokio::test]
async fn f04_a_revocation_does_not_wait_for_readers() {
    let server = Arc::new(server().await);
    let serial = issue(&server, "pki/issue/web").await;
    let before = crl(&server, "pki/crl").await;
    server.advance(37 * 3600);
    // Nothing was revoked, so the first reader triggers this renewal.
    let gate = held(&server);
    let waiting = readers(&server, 60).await;
    let batches = server.memory.tally().batches;
    // The first certificate is valid for 24 hours only, so a new one is revoked.
    let revoking = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let fresh = issue(&server, "pki/issue/web").await;
            revoke(&server, &fresh).await.ok();
            (fresh, server.memory.tally().batches)
        })
    };
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    let (fresh, ended) = revoking.await.unwrap();
    assert!(ended <= batches + 4, "it waits for at most one build: {batches}, {ended}");
    for one in waiting {
        one.await.unwrap().ok();
    }
    let after = crl(&server, "pki/crl").await;
    assert_eq!(after.serials, [fresh]);
    assert!(after.number <= before.number + 2, "{after:?} after {before:?}; {serial}");
}

#[tokio::test]
async fn f04_every_reader_gets_the_same_bytes() {
    let server = server().await;
    for path in ["pki/crl", "pki/crl/pem", "pki/issuer/root/crl/pem"] {
        let (one, other) = (read(&server, path).await.ok(), read(&server, path).await.ok());
        assert_eq!(one.body.as_ptr(), other.body.as_ptr(), "{path}: no copy for each reader");
    }
}

#[tokio::test]
async fn f04_a_crl_signed_by_an_issuer_with_the_same_name_and_key_is_cached() {
    let server = server().await;
    let again = json!({ "common_name": "Example Root", "key_ref": "default", "ttl": "8760h" });
    server.post("pki/root/generate/existing", again).await.ok();
    let issuers = server.list("pki/issuers").await.ok().data();
    let first = issuers["keys"][0].as_str().unwrap().to_owned();
    let path = format!("pki/issuer/{first}");
    // Both issuers sign in turn, so that each has signed a complete CRL.
    for usage in ["read-only", "read-only,crl-signing", "read-only", "read-only,crl-signing"] {
        server.call("PATCH", &path, Some(&json!({ "usage": usage }))).await.ok();
        for path in ["pki/crl", "pki/crl/pem", "pki/issuer/root/crl/pem"] {
            let (one, other) = (read(&server, path).await.ok(), read(&server, path).await.ok());
            assert_eq!(one.body.as_ptr(), other.body.as_ptr(), "{usage}, {path}: read once");
        }
    }
}

#[tokio::test]
async fn f16_reading_a_crl_while_the_clock_is_ahead_has_no_lasting_effect() {
    let server = server().await;
    let before = crl(&server, "pki/crl").await;
    let batches = server.memory.tally().batches;
    server.advance(4 * YEAR);
    for path in FORMS {
        assert_eq!(
            any_form(&read(&server, path).await.ok()),
            before,
            "{path}: a read does not build a CRL"
        );
    }
    let server = server.restarted().await;
    assert_eq!(crl(&server, "pki/crl").await, before);
    assert_eq!(server.memory.tally().batches, batches);
    server.advance(-4 * YEAR);
    assert_eq!(crl(&server, "pki/crl").await, before);
}

#[tokio::test]
async fn f16_a_crl_from_the_future_is_followed_by_a_current_one() {
    for ahead in [3600, 40 * 24 * 3600, 4 * YEAR] {
        let server = server().await;
        let before = crl(&server, "pki/crl").await;
        server.advance(ahead);
        let rotated = server.get("pki/crl/rotate").await.ok();
        assert_eq!(rotated.data(), json!({ "success": true }));
        let future = crl(&server, "pki/crl").await;
        assert_eq!((future.number, future.this_update), (before.number + 1, server.now()));
        server.advance(-ahead);
        let present = crl(&server, "pki/crl").await;
        assert_eq!((present.number, present.this_update), (future.number + 1, server.now()));
        let serial = issue(&server, "pki/issue/web").await;
        server.advance(ahead);
        revoke(&server, &issue(&server, "pki/issue/web").await).await;
        server.advance(-ahead);
        revoke(&server, &serial).await.ok();
        let present = crl(&server, "pki/crl").await;
        assert!(present.this_update == server.now() && present.serials.contains(&serial));
    }
}

#[tokio::test]
async fn f16_reading_a_crl_while_the_clock_is_behind_has_no_lasting_effect() {
    for behind in [3600, 40 * YEAR] {
        let server = server().await;
        let before = crl(&server, "pki/crl").await;
        server.advance(-behind);
        crl(&server, "pki/crl").await;
        server.advance(behind + 1);
        let server = server.restarted().await;
        let after = crl(&server, "pki/crl").await;
        assert!(after.number > before.number, "{after:?}");
        if behind > YEAR {
            assert_eq!(after.this_update, server.now());
        }
    }
}

#[tokio::test]
async fn f16_rotating_a_crl_needs_a_token() {
    let server = server().await;
    let before = crl(&server, "pki/crl").await;
    assert_eq!(read(&server, "pki/crl/rotate").await.status, 403);
    assert_eq!(server.post("pki/crl/rotate", json!({})).await.status, 405);
    assert_eq!(crl(&server, "pki/crl").await, before);
    assert_eq!(server.get("pki/crl/rotate").await.ok().data(), json!({ "success": true }));
    assert_eq!(crl(&server, "pki/crl").await.number, before.number + 1);
    server.advance(2 * YEAR);
    server.get("pki/crl/rotate").await.ok();
    assert_eq!(
        crl(&server, "pki/crl").await.this_update,
        server.now(),
        "an operator may rotate at any clock"
    );
}

#[tokio::test]
async fn f19_the_crl_of_a_deleted_issuer_is_continued_and_no_other_crl_has_its_entries() {
    let server = server().await;
    let other = json!({ "common_name": "Other", "key_type": "ec", "issuer_name": "other" });
    server.post("pki/root/generate/internal", other).await.ok();
    let (one, two) = (
        issue(&server, "pki/issuer/root/issue/web").await,
        issue(&server, "pki/issuer/root/issue/web").await,
    );
    let id = server.get("pki/issuer/root").await.ok().text("issuer_id");
    revoke(&server, &one).await.ok();
    let before = crl(&server, "pki/issuer/root/crl/der").await;
    server.delete("pki/issuer/root").await.ok();
    server.post("pki/config/issuers", json!({ "default": "other" })).await.ok();
    let gone = |path: &str| format!("pki/issuer/{path}/crl/der");
    for path in [gone(&id), gone("root")] {
        assert_eq!(crl(&server, &path).await, before, "{path}");
    }
    revoke(&server, &two).await.ok();
    let mut both = vec![one.clone(), two.clone()];
    both.sort();
    let after = crl(&server, &gone(&id)).await;
    assert_eq!((after.number, &after.serials), (before.number + 1, &both));
    assert!(crl(&server, "pki/crl").await.serials.is_empty());
    assert!(crl(&server, &gone("other")).await.serials.is_empty());
    let server = server.restarted().await;
    server.get("pki/crl/rotate").await.ok();
    let after = crl(&server, &gone("root")).await;
    assert_eq!((after.number, &after.serials), (before.number + 2, &both));
    assert!(crl(&server, "pki/crl").await.serials.is_empty());
    // Once another issuer has the name, the name refers to the CRL of that issuer.
    let body = json!({ "common_name": "New", "key_type": "ec", "issuer_name": "root" });
    server.post("pki/root/generate/internal", body).await.ok();
    assert!(crl(&server, &gone("root")).await.serials.is_empty());
    assert_eq!(crl(&server, &gone(&id)).await.serials, both);
    assert_eq!(server.get("pki/issuer/nowhere/crl").await.status, 400);
}

#[tokio::test]
async fn f19_deleting_the_key_of_a_deleted_issuer_warns_of_the_lost_entries() {
    let server = server().await;
    let key = server.get("pki/issuer/root").await.ok().text("key_id");
    let id = server.get("pki/issuer/root").await.ok().text("issuer_id");
    let path = format!("pki/key/{key}");
    let old = issue(&server, "pki/issue/web").await;
    revoke(&server, &old).await.ok();
    server.advance(25 * 3600);
    let serials = [issue(&server, "pki/issue/web").await, issue(&server, "pki/issue/web").await];
    for serial in &serials {
        revoke(&server, serial).await.ok();
    }
    let answer = server.delete(&path).await;
    answer.refused(400, &format!("Failed to Delete Key.  Key in Use by Issuer: {id}"));
    let certificate = server.get("pki/issuer/root").await.ok().text("certificate");
    server.delete("pki/issuer/root").await.ok();
    // After another import, the same CRL is continued.
    let again = imported(&set(&server, &certificate).await);
    assert_eq!(crl(&server, &format!("pki/issuer/{again}/crl/der")).await.serials.len(), 3);
    server.delete(&format!("pki/issuer/{again}")).await.ok();
    assert_eq!(crl(&server, &format!("pki/issuer/{id}/crl/der")).await.serials.len(), 3);
    let deleted = server.delete(&path).await.ok();
    let warnings = deleted.warnings();
    assert!(warnings[0].starts_with("Deleted key") && warnings[0].contains("default key"));
    assert!(
        warnings[1].starts_with("Signet: ") && warnings[1].contains(" 2 revoked"),
        "{warnings:?}"
    );
    assert_eq!(server.delete(&path).await.status, 204, "it is deleted");
    let text = "unable to find PKI issuer for reference";
    read(&server, &format!("pki/issuer/{id}/crl/der")).await.refused(400, text);
    // Later revocations are recorded, with a warning that no CRL contains them.
    let serial = &serials[0];
    assert_eq!(revoke(&server, serial).await.ok().warnings().len(), 1);
}

#[tokio::test]
async fn f19_an_issuer_that_is_deleted_and_imported_again_is_the_same_one() {
    let server = server().await;
    let root = server.get("pki/issuer/root").await.ok();
    let (id, certificate) = (root.text("issuer_id"), root.text("certificate"));
    let serial = issue(&server, "pki/issuer/root/issue/web").await;
    revoke(&server, &serial).await.ok();
    let paths = [format!("pki/issuer/{id}/crl/der"), "pki/issuer/root/crl/der".to_owned()];
    // It stays one issuer with one CRL, however often it is deleted and imported.
    let mut number = crl(&server, &paths[0]).await.number;
    let mut rotated = async |server: &Server| {
        server.get("pki/crl/rotate").await.ok();
        number += 1;
        for path in &paths {
            let list = crl(server, path).await;
            assert_eq!((list.number, list.serials), (number, vec![serial.clone()]), "{path}");
        }
    };
    let mut server = server;
    for round in 0..3 {
        server.delete(&format!("pki/issuer/{id}")).await.ok();
        rotated(&server).await;
        server = server.restarted().await;
        assert_eq!(imported(&set(&server, &certificate).await), id);
        rotated(&server).await;
        if round == 1 {
            server.post(&format!("pki/issuer/{id}/revoke"), json!({})).await.ok();
        }
        let read = server.get(&format!("pki/issuer/{id}")).await.ok().data();
        assert_eq!(read["revoked"], round > 0, "a revoked issuer stays revoked");
    }
}

#[tokio::test]
async fn r09_a_revocation_that_no_crl_contains_has_a_warning() {
    let server = server().await;
    let id = server.get("pki/issuer/root").await.ok().text("issuer_id");
    let serial = issue(&server, "pki/issue/web").await;
    let usage = json!({ "usage": "read-only,issuing-certificates" });
    server.call("PATCH", "pki/issuer/root", Some(&usage)).await.ok();
    let text = format!(
        "Warning 1 during CRL rebuild: Issuer equivalency set with associated keys lacked an issuer with CRL Signing KeyUsage; refusing to rebuild CRL for this group of issuers: {id}"
    );
    assert_eq!(revoke(&server, &serial).await.ok().warnings(), std::slice::from_ref(&text));
    assert_eq!(
        revoke(&server, &serial).await.ok().warnings(),
        std::slice::from_ref(&text),
        "again"
    );
    assert_eq!(server.get("pki/crl/rotate").await.ok().warnings(), [text]);
    // With the usage, the CRL contains it.
    let usage = json!({ "usage": "read-only,issuing-certificates,crl-signing" });
    server.call("PATCH", "pki/issuer/root", Some(&usage)).await.ok();
    assert_eq!(crl(&server, "pki/crl").await.serials, [serial]);
}

#[tokio::test]
async fn r17_an_issuer_without_a_crl_is_an_explained_404() {
    let server = server().await;
    let shape = Shape::new(&foreign_key());
    let id = imported(&set(&server, &shape.pem()).await);
    let text = format!("unable to find CRL for issuer: id:{id}/ref:{id}");
    for form in ["", "/der", "/pem"] {
        read(&server, &format!("pki/issuer/{id}/crl{form}")).await.refused(404, &text);
    }
    server.post("pki/config/issuers", json!({ "default": id })).await.ok();
    read(&server, "pki/cert/crl").await.refused(404, "unable to find CRL for issuer");
    for path in ["pki/crl", "pki/crl/pem"] {
        assert_eq!(read(&server, path).await.status, 204, "{path}");
    }
}
