//! A reproducible server in memory.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use signet::ca::role::TtlLimits;
use signet::clock::Clock;
use signet::engine::env::SYSTEM_TTL;
use signet::engine::{Engine, Env};
use signet::entropy::Entropy;
use signet::http::v1::Api;
use signet::store::sealed::Seal;
use signet::store::{Memory, Sealed, Store};

/// The root token.
pub const TOKEN: &str = "root";

/// A server with an EC root in the mount `pki` and a role `web` that allows everything.
pub struct Server(Api);

impl Server {
    /// Creates and initialises a server.
    pub async fn new() -> Self {
        let (clock, _) = Clock::manual(1_795_348_800);
        let entropy = Entropy::danger_seeded(1);
        let sealed = Sealed::new(Memory::new(), Seal::ephemeral(&entropy), entropy.clone());
        let engine = Engine::new(Env {
            store: Store::from(Arc::clone(&sealed)),
            sealed,
            clock,
            entropy,
            storage_type: "inmem",
            lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
        });
        let now = engine.env().clock.now();
        engine.initialize(None, Some(TOKEN), now).await.expect("a store in memory");
        let server = Self(Api::new(engine));
        for (path, body) in [
            ("sys/mounts/pki", r#"{"type":"pki"}"#),
            ("pki/root/generate/internal", r#"{"common_name":"Root","key_type":"ec"}"#),
            (
                "pki/roles/web",
                r#"{"allow_any_name":true,"enforce_hostnames":false,"require_cn":false,"allowed_uri_sans":"*","allowed_other_sans":"*","allowed_user_ids":"*","allowed_serial_numbers":"*","key_type":"ec","ttl":"1h"}"#,
            ),
        ] {
            let request = Request::post(format!("/v1/{path}")).header("x-vault-token", TOKEN);
            let (status, answer) = server.send(request.body(body.into()).expect("a request")).await;
            assert!(status < 300, "{path}: {}", String::from_utf8_lossy(&answer));
        }
        server
    }

    /// Status and body of the answer.
    pub async fn send(&self, request: Request<Bytes>) -> (u16, Bytes) {
        let (parts, body) = request.into_parts();
        let answer = self.0.answer(parts, body).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body in memory").to_bytes();
        (status, body)
    }
}
