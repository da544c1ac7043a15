//! The command that a refusal suggests: a shell and the command line parse it as intended, and after it
//! the same request is signed.

use serde_json::{Value, json};

use super::{issue, merged, role, server};
use crate::support::{Answer, Server};

/// The fields of `signet patch …`, as a shell and the command line parse them.
fn pasted(answer: &Answer) -> Option<Value> {
    let warnings = answer.warnings();
    let (_, line) = warnings.iter().find_map(|text| text.split_once("signet patch "))?;
    let mut fields = serde_json::Map::new();
    let (_, mut rest) = line.split_once("roles/web ").unwrap();
    while let Some((field, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap(),
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        assert!(!value.starts_with('@') && value != "-", "{line} reads a file");
        fields.insert(field.to_owned(), json!(value));
        rest = after.trim_start();
    }
    Some(Value::Object(fields))
}

async fn explained_refusal(server: &Server, fields: &Value, body: &Value) -> Option<Answer> {
    let narrow = json!({
        "allow_any_name": false, "enforce_hostnames": true, "allowed_uri_sans": "",
        "allowed_other_sans": "", "allowed_user_ids": "", "allowed_serial_numbers": "",
    });
    role(server, "web", merged(narrow, fields)).await.ok();
    let answer = issue(server, body.clone()).await;
    (answer.status != 200).then_some(answer)
}

#[tokio::test]
async fn n07_the_command_to_paste_reads_no_file_and_works() {
    let server = server(json!({})).await;
    let roles = [
        json!({}),
        json!({ "allowed_domains": "example.org", "allow_subdomains": true }),
        json!({ "allowed_domains": "*.example.org", "allow_glob_domains": true }),
        json!({ "allowed_uri_sans": "urn:*", "key_usage": ["DigitalSignature", "CertSign"] }),
        json!({ "allowed_user_ids": "@bob", "allowed_serial_numbers": "@1" }),
    ];
    let mut lines = 0;
    for fields in &roles {
        for body in [
            json!({ "user_ids": "@/etc/passwd" }),
            json!({ "user_ids": "-" }),
            json!({ "user_ids": "eve" }),
            json!({ "serial_number": "@key.pem" }),
            json!({ "serial_number": "7" }),
            json!({ "alt_names": "a@b@other.example" }),
            json!({ "alt_names": "a@other.example" }),
            json!({ "alt_names": "a.other.example" }),
            json!({ "other_sans": "1.2.3;UTF8:a" }),
            json!({ "uri_sans": "spiffe://other.example/a" }),
            json!({ "uri_sans": ["urn:a", "spiffe://other.example/a"] }),
        ] {
            // Each of several values may need its own command.
            for _ in 0..3 {
                let Some(answer) = explained_refusal(&server, fields, &body).await else { break };
                let Some(patch) = pasted(&answer) else { break };
                lines += 1;
                let answer = server.call("PATCH", "pki/roles/web", Some(&patch)).await;
                assert!(answer.status < 300, "{fields} {body} {patch}: {answer:?}");
                let answer = issue(&server, body.clone()).await;
                assert_eq!(answer.status, 200, "{fields} {body} {patch}: {answer:?}");
            }
        }
    }
    assert!(lines > 20, "{lines}");
}

#[tokio::test]
async fn n07_the_command_to_paste_is_quoted_for_a_shell() {
    let server = server(json!({})).await;
    let narrow = json!({
        "key_type": "ec", "allowed_domains": "$(id).example.org,*.example.net",
        "allowed_uri_sans": "spiffe://example.org/*",
    });
    let body = json!({ "common_name": "api", "uri_sans": "spiffe://example.org/a" });
    server.post("sys/mounts/team%20a", json!({ "type": "pki" })).await.ok();
    server
        .post("team%20a/root/generate/internal", json!({ "common_name": "R", "key_type": "ec" }))
        .await
        .ok();
    server.post("team%20a/roles/web", narrow).await.ok();
    let answer = server.post("team%20a/issue/web", body).await;
    let line = "signet patch 'team a/'roles/web allowed_domains='$(id).example.org,*.example.net,api' allow_bare_domains=true";
    assert!(answer.warnings()[0].ends_with(line), "{:?}", answer.warnings());
}
