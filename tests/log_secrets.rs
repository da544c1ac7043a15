//! What is secret never reaches the log.
//!
//! A binary of its own: the subscriber is the process's, and beside other tests it would miss
//! lines that were first reached without a subscriber.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

mod log_lines;
mod support;

use bytes::Bytes;
use log_lines::Lines;
use serde_json::json;
use support::Server;

#[tokio::test]
async fn tokens_passwords_and_keys_never_reach_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let server = Server::with_root().await;
    let token = "hvs.secretsecretsecretsecret";
    server.send("GET", "sys/mounts", Some(token), &[], Bytes::new()).await;
    let bearer = [("Authorization", "Bearer hvs.secretsecretsecretsecret")];
    server.send("GET", "sys/mounts", None, &bearer, Bytes::new()).await;
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    let body = json!({
        "common_name": "a.example.org", "format": "pkcs12_bundle", "pkcs12_password": "hunter2222",
    });
    server.post("pki/issue/web", body).await.ok();
    let plain = server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await.ok();
    let key = plain.text("private_key");
    // What cannot be read is quoted neither to the caller nor to the log.
    for body in [
        r#"{"pkcs12_password": "hunter2222", "common_name": }"#,
        r#"{"pkcs12_password": "hunter2222"#,
        r#"{"pkcs12_password": ["hunter2222"], "common_name": {}}"#,
        r#"{"token": hunter2222}"#,
        "hunter2222",
    ] {
        let body = Bytes::from_static(body.as_bytes());
        let answer = server.send("POST", "pki/issue/web", Some("root"), &[], body).await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == 400 && !text.contains("hunter"), "{text}");
    }
    let log = lines.take_text();
    assert!(log.contains("answered"), "the log was caught: {log}");
    let secret_line = key.lines().nth(1).unwrap();
    for secret in ["hvs.", "hunter2222", "PRIVATE KEY", secret_line] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
