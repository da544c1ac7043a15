//! The text of responses: names of members, their order, and every value that is the same in each run.

use serde_json::{Value, json};

use super::normal;
use super::support::{Answer, ROOT_TOKEN, Server};

/// Requests and their responses, one per line.
pub(crate) struct Transcript(pub(crate) String);

impl Transcript {
    async fn add(&mut self, server: &Server, method: &str, path: &str, body: Value) -> Answer {
        let sent = if body.is_null() { String::new() } else { body.to_string() };
        let answer = server.send(method, path, Some(ROOT_TOKEN), &[], sent.clone().into()).await;
        let shown = shown(&answer.json()).to_string();
        self.0.push_str(&format!("{method} {path} {sent}\n  {} {shown}\n", answer.status));
        answer
    }

    async fn read(&mut self, server: &Server, paths: &[&str]) {
        for path in paths {
            self.add(server, "GET", path, Value::Null).await;
        }
    }
}

/// A value with placeholders for what varies between runs.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => text_shown(text).into(),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (text_shown(name), shown(value))).collect(),
        ),
        other => other.clone(),
    }
}

fn text_shown(text: &str) -> String {
    if text.starts_with("-----BEGIN") {
        let end = if text.ends_with('\n') { " and a newline" } else { "" };
        return format!("<pem>{end}");
    }
    for prefix in ["pki_", "signet-cluster-", "hvs."] {
        if let Some(rest) = text.strip_prefix(prefix)
            && rest.len() >= 8
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return format!("{prefix}<random>");
        }
    }
    normal::text(text).replace(env!("CARGO_PKG_VERSION"), "<version>")
}

async fn system(transcript: &mut Transcript) -> Server {
    let server = Server::uninitialised();
    let state = ["sys/health", "sys/seal-status", "sys/leader", "sys/init"];
    transcript.read(&server, &state).await;
    transcript.add(&server, "PUT", "sys/init", json!({})).await;
    transcript.read(&server, &state).await;
    let sealed = Server::new().await;
    sealed.engine.env().sealed.seal();
    transcript.read(&sealed, &state).await;
    Server::new().await
}

async fn mounts(transcript: &mut Transcript, server: &Server) {
    let plain = json!({ "type": "pki" });
    transcript.add(server, "POST", "sys/mounts/plain", plain).await;
    let tuned = json!({
        "type": "pki", "description": "text", "options": { "b": "2", "a": "1" },
        "config": {
            "default_lease_ttl": "1h", "max_lease_ttl": "87600h", "force_no_cache": true,
            "listing_visibility": "unauth", "passthrough_request_headers": ["X-B", "X-A"],
            "audit_non_hmac_request_keys": "a", "allowed_response_headers": "b",
            "audit_non_hmac_response_keys": "c", "allowed_managed_keys": "d",
            "delegated_auth_accessors": "e",
        },
    });
    transcript.add(server, "POST", "sys/mounts/pki", tuned).await;
    let paths = [
        "sys/mounts",
        "sys/mounts/pki",
        "sys/mounts/plain",
        "sys/mounts/pki/tune",
        "sys/mounts/plain/tune",
        "sys/mounts/none",
        "sys/mounts/none/tune",
        "sys/internal/ui/mounts",
        "sys/internal/ui/mounts/pki",
        "sys/internal/ui/mounts/none",
    ];
    transcript.read(server, &paths).await;
}

/// Every field of `config/auto-tidy`.
fn auto_tidy() -> Value {
    json!({
        "enabled": true, "interval_duration": "24h", "min_startup_backoff_duration": 1,
        "max_startup_backoff_duration": "2", "tidy_cert_store": true, "tidy_revoked_certs": true,
        "tidy_revoked_cert_issuer_associations": true, "tidy_expired_issuers": true,
        "tidy_move_legacy_ca_bundle": true, "tidy_acme": true, "tidy_invalid_certs": true,
        "safety_buffer": "3s", "revoked_safety_buffer": "4s", "issuer_safety_buffer": "5s",
        "acme_account_safety_buffer": "6s", "pause_duration": "7m", "page_size": 8,
        "maintain_stored_certificate_counts": true,
        "publish_stored_certificate_count_metrics": true,
    })
}

async fn authorities(transcript: &mut Transcript, server: &Server) {
    let paths = [
        "pki/config/issuers",
        "pki/config/keys",
        "pki/config/urls",
        "pki/config/cluster",
        "pki/config/auto-tidy",
        "pki/issuer/default",
        "pki/key/default",
    ];
    transcript.read(server, &paths).await;
    for list in ["pki/issuers", "pki/keys", "pki/roles"] {
        transcript.add(server, "LIST", list, Value::Null).await;
    }
    let first = json!({ "common_name": "a", "key_type": "ec", "issuer_name": "first", "key_name": "named" });
    server.post("pki/root/generate/internal", first).await.ok();
    server.post("pki/roles/web", json!({ "key_type": "ec", "ttl": "1h" })).await.ok();
    for list in ["pki/issuers", "pki/keys", "pki/roles"] {
        transcript.add(server, "LIST", list, Value::Null).await;
    }
    let second = json!({ "common_name": "b", "key_type": "ec", "issuer_name": "second" });
    server.post("pki/root/generate/internal", second).await.ok();
    let issuer = json!({
        "issuer_name": "first", "manual_chain": "self", "usage": "read-only,issuing-certificates",
        "issuing_certificates": "http://a.example/ca", "crl_distribution_points": "http://a.example/crl",
        "delta_crl_distribution_points": "http://a.example/delta",
        "ocsp_servers": "http://a.example/ocsp", "enable_aia_url_templating": true,
        "leaf_not_after_behavior": "truncate", "revocation_signature_algorithm": "",
    });
    let urls = json!({
        "issuing_certificates": "http://b.example/ca", "crl_distribution_points": "http://b.example/crl",
        "delta_crl_distribution_points": "http://b.example/delta",
        "ocsp_servers": "http://b.example/ocsp", "enable_templating": false,
    });
    let cluster =
        json!({ "path": "https://c.example/v1/pki", "aia_path": "https://d.example/pki" });
    let latest = json!({ "default": "second", "default_follows_latest_issuer": true });
    for (path, body) in [
        ("pki/issuer/first", issuer),
        ("pki/issuer/second/revoke", json!({})),
        ("pki/config/urls", urls),
        ("pki/config/cluster", cluster),
        ("pki/config/auto-tidy", auto_tidy()),
        ("pki/config/issuers", latest),
        ("pki/config/keys", json!({ "default": "named" })),
    ] {
        transcript.add(server, "POST", path, body).await;
    }
    transcript.read(server, &paths).await;
    transcript.read(server, &["pki/issuer/first", "pki/key/named"]).await;
}

pub(crate) async fn transcript() -> String {
    let mut transcript = Transcript(String::new());
    let server = system(&mut transcript).await;
    mounts(&mut transcript, &server).await;
    authorities(&mut transcript, &server).await;
    transcript.0
}
