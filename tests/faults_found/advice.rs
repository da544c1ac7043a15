//! Refusals and warnings that name what helps, and paths of Vault that are not built.

use bytes::Bytes;
use serde_json::json;

use crate::support::Server;

/// A warning that contains `text`.
#[track_caller]
fn warned(warnings: &[String], text: &str) {
    let found =
        warnings.iter().any(|warning| warning.starts_with("Signet: ") && warning.contains(text));
    assert!(found, "no {text:?} in {warnings:#?}");
}

#[tokio::test]
async fn n13_a_lifetime_beyond_the_issuer_s_end_is_refused_with_one_that_fits() {
    let server = Server::new().await;
    server.post("sys/mounts/pki", json!({ "type": "pki" })).await.ok();
    let root = json!({ "common_name": "Root", "key_type": "ec" });
    server.post("pki/root/generate/internal", root).await.ok();
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    let name = json!({ "common_name": "a.example.org" });
    server.advance(3600);
    let refused = server.post("pki/issue/web", name.clone()).await;
    refused.refused(400, "beyond the expiration of the CA certificate");
    warned(&refused.warnings(), "ask for less, for example ttl=24h");
    warned(&refused.warnings(), "signet patch pki/roles/web ttl=24h max_ttl=24h");
    // The advice works.
    let asked = json!({ "common_name": "a.example.org", "ttl": "24h" });
    server.post("pki/issue/web", asked).await.ok();
    server
        .call("PATCH", "pki/roles/web", Some(&json!({ "ttl": "24h", "max_ttl": "24h" })))
        .await
        .ok();
    server.post("pki/issue/web", name).await.ok();
}

#[tokio::test]
async fn n13_no_lifetime_is_advised_where_the_issuer_is_about_to_end() {
    let server = Server::with_root().await;
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    server.advance(87_600 * 3600 - 300);
    let refused = server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await;
    refused.refused(400, "beyond the expiration of the CA certificate");
    warned(&refused.warnings(), "make a new issuer first");
}

#[tokio::test]
async fn n14_a_path_of_vault_that_is_not_built_says_so() {
    let server = Server::with_root().await;
    for path in [
        "pki/config/acme",
        "pki/acme/directory",
        "pki/issuer/root/sign-verbatim",
        "sys/policies/acl/a",
    ] {
        let answer = server.get(path).await;
        answer.refused(404, "unsupported path");
        warned(&answer.warnings(), "not in Signet 0.1.0");
        let help = server.get(&format!("{path}?help=1")).await.ok().json();
        assert!(help["help"].as_str().unwrap().contains("not in Signet 0.1.0"), "{path}: {help}");
    }
    let login = server.post("auth/approle/login", json!({ "role_id": "a" })).await;
    login.refused(404, "no handler for route");
    warned(&login.warnings(), "auth/ is a path of Vault that is not in Signet");
    // A path that Vault lacks too is answered as before, and nothing is told without a token.
    let nowhere = server.get("pki/nowhere").await;
    nowhere.refused(404, "unsupported path");
    assert_eq!(nowhere.warnings(), [""; 0]);
    let outside = server.send("GET", "pki/config/acme", None, &[], Bytes::new()).await;
    assert_eq!((outside.status, outside.warnings().len()), (403, 0));
}

#[tokio::test]
async fn n14_the_help_of_a_mount_lists_its_paths() {
    let server = Server::with_root().await;
    for path in ["pki", "pki/", "sys", "auth/token"] {
        let help = server.get(&format!("{path}?help=1")).await.ok().json();
        assert!(help["help"].as_str().unwrap().contains("## PATHS"), "{path}: {help}");
    }
}

#[tokio::test]
async fn n15_a_parameter_that_is_not_known_leads_to_the_one_that_was_meant() {
    let server = Server::with_root().await;
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    let body =
        json!({ "common_name": "a.example.org", "dns_sans": "b.example.org", "ip_san": "::1" });
    let issued = server.post("pki/issue/web", body).await.ok();
    warned(
        &issued.warnings(),
        "\"dns_sans\" is not known and was ignored; alt_names holds DNS names",
    );
    warned(&issued.warnings(), "\"ip_san\" is not known and was ignored; did you mean ip_sans?");
    assert!(issued.warnings()[0].starts_with("Endpoint ignored"), "{:?}", issued.warnings());
}

#[tokio::test]
async fn n15_a_flag_that_is_neither_true_nor_false_is_shown() {
    let server = Server::with_root().await;
    let refused = server.post("pki/roles/web", json!({ "no_store": "maybe" })).await;
    refused.refused(400, "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax");
    warned(&refused.warnings(), "no_store is \"maybe\", which is neither true nor false");
    let refused = server.post("pki/roles/web", json!({ "key_bits": "many" })).await;
    warned(&refused.warnings(), "key_bits is \"many\", which is not a whole number");
}

#[tokio::test]
async fn n15_ocsp_servers_come_with_a_warning_that_ocsp_is_not_answered() {
    let server = Server::with_root().await;
    let urls = json!({ "ocsp_servers": "http://pki.example.org/ocsp" });
    let written = server.post("pki/config/urls", urls).await.ok();
    warned(&written.warnings(), "does not answer OCSP");
    let without = server.post("pki/config/urls", json!({ "ocsp_servers": "" })).await.ok();
    assert_eq!(without.warnings(), [""; 0]);
}
