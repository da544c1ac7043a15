//! Request bodies and headers: what is read, in which order, and within which limits.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process;
use crate::support::{Answer, ROOT_TOKEN, Server};

/// The body of the finding: 1,625 lists of 10,000 zeros. 31 MiB of JSON took two gigabytes of memory.
fn zeros() -> Bytes {
    let list = format!("[{}]", vec!["0"; 10_000].join(","));
    format!("{{\"a\":[{}]}}", vec![list.as_str(); 1_625].join(",")).into()
}

/// A server in a separate process, so that its memory can be measured.
struct Isolated {
    server: process::Server,
    _folder: tempfile::TempDir,
}

impl Isolated {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = process::Server::start(&[env!("CARGO_BIN_EXE_signet")], folder.path());
        Self { server, _folder: folder }
    }

    /// Peak resident memory of the process, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.process())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Posts the body until the server stops reading; returns the response.
    async fn post(&self, path: &str, token: &str, length: usize, body: Bytes) -> String {
        let head = format!(
            "POST /v1/{path} HTTP/1.1\r\nhost: x\r\nx-vault-token: {token}\r\ncontent-length: {length}\r\n\r\n"
        );
        let stream = TcpStream::connect(&self.server.address).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let sending = tokio::spawn(async move {
            let sent = writing.write_all(head.as_bytes()).await;
            let sent = if sent.is_ok() { writing.write_all(&body).await } else { sent };
            if body.len() < length {
                // A server that waits for the rest would report a truncated body.
                let _ = writing.shutdown().await;
            }
            (writing, sent)
        });
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        // The connection stays open if the whole body was read.
        while !answer.ends_with(b"}\n") {
            match reading.read(&mut buffer).await {
                Ok(1..) if answer.len() > 1 << 20 => break,
                Ok(read @ 1..) => answer.extend_from_slice(&buffer[..read]),
                _ => break,
            }
        }
        sending.abort();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test]
async fn f01_small_json_takes_little_memory_with_and_without_a_token() {
    let isolated = Isolated::start();
    let body = zeros();
    let length = body.len();
    assert!((30 << 20..32 << 20).contains(&length), "{length}");
    for _ in 0..4 {
        let answer = isolated.post("pki/issue/x", "x", length, body.clone()).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:.300}");
        assert!(answer.contains("Vault is sealed"), "{answer:.300}");
    }
    let before = isolated.peak();
    assert!(before < 100, "{before} MiB for bodies that are not read");
    let token = process::prepare(&isolated.server.address, &[]).await;
    for (path, status, text) in [
        ("nowhere/issue/x", 404, "no handler for route"),
        ("pki/nowhere", 404, "unsupported path"),
        ("pki/issue/workload", 400, "more than 32768 values"),
        ("pki/roles/x", 400, "more than 32768 values"),
        ("sys/mounts/x", 400, "more than 32768 values"),
        ("sys/nowhere", 404, "unsupported path"),
        ("sys/init", 413, "too large"),
    ] {
        let answer = isolated.post(path, &token, length, body.clone()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer:.300}");
        assert!(answer.contains(text), "{path}: {answer:.300}");
    }
    let after = isolated.peak();
    assert!(after < 250, "{before} MiB became {after}");
}

#[tokio::test]
async fn f01_a_long_body_is_not_read_if_the_headers_decide_the_response() {
    let isolated = Isolated::start();
    // Only the headers are sent: a server that waits for the body would never respond.
    let ask =
        async |path: &str, token: &str| isolated.post(path, token, 20 << 20, Bytes::new()).await;
    for path in ["pki/issue/x", "sys/mounts/pki", "auth/token/renew-self", "nowhere"] {
        let answer = ask(path, "x").await;
        assert!(answer.contains("HTTP/1.1 503 ") && answer.contains("Vault is sealed"), "{answer}");
    }
    assert!(ask("sys/init", "").await.starts_with("HTTP/1.1 413 "));
    process::prepare(&isolated.server.address, &[]).await;
    for path in ["pki/issue/workload", "sys/mounts/pki", "nowhere"] {
        let answer = ask(path, "").await;
        assert!(answer.contains("HTTP/1.1 403 "), "{path}: {answer}");
        assert!(answer.contains("{\"errors\":[\"permission denied\"]}"), "{path}: {answer}");
    }
    assert!(ask("sys/init", "").await.starts_with("HTTP/1.1 413 "));
}

