//! The log explains an incident, and `docs/logs.md` shows what it holds.
//!
//! The subscriber is the process's, so all requests are made by one test.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

mod log_lines;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use log_lines::Lines;
use serde_json::{Value, json};
use signet::http::request_log::RequestEvent;
use support::Server;

/// Lines in JSON.
trait JsonLines {
    /// The lines since the last call.
    fn take(&self) -> Vec<Value>;

    /// The one line of the last request.
    fn one(&self) -> Value;
}

impl JsonLines for Lines {
    fn take(&self) -> Vec<Value> {
        self.take_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn one(&self) -> Value {
        let lines = self.take();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.into_iter().next().unwrap()
    }
}

/// The identifier and serial number in the examples of the page.
const REQUEST: &str = "0d8f0f5c-6b1f-4a55-8a0e-4f1f3a8f2d11";
const SERIAL: &str = "2a:9c:51:07:b4:6e:12:8f:33:d0:5a:7b:c1:90:2e:44:6d:18:f7:03";

/// The line without what differs from run to run.
fn example(line: &Value) -> String {
    let mut line = line.as_object().unwrap().clone();
    for (field, value) in [
        ("timestamp", json!("2026-11-22T12:00:00.000000Z")),
        ("duration_us", json!(500)),
        ("request", json!(REQUEST)),
        ("serial", json!(SERIAL)),
    ] {
        if let Some(present) = line.get_mut(field) {
            *present = value;
        }
    }
    Value::Object(line).to_string()
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    fs::read_to_string(path).unwrap()
}

/// A server with the role `web` for SPIFFE IDs.
async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({
        "allow_any_name": true, "allowed_uri_sans": "spiffe://corp.example/*", "key_type": "ec",
        "max_ttl": "24h", "require_cn": false,
    });
    server.post("pki/roles/web", role).await.ok();
    server
}

/// What a line holds under some fields.
#[track_caller]
fn holds(line: &Value, fields: &[(&str, &str)]) {
    for (field, value) in fields {
        assert_eq!(line[field], *value, "{field} of {line:#}");
    }
}

const IDENTITY: &str = "spiffe://corp.example/payments";

#[tokio::test]
async fn n06_the_log_tells_who_got_what_and_why_not() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let server = server().await;
    let setup = lines.take();
    assert!(setup.iter().any(|line| line["message"] == "store initialized"), "{setup:#?}");
    let changed = setup.iter().find(|line| line["path"] == "/v1/pki/roles/web").unwrap();
    holds(changed, &[("message", "request answered"), ("method", "POST")]);
    let mut examples = certificates(&server, &lines).await;
    examples.push(changed.clone());
    examples.extend(refusals(&server, &lines).await);
    texts_from_outside(&server, &lines).await;
    examples.push(flood(&server, &lines).await);
    server.post("pki/issuer/root/revoke", json!({})).await.ok();
    holds(&lines.one(), &[("message", "certificate revoked"), ("identity", "Example Root")]);
    // The examples of the page are lines of this test.
    let wanted: Vec<_> = examples.iter().map(example).collect();
    let wanted = wanted.join("\n");
    assert!(page().contains(&wanted), "docs/logs.md does not hold these lines:\n{wanted}");
}

