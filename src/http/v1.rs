//! The spine: read → resolve → gate → parse → run → reply. Every request takes this road.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};

use crate::auth::Granted;
use crate::ca::time::Timestamp;
use crate::engine::pki::Pki;
use crate::engine::{Engine, Failure};
use crate::secret::Secret;

use super::body::{BodyError, Held, Room};
use super::call::Call;
use super::finishing::{Finishing, Panicked};
use super::head::Head;
use super::parameters::Unparsed;
use super::reply::{Reply, Wording, denied, errors_response, failure};
use super::sending::HttpResponse;
use super::{headers, limits::Limits, pki, sys, token};

/// The API over an engine.
#[derive(Clone, Debug)]
pub struct Api {
    engine: Arc<Engine>,
    room: Room,
    request_id: HeaderName,
}

/// A reply or a failure, with how it is worded and which mount type answered.
struct Outcome {
    result: Result<Reply, Failure>,
    wording: Wording,
    mount_type: &'static str,
}

impl Api {
    /// The API over this engine, with room for bodies of the default size.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self::sharing(engine, Room::new(Limits::default().body_size))
    }

    /// The API over this engine; what it parses takes its memory from this room.
    pub fn sharing(engine: Arc<Engine>, room: Room) -> Self {
        Self { engine, room, request_id: HeaderName::from_static("x-request-id") }
    }

    /// Answers one request whose body was read, bounded, by the listener's side.
    pub async fn answer(&self, parts: request::Parts, body: Bytes) -> HttpResponse {
        self.answer_holding(parts, body, Held::default()).await
    }

    /// The same; what the body holds of the room is given back when it is parsed.
    pub async fn answer_holding(
        &self,
        parts: request::Parts,
        body: Bytes,
        held: Held,
    ) -> HttpResponse {
        let id = self.engine.env().entropy.uuid();
        let now = self.engine.env().clock.now();
        let head = parts.method == Method::HEAD;
        let span = tracing::info_span!("request", id);
        let mut response = self.route(&parts, (body, held), &id, now).await;
        tracing::info!(
            parent: &span,
            method = %parts.method,
            path = %parts.uri.path(),
            status = response.status().as_u16(),
            "answered"
        );
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(self.request_id.clone(), value);
        }
        if head {
            *response.body_mut() = Bytes::new().into();
        }
        response
    }

    /// May this request have a long body? Asked before any of it is read: what the headers, the seal or
    /// the token decide is answered without it.
    ///
    /// # Errors
    /// The answer, if the body would make no difference.
    pub async fn may_be_long(&self, parts: &request::Parts) -> Result<(), Box<HttpResponse>> {
        let head = self.screen(parts, self.engine.env().clock.now())?;
        if sys::is_public(&head.path) {
            return Err(Box::new(BodyError::TooLarge.into_response()));
        }
        let capability = head.operation.capability();
        match self.engine.gate().admit(token_of(&parts.headers), capability).await {
            Ok(_granted) => Ok(()),
            Err(outside) => Err(Box::new(denied(&outside))),
        }
    }

    /// What can be said of a request from its headers and from the state of the store.
    fn screen(&self, parts: &request::Parts, now: Timestamp) -> Result<Head, Box<HttpResponse>> {
        let head = Head::read(parts, now)?;
        headers::check_origin(&parts.headers, head.operation, parts.uri.authority())?;
        // A sealed server says so whatever the token is: none can be looked up.
        if !sys::is_public(&head.path) && self.engine.env().sealed.is_sealed() {
            return Err(Box::new(failure(&Failure::Sealed, Wording::Public)));
        }
        headers::check(&parts.headers, &head)?;
        Ok(head)
    }

    async fn route(
        &self,
        parts: &request::Parts,
        (body, held): (Bytes, Held),
        id: &str,
        now: Timestamp,
    ) -> HttpResponse {
        let head = match self.screen(parts, now) {
            Ok(head) => head,
            Err(response) => return *response,
        };
        let unparsed = Unparsed::of(parts, &head, body, held);
        if sys::is_public(&head.path) {
            let reply = Box::pin(async {
                let call = head.with(unparsed.without_token()?);
                sys::public(&self.engine, &call).await
            });
            return match reply.await {
                Ok(reply) => reply.into_response(id, "system"),
                Err(refused) => failure(&refused, Wording::Public),
            };
        }
        let token = token_of(&parts.headers);
        let (engine, room) = (Arc::clone(&self.engine), self.room.clone());
        // From here on the work is done even if the caller hangs up (design D11).
        let work = Finishing::new(run(engine, room, head, unparsed, token)).await;
        match work {
            Ok(Ok(Outcome { result: Ok(reply), mount_type, .. })) => {
                reply.into_response(id, mount_type)
            }
            Ok(Ok(Outcome { result: Err(refused), wording, .. })) => {
                if let Failure::Fault(why) = &refused {
                    tracing::error!(request = id, why, "fault");
                }
                failure(&refused, wording)
            }
            Ok(Err(response)) => response,
            Err(Panicked) => {
                tracing::error!(request = id, "a request's work ended abnormally");
                failure(&Failure::Fault(String::new()), Wording::Public)
            }
        }
    }
}

