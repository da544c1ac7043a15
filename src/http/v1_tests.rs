//! The request pipeline with routes that no kind of mount has yet: raw bodies, logins, and create against update.

use http::StatusCode;
use http_body_util::Full;

use super::*;
use crate::auth::Capability;
use crate::backend::call::Call;
use crate::backend::call::Captures;
use crate::backend::kind::{Backend, MountKind};
use crate::backend::response::Response;
use crate::backend::route::{Access, Operation};
use crate::backend::table::{Route, handler};
use crate::ca::role::TtlLimits;
use crate::clock::Clock;
use crate::engine::Env;
use crate::engine::MountId;
use crate::engine::mount::BoxFuture;
use crate::entropy::Entropy;
use crate::store::sealed::Seal;
use crate::store::{Memory, Sealed, Store};

/// A kind of mount that answers with what it gets.
struct Echo;

impl Backend for Echo {
    const TYPE: &'static str = "echo";
    const HELP: &'static str = "";
    const ROUTES: &'static [Route<Self>] = &[
        Route::update("raw", handler!(length)).public().raw("application/ocsp-request", 4),
        Route::update("login", handler!(length)).access(Access::Login),
        Route::update("admin", handler!(granted)).access(Access::Sudo),
        Route::update("thing/{name}", handler!(granted)).exists(exists),
    ];
}

static ECHO: MountKind<Echo> = MountKind::new();

/// The number of bytes of a raw body, as a status.
async fn length(_echo: Arc<Echo>, call: Call) -> Result<Response, Failure> {
    let status = 200 + u16::try_from(call.raw.len()).unwrap_or_default();
    Ok(Response::Status(StatusCode::from_u16(status).unwrap_or_default()))
}

/// 201 for what is created, 202 for what is changed; 203 with `sudo`.
async fn granted(_echo: Arc<Echo>, call: Call) -> Result<Response, Failure> {
    let action = call.grant.action();
    assert_eq!(action.mount, Some(MountId::new([7; 16])));
    Ok(Response::Status(match action.capability {
        Capability::Create => StatusCode::CREATED,
        _ if action.needs_sudo => StatusCode::NON_AUTHORITATIVE_INFORMATION,
        _ => StatusCode::ACCEPTED,
    }))
}

/// The thing `old` exists.
fn exists<'a>(_: &'a Echo, captures: &'a Captures) -> BoxFuture<'a, Result<bool, Failure>> {
    Box::pin(async { Ok(captures.get("name") == "old") })
}

async fn api() -> Api {
    let entropy = Entropy::System;
    let sealed = Sealed::new(Memory::new(), Seal::ephemeral(&entropy), entropy.clone());
    let engine = Engine::new(Env {
        store: Store::from(Arc::clone(&sealed)),
        sealed,
        clock: Clock::manual(0).0,
        entropy,
        storage_type: "inmem",
        lifetimes: TtlLimits { default: 60, max: 60 },
    });
    engine.initialize(None, Some("root"), Timestamp::from_unix(0)).await.unwrap();
    Api::new(engine)
}

/// The status of a request to the kind.
async fn status(path: &str, token: Option<&str>, media: &str, body: &'static [u8]) -> u16 {
    let mut request = Request::post("/v1/echo").header("content-type", media);
    if let Some(token) = token {
        request = request.header("x-vault-token", token);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let limits = Limits::default();
    let (now, refusals) = (Timestamp::from_unix(0), RefusalLimit::default());
    let received = Received {
        id: "id",
        now,
        parts: &parts,
        limits: &limits,
        connection: None,
        log: RequestLog::start("id", &parts, now, None, &refusals),
    };
    let located = Located::at(&ECHO, Arc::new(Echo), path, Operation::Update);
    let (api, body) = (api().await, Full::new(Bytes::from_static(body)));
    api.answered(&received, located, body).await.status().as_u16()
}

#[tokio::test]
async fn a_raw_body_reaches_its_handler_as_bytes_of_its_type_up_to_its_limit() {
    const OCSP: &str = "application/ocsp-request";
    assert_eq!(status("raw", None, OCSP, b"").await, 200);
    assert_eq!(status("raw", None, OCSP, b"{\x000").await, 203);
    assert_eq!(status("raw", None, "application/ocsp-request; x=y", b"1234").await, 204);
    assert_eq!(status("raw", None, OCSP, b"12345").await, 413);
    assert_eq!(status("raw", None, "application/json", b"{}").await, 400);
}

#[tokio::test]
async fn a_login_is_answered_without_a_token_and_its_body_is_json() {
    assert_eq!(status("login", None, "application/json", b"{}").await, 200);
    assert_eq!(status("login", Some("wrong"), "application/json", b"{}").await, 200);
    assert_eq!(status("login", None, "application/json", b"{").await, 400);
}

#[tokio::test]
async fn create_and_update_are_distinguished_where_the_route_checks_existence() {
    assert_eq!(status("thing/new", Some("root"), "", b"{}").await, 201);
    assert_eq!(status("thing/old", Some("root"), "", b"{}").await, 202);
    assert_eq!(status("thing/old", Some("wrong"), "", b"{}").await, 403);
    assert_eq!(status("admin", Some("root"), "", b"{}").await, 203);
    assert_eq!(status("admin", None, "", b"{}").await, 403);
}
