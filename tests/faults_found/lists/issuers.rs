//! Issuers that are revoked or outside their validity do not sign.

use der::Decode;
use serde_json::json;

use super::shapes::{RSA_SHA1, Shape, own_key};
use super::{colons, crl, imported, issue, list, read, revoke, server, set};
use crate::support::{Answer, Server, der};

/// An intermediate of this mount: the id of the issuer, and its certificate.
async fn intermediate(server: &Server, name: &str, parent: &str) -> (String, Answer) {
    let certificate = signed(server, name, parent).await;
    let answer = set(server, &certificate.text("certificate")).await;
    (imported(&answer), certificate)
}

async fn signed(server: &Server, name: &str, parent: &str) -> Answer {
    let body = json!({ "common_name": name, "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", body).await.ok().text("csr");
    let body = json!({ "csr": csr, "common_name": name, "ttl": "8760h" });
    server.post(&format!("pki/issuer/{parent}/sign-intermediate"), body).await.ok()
}

/// Every request for a signature by this issuer is refused with this text.
async fn signs_nothing(server: &Server, issuer: &str, text: &str) {
    let name = json!({ "common_name": "a.example.org" });
    let csr = server
        .post("pki/intermediate/generate/internal", json!({ "common_name": "x", "key_type": "ec" }))
        .await
        .ok()
        .text("csr");
    for (path, body) in [
        (format!("pki/issuer/{issuer}/issue/web"), name),
        (format!("pki/issuer/{issuer}/sign/web"), json!({ "csr": csr, "common_name": "a.b" })),
        (
            format!("pki/issuer/{issuer}/sign-intermediate"),
            json!({ "csr": csr, "common_name": "x" }),
        ),
        (
            "pki/root/sign-intermediate".to_owned(),
            json!({ "csr": csr, "common_name": "x", "issuer_ref": issuer }),
        ),
    ] {
        let answer = server.post(&path, body).await;
        answer.refused(400, text);
    }
}

#[tokio::test]
async fn f06_an_intermediate_that_was_revoked_before_it_is_set_does_not_issue() {
    let server = server().await;
    let certificate = signed(&server, "Below", "root").await;
    let serial = certificate.text("serial_number");
    revoke(&server, &serial).await.ok();
    assert_eq!(crl(&server, "pki/issuer/root/crl/der").await.serials, [serial]);
    let answer = set(&server, &certificate.text("certificate")).await;
    let warned = answer.warnings().iter().any(|text| {
        text.starts_with("Signet: ") && text.contains("its certificate was revoked at")
    });
    assert!(warned, "{answer:?}");
    let id = imported(&answer);
    let again = set(&server, &certificate.text("certificate")).await;
    assert!(again.warnings()[0].contains("its certificate was revoked at"), "{again:?}");
    signs_nothing(&server, &id, "its certificate was revoked at").await;
    let read = server.get(&format!("pki/issuer/{id}")).await.ok().data();
    assert_eq!((&read["revoked"], &read["revocation_time"]), (&true.into(), &server.now().into()));
    let usage = json!({ "usage": "read-only,issuing-certificates,crl-signing" });
    let answer = server.call("PATCH", &format!("pki/issuer/{id}"), Some(&usage)).await;
    answer.refused(400, "This issuer was revoked; unable to modify its usage");
    // It can be revoked as an issuer too; the time stays that of the first revocation.
    server.advance(60);
    let revoked = server.post(&format!("pki/issuer/{id}/revoke"), json!({})).await.ok();
    assert_eq!(revoked.data()["revocation_time"], read["revocation_time"]);
}

#[tokio::test]
async fn f06_a_revoked_issuer_is_on_the_crl_of_its_parent() {
    let server = server().await;
    let (id, certificate) = intermediate(&server, "Below", "root").await;
    let (lower, _) = intermediate(&server, "Lower", &id).await;
    let leaf = issue(&server, &format!("pki/issuer/{id}/issue/web")).await;
    let serial = certificate.text("serial_number");
    let refused = revoke(&server, &serial).await;
    refused.refused(400, &format!("adding issuer (id: {id}) to its own CRL is not allowed"));
    assert!(refused.warnings()[0].contains("/revoke"), "it names the right endpoint: {refused:?}");
    let revoked = server.post(&format!("pki/issuer/{id}/revoke"), json!({})).await.ok();
    let data = revoked.data();
    assert_eq!((&data["revoked"], &data["revocation_time"]), (&true.into(), &server.now().into()));
    assert!(data["revocation_time_rfc3339"].as_str().unwrap().ends_with('Z'));
    assert_eq!(data["usage"], "crl-signing,ocsp-signing,read-only");
    assert!(revoked.warnings().is_empty(), "{revoked:?}");
    assert_eq!(
        crl(&server, "pki/issuer/root/crl/der").await.serials,
        std::slice::from_ref(&serial)
    );
    assert_eq!(
        server.get(&format!("pki/cert/{serial}")).await.ok().data()["issuer_id"]
            .as_str()
            .unwrap()
            .len(),
        36
    );
    signs_nothing(&server, &id, "requested usage issuing-certificates").await;
    signs_nothing(&server, &lower, &format!("issuer {id} above it is revoked")).await;
    assert_eq!(server.get(&format!("pki/issuer/{lower}")).await.ok().data()["revoked"], false);
    // It still signs its own CRL.
    revoke(&server, &leaf).await.ok();
    assert_eq!(crl(&server, &format!("pki/issuer/{id}/crl/der")).await.serials, [leaf]);
    // A second revocation returns the same data and no warnings, also after a restart.
    server.advance(60);
    let again = server.post(&format!("pki/issuer/{id}/revoke"), json!({})).await.ok();
    assert_eq!((again.data(), again.warnings()), (data.clone(), Vec::new()));
    let server = server.restarted().await;
    assert_eq!(server.get(&format!("pki/issuer/{id}")).await.ok().data(), data);
    signs_nothing(&server, &lower, "above it is revoked").await;
    // Deleting or importing the revoked issuer does not re-enable the issuers below it.
    server.delete(&format!("pki/issuer/{id}")).await.ok();
    signs_nothing(&server, &lower, "above it is revoked").await;
    let id = imported(&set(&server, &certificate.text("certificate")).await);
    signs_nothing(&server, &id, "its certificate was revoked at").await;
}

#[tokio::test]
async fn f06_a_revoked_root_does_not_issue_but_issuers_below_another_root_do() {
    let server = server().await;
    let (below, _) = intermediate(&server, "Below", "root").await;
    let revoked = server.post("pki/issuer/root/revoke", json!({})).await.ok();
    let warnings = revoked.warnings();
    assert!(warnings[0].starts_with("This issuer is a self-signed"), "{warnings:?}");
    assert!(warnings[1].starts_with("This issuer lacks another parent"), "{warnings:?}");
    assert!(warnings[2].starts_with("This issuer is currently configured as the default"));
    signs_nothing(&server, &below, "above it is revoked").await;
    let root = read(&server, "pki/issuer/root/crl/der").await.ok();
    assert!(list(&root.body).serials.is_empty(), "not on its own CRL");
    let serial = server.get("pki/issuer/root").await.ok().text("certificate");
    let serial = x509_cert::Certificate::from_der(&der(&serial)).unwrap();
    let serial = colons(serial.tbs_certificate().serial_number().as_bytes());
    let read = server.get(&format!("pki/cert/{serial}")).await.ok().data();
    assert_eq!(read["revocation_time"], server.now());
    // A new certificate for the same name and key.
    let body = json!({ "common_name": "Example Root", "key_ref": "default", "ttl": "8760h" });
    server.post("pki/root/generate/existing", body).await.ok();
    issue(&server, &format!("pki/issuer/{below}/issue/web")).await;
}

#[tokio::test]
async fn f06_a_deleted_issuer_that_is_revoked_by_its_serial_number_stops_the_issuers_below() {
    let server = server().await;
    let (id, certificate) = intermediate(&server, "Below", "root").await;
    let (lower, _) = intermediate(&server, "Lower", &id).await;
    server.delete(&format!("pki/issuer/{id}")).await.ok();
    issue(&server, &format!("pki/issuer/{lower}/issue/web")).await;
    let serial = certificate.text("serial_number");
    revoke(&server, &serial).await.ok();
    // Before any other change of the mount.
    let leaf = json!({ "common_name": "a.example.org" });
    let answer = server.post(&format!("pki/issuer/{lower}/issue/web"), leaf).await;
    answer.refused(400, "above it is revoked");
    signs_nothing(&server, &lower, "above it is revoked").await;
    assert_eq!(crl(&server, "pki/issuer/root/crl/der").await.serials, [serial]);
}

#[tokio::test]
async fn f06_a_revoked_issuer_in_a_manual_chain_stops_the_issuers_below() {
    let server = server().await;
    // Its signature algorithm is not verified, so the chain must be set manually.
    let mut shape = Shape::new(&own_key(&server, "ec").await);
    shape.algorithm = RSA_SHA1.to_vec();
    let lower = imported(&set(&server, &shape.pem()).await);
    let (above, _) = intermediate(&server, "Above", "root").await;
    let chain = json!({ "manual_chain": ["self", above, "root"] });
    server.call("PATCH", &format!("pki/issuer/{lower}"), Some(&chain)).await.ok();
    issue(&server, &format!("pki/issuer/{lower}/issue/web")).await;
    server.post(&format!("pki/issuer/{above}/revoke"), json!({})).await.ok();
    signs_nothing(&server, &lower, &format!("issuer {above} above it is revoked")).await;
    // Another chain without the revoked issuer.
    let chain = json!({ "manual_chain": ["self", "root"] });
    server.call("PATCH", &format!("pki/issuer/{lower}"), Some(&chain)).await.ok();
    issue(&server, &format!("pki/issuer/{lower}/issue/web")).await;
}

#[tokio::test]
async fn f07_an_issuer_outside_its_validity_does_not_sign() {
    let server = server().await;
    let body = json!({
        "common_name": "Short", "key_type": "ec", "issuer_name": "short", "ttl": "2h",
    });
    server.post("pki/root/generate/internal", body).await.ok();
    let (below, _) = intermediate(&server, "Below", "root").await;
    for behavior in ["err", "truncate", "permit"] {
        let body = json!({ "leaf_not_after_behavior": behavior });
        server.call("PATCH", "pki/issuer/short", Some(&body)).await.ok();
        server.advance(3 * 3600);
        signs_nothing(&server, "short", "its certificate expired at 2026-11-22T14:00:00Z").await;
        server.advance(-3 * 3600 - 600);
        signs_nothing(&server, "short", "its certificate is not valid before 2026-11-22T11:59:30Z")
            .await;
        server.advance(600);
    }
    // Its CRL is still renewed: verifiers may still check certificates that it signed.
    server.advance(40 * 3600);
    let list = crl(&server, "pki/issuer/short/crl/der").await;
    assert_eq!(list.this_update, server.now());
    issue(&server, &format!("pki/issuer/{below}/issue/web")).await;
}