fn post_raw<'a>(
    server: &'a Server,
    path: &'a str,
    token: Option<&'a str>,
    body: impl Into<Bytes> + 'a,
) -> impl Future<Output = Answer> + 'a {
    server.send("POST", path, token, &[], body.into())
}

#[tokio::test]
async fn f01_the_seal_and_the_token_are_checked_before_the_body_is_parsed() {
    let server = Server::uninitialised();
    for token in [None, Some(""), Some("x"), Some(ROOT_TOKEN)] {
        for body in ["garbage", "{\"a\":", "{}", ""] {
            let answer = post_raw(&server, "pki/issue/x", token, body).await;
            answer.refused(503, "Vault is sealed");
        }
    }
    // Unauthenticated requests work, with a lower limit.
    let many = json!({ "pgp_keys": vec!["x"; 300] }).to_string();
    post_raw(&server, "sys/init", None, many).await.refused(400, "more than 256 values");
    post_raw(&server, "sys/init", None, "{} {}").await.refused(400, "after top-level value");
    post_raw(&server, "sys/init", None, "{}").await.ok();

    let server = Server::with_root().await;
    for path in ["pki/issue/x", "pki/roles/x", "sys/mounts/x", "nowhere/x", "pki/nowhere"] {
        post_raw(&server, path, None, "garbage").await.refused(403, "permission denied");
        post_raw(&server, path, Some("x"), "garbage").await.refused(403, "invalid token");
    }
    post_raw(&server, "nowhere/x", Some(ROOT_TOKEN), "garbage").await.refused(404, "no handler");
    let failed = "failed to decode JSON input";
    post_raw(&server, "pki/roles/x", Some(ROOT_TOKEN), "garbage").await.refused(400, failed);
    server.engine.seal().await;
    let answer = post_raw(&server, "pki/roles/x", Some(ROOT_TOKEN), "garbage").await;
    answer.refused(503, "Vault is sealed");
}

#[tokio::test]
async fn f01_every_encoding_of_many_values_is_limited() {
    let server = Server::with_root().await;
    let many = 40_000;
    let lists = |inner: &str, count: usize| format!("[{}]", vec![inner; count].join(","));
    let text = "more than 32768 values";
    for body in [
        format!("{{\"a\":{}}}", lists("[0,0,0]", 9_999)),
        format!("{{\"a\":{}}}", lists("{\"b\":{\"c\":0}}", 9_999)),
        format!("{{\"a\":{}}}", lists("[[[[]]]]", 9_999)),
        format!("{{\"allowed_domains\":\"{}\"}}", ",".repeat(many)),
        format!("{{\"allowed_domains\":\"{}\"}}", "\\u002c".repeat(many)),
        format!("{{\"allowed_domains\":{}}}", lists("\"a,b,c,d\"", 9_999)),
        format!("{{\"{}\":1}}", ",".repeat(many)),
        format!("{{\"policy_identifiers\":\"[{}0]\"}}", "0,".repeat(many)),
        format!("[{}]", lists("[0,0,0]", 9_999)),
    ] {
        let answer = post_raw(&server, "pki/roles/x", Some(ROOT_TOKEN), body).await;
        answer.refused(400, text);
        assert!(answer.body.len() < 500);
    }
    let form = async |body: String| {
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        server.send("POST", "pki/roles/x", Some(ROOT_TOKEN), &kind, body.into()).await
    };
    form("a=1&".repeat(10_001)).await.refused(400, "more than 10000 parameters");
    for comma in [",", "%2c", "%2C"] {
        let answer = form(format!("allowed_domains={}", comma.repeat(many))).await;
        answer.refused(400, "more than 32768 names");
    }
    form("a".repeat(1 << 21)).await.refused(400, "the form is too long");
    let query = vec!["a"; 257].join("&");
    for (method, path) in [("GET", "pki/roles/x"), ("DELETE", "pki/roles/x"), ("GET", "sys/health")]
    {
        let answer = server.call(method, &format!("{path}?{query}"), None).await;
        answer.refused(400, "more than 256 parameters");
    }
    server.get("pki/roles/x").await.refused_without_text(404);
    // Realistic requests are far below the limits.
    let domains = vec!["a.example.org"; 10_000];
    let role = json!({ "allowed_domains": domains, "allowed_uri_sans": domains });
    server.post("pki/roles/x", role).await.ok();
}

trait Bare {
    fn refused_without_text(&self, status: u16);
}

impl Bare for Answer {
    #[track_caller]
    fn refused_without_text(&self, status: u16) {
        assert_eq!((self.status, self.json()), (status, json!({ "errors": [] })), "{self:?}");
    }
}

