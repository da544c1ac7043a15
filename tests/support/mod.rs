//! The whole program without sockets: the API and an engine in memory, with a clock that the test
//! sets and reproducible randomness.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a surprise is a failure")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use signet::ca::role::TtlLimits;
use signet::clock::Clock;
use signet::engine::env::SYSTEM_TTL;
use signet::engine::{Engine, Env};
use signet::entropy::Entropy;
use signet::http::v1::Api;
use signet::store::sealed::Seal;
use signet::store::{Memory, Sealed, Store};

/// The root token.
pub(crate) const ROOT_TOKEN: &str = "root";

/// The initial time: 2026-11-22 12:00:00 UTC.
pub(crate) const START: i64 = 1_795_348_800;

/// A server without its sockets.
pub(crate) struct Server {
    pub(crate) api: Api,
    pub(crate) engine: Arc<Engine>,
    pub(crate) memory: Memory,
    time: Arc<AtomicI64>,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Bytes,
}

impl Server {
    /// A server that is not initialised.
    pub(crate) fn uninitialised() -> Self {
        let memory = Memory::new();
        let (clock, time) = Clock::manual(START);
        let entropy = Entropy::danger_seeded(1);
        let sealed = Sealed::new(memory.clone(), Seal::ephemeral(&entropy), entropy.clone());
        let engine = Engine::new(Env {
            store: Store::from(Arc::clone(&sealed)),
            sealed,
            clock,
            entropy,
            storage_type: "inmem",
            lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
        });
        Self { api: Api::new(Arc::clone(&engine)), engine, memory, time }
    }

    /// A new process over the same store, at the same time.
    pub(crate) async fn restarted(&self) -> Self {
        let (clock, time) = Clock::manual(self.now());
        let entropy = Entropy::danger_seeded(2);
        // The first of these bytes are the seal key, as in the previous process.
        let seal = Seal::ephemeral(&Entropy::danger_seeded(1));
        let sealed = Sealed::new(self.memory.clone(), seal, entropy.clone());
        let engine = Engine::new(Env {
            store: Store::from(Arc::clone(&sealed)),
            sealed,
            clock,
            entropy,
            storage_type: "inmem",
            lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
        });
        assert!(!engine.start().await.unwrap().sealed);
        Self { api: Api::new(Arc::clone(&engine)), engine, memory: self.memory.clone(), time }
    }

    /// An initialised server with [`ROOT_TOKEN`].
    pub(crate) async fn new() -> Self {
        let server = Self::uninitialised();
        let now = server.engine.env().clock.now();
        server.engine.initialize(None, Some(ROOT_TOKEN), now).await.unwrap();
        server
    }

    /// An initialised server with a PKI mount `pki` that has an EC root named `root`.
    pub(crate) async fn with_root() -> Self {
        let server = Self::new().await;
        let mount = json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } });
        server.post("sys/mounts/pki", mount).await.ok();
        let root = json!({
            "common_name": "Example Root", "key_type": "ec", "issuer_name": "root", "ttl": "87600h",
        });
        server.post("pki/root/generate/internal", root).await.ok();
        server
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Seconds since the Unix epoch, as the server sees them.
    pub(crate) fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    /// Sends one request, as the listener passes it on.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/v1/{path}"));
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token);
        }
        if method == "PATCH" {
            request = request.header("Content-Type", "application/merge-patch+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let response = self.api.answer(parts, body).await;
        let (parts, body) = response.into_parts();
        let header = |name: &str| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Answer {
            status: parts.status.as_u16(),
            content_type: header("content-type"),
            request_id: header("x-request-id"),
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// A request with the root token and a JSON body, if any.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| body.to_string().into()).unwrap_or_default();
        self.send(method, path, Some(ROOT_TOKEN), &[], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn list(&self, path: &str) -> Answer {
        self.call("LIST", path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None).await
    }

    #[allow(clippy::needless_pass_by_value, reason = "`json!` is written in place")]
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&body)).await
    }
}

impl Answer {
    /// The JSON body; `null` if it is empty or not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Fails the test unless the status says success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status < 300, "status {}: {text}", self.status);
        self
    }

    /// `data` of the envelope.
    pub(crate) fn data(&self) -> Value {
        self.json().get("data").cloned().unwrap_or(Value::Null)
    }

    /// A text member of `data`.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        let data = self.data();
        let text = data.get(member).and_then(Value::as_str);
        assert!(text.is_some(), "no text {member} in {}", String::from_utf8_lossy(&self.body));
        text.unwrap_or_default().to_owned()
    }

    /// `errors`.
    pub(crate) fn errors(&self) -> Vec<String> {
        texts(&self.json(), "errors")
    }

    /// `warnings`.
    pub(crate) fn warnings(&self) -> Vec<String> {
        texts(&self.json(), "warnings")
    }

    /// Is it refused with this status and one text that contains `text`?
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, text: &str) {
        let body = String::from_utf8_lossy(&self.body);
        let said = self.errors().iter().any(|error| error.contains(text));
        assert!(self.status == status && said, "{} for {status} {text:?}: {body}", self.status);
    }
}

fn texts(body: &Value, member: &str) -> Vec<String> {
    let list = body.get(member).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The DER of the first block of a PEM text.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    let (_, rest) = pem.split_once("-----BEGIN ").unwrap();
    let (_, rest) = rest.split_once("-----").unwrap();
    let (body, _) = rest.split_once("-----END").unwrap();
    let body: String = body.split_whitespace().collect();
    data_encoding::BASE64.decode(body.as_bytes()).unwrap()
}

/// A PEM block.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = data_encoding::BASE64.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