/// What the work of a request ends with.
type Work = Result<Outcome, HttpResponse>;

/// Resolve, gate, parse, run. What is rare is boxed: every request carries the room of the largest step.
async fn run(
    engine: Arc<Engine>,
    room: Room,
    head: Head,
    unparsed: Unparsed,
    token: Option<Secret<String>>,
) -> Work {
    let engine = &*engine;
    let public = |refused: Failure| failure(&refused, Wording::Public);
    let mounts = engine.settled_mounts().await.map_err(public)?;
    let resolved = mounts.resolve(&head.path);
    let found =
        resolved.and_then(|(mount, rest)| Some((mount.core::<Pki>()?, pki::Route::parse(rest)?)));
    if let Some((core, route)) = &found
        && route.is_public(head.operation)
    {
        let call = head.with(unparsed.without_token().map_err(public)?);
        let result = Box::pin(pki::public(core, route, &call)).await;
        return Ok(Outcome { result, wording: Wording::Public, mount_type: "pki" });
    }
    let granted: Granted = engine
        .gate()
        .admit(token, head.operation.capability())
        .await
        .map_err(|outside| denied(&outside))?;
    let asked = match (head.path.split_once('/'), resolved, &found) {
        (Some(("sys", _)), ..) => Asked::System,
        (Some(("auth", rest)), ..) if rest.starts_with("token/") => Asked::Token,
        (_, _, Some((core, route))) => Asked::Pki(core, route),
        (_, Some(_), None) => {
            let result = Err(Failure::UnsupportedPath);
            return Ok(Outcome { result, wording: Wording::Authenticated, mount_type: "pki" });
        }
        (_, None, _) => {
            let text = format!("no handler for route \"{}\". route entry not found.", head.path);
            return Err(errors_response(StatusCode::NOT_FOUND, &[text]));
        }
    };
    // What the parameters take is held until the request ends.
    let (parameters, _memory) = unparsed.parsed(&room).await.map_err(public)?;
    Ok(asked.answered(engine, &granted, head.with(parameters)).await)
}

/// What answers a request that was let in.
enum Asked<'a> {
    System,
    Token,
    Pki(&'a Pki, &'a pki::Route),
}

impl Asked<'_> {
    async fn answered(self, engine: &Engine, granted: &Granted, call: Call) -> Outcome {
        let (result, mount_type) = match self {
            Self::System => (Box::pin(sys::dispatch(engine, &call)).await, "system"),
            Self::Token => (token::dispatch(granted, &call), "token"),
            Self::Pki(core, route) => (pki::dispatch(core, route, call).await, "pki"),
        };
        Outcome { result, wording: Wording::Authenticated, mount_type }
    }
}

/// `X-Vault-Token`, else the bearer of `Authorization`. An empty one is none, and a credential of another
/// scheme is for a proxy on the way.
fn token_of(headers: &HeaderMap) -> Option<Secret<String>> {
    let own = headers.get("x-vault-token").and_then(|value| value.to_str().ok());
    let bearer = || {
        headers.get_all(http::header::AUTHORIZATION).iter().find_map(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        })
    };
    own.filter(|token| !token.is_empty()).or_else(bearer).map(|token| Secret::new(token.to_owned()))
}
