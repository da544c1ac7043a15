//! Invalid input over HTTP: every refusal is a 4xx that says what is wrong, exposes no internals of the
//! server, and writes nothing to the store.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

use std::net::SocketAddr;

use der::pem::LineEnding;
use serde_json::{Value, json};
use signet::server::{Controls, DevOptions, ServerInfo, control_channels, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A development server on a free port with a root and a role; it stops on drop.
struct Server {
    address: SocketAddr,
    controls: Controls,
}

impl Server {
    async fn start() -> Self {
        let mut config = signet::config::in_memory(&|_| None).expect("the built-in configuration");
        config.listeners[0].address = "127.0.0.1:0".parse().unwrap();
        let (controls, signals) = control_channels();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let development = DevOptions { root_token: Some("root".to_owned()), ..Default::default() };
        tokio::spawn(run(
            config,
            Some(development),
            |info| sender.send(info.addresses[0]).unwrap(),
            signals,
        ));
        let server = Self { address: receiver.await.expect("the server starts"), controls };
        server.write("sys/mounts/pki", &json!({ "type": "pki" })).await;
        let root = json!({ "common_name": "Root", "key_type": "ec", "key_bits": 256 });
        server.write("pki/root/generate/internal", &root).await;
        let role = json!({
            "allow_any_name": true, "enforce_hostnames": false, "require_cn": false,
            "allowed_uri_sans": "*", "key_type": "ec", "key_bits": 256, "ttl": "1h",
        });
        server.write("pki/roles/any", &role).await;
        server
    }

    /// Sends a request; returns the status and the body of the response.
    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let head = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: root\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body].concat()).await
    }

    async fn send(&self, bytes: &[u8]) -> (u16, String) {
        let (mut reader, mut writer) = TcpStream::connect(self.address).await.unwrap().into_split();
        let bytes = bytes.to_vec();
        // The server may respond before it has read everything.
        let writing = tokio::spawn(async move {
            let _refused_early = writer.write_all(&bytes).await;
            writer
        });
        let mut answer = Vec::new();
        let _cut = reader.read_to_end(&mut answer).await;
        drop(writing);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status, body.unwrap_or_default())
    }

    async fn write(&self, path: &str, body: &Value) -> (u16, String) {
        self.ask("POST", path, body.to_string().as_bytes()).await
    }

    /// The number of stored certificates.
    async fn certificates(&self) -> usize {
        let (status, text) = self.ask("LIST", "pki/certs", b"").await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["data"]["keys"].as_array().unwrap().len()
    }

    /// Expects a refusal whose text contains `word` and no source location; nothing is stored.
    async fn refuses(&self, path: &str, body: &[u8], word: &str) {
        let before = self.certificates().await;
        let (status, text) = self.ask("POST", path, body).await;
        assert_eq!(status, 400, "{text:.300}");
        assert!(text.contains(word), "{word:?} is not in {text:.300}");
        assert!(!text.contains(".rs:") && !text.contains("panicked"), "{text:.300}");
        assert!(text.len() < 5_000, "a response of {} bytes", text.len());
        assert_eq!(self.certificates().await, before);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.controls.stop.send(true);
    }
}

#[tokio::test]
async fn refuses_a_body_that_is_not_a_json_object() {
    let server = Server::start().await;
    for body in
        [&b"{\"a\":"[..], b"garbage", b"[]", b"\"x\"", b"1", b"{\"a\":1,}", b"{\"a\":\"\xff\"}"]
    {
        server.refuses("pki/issue/any", body, "failed to decode JSON input").await;
    }
    let deep = "[".repeat(100_000);
    server.refuses("pki/issue/any", deep.as_bytes(), "nested deeper").await;
    let many = json!({ "uri_sans": vec!["spiffe://example.org/a"; 10_001] }).to_string();
    server.refuses("pki/issue/any", many.as_bytes(), "more than 10000 entries").await;
    let long = json!({ "common_name": "a".repeat(2_000_000) }).to_string();
    server.refuses("pki/issue/any", long.as_bytes(), "string longer than").await;
}

#[tokio::test]
async fn refuses_values_of_a_wrong_type_by_the_name_of_their_field() {
    let server = Server::start().await;
    for (body, field) in [
        (json!({ "common_name": ["a"] }), "common_name"),
        (json!({ "ttl": {} }), "ttl"),
        (json!({ "ttl": "soon" }), "ttl"),
        (json!({ "uri_sans": [{}] }), "uri_sans"),
        (json!({ "exclude_cn_from_sans": "maybe" }), "exclude_cn_from_sans"),
        (json!({ "pkcs12_password": ["x"] }), "pkcs12_password"),
    ] {
        server.refuses("pki/issue/any", body.to_string().as_bytes(), field).await;
    }
}