/// Issues, revokes and signs.
async fn certificates(server: &Server, lines: &Lines) -> Vec<Value> {
    let answer = server.post("pki/issue/web", json!({ "uri_sans": IDENTITY })).await.ok();
    let issued = lines.one();
    let serial = answer.text("serial_number");
    holds(
        &issued,
        &[
            ("message", "certificate issued"),
            ("serial", &serial),
            ("request", &answer.request_id.unwrap()),
            ("identity", IDENTITY),
            ("role", "web"),
            ("issuer", "root"),
            ("token_name", "root"),
            ("route", "pki/issue/{role}"),
            ("not_after", "2026-11-23T12:00:00Z"),
        ],
    );
    server.advance(60);
    server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    let revoked = lines.one();
    holds(
        &revoked,
        &[
            ("message", "certificate revoked"),
            ("serial", &serial),
            ("identity", IDENTITY),
            ("issuer", "root"),
            ("revoked_at", "2026-11-22T12:01:00Z"),
        ],
    );
    let request = json!({ "common_name": "Sub CA", "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", request).await.text("csr");
    lines.take();
    let sub = json!({ "csr": csr, "common_name": "Sub CA", "ttl": "1000h" });
    server.post("pki/root/sign-intermediate", sub).await.ok();
    let signed = lines.one();
    holds(&signed, &[("message", "certificate signed"), ("identity", "Sub CA")]);
    vec![issued, revoked, signed]
}

/// What is refused has its reason, before a route is found too; a read that succeeds has no line.
async fn refusals(server: &Server, lines: &Lines) -> Vec<Value> {
    let other = json!({ "uri_sans": "spiffe://other.example/payments" });
    let refusal = server.post("pki/issue/web", other).await;
    let refused = lines.one();
    holds(&refused, &[("message", "request refused"), ("reason", &refusal.errors()[0])]);
    assert_eq!(refused["status"], 400);
    server.send("GET", "sys/mounts", Some("hvs.wrong"), &[], Bytes::new()).await;
    let denied = lines.one();
    let reason = "2 errors occurred: * permission denied * invalid token";
    holds(&denied, &[("message", "request refused"), ("reason", reason)]);
    assert_eq!((&denied["status"], &denied["token_name"]), (&json!(403), &Value::Null));
    server.get("pki/roles/web").await.ok();
    assert_eq!(lines.take(), [Value::Null; 0]);
    let header = [("X-Vault-Namespace", "team-a")];
    server.send("GET", "pki/roles/web", Some("root"), &header, Bytes::new()).await;
    holds(&lines.one(), &[("reason", "namespace not found")]);
    vec![refused, denied]
}

/// Nothing that a client sends begins a line, changes a terminal or fills the disk.
async fn texts_from_outside(server: &Server, lines: &Lines) {
    server.get("pki/roles/a%0aERROR%20forged").await;
    holds(&lines.one(), &[("path", "/v1/pki/roles/a%0aERROR%20forged")]);
    let name = json!({ "common_name": "a\u{1b}[2Jb\nERROR forged", "uri_sans": IDENTITY });
    server.post("pki/issue/web", name).await;
    let text = lines.one()["reason"].as_str().unwrap().to_owned();
    assert!(!text.chars().any(char::is_control), "{text}");
    let long = format!("pki/issue/{}", "x".repeat(5_000));
    server.post(&long, json!({ "common_name": "a" })).await;
    let long = lines.one().to_string();
    assert!(long.len() < 1_500, "{long}");
}

/// A flood is bounded, and what has no line is counted.
async fn flood(server: &Server, lines: &Lines) -> Value {
    server.advance(1);
    for _ in 0..500 {
        server.send("GET", "sys/mounts", None, &[], Bytes::new()).await;
    }
    assert_eq!(lines.take().len(), 20);
    server.advance(1);
    server.get("pki/roles/web").await.ok();
    let more = lines.one();
    holds(&more, &[("message", "more requests refused")]);
    assert_eq!(more["count"], 480);
    more
}

/// The text of a call up to its closing parenthesis.
fn arguments(code: &str) -> &str {
    let (mut depth, mut is_string, mut before) = (1, false, ' ');
    for (position, character) in code.char_indices() {
        match character {
            '"' if before != '\\' => is_string = !is_string,
            '(' if !is_string => depth += 1,
            ')' if !is_string => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return code.split_at(position).0;
        }
        before = character;
    }
    code
}

/// The messages of a file's log lines at the level info and above. One with a value inside is not a name.
fn messages(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    ["tracing::info!(", "tracing::warn!(", "tracing::error!("]
        .into_iter()
        .flat_map(|call| code.split(call).skip(1))
        .filter_map(|rest| {
            let call = arguments(rest).trim_end().trim_end_matches(',');
            call.strip_suffix('"')?.rsplit('"').next().map(str::to_owned)
        })
        .filter(|message| !message.contains(['{', '\n', '.']) && !message.contains(": put back"))
        .collect()
}

#[test]
fn the_page_lists_every_event_of_the_code_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut in_code: BTreeSet<String> =
        RequestEvent::ALL.iter().map(|event| event.as_str().to_owned()).collect();
    let http = fs::read_dir(root.join("src/http")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["src/server.rs", "src/cli/server.rs", "src/engine/sys/mod.rs"];
    for file in http.chain(others.into_iter().map(|file| root.join(file))) {
        in_code.extend(messages(&fs::read_to_string(&file).unwrap()));
    }
    assert!(in_code.contains("server starting") && in_code.contains("listener ready"));
    let page = page();
    let on_page: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` |"))
        .map(|(event, _)| event.to_owned())
        .filter(|event| event.contains(' ') || event == "panic")
        .collect();
    assert_eq!(on_page, in_code);
}