/// That it is not delayed is tested without a clock: `src/http/body.rs`
/// `a_refusal_is_told_at_once_unless_very_many_came_before`.
#[tokio::test]
async fn f21_a_long_body_with_a_wrong_token_gets_the_response_of_a_short_one() {
    let isolated = Isolated::start();
    process::prepare(&isolated.server.address, &[]).await;
    let errors = async |length: usize, body: &'static str| {
        let answer = isolated.post("pki/issue/workload", "hvs.expired", length, body.into()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let short = errors(2, "{}").await;
    assert!(short.contains("permission denied") && short.contains("invalid token"), "{short}");
    for length in [16 * 1024 + 1, 20 << 20] {
        assert_eq!(errors(length, "").await, short);
    }
}

#[tokio::test]
async fn f22_bytes_after_the_value_of_a_body_are_refused() {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec" });
    server.post("pki/roles/any", role).await.ok();
    let issue = async |body: String| {
        let headers = [("Content-Type", "application/json")];
        server.send("POST", "pki/issue/any", Some(ROOT_TOKEN), &headers, body.into()).await
    };
    let good = "{\"common_name\":\"a.example.org\"}";
    for (behind, character) in
        [(" trailing", "'t'"), ("{}", "'{'"), ("\n}", "'}'"), (",", "','"), ("\0", "'\\x00'")]
    {
        let answer = issue(format!("{good}{behind}")).await;
        let text = format!("failed to decode JSON input: invalid character {character} after");
        answer.refused(400, &text);
    }
    issue(format!("null {good}")).await.refused(400, "after top-level value");
    issue(format!("{good} \r\n\t")).await.ok();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("{good}&ttl=1h");
    let answer = server.send("POST", "pki/issue/any", Some(ROOT_TOKEN), &form, body.into()).await;
    answer.refused(400, "after top-level value");
}

#[tokio::test]
async fn f22_a_health_check_chooses_a_code_from_200_to_599() {
    let sealed = Server::with_root().await;
    sealed.engine.seal().await;
    let states = [
        (Server::uninitialised(), "uninitcode", 501),
        (sealed, "sealedcode", 503),
        (Server::with_root().await, "activecode", 200),
    ];
    for (server, own, usual) in states {
        for method in ["GET", "HEAD"] {
            let ask = async |query: &str| {
                let path = format!("sys/health?{query}");
                server.send(method, &path, None, &[], Bytes::new()).await
            };
            for good in [200, 204, 299, 304, 429, 599] {
                let answer = ask(&format!("{own}={good}")).await;
                assert_eq!(answer.status, good, "{method} {own}={good}");
                assert!(!matches!(good, 204 | 304) || answer.body.is_empty());
            }
            for name in [
                "activecode",
                "sealedcode",
                "uninitcode",
                "standbycode",
                "drsecondarycode",
                "performancestandbycode",
                "haunhealthycode",
                "removedcode",
            ] {
                for bad in ["100", "101", "199", "600", "999", "0", "-200", "65736", "2e2", "x", ""]
                {
                    let answer = ask(&format!("{name}={bad}")).await;
                    assert_eq!(answer.status, 400, "{method} {name}={bad}");
                }
                let expected = if name == own { 299 } else { usual };
                assert_eq!(ask(&format!("{name}=299")).await.status, expected, "{method} {name}");
            }
            assert_eq!(ask("standbyok=true&perfstandbyok=true").await.status, usual);
        }
    }
}

/// Sends a request of a web page to a server with a role.
async fn from_page(method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let server = Server::with_root().await;
    server.post("pki/roles/x", json!({ "allow_any_name": true })).await.ok();
    server.send(method, path, Some(ROOT_TOKEN), headers, Bytes::from_static(b"{}")).await
}

#[tokio::test]
async fn f18_a_cross_site_request_changes_nothing() {
    let host = ("Host", "ca.example.org:8200");
    for headers in [
        &[host, ("Origin", "https://evil.example")][..],
        &[host, ("Origin", "null")],
        &[host, ("Origin", "")],
        &[host, ("Origin", "http://ca.example.org:8080")],
        &[host, ("Origin", "http://ca.example.org")],
        &[host, ("Origin", "https://ca.example.org:8200.evil.example")],
        &[host, ("Origin", "https://ca.example.org:8200"), ("Origin", "https://evil.example")],
        &[host, ("Sec-Fetch-Site", "cross-site")],
        &[host, ("Sec-Fetch-Site", "same-site")],
        &[host, ("Sec-Fetch-Site", "cross-site"), ("Origin", "https://ca.example.org:8200")],
        &[host, ("Sec-Fetch-Site", "none"), ("Origin", "https://evil.example")],
        &[("Origin", "https://evil.example")],
        &[host, ("Origin", "https://evil.example"), ("Content-Type", "application/json")],
        &[host, ("Origin", "https://evil.example"), ("Content-Type", "text/plain")],
    ] {
        let init = Server::uninitialised();
        let answer = init.send("POST", "sys/init", None, headers, Bytes::from_static(b"{}")).await;
        answer.refused(403, "origin not allowed");
        assert!(!init.engine.status().await.initialized, "{headers:?}");
        for (method, path) in [
            ("PUT", "pki/roles/x"),
            ("POST", "pki/issue/x"),
            ("DELETE", "pki/roles/x"),
            ("PATCH", "pki/roles/x"),
            ("POST", "sys/mounts/other"),
            ("DELETE", "sys/mounts/pki"),
            ("POST", "nowhere"),
        ] {
            from_page(method, path, headers).await.refused(403, "origin not allowed");
        }
        // Reads are served: the browser does not show the response to the page.
        assert_eq!(from_page("GET", "pki/ca/pem", headers).await.status, 200, "{headers:?}");
        assert_eq!(from_page("LIST", "pki/roles", headers).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn f18_programs_and_same_origin_pages_are_served_with_any_media_type() {
    let host = ("Host", "ca.example.org:8200");
    for headers in [
        &[][..],
        &[host],
        &[host, ("Content-Type", "text/plain")],
        &[host, ("Content-Type", "application/x-www-form-urlencoded")],
        &[host, ("Origin", "https://ca.example.org:8200")],
        &[host, ("Origin", "http://CA.example.org:8200")],
        &[host, ("Origin", "https://ca.example.org:8200"), ("Sec-Fetch-Site", "same-origin")],
        &[
            ("Host", "10.0.0.1"),
            ("Origin", "https://ca.example.org"),
            ("Sec-Fetch-Site", "same-origin"),
        ],
        &[("Host", "ca.example.org"), ("Origin", "https://ca.example.org")],
        &[("Host", "ca.example.org:443"), ("Origin", "https://ca.example.org")],
        &[host, ("Sec-Fetch-Site", "none")],
        &[host, ("Sec-Fetch-Mode", "cors"), ("X-Requested-With", "XMLHttpRequest")],
    ] {
        from_page("PUT", "pki/roles/x", headers).await.ok();
        let server = Server::uninitialised();
        server.send("PUT", "sys/init", None, headers, Bytes::from_static(b"{}")).await.ok();
    }
}

#[tokio::test]
async fn n02_response_wrapping_is_refused_while_unsupported() {
    let server = Server::with_root().await;
    server.post("pki/roles/x", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    let batches = server.memory.tally().batches;
    for (name, value) in [
        ("X-Vault-Wrap-TTL", "60s"),
        ("X-Vault-Wrap-TTL", "1m0s"),
        ("x-vault-wrap-ttl", "60"),
        ("X-Vault-Wrap-TTL", "500ms"),
        ("X-Vault-Wrap-TTL", "soon"),
        ("X-Vault-Wrap-TTL", "-1s"),
        ("X-Vault-Wrap-Format", "jwt"),
    ] {
        for (method, path) in [
            ("PUT", "pki/issue/x"),
            ("POST", "pki/root/generate/exported"),
            ("GET", "auth/token/lookup-self"),
            ("GET", "pki/ca/pem"),
            ("LIST", "pki/roles"),
            ("PUT", "sys/init"),
            ("DELETE", "pki/roles/x"),
        ] {
            let body = Bytes::from_static(b"{\"common_name\":\"a.example.org\"}");
            let answer = server.send(method, path, Some(ROOT_TOKEN), &[(name, value)], body).await;
            answer.refused(400, "asks for a wrapped response");
        }
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
    // An empty or zero header is accepted; the status endpoints never wrap and ignore the header.
    for (value, path) in
        [("", "sys/mounts"), ("0", "sys/mounts"), ("60s", "sys/health"), ("60s", "sys/seal-status")]
    {
        let headers = [("X-Vault-Wrap-TTL", value)];
        server.send("GET", path, Some(ROOT_TOKEN), &headers, Bytes::new()).await.ok();
    }
}

#[tokio::test]
async fn n03_an_unknown_namespace_is_refused() {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true }).to_string();
    let write = async |namespace: &str, path: &str| {
        let headers = [("X-Vault-Namespace", namespace)];
        server.send("PUT", path, Some(ROOT_TOKEN), &headers, role.clone().into()).await
    };
    for namespace in ["team-a", "team-a/", "/team-a", "a/b", "root/team-a", "ROOT", "a/..", "%2f"] {
        write(namespace, "pki/roles/web").await.refused(404, "namespace not found");
        let headers = [("X-Vault-Namespace", namespace)];
        for (method, path) in [
            ("GET", "sys/mounts"),
            ("LIST", "pki/roles"),
            ("GET", "pki/ca/pem"),
            ("GET", "auth/token/lookup-self"),
        ] {
            for token in [None, Some(ROOT_TOKEN)] {
                let answer = server.send(method, path, token, &headers, Bytes::new()).await;
                answer.refused(404, "namespace not found");
            }
        }
        for (method, path) in [("PUT", "sys/init"), ("GET", "sys/health")] {
            let answer = server.send(method, path, None, &headers, Bytes::new()).await;
            answer.refused(400, "operation unavailable in namespaces");
        }
    }
    server.get("pki/roles/web").await.refused_without_text(404);
    for path in ["team-a/pki/roles/web", "team-a/sys/mounts", "root/pki/roles/web"] {
        server.post(path, json!({})).await.refused(404, "no handler for route");
    }
    // Clients without a namespace send an empty header or the name of the root namespace.
    for root in ["", "/", "root", "root/", "/root/"] {
        write(root, "pki/roles/web").await.ok();
        for path in ["auth/token/lookup-self", "sys/health", "sys/seal-status"] {
            let headers = [("X-Vault-Namespace", root)];
            server.send("GET", path, Some(ROOT_TOKEN), &headers, Bytes::new()).await.ok();
        }
    }
    server.engine.seal().await;
    write("team-a", "pki/roles/web").await.refused(503, "Vault is sealed");
}

#[tokio::test]
async fn n03_no_header_or_parameter_that_asks_for_protection_is_ignored() {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "ttl": "1h" });
    server.post("pki/roles/x", role).await.ok();
    for (name, value) in [
        ("X-Vault-MFA", "my_totp:123456"),
        ("X-Vault-Inline-Auth-Path", "auth/approle/login"),
        ("X-Vault-Recover-Snapshot-Id", "1"),
        ("X-Vault-Recover-Source-Path", "roles/y"),
        ("If-Match", "\"1\""),
        ("If-None-Match", "*"),
        ("If-Unmodified-Since", "Sun, 22 Nov 2026 12:00:00 GMT"),
    ] {
        let body = Bytes::from_static(b"{}");
        let headers = [(name, value)];
        let answer = server.send("PUT", "pki/roles/x", Some(ROOT_TOKEN), &headers, body).await;
        answer.refused(400, "which this server does not have");
    }
    for query in ["recover_snapshot_id=1", "read_snapshot_id=1", "a=b&recover_snapshot%5fid=1"] {
        for method in ["GET", "PUT", "LIST"] {
            let answer = server.call(method, &format!("pki/roles/x?{query}"), None).await;
            answer.refused(400, "asks for data from a snapshot");
        }
    }
    assert_eq!(server.get("pki/roles/x").await.data()["ttl"], Value::from(3600));
    let mount = |entropy: bool| json!({ "type": "pki", "external_entropy_access": entropy });
    server.post("sys/mounts/other", mount(true)).await.refused(400, "external_entropy_access asks");
    // Every value is sealed under the seal key, with or without `seal_wrap`.
    let sealed = json!({ "type": "pki", "seal_wrap": true, "external_entropy_access": false });
    server.post("sys/mounts/other", sealed).await.ok();
    // Headers that clients always send, or that a single server always satisfies.
    for (name, value) in [
        ("X-Vault-Request", "true"),
        ("X-Vault-Index", "v1:abc"),
        ("X-Vault-Inconsistent", "forward-active-node"),
        ("X-Vault-Forward", "active-node"),
        ("X-Vault-No-Request-Forwarding", "true"),
        ("X-Vault-Policy-Override", "false"),
        ("X-Vault-AWS-IAM-Server-ID", "vault.example.org"),
        ("X-Vault-MFA", ""),
    ] {
        let headers = [(name, value)];
        server.send("GET", "pki/roles/x", Some(ROOT_TOKEN), &headers, Bytes::new()).await.ok();
    }
}