#[tokio::test]
async fn refuses_names_and_times_that_a_certificate_must_not_have() {
    let server = Server::start().await;
    for (body, word) in [
        (json!({ "common_name": "a.b", "ttl": "900000h" }), "beyond the expiration"),
        (json!({ "common_name": "a.b", "not_after": "soon" }), "parsing time"),
        (json!({ "alt_names": "a\0b@example.org" }), "control character"),
        (json!({ "uri_sans": "spiffe://example.org/a\0b" }), "not a valid URI"),
        (json!({ "alt_names": "xn--a".repeat(200_000) }), "idna: invalid label"),
        (json!({ "alt_names": "ü".repeat(300_000) }), "idna: invalid label"),
        (json!({ "alt_names": "bücher@example.org" }), "errors"),
        (json!({ "ip_sans": "999.1.1.1" }), "999.1.1.1"),
        (json!({ "other_sans": "nonsense" }), "semicolon"),
        (json!({ "common_name": "a.b", "format": "exe" }), "format"),
    ] {
        server.refuses("pki/issue/any", body.to_string().as_bytes(), word).await;
    }
}

#[tokio::test]
async fn ten_thousand_names_are_signed() {
    let server = Server::start().await;
    let names: Vec<_> = (0..10_000).map(|i| format!("spiffe://example.org/{i}")).collect();
    let (status, text) = server.write("pki/issue/any", &json!({ "uri_sans": names })).await;
    assert_eq!(status, 200, "{text:.300}");
}

#[tokio::test]
async fn an_unknown_field_has_a_warning() {
    let server = Server::start().await;
    let (status, text) =
        server.write("pki/issue/any", &json!({ "common_name": "a.b", "colour": 1 })).await;
    assert_eq!(status, 200);
    assert!(text.contains("Endpoint ignored these unrecognized parameters: [colour]"));
}

/// A request with a P-256 key, DER.
fn request() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}

fn armoured(der: &[u8]) -> Vec<u8> {
    let pem = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, der).unwrap();
    json!({ "csr": pem }).to_string().into_bytes()
}

#[tokio::test]
async fn refuses_a_csr_that_is_truncated_or_has_a_wrong_signature() {
    let server = Server::start().await;
    let good = request();
    for end in (0..good.len()).step_by(7) {
        server.refuses("pki/sign/any", &armoured(&good[..end]), "errors").await;
    }
    let mut forged = good;
    *forged.last_mut().unwrap() ^= 1;
    server.refuses("pki/sign/any", &armoured(&forged), "request signature invalid").await;
    server.refuses("pki/sign/any", b"{\"csr\":\"junk\"}", "csr contains no data").await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_413() {
    let server = Server::start().await;
    let head = "POST /v1/pki/issue/any HTTP/1.1\r\nHost: x\r\nX-Vault-Token: root\r\nContent-Length: 33554433\r\n\r\n";
    assert_eq!(server.send(head.as_bytes()).await.0, 413);
}

#[tokio::test]
async fn a_long_body_is_read_only_with_a_valid_token() {
    let server = Server::start().await;
    let long = json!({ "allowed_domains": "a.example,".repeat(2_000) });
    assert_eq!(server.write("pki/roles/long", &long).await.0, 200);
    // The body is not sent: the response does not wait for it.
    let ask = |token: &str| {
        let head = format!(
            "POST /v1/pki/roles/refused HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 16385\r\n\r\n"
        );
        let server = &server;
        async move { server.send(head.as_bytes()).await }
    };
    let (without_token, unknown) = tokio::join!(ask(""), ask("X-Vault-Token: hvs.unknown\r\n"));
    for ((status, text), why) in [(without_token, "permission denied"), (unknown, "invalid token")]
    {
        assert_eq!(status, 403, "{text}");
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(server.ask("GET", "pki/roles/refused", b"").await.0, 404);
}

#[tokio::test]
async fn a_sealed_server_answers_503_before_it_checks_tokens() {
    let mut config = signet::config::in_memory(&|_| None).unwrap();
    config.listeners[0].address = "127.0.0.1:0".parse().unwrap();
    let (controls, signals) = control_channels();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let started = |info: &ServerInfo| sender.send(info.addresses[0]).unwrap();
    tokio::spawn(run(config, None, started, signals));
    let server = Server { address: receiver.await.expect("the server starts"), controls };
    let long = json!({ "allowed_domains": "a.example,".repeat(2_000) });
    assert_eq!(server.write("pki/roles/long", &long).await.0, 503);
}

#[tokio::test]
async fn headers_above_the_limit_are_431() {
    let server = Server::start().await;
    let head =
        format!("GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    assert_eq!(server.send(head.as_bytes()).await.0, 431);
}

#[tokio::test]
async fn path_traversal_is_refused() {
    let server = Server::start().await;
    for path in
        ["../../etc/passwd", "pki/../sys/mounts", "pki/cert/..%2f..", "%00", "pki/roles/%ff"]
    {
        assert_eq!(server.ask("GET", path, b"").await.0, 400, "{path}");
    }
}
